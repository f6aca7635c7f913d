"""Declaring that a room is a backup that was put back."""

from cleanroom.settings import Settings
from crypto.durable import sync_directory, write_private


def mark(settings: Settings) -> None:
    """Make a room answer and sell nothing until it is reconciled, whatever its keys and heads say."""
    write_private(settings.restored_path, b"1\n", replace=True)
    settings.head_path.unlink(missing_ok=True)
    if settings.head_path.parent.is_dir():
        sync_directory(settings.head_path.parent)
