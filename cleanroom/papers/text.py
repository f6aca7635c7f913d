"""Texts in files: their language, and what other people have written."""

from enum import StrEnum


class Language(StrEnum):
    """Of a file's words, amounts and dates."""

    RU = "ru"
    EN = "en"


def clean(text: str) -> str:
    """Return a text of somebody else's on one line, without characters that files cannot hold or that show nothing."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())
