"""JSON with one spelling, for everything that is hashed or signed: RFC 8785, NFC, no floats."""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from cleanroom.errors import CleanroomError

_MAX_INTEGER = 2**53 - 1
# The standard encoder spells text and integers as RFC 8785 does, and is much faster than one in Python.
_ENCODE = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), check_circular=False, allow_nan=False
).encode


class NotCanonicalError(CleanroomError):
    """A value cannot be written canonically."""

    code = "canonical.unsupported_value"


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """Write an object as canonical JSON.

    Args:
        value: nested mappings with text keys, sequences, text, integers of at most 53 bits, booleans and None.

    Returns:
        UTF-8 bytes; equal values give equal bytes.

    Raises:
        NotCanonicalError: a float, bytes or another type stands somewhere inside, or an integer is too large.

    Source: RFC 8785; text is brought to Unicode NFC first.
    """
    try:
        return _ENCODE(_plain(value)).encode()
    except UnicodeEncodeError:
        raise NotCanonicalError("A text has half of a surrogate pair, which UTF-8 cannot say.") from None


def _plain(value: Any) -> Any:
    """Bring a value to types that are written in one way only, with the keys of objects in order."""
    if isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not -_MAX_INTEGER <= value <= _MAX_INTEGER:
            raise NotCanonicalError("An integer passes 53 bits; write it as text.")
        return value
    # The built-in types first: asking for the abstract ones takes longer than all the rest.
    if type(value) is dict or isinstance(value, Mapping):
        return _object(value)
    if type(value) is list or (isinstance(value, Sequence) and not isinstance(value, bytes | bytearray)):
        # Most of what is written is plain text: not asking a function about it halves the time.
        return [item if type(item) is str and item.isascii() else _plain(item) for item in value]
    raise NotCanonicalError(f"A value of type {type(value).__name__} has no canonical form.")


def _object(value: Mapping[Any, Any]) -> dict[str, Any]:
    try:
        ascii_keys = "".join(value).isascii()
    except TypeError:
        return _object({str(key): item for key, item in value.items()})
    if ascii_keys:
        plain, order = value, _in_order(tuple(value))
    else:
        plain = {_plain(key): item for key, item in value.items()}
        order = tuple(sorted(plain, key=lambda key: key.encode("utf-16-be")))
    return {
        key: item if (type(item := plain[key]) is str and item.isascii()) or item is None else _plain(item)
        for key in order
    }


@lru_cache(maxsize=512)
def _in_order(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Sort keys by their UTF-16 code units, which for ASCII is the order of Python; objects of a kind come in rows."""
    return tuple(sorted(keys))
