"""Lists in pages: a limit, and a cursor that says where the next page begins."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from advertiser_api.errors import CursorError

MAX_LIMIT = 200
DEFAULT_LIMIT = 50
_MAX_CURSOR = 200
_VERSION = b"1:"
T = TypeVar("T")
Row = TypeVar("Row")


class Listed(BaseModel, Generic[T]):
    """One page of a list."""

    model_config = ConfigDict(frozen=True)

    items: list[T]
    next_cursor: Annotated[
        str | None, Field(description="Send it as `cursor` for the next page; null on the last one.")
    ]


@dataclass(frozen=True)
class Page:
    """Which page is asked for.

    Attributes:
        limit: how many items at most.
        after: the position that the first one comes after; empty for the first page.
    """

    limit: int
    after: str

    @property
    def fetch(self) -> int:
        """How many to read: one more tells whether there is another page."""
        return self.limit + 1

    def of(
        self, rows: Sequence[Row], write: Callable[[Row], T], *, position: Callable[[Row], str]
    ) -> Listed[T]:
        """Make the answer.

        Args:
            rows: up to `fetch` of them, in order.
            write: makes an item of one.
            position: what a later page's `after` is for one.
        """
        shown = rows[: self.limit]
        more = len(rows) > self.limit
        return Listed(
            items=[write(row) for row in shown],
            next_cursor=_cursor(position(shown[-1])) if more else None,
        )


async def _page(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[
        str | None, Query(max_length=_MAX_CURSOR, description="`next_cursor` of the page before.")
    ] = None,
) -> Page:
    return Page(limit, "" if cursor is None else _position(cursor))


AskedPage = Annotated[Page, Depends(_page)]


def number_after(page: Page, *, first: int) -> int:
    """Return a page's position as a number; raises CursorError when it is none."""
    if not page.after:
        return first
    if not (page.after.isascii() and page.after.isdecimal() and len(page.after) < 19):
        raise _bad()
    return int(page.after)


def _cursor(position: str) -> str:
    return base64.urlsafe_b64encode(_VERSION + position.encode()).decode("ascii").rstrip("=")


def _position(cursor: str) -> str:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        position = text.removeprefix(_VERSION).decode("ascii")
    except (binascii.Error, ValueError):
        raise _bad() from None
    if not text.startswith(_VERSION) or not position.isprintable():
        raise _bad()
    return position


def _bad() -> CursorError:
    return CursorError("The cursor is not one of this list.", remedy="Begin without a cursor.")
