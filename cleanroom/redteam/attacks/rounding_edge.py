"""Rounding edge: pad a cell until one person more would round to the next step, and add the target."""

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from cleanroom.redteam.attacks.games import one_suspect, play, score
from cleanroom.redteam.cells import GRID, Bits, Values, buyer
from cleanroom.redteam.types import AttackResult, Metric
from policies.model import PolicyDocument
from policies.rules import Rounding

if TYPE_CHECKING:
    from cleanroom.redteam.lab import Lab

_COPIES = 5


class RoundingEdge:
    """Where a policy does not round, a rule that does is added: it must not make anything worse."""

    name: ClassVar[str] = "rounding_edge"
    title: ClassVar[str] = (
        "Pad a cell until one person more would round to the next step, and add the target."
    )
    metric: ClassVar[Metric] = Metric.ADVANTAGE
    plants: ClassVar[tuple[str, ...]] = ("round_before_noise", "noise_off")

    def run(self, lab: "Lab") -> AttackResult:
        """Spend every budget on cells at the edge."""
        return play(self, lab, _edge)


def _rounding(lab: "Lab") -> tuple[int, PolicyDocument]:
    if lab.limits.round_to > 1:
        return lab.limits.round_to, lab.document
    return GRID, replace(lab.document, rules=(*lab.document.rules, Rounding(GRID)))


def _edge(lab: "Lab", number: int) -> tuple[Bits, Bits, Values]:
    grid, document = _rounding(lab)
    # A count of `edge` rounds up, one person fewer rounds down; a whole step below what may be padded.
    edge = lab.cells.pads // grid * grid - grid + -(-grid // 2)
    targets = one_suspect(lab, number)
    with buyer(lab, copies=_COPIES, document=document) as attacker:
        readings = attacker.spend(targets, pads=edge - 1)
    # Without the target the shown value lies below the step's middle as often as above it.
    seen = score(readings, edge - 1)
    return lab.cells.secrets[targets], seen > 0, seen
