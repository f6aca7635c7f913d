"""Which options the commands have that call a room, as the reference says."""

from collections.abc import Iterator
from typing import Any

import typer

from cleanroom.cli.main import app

# They only look, or keep nothing but on this machine.
LOOKS = {
    "alarms list",
    "base list",
    "consent export",
    "consent lookup",
    "consent propagation",
    "entitlements list",
    "erasure certificate",
    "erasure list",
    "estimate",
    "listing list",
    "listings",
    "receipt verify",
    "records act",
    "records acts",
    "records processing",
    "requests list",
    "result",
    "retention show",
    "statements",
}
# What they have to say is the file they write.
WRITES_A_FILE = {"consent export", "erasure certificate", "records act", "records processing"}


def commands(group: Any, called: str = "") -> Iterator[tuple[str, set[str]]]:
    """Yield every command with the names of its options."""
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        path = f"{called} {name}".strip()
        if hasattr(command, "list_commands"):
            yield from commands(command, path)
        else:
            yield path, {option for one in command.params for option in one.opts}


CALLING = {path: options for path, options in commands(typer.main.get_command(app)) if "--profile" in options}


def test_commands_that_call_a_room_print_json_unless_they_write_a_file() -> None:
    assert {path for path, options in CALLING.items() if "--json" not in options} == WRITES_A_FILE


def test_commands_that_change_something_can_be_rehearsed() -> None:
    assert {path for path, options in CALLING.items() if "--dry-run" not in options} == LOOKS
