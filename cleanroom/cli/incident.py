"""`cleanroom incident`: registers of incidents, on the server's own machine."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cleanroom.cli.server import AsJson, Home, opened, show, show_all, when
from cleanroom.incidents.report import ReportFormat, make_report, write_report
from cleanroom.incidents.rows import scope_to
from cleanroom.incidents.types import Duty, DutyState, Incident, IncidentKind, Scope, Severity
from cleanroom.papers.text import Language

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Registers of incidents: what happened, and whom to tell.",
)
Org = Annotated[str, typer.Option(help="Whose register: the organisation's id, org_...")]
Which = Annotated[str, typer.Argument(help="The incident's id, in_...")]
Text = Annotated[str, typer.Option(help="About the incident; name no people.")]
_BY = "operator"


@app.command("list")
def list_(org: Org, home: Home = None, as_json: AsJson = False) -> None:
    """List a register, the most urgent first."""
    with opened(home) as room, room.db.reading() as tx:
        found, _ = room.incidents.register.page(tx, org, sort="due", descending=False, limit=200)
    columns = ("id", "state", "severity", "kind", "next_due_at", "title")
    show_all([_as_dict(one) for one in found], as_json=as_json, columns=columns)


@app.command("open")
def open_(
    org: Org,
    kind: Annotated[IncidentKind, typer.Option(help="What happened.")],
    severity: Annotated[Severity, typer.Option(help="How bad it is.")],
    title: Annotated[str, typer.Option(help="In a few words; name no people.")],
    text: Text,
    discovered_at: Annotated[
        datetime | None, typer.Option(help="When somebody became aware, in UTC; now when not given.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Enter an incident; all terms run from its discovery."""
    with opened(home) as room:
        with room.db.transaction() as tx:
            incident_id = room.incidents.open(
                tx,
                org,
                kind=kind,
                severity=severity,
                title=title,
                text=text,
                discovered_at=_utc(discovered_at) or room.clock.now(),
                by=_BY,
            )
        with room.db.reading() as tx:
            made = room.incidents.register.incident(tx, incident_id, organisation_id=org)
    lines = [f"OPENED {made.id}", *(f"{one.duty}\tdue {when(one.due_at)}" for one in made.deadlines)]
    show(_as_dict(made), as_json=as_json, line="\n".join(lines))


@app.command()
def note(
    incident: Which,
    org: Org,
    text: Text,
    shown: Annotated[bool, typer.Option(help="Let those see it with whom the incident is shared.")] = False,
    home: Home = None,
) -> None:
    """Add what became known."""
    with opened(home) as room, room.db.transaction() as tx:
        room.incidents.note(tx, incident, organisation_id=org, text=text, by=_BY, shown=shown)
    typer.echo("NOTED")


@app.command()
def duty(
    incident: Which,
    org: Org,
    which: Annotated[Duty, typer.Option("--duty", help="Whom a law says to tell.")],
    state: Annotated[DutyState, typer.Option(help="done, or not_due.")],
    text: Text,
    at: Annotated[datetime | None, typer.Option(help="When it was told, in UTC; now when not given.")] = None,
    home: Home = None,
) -> None:
    """Enter that an authority was told, or why it need not be."""
    with opened(home) as room, room.db.transaction() as tx:
        room.incidents.end_duty(
            tx, incident, which, organisation_id=org, state=state, text=text, by=_BY, at=_utc(at)
        )
    typer.echo(f"ENTERED {which} {state}")


@app.command()
def scope(
    incident: Which,
    org: Org,
    workspace: Annotated[str | None, typer.Option(help="A workspace's id.")] = None,
    dataset: Annotated[str | None, typer.Option(help="A dataset's or a base's id.")] = None,
    versions: Annotated[
        tuple[int, int] | None, typer.Option(help="Numbers of its first and last version.")
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="From this instant on, in UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this instant, in UTC.")] = None,
    signer_key: Annotated[str | None, typer.Option(help="Versions signed with this key.")] = None,
    client: Annotated[
        str | None, typer.Option(help="What an API client's organisation has and asked.")
    ] = None,
    home: Home = None,
) -> None:
    """Enter what it is about, and show what that comes to."""
    first, last = versions or (None, None)
    wanted = Scope(workspace, dataset, first, last, _utc(since), _utc(until), signer_key, client)
    with opened(home) as room:
        with room.db.transaction() as tx:
            room.incidents.set_scope(tx, incident, organisation_id=org, scope=wanted, by=_BY)
        with room.db.reading() as tx:
            found = room.incidents.affected(tx, incident, organisation_id=org)
    typer.echo(
        f"AFFECTED {len(found.datasets)} datasets, {len(found.versions)} versions, {found.releases} answers, "
        f"{len(found.entitlements)} entitlements, {len(found.organisations)} organisations"
    )


@app.command()
def share(
    incident: Which,
    org: Org,
    with_: Annotated[
        list[str], typer.Option("--with", help="An affected organisation's id; may be repeated.")
    ],
    home: Home = None,
) -> None:
    """Show an incident of the operator to organisations that it affects."""
    with opened(home) as room, room.db.transaction() as tx:
        added = room.incidents.share(tx, incident, with_, organisation_id=org, by=_BY)
    typer.echo(f"SHARED with {len(added)} more")


@app.command()
def close(incident: Which, org: Org, text: Text, home: Home = None) -> None:
    """Enter that an incident is over."""
    with opened(home) as room, room.db.transaction() as tx:
        room.incidents.close(tx, incident, organisation_id=org, text=text, by=_BY)
    typer.echo("CLOSED")


@app.command()
def report(
    incident: Which,
    org: Org,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to; - is standard output.")],
    form: Annotated[ReportFormat, typer.Option("--format", help="Of the file.")] = ReportFormat.PDF,
    lang: Annotated[Language, typer.Option(help="Of the PDF's words.")] = Language.EN,
    home: Home = None,
) -> None:
    """Write the report on an incident."""
    with opened(home) as room, room.db.reading() as tx:
        made = make_report(
            tx,
            room.incidents,
            incident,
            organisation_id=org,
            verifier_key=room.audit.verifier_key,
            now=room.clock.now(),
        )
    content = write_report(made, form, lang)
    if str(output) == "-":
        sys.stdout.buffer.write(content)
    else:
        output.write_bytes(content)


def _utc(instant: datetime | None) -> datetime | None:
    if instant is None:
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _as_dict(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "state": incident.state.value,
        "severity": incident.severity.value,
        "kind": incident.kind.value,
        "title": incident.title,
        "own": incident.own,
        "discovered_at": when(incident.discovered_at),
        "next_due_at": when(incident.next_due_at),
        "scope": None if incident.scope is None else scope_to(incident.scope),
        "deadlines": [
            {"duty": one.duty.value, "due_at": when(one.due_at), "state": one.state.value}
            for one in incident.deadlines
        ],
    }
