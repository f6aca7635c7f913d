"""`cleanroom serve`: answers HTTP from a room, which it makes in an empty home."""

import os
import socket
import sys
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from cleanroom.bootstrap import init_room, open_room
from cleanroom.cli.child import Child
from cleanroom.cli.links import first_run_link
from cleanroom.cli.listening import listen
from cleanroom.cli.memory import forbid_core_dumps
from cleanroom.cli.processes import load_surfaces, processes_beside, shared_counts, usual_processes
from cleanroom.cli.sealed import answer_sealed
from cleanroom.errors import CleanroomError
from cleanroom.room import Room
from cleanroom.settings import DEFAULT_PUBLIC_URL, Settings, load_settings
from cleanroom.unsealing import ask_standing, gathering
from crypto.key_file import read_seal

app = typer.Typer(add_completion=False)

_BEGUN = "making-room"
_MAY_STAND = frozenset({_BEGUN, "cleanroom.toml", "lost+found"})


class ExposedError(CleanroomError):
    """The room would be reachable from outside without encryption."""

    code = "cli.exposed"


@app.command()
def serve(
    home: Annotated[
        Path | None, typer.Option(help="The room's home, made if it is empty; else CLEANROOM_HOME, as it is.")
    ] = None,
    port: Annotated[int, typer.Option(help="Where to listen; 0 for any free port.", min=0, max=65535)] = 8000,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    with_worker: Annotated[
        bool | None, typer.Option(help="Run a worker beside it; by default when --home is given.")
    ] = None,
    metrics_port: Annotated[
        int,
        typer.Option(
            help="Show Prometheus metrics at this port of 127.0.0.1; 0 for not at all.",
            envvar="CLEANROOM_METRICS_PORT",
            min=0,
            max=65535,
        ),
    ] = 0,
    processes: Annotated[
        int,
        typer.Option(
            help="How many processes answer; 0 for one on each processor, up to four.",
            envvar="CLEANROOM_PROCESSES",
            min=0,
            max=64,
        ),
    ] = 0,
) -> None:
    """Answer HTTP until told to end; requests under way are finished."""
    forbid_core_dumps()
    settings = load_settings(os.environ, home=home)
    _require_safe(settings, host)
    processes = processes or usual_processes()
    with ExitStack() as stack:
        counts = stack.enter_context(shared_counts(processes))
        listening = stack.enter_context(listen(host, port))
        address = _address(host, listening.getsockname()[1])
        if settings.public_url == DEFAULT_PUBLIC_URL:
            settings = replace(settings, public_url=address)
        made = (settings.keys_dir / "keyring.json").exists()
        if made:
            stack.enter_context(gathering(settings.keys_dir))
            _await_shares(settings, listening)
        room = _make_or_open(settings, may_make=home is not None)
        if not made:
            stack.enter_context(gathering(settings.keys_dir))
        stack.callback(room.close)
        if (home is not None) if with_worker is None else with_worker:
            _with_worker(stack, settings)
        surfaces = load_surfaces()
        _invite_first(room)
        stack.enter_context(processes_beside(processes - 1, settings, listening, counts))
        typer.echo(f"Answering at {address} as {settings.public_url}.")
        sys.stdout.flush()
        surfaces.answer(room, listening, counts, metrics_port=metrics_port)


def _await_shares(settings: Settings, listening: socket.socket) -> None:
    """Answer that the room is sealed until people have given their shares."""
    if read_seal(settings.keys_dir / "keyring.json") is not None and ask_standing(settings.keys_dir).sealed:
        typer.echo("SEALED: people give their shares with: cleanroom unseal")
        sys.stdout.flush()
        answer_sealed(listening, until=lambda: not ask_standing(settings.keys_dir).sealed)


def _invite_first(room: Room) -> None:
    """Say how to begin while nobody can sign in; a link printed before does not count any more."""
    with room.db.reading() as tx:
        needed = room.signin.needs_first_run(tx)
    if needed:
        with room.db.transaction() as tx:
            link = room.signin.first_run_link(tx)
        if link is not None:
            typer.echo(
                f"Nobody can sign in yet. Begin here, once, within a day: {first_run_link(room, link.token)}"
            )


def _require_safe(settings: Settings, host: str) -> None:
    if _is_loopback(host) or settings.public_url.startswith("https://"):
        return
    raise ExposedError(
        f"At {host} others could reach the room, and tokens would cross the network in the open.",
        remedy="Put a proxy with TLS before it and set CLEANROOM_PUBLIC_URL to its https address.",
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _make_or_open(settings: Settings, *, may_make: bool) -> Room:
    home = settings.home
    begun = home / _BEGUN
    # Only an empty home that was named: one whose disk is not mounted must not get new keys.
    if not may_make or not (begun.exists() or _is_empty(home)):
        return open_room(settings)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    begun.touch()
    room = init_room(settings)
    begun.unlink()
    typer.echo(f"Made a new room in {home}.")
    typer.echo(f"Its keys are in {settings.keys_dir}: back them up apart from the rest.")
    typer.echo(f"Its log is verified with: {room.audit.verifier_key}")
    typer.echo(
        f"For programs: cleanroom org add NAME --kind provider --home {home}, then cleanroom client add."
    )
    return room


def _is_empty(home: Path) -> bool:
    return not home.exists() or {entry.name for entry in home.iterdir()} <= _MAY_STAND


def _with_worker(stack: ExitStack, settings: Settings) -> None:
    run = "from cleanroom.cli.main import main; main()"
    command = [sys.executable, "-c", run, "worker", "--home", str(settings.home)]
    # Letters lead to where this server answers, whatever port it got.
    stack.enter_context(Child(command, environ={"CLEANROOM_PUBLIC_URL": settings.public_url}))
