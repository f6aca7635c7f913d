"""The command `cleanroom`: finds a group, and turns errors into messages and stable exit codes."""

import importlib
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cleanroom.errors import KNOWN_ERRORS, CleanroomError

EXIT_PROBLEM_FOUND = 1
EXIT_KNOWN_ERROR = 3
EXIT_REFUSED = 4
EXIT_NOT_LOGGED_IN = 5
EXIT_NOT_FOUND = 6
EXIT_TRY_LATER = 7

_EXITS = {
    "client.refused": EXIT_REFUSED,
    "client.privacy_budget_exceeded": EXIT_REFUSED,
    "client.audience_too_small": EXIT_REFUSED,
    "client.approval_pending": EXIT_REFUSED,
    "client.questions_exhausted": EXIT_REFUSED,
    "client.purpose_not_allowed": EXIT_REFUSED,
    "client.not_now": EXIT_REFUSED,
    "client.right_ended": EXIT_REFUSED,
    "access.invalid_client": EXIT_NOT_LOGGED_IN,
    "client.configuration": EXIT_NOT_LOGGED_IN,
    "client.unreachable": EXIT_TRY_LATER,
    "client.still_running": EXIT_TRY_LATER,
}
_EXITS_BY_STATUS = {
    401: EXIT_NOT_LOGGED_IN,
    403: EXIT_NOT_LOGGED_IN,
    404: EXIT_NOT_FOUND,
    410: EXIT_NOT_FOUND,
    429: EXIT_TRY_LATER,
    502: EXIT_TRY_LATER,
    503: EXIT_TRY_LATER,
    504: EXIT_TRY_LATER,
}

# Name -> module with a Typer application called `app`.
_GROUPS = {
    "alarms": "cleanroom.cli.alarms",
    "audit": "cleanroom.cli.audit",
    "backup": "cleanroom.cli.backup",
    "base": "cleanroom.cli.base",
    "client": "cleanroom.cli.client",
    "consent": "cleanroom.cli.consent",
    "demo": "cleanroom.cli.demo",
    "entitlements": "cleanroom.cli.entitlements",
    "erasure": "cleanroom.cli.erasure",
    "estimate": "cleanroom.cli.estimate",
    "four-eyes": "cleanroom.cli.four_eyes",
    "incident": "cleanroom.cli.incident",
    "keys": "cleanroom.cli.token_keys",
    "ledger": "cleanroom.cli.ledger",
    "listing": "cleanroom.cli.listing",
    "listings": "cleanroom.cli.listings",
    "login": "cleanroom.cli.login",
    "mandate": "cleanroom.cli.mandate",
    "org": "cleanroom.cli.org",
    "overlap": "cleanroom.cli.overlap",
    "policy": "cleanroom.cli.policy",
    "publish": "cleanroom.cli.publish",
    "receipt": "cleanroom.cli.receipt",
    "records": "cleanroom.cli.records",
    "request": "cleanroom.cli.request",
    "requests": "cleanroom.cli.requests",
    "restore": "cleanroom.cli.restore",
    "result": "cleanroom.cli.result",
    "retention": "cleanroom.cli.retention",
    "schema": "cleanroom.cli.schema",
    "serve": "cleanroom.cli.serve",
    "statement": "cleanroom.cli.statement",
    "statements": "cleanroom.cli.statements",
    "unseal": "cleanroom.cli.unseal",
    "user": "cleanroom.cli.user",
    "witness": "cleanroom.cli.witness",
    "worker": "cleanroom.cli.worker",
}
_SERVER_PACKAGES = {"alembic", "fpdf", "joserfc", "opendp", "psycopg", "sqlalchemy"}


class ServerMissingError(CleanroomError):
    """A command of the server was called where only the SDK is installed."""

    code = "cli.server_missing"


class _LazyGroup(TyperGroup):
    """Knows its commands by name, and imports one when it is needed."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the base's signature
        return sorted(_GROUPS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the base's signature
        if cmd_name not in _GROUPS:
            return None
        try:
            module = importlib.import_module(_GROUPS[cmd_name])
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in _SERVER_PACKAGES:
                raise ServerMissingError(
                    f"The command {cmd_name} needs the server.",
                    remedy="Install it: pip install 'cleanroom[server]'",
                ) from None
            raise
        command = typer.main.get_command(module.app)
        # A group's application does not know what it is called here, and the help lists commands by name.
        command.name = cmd_name
        return command


app = typer.Typer(cls=_LazyGroup, no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"cleanroom {version('cleanroom')}")
        raise typer.Exit


@app.callback()
def cleanroom(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """A self-hosted, privacy-first data clean room."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    The codes are stable: 0 done, 1 a check found a problem, 2 wrong usage, 3 an error with its remedy, 4 refused by
    the owner's rules, 5 not logged in or not allowed, 6 not there, 7 worth trying again later.

    Args:
        arguments: what stands after the program's name; the process's own when not given.
    """
    try:
        app(list(arguments) if arguments is not None else None, prog_name="cleanroom")
    except KNOWN_ERRORS as error:
        code = getattr(error, "code", "cleanroom.error")
        typer.echo(f"{error} [{code}]", err=True)
        sys.exit(exit_code(error))
    except OSError as error:
        if error.filename is None:
            raise
        # Of a path that was named: no such folder, no right to write there.
        typer.echo(f"{error.filename}: {error.strerror}. Check the path and its rights. [cli.file]", err=True)
        sys.exit(EXIT_KNOWN_ERROR)


def exit_code(error: Exception) -> int:
    """Return the exit code of an error: by its code, else by the status that a room answered with."""
    by_status = _EXITS_BY_STATUS.get(getattr(error, "status", 0), EXIT_KNOWN_ERROR)
    return _EXITS.get(str(getattr(error, "code", "")), by_status)
