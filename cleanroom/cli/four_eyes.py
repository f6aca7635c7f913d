"""`cleanroom four-eyes`: asking for what takes two people; whoever confirms it signs in to the pages."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cleanroom.cli.keys import read_text
from cleanroom.cli.server import AsJson, Home, opened, show, show_all, when
from cleanroom.foureyes.deeds import SHRED, UNSAFE_POLICY
from cleanroom.foureyes.evidence import EVERYBODY, EVIDENCE_EXPORT
from cleanroom.foureyes.queue import queue
from cleanroom.foureyes.types import Ask
from policies.codec import policy_from_yaml, policy_to_data

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Ask for what takes two people, and list it."
)
Reason = Annotated[str, typer.Option(help="Why; it stands in the log for good, so name no people.")]
By = Annotated[str, typer.Option(help="Who asks: a user's id, us_...; somebody else has to confirm.")]


@app.command("list")
def list_(
    org: Annotated[str, typer.Option(help="The organisation's id.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List what an organisation's people asked for, the newest first."""
    with opened(home) as room, room.db.reading() as tx:
        found, _ = queue(tx, room.four_eyes, org, descending=True, limit=200)
    columns = ("id", "deed", "subject_id", "state", "asked_by", "lapses_at")
    show_all([_as_dict(one.ask) for one in found], as_json=as_json, columns=columns)


@app.command()
def ask_shred(
    workspace: Annotated[str, typer.Argument(help="The workspace's id, ws_...")],
    reason: Reason,
    by: By,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a workspace's keys to be destroyed, by which nothing in it can be read any more."""
    with opened(home) as room, room.db.transaction() as tx:
        made = room.four_eyes.ask(tx, SHRED, workspace, reason=reason, by=by)
    show(_as_dict(made), as_json=as_json, line=f"ASKED {made.id}")


@app.command()
def ask_unsafe(
    dataset: Annotated[str, typer.Argument(help="The dataset's id, ds_...")],
    policy: Annotated[Path, typer.Argument(help="The policy's YAML file.", dir_okay=False)],
    reason: Reason,
    by: By,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a policy to be put in force that permits more than every preset."""
    document = policy_to_data(policy_from_yaml(read_text(policy)))
    with opened(home) as room, room.db.transaction() as tx:
        made = room.four_eyes.ask(
            tx, UNSAFE_POLICY, dataset, reason=reason, by=by, details={"document": document}
        )
    show(_as_dict(made), as_json=as_json, line=f"ASKED {made.id}")


@app.command()
def ask_evidence(
    reason: Reason,
    by: By,
    organisation: Annotated[
        str | None, typer.Option(help="Whose events, org_...; everybody's when not given.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="About this dataset or base alone, ds_...")] = None,
    since: Annotated[str | None, typer.Option(help="From this instant on, RFC 3339.")] = None,
    until: Annotated[str | None, typer.Option(help="Up to this instant, RFC 3339.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a bundle of evidence with events of others, in the name of somebody who operates the room."""
    wanted = {"organisation_id": organisation, "dataset_id": dataset, "since": since, "until": until}
    with opened(home) as room, room.db.transaction() as tx:
        made = room.four_eyes.ask(
            tx, EVIDENCE_EXPORT, organisation or EVERYBODY, reason=reason, by=by, details={"wanted": wanted}
        )
    show(_as_dict(made), as_json=as_json, line=f"ASKED {made.id}")


def _as_dict(ask: Ask) -> dict[str, Any]:
    return {
        "id": ask.id,
        "organisation_id": ask.organisation_id,
        "deed": ask.deed,
        "subject_id": ask.subject_id,
        "reason": ask.reason,
        "asked_by": ask.asked_by,
        "asked_at": when(ask.asked_at),
        "lapses_at": when(ask.lapses_at),
        "state": ask.state.value,
        "ended_by": ask.ended_by,
        "ended_at": when(ask.ended_at),
        "end_reason": ask.end_reason,
    }
