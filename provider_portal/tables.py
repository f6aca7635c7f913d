"""Tables in pages: what an address says of filter, order and page, and links that change one of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from provider_portal.visits import Visit

PER_PAGE = 20
_MOST_PAGES = 100_000


@dataclass(frozen=True)
class Asked:
    """What an address asks of a table.

    Attributes:
        text: to look for.
        sort: a column.
        descending: whether the largest comes first.
        page: 1 for the first.
    """

    text: str
    sort: str
    descending: bool
    page: int

    @property
    def offset(self) -> int:
        """How many rows to pass over."""
        return (self.page - 1) * PER_PAGE

    def pages(self, total: int) -> int:
        """Return how many pages there are, at least one."""
        return max(1, -(-total // PER_PAGE))

    def next_order(self, column: str) -> str:
        """Return the order that a click on a column's head asks for."""
        return "desc" if column == self.sort and not self.descending else "asc"

    def aria(self, column: str) -> str:
        """Return how a column's order is told to those who do not see it."""
        if column != self.sort:
            return "none"
        return "descending" if self.descending else "ascending"


def asked(visit: Visit, sorts: Sequence[str], *, default: str, descending: bool = False) -> Asked:
    """Read what an address asks of a table; what makes no sense is as if it was not there.

    Args:
        visit: with the address.
        sorts: columns that can be sorted by.
        default: the column when none is named.
        descending: its order then.
    """
    sort, order, number = visit.asked("sort"), visit.asked("order"), visit.asked("page", "1")
    known = sort in sorts
    page = int(number) if number.isascii() and number.isdecimal() and len(number) < 7 else 1
    return Asked(
        text=visit.asked("q").strip(),
        sort=sort if known else default,
        descending=order == "desc" if known else descending,
        page=min(max(1, page), _MOST_PAGES),
    )
