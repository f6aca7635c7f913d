"""Reconstruction: random sub-bases and least squares, or one padded cell for each target; a whole list at once."""

from math import ceil
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cleanroom.redteam.attacks.games import estimate, one_suspect, refused_result, score, two_worlds
from cleanroom.redteam.cells import PARTS, SUSPECTS, AttackRefusedError, Bits, Values, buyer
from cleanroom.redteam.statistics import mean_interval
from cleanroom.redteam.types import AttackResult, Metric

if TYPE_CHECKING:
    from cleanroom.redteam.lab import Lab

# A share of bits needs fewer games than a difference of two rates.
_SHARE_OF_GAMES = 2
# The inverse variance of a bit that is 1 as often as 0.
_PRIOR = 4.0
# Of the many questions of least squares; the few of one cell each count every cell as often as can be.
_COPIES = 3


class Reconstruction:
    """Both ways, each with a whole budget of its own; the better one is reported.

    Nobody who guesses a bit that is 1 as often as 0 can be right more often than (1 + advantage) / 2, so that is the
    limit: 0.59 under a cap of 0.1.
    """

    name: ClassVar[str] = "reconstruction"
    title: ClassVar[str] = (
        "Reconstruct a list: random sub-bases and least squares, or one padded cell per person."
    )
    metric: ClassVar[Metric] = Metric.ACCURACY
    plants: ClassVar[tuple[str, ...]] = ("noise_off",)

    def run(self, lab: "Lab") -> AttackResult:
        """Run both and keep the better one."""
        limit = (1 + lab.buyer_limit) / 2
        try:
            found = [
                _result(*_least_squares(lab), limit, "Random sub-bases and least squares did best."),
                _result(*_one_cell_each(lab), limit, "One padded cell for each person did best."),
            ]
        except AttackRefusedError as refused:
            return refused_result(self, refused, limit)
        return max(found, key=lambda result: result.value)


def _result(secrets: Bits, seen: Values, limit: float, note: str) -> AttackResult:
    """Share of bits found, one row for each cell: the bits of a cell may depend on each other, those of two do not."""
    value, interval = mean_interval(((seen > 0) == secrets).mean(axis=1).tolist())
    return AttackResult(
        Reconstruction.name,
        Reconstruction.metric,
        value,
        interval,
        limit,
        secrets.size,
        two_worlds(secrets.ravel(), seen.ravel()),
        note,
    )


def _least_squares(lab: "Lab") -> tuple[Bits, Values]:
    """Count eight random sub-sets of the eight suspects of each cell, and solve for the suspects."""
    secrets, chance = lab.cells.secrets, np.random.default_rng(lab.random("sub-bases").getrandbits(64))
    picked = chance.random((PARTS, *secrets.shape)) < 0.5
    counts, weights = [], []
    with buyer(lab, copies=_COPIES) as attacker:
        part = attacker.left_micro // PARTS
        for number, marked in enumerate(picked):
            lab.progress(Reconstruction.name, number / PARTS / 2)
            count, weight = estimate(attacker.spend(marked, pads=lab.cells.pads, budget_micro=part))
            counts.append(count - lab.cells.pads)
            weights.append(weight)
    rows = picked.transpose(1, 0, 2).astype(np.float64)
    centred = np.array(counts).T - rows.sum(axis=2) / 2
    weighted = rows * np.array(weights)[None, :, None]
    normal = np.einsum("cpi,cpj->cij", weighted, rows) + _PRIOR * np.eye(SUSPECTS)
    seen: Values = np.linalg.solve(normal, np.einsum("cpi,cp->ci", weighted, centred)[..., None])[..., 0]
    return secrets, seen


def _one_cell_each(lab: "Lab") -> tuple[Bits, Values]:
    """Spend a whole budget on one suspect of each cell, as differencing does; one column for each round."""
    rounds = ceil(lab.games / _SHARE_OF_GAMES / lab.cells.count)
    secrets, seen = [], []
    for number in range(rounds):
        lab.progress(Reconstruction.name, 0.5 + number / rounds / 2)
        targets = one_suspect(lab, number)
        with buyer(lab) as attacker:
            seen.append(score(attacker.spend(targets, pads=lab.cells.pads), lab.cells.pads))
        secrets.append(lab.cells.secrets[targets])
    return np.array(secrets).T, np.array(seen).T
