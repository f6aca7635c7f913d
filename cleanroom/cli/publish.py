"""`cleanroom publish`: a provider's file becomes a dataset with a rule and a draft listing."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cleanroom.cli.base import check_lines, rehearse
from cleanroom.cli.remote import AsJson, DryRun, OptionError, Profile, calling, echo, read_plain
from cleanroom.errors import CleanroomError

if TYPE_CHECKING:
    from cleanroom.client.remote.tables import Table

app = typer.Typer(add_completion=False)
_UNITS = {"cpm": "cpm", "question": "question", "month": "flat"}


@app.command()
def publish(  # noqa: PLR0917 - a command takes its options in no order
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or Parquet.")],
    schema: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Its schema file; not needed with --into."),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(help="A dataset that is registered, ds_...: a new version of it, and nothing else."),
    ] = None,
    preset: Annotated[str, typer.Option(help="The rule: strict, standard or relaxed.")] = "standard",
    price: Annotated[
        list[str] | None,
        typer.Option(help='Such as "120 RUB/cpm", /question or /month; repeat it. Free if none.'),
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Of the listing, in English; the file's name if none.")
    ] = None,
    title_ru: Annotated[str | None, typer.Option(help="In Russian; the other title if none.")] = None,
    junk_over_shared: Annotated[
        bool, typer.Option(help="Ignore key values that too many persons share.")
    ] = False,
    profile: Profile = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Hash and encrypt a file here, load it, put a rule in force, and leave a draft listing."""
    from cleanroom.schema.codec import schema_from_dict

    if into is not None:
        _load(file, into, junk_over_shared, profile, as_json=as_json, dry_run=dry_run)
        return
    if schema is None:
        raise OptionError("There is no schema.", remedy="Add --schema, or --into for a registered dataset.")
    plain = read_plain(schema, "schema", begins="match_keys")
    described = schema_from_dict(plain)
    purposes = [consent.purpose for consent in described.consents]
    if not purposes:
        raise OptionError(
            "The schema maps no consent.", remedy="Add `consent:`; people without one are not counted."
        )
    plan, rule = plan_of(price or []), _rule(preset, purposes)
    kinds = next(one["allowed"] for one in rule["rules"] if one["rule"] == "analyses")
    if not any(attribute.clamp for attribute in described.attributes):
        # Without bounds nothing can be added up.
        kinds = [kind for kind in kinds if kind != "statistics"]
    name = title or file.name.partition(".")[0]
    if dry_run:
        checked = rehearse(file, plain)
        echo({**checked, "plan": plan, "policy": rule}, as_json=as_json, lines=check_lines(checked))
        return
    content = {
        "title": {"ru": title_ru or name, "en": name},
        "text": {"ru": "", "en": ""},
        "attributes": [attribute.name for attribute in described.attributes],
        "terms": {"purposes": purposes, "kinds": kinds, "sizes": ["S", "M", "L"], "days": 365},
        "plans": [plan],
    }
    with calling(profile, as_json=as_json) as room:
        over_shared = {"over_shared": "junk"} if junk_over_shared else {}
        made = room.datasets.create(file, schema=plain, name=name, **over_shared)  # type: ignore[arg-type]
        room.datasets.set_policy(made.id, rule)
        listing = room.offer(made.id, content)
    lines = [
        *_table_lines(made),
        f"DRAFT LISTING {listing['id']}",
        f"Look it over, then: cleanroom listing submit {listing['id']}",
    ]
    echo({"dataset": asdict(made), "listing": listing}, as_json=as_json, lines=lines)


def _load(
    file: Path, dataset_id: str, junk: bool, profile: str | None, *, as_json: bool, dry_run: bool
) -> None:
    over_shared = {"over_shared": "junk"} if junk else {}
    with calling(profile, as_json=as_json) as room:
        if dry_run:
            checked = rehearse(file, room.datasets.get(dataset_id)["schema"])
            echo(checked, as_json=as_json, lines=check_lines(checked))
            return
        made = room.datasets.upload(dataset_id, file, **over_shared)  # type: ignore[arg-type]
    echo({"dataset": asdict(made)}, as_json=as_json, lines=_table_lines(made))


def _table_lines(made: "Table") -> list[str]:
    lines = [f"DATASET {made.id}", f"version\t{made.version_id}"]
    if made.rejected is not None:
        lines += [f"rows\t{made.rows}"]
        lines += [f"left out\t{why}\t{n}" for why, n in sorted(made.rejected.items())]
    return lines


def plan_of(prices: list[str]) -> dict[str, Any]:
    """Read prices such as `120 RUB/cpm` as a price plan; raises OptionError."""
    from cleanroom.money import parse_money

    parts: list[dict[str, Any]] = []
    currencies = set()
    for text in prices:
        amount, _, unit = text.partition("/")
        try:
            money = parse_money(amount.strip())
        except CleanroomError as error:
            raise OptionError(
                "A price is not understood.", remedy=f'Write it like "120 RUB/cpm". {error}'
            ) from None
        if unit.strip() not in _UNITS:
            raise OptionError("A price is for nothing known.", remedy=f"Write one of: /{', /'.join(_UNITS)}.")
        currencies.add(money.currency)
        parts.append(
            {"type": _UNITS[unit.strip()], "price": {"minor": money.minor, "currency": money.currency}}
        )
    if len(currencies) > 1 or len({part["type"] for part in parts}) < len(parts):
        raise OptionError(
            "The prices have several currencies, or two are for the same.", remedy="Make a plan of each."
        )
    return {"key": "list", "currency": currencies.pop() if currencies else "RUB", "parts": parts}


def _rule(preset: str, purposes: list[str]) -> dict[str, Any]:
    from policies.codec import load_preset, policy_to_data

    if preset not in ("strict", "standard", "relaxed"):
        raise OptionError("The preset is not known.", remedy="Use strict, standard or relaxed.")
    return policy_to_data(load_preset(preset, purposes=purposes))
