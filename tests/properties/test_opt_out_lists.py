"""Lists in any order of entries, lifts and versions leave out whom a tiny reference leaves out."""

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.consent.bars import BAR_DTYPE, Bars, barred, bound, in_force, lifts
from cleanroom.consent.changes import PERSON
from cleanroom.datasets.types import Role
from tests.examples import up_to

KEYS = 2
VALUES = 6
Row = tuple[int, tuple[int, ...]]
"""A person's own id, and a value of each key; 0 is none."""


@dataclass
class Version:
    """A version in memory, read as a `PlaceReader` is."""

    rows: list[Row]
    held: dict[tuple[Role, int], np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ids = np.array([who for who, _ in self.rows], "<u8")
        self.held[Role.PERSON_HI, 0] = self.held[Role.PERSON_LO, 0] = ids
        for column in range(KEYS):
            pairs = sorted((values[column], at) for at, (_, values) in enumerate(self.rows) if values[column])
            values = np.array([value for value, _ in pairs], "<u8")
            self.held[Role.KEY_HI, column] = self.held[Role.KEY_LO, column] = values
            self.held[Role.KEY_PERSON, column] = np.array([at for _, at in pairs], "<u4")

    def has(self, role: Role, column: int = 0) -> bool:
        return (role, column) in self.held

    def size(self, role: Role, column: int) -> int:
        return self.held[role, column].nbytes

    def read(self, role: Role, column: int, dtype: str) -> np.ndarray:
        return self.held[role, column].view(dtype)

    def read_rows(self, role: Role, column: int, dtype: str, start: int, stop: int) -> np.ndarray:
        return self.held[role, column].view(dtype)[start:stop]

    def read_bytes(self, role: Role, column: int = 0) -> bytes:
        return self.held[role, column].tobytes()


@dataclass
class Reference:
    """Entries by number, each with the tokens that stand for it."""

    entries: dict[int, set[tuple[int, int]]] = field(default_factory=dict)

    def names(self, number: int, row: Row) -> bool:
        who, values = row
        own = {(PERSON, who), *((column, value) for column, value in enumerate(values) if value)}
        return bool(self.entries[number] & own)

    def bind(self, rows: list[Row], numbers: list[int]) -> None:
        for number in numbers:
            fresh: set[tuple[int, int]] = set()
            for row in rows:
                # Whom the entry has by person_id already is not bound by what they hold now.
                if not self.names(number, row) or (PERSON, row[0]) in self.entries[number]:
                    continue
                fresh.add((PERSON, row[0]))
                for column, value in enumerate(row[1]):
                    if value and sum(other[column] == value for _, other in rows) == 1:
                        fresh.add((column, value))
            self.entries[number] |= fresh

    def left_out(self, rows: list[Row]) -> list[int]:
        return [at for at, row in enumerate(rows) if any(self.names(number, row) for number in self.entries)]


def versions() -> st.SearchStrategy[list[Row]]:
    values = st.tuples(*[st.integers(0, VALUES)] * KEYS)
    rows = st.dictionaries(st.integers(1, 8), values, min_size=1, max_size=8)
    return rows.map(lambda found: sorted(found.items()))


def entry(number: int, column: int, value: int) -> Bars:
    made = np.zeros(1, BAR_DTYPE)
    made["number"], made["key"], made["hi"], made["lo"] = number, column, value, value
    return made


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, KEYS - 1), st.integers(1, VALUES)),
        st.tuples(st.just("lift"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("load"), versions(), st.just(0)),
    ),
    max_size=12,
)


@settings(max_examples=up_to(300), deadline=None)
@given(versions(), steps)
def test_any_order_of_entries_lifts_and_versions(first: list[Row], taken: list[tuple]) -> None:
    rows, reference, segments, number = first, Reference(), [np.empty(0, BAR_DTYPE)], 0
    for what, one, other in taken:
        if what == "add":
            number += 1
            new = entry(number, one, other)
            reference.entries[number] = {(one, other)}
            reference.bind(rows, [number])
            segments += [new, bound(Version(rows), new, persons=len(rows))]  # type: ignore[arg-type]
        elif what == "lift" and one in reference.entries:
            del reference.entries[one]
            segments.append(lifts(np.array([one], np.uint64)))
        elif what == "load":
            rows = one
            reference.bind(rows, list(reference.entries))
            force = in_force(segments)
            segments.append(bound(Version(rows), force, persons=len(rows)))  # type: ignore[arg-type]
        found = barred(Version(rows), in_force(segments))  # type: ignore[arg-type]
        assert found.tolist() == reference.left_out(rows)
