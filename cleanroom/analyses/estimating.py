"""Estimates: from the decision on a question, rehearsed, to what its asker is told; no data is looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

from cleanroom.analyses.cells import OVERLAP
from cleanroom.analyses.errors import NamedSizeError
from cleanroom.analyses.estimate_types import Chance, Estimate, FigureEstimate
from cleanroom.analyses.steps import Answered, Refused, Reserved
from cleanroom.analyses.suggesting import suggestions_at
from cleanroom.analyses.types import Outcome
from cleanroom.grants.types import Amount, Grant
from cleanroom.release.types import Mechanism, SumNoise
from policies.accounting import DELTA, MICRO, advantage, questions_left, rho_to_epsilon
from policies.attributes import AttributeInfo
from policies.mechanisms import chance_suppressed
from policies.unknown_keys import PICO

MAX_SIZE = 1_000_000_000
MAX_SIZES = 100
MAX_CHANCES = 100_000
"""Of all figures at all sizes: what they take in memory is many times what a request brings."""


def charged_by(begun: Refused | Answered | Reserved) -> Amount:
    """Return what the first half of a question has taken out of its grant."""
    if not isinstance(begun, Reserved):
        return Amount(0)
    return Amount(begun.reservation.rho_micro, begun.reservation.delta_pico)


def left_by(begun: Refused | Answered | Reserved, grant: Grant) -> Amount:
    """Return what a question has left of its grant, as its receipt says; the grant is as it stood before."""
    if not isinstance(begun, Reserved):
        return Amount(grant.left_micro, grant.left_delta_pico)
    return Amount(begun.reservation.left_after_micro, begun.reservation.left_after_delta_pico)


def estimate_of(
    begun: Refused | Answered | Reserved,
    grant: Grant,
    attributes: Mapping[str, AttributeInfo],
    *,
    sizes: Sequence[int],
    expected: Mapping[str, int],
) -> Estimate:
    """Say what asking would bring, from the outcome of a rehearsed first half.

    Args:
        begun: how the first half ended.
        grant: as it stood at its end.
        attributes: the dataset's, by name.
        sizes: true counts, in people, to give the chance of suppression at.
        expected: by a figure's name, how many people the asker expects in it.

    Raises:
        NamedSizeError: a size out of range, too many of them, or a name that the question has no figure of.
    """
    _check(sizes, expected)
    charged = charged_by(begun)
    told = Estimate(
        outcome=Outcome.REFUSED,
        figures=(),
        mechanism=None,
        reasons=(),
        missing=(),
        charged_micro=charged.rho_micro,
        left_micro=grant.left_micro,
        charged_delta_pico=charged.delta_pico,
        left_delta_pico=grant.left_delta_pico,
        epsilon=None,
        delta=DELTA,
        advantage=None,
        questions_left=None,
    )
    if isinstance(begun, Refused):
        return replace(told, reasons=begun.reasons, missing=begun.missing)
    fresh = isinstance(begun, Reserved)
    mechanism = begun.ticket.mechanism if isinstance(begun, Reserved) else begun.found.mechanism
    price = Amount(mechanism.rho_micro, mechanism.open_keys.delta_pico if mechanism.open_keys else 0)
    rho = mechanism.rho_micro / MICRO
    return replace(
        told,
        outcome=Outcome.RELEASED if fresh else Outcome.STORED,
        figures=_figures(begun, mechanism, sizes, expected),
        mechanism=mechanism,
        epsilon=rho_to_epsilon(rho),
        delta=DELTA + price.delta_pico / PICO,
        advantage=advantage(rho),
        questions_left=_questions_left(Amount(grant.left_micro, grant.left_delta_pico) + charged, price),
        suggestions=suggestions_at(expected, mechanism, begun.layout, attributes) if expected else (),
    )


def _questions_left(left: Amount, price: Amount) -> int:
    paid = questions_left(left.rho_micro, price.rho_micro)
    return min(paid, left.delta_pico // price.delta_pico) if price.delta_pico else paid


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
    names = [name for asked in begun.layout.asked_names().values() for name in asked]
    if len(names) * len(sizes) > MAX_CHANCES:
        raise NamedSizeError(
            f"An estimate tells at most {MAX_CHANCES} chances; {len(names)} figures at {len(sizes)} sizes are more.",
            remedy=f"Name at most {MAX_CHANCES // len(names)} sizes, or those that you expect of single figures.",
        )
    unknown = expected.keys() - set(names)
    if unknown:
        raise NamedSizeError(
            f"The question has no figure {min(unknown)[:80]!r} to expect a size of.",
            remedy="Name a figure as the answer does, such as `overlap` or `segment:NAME`.",
        )

    @cache
    def chance(size: int, shown_from: int) -> Chance:
        return Chance(size, chance_suppressed(size, shown_from=shown_from, sigma=mechanism.sigma))

    @cache
    def chances(shown_from: int) -> tuple[Chance, ...]:
        return tuple(chance(size, shown_from) for size in sizes)

    def figure(name: str, threshold: int) -> FigureEstimate:
        noise = mechanism.noise_of(name)
        return FigureEstimate(
            name=name,
            sigma=noise.sigma,
            half_width=noise.half_width,
            threshold=threshold,
            chances=chances(threshold),
            expected=chance(expected[name], threshold) if name in expected else None,
            scale=noise.scale if isinstance(noise, SumNoise) else None,
        )

    figures = tuple(figure(name, _threshold(mechanism, name)) for name in names)
    keys = mechanism.open_keys
    return figures if keys is None else (*figures, figure(f"breakdown:{keys.attribute}=*", keys.threshold))


def _threshold(mechanism: Mechanism, name: str) -> int:
    """Return the noisy count of people at which a figure is shown; for a sum, their own count must be shown as well."""
    noise = mechanism.noise_of(name)
    if not isinstance(noise, SumNoise):
        return mechanism.threshold_of(name)
    people = name.removeprefix(f"sum:{noise.attribute}").removeprefix(":") or OVERLAP
    return max(mechanism.threshold_of(name), mechanism.threshold_of(people))
