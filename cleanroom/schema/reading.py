"""Typed look-ups in plain data; every error names the place, what is allowed there, and the remedy."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from cleanroom.schema.errors import SchemaError

_NAME = re.compile(r"[^\W\d]\w{0,63}\Z")
_NUMBER = re.compile(r"([+-]?)([0-9]{1,15})(?:\.([0-9]*))?\Z")
MAX_TEXT_CHARACTERS = 256
_EPOCH = date(1970, 1, 1)


class Section:
    """One mapping of the schema with the path that leads to it."""

    def __init__(self, plain: object, path: str, allowed: Iterable[str]) -> None:
        self.path = path
        if not isinstance(plain, Mapping):
            raise SchemaError(
                f"{path or 'The schema'} is not a mapping.", remedy="Write it as `key: value` lines."
            )
        self._plain: Mapping[str, Any] = plain
        self._allowed = tuple(allowed)
        unknown = [str(key) for key in plain if key not in self._allowed]
        if unknown:
            where = f"{path}: unknown key" if path else "Unknown key"
            raise SchemaError(f"{where} `{unknown[0][:64]}`.", remedy=f"Allowed: {', '.join(self._allowed)}.")

    def __contains__(self, key: str) -> bool:
        return self._plain.get(key) not in (None, "")

    def at(self, key: str) -> str:
        """Return the path of a key, for messages."""
        return f"{self.path}.{key}" if self.path else key

    def raw(self, key: str) -> Any:
        """Return what stands there."""
        return self._plain.get(key)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text; it must be there when there is no default."""
        if key not in self:
            if default is None:
                raise SchemaError(f"{self.at(key)} is missing.", remedy=f"Add `{key}:`.")
            return default
        return as_text(self._plain[key], self.at(key))

    def optional_text(self, key: str) -> str | None:
        """Return a text or None."""
        return self.text(key) if key in self else None

    def choice(self, key: str, allowed: Sequence[str], default: str | None = None) -> str:
        """Return one of the allowed texts."""
        value = self.text(key, default)
        if value not in allowed:
            raise SchemaError(
                f"{self.at(key)} is not an allowed value.", remedy=f"Use one of {', '.join(allowed)}."
            )
        return value

    def truth(self, key: str) -> bool:
        """Return a truth value, false when absent."""
        return self.choice(key, ("true", "false"), "false") == "true"

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """Return a whole number between two bounds, both included."""
        text = self.text(key, None if default is None else str(default))
        if not re.fullmatch(r"-?[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise SchemaError(
                f"{self.at(key)} is not a whole number from {low} to {high}.", remedy="Correct it."
            )
        return int(text)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts, none twice; empty when absent."""
        if key not in self:
            return ()
        values = self._plain[key]
        if not isinstance(values, list | tuple):
            raise SchemaError(f"{self.at(key)} is not a list.", remedy="Write it as [a, b].")
        found = tuple(as_text(value, self.at(key)) for value in values)
        if len(set(found)) != len(found):
            raise SchemaError(f"{self.at(key)} lists a value twice.", remedy="Keep one of them.")
        return found


def named(plain: object, path: str) -> list[tuple[str, object]]:
    """Return the entries of a mapping by name, or of a list of mappings that bear a `name`; order is kept."""
    entries: list[tuple[str, object]] = []
    if plain is None or plain == "":
        return entries
    if isinstance(plain, Mapping):
        entries = [(str(name), body) for name, body in plain.items()]
    elif isinstance(plain, list) and all(isinstance(one, Mapping) and "name" in one for one in plain):
        entries = [(str(one["name"]), {k: v for k, v in one.items() if k != "name"}) for one in plain]
    else:
        raise SchemaError(f"{path} is not a mapping of names.", remedy="Write it as `name: {...}` lines.")
    for name, _ in entries:
        if not _NAME.match(name):
            raise SchemaError(
                f"{path} has a name that is not one to 64 letters, digits and _ beginning with a letter.",
                remedy="Rename it; `column:` may still name any column.",
            )
    if len({name for name, _ in entries}) != len(entries):
        raise SchemaError(f"{path} has a name twice.", remedy="Keep one of them.")
    return entries


def as_text(value: object, path: str) -> str:
    """Return a scalar as NFC text without blanks around it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        raise SchemaError(
            f"{path} is not a text.", remedy="Write one value, numbers with a fraction in quotes."
        )
    text = unicodedata.normalize("NFC", value).strip()
    if not text or len(text) > MAX_TEXT_CHARACTERS:
        raise SchemaError(
            f"{path} has a text that is empty or over {MAX_TEXT_CHARACTERS} characters.", remedy="Correct it."
        )
    return text


def stored_number(text: str, *, scale: int, path: str) -> int:
    """Return a number in stored units of 10**-scale, exactly.

    Raises:
        SchemaError: not a number, more digits after the point than the scale, or over 15 digits.
    """
    match = _NUMBER.match(text)
    part = (match[3] or "").rstrip("0") if match else ""
    if not match or len(part) > scale or len(match[2]) + scale > 15:
        raise SchemaError(
            f"{path} is not a number of at most {15 - scale} digits with at most {scale} after the point.",
            remedy="Correct it, or set `scale:`.",
        )
    magnitude = int(match[2] + part.ljust(scale, "0"))
    return -magnitude if match[1] == "-" else magnitude


def stored_day(text: str, *, path: str) -> int:
    """Return an ISO date as days since 1970-01-01."""
    try:
        return (date.fromisoformat(text) - _EPOCH).days
    except ValueError:
        raise SchemaError(f"{path} is not a date.", remedy="Write it as 2026-01-31.") from None
