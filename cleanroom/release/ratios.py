"""Match rates, shares, affinity indices and means, made of released figures only."""

from collections.abc import Mapping, Sequence

from cleanroom.release.types import ReleasedFigure, ReleasedRatio, SumNoise
from policies.mechanisms import Z95

# Ends that hold for two counts at once, or for four, with 95% together (Bonferroni): in multiples of sigma.
_Z_JOINT = {2: 2.241403, 4: 2.497705}

_Ends = tuple[float, float]


def ratios(
    figures: Sequence[ReleasedFigure], *, base_persons: int, sums: Sequence[SumNoise] = ()
) -> tuple[ReleasedRatio, ...]:
    """Divide released figures by one another.

    Args:
        figures: of one answer, among them perhaps `dataset` and counts that begin with `dataset:`.
        base_persons: exact size of the asker's own base, which the asker knows.
        sums: how the sums among the figures were made.

    Returns:
        Match rates of either side, the share of each part in the overlap, the affinity index of each part whose
        dataset-side count was released, and the mean of each sum over its people, those without a value included.
        A provider's size enters only as released.
    """
    by_name = {figure.name: figure for figure in figures}
    overlap = by_name["overlap"]
    found = [_over_known("match_rate:base", overlap, base_persons)]
    if "dataset" in by_name:
        found.append(
            _quotient("match_rate:dataset", overlap, by_name["dataset"], _ends(by_name["dataset"], 2))
        )
    sided, ends = "dataset" in by_name, _ends(overlap, 2)
    for figure in figures:
        if figure.name.startswith(("segment:", "breakdown:", "label:", "key:")):
            found.append(_quotient(f"share:{figure.name}", figure, overlap, ends))
        if sided and f"dataset:{figure.name}" in by_name:
            found.append(_affinity(figure, by_name))
    for noise in sums:
        prefix = f"sum:{noise.attribute}"
        for figure in figures:
            if f"{figure.name}:".startswith(f"{prefix}:"):
                people = by_name[figure.name[len(prefix) + 1 :] or "overlap"]
                found.append(_mean(f"mean{figure.name[3:]}", figure, people, noise))
    return tuple(found)


def _over_known(name: str, figure: ReleasedFigure, known: int) -> ReleasedRatio:
    if figure.value is None or figure.interval95 is None or known == 0:
        return ReleasedRatio(name, None, None)
    return ReleasedRatio(
        name,
        min(1.0, figure.value / known),
        (figure.interval95[0] / known, min(1.0, figure.interval95[1] / known)),
    )


def _quotient(name: str, part: ReleasedFigure, whole: ReleasedFigure, whole_ends: _Ends) -> ReleasedRatio:
    if part.value is None or not whole.value:
        return ReleasedRatio(name, None, None)
    part_ends = _ends(part, 2)
    low = part_ends[0] / whole_ends[1]
    high = min(1.0, part_ends[1] / whole_ends[0]) if whole_ends[0] > 0 else 1.0
    return ReleasedRatio(name, min(1.0, part.value / whole.value), (low, high))


def _mean(name: str, total: ReleasedFigure, people: ReleasedFigure, noise: SumNoise) -> ReleasedRatio:
    if total.value is None or total.interval95 is None or not people.value:
        return ReleasedRatio(name, None, None, noise.scale)
    stretch = (_Z_JOINT[2] - Z95) * total.sigma
    low, high = total.interval95[0] - stretch, total.interval95[1] + stretch
    # Dividing by few people carries an end away from zero, dividing by many carries it towards zero.
    fewest, most = (max(1.0, end) for end in _ends(people, 2))
    low /= fewest if low < 0 else most
    high /= most if high < 0 else fewest
    # Whoever is counted adds something between the bounds, or nothing at all.
    least, greatest = min(noise.lowest, 0), max(noise.highest, 0)
    interval = (min(max(low, least), greatest), min(max(high, least), greatest))
    return ReleasedRatio(name, total.value / people.value, interval, noise.scale)


def _affinity(part: ReleasedFigure, by_name: Mapping[str, ReleasedFigure]) -> ReleasedRatio:
    name = f"affinity:{part.name}"
    parts = (part, by_name["overlap"], by_name[f"dataset:{part.name}"], by_name["dataset"])
    values = [figure.value for figure in parts]
    if any(not value for value in values):
        return ReleasedRatio(name, None, None)
    inside, overlap, outside, dataset = (float(value or 0) for value in values)
    ends = [_ends(figure, 4) for figure in parts]
    low = 100 * ends[0][0] * ends[3][0] / (ends[1][1] * ends[2][1])
    divisor = ends[1][0] * ends[2][0]
    high = 100 * ends[0][1] * ends[3][1] / divisor if divisor > 0 else None
    return ReleasedRatio(name, 100 * (inside / overlap) / (outside / dataset), (low, high))


def _ends(figure: ReleasedFigure, jointly: int) -> _Ends:
    low, high = figure.interval95 or (0, 0)
    stretch = (_Z_JOINT[jointly] - Z95) * figure.sigma
    return max(0.0, low - stretch), high + stretch
