"""Faults at the gate: noise, suppression, rounding, stored answers."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from cleanroom.analyses import deciding
from cleanroom.redteam.plants.registry import plant, swapped
from cleanroom.release import gate
from cleanroom.release import service as release_service
from cleanroom.release.gate import release_cells, round_half_up
from cleanroom.release.service import ReleaseService
from cleanroom.release.types import Cell, Mechanism, ReleasedFigure

Release = Callable[[Sequence[Cell], Mechanism], tuple[ReleasedFigure, ...]]
_EVERYTHING = -(2**62)


@plant("Exact counts leave the gate without noise.")
def noise_off() -> Iterator[None]:
    """Add nothing."""

    def faulty(counts: Sequence[int], **_stated: float) -> list[int]:
        return [int(count) for count in counts]

    with swapped(gate, "add_noise", lambda _sound: faulty):
        yield


@plant("A cell is withheld when its true count, and not its noisy one, is below the minimum.")
def threshold_on_true() -> Iterator[None]:
    """Suppress as most clean rooms do."""

    def make(sound: Release) -> Release:
        def faulty(cells: Sequence[Cell], mechanism: Mechanism) -> tuple[ReleasedFigure, ...]:
            small = {
                cell.name
                for cell in cells
                if cell.attribute is None and cell.exact < mechanism.minimum_of(cell.name)
            }
            figures = sound(cells, replace(mechanism, threshold=_EVERYTHING, minimums={}))
            return tuple(
                replace(figure, value=None, suppressed=True, interval95=None)
                if figure.name in small
                else figure
                for figure in figures
            )

        return faulty

    with swapped(release_service, "release_cells", make):
        yield


@plant("True counts are rounded, and the noise comes after.")
def round_before_noise() -> Iterator[None]:
    """Let one person move a count by a whole step of the grid."""

    def make(sound: Release) -> Release:
        def faulty(cells: Sequence[Cell], mechanism: Mechanism) -> tuple[ReleasedFigure, ...]:
            grid = mechanism.round_to
            rounded = [
                replace(cell, exact=round_half_up(cell.exact, grid)) if cell.attribute is None else cell
                for cell in cells
            ]
            return sound(rounded, mechanism)

        return faulty

    with swapped(release_service, "release_cells", make):
        yield


@plant("The noise of a cell is a function of its place and true count: equal counts get equal answers.")
def noise_seeded_by_content() -> Iterator[None]:
    """Seed each cell's noise."""

    def faulty(counts: Sequence[int], *, sigma: float) -> list[int]:
        return [
            int(count) + round(random.Random(f"{place}:{count}:{sigma}").gauss(0, sigma))  # noqa: S311
            for place, count in enumerate(counts)
        ]

    with swapped(gate, "add_noise", lambda _sound: faulty):
        yield


@plant("The noise of a question is drawn once and kept under a key that leaves the base out.")
def cache_key_without_base() -> Iterator[None]:
    """Give the same question over another base the same noise."""
    kept = dict[tuple[int, float], list[int]]()

    def make(sound: Callable[..., list[int]]) -> Callable[..., list[int]]:
        def faulty(counts: Sequence[int], *, sigma: float) -> list[int]:
            key = (len(counts), sigma)
            if key not in kept:
                kept[key] = sound([0] * len(counts), sigma=sigma)
            return [int(count) + noise for count, noise in zip(counts, kept[key], strict=True)]

        return faulty

    with swapped(gate, "add_noise", make):
        yield


@plant("A stored answer keeps its true counts, and gets fresh noise each time it is asked for again.")
def stored_answers_renoised() -> Iterator[None]:
    """Give draws away for nothing."""
    kept = dict[str, Sequence[Cell]]()

    def keep(sound: Callable[..., Any]) -> Callable[..., Any]:
        def release(self: ReleaseService, tx: Any, ticket: Any, cells: Sequence[Cell], **when: Any) -> Any:
            kept[ticket.analysis_id] = cells
            return sound(self, tx, ticket, cells, **when)

        return release

    def renoise(sound: Callable[..., Any]) -> Callable[..., Any]:
        def faulty(*asked: Any, **how: Any) -> Any:
            found = sound(*asked, **how)
            if found is None or found.analysis_id not in kept:
                return found
            return replace(found, figures=release_cells(kept[found.analysis_id], found.mechanism))

        return faulty

    with swapped(ReleaseService, "release", keep), swapped(deciding, "find_answer", renoise):
        yield
