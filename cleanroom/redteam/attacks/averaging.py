"""Averaging: the same question in many spellings, with dummy ids and dummy conditions, for draw after draw of noise."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cleanroom.redteam.attacks.games import one_suspect, play, score
from cleanroom.redteam.cells import Bits, Buyer, Reading, Values, buyer
from cleanroom.redteam.types import AttackResult, Metric, Verdict

if TYPE_CHECKING:
    from cleanroom.redteam.lab import Lab

SPELLINGS, _ENOUGH = 120, 20
# Of the many questions; orders of the parts are a spelling, so there are two parts at least.
_FEW_COPIES, _COPIES = 2, 3
_CRUMB = 20


class Averaging:
    """Spellings should bring the stored answer again; dummies make other questions, which only the budget stops."""

    name: ClassVar[str] = "averaging"
    title: ClassVar[str] = "Ask one question in many spellings, with dummy ids and conditions, and average."
    metric: ClassVar[Metric] = Metric.ADVANTAGE
    plants: ClassVar[tuple[str, ...]] = ("stored_answers_renoised", "noise_off")

    def run(self, lab: "Lab") -> AttackResult:
        """Try a hundred and twenty spellings in one round; if they bring nothing, spend every budget on dummies."""
        found = play(self, lab, _spellings, only=[0])
        return found if found.verdict is Verdict.FALLS else play(self, lab, _dummies)


def _spellings(lab: "Lab", number: int) -> tuple[Bits, Bits, Values]:
    targets = one_suspect(lab, number)
    with buyer(lab, copies=_FEW_COPIES) as attacker:
        base_id = attacker.upload(targets, pads=lab.cells.pads)
        readings = [attacker.ask(base_id, attacker.left_micro)[0]]
        for spelling in range(SPELLINGS):
            if spelling == _ENOUGH and all(_same(readings[0], reading) for reading in readings):
                # The store holds: what follows would be the same again.
                break
            readings.append(attacker.ask_again(base_id, turned=spelling, coarser=spelling // 2))
    return _guess(lab, targets, readings)


def _dummies(lab: "Lab", number: int) -> tuple[Bits, Bits, Values]:
    targets, readings = one_suspect(lab, number), list[Reading]()
    with buyer(lab, copies=_COPIES) as attacker:
        while _worth_asking(lab, attacker):
            # Every upload has a dummy id more than the last, every second question a dummy condition.
            base_id = attacker.upload(targets, pads=lab.cells.pads)
            reading, _ = attacker.ask(base_id, attacker.left_micro, dummy=len(readings) % 2 == 1)
            readings.append(reading)
    return _guess(lab, targets, readings)


def _worth_asking(lab: "Lab", attacker: Buyer) -> bool:
    return max(map(attacker.room.left, attacker.grants)) >= max(1, lab.limits.cap_rho_micro // _CRUMB)


def _guess(lab: "Lab", targets: Bits, readings: list[Reading]) -> tuple[Bits, Bits, Values]:
    # The order of a spelling is undone by name, so a stored answer is the same array and counts once.
    distinct: list[Reading] = []
    for reading in readings:
        if not any(_same(reading, known) for known in distinct):
            distinct.append(reading)
    seen = score(distinct, lab.cells.pads)
    return lab.cells.secrets[targets], seen > 0, seen


def _same(one: Reading, other: Reading) -> bool:
    return np.array_equal(one.values, other.values, equal_nan=True)
