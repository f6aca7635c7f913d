"""Many targets in one room: each stands in a cell of its own among people whom the attacker knows to be there.

A question is then a game against every target at once, with independent noise for each. Every target repeats its cell
in several attributes, which are broken down by one at a time: of a question's L0 = 1 + copies cells that one person
can touch, the attack reads all but the overlap, which the targets share. So it loses 1 / (1 + copies) of what the
budget buys, and no more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil

import numpy as np
from numpy.typing import NDArray

from cleanroom.release.types import ReleasedFigure
from policies.decision import Limits
from policies.mechanisms import narrowest_half_width, rho_for, sigma_for, suppression_threshold
from policies.question import Precision

Bits = NDArray[np.bool_]
Numbers = NDArray[np.float64]

HOLDERS = 5
"""So many known people share an e-mail: as many as may, so that a base has few rows."""
_CLEAR_SIGMAS = 4.0
_CRUMB = 3


@dataclass(frozen=True)
class Purchase:
    """One question of a spending plan.

    Attributes:
        half_width: its precision, in people.
        rho_micro: its price.
        labels: asked for although the base has none; a spelling that costs nothing and is another question.
        per_key: likewise, although there is one key.
    """

    half_width: int
    rho_micro: int
    labels: bool
    per_key: bool


def plan_purchases(l0: int, budget_micro: int, limits: Limits) -> tuple[Purchase, ...]:
    """Turn a budget into as few questions as the policy allows, the cheapest first.

    Few precise ones tell as much as many rough ones. A question is repeated only when it is more precise than before;
    otherwise it is spelled as another one. What is left at the end is less than a third of the dearest question.

    Args:
        l0: cells that one person can touch in each of them.
        budget_micro: what there is to spend.
        limits: of the policy.
    """
    prices: list[tuple[int, int]] = []
    left = budget_micro
    while left * _CRUMB >= limits.question_max_rho_micro:
        width = narrowest_half_width(l0, min(left, limits.question_max_rho_micro))
        price = rho_for(l0, Precision(None, width), cap_rho_micro=limits.cap_rho_micro, kind="profile")
        prices.append((price, width))
        left -= price
    return tuple(
        Purchase(width, price, labels=bool(number & 1), per_key=bool(number & 2))
        for number, (price, width) in enumerate(sorted(prices))
    )


@dataclass(frozen=True)
class Crowd:
    """Who is there.

    Attributes:
        present: for each target whether it is in the provider's data, which the attacker wants to know.
        copies: in how many attributes a target has its cell.
        padding: known people in every cell, so that it is shown.
    """

    present: Bits
    copies: int
    padding: int

    @classmethod
    def seeded(cls, targets: int, *, copies: int, limits: Limits, seed: int) -> "Crowd":
        """Make a crowd with every second target present, padded for the roughest question of a plan."""
        present = np.arange(targets) % 2 == 0
        np.random.default_rng(seed).shuffle(present)
        sigma = sigma_for(1 + copies, max(1, limits.question_max_rho_micro // (2 * _CRUMB)))
        needed = suppression_threshold(limits.minimum_audience, sigma) + _CLEAR_SIGMAS * sigma
        # A base may not be smaller than its floor; the targets' own rows are not counted on.
        floor = limits.base_floor * HOLDERS / targets
        return cls(present, copies, ceil(max(needed, floor) / HOLDERS) * HOLDERS)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes in which every target has its cell."""
        return tuple(f"place{number}" for number in range(self.copies))

    @property
    def l0(self) -> int:
        """Cells that one person can touch in the question."""
        return 1 + self.copies

    @property
    def breakdowns(self) -> list[list[str]]:
        """Of the question."""
        return [[name] for name in self.attributes]

    @property
    def attribute_lines(self) -> str:
        """The attributes in the provider's schema: a number with a band for every target."""
        bands = ", ".join(str(number) for number in range(1, self.present.size))
        return "".join(f"  {name}: {{type: integer, bands: [{bands}]}}\n" for name in self.attributes)

    def known(self) -> Iterator[tuple[str, int]]:
        """The e-mail and the place of everybody whom the attacker knows to be there."""
        for number in range(self.padding * self.present.size):
            yield f"k{number // HOLDERS}@known.example", number // self.padding

    def targets(self) -> Iterator[tuple[str, int]]:
        """The e-mail and the place of every target."""
        for place in range(self.present.size):
            yield f"t{place}@target.example", place

    def dataset_rows(self, present: Bits | None = None) -> list[str]:
        """The provider's rows: e-mail, one column for each attribute, consent."""
        there = self.present if present is None else present
        people = [*self.known(), *(person for person in self.targets() if there[person[1]])]
        return [f"{email},{','.join([str(place)] * self.copies)},yes" for email, place in people]

    def base_rows(self) -> list[str]:
        """The attacker's rows: everybody known, and all targets."""
        known = -(-self.padding * self.present.size // HOLDERS)
        return [
            *(f"k{number}@known.example" for number in range(known)),
            *(email for email, _ in self.targets()),
        ]


@dataclass
class Evidence:
    """What answers say about every target: a weighted mean of how many people beyond the known ones there are.

    Attributes:
        crowd: who was asked about.
        weight: what the answers cost, in micro-rho: precision is paid for, so this weighs best.
        total: weighted sum of the counts beyond the padding, for every target.
    """

    crowd: Crowd
    weight: float = 0.0
    total: Numbers = field(default_factory=lambda: np.zeros(0))

    def add(self, figures: Sequence[ReleasedFigure], *, weight: float) -> None:
        """Take the figures of one answer to the question."""
        beyond = [self._beyond(figures, name) for name in self.crowd.attributes]
        self.total = weight * np.mean(beyond, axis=0) + (self.total if self.weight else 0.0)
        self.weight += weight

    def merged(self, other: "Evidence") -> "Evidence":
        """Pool this with what somebody else was told."""
        return Evidence(self.crowd, self.weight + other.weight, self.total + other.total)

    def scores(self) -> Numbers:
        """Return the estimated number of people beyond the known ones, for every target: 1 or 0 in truth."""
        return self.total / self.weight if self.weight else np.zeros(self.crowd.present.size)

    def _beyond(self, figures: Sequence[ReleasedFigure], name: str) -> Numbers:
        # Cells come in the order of the declared bands, and the people without a value last.
        cells = [figure for figure in figures if figure.name.startswith(f"breakdown:{name}=")]
        values = [self.crowd.padding if figure.value is None else figure.value for figure in cells]
        return np.array(values[: self.crowd.present.size], np.float64) - self.crowd.padding
