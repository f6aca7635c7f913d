"""`cleanroom receipt`: check a receipt offline."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cleanroom.cli.keys import verifier_key
from cleanroom.cli.main import EXIT_PROBLEM_FOUND
from cleanroom.cli.remote import OptionError, Profile
from cleanroom.client.receipts import ReceiptError, verify_receipt

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Check receipts offline, with the room's verifier key alone.",
)


@app.callback()
def receipt() -> None:
    """Check receipts offline, with the room's verifier key alone."""


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The receipt.")],
    key: Annotated[
        str | None,
        typer.Option(
            help="The room's verifier key, or a file that holds it; never from the receipt. The profile's if not given."
        ),
    ] = None,
    profile: Profile = None,
    room: Annotated[
        str | None,
        typer.Option(
            help="The room's address, to have it prove that its log only grew since what was seen before."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the proven record as JSON.")] = False,
) -> None:
    """Prove that a receipt stands in the room's signed log; exit code 1 when it does not, or the log was forked."""
    trusted = _saved(profile) if key is None else verifier_key(key)
    try:
        proven = verify_receipt(file.read_bytes(), verifier_key=trusted)
    except ReceiptError as error:
        typer.echo(f"NOT PROVEN {error}", err=True)
        raise typer.Exit(EXIT_PROBLEM_FOUND) from None
    _require_one_log(file, trusted, room)
    if as_json:
        typer.echo(json.dumps(proven.record, ensure_ascii=False, indent=2))
        return
    body = proven.record["body"]
    typer.echo(f"PROVEN {body['outcome']} {proven.record['subject']} at {proven.record['at']}")
    for line in _figures(body):
        typer.echo(line)
    typer.echo(f"record {proven.index} of {proven.size} in the log {proven.origin}")


def _require_one_log(file: Path, key: str, room: str | None) -> None:
    """Compare the receipt's checkpoint with those seen before, at the room's own word if it is named."""
    from cleanroom.cli.gossip import fork_line, keep_fork
    from cleanroom.client.gossip import see
    from cleanroom.client.remote.profiles import state_dir
    from cleanroom.client.room_log import RoomLog, http_client
    from cleanroom.client.seen import SeenCheckpoints

    directory = state_dir() / "checkpoints"
    seen = SeenCheckpoints(directory)
    outcome = seen.remember(see(file.name, file.read_bytes(), key), key)
    if room is not None and not outcome.forks:
        with http_client() as client:
            log = RoomLog(room, client)
            outcome = seen.connect(log.newest(key), key, log.prove)
    for fork in outcome.forks:
        typer.echo(fork_line(fork, keep_fork(fork, directory)), err=True)
    if outcome.forks:
        raise typer.Exit(EXIT_PROBLEM_FOUND)
    if room is not None:
        later = f"; {outcome.pending} newer than what it shows now" if outcome.pending else ""
        typer.echo(f"ONE LOG the room connects all that was seen of it{later}", err=True)


def _figures(body: dict[str, Any]) -> list[str]:
    """Write what a receipt proves, to be laid beside what was shown."""
    from cleanroom.cli.remote import figure_lines
    from cleanroom.client.remote.values import figures_of

    return figure_lines(figures_of(body)) + [str(one["message"]) for one in body.get("reasons") or ()]


def _saved(profile: str | None) -> str:
    from cleanroom.client.remote.profiles import load_profile

    found = load_profile(profile).verifier_key
    if not found:
        raise OptionError("The profile holds no verifier key.", remedy="Give --key, or log in again.")
    return found
