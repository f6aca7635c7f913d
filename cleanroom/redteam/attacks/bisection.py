"""Bisection: upload small bases, whole sets of suspects and halves of them, and follow the counts to each suspect."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cleanroom.redteam.attacks.games import estimate, play
from cleanroom.redteam.cells import Bits, Values, buyer
from cleanroom.redteam.types import AttackResult, Metric

if TYPE_CHECKING:
    from cleanroom.redteam.lab import Lab

_SET = 4
# All four suspects of a set, one half, and one of each half: enough to tell each of them by subtraction.
_UPLOADS = ((0, 1, 2, 3), (0, 1), (0,), (2,))
_READ_OFF = {0: (0, 0, 1, 0), 1: (0, 1, -1, 0), 2: (0, 0, 0, 1), 3: (1, -1, 0, -1)}

_COPIES = 4


class Bisection:
    """Sets of four suspects in every cell; one of each set, chosen by lot, is the target that counts."""

    name: ClassVar[str] = "bisection"
    title: ClassVar[str] = (
        "Upload sets of suspects and halves of them, and follow the counts to each suspect."
    )
    metric: ClassVar[Metric] = Metric.ADVANTAGE
    plants: ClassVar[tuple[str, ...]] = ("noise_off",)

    def run(self, lab: "Lab") -> AttackResult:
        """Spend every budget on four uploads."""
        return play(self, lab, _halve)


def _halve(lab: "Lab", number: int) -> tuple[Bits, Bits, Values]:
    secrets, start = lab.cells.secrets, number % 2 * _SET
    with buyer(lab, copies=_COPIES) as attacker:
        part = attacker.left_micro // len(_UPLOADS)
        counts = []
        for members in _UPLOADS:
            marked = np.zeros_like(secrets)
            marked[:, [start + member for member in members]] = True
            readings = attacker.spend(marked, pads=lab.cells.pads, budget_micro=part)
            counts.append(estimate(readings)[0] - lab.cells.pads)
    target = lab.random(f"bisection {number}").randrange(_SET)
    seen = np.tensordot(np.array(_READ_OFF[target], dtype=np.float64), np.array(counts), axes=1) - 0.5
    return secrets[:, start + target], seen > 0, seen
