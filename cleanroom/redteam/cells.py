"""A crowd of targets for whoever attacks at one moment: many games in one room, each in a cell of its own.

An attacker knows in which cell of a breakdown (a postcode, a branch) its target would be found, and pads that cell
with people whom it knows to be in the dataset. Cells of one breakdown share one unit of L0, so a thousand targets are
attacked by the same question without any of them costing the others precision.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cleanroom.analyses.types import Answer, Outcome
from cleanroom.grants.types import Grant
from cleanroom.redteam.rooms import LabRoom, Party, base_schema, dataset_schema
from policies.mechanisms import narrowest_half_width, rho_for, sigma_for, suppression_threshold
from policies.model import PolicyDocument
from policies.question import Precision
from policies.rules import Analyses

if TYPE_CHECKING:
    from cleanroom.redteam.lab import Lab

Bits = NDArray[np.bool_]
Values = NDArray[np.float64]

SUSPECTS = 8
"""People per cell of whom the attacker does not know whether they are in the dataset; each is, with chance 1/2."""
GRID = 50
"""The grid of the attack on rounding, where a policy does not round."""
PARTS = 8
"""Into how many parts an attack splits its budget at most."""
MOST_COPIES = 9
_CELLS, _MOST_LABELS, _MOST_ROWS = 1_000, 255, 1_500_000
# A share of the cap so small buys too much noise to learn anything.
_CRUMB = 50


class AttackRefusedError(Exception):
    """The policy refuses what the attack asks."""

    code = "redteam.refused"

    def __init__(self, rules: str) -> None:
        super().__init__(rules)
        self.rules = rules


@dataclass(frozen=True)
class Reading:
    """What one question showed of every cell.

    Attributes:
        values: one row for each copy of the cells in the question; NaN where a cell was withheld.
        sigma: of the noise.
        threshold: at which noisy count a cell is shown.
        outcome: released or stored.
    """

    values: Values
    sigma: float
    threshold: int
    outcome: Outcome

    def filled(self) -> Values:
        """Return the values, with a guess a little below the threshold where one was withheld."""
        return np.where(np.isnan(self.values), self.threshold - 0.8 * self.sigma, self.values)


@dataclass(frozen=True)
class Cells:
    """A closed room with the people in it, to be copied for every buyer.

    Attributes:
        template: the room.
        dataset_id: the provider's dataset.
        secrets: cells x suspects; who of them is in the dataset.
        pads: people per cell whom the attacker knows.
        attributes: each of which tells the cell of a person.
        by_label: the policy allows no breakdown, so the attacker's own labels make the cells.
    """

    template: LabRoom
    dataset_id: str
    secrets: Bits
    pads: int
    attributes: tuple[str, ...]
    by_label: bool

    @property
    def count(self) -> int:
        """How many cells there are."""
        return len(self.secrets)

    @property
    def most_copies(self) -> int:
        """How many attributes a question can break down by while another one makes it another question."""
        return 1 if self.by_label else max(1, len(self.attributes) - 1)

    @property
    def trees(self) -> int:
        """How many different questions about the same cells there are."""
        return 1 if self.by_label else len(self.attributes)

    def asked(self, number: int, copies: int) -> tuple[str, ...]:
        """Return the attributes that the question of a number breaks down by; none where labels make the cells."""
        if self.by_label:
            return ()
        return tuple(self.attributes[(number + at) % len(self.attributes)] for at in range(copies))

    def names(self, number: int, copies: int) -> list[str]:
        """Return the cells' names among the figures of the question of a number."""
        cells = range(self.count)
        if self.by_label:
            return [f"label:c{cell}" for cell in cells]
        return [f"breakdown:{name}=c{cell}" for name in self.asked(number, copies) for cell in cells]


