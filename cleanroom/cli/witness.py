"""`cleanroom witness`: vouch for a log as long as it only grows, in a process and with a key of one's own."""

import sys
import time
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread
from typing import Annotated

import typer

from cleanroom.cli.keys import read_text, verifier_key
from cleanroom.cli.main import EXIT_PROBLEM_FOUND
from cleanroom.client.room_log import http_client
from cleanroom.clock import SystemClock
from cleanroom.errors import KNOWN_ERRORS, CleanroomError
from cleanroom.witness.asking import pull
from cleanroom.witness.home import WitnessHome
from cleanroom.witness.service import Witness
from cleanroom.witness.serving import witness_application
from crypto.cosignature import cosigned_at, parse_witness_key

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Vouch for rooms' logs; on another machine than theirs, run by somebody else.",
)
Home = Annotated[Path, typer.Option(help="The witness's own home, never a room's.", file_okay=False)]


class WitnessExposedError(CleanroomError):
    """The witness would be reachable from outside without encryption."""

    code = "cli.witness_exposed"


@app.command()
def init(
    home: Home,
    name: Annotated[str, typer.Option(help="Its name in signature lines, such as witness.example.org/w1.")],
) -> None:
    """Make a witness: its key stays in its home, and the line that is printed is for everybody."""
    typer.echo(WitnessHome.make(home, name).key.text)


@app.command()
def key(home: Home) -> None:
    """Print the verifier key that others believe."""
    typer.echo(WitnessHome(home).key.text)


@app.command()
def trust(
    home: Home,
    log: Annotated[str, typer.Option(help="The log's verifier key, or a file that holds it.")],
    room: Annotated[
        str | None, typer.Option(help="The address of its room, for a witness that looks by itself.")
    ] = None,
) -> None:
    """Vouch for a log from now on."""
    known = WitnessHome(home).trust(verifier_key(log), room.rstrip("/") if room else None)
    typer.echo(f"KNOWN {known.origin}")


@app.command()
def serve(
    home: Home,
    port: Annotated[int, typer.Option(help="Where to listen.", min=1, max=65535)] = 8900,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    certificate: Annotated[
        Path | None, typer.Option(help="A certificate chain, PEM.", dir_okay=False)
    ] = None,
    certificate_key: Annotated[Path | None, typer.Option(help="Its key, PEM.", dir_okay=False)] = None,
    every: Annotated[
        int,
        typer.Option(help="Look at the rooms whose address is known every so many seconds; 0: never.", min=0),
    ] = 0,
) -> None:
    """Answer `POST /add-checkpoint` until told to end (C2SP tlog-witness)."""
    import uvicorn

    witness = Witness(WitnessHome(home), SystemClock())
    if not _is_loopback(host) and certificate is None:
        raise WitnessExposedError(
            f"At {host} others could reach the witness in the open.",
            remedy="Give --certificate and --certificate-key, or listen at 127.0.0.1 behind a proxy with TLS.",
        )
    ending = Event()
    if every:
        Thread(target=_look_always, args=(witness, every, ending), daemon=True).start()
    typer.echo(f"Vouching at {'https' if certificate else 'http'}://{host}:{port} as {witness.home.name}.")
    sys.stdout.flush()
    try:
        uvicorn.run(
            witness_application(witness),
            host=host,
            port=port,
            ssl_certfile=certificate,
            ssl_keyfile=certificate_key,
            lifespan="off",
            log_level="warning",
            server_header=False,
        )
    finally:
        ending.set()


@app.command()
def check(home: Home) -> None:
    """Look once at every room whose address is known; exit code 1 when one does not continue what was seen."""
    witness = Witness(WitnessHome(home), SystemClock())
    if not _look(witness):
        raise typer.Exit(EXIT_PROBLEM_FOUND)


@app.command()
def last(
    home: Home,
    log: Annotated[str, typer.Option(help="The log's name, or its verifier key.")],
) -> None:
    """Print the last checkpoint that was cosigned of a log, with a fresh cosignature."""
    witness = Witness(WitnessHome(home), SystemClock())
    known = witness.home.logs().get(log.partition("+")[0])
    note = witness.cosigned(known) if known is not None else None
    if note is None:
        typer.echo("Nothing was cosigned of this log.", err=True)
        raise typer.Exit(EXIT_PROBLEM_FOUND)
    typer.echo(note, nl=False)


@app.command()
def verify(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint with cosignatures.", dir_okay=False)],
    witness: Annotated[list[str], typer.Option(help="A witness's verifier key, or a file that holds it.")],
    quorum: Annotated[
        int | None, typer.Option(help="How many have to vouch; all when not given.", min=1)
    ] = None,
) -> None:
    """Tell which witnesses vouched for a checkpoint; exit code 1 when too few did."""
    note, keys = read_text(checkpoint), [parse_witness_key(verifier_key(one)) for one in witness]
    found = {one.name: at for one in keys if (at := cosigned_at(note, one)) is not None}
    for name, seconds in found.items():
        typer.echo(f"VOUCHED {name} at {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(seconds))}")
    if len(found) < (quorum or len(keys)):
        typer.echo(f"NOT ENOUGH {len(found)} of {len(keys)} witnesses")
        raise typer.Exit(EXIT_PROBLEM_FOUND)


def _look(witness: Witness) -> bool:
    healthy = True
    with http_client("Cleanroom-Witness/1") as client:
        for log in witness.home.logs().values():
            if log.url is None:
                continue
            try:
                reply = pull(witness, log, client=client)
            except KNOWN_ERRORS as error:
                typer.echo(f"UNKNOWN {log.origin}: {error}")
                healthy = False
                continue
            said = "VOUCHED" if reply.status == 200 else f"REFUSED ({reply.status} {reply.body.strip()})"
            typer.echo(f"{said} {log.origin}")
            healthy = healthy and reply.status == 200
    return healthy


def _look_always(witness: Witness, every: int, ending: Event) -> None:
    while not ending.wait(every):
        _look(witness)
        sys.stdout.flush()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
