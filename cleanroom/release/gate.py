"""The gate: exact counts go in, released figures come out, and nothing else does."""

import math
from collections.abc import Sequence

from cleanroom.release.mechanism import FAMILY, add_noise, calibrate
from cleanroom.release.types import Cell, Mechanism, ReleasedFigure
from policies.mechanisms import half_width, suppression_threshold


def plan_mechanism(*, l0: int, rho_micro: int, minimum_audience: int, round_to: int) -> Mechanism:
    """Say, from public parameters only, how a question's figures will be made; an estimate and a release agree on it.

    Args:
        l0: cells that one person can change.
        rho_micro: the budget of the question.
        minimum_audience: smallest audience the rule lets out, in people.
        round_to: grid of the shown values, in people; 1 keeps every value.
    """
    sigma = calibrate(l0, rho_micro)
    return Mechanism(
        family=FAMILY,
        l0=l0,
        rho_micro=rho_micro,
        sigma=sigma,
        minimum_audience=minimum_audience,
        threshold=math.ceil(suppression_threshold(minimum_audience, sigma)),
        half_width=half_width(sigma, round_to),
        round_to=round_to,
    )


def release_cells(cells: Sequence[Cell], mechanism: Mechanism) -> tuple[ReleasedFigure, ...]:
    """Turn exact counts into released figures: noise, then suppression, then consistency, then rounding.

    Suppression looks at the noisy value only, or padding to the minimum would reveal one person. A cell is never shown
    above the cell that contains it; that, like clipping at zero, is post-processing and costs nothing.

    Args:
        cells: containing cells before contained ones.
        mechanism: from `plan_mechanism`; its l0 must bound what one person can change in these cells.

    Returns:
        One figure per cell, in order.
    """
    noisy = add_noise([cell.exact for cell in cells], sigma=mechanism.sigma)
    shown: dict[str, int] = {}
    figures = []
    for cell, value in zip(cells, noisy, strict=True):
        ceiling = shown.get(cell.within) if cell.within is not None else None
        figure = _figure(cell.name, value, ceiling, mechanism)
        if figure.value is not None:
            shown[cell.name] = figure.value
        figures.append(figure)
    return tuple(figures)


def _figure(name: str, noisy: int, ceiling: int | None, mechanism: Mechanism) -> ReleasedFigure:
    if noisy < mechanism.threshold:
        return ReleasedFigure(name, None, True, mechanism.sigma, None)
    consistent = noisy if ceiling is None else min(noisy, ceiling)
    value = round_half_up(consistent, mechanism.round_to)
    # The interval stands around the noisy value, which is unbiased, and is stretched to contain the value shown.
    low = max(0, min(noisy - mechanism.half_width, value))
    high = max(noisy + mechanism.half_width, value)
    return ReleasedFigure(name, value, False, mechanism.sigma, (low, high))


def round_half_up(value: int, grid: int) -> int:
    """Bring a count to the nearest multiple of the grid; a half goes up."""
    return (value + grid // 2) // grid * grid
