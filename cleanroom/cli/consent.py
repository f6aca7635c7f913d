"""`cleanroom consent`: people who opt out, and one person at a time; identifiers are hashed on this machine."""

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cleanroom.cli.remote import AsJson, DryRun, OptionError, Profile, calling, echo

if TYPE_CHECKING:
    from cleanroom.client.remote.people import OptOutOptions

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Take opt-outs, look up one person, and see how an opt-out took effect.",
)


class Reason(StrEnum):
    """Why."""

    REQUEST = "request"
    OBJECTION = "objection"
    COMPLAINT = "complaint"
    AUTHORITY = "authority"
    CONTRACT = "contract"
    MISTAKE = "mistake"
    ENDED = "ended"


People = Annotated[
    Path, typer.Argument(help="A file with one identifier in each line; - for standard input.")
]
Identifier = Annotated[str, typer.Option(help="What it holds: email, phone, maid, cookie or loyalty_id.")]
Region = Annotated[str | None, typer.Option(help="The country of phone numbers without one, such as RU.")]
Hashed = Annotated[
    str | None, typer.Option(help="The profile they are hashed with already; raw ones are hashed here.")
]
Dataset = Annotated[
    str | None, typer.Option(help="One dataset alone, ds_...; all that there are and will be without it.")
]
Why = Annotated[Reason, typer.Option(help="Why; the log keeps it.")]
Reference = Annotated[str, typer.Option(help="Of the case in your own books; the log keeps it.")]
Lift = Annotated[bool, typer.Option("--lift", help="Take people off the list.")]


