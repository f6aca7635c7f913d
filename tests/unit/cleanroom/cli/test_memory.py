"""Processes that hold keys leave no memory on the disk when they crash."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from cleanroom.cli.main import main

PROGRAM = """\
import resource, subprocess, sys
from cleanroom.cli.memory import forbid_core_dumps
forbid_core_dumps()
print(resource.getrlimit(resource.RLIMIT_CORE), flush=True)
child = "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))"
subprocess.run([sys.executable, "-c", child], check=True)
"""


def test_neither_a_process_nor_what_it_starts_may_dump_core() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["(0, 0)", "(0, 0)"]


@pytest.mark.parametrize(
    "command",
    [
        ("serve", "--host", "0.0.0.0"),
        ("worker",),
        ("unseal",),
        ("keys", "split", "--shares", "3", "--threshold", "2"),
    ],
    ids=lambda command: command[0],
)
def test_what_holds_keys_forbids_dumps_before_it_opens_anything(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[object] = []
    monkeypatch.setattr(resource, "setrlimit", lambda *limit: said.append(limit))
    # No room is here: each ends at its first look.
    (tmp_path / "keys").mkdir()
    with pytest.raises(SystemExit):
        main([*command, "--home", str(tmp_path)])
    assert said == [(resource.RLIMIT_CORE, (0, 0))]
