"""The command `cleanroom`: finds a group, and turns errors into messages and stable exit codes."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from cleanroom.errors import KNOWN_ERRORS, CleanroomError

EXIT_PROBLEM_FOUND = 1
EXIT_KNOWN_ERROR = 3

# Name -> module with a Typer application called `app`.
_GROUPS = {
    "audit": "cleanroom.cli.audit",
    "client": "cleanroom.cli.client",
    "demo": "cleanroom.cli.demo",
    "keys": "cleanroom.cli.token_keys",
    "ledger": "cleanroom.cli.ledger",
    "mandate": "cleanroom.cli.mandate",
    "org": "cleanroom.cli.org",
    "policy": "cleanroom.cli.policy",
    "receipt": "cleanroom.cli.receipt",
    "serve": "cleanroom.cli.serve",
    "statement": "cleanroom.cli.statement",
    "user": "cleanroom.cli.user",
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


app = typer.Typer(cls=_LazyGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def cleanroom() -> None:
    """A self-hosted, privacy-first data clean room."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    The codes are stable: 0 done, 1 a check found a problem, 2 wrong usage, 3 an error with its remedy.

    Args:
        arguments: what stands after the program's name; the process's own when not given.
    """
    try:
        app(list(arguments) if arguments is not None else None, prog_name="cleanroom")
    except KNOWN_ERRORS as error:
        code = getattr(error, "code", "cleanroom.error")
        typer.echo(f"{error} [{code}]", err=True)
        sys.exit(EXIT_KNOWN_ERROR)
