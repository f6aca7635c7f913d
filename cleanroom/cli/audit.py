"""`cleanroom audit`: what an auditor does with the log; none of it needs a private key."""

import base64
import hashlib
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from cleanroom.audit.errors import LogUnreadableError
from cleanroom.audit.export import export_events, json_line
from cleanroom.audit.files import verify_files
from cleanroom.audit.reader import AuditReader
from cleanroom.audit.reading import open_log
from cleanroom.audit.types import Problem
from cleanroom.audit.verify import verify_log
from cleanroom.cli.gossip import fork, gossip
from cleanroom.cli.keys import read_text, verifier_key
from cleanroom.cli.main import EXIT_PROBLEM_FOUND
from cleanroom.cli.server import opened
from cleanroom.client.room_log import fetch, http_client
from cleanroom.client.witnessed import vouched_now
from cleanroom.clock import SystemClock
from cleanroom.consent.published import published_epochs, published_opt_outs
from cleanroom.datasets.published import published_versions, replayed_versions
from cleanroom.db.database import Transaction
from cleanroom.evidence.types import MACHINE, wanted_from_data
from cleanroom.evidence.writing import Order, write_bundle
from cleanroom.grants.verifying import ledger_problems
from cleanroom.ids import new_id
from cleanroom.settings import Settings, load_settings
from cleanroom.storage import LocalDirectory
from crypto.checkpoint import open_note, parse_verifier_key
from crypto.cosignature import parse_witness_key

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Verify the audit log, and take evidence out of it."
)

app.command()(gossip)
app.command()(fork)

_WITNESS = re.compile(r"(.+?)@(https?://.+)")
Home = Annotated[Path | None, typer.Option(help="The room's home; CLEANROOM_HOME when not given.")]
Key = Annotated[
    str | None,
    typer.Option(help="The verifier key, or a file that holds it; the one in the home when not given."),
]


@app.command()
def verify(
    home: Home = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            help="A checkpoint kept outside the room: shows a room that was rolled back, or forked."
        ),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY@URL",
            help="A witness's verifier key, or its file, and its address: what it vouches for now is compared too.",
        ),
    ] = None,
    key: Key = None,
) -> None:
    """Recompute the whole log, check every sealed file and all budgets; exit code 1 names what is damaged."""
    settings = load_settings(os.environ, home=home)
    trusted = _verifier_key(settings, key)
    notes = [read_text(kept) for kept in against or ()] + _shown_by_witnesses(witness or (), trusted)
    report = verify_log(settings.database_url, verifier_key=trusted, against=notes)
    problems = list(report.problems)
    files = 0
    if not any(problem.what == "database" for problem in problems):
        found, files = _verify_files(settings, report.file_roots)
        problems += found
    for problem in problems:
        typer.echo(f"DAMAGED {problem}")
    if problems:
        raise typer.Exit(EXIT_PROBLEM_FOUND)
    typer.echo(f"INTACT {report.events} events, {files} sealed files, root {report.root}")


@app.command()
def checkpoint(home: Home = None) -> None:
    """Print the signed head of the log; keep it outside the room, for `verify --against`."""
    with _reading(load_settings(os.environ, home=home)) as tx:
        typer.echo(AuditReader().head(tx), nl=False)


@app.command()
def proof(
    home: Home = None,
    key: Key = None,
    index: Annotated[int | None, typer.Option(help="Prove that this event is in the log.")] = None,
    since: Annotated[int | None, typer.Option(help="Prove that the log only grew since this size.")] = None,
) -> None:
    """Print one proof against the newest checkpoint as JSON, hashes in base64."""
    if (index is None) == (since is None):
        raise typer.BadParameter("give either --index or --since")
    settings = load_settings(os.environ, home=home)
    reader = AuditReader()
    with _reading(settings) as tx:
        note = reader.head(tx)
        size = open_note(note, _verifier_key(settings, key)).size
        content: dict[str, object] = {"v": 1, "checkpoint": note}
        if index is not None:
            content |= {"index": index, "record": reader.record(tx, index).decode("utf-8")}
            hashes = reader.inclusion(tx, index, size)
        else:
            content |= {"since": since}
            hashes = reader.consistency(tx, since or 0, size)
    content["proof"] = [base64.b64encode(node).decode("ascii") for node in hashes]
    typer.echo(json_line(content))


