"""What requests and answers have in common."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Path
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, model_validator

from cleanroom.clock import rfc3339

Id = Annotated[
    str, Field(pattern=r"^[a-z]{2,4}_[0-9a-f]{32}$", examples=["ds_0193f0c2a1b27d3e8f4a5b6c7d8e9f01"])
]
IdInPath = Annotated[str, Path(pattern=r"^[a-z]{2,4}_[0-9a-f]{32}$")]
Instant = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str),
    Field(description="RFC 3339, UTC", examples=["2026-11-30T12:00:00.000000Z"]),
]
MAX_DEPTH = 100


class Given(BaseModel):
    """What a request brings: every name is known, and no text can upset a database."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, data: Any) -> Any:
        if any("\0" in text for text in _texts(data, 0)):
            raise ValueError("a text holds the character U+0000")
        return data


class Shown(BaseModel):
    """What an answer tells."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


def in_range(instant: AwareDatetime) -> datetime:
    """Return an instant in UTC; raises ValueError near the ends of the calendar, where arithmetic fails."""
    if not 1970 <= instant.year <= 9000:
        raise ValueError("the year is not between 1970 and 9000")
    return instant.astimezone(UTC)


def _texts(data: Any, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH}")
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _texts(key, depth + 1)
            yield from _texts(value, depth + 1)
    elif isinstance(data, list):
        for value in data:
            yield from _texts(value, depth + 1)
