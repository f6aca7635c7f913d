"""`cleanroom alarms`: what the room has seen in its log, and saying what was found."""

from typing import Annotated

import typer

from cleanroom.alarms.types import AlarmKind
from cleanroom.cli.remote import AsJson, DryRun, OptionError, Profile, calling, columns, echo

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Look at alarms, and say what was found.")
Which = Annotated[str, typer.Argument(help="al_...")]


@app.callback()
def alarms() -> None:
    """Look at alarms, and say what was found."""


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Those too that somebody has acknowledged.")] = False,
    kind: Annotated[list[AlarmKind] | None, typer.Option(help="Of this kind alone; may be repeated.")] = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """List alarms that nobody has acknowledged, the newest first."""
    with calling(profile) as room:
        found = room.alarms.list(state=None if every else "open", kinds=kind or ())
    names = ("id", "kind", "state", "raised_at", "occurrences", "party_id", "dataset_id", "note")
    echo(found, as_json=as_json, lines=columns(found, names) or ["There is none."])


@app.command()
def acknowledge(
    alarm: Which,
    note: Annotated[str, typer.Option(help="What was found, in 1 to 500 characters; name no people.")],
    profile: Profile = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Say what was found; the same pattern raises a new alarm then."""
    with calling(profile) as room:
        if dry_run:
            found = room.alarms.get(alarm)
            if found["state"] != "open":
                raise OptionError("The alarm was acknowledged before.", remedy="Look at its note.")
            echo(found, as_json=as_json, lines=[f"WOULD ACKNOWLEDGE {found['id']}"])
            return
        done = room.alarms.acknowledge(alarm, note=note)
    echo(done, as_json=as_json, lines=[f"ACKNOWLEDGED {done['id']}"])
