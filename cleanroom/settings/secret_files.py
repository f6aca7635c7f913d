"""Secrets of other services that the operator gives the room: from the environment, or from a closed file."""

import stat
from collections.abc import Mapping
from pathlib import Path

from cleanroom.settings.values import SettingsError

MAX_SECRET = 1000
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def secret(environ: Mapping[str, str], name: str, file: object, *, home: Path) -> str | None:
    """Return a secret; the environment wins over the file.

    Args:
        environ: the process's environment.
        name: of the variable that may hold it.
        file: the path of a file that may hold it, relative to the home or absolute; None for none.
        home: the room's.

    Returns:
        The secret without white space around it; None when neither is given.

    Raises:
        SettingsError: the file cannot be read, is empty or too long, or others can reach it.
    """
    if environ.get(name):
        return environ[name].strip()
    if file is None:
        return None
    path = home / Path(str(file)).expanduser()
    try:
        exposed = path.stat().st_mode & _OTHERS
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The file that stands in for {name} cannot be read ({type(error).__name__}).",
            remedy="Check its path and who owns it.",
        ) from None
    if exposed:
        raise SettingsError(
            f"Others than its owner can reach the file that stands in for {name}.",
            remedy="Run chmod 600 on it, and replace the secret if somebody may have read it.",
        )
    if not 0 < len(text) <= MAX_SECRET:
        raise SettingsError(
            f"The file that stands in for {name} does not hold 1 to {MAX_SECRET} characters.",
            remedy="Write the secret into it, and nothing else.",
        )
    return text
