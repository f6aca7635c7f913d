"""The opt-out oracle: withdraw the target's consent, ask again, and watch what changes."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cleanroom.grants.types import Grant
from cleanroom.redteam.lab import Lab
from cleanroom.redteam.measures import Measure, measure, nothing_to_ask, result_of
from cleanroom.redteam.rooms import LabRoom, Party, base_schema, dataset_schema
from cleanroom.redteam.scenes import Crowd, Scene, can_ask, over
from cleanroom.redteam.types import AttackResult, Metric
from cleanroom.redteam.watching import GAMES, kind_of, people

COPIES = 4
_STRANGER, _MEMBER = "stranger@people.example", "k0@people.example"


@dataclass(frozen=True)
class OptoutOracle:
    """Two ways: watch price, store, epoch and outcome; or subtract the figures before and after."""

    name: ClassVar[str] = "optout_oracle"
    title: ClassVar[str] = (
        "Withdraw the target's consent and ask again: do price, stored answers, epochs or figures change?"
    )
    metric: ClassVar[Metric] = Metric.ADVANTAGE
    plants: ClassVar[tuple[str, ...]] = ("touched_answers_marking", "noise_off")

    def run(self, lab: Lab) -> AttackResult:
        """Withdraw one target after another in one room, and all at once in another."""
        kind = kind_of(lab)
        found = [] if kind is None else [_watch(lab, kind)]
        if can_ask(lab):
            found.append(_difference(lab))
        return result_of(self.name, found) if found else nothing_to_ask(self.name, lab.buyer_limit)


def _watch(lab: Lab, kind: str) -> Measure:
    games = min(lab.games, GAMES)
    bits = [place % 2 == 0 for place in range(games)]
    lab.random("optout").shuffle(bits)
    targets = [f"t{place}@people.example" for place in range(games)]
    known = [f"k{number}@people.example" for number in range(lab.limits.base_floor)]
    with lab.room(document=over(lab.document, ())) as room:
        provider, buyer = room.party("provider", "provider"), room.party("buyer")
        there = [email for email, present in zip(targets, bits, strict=True) if present]
        dataset_id = room.dataset(provider, dataset_schema({}, purpose=lab.purpose), people([*known, *there]))
        base_id = room.base(buyer, base_schema(), {"email": [*known, *targets, _STRANGER]})
        grant = room.try_grant(dataset_id, buyer)
        assert isinstance(grant, Grant)
        watcher = _Watcher(room, buyer, grant, base_id, kind)
        watcher.ask()
        member, stranger = watcher.signs_of(_MEMBER), watcher.signs_of(_STRANGER)
        guesses = [watcher.signs_of(email) == member and member != stranger for email in targets]
    return measure("watching", np.array(bits), np.array(guesses), limit=lab.buyer_limit)


@dataclass
class _Watcher:
    """A buyer who asks the same question after each withdrawal."""

    room: LabRoom
    buyer: Party
    grant: Grant
    base_id: str
    kind: str
    epoch: int = 0

    def ask(self) -> tuple[Any, ...]:
        """Ask, and return everything that is shown beside the figures."""
        question = self.room.question(self.grant.dataset_id, self.base_id, kind=self.kind, precision="rough")
        before = self.room.left(self.grant)
        answer = self.room.ask(self.grant, self.buyer, question)
        began, self.epoch = (answer.consent_epoch or 0) - self.epoch, answer.consent_epoch or 0
        return answer.outcome, answer.charged_micro, before - answer.left_micro, began, answer.mechanism

    def signs_of(self, email: str) -> tuple[Any, ...]:
        """Withdraw somebody, and return what the room shows then."""
        outcome = self.room.withdraw(self.grant.dataset_id, email)
        told = (outcome.applied, outcome.not_applied, outcome.submitted, outcome.epoch - self.epoch)
        return told, self.ask()


def _difference(lab: Lab) -> Measure:
    crowd = Crowd.for_buyers(lab, copies=COPIES, seed="optout difference")
    with Scene.opened(lab, crowd) as scene:
        buyers = list(scene.buyers())
        half = lab.limits.grant_rho_micro("L") // 2
        before = [scene.spend(grant, buyer, budget_micro=half) for buyer, grant in buyers]
        scene.room.withdraw(scene.dataset_id, *crowd.base()["email"][-crowd.present.size :])
        after = [scene.spend(grant, buyer, budget_micro=half) for buyer, grant in buyers]
    guesses = [one.scores - two.scores > 0.5 for one, two in zip(before, after, strict=True)]
    secrets = np.tile(crowd.present, len(guesses))
    return measure("difference", secrets, np.concatenate(guesses), limit=lab.buyer_limit)
