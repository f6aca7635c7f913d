"""`cleanroom audit gossip`: whether checkpoints from several sources are of one log; no server is needed for it."""

import hashlib
from pathlib import Path
from typing import Annotated

import httpx
import typer

from cleanroom.cli.keys import UnreadableFileError, verifier_key
from cleanroom.cli.main import EXIT_PROBLEM_FOUND
from cleanroom.client.gossip import Compared, Fork, Seen, compare, read_fork, see
from cleanroom.client.room_log import RoomLog, fetch, http_client
from crypto.durable import write_private

Key = Annotated[str, typer.Option(help="The room's verifier key, or a file that holds it.")]


def gossip(
    sources: Annotated[
        list[str],
        typer.Argument(help="Checkpoints: files, receipts, or addresses such as a witness's .../checkpoint."),
    ],
    room: Annotated[str, typer.Option(help="The room's address: it has to connect them all.")],
    key: Key,
    evidence: Annotated[
        Path, typer.Option(help="The directory for evidence of a fork.", file_okay=False)
    ] = Path(),
) -> None:
    """Tell whether checkpoints from several sources are of one log; exit code 1 when it was forked or rolled back."""
    trusted = verifier_key(key)
    with http_client() as client:
        seen = [_see(source, trusted, client) for source in sources]
        log = RoomLog(room, client)
        found = compare(seen, log.newest(trusted), log.prove)
    for fork in found.forks:
        typer.echo(fork_line(fork, keep_fork(fork, evidence)))
    for one in found.ahead:
        size = one.checkpoint.size
        typer.echo(
            f"AHEAD {one.source}: {size} events, more than the room shows; rolled back unless it publishes later"
        )
    if found.forks or found.ahead:
        raise typer.Exit(EXIT_PROBLEM_FOUND)
    typer.echo(_one_log(found))


def fork(
    file: Annotated[Path, typer.Argument(help="Evidence of a fork.", dir_okay=False)],
    key: Key,
) -> None:
    """Check evidence of a fork: exit code 0 when both checkpoints are signed by the room and exclude each other."""
    found = read_fork(_bytes(file), verifier_key(key))
    first, second = found.first.checkpoint, found.second.checkpoint
    if not found.proves:
        typer.echo(f"SIGNED both, of {first.size} and {second.size} events; only the room can connect them")
        raise typer.Exit(EXIT_PROBLEM_FOUND)
    typer.echo(f"FORKED {first.origin} at {first.size} events: {first.root.hex()} and {second.root.hex()}")


def fork_line(fork: Fork, path: Path) -> str:
    """Say on one line what was found, and where the evidence is."""
    first, second = fork.first, fork.second
    what = "FORKED" if fork.proves else "NOT CONNECTED"
    sizes = f"{first.checkpoint.size} and {second.checkpoint.size} events"
    return f"{what} {first.source} and {second.source}, of {sizes}; kept as {path}"


def keep_fork(fork: Fork, directory: Path) -> Path:
    """Keep the evidence under a name of its own."""
    data = fork.evidence()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"fork-{hashlib.sha256(data).hexdigest()[:32]}.json"
    write_private(path, data, replace=True)
    return path


def _one_log(found: Compared) -> str:
    return f"ONE LOG {found.connected} checkpoints are connected"


def _see(source: str, key: str, client: httpx.Client) -> Seen:
    if source.startswith(("https://", "http://")):
        return see(source, fetch(client, source), key)
    return see(source, _bytes(Path(source)), key)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableFileError(
            f"The file {path.name} cannot be read ({type(error).__name__}).", remedy="Check the path."
        ) from None
