"""What a conversation with the room asks of whoever runs it: to send, to wait, to work aside. It does no I/O itself.

A conversation is a generator: it yields effects and gets their results, so that one text serves both drivers.
"""

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        method: of HTTP.
        path: below the room's address, percent-encoded where needed.
        query: appended to it; None values are left out.
        headers: those of this request; a token among them is not shown.
        content: the body's bytes.
        repeatable: sending it twice does no harm, so that a driver may send it again.
    """

    method: str
    path: str
    query: Mapping[str, str | int | tuple[str, ...] | None] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes = field(default=b"", repr=False)
    repeatable: bool = True


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        status: of HTTP.
        headers: names in lower case.
        content: the body's bytes.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)

    def json(self) -> Any:
        """Read the body; None when it is no JSON."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True)
class Pause:
    """Wait.

    Attributes:
        seconds: how long.
    """

    seconds: float


@dataclass(frozen=True)
class Aside:
    """Work that takes the processor or a disk for long; an event loop must not stand still meanwhile.

    Attributes:
        work: called once; its result is given back.
    """

    work: Callable[[], Any]


Effect: TypeAlias = Call | Pause | Aside
Flow: TypeAlias = Generator[Effect, Any, Result]
"""A conversation that ends with a result."""
