"""The refusal oracle: does any refusal, error, half-width, price or rate tell whether the target is there?"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cleanroom.analyses.types import Answer
from cleanroom.errors import KNOWN_ERRORS
from cleanroom.grants.types import Grant
from cleanroom.redteam.lab import Lab
from cleanroom.redteam.measures import measure, nothing_to_ask, result_of
from cleanroom.redteam.rooms import LabRoom, Party, base_schema
from cleanroom.redteam.scenes import over
from cleanroom.redteam.types import WIDEST, AttackResult, Metric
from cleanroom.redteam.watching import GAMES, kind_of, people, without_ids
from policies.decision import reason_to_dict
from policies.mechanisms import Z95

_TARGETS = 14
_ROOMS = 4
_ATTRIBUTE = "number"


@dataclass(frozen=True)
class RefusalOracle:
    """Everything that a question shows beside its figures is compared with what it shows about a stranger.

    The target's base is at the floor, so that it passes with the target alone; the condition is one that the target
    alone meets; and the attacker knows everybody else, so that an exact size anywhere would tell.
    """

    name: ClassVar[str] = "refusal_oracle"
    title: ClassVar[str] = (
        "Ask at the edge of the base floor, for a literal that the target alone has, for the impossible and the "
        "unaffordable; compare texts, prices, half-widths and rates."
    )
    metric: ClassVar[Metric] = Metric.ADVANTAGE
    plants: ClassVar[tuple[str, ...]] = ("floor_on_matched", "exact_denominator", "empty_literal_refused")

    def run(self, lab: Lab) -> AttackResult:
        """Ask about every target, and about a stranger beside it."""
        kind = kind_of(lab)
        if kind is None or kind == "match_test":
            return nothing_to_ask(self.name, lab.buyer_limit)
        document = over(lab.document, [_ATTRIBUTE])
        secrets: list[bool] = []
        guesses: list[bool] = []
        # Under little noise a size is hit by luck now and then: then it takes more games, each room with a fresh grant.
        for number in range(_ROOMS if lab.games > GAMES else 1):
            targets = [place % 2 == 0 for place in range(min(_TARGETS, lab.games))]
            lab.random(f"{self.name} {number}").shuffle(targets)
            rounds = -(-min(lab.games, GAMES) // len(targets))
            with lab.room(document=document) as room:
                asker = _Asker.arrived(lab, room, targets, kind)
                for turn in range(rounds):
                    guesses += [asker.differs(place, turn) for place in range(len(targets))]
            secrets += targets * rounds
            found = measure("comparing", np.array(secrets), np.array(guesses), limit=lab.buyer_limit)
            if found.interval95[1] - found.interval95[0] <= WIDEST:
                break
        return result_of(self.name, [found])


@dataclass
class _Asker:
    """A buyer with a base for every target, and one with a stranger instead.

    Attributes:
        room: where it asks.
        buyer: itself.
        grant: its budget.
        dataset_id: of the provider.
        bases: one for every target, and the stranger's last.
        sizes: of the data, as the attacker expects it were each target not there.
        half_width: rough, and still small enough that the overlap is shown.
        kind: of analysis.
        first_size: what a rate said about the size of an earlier version with the same people.
    """

    room: LabRoom
    buyer: Party
    grant: Grant
    dataset_id: str
    bases: list[str]
    sizes: list[int]
    half_width: int
    kind: str
    first_size: int | None = None

    @classmethod
    def arrived(cls, lab: Lab, room: LabRoom, secrets: list[bool], kind: str) -> "_Asker":
        """Load the data: known people one short of the floor, and those targets that are there."""
        provider, buyer = room.party("provider", "provider"), room.party("buyer")
        known = [f"k{number}@people.example" for number in range(max(_known(lab), lab.limits.base_floor - 1))]
        targets = [f"t{place}@people.example" for place in range(len(secrets))]
        there = [place for place, present in enumerate(secrets) if present]
        rows = {
            **people([*known, *(targets[place] for place in there)]),
            # The known have the numbers below, each target one of its own.
            _ATTRIBUTE: ["0"] * len(known) + [str(1 + place) for place in there],
        }
        schema = {
            "match_keys": {"email": {"column": "email"}},
            "attributes": {_ATTRIBUTE: {"type": "integer", "kind": "descriptive", "bands": [1]}},
            "lawful_basis": "consent",
            "consent": {lab.purpose: {"column": "ads", "granted": ["yes"]}},
        }
        dataset_id = room.dataset(provider, schema, rows)
        room.room.public_sizes.release(dataset_id, purpose=lab.purpose)
        bases = [
            room.base(buyer, base_schema(), {"email": [*known, email]})
            for email in [*targets, "stranger@people.example"]
        ]
        grant = room.try_grant(dataset_id, buyer)
        assert isinstance(grant, Grant)
        # What the attacker expects as the size of the data, were the target not there: it knows all others.
        sizes = [len(known) + len(there) - present for present in secrets]
        sigma = (len(known) - lab.limits.minimum_audience) / _CLEAR
        asker = cls(room, buyer, grant, dataset_id, bases, sizes, int(Z95 * sigma), kind)
        asker.first_size = next(iter(asker._told(bases[-1], len(targets), 0)))[0]
        # The same file again: a noisy size changes then, an exact one does not.
        room.load(provider, dataset_id, rows)
        room.room.public_sizes.release(dataset_id, purpose=lab.purpose)
        return asker

    def differs(self, place: int, number: int) -> bool:
        """Tell whether anything looks other than for a stranger, or an exact size shows one person more."""
        own, other = (list(self._told(self.bases[at], place, number)) for at in (place, len(self.bases) - 1))
        exact = {size for size, _ in own} & {self.first_size}
        return [text for _, text in own] != [text for _, text in other] or self.sizes[place] + 1 in exact

    def _told(self, base_id: str, place: int, number: int) -> Iterator[tuple[int | None, str]]:
        """Ask, and yield what is told: the denominator of a rate, if there is one, and all else as text."""
        alone = {"attribute": _ATTRIBUTE, "op": "==", "value": 1 + place}
        for asked in (
            {"segments": {"alone": alone}, "half_width": self.half_width - number},
            {"segments": {"alone": alone}, "half_width": 1},
            {"segments": {"alone": {**alone, "op": "has_any"}}, "half_width": self.half_width},
        ):
            try:
                question = self.room.question(self.dataset_id, base_id, kind=self.kind, **asked)
                answer = self.room.ask(self.grant, self.buyer, question)
            except KNOWN_ERRORS as error:
                yield None, without_ids(f"{type(error).__name__} {error} {getattr(error, 'remedy', '')}")
            else:
                yield _denominator(answer), _public(answer)


_CLEAR = 8.0
_MOVED = re.compile(r'"(left|asked)[a-z_]*": \d+')


def _known(lab: Lab) -> int:
    """Return how many known people make an overlap that is shown at a moderate price."""
    return 2 * lab.limits.minimum_audience + 100


def _denominator(answer: Answer) -> int | None:
    """Return what overlap and match rate say about the size of the data, if it is a whole number."""
    overlap = next((figure.value for figure in answer.figures if figure.name == "overlap"), None)
    rate = next((each.value for each in answer.ratios if each.name == "match_rate:dataset"), None)
    if not overlap or not rate:
        return None
    size = overlap / rate
    return round(size) if abs(size - round(size)) < 1e-6 else None


def _public(answer: Answer) -> str:
    """Return all of an answer that is no figure and no quotient of figures, without ids."""
    shown: dict[str, Any] = {
        "outcome": answer.outcome,
        "figures": [figure.name for figure in answer.figures],
        "ratios": [ratio.name for ratio in answer.ratios],
        "mechanism": str(answer.mechanism),
        "reasons": [reason_to_dict(reason) for reason in answer.reasons],
        "missing": answer.missing,
        "charged": answer.charged_micro,
    }
    return _MOVED.sub("", without_ids(json.dumps(shown, sort_keys=True, default=str)))
