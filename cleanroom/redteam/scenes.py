"""Many targets in one room: each stands in a cell of its own among people whom the attacker knows to be there.

A question is then a game against every target at once, with independent noise for each. Every target repeats its cell
in several attributes, which are broken down by one at a time: of a question's L0 = 1 + copies cells that one person
can touch, the attack reads all but the overlap, which the targets share. So it loses 1 / (1 + copies) of what the
budget buys, and no more.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from math import ceil, sqrt
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cleanroom.analyses.types import Answer, Outcome
from cleanroom.grants.types import Grant
from cleanroom.redteam.lab import Lab
from cleanroom.redteam.rooms import Columns, LabRoom, Party, base_schema
from cleanroom.redteam.spending import CRUMB, SPELLINGS, Purchase, plan_purchases
from cleanroom.release.types import ReleasedFigure
from policies.combine import combine
from policies.decision import Limits
from policies.mechanisms import sigma_for, suppression_threshold
from policies.model import PolicyDocument
from policies.rules import Attributes, BreakdownDepth

Bits = NDArray[np.bool_]
Numbers = NDArray[np.float64]
Places = NDArray[np.int64]

HOLDERS = 5
"""So many known people share an e-mail: as many as may, so that a base has few rows."""
_CLEAR_SIGMAS = 4.0
_BANDS = 250
_ROOM = 5_000
_BUYERS, _GAMES_A_BUYER = 10, 500


@dataclass(frozen=True)
class Crowd:
    """Who is there.

    Attributes:
        present: for each target whether it is in the provider's data, which the attacker wants to know.
        places: for each attribute, which band of it each target's cell lies in.
        groups: the breakdowns: every one tells all targets apart, and is a copy.
        padding: known people in every cell, so that it is shown.
    """

    present: Bits
    places: Mapping[str, Places]
    groups: tuple[tuple[str, ...], ...]
    padding: int
    keys: ClassVar[tuple[str, ...]] = ("email",)
    spellings: ClassVar[int] = SPELLINGS

    @classmethod
    def for_buyers(cls, lab: Lab, *, copies: int, seed: str, spare: float = 1.0) -> Self:
        """Make a crowd with as many targets as each of `buyers_for` plays against."""
        targets = ceil(lab.games * spare / buyers_for(lab))
        return cls.made(lab, min(most_targets(lab), targets), copies=copies, seed=seed)

    @classmethod
    def made(cls, lab: Lab, targets: int, *, copies: int, seed: str) -> Self:
        """Make a crowd with every second target present, padded for the roughest question of a plan."""
        bits = [place % 2 == 0 for place in range(targets)]
        lab.random(seed).shuffle(bits)
        groups = _groups(lab, copies)
        side = ceil(sqrt(targets))
        number = np.arange(targets)
        places = {
            name: number if len(group) == 1 else (number // side, number % side)[position]
            for group in groups
            for position, name in enumerate(group)
        }
        return cls(np.array(bits), places, groups, _padding(lab.limits, 1 + len(groups), targets))

    @property
    def l0(self) -> int:
        """Cells that one person can touch in the question."""
        return 1 + len(self.groups)

    def schema(self, *purposes: str) -> dict[str, Any]:
        """Return the provider's schema: numbers with bands, and one consent for every purpose."""
        return {
            "match_keys": {"email": {"column": "email"}},
            "attributes": {
                name: {"type": "integer", "kind": "descriptive", "bands": list(range(1, self._bands(name)))}
                for name in self.places
            },
            "lawful_basis": "consent",
            "consent": {purpose: {"column": "ads", "granted": ["yes"]} for purpose in purposes},
        }

    def people(self, present: Bits | None = None) -> Columns:
        """Return the provider's rows: everybody known, and those targets that are there."""
        there = np.flatnonzero(self.present if present is None else present)
        known = np.arange(self.padding * self.present.size)
        who = np.concatenate([known // self.padding, there])
        return {
            "email": pl.concat([_emails("k", known // HOLDERS), _emails("t", there)]),
            **{name: pl.Series(place[who]).cast(pl.String) for name, place in self.places.items()},
            "ads": pl.Series(["yes"]).new_from_index(0, who.size),
        }

    def base(self) -> Columns:
        """Return the attacker's rows: everybody known, and all targets."""
        known = -(-self.padding * self.present.size // HOLDERS)
        return {
            "email": pl.concat([_emails("k", np.arange(known)), _emails("t", np.arange(self.present.size))])
        }

    def read(self, figures: Sequence[ReleasedFigure]) -> Numbers:
        """Return how many people beyond the known ones an answer shows for every target, on average of its copies."""
        return np.asarray(np.mean([self._beyond(figures, group) for group in self.groups], axis=0))

    def _beyond(self, figures: Sequence[ReleasedFigure], group: tuple[str, ...]) -> Numbers:
        # Cells come in the order of the declared bands, and the people without a value last.
        begins, *follow = (f"{name}=" for name in group)
        values = [
            self.padding if figure.value is None else figure.value
            for figure in figures
            if figure.name.startswith(f"breakdown:{begins}") and all(part in figure.name for part in follow)
        ]
        table = np.array(values, np.float64).reshape([self._bands(name) + 1 for name in group])
        return np.asarray(table[tuple(self.places[name] for name in group)] - self.padding)

    def _bands(self, name: str) -> int:
        return int(self.places[name].max()) + 1


@dataclass
class Evidence:
    """What answers say about every target, weighted by what they cost: precision is paid for.

    Attributes:
        total: weighted sum of the people beyond the known ones.
        weight: in micro-rho.
    """

    total: Numbers
    weight: float = 0.0

    def add(self, beyond: Numbers, *, weight: float) -> None:
        """Take one answer."""
        self.total = self.total + weight * beyond
        self.weight += weight

    @property
    def scores(self) -> Numbers:
        """The estimated number of people beyond the known ones, for every target: 1 or 0 in truth."""
        return self.total / max(1.0, self.weight)


def pooled(parts: Sequence[Evidence]) -> Evidence:
    """Put together what several answers or parties told; at least one."""
    return Evidence(np.sum([part.total for part in parts], axis=0), sum(part.weight for part in parts))


@dataclass
class Scene:
    """A room with a crowd, and the calls that an attack on it makes.

    Attributes:
        lab: where it stands.
        room: open.
        crowd: the provider's data.
        provider: whose data it is.
        dataset_id: of the crowd.
        bases: each buyer's base, made when it first asks.
    """

    lab: Lab
    room: LabRoom
    crowd: Crowd
    provider: Party
    dataset_id: str
    bases: dict[str, str] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def opened(
        cls, lab: Lab, crowd: Crowd, *, present: Bits | None = None, purposes: Sequence[str] = ()
    ) -> Iterator["Scene"]:
        """Open a room, load the crowd, or those of it who are there at first, and put the policy in force."""
        with lab.room(document=over(lab.document, crowd.places)) as room:
            provider = room.party("provider", "provider")
            schema = crowd.schema(*(purposes or (lab.purpose,)))
            dataset_id = room.dataset(provider, schema, crowd.people(present))
            yield cls(lab, room, crowd, provider, dataset_id)

    def reload(self, present: Bits | None = None) -> None:
        """Publish another version of the dataset."""
        self.room.load(self.provider, self.dataset_id, self.crowd.people(present))

    def base_of(self, buyer: Party) -> str:
        """Return the buyer's base, with everybody in it."""
        if buyer.organisation_id not in self.bases:
            self.bases[buyer.organisation_id] = self.room.base(
                buyer, base_schema(keys=self.crowd.keys), self.crowd.base()
            )
        return self.bases[buyer.organisation_id]

    def plan(self, budget_micro: int) -> tuple[Purchase, ...]:
        """Plan how to spend a budget."""
        return plan_purchases(self.crowd.l0, budget_micro, self.lab.limits, spellings=self.crowd.spellings)

    def ask(
        self, grant: Grant, buyer: Party, purchase: Purchase, *, asker: Party | None = None, purpose: str = ""
    ) -> Answer:
        """Ask about all targets at once.

        Args:
            grant: what pays.
            buyer: whose base it is.
            purchase: how precise.
            asker: the buyer, unless an agency asks for it.
            purpose: the lab's, unless given.
        """
        question = self.room.question(
            grant.dataset_id,
            self.base_of(buyer),
            kind="profile",
            purpose=purpose or self.lab.purpose,
            breakdowns=[list(group) for group in self.crowd.groups],
            half_width=purchase.half_width,
            labels=purchase.labels,
            per_key=purchase.per_key,
        )
        return self.room.ask(grant, asker or buyer, question)

    def spend(self, grant: Grant, buyer: Party, *, budget_micro: int | None = None, **how: Any) -> Evidence:
        """Spend what a grant has left, or a part of it, and return what was learned.

        Args:
            grant: what pays.
            buyer: whose base it is.
            budget_micro: how much; everything when not given.
            how: of `ask`.
        """
        left = self.room.left(grant)
        return self.buy(grant, buyer, self.plan(left if budget_micro is None else budget_micro), **how)

    def buy(self, grant: Grant, buyer: Party, plan: Sequence[Purchase], **how: Any) -> Evidence:
        """Ask planned questions, as far as they are released or were before."""
        evidence = Evidence(np.zeros(self.crowd.present.size))
        for purchase in plan:
            answer = self.ask(grant, buyer, purchase, **how)
            if answer.outcome is not Outcome.REFUSED:
                evidence.add(self.crowd.read(answer.figures), weight=purchase.rho_micro)
        return evidence

    def buyers(self) -> Iterator[tuple[Party, Grant]]:
        """Yield buyers with a large grant each, as many as there should be or the room sells to."""
        for number in range(buyers_for(self.lab)):
            buyer = self.room.party(f"buyer {number}")
            grant = self.room.try_grant(self.dataset_id, buyer)
            if not isinstance(grant, Grant):
                return
            yield buyer, grant


def over(document: PolicyDocument, attributes: Iterable[str]) -> PolicyDocument:
    """Return the policy for a dataset that has these attributes alone."""
    names = frozenset(attributes)
    other = tuple(rule for rule in document.rules if not isinstance(rule, Attributes))
    return replace(document, rules=(*other, Attributes(filter=names, breakdown=names)))


def can_ask(lab: Lab) -> bool:
    """Tell whether the policy sells tables at all, without which there is nothing to ask a crowd."""
    return "profile" in lab.kinds and bool(_groups(lab, 1))


def buyers_for(lab: Lab) -> int:
    """Return among how many buyers the games are shared: each has a cap of its own, and few cost less time."""
    sold = lab.limits.allocatable(lab.limits.total_rho_micro) // lab.limits.grant_rho_micro("L")
    return max(1, min(_BUYERS, sold, lab.games // _GAMES_A_BUYER))


def most_targets(lab: Lab) -> int:
    """Return how many targets one room can hold: a schema has only so many bands."""
    return _ROOM if _may_cross(lab) else _BANDS


def _may_cross(lab: Lab) -> bool:
    depth = combine([lab.document]).get(BreakdownDepth)
    return len(lab.attributes) > 1 and (not isinstance(depth, BreakdownDepth) or depth.max > 1)


def _groups(lab: Lab, copies: int) -> tuple[tuple[str, ...], ...]:
    """Return as many breakdowns as wanted, if there are attributes enough: each of rows by each of columns."""
    if not _may_cross(lab):
        return tuple((name,) for name in lab.attributes[:copies])
    half = min(len(lab.attributes) // 2, ceil(sqrt(copies)))
    rows, columns = lab.attributes[:half], lab.attributes[half : 2 * half]
    return tuple(product(rows, columns))[:copies]


def _padding(limits: Limits, l0: int, targets: int) -> int:
    sigma = sigma_for(l0, max(1, limits.question_max_rho_micro // (2 * CRUMB)))
    needed = suppression_threshold(limits.minimum_audience, sigma) + _CLEAR_SIGMAS * sigma
    # A base is not below its floor, the targets' own rows left aside.
    floor = limits.base_floor * HOLDERS / targets
    return ceil(max(needed, floor) / HOLDERS) * HOLDERS


def _emails(letter: str, numbers: NDArray[Any]) -> pl.Series:
    return pl.select(pl.format(letter + "{}@people.example", pl.Series(numbers))).to_series()
