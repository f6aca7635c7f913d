"""Rates, advantages and their confidence intervals; plain formulas, so that a report can be checked by hand."""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist, fmean, variance

from cleanroom.redteam.types import Interval

_SURE = 0.95


def wilson(hits: int, games: int, *, sure: float = _SURE) -> Interval:
    """Return the interval of a rate.

    Args:
        hits: at most `games`.
        games: independent ones; none at all say nothing, and the interval is everything.
        sure: how often an interval holds the truth.

    Source: Wilson 1927.
    """
    if games == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + sure) / 2)
    rate, weight = hits / games, z * z / games
    middle = (rate + weight / 2) / (1 + weight)
    reach = z * sqrt(rate * (1 - rate) / games + weight / (4 * games)) / (1 + weight)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def advantage_interval(
    hits: int, present: int, alarms: int, absent: int, *, sure: float = _SURE
) -> tuple[float, Interval]:
    """Return the advantage, true minus false positive rate, with its interval.

    Args:
        hits: guesses "present" among the games with the target present.
        present: games with the target present.
        alarms: guesses "present" among the games without the target.
        absent: games without the target.
        sure: how often an interval holds the truth.

    Source: Newcombe 1998, method 10 (differences of independent proportions from Wilson's intervals).
    """
    if present == 0 or absent == 0:
        return 0.0, (-1.0, 1.0)
    true, false = hits / present, alarms / absent
    (true_low, true_high), (false_low, false_high) = (
        wilson(hits, present, sure=sure),
        wilson(alarms, absent, sure=sure),
    )
    value = true - false
    low = value - sqrt((true - true_low) ** 2 + (false_high - false) ** 2)
    high = value + sqrt((true_high - true) ** 2 + (false - false_low) ** 2)
    return value, (low, high)


def advantage_of(
    secrets: Sequence[bool], guesses: Sequence[bool], *, sure: float = _SURE
) -> tuple[float, Interval]:
    """Return the advantage of guesses over secret bits, with its interval; every pair is a game of its own."""
    pairs = list(zip(secrets, guesses, strict=True))
    present = [guess for secret, guess in pairs if secret]
    absent = [guess for secret, guess in pairs if not secret]
    return advantage_interval(sum(present), len(present), sum(absent), len(absent), sure=sure)


def mean_interval(values: Sequence[float], *, sure: float = _SURE) -> tuple[float, Interval]:
    """Return a mean with its interval from independent groups, whose members may depend on each other.

    Args:
        values: one per group, at least two.
        sure: how often an interval holds the truth; by the normal approximation, so give it dozens of groups.
    """
    middle = fmean(values)
    reach = NormalDist().inv_cdf((1 + sure) / 2) * sqrt(variance(values, middle) / len(values))
    return middle, (middle - reach, middle + reach)
