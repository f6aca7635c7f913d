"""The game behind most attacks: is the target among the people counted, yes or no?

Its measure is the advantage: true minus false positive rate, 0 for a coin and 1 for certainty.
"""

from collections.abc import Callable, Sequence
from math import log, sqrt
from statistics import NormalDist

from cleanroom.redteam.types import AttackResult
from cleanroom.release import service
from cleanroom.release.types import Cell, Mechanism, ReleasedFigure

GAMES = 20_000
# Hoeffding: either rate, of 20,000 games, is off by more than this less than once in a million runs; both together
# are off by less than twice this.
MARGIN = 2 * sqrt(log(4e6) / (2 * GAMES))

Guess = Callable[[Sequence[ReleasedFigure]], bool]


def answers(
    exact: int, mechanism: Mechanism, *, games: int = GAMES, each: int = 1
) -> list[tuple[ReleasedFigure, ...]]:
    """Ask the same number of people in many independent rooms, `each` times in every room."""
    cells = [Cell(f"{at}", exact, None) for at in range(games * each)]
    # Through the module, so that a planted fault takes effect.
    figures = service.release_cells(cells, mechanism)
    return [figures[at : at + each] for at in range(0, games * each, each)]


def advantage_of(
    guess: Guess, *, without: int, mechanism: Mechanism, games: int = GAMES, each: int = 1
) -> float:
    """Play with and without the target; how much better than a coin is the guess?"""
    rates = [
        sum(map(guess, answers(exact, mechanism, games=games, each=each))) / games
        for exact in (without + 1, without)
    ]
    return rates[0] - rates[1]


def certainly_above(found: AttackResult) -> bool:
    """Tell whether a value lies above its limit by more than chance brings about once in a million runs."""
    reach = (found.value - found.interval95[0]) * NormalDist().inv_cdf(1 - 1e-6) / NormalDist().inv_cdf(0.975)
    return found.value - reach > found.limit