@app.command()
def export(
    home: Home = None,
    key: Key = None,
    start: Annotated[int, typer.Option(help="The first event.")] = 0,
    end: Annotated[int | None, typer.Option(help="The event to stop before.")] = None,
    proofs: Annotated[bool, typer.Option(help="Add each event's inclusion proof.")] = True,
) -> None:
    """Write events as JSON lines, after a first line with the checkpoint that they are proven against."""
    settings = load_settings(os.environ, home=home)
    verifier_key = _verifier_key(settings, key)
    with _reading(settings) as tx:
        for line in export_events(tx, verifier_key=verifier_key, start=start, end=end, proofs=proofs):
            typer.echo(line)


@app.command()
def bundle(
    output: Annotated[Path, typer.Option(help="The file to write, such as evidence.zip.", dir_okay=False)],
    home: Home = None,
    organisation: Annotated[
        str | None, typer.Option(help="Whose events, org_...; everybody's when not given.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="About this dataset or base alone, ds_...")] = None,
    since: Annotated[str | None, typer.Option("--from", help="From this instant on, RFC 3339.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Up to this instant, RFC 3339.")] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(help="A checkpoint kept outside the room that the bundle is to be comparable with."),
    ] = None,
) -> None:
    """Write a bundle of evidence that verifies offline; that it was made stands in the log."""
    wanted = wanted_from_data(
        {"organisation_id": organisation, "dataset_id": dataset, "since": since, "until": until}
    )
    with opened(home) as room:
        if organisation is not None:
            with room.db.reading() as tx:
                room.accounts.organisation(tx, organisation)
        key = room.audit.verifier_key
        cuts = [open_note(read_text(kept), key).size for kept in against or ()]
        order = Order(new_id("eb", room.clock.now()), organisation, MACHINE, None, wanted, cuts)
        shown = sys.stderr.isatty()
        made = write_bundle(
            room.db,
            room.audit,
            room.clock,
            output.absolute(),
            order,
            progress=lambda count: typer.echo(f"\r{count} events", err=True, nl=False) if shown else None,
        )
    if shown:
        typer.echo("", err=True)
    typer.echo(f"MADE {output} with {made.events} of {made.size} events, sha256 {made.sha256}")


def _verify_files(settings: Settings, stated_roots: Mapping[str, str]) -> tuple[list[Problem], int]:
    store = LocalDirectory(settings.objects_dir)
    count = 0

    def counted(key: str) -> Path:
        nonlocal count
        count += 1
        return store.path(key)

    with _reading(settings) as tx:
        published = chain(published_versions(tx), published_epochs(tx), published_opt_outs(tx))
        problems = list(verify_files(published, path_of=counted, stated_roots=stated_roots))
        return [*problems, *replayed_versions(tx), *ledger_problems(tx)], count


def _shown_by_witnesses(witnesses: Sequence[str], key: str) -> list[str]:
    """Fetch what witnesses vouch for now."""
    place = hashlib.sha256(parse_verifier_key(key).name.encode()).hexdigest()
    notes = []
    with http_client() as client:
        for given in witnesses:
            matched = _WITNESS.fullmatch(given)
            if matched is None:
                raise typer.BadParameter(
                    "a witness is KEY@URL: its verifier key, or its file, and its address"
                )
            witness, url = parse_witness_key(verifier_key(matched[1])), matched[2]
            data = fetch(client, f"{url.rstrip('/')}/{place}/checkpoint")
            notes.append(vouched_now(url, data, key, witness, SystemClock().now()).note)
    return notes


@contextmanager
def _reading(settings: Settings) -> Iterator[Transaction]:
    with open_log(settings.database_url) as connection, Session(connection) as session:
        yield Transaction(session)


def _verifier_key(settings: Settings, given: str | None) -> str:
    if given is None and not settings.verifier_key_path.exists():
        raise LogUnreadableError(
            "This home has no room: keys/verifier.key is missing.",
            remedy="Name the home of a room, or pass --key.",
        )
    return verifier_key(given or str(settings.verifier_key_path))
