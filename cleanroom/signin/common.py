"""Passwords of at least twelve characters, or their words without digits, that are tried first; chosen by hand."""

from functools import lru_cache
from importlib.resources import files


@lru_cache(maxsize=1)
def common_passwords() -> frozenset[str]:
    """Return them, in lower case."""
    return frozenset(files("cleanroom.signin").joinpath("common.txt").read_text(encoding="utf-8").split())
