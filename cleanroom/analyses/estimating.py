"""Estimates: from the decision on a question, rehearsed, to what its asker is told; no data is looked at."""

from collections.abc import Mapping, Sequence
from functools import cache

from cleanroom.analyses.errors import NamedSizeError
from cleanroom.analyses.estimate_types import Chance, Estimate, FigureEstimate
from cleanroom.analyses.steps import Answered, Refused, Reserved
from cleanroom.analyses.types import Outcome
from cleanroom.release.types import Mechanism, SumNoise
from policies.accounting import DELTA, MICRO, advantage, questions_left, rho_to_epsilon
from policies.mechanisms import chance_suppressed

MAX_SIZE = 1_000_000_000
MAX_SIZES = 100


def estimate_of(
    begun: Refused | Answered | Reserved,
    *,
    left_micro: int,
    sizes: Sequence[int],
    expected: Mapping[str, int],
) -> Estimate:
    """Say what asking would bring, from the outcome of a rehearsed first half.

    Args:
        begun: how the first half ended.
        left_micro: what the grant had left at its end, in micro-rho.
        sizes: true counts, in people, to give the chance of suppression at.
        expected: by a figure's name, how many people the asker expects in it.

    Raises:
        NamedSizeError: a size out of range, too many of them, or a name that the question has no figure of.
    """
    _check(sizes, expected)
    if isinstance(begun, Refused):
        return Estimate(
            outcome=Outcome.REFUSED,
            figures=(),
            mechanism=None,
            reasons=begun.reasons,
            missing=begun.missing,
            charged_micro=0,
            left_micro=left_micro,
            epsilon=None,
            delta=DELTA,
            advantage=None,
            questions_left=None,
        )
    fresh = isinstance(begun, Reserved)
    mechanism = begun.ticket.mechanism if isinstance(begun, Reserved) else begun.found.mechanism
    charged_micro = mechanism.rho_micro if fresh else 0
    rho = mechanism.rho_micro / MICRO
    return Estimate(
        outcome=Outcome.RELEASED if fresh else Outcome.STORED,
        figures=_figures(begun, mechanism, sizes, expected),
        mechanism=mechanism,
        reasons=(),
        missing=(),
        charged_micro=charged_micro,
        left_micro=left_micro,
        epsilon=rho_to_epsilon(rho, DELTA),
        delta=DELTA,
        advantage=advantage(rho),
        questions_left=questions_left(left_micro + charged_micro, mechanism.rho_micro),
    )


def _check(sizes: Sequence[int], expected: Mapping[str, int]) -> None:
    if len(sizes) > MAX_SIZES:
        raise NamedSizeError(
            f"An estimate takes at most {MAX_SIZES} sizes, not {len(sizes)}.", remedy="Name fewer."
        )
    if not all(type(size) is int and 0 <= size <= MAX_SIZE for size in (*sizes, *expected.values())):
        raise NamedSizeError(
            f"A size is a whole number of people from 0 to {MAX_SIZE}.", remedy="Name another size."
        )


def _figures(
    begun: Answered | Reserved, mechanism: Mechanism, sizes: Sequence[int], expected: Mapping[str, int]
) -> tuple[FigureEstimate, ...]:
    @cache
    def chance(size: int) -> Chance:
        suppressed = chance_suppressed(
            size, minimum_audience=mechanism.minimum_audience, sigma=mechanism.sigma
        )
        return Chance(size, suppressed)

    chances = tuple(chance(size) for size in sizes)
    names = [name for asked in begun.layout.asked_names().values() for name in asked]
    unknown = expected.keys() - set(names)
    if unknown:
        raise NamedSizeError(
            f"The question has no figure {min(unknown)[:80]!r} to expect a size of.",
            remedy="Name a figure as the answer does, such as `overlap` or `segment:NAME`.",
        )
    return tuple(
        _figure(name, mechanism, chances, chance(expected[name]) if name in expected else None)
        for name in names
    )


def _figure(
    name: str, mechanism: Mechanism, chances: tuple[Chance, ...], expected: Chance | None
) -> FigureEstimate:
    noise = mechanism.noise_of(name)
    return FigureEstimate(
        name=name,
        sigma=noise.sigma,
        half_width=noise.half_width,
        threshold=mechanism.threshold,
        chances=chances,
        expected=expected,
        scale=noise.scale if isinstance(noise, SumNoise) else None,
    )
