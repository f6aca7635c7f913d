"""Over time: the same question about two versions of a dataset, which differ in the target."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cleanroom.grants.types import Grant
from cleanroom.redteam.lab import Lab
from cleanroom.redteam.measures import Measure, measure, nothing_to_ask, result_of
from cleanroom.redteam.rooms import Party
from cleanroom.redteam.scenes import Bits, Crowd, Evidence, Scene, can_ask, pooled
from cleanroom.redteam.spending import Purchase
from cleanroom.redteam.types import AttackResult, Metric

COPIES, VERSIONS = 6, 3
_REPEATED = 0.2


@dataclass(frozen=True)
class Snapshots:
    """Two ways: the difference of two versions, and all versions together, should each bring a fresh budget.

    The difference needs no knowledge of the others who are counted, and so tells less for the same budget.
    """

    name: ClassVar[str] = "snapshots"
    title: ClassVar[str] = "Ask the same question before and after the target's data come or go."
    metric: ClassVar[Metric] = Metric.ADVANTAGE
    plants: ClassVar[tuple[str, ...]] = ("noise_off", "noise_seeded_by_content", "budget_by_version")

    def run(self, lab: Lab) -> AttackResult:
        """Play in two rooms for every so many targets."""
        if not can_ask(lab):
            return nothing_to_ask(self.name, lab.buyer_limit)
        return result_of(self.name, [_difference(lab), _all_versions(lab)])


def _difference(lab: Lab) -> Measure:
    crowd = Crowd.for_buyers(lab, copies=COPIES, seed="difference")
    nobody = np.zeros_like(crowd.present)
    with Scene.opened(lab, crowd, present=nobody) as scene:
        buyers = list(scene.buyers())
        plan = scene.plan(lab.limits.grant_rho_micro("L") // 2)
        before = [_bought(scene, *buyer, plan) for buyer in buyers]
        scene.reload()
        after = [_bought(scene, *buyer, plan) for buyer in buyers]
    guesses = [_guess(*pair) for pair in zip(before, after, strict=True)]
    secrets = np.tile(crowd.present, len(guesses))
    return measure("difference", secrets, np.concatenate(guesses), limit=lab.buyer_limit)


def _bought(scene: Scene, buyer: Party, grant: Grant, plan: Sequence[Purchase]) -> list[Evidence]:
    """Ask planned questions and keep the answers apart."""
    return [scene.buy(grant, buyer, [purchase]) for purchase in plan]


def _guess(before: Sequence[Evidence], after: Sequence[Evidence]) -> Bits:
    """Guess by the difference; but if answers repeat to the last person, whoever's did not is there."""
    same = np.all([old.total == new.total for old, new in zip(before, after, strict=True)], axis=0)
    if same.mean() > _REPEATED:
        return np.asarray(~same)
    return np.asarray(pooled(after).scores - pooled(before).scores > 0.5)


def _all_versions(lab: Lab) -> Measure:
    crowd = Crowd.for_buyers(lab, copies=COPIES, seed="all versions")
    with Scene.opened(lab, crowd) as scene:
        buyers = list(scene.buyers())
        found: list[list[Evidence]] = [[] for _ in buyers]
        for version in range(VERSIONS):
            if version:
                scene.reload()
            for place, (buyer, grant) in enumerate(buyers):
                found[place].append(scene.spend(grant, buyer))
    guesses = [pooled(parts).scores > 0.5 for parts in found]
    secrets = np.tile(crowd.present, len(guesses))
    return measure("all versions", secrets, np.concatenate(guesses), limit=lab.buyer_limit)
