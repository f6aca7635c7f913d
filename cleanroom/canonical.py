"""JSON with one spelling, for everything that is hashed or signed: RFC 8785, NFC, no floats."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import rfc8785

from cleanroom.errors import CleanroomError


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
        return rfc8785.dumps(_plain(value))
    except rfc8785.CanonicalizationError:
        raise NotCanonicalError("An integer passes 53 bits; write it as text.") from None


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(item) for item in value]
    raise NotCanonicalError(f"A value of type {type(value).__name__} has no canonical form.")