def gather(lab: "Lab") -> Cells:
    """Build the room; where a policy needs large cells, there are fewer of them.

    Raises:
        AttackRefusedError: the policy allows no question with cells.
    """
    by_label = not ("profile" in lab.kinds and lab.attributes)
    if by_label and "overlap" not in lab.kinds:
        raise AttackRefusedError(Analyses.tag)
    copies = 1 if by_label else max(1, len(lab.attributes) - 1)
    part_micro = lab.limits.allocatable(lab.limits.cap_rho_micro) // PARTS
    sigma = sigma_for(1 + copies, max(1, part_micro))
    minimum = lab.limits.minimum_audience_of(_output(by_label))
    pads = ceil(suppression_threshold(minimum, sigma) + 3 * sigma)
    pads += max(GRID, lab.limits.round_to)
    cells = max(20, min(lab.games, _MOST_LABELS if by_label else _CELLS, _MOST_ROWS // pads))
    chance = np.random.default_rng(lab.random("cells").getrandbits(64))
    secrets: Bits = chance.random((cells, SUSPECTS)) < 0.5
    template = lab.build()
    everyone = pl.concat([_known(cells, pads), _suspects(secrets)])
    area = {name: "c" + everyone["cell"].cast(pl.String) for name in lab.attributes}
    dataset_id = template.dataset(
        template.party("provider", "provider"),
        dataset_schema({name: [f"c{cell}" for cell in range(cells)] for name in area}, purpose=lab.purpose),
        {"id": everyone["email"], "email": everyone["email"], "ads": ["yes"] * len(everyone), **area},
    )
    template.room.close()
    return Cells(template, dataset_id, secrets, pads, lab.attributes, by_label)


def _output(by_label: bool) -> str:
    return "label" if by_label else "breakdown"


def _known(cells: int, pads: int) -> pl.DataFrame:
    """Return people who are in the dataset for certain, the same number in every cell."""
    return pl.DataFrame(
        {"cell": np.repeat(np.arange(cells), pads), "number": np.tile(np.arange(pads), cells)}
    ).select("cell", email=pl.format("k{}.{}@example.org", "cell", "number"))


def _suspects(chosen: Bits) -> pl.DataFrame:
    """Return the suspects that a matrix of cells and suspects marks."""
    cell, number = np.nonzero(chosen)
    return pl.DataFrame({"cell": cell, "number": number}).select(
        "cell", email=pl.format("s{}.{}@example.org", "cell", "number")
    )


@dataclass
class Buyer:
    """An advertiser in a copy of the room, with every grant that it could buy.

    Attributes:
        lab: where it attacks.
        cells: whom it attacks.
        room: its copy.
        party: itself.
        grants: its budget.
        copies: how many times a question counts every cell; the more, the smaller the part of the budget that goes
            into the overlap, and the longer it takes.
    """

    lab: "Lab"
    cells: Cells
    room: LabRoom
    party: Party
    grants: list[Grant]
    copies: int
    _strangers: int = 0
    _width: int = 0
    _asked: dict[str, int] = field(default_factory=dict)

    @property
    def l0(self) -> int:
        """How many cells of a question one person can change: the overlap, and one in each copy."""
        return 1 + self.copies

    @property
    def left_micro(self) -> int:
        """What is left of its budget."""
        return sum(self.room.left(grant) for grant in self.grants)

    @property
    def minimum(self) -> int:
        """The smallest audience that is shown in the cells."""
        return self.lab.limits.minimum_audience_of(_output(self.cells.by_label))

    @property
    def threshold(self) -> int:
        """At which noisy count the next question would show a cell; public, as all that it depends on."""
        limits = self.lab.limits
        price = min(max(map(self.room.left, self.grants)), limits.question_max_rho_micro)
        width = narrowest_half_width(self.l0, price)
        cost = rho_for(self.l0, Precision(None, width), cap_rho_micro=limits.cap_rho_micro, kind="")
        return ceil(suppression_threshold(self.minimum, sigma_for(self.l0, cost)))

    def upload(self, suspects: Bits, *, pads: int) -> str:
        """Upload a base: known people for every cell, the marked suspects, and strangers up to the floor.

        Args:
            suspects: cells x SUSPECTS.
            pads: known people per cell.

        Returns:
            The base's id; every base has a stranger more than the last, so that no two are the same.
        """
        people = pl.concat([_known(self.cells.count, min(pads, self.cells.pads)), _suspects(suspects)])
        self._strangers += 1
        missing = max(0, self.lab.limits.base_floor - len(people)) + self._strangers
        strangers = pl.DataFrame({"cell": np.zeros(missing, np.int64), "number": np.arange(missing)}).select(
            "cell", email=pl.format("x{}@example.org", "number")
        )
        people = pl.concat([people, strangers])
        if not self.cells.by_label:
            return self.room.base(self.party, base_schema(), {"email": people["email"]})
        labels = [f"c{cell}" for cell in range(self.cells.count)]
        status = "c" + people["cell"].cast(pl.String)
        return self.room.base(
            self.party, base_schema(labels=labels), {"email": people["email"], "status": status}
        )

    def spend(self, suspects: Bits, *, pads: int, budget_micro: int | None = None) -> list[Reading]:
        """Ask different questions about the same people until the budget, or a part of it, is used up.

        Args:
            suspects: cells x SUSPECTS, who is in the base besides the known people.
            pads: known people per cell.
            budget_micro: how much may be spent; everything when not given.
        """
        budget = self.left_micro if budget_micro is None else budget_micro
        base_id, readings = self.upload(suspects, pads=pads), list[Reading]()
        while budget >= max(1, self.lab.limits.cap_rho_micro // _CRUMB):
            if self._asked.get(base_id, 0) == self.cells.trees:
                # A dummy id makes it another base.
                base_id = self.upload(suspects, pads=pads)
            reading, cost_micro = self.ask(base_id, budget)
            readings.append(reading)
            budget -= cost_micro
        return readings

    def ask(self, base_id: str, budget_micro: int, *, dummy: bool = False) -> tuple[Reading, int]:
        """Ask the most precise next question about a base that the budget, one grant and the policy allow.

        Args:
            base_id: whose cells.
            budget_micro: to spend at most.
            dummy: add a condition that everybody meets.

        Returns:
            What it showed, and what it cost.

        Raises:
            AttackRefusedError: the policy does not permit it.
        """
        self._asked[base_id] = self._asked.get(base_id, 0) + 1
        grant = max(self.grants, key=self.room.left)
        price = min(budget_micro, self.room.left(grant), self.lab.limits.question_max_rho_micro)
        self._width = narrowest_half_width(self.l0 + dummy, price)
        segments = {}
        if dummy and not self.cells.by_label:
            name = self.cells.attributes[0]
            tests = [{"attribute": name, "op": op} for op in ("is_null", "not_null")]
            segments = {"anybody": {"any": tests}}
        return self._ask(
            grant, base_id, self.cells.asked(self._asked[base_id] - 1, self.copies), segments, self._width
        )

    def ask_again(self, base_id: str, *, turned: int, coarser: int) -> Reading:
        """Ask the last question about a base again, in other words.

        Args:
            base_id: whose cells.
            turned: by how many places the order of its parts is turned.
            coarser: by how many people its half-width is larger; a finer answer that is stored serves that too.
        """
        asked = self.cells.asked(self._asked[base_id] - 1, self.copies)
        at = turned % max(1, len(asked))
        grant = max(self.grants, key=self.room.left)
        return self._ask(grant, base_id, asked[at:] + asked[:at], {}, self._width + coarser)[0]

    def _ask(
        self,
        grant: Grant,
        base_id: str,
        breakdowns: Sequence[str],
        segments: dict[str, Any],
        half_width: int,
    ) -> tuple[Reading, int]:
        kind: dict[str, Any] = (
            {"kind": "overlap", "labels": True}
            if self.cells.by_label
            else {"kind": "profile", "breakdowns": [[name] for name in breakdowns], "segments": segments}
        )
        question = self.room.question(self.cells.dataset_id, base_id, half_width=half_width, **kind)
        answer = self.room.ask(grant, self.party, question)
        if answer.outcome is Outcome.REFUSED:
            raise AttackRefusedError(", ".join(sorted({reason.rule for reason in answer.reasons})))
        return _read(
            answer, self.cells.names(self._asked[base_id] - 1, self.copies), self.cells.count
        ), answer.charged_micro


def _read(answer: Answer, names: Sequence[str], cells: int) -> Reading:
    shown = {figure.name: figure.value for figure in answer.figures}
    values = np.array([shown[name] for name in names], dtype=np.float64).reshape(-1, cells)
    mechanism = answer.mechanism
    assert mechanism is not None
    return Reading(values, mechanism.sigma, mechanism.threshold_of(names[0]), answer.outcome)


@contextmanager
def buyer(
    lab: "Lab", *, copies: int = MOST_COPIES, document: PolicyDocument | None = None
) -> Iterator[Buyer]:
    """Enter a copy of the room as a new buyer, and buy whatever the room sells.

    Args:
        lab: where.
        copies: how many times its questions count every cell, if the policy has so many attributes.
        document: put in force instead of the attacked policy.
    """
    cells = lab.cells
    with lab.room(template=cells.template, document=document) as room:
        if document is not None:
            room.rule(room.parties["provider"], cells.dataset_id)
        party = room.party("buyer")
        grants = room.buy_all(cells.dataset_id, party)
        if not grants:
            raise AttackRefusedError("budget")
        yield Buyer(lab, cells, room, party, grants, min(copies, cells.most_copies))
