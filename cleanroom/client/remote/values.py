"""What a released answer says, as values to work with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cleanroom.money import Money

_RATES = ("match_rate:", "share:")


@dataclass(frozen=True)
class Figure:
    """A released count, sum, rate or index, with its error.

    Attributes:
        name: as asked, such as `overlap`, `segment:NAME`, `breakdown:sex=F`, `match_rate:base`.
        value: None when withheld.
        low: the lower end of the 95% interval; None when withheld or unbounded.
        high: the upper end, likewise.
        suppressed: whether it was withheld because too few people may be in it.
    """

    name: str
    value: float | int | None
    low: float | int | None
    high: float | int | None
    suppressed: bool

    def __str__(self) -> str:
        """Write it for people."""
        if self.value is None:
            return "withheld"
        return f"{self.shown_value} ({self.shown_band})"

    @property
    def is_rate(self) -> bool:
        """Whether it is a part of a whole, from 0 to 1."""
        return self.name.startswith(_RATES)

    @property
    def shown_value(self) -> str:
        """The value for people: a rate in per cent, a count with its digits in groups."""
        return self._shown(self.value)

    @property
    def shown_band(self) -> str:
        """Its 95% interval for people."""
        return f"{self._shown(self.low)} to {self._shown(self.high)}"

    def _shown(self, number: float | int | None) -> str:
        if number is None or not self.is_rate:
            return shown(number)
        return f"{100 * number:.1f}\u00a0%"


@dataclass(frozen=True)
class Receipt:
    """The proof of an answer, verified against the room's key and kept.

    Attributes:
        path: the file.
        record: what the room's log says.
        index: its place in the log.
    """

    path: Path
    record: Mapping[str, Any]
    index: int


def figures_of(answer: Mapping[str, Any]) -> tuple[Figure, ...]:
    """Read figures and ratios, in the answer's order; sums and means come in the units of their owner."""
    found = []
    for plain in (*(answer.get("figures") or ()), *(answer.get("ratios") or ())):
        low, high = plain.get("interval95") or (None, None)
        unit = 10 ** (plain.get("scale") or 0)
        # Receipts write sums as text: JSON that is signed has no numbers that large.
        numbers = [int(one) if isinstance(one, str) else one for one in (plain["value"], low, high)]
        value, low, high = (one if one is None or unit == 1 else one / unit for one in numbers)
        found.append(Figure(str(plain["name"]), value, low, high, value is None))
    return tuple(found)


def money_of(plain: object) -> Money | None:
    """Read an amount; None when there is none."""
    if not isinstance(plain, Mapping) or not {"minor", "currency"} <= plain.keys():
        return None
    return Money(int(plain["minor"]), str(plain["currency"]))


def shown(number: float | int | None) -> str:
    """Write a number for people: whole ones and large ones with groups, small ones with four digits."""
    if number is None:
        return "unbounded"
    if isinstance(number, int) or number.is_integer():
        return f"{int(number):,}".replace(",", "\u00a0")
    if abs(number) >= 1000:
        return f"{number:,.2f}".replace(",", "\u00a0")
    return f"{number:.4g}"
