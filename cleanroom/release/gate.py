"""The gate: exact counts and sums go in, released figures come out, and nothing else does."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from cleanroom.release.errors import CalibrationError
from cleanroom.release.mechanism import FAMILY, add_noise, calibrate
from cleanroom.release.open_keys import draw, plan_open_keys
from cleanroom.release.types import Cell, Mechanism, ReleasedFigure, SumNoise
from policies.attributes import AttributeInfo
from policies.decision import Permit
from policies.l0 import side_l0
from policies.mechanisms import half_width, suppression_threshold


def mechanism_of(permit: Permit, attributes: Mapping[str, AttributeInfo]) -> Mechanism:
    """Say how the figures of a permitted question will be made; an estimate and a release agree on it.

    Args:
        permit: the decision; its limits, price and sensitivity are all that counts.
        attributes: the dataset's declared attributes, by name.
    """
    sums = {name: attributes[name] for name in permit.question.sums}
    return plan_mechanism(
        l0=permit.l0,
        rho_micro=permit.rho_micro,
        minimum_audience=permit.limits.minimum_audience,
        minimums=permit.limits.output_minimums,
        round_to=permit.limits.round_to,
        sums=sums,
        sum_l0=side_l0(permit.question, attributes) if sums else 0,
        open_breakdown=permit.question.open_breakdown,
        delta_pico=permit.delta_pico,
    )


def plan_mechanism(
    *,
    l0: int,
    rho_micro: int,
    minimum_audience: int,
    round_to: int,
    minimums: Mapping[str, int] | None = None,
    sums: Mapping[str, AttributeInfo] | None = None,
    sum_l0: int = 0,
    open_breakdown: str | None = None,
    delta_pico: int = 0,
) -> Mechanism:
    """Say, from public parameters only, how figures will be made.

    Args:
        l0: cells that one person can change, sums included.
        rho_micro: the budget of the question.
        minimum_audience: smallest audience the rule lets out, in people.
        round_to: grid of the shown counts, in people; 1 keeps every value.
        minimums: of the outputs that need more people, by output; smaller ones have no effect.
        sums: the attributes added up, by name, each with its declared clamp.
        sum_l0: how many sums of one attribute one person can change.
        open_breakdown: an open category to break the overlap down by; it is one of the l0 cells.
        delta_pico: what that costs besides, in 10^-12.
    """
    summed = sums or {}
    bounds = tuple((info.largest, sum_l0) for info in summed.values())
    sigma = calibrate(l0, rho_micro, bounds, open_keys=open_breakdown is not None)
    threshold = math.ceil(suppression_threshold(minimum_audience, sigma))
    larger = {output: least for output, least in (minimums or {}).items() if least > minimum_audience}
    plain = Mechanism(
        family=FAMILY,
        l0=l0,
        rho_micro=rho_micro,
        sigma=sigma,
        minimum_audience=minimum_audience,
        threshold=threshold,
        half_width=half_width(sigma, round_to),
        round_to=round_to,
        sums=tuple(_sum_noise(name, info, sum_l0, sigma) for name, info in summed.items()),
        minimums=larger,
    )
    if open_breakdown is None:
        return plain
    shown_from = plain.threshold_of("breakdown")
    keys = plan_open_keys(open_breakdown, sigma=sigma, delta_pico=delta_pico, shown_from=shown_from)
    return replace(plain, open_keys=keys)


def _sum_noise(name: str, info: AttributeInfo, l0: int, sigma: float) -> SumNoise:
    lowest, highest = info.clamp or (0, 0)
    noise = sigma * info.largest
    return SumNoise(name, lowest, highest, info.scale, l0, noise, half_width(noise))


def release_cells(cells: Sequence[Cell], mechanism: Mechanism) -> tuple[ReleasedFigure, ...]:
    """Turn exact counts and sums into released figures: noise, then suppression, then consistency, then rounding.

    Suppression looks at the noisy count only, or padding to the minimum would reveal one person; a sum is shown when
    the count of its people is. A cell is never shown above the cell that contains it, nor a sum beyond what the people
    shown can add up to; that, like clipping at zero, is post-processing and costs nothing.

    Args:
        cells: containing cells before contained ones, and counts before the sums over the same people.
        mechanism: from `plan_mechanism`; its l0 must bound what one person can change in these cells.

    Returns:
        One figure per cell, in order; then one for each key shown of a breakdown over unknown keys, sorted by name.
    """
    unknown, cells = [cell for cell in cells if cell.open], [cell for cell in cells if not cell.open]
    noisy = _noisy(cells, mechanism)
    sums = {noise.attribute: noise for noise in mechanism.sums}
    shown: dict[str, int] = {}
    figures = []
    for cell in cells:
        within = shown.get(cell.within) if cell.within is not None else None
        if cell.attribute is not None:
            if cell.within is not None and noisy[cell.within] < mechanism.threshold_of(cell.name):
                within = None
            figures.append(_sum(cell.name, noisy[cell.name], within, sums[cell.attribute]))
            continue
        figure = _count(cell.name, noisy[cell.name], within, mechanism)
        if figure.value is not None:
            shown[cell.name] = figure.value
        figures.append(figure)
    return (*figures, *_over_unknown_keys(unknown, shown, mechanism))


def _over_unknown_keys(
    cells: Sequence[Cell], shown: Mapping[str, int], mechanism: Mechanism
) -> list[ReleasedFigure]:
    if mechanism.open_keys is None:
        if cells:
            raise CalibrationError("Cells over unknown keys need a mechanism that was planned for them.")
        return []
    within = {cell.name: cell.within or "" for cell in cells}
    drawn = draw({cell.name: cell.exact for cell in cells}, mechanism.open_keys, sigma=mechanism.sigma)
    return [_count(name, noisy, shown.get(within[name]), mechanism) for name, noisy in drawn.items()]


def _noisy(cells: Sequence[Cell], mechanism: Mechanism) -> dict[str, int]:
    """Draw one vector for all counts, and one for all sums of each attribute."""
    scales = [(None, mechanism.sigma), *((noise.attribute, noise.sigma) for noise in mechanism.sums)]
    noisy: dict[str, int] = {}
    for attribute, sigma in scales:
        drawn = [cell for cell in cells if cell.attribute == attribute]
        values = add_noise([cell.exact for cell in drawn], sigma=sigma)
        noisy.update(zip((cell.name for cell in drawn), values, strict=True))
    return noisy


def _count(name: str, noisy: int, ceiling: int | None, mechanism: Mechanism) -> ReleasedFigure:
    if noisy < mechanism.threshold_of(name):
        return ReleasedFigure(name, None, True, mechanism.sigma, None)
    consistent = noisy if ceiling is None else min(noisy, ceiling)
    value = round_half_up(consistent, mechanism.round_to)
    # The interval stands around the noisy value, which is unbiased, and is stretched to contain the value shown.
    low = max(0, min(noisy - mechanism.half_width, value))
    high = max(noisy + mechanism.half_width, value)
    return ReleasedFigure(name, value, False, mechanism.sigma, (low, high))


def _sum(name: str, noisy: int, people: int | None, noise: SumNoise) -> ReleasedFigure:
    if people is None:
        return ReleasedFigure(name, None, True, noise.sigma, None, noise.scale)
    # Someone without a value adds nothing, so zero is always among what one person can add.
    least, most = min(noise.lowest, 0), max(noise.highest, 0)
    value = min(max(noisy, least * people), most * people)
    low, high = min(noisy - noise.half_width, value), max(noisy + noise.half_width, value)
    interval = (low if least else max(0, low), high if most else min(0, high))
    return ReleasedFigure(name, value, False, noise.sigma, interval, noise.scale)


def round_half_up(value: int, grid: int) -> int:
    """Bring a count to the nearest multiple of the grid; a half goes up."""
    return (value + grid // 2) // grid * grid
