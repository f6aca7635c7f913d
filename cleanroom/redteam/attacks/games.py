"""What the attacks on a crowd share: rounds, guesses, results."""

from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cleanroom.redteam.cells import SUSPECTS, AttackRefusedError, Bits, Reading, Values
from cleanroom.redteam.statistics import advantage_of
from cleanroom.redteam.types import Attack, AttackResult, Metric, Plot, Series

if TYPE_CHECKING:
    from cleanroom.redteam.lab import Lab

BINS = 40
Guess = Callable[["Lab", int], tuple[Bits, Bits, Values]]
"""A round of games: from its number to secrets, guesses, and the scores that the guesses were made by."""


def rounds(lab: "Lab") -> range:
    """Return as many rounds, each with one target in every cell, as make the games."""
    return range(ceil(lab.games / lab.cells.count))


def one_suspect(lab: "Lab", number: int) -> Bits:
    """Mark one suspect of every cell, another one in each round."""
    marked = np.zeros_like(lab.cells.secrets)
    marked[:, number % SUSPECTS] = True
    return marked


def score(readings: Sequence[Reading], expected: int) -> Values:
    """Weigh everything seen of each cell against what would be seen without the target; above zero says present."""
    total = np.zeros(readings[0].values.shape[1]) if readings else np.zeros(0)
    for reading in readings:
        total += (reading.filled() - expected - 0.5).sum(axis=0) / reading.sigma**2
    return total


def estimate(readings: Sequence[Reading]) -> tuple[Values, float]:
    """Return the best estimate of every cell's count from all that was seen of it, and its inverse variance."""
    total = np.sum([reading.filled().sum(axis=0) / reading.sigma**2 for reading in readings], axis=0)
    weight = sum(len(reading.values) / reading.sigma**2 for reading in readings)
    return total / weight, weight


def play(attack: Attack, lab: "Lab", games: Guess, *, only: Sequence[int] | None = None) -> AttackResult:
    """Play rounds of games and measure the advantage.

    Args:
        attack: for its name.
        lab: where.
        games: plays one round.
        only: these rounds; all when not given.
    """
    secrets: list[Bits] = []
    guesses: list[Bits] = []
    scores: list[Values] = []
    try:
        chosen = rounds(lab) if only is None else only
        for number in chosen:
            lab.progress(attack.name, number / len(chosen))
            secret, guess, seen = games(lab, number)
            secrets.append(secret)
            guesses.append(guess)
            scores.append(seen)
    except AttackRefusedError as refused:
        return refused_result(attack, refused, lab.buyer_limit)
    all_secrets, all_guesses = np.concatenate(secrets), np.concatenate(guesses)
    value, interval = advantage_of(all_secrets.tolist(), all_guesses.tolist())
    return AttackResult(
        attack.name,
        Metric.ADVANTAGE,
        value,
        interval,
        lab.buyer_limit,
        len(all_secrets),
        two_worlds(all_secrets, np.concatenate(scores)),
    )


def refused_result(attack: Attack, refused: AttackRefusedError, limit: float) -> AttackResult:
    """Return the result of an attack that may not even ask."""
    value = 0.0 if attack.metric is Metric.ADVANTAGE else 0.5
    return AttackResult(
        attack.name, attack.metric, value, (value, value), limit, 0, note=f"Refused by: {refused.rules}."
    )


def two_worlds(secrets: Bits, scores: Values) -> Plot:
    """Draw how the attacker's score is distributed with and without the target."""
    low, high = np.quantile(scores, [0.001, 0.999])
    edges = np.linspace(low, max(high, low + 1e-9), BINS + 1)
    return Plot(
        "what the attacker sees",
        "share of targets",
        tuple(
            Series(name, tuple(_histogram(scores[secrets == present], edges)), "bars")
            for name, present in (("target absent", False), ("target present", True))
        ),
    )


def _histogram(values: Values, edges: NDArray[np.float64]) -> Iterator[tuple[float, float]]:
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True):
        yield float(left + right) / 2, float(count) / max(1, len(values))
