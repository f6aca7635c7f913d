"""`cleanroom erasure`: have somebody erased, see what has become of it, and check its certificate offline."""

import json
import secrets
from pathlib import Path
from typing import Annotated, Literal

import typer

from cleanroom.cli.keys import verifier_key
from cleanroom.cli.main import EXIT_PROBLEM_FOUND
from cleanroom.cli.remote import AsJson, DryRun, OptionError, Profile, calling, columns, echo
from cleanroom.client.certificates import verify_certificate
from cleanroom.client.receipts import ReceiptError
from cleanroom.client.remote.rights import SALT_BYTES, hashed_as_declared

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Erase people from a dataset or a base.")
Table = Annotated[str, typer.Argument(help="ds_... of a dataset or a base.")]
Base = Annotated[bool, typer.Option("--base", help="It is a base.")]
Reason = Literal["consent_withdrawn", "objection", "no_longer_needed", "unlawful", "legal_obligation"]


@app.callback()
def erasure() -> None:
    """Erase people from a dataset or a base."""


@app.command()
def ask(
    table: Table,
    identifier: Annotated[
        list[str],
        typer.Option(help="KEY/PROFILE=VALUE, such as email/room=anna@example.org; hashed on this machine."),
    ],
    reason: Annotated[Reason, typer.Option(help="Why.")],
    keep: Annotated[
        Path, typer.Option(help="A new file for the salt, which shows later whose request it was.")
    ],
    reference: Annotated[str, typer.Option(help="Your number of the case; never a name.")] = "",
    base: Base = False,
    profile: Profile = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Have one person erased: excluded at once, gone from all files after the next pass over them."""
    named = [_pair(one) for one in identifier]
    if dry_run:
        _kept_salt(keep)
        with calling(profile) as room:
            schema = (room.bases if base else room.datasets).get(table)["schema"]
        keys = [key for key, text in named if hashed_as_declared(schema, key, text)]
        echo({"keys": keys}, as_json=as_json, lines=[f"WOULD SEND a hash of {key}" for key in keys])
        return
    # Kept before anything is sent: a request whose answer was lost is sent again with the same salt, and taken once.
    salt = _salt(keep)
    with calling(profile) as room:
        made = room.rights.erase(
            table,
            named,
            reason=reason,
            reference=reference,
            salt=salt,
            tables="bases" if base else "datasets",
        )
    kept = {name: made[name] for name in ("id", "dataset_id", "commitment", "salt", "identifiers")}
    keep.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    shown = {name: value for name, value in made.items() if name not in ("salt", "identifiers")}
    lines = [f"EXCLUDED {made['id']}", f"erased from\t{made['erase_by']}"]
    lines += [f"not applied\t{key}" for key in made["not_applied"]]
    echo(shown, as_json=as_json, lines=lines)


@app.command("list")
def list_(table: Table, base: Base = False, profile: Profile = None, as_json: AsJson = False) -> None:
    """List the requests over a table, and what has become of them."""
    with calling(profile) as room:
        found = room.rights.erasures(table, tables="bases" if base else "datasets")
    names = ("id", "state", "asked_at", "erase_by", "erased_at", "reference")
    echo(found, as_json=as_json, lines=columns(found, names) or ["There is none."])


@app.command()
def certificate(
    table: Table,
    erasure_id: Annotated[str, typer.Argument(help="er_...")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    base: Base = False,
    profile: Profile = None,
) -> None:
    """Write the certificate of a request that is done."""
    with calling(profile) as room:
        content = room.rights.certificate(table, erasure_id, tables="bases" if base else "datasets")
    output.write_bytes(content)
    typer.echo(f"WRITTEN {output}", err=True)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The certificate.")],
    key: Annotated[str, typer.Option(help="The room's verifier key, or a file that holds it.")],
    kept: Annotated[
        Path | None,
        typer.Option("--keep", exists=True, dir_okay=False, help="What `ask` kept: is it about this person?"),
    ] = None,
) -> None:
    """Prove offline that an erasure stands in the room's signed log; exit code 1 when it does not."""
    try:
        found = verify_certificate(file.read_bytes(), verifier_key=verifier_key(key))
    except ReceiptError as error:
        typer.echo(f"NOT PROVEN {error}", err=True)
        raise typer.Exit(EXIT_PROBLEM_FOUND) from None
    if kept is not None:
        told = json.loads(kept.read_text(encoding="utf-8"))
        named = [(one["key"], bytes.fromhex(one["sha256"])) for one in told["identifiers"]]
        if not found.is_about(named, salt=bytes.fromhex(told["salt"])):
            typer.echo("NOT PROVEN The certificate is about another request.", err=True)
            raise typer.Exit(EXIT_PROBLEM_FOUND)
    record = found.proven.record
    typer.echo(f"PROVEN erased {record['subject']} at {record['at']}")
    typer.echo(f"asked at {record['body']['asked_at']}, dataset {found.dataset_id}")
    typer.echo(f"record {found.proven.index} of {found.proven.size} in the log {found.proven.origin}")


def _salt(keep: Path) -> bytes:
    """Return the salt of a request that was begun before, or a new one, which is written down first."""
    kept = _kept_salt(keep)
    if kept is not None:
        return kept
    salt = secrets.token_bytes(SALT_BYTES)
    keep.touch(mode=0o600, exist_ok=False)
    keep.write_text(json.dumps({"salt": salt.hex()}) + "\n", encoding="utf-8")
    return salt


def _kept_salt(keep: Path) -> bytes | None:
    if not keep.exists():
        return None
    told = json.loads(keep.read_text(encoding="utf-8"))
    if "id" in told:
        raise OptionError("The file belongs to a request that was taken.", remedy="Name a new file.")
    return bytes.fromhex(told["salt"])


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or "/" not in key:
        raise OptionError(
            "An identifier is KEY/PROFILE=VALUE.", remedy="Such as email/room=anna@example.org."
        )
    return key, value
