"""Differencing: count a base of known people, then the same base with the target added."""

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cleanroom.redteam.attacks.games import one_suspect, play, score
from cleanroom.redteam.cells import Bits, Values, buyer
from cleanroom.redteam.types import AttackResult, Metric, Verdict

if TYPE_CHECKING:
    from cleanroom.redteam.lab import Lab

# When so many of the differences are exactly zero, the noise of both answers is one noise.
_STICKY = 0.05


class Differencing:
    """Two ways: all budget on the second count, as the first is known; or half on each, in case noise repeats."""

    name: ClassVar[str] = "differencing"
    title: ClassVar[str] = "Count a base of known people, then the same base with the target added."
    metric: ClassVar[Metric] = Metric.ADVANTAGE
    plants: ClassVar[tuple[str, ...]] = ("noise_off", "noise_seeded_by_content", "cache_key_without_base")

    def run(self, lab: "Lab") -> AttackResult:
        """Look at one round of differences; if they are no better, spend every budget on the second count."""
        pairs = play(self, lab, _differences, only=[0])
        if pairs.verdict is Verdict.FALLS:
            return replace(pairs, note="Both answers have the same noise.")
        return play(self, lab, _second_counts)


def _second_counts(lab: "Lab", number: int) -> tuple[Bits, Bits, Values]:
    targets = one_suspect(lab, number)
    with buyer(lab) as attacker:
        readings = attacker.spend(targets, pads=lab.cells.pads)
    seen = score(readings, lab.cells.pads)
    return lab.cells.secrets[targets], seen > 0, seen


def _differences(lab: "Lab", number: int) -> tuple[Bits, Bits, Values]:
    targets = one_suspect(lab, number)
    with buyer(lab) as attacker:
        half = attacker.left_micro // 2
        before = attacker.spend(np.zeros_like(targets), pads=lab.cells.pads, budget_micro=half)
        after = attacker.spend(targets, pads=lab.cells.pads, budget_micro=half)
    differences = np.concatenate(
        [two.filled() - one.filled() for one, two in zip(before, after, strict=False)]
    )
    same = (differences == 0).all(axis=0)
    seen = differences.mean(axis=0) - 0.5
    guess = ~same if same.mean() > _STICKY else seen > 0
    return lab.cells.secrets[targets], guess, seen
