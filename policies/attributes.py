"""What a question needs to know about an attribute: public metadata, declared before any data is loaded."""

import unicodedata
from dataclasses import dataclass
from datetime import date
from functools import cached_property

NUMERIC_TYPES = ("integer", "decimal", "date")
CODED_TYPES = ("category", "boolean")
SUMMED_TYPES = ("integer", "decimal")
MAX_CLAMP = 1_000_000_000
"""The furthest bound of a total, in stored units: 2**32 people of it stay below half of a signed 64-bit integer."""

# The lowest value of the width stands for "null" in the stored columns, so the values begin one above it.
_INT64 = (-(2**63) + 1, 2**63 - 1)
# From 0001-01-01 to 9999-12-31, the dates that can be written, in days since 1970-01-01.
_DAYS = (
    date.min.toordinal() - date(1970, 1, 1).toordinal(),
    date.max.toordinal() - date(1970, 1, 1).toordinal(),
)


@dataclass(frozen=True)
class AttributeInfo:
    """The declared shape of one attribute.

    Attributes:
        type: integer, decimal, date, category, boolean or set.
        values: the declared values of a category or a set, in declared order; value i has code i + 1.
        bands: lower bounds of the bands after the first, in stored units; they only group, they never filter.
        scale: digits after the point that a decimal is stored with; its stored unit is 10 to the power of
            -scale.
        max_values: how many values of a set one person may have.
        clamp: the bounds, in stored units, that a person's total is brought into before it is added up.
        open: a category whose values were not declared: it can only be broken down, alone, over unknown keys.
    """

    type: str
    values: tuple[str, ...] = ()
    bands: tuple[int, ...] = ()
    scale: int = 0
    max_values: int = 1
    clamp: tuple[int, int] | None = None
    open: bool = False

    @property
    def domain(self) -> tuple[int, int]:
        """The lowest and the highest stored value or code, "null" apart."""
        if self.type == "date":
            return _DAYS
        if self.type in NUMERIC_TYPES:
            return _INT64
        return (1, 2) if self.type == "boolean" else (1, len(self.values) + 1)

    @property
    def groupable(self) -> bool:
        """Whether the attribute can stand in a breakdown: its cells were declared."""
        return bool(self.bands) if self.type in NUMERIC_TYPES else self.type == "boolean" or bool(self.values)

    @property
    def cells(self) -> int:
        """The number of cells of a breakdown, "other" and "unknown" included."""
        if self.type in NUMERIC_TYPES:
            return len(self.bands) + 2
        return self.domain[1] + 1

    @property
    def touched(self) -> int:
        """The largest number of those cells that one person can be in."""
        return max(1, min(self.max_values, self.domain[1])) if self.type == "set" else 1

    @property
    def summable(self) -> bool:
        """Whether totals can be added up: bounds were declared, and no sum of them can overflow."""
        return self.type in SUMMED_TYPES and self.clamp is not None and self.largest <= MAX_CLAMP

    @property
    def largest(self) -> int:
        """How far one person can move a sum, in stored units; the unit of the noise of a sum."""
        return 0 if self.clamp is None else max(abs(bound) for bound in self.clamp)

    @cached_property
    def codes(self) -> dict[str, int]:
        """The code of every literal of a category or a set; `other` names what was not declared."""
        codes = {"other": len(self.values) + 1}
        codes.update({unicodedata.normalize("NFC", value): code for code, value in enumerate(self.values, 1)})
        return codes


class Declared(dict[str, AttributeInfo]):
    """All attributes of one schema, by name; never changed, and known by identity.

    So what follows from a question about them can be worked out once, see `policies.canonical_question`.
    """

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        """Tell whether it is the very same object."""
        return self is other
