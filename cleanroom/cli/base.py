"""`cleanroom base`: an advertiser's own bases."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cleanroom.cli.remote import AsJson, DryRun, OptionError, Profile, calling, columns, echo, read_plain

if TYPE_CHECKING:
    from cleanroom.client.remote.options import UploadOptions
    from cleanroom.client.remote.tables import Mode, Table

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Upload bases, and list them.")
Source = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or Parquet.")]


@app.callback()
def base() -> None:
    """Upload bases, and list them."""


@app.command()
def upload(
    file: Source,
    on: Annotated[
        list[str] | None, typer.Option(help="A match key: `phone`, or `phone=Mobile`; repeat it.")
    ] = None,
    schema: Annotated[Path | None, typer.Option(exists=True, help="Instead, a schema file.")] = None,
    region: Annotated[
        str | None, typer.Option(help="Of phones written without a country, such as RU.")
    ] = None,
    basis: Annotated[str, typer.Option(help="Why you may process these people's data.")] = "consent",
    name: Annotated[str | None, typer.Option(help="For people.")] = None,
    junk_over_shared: Annotated[
        bool, typer.Option(help="Ignore key values that too many rows share.")
    ] = False,
    profile: Profile = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Hash and encrypt a file here, and load it as a base; run again, a broken upload goes on."""
    options = base_options(on, schema, region, basis)
    if name is not None:
        options["name"] = name
    if junk_over_shared:
        options["over_shared"] = "junk"
    if dry_run:
        checked = check_here(file, options)
        left_out = checked["rows_read"] - checked["rows"]
        lines = check_lines(checked) + _advice(options, left_out, checked["rows_read"])
        echo(checked, as_json=as_json, lines=lines)
        return
    with calling(profile, as_json=as_json) as room:
        made = room.bases.create(file, **options)
    _show(made, options, as_json=as_json)


@app.command()
def update(
    base_id: Annotated[str, typer.Argument(metavar="BASE", help="Its id.", show_default=False)],
    file: Source,
    delta: Annotated[
        bool,
        typer.Option(help="Only add, replace and delete persons, by person_id and the column _op."),
    ] = False,
    junk_over_shared: Annotated[
        bool, typer.Option(help="Ignore key values that too many rows share.")
    ] = False,
    profile: Profile = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Load a base that is there anew, under its schema; run again, a broken upload goes on."""
    mode: Mode = "delta" if delta else "full"
    options: UploadOptions = {"mode": mode}
    if junk_over_shared:
        options["over_shared"] = "junk"
    with calling(profile, as_json=as_json) as room:
        if dry_run:
            now = room.bases.get(base_id)
            changed = now["current_version_id"] if delta else None
            checked = rehearse(file, now["schema"], mode=mode, changed=changed)
            echo(checked, as_json=as_json, lines=check_lines(checked))
            return
        made = room.bases.upload(base_id, file, **options)
    _show(made, {}, as_json=as_json)


def _show(made: "Table", options: dict[str, Any], *, as_json: bool) -> None:
    rejected = sum((made.rejected or {}).values())
    lines = [f"BASE {made.id}", f"version\t{made.version_id}"]
    lines += (
        ["this content was uploaded before"]
        if made.reused
        else [
            f"rows\t{made.rows}",
            f"left out\t{rejected}",
            *_advice(options, rejected, rejected + (made.rows or 0)),
        ]
    )
    echo(asdict(made), as_json=as_json, lines=lines)


@app.command("list")
def list_(profile: Profile = None, as_json: AsJson = False) -> None:
    """List the bases that are in the room."""
    with calling(profile) as room:
        found = room.bases.list()
    echo(found, as_json=as_json, lines=columns(found, ("id", "name", "current_version_id")))


def base_options(on: list[str] | None, schema: Path | None, region: str | None, basis: str) -> dict[str, Any]:
    """Read the options that say how a base is made; raises OptionError."""
    if bool(on) == (schema is not None):
        raise OptionError("A base needs --on or --schema.", remedy="Name its keys, such as --on phone.")
    if schema is not None:
        return {"schema": read_plain(schema, "schema", begins="match_keys")}
    keys: dict[str, list[str]] = {}
    for one in on or ():
        identifier, _, column = one.partition("=")
        keys.setdefault(identifier, []).append(column or identifier)
    made = {"on": {key: found[0] if len(found) == 1 else found for key, found in keys.items()}}
    return made | {"lawful_basis": basis} | ({"default_region": region} if region else {})


def _advice(options: dict[str, Any], left_out: int, rows: int) -> list[str]:
    """Tell what most often makes many rows useless."""
    bare = "phone" in options.get("on", {}) and "default_region" not in options
    if not bare or left_out * 10 < rows:
        return []
    return ["Phones that are written without a country need one, such as --region RU."]


def check_here(file: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Prepare a file for nobody, and tell what would be left out; nothing leaves the machine or stays on it."""
    from cleanroom.client.remote.tables import schema_for

    schema = options.get("schema") or schema_for(
        options["on"],
        default_region=options.get("default_region"),
        lawful_basis=options.get("lawful_basis", "consent"),
    )
    return rehearse(file, schema)


def rehearse(file: Path, schema: Any, *, mode: "Mode" = "full", changed: str | None = None) -> dict[str, Any]:
    """Prepare a file for a throw-away key in a throw-away folder; returns the counts."""
    import tempfile

    from cleanroom.client import Recipient, Signer, prepare
    from cleanroom.schema.codec import schema_from_dict
    from crypto.keys import generate_signing_key
    from crypto.package import generate_identity

    with tempfile.TemporaryDirectory(prefix="cleanroom-") as folder:
        done = prepare(
            file,
            schema=schema_from_dict(schema),
            recipient=Recipient("ws_0", "ds_0", generate_identity()[1]),
            signer=Signer("ek_0", generate_signing_key()),
            out_dir=Path(folder),
            mode=mode,
            expected_version_id=changed,
        )
    return {
        "rows_read": done.rows_read,
        "rows": done.rows,
        "rejected": done.rejected,
        "invalid": done.invalid,
        "junk": done.junk,
    }


def check_lines(checked: dict[str, Any]) -> list[str]:
    """Write what `rehearse` found for people."""
    lines = [f"rows\t{checked['rows']} of {checked['rows_read']}"]
    lines += [f"left out\t{reason}\t{count}" for reason, count in sorted(checked["rejected"].items())]
    lines += [f"invalid\t{key}\t{count}" for key, count in sorted(checked["invalid"].items())]
    return lines + [f"junk\t{key}\t{count}" for key, count in sorted(checked["junk"].items())]
