"""Padding: fill a cell with known people up to the edge of suppression, add the target, and see whether it is shown."""

from collections.abc import Callable
from math import log
from statistics import NormalDist
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cleanroom.redteam.attacks.games import one_suspect, play
from cleanroom.redteam.cells import Bits, Buyer, Reading, Values, buyer
from cleanroom.redteam.types import AttackResult, Metric, Verdict

if TYPE_CHECKING:
    from cleanroom.redteam.lab import Lab

_COPIES = 5


class Padding:
    """Two edges: the minimum, in case the true count decides; and the noisy threshold, where flags tell most."""

    name: ClassVar[str] = "padding"
    title: ClassVar[str] = (
        "Fill a cell with known people up to the edge of suppression, add the target, and look."
    )
    metric: ClassVar[Metric] = Metric.ADVANTAGE
    plants: ClassVar[tuple[str, ...]] = ("threshold_on_true", "noise_off")

    def run(self, lab: "Lab") -> AttackResult:
        """Try one round at the minimum; if that is no better, spend every budget at the noisy threshold."""
        found = play(self, lab, _at_the_minimum, only=[0])
        return found if found.verdict is Verdict.FALLS else play(self, lab, _at_the_threshold)


def _at_the_minimum(lab: "Lab", number: int) -> tuple[Bits, Bits, Values]:
    return _flags(lab, number, lambda attacker: attacker.minimum)


def _at_the_threshold(lab: "Lab", number: int) -> tuple[Bits, Bits, Values]:
    return _flags(lab, number, lambda attacker: attacker.threshold)


def _flags(lab: "Lab", number: int, edge: Callable[[Buyer], int]) -> tuple[Bits, Bits, Values]:
    targets = one_suspect(lab, number)
    with buyer(lab, copies=_COPIES) as attacker:
        known = max(0, edge(attacker) - 1)
        readings = attacker.spend(targets, pads=known)
    seen = np.sum([_likelihood(reading, known) for reading in readings], axis=0)
    return lab.cells.secrets[targets], seen > 0, seen


def _likelihood(reading: Reading, known: int) -> Values:
    """Return by how much the flags of a cell are likelier with the target than without: the logarithm, summed."""
    noise = NormalDist(0, reading.sigma)
    without, with_target = (
        min(max(1 - noise.cdf(reading.threshold - 0.5 - people), 1e-12), 1 - 1e-12)
        for people in (known, known + 1)
    )
    shown: Values = (~np.isnan(reading.values)).sum(axis=0).astype(np.float64)
    withheld = len(reading.values) - shown
    return shown * log(with_target / without) + withheld * log((1 - with_target) / (1 - without))
