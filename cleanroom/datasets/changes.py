"""What changed from one version to the next, from the owner's own two reports: exact, and for nobody else."""

from collections.abc import Mapping
from dataclasses import dataclass

from cleanroom.datasets.types import DatasetVersion, OwnerFigure


@dataclass(frozen=True)
class Change:
    """One figure in both versions.

    Attributes:
        name: of the attribute, key or state.
        before: in the earlier version.
        after: in the later one.
        of_before: the people of the earlier version, or its rows.
        of_after: those of the later one.
    """

    name: str
    before: int
    after: int
    of_before: int
    of_after: int


@dataclass(frozen=True)
class Changes:
    """A version beside the one that was published before it.

    Attributes:
        before: the earlier version.
        totals: rows, people and rows left out.
        fill: people with a value, by attribute.
        distinct: different values, by key.
        granted: people with a consent, by purpose.
        reasons: rows left out, by reason.
    """

    before: DatasetVersion
    totals: tuple[Change, ...]
    fill: tuple[Change, ...]
    distinct: tuple[Change, ...]
    granted: tuple[Change, ...]
    reasons: tuple[Change, ...]


def changes_between(
    before: DatasetVersion, old: OwnerFigure, after: DatasetVersion, new: OwnerFigure
) -> Changes:
    """Lay two reports side by side.

    Args:
        before: the earlier version.
        old: its report.
        after: the later version.
        new: its report.
    """
    people, rows = (before.persons, after.persons), (old.rows, new.rows)
    return Changes(
        before=before,
        totals=(
            Change("rows", old.rows, new.rows, *rows),
            Change("rows_accepted", old.rows_accepted, new.rows_accepted, *rows),
            Change("persons", *people, *people),
        ),
        fill=_side_by_side(old.fill, new.fill, people),
        distinct=_side_by_side(old.distinct, new.distinct, people),
        granted=_side_by_side(_granted(old), _granted(new), people),
        reasons=_side_by_side(old.rejected, new.rejected, rows),
    )


def _granted(report: OwnerFigure) -> dict[str, int]:
    return {purpose: states.get("granted", 0) for purpose, states in report.consent.items()}


def _side_by_side(
    old: Mapping[str, int], new: Mapping[str, int], whole: tuple[int, int]
) -> tuple[Change, ...]:
    names = dict.fromkeys((*new, *old))
    return tuple(Change(name, old.get(name, 0), new.get(name, 0), *whole) for name in names)
