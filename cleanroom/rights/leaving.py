"""Who leaves a version: erased people, and those whose consents were collected too long ago."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cleanroom.consent.changes import ChangeRows
from cleanroom.consent.erasing import erased_in
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.types import Role
from cleanroom.schema.model import NULL_INT, Schema

_BLOCK = 1 << 20
U32 = NDArray[np.uint32]


@dataclass(frozen=True)
class Leaving:
    """Who leaves.

    Attributes:
        persons: by position in the version, ascending, each once.
        erased, came_back, outdated: how many, by why; as `OwnerFigure` has it.
    """

    persons: U32
    erased: int
    came_back: int
    outdated: int

    @property
    def counts(self) -> dict[str, int]:
        """What is added to the owner's report."""
        return {"erased": self.erased, "came_back": self.came_back, "outdated": self.outdated}


def who_leaves(
    reader: PlaceReader,
    schema: Schema,
    changes: ChangeRows,
    *,
    persons: int,
    loaded_at: int,
    now: int,
    collected_before: int | None,
) -> Leaving:
    """Find who leaves a version.

    Args:
        reader: of the version.
        schema: of its dataset.
        changes: all of them; see `erased_in`.
        persons: how many the version has.
        loaded_at: microseconds since 1970; whoever was erased before, the load has brought again.
        now: microseconds since 1970.
        collected_before: of whom the newest consent was collected before this instant leaves; None keeps them.
    """
    erased, instants = erased_in(reader, schema, changes, now=now)
    came_back = int((instants < loaded_at).sum())
    old = np.empty(0, np.uint32)
    if collected_before is not None:
        old = _outdated(reader, schema, persons, collected_before)
        old = old[~np.isin(old, erased)]
    return Leaving(
        np.union1d(erased, old).astype(np.uint32), int(erased.size) - came_back, came_back, int(old.size)
    )


def _outdated(reader: PlaceReader, schema: Schema, persons: int, before: int) -> U32:
    """Find whose newest evidence of a consent is older than an instant; who has none is judged by the version's age."""
    dated = [column for column, consent in enumerate(schema.consents) if consent.collected_at]
    found = [np.empty(0, np.uint32)]
    for start in range(0, persons if dated else 0, _BLOCK):
        stop = min(start + _BLOCK, persons)
        newest = np.full(stop - start, NULL_INT, np.int64)
        for column in dated:
            collected = reader.read_rows(Role.CONSENT_AT, column, "<i8", start, stop)
            np.maximum(newest, collected, out=newest)
        old = (newest != NULL_INT) & (newest < before)
        found.append((np.flatnonzero(old) + start).astype(np.uint32))
    return np.concatenate(found)
