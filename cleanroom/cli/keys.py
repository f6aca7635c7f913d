"""Verifier keys on the command line: given as text, or as a file that holds one."""

from pathlib import Path

from cleanroom.errors import CleanroomError


class UnreadableFileError(CleanroomError):
    """A file that the command line names cannot be read."""

    code = "cli.unreadable_file"


def verifier_key(given: str) -> str:
    """Return the verifier key that is given as it is, or the text of the file that is given."""
    if "+" in given and not Path(given).exists():
        return given
    return read_text(Path(given)).strip()


def read_text(path: Path) -> str:
    """Read a small text file; raises UnreadableFileError, which names the file."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UnreadableFileError(f"The file {path.name} is not UTF-8.", remedy="Save it as UTF-8.") from None
    except OSError as error:
        raise UnreadableFileError(
            f"The file {path.name} cannot be read ({type(error).__name__}).", remedy="Check the path."
        ) from None
