"""`cleanroom serve`: answers HTTP from a room, which it makes in an empty home."""

import importlib
import os
import socket
import sys
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from cleanroom.bootstrap import Room, init_room, open_room
from cleanroom.cli.child import Child
from cleanroom.cli.links import first_run_link
from cleanroom.errors import CleanroomError
from cleanroom.settings import DEFAULT_PUBLIC_URL, Settings, load_settings

app = typer.Typer(add_completion=False)

_BEGUN = "making-room"
_MAY_STAND = frozenset({_BEGUN, "cleanroom.toml", "lost+found"})
_BACKLOG = 1024


class ExposedError(CleanroomError):
    """The room would be reachable from outside without encryption."""

    code = "cli.exposed"


class PortTakenError(CleanroomError):
    """Nobody can listen at the address."""

    code = "cli.port_taken"


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
) -> None:
    """Answer HTTP until told to end; requests under way are finished."""
    settings = load_settings(os.environ, home=home)
    _require_safe(settings, host)
    with ExitStack() as stack:
        listening = stack.enter_context(_listen(host, port))
        address = _address(host, listening.getsockname()[1])
        if settings.public_url == DEFAULT_PUBLIC_URL:
            settings = replace(settings, public_url=address)
        room = _make_or_open(settings, may_make=home is not None)
        stack.callback(room.close)
        if (home is not None) if with_worker is None else with_worker:
            _with_worker(stack, settings)
        # By name: the domain knows no web framework.
        serving = importlib.import_module("advertiser_api.serving")
        portal = importlib.import_module("provider_portal.app")
        _invite_first(room)
        typer.echo(f"Answering at {address} as {settings.public_url}.")
        sys.stdout.flush()
        serving.serve(room, listening, metrics_port=metrics_port, pages=portal.create_portal)


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


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise PortTakenError(
            f"Port {port} of {host} cannot be used ({error.strerror}).", remedy="Choose another with --port."
        ) from None


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
    stack.enter_context(Child([sys.executable, "-c", run, "worker", "--home", str(settings.home)]))