@app.command()
def withdraw(
    people: People,
    *,
    identifier: Identifier = "email",
    region: Region = None,
    hashed: Hashed = None,
    purpose: Annotated[str, typer.Option(help="Of the consents; * for all.")] = "*",
    dataset: Annotated[str | None, typer.Option(help="One dataset alone, ds_...")] = None,
    reason: Why = Reason.REQUEST,
    reference: Reference = "",
    profile: Profile = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Withdraw consents in every dataset there is, until consent is given anew."""
    given: OptOutOptions = {"kind": "withdrawal", "purpose": purpose, "dataset_id": dataset}
    given |= {"reason": reason.value, "reference": reference}
    _send(people, identifier, region, hashed, given, profile=profile, as_json=as_json, dry_run=dry_run)


@app.command()
def suppress(
    people: People,
    *,
    identifier: Identifier = "email",
    region: Region = None,
    hashed: Hashed = None,
    dataset: Dataset = None,
    lift: Lift = False,
    reason: Why = Reason.REQUEST,
    reference: Reference = "",
    profile: Profile = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Put people on the suppression list, whatever consent later files bring; or take them off it."""
    given: OptOutOptions = {"kind": "suppression", "action": "lift" if lift else "add", "dataset_id": dataset}
    given |= {"reason": reason.value, "reference": reference}
    _send(people, identifier, region, hashed, given, profile=profile, as_json=as_json, dry_run=dry_run)


@app.command()
def restrict(
    people: People,
    *,
    identifier: Identifier = "email",
    region: Region = None,
    hashed: Hashed = None,
    dataset: Dataset = None,
    lift: Lift = False,
    reason: Why = Reason.REQUEST,
    reference: Reference = "",
    profile: Profile = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Restrict the processing of people until it is lifted (GDPR, article 18)."""
    given: OptOutOptions = {"kind": "restriction", "action": "lift" if lift else "add", "dataset_id": dataset}
    given |= {"reason": reason.value, "reference": reference}
    _send(people, identifier, region, hashed, given, profile=profile, as_json=as_json, dry_run=dry_run)


@app.command()
def lookup(
    dataset: Annotated[str, typer.Argument(help="Where: ds_...")],
    person: Annotated[Path, typer.Argument(help="A file with the one identifier; - for standard input.")],
    identifier: Annotated[str, typer.Option(help="What it is; person_id too.")] = "email",
    region: Region = None,
    hashed: Hashed = None,
    reason: Why = Reason.REQUEST,
    reference: Reference = "",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Tell what one of your datasets holds about one person; the log keeps that you asked, and why."""
    variants = _one(person, identifier, region, hashed)
    with calling(profile, as_json=as_json) as room:
        known = []
        for one in variants:
            found = room.people.look_up(dataset, one, reason=reason.value, reference=reference)
            if found["versions"] or found["changes"] or found["entries"]:
                known.append(found)
            if found["versions"]:
                # All that is known of whoever holds it is in this answer, whichever variant found them.
                break
    lines = [line for one in known for line in _subject_lines(one)]
    echo(known, as_json=as_json, lines=lines or ["NOTHING the dataset holds nothing about this identifier"])


@app.command()
def export(
    dataset: Annotated[str, typer.Argument(help="Where: ds_...")],
    person: Annotated[Path, typer.Argument(help="A file with the one identifier; - for standard input.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write; it must not be there.")],
    identifier: Annotated[str, typer.Option(help="What it is; person_id too.")] = "email",
    region: Region = None,
    hashed: Hashed = None,
    reason: Why = Reason.REQUEST,
    reference: Reference = "",
    profile: Profile = None,
) -> None:
    """Write everything that one of your datasets holds about one person into a file for them alone."""
    variants = _one(person, identifier, region, hashed)
    with calling(profile) as room:
        for one in variants:
            document = room.people.export(dataset, one, reason=reason.value, reference=reference)
            if document["held"]:
                break
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, indent=2)
    typer.echo(f"WRITTEN {output}: {len(document['held'])} versions", err=True)


@app.command()
def propagation(
    opt_out: Annotated[str | None, typer.Argument(help="A batch: oo_...")] = None,
    dataset: Annotated[str | None, typer.Option(help="Instead of a batch: a dataset, ds_...")] = None,
    epoch: Annotated[int | None, typer.Option(help="And its consent epoch.")] = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Report how an opt-out took effect; exit code 1 when anything was released against it."""
    from cleanroom.cli.main import EXIT_PROBLEM_FOUND

    if (opt_out is None) == (dataset is None or epoch is None):
        raise OptionError(
            "Name a batch, or a dataset and an epoch.", remedy="cleanroom consent propagation --help"
        )
    with calling(profile, as_json=as_json) as room:
        if opt_out is not None:
            made = room.people.propagation(opt_out)
        else:
            made = [room.people.epoch(str(dataset), int(epoch or 0))]
    echo(made, as_json=as_json, lines=[line for one in made for line in _propagation_lines(one)])
    if any(one["released_against_it"] for one in made):
        raise typer.Exit(EXIT_PROBLEM_FOUND)


def _send(
    people: Path,
    identifier: str,
    region: str | None,
    hashed: str | None,
    options: "OptOutOptions",
    *,
    profile: str | None,
    as_json: bool,
    dry_run: bool,
) -> None:
    from cleanroom.client.naming import name_people

    named = name_people(_lines(people), identifier, default_region=region, hashed=hashed)
    count = max((len(one["digests"]) for one in named), default=0)
    if dry_run:
        profiles = ", ".join(one["profile"] for one in named)
        echo(
            {"people": count, "profiles": [one["profile"] for one in named], **options},
            as_json=as_json,
            lines=[f"WOULD SEND {count} people, hashed as {profiles}"],
        )
        return
    with calling(profile, as_json=as_json) as room:
        answers = room.people.opt_out(named, **options)
    echo(answers, as_json=as_json, lines=[line for one in answers for line in _outcome_lines(one)])


def _one(person: Path, identifier: str, region: str | None, hashed: str | None) -> list[Any]:
    from cleanroom.client.naming import name_one

    lines = [line for line in _lines(person) if line.strip()]
    if len(lines) != 1:
        raise OptionError(
            f"The file has {len(lines)} identifiers.", remedy="A lookup is about one person: give one."
        )
    return list(name_one(lines[0], identifier, default_region=region, hashed=hashed))


def _lines(path: Path) -> list[str]:
    # Not an argument: those stand in a shell's history, and others see them in the list of processes.
    text = typer.get_text_stream("stdin").read() if str(path) == "-" else path.read_text(encoding="utf-8")
    return text.splitlines()


def _outcome_lines(outcome: dict[str, Any]) -> list[str]:
    lines = [f"ACCEPTED {outcome['id']} {outcome['submitted']} identifiers at {outcome['accepted_at']}"]
    for one in outcome["datasets"]:
        epoch = "-" if one["epoch"] is None else one["epoch"]
        lacking = f"\tnot applied: {', '.join(one['not_applied'])}" if one["not_applied"] else ""
        lines.append(
            f"{one['dataset_id']}\tepoch {epoch}\tapplied: {', '.join(one['applied']) or '-'}{lacking}"
        )
    return lines


def _subject_lines(subject: dict[str, Any]) -> list[str]:
    lines = [f"{subject['key']}\tcommitment {subject['commitment']}\tsalt {subject['salt']}"]
    for version in subject["versions"]:
        lines.append(
            f"version {version['number']}\t{version['version_id']}\t{version['status']}\t{version['people']} people"
        )
        for person in version["persons"]:
            for one in person["consents"]:
                counted = {True: "counted", False: "not counted", None: "-"}[one["counted"]]
                lines.append(f"\t{one['purpose']}\t{one['state']}\t{counted}")
    for change in subject["changes"]:
        lines.append(f"epoch {change['epoch']}\t{change['state']}\t{change['purpose']}\t{change['at']}")
    for entry in subject["entries"]:
        ended = f"until {entry['lifted_at']}" if entry["lifted_at"] else "in force"
        applies = "" if entry["applies"] else "\tnot applied here"
        lines.append(
            f"{entry['kind']}\t{entry['opt_out_id']}\tsince {entry['accepted_at']}\t{ended}{applies}"
        )
    lines.append(f"{subject['releases_in_all']} answers used these versions")
    return lines


def _propagation_lines(made: dict[str, Any]) -> list[str]:
    first = made["first_under_it"]
    return [
        f"{made['dataset_id']}\tepoch {made['epoch']}\t{made['kind']}\taccepted {made['accepted_at']}",
        "\tfirst answer under it: "
        + (f"{first['analysis_id']} at {first['released_at']}" if first else "none yet"),
        f"\treleased since: {made['released_since']}, against it: {len(made['released_against_it'])}",
        f"\tstored answers now as of their date only: {made['stale_answers']}",
        f"\tversions since: {len(made['versions'])}, listeners told: "
        f"{sum(one['told_at'] is not None for one in made['told'])} of {len(made['told'])}",
    ]
