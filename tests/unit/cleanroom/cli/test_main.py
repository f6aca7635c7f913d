"""The command line imports a group only when it is called."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from cleanroom.cli import main as cli


def test_the_command_line_starts_without_the_server() -> None:
    program = "import sys, cleanroom.cli.main; print(sorted({'sqlalchemy', 'opendp'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_server_command_without_the_server_says_what_to_install() -> None:
    # A process of its own: what earlier tests imported would hide the missing package.
    # None in sys.modules is how Python itself marks a module that cannot be imported.
    program = (
        "import sys; sys.modules['sqlalchemy'] = None;"
        "from cleanroom.cli import main; main.main(['audit', 'verify'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == cli.EXIT_KNOWN_ERROR
    assert "cleanroom[server]" in done.stderr


def test_a_bug_in_a_command_is_not_called_a_missing_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli._GROUPS, "broken", "cleanroom.cli.no_such_module")
    with pytest.raises(ModuleNotFoundError):
        cli.main(["broken"])


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    shown = capsys.readouterr().out.split()
    assert set(cli._GROUPS) <= set(shown)


def test_a_path_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(cli, "app", lambda *_, **__: (tmp_path / "none" / "file").write_bytes(b""))
    with pytest.raises(SystemExit) as end:
        cli.main([])
    assert end.value.code == cli.EXIT_KNOWN_ERROR
    assert f"{tmp_path / 'none' / 'file'}: No such file or directory" in capsys.readouterr().err


def test_an_error_of_no_file_is_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("no file")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(OSError, match="no file"):
        cli.main([])


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"cleanroom {version('cleanroom')}\n"
