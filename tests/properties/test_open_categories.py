"""Counts over unknown keys equal a naive count, and one person moves one of them by one."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.ingestion.value_codes import BAD, ValueCodes
from cleanroom.matching.local import LocalEngine
from cleanroom.matching.types import BaseKey, BaseView, Column, DatasetView, KeyIndex, Plan
from cleanroom.schema.open_values import is_open_value, to_fixed
from policies.attributes import AttributeInfo
from tests.examples import up_to

TOWNS = ("", "Омск", "Казань", "a", "b" * 64)
ENGINE = LocalEngine()


@dataclass(frozen=True)
class Person:
    keys: frozenset[int]
    town: str
    consented: bool


PERSON = st.builds(
    Person, st.frozensets(st.integers(0, 12), max_size=3), st.sampled_from(TOWNS), st.booleans()
)
PEOPLE = st.lists(PERSON, max_size=25)
BASE = st.frozensets(st.integers(0, 12), max_size=8)


def view_of(people: list[Person]) -> DatasetView:
    """A version as ingestion would make it: codes in order of arrival first, final ones at the end."""
    codes = ValueCodes("town")
    arrived = (
        codes.encode(to_fixed([person.town.encode() for person in people], 64))
        if people
        else np.zeros(0, int)
    )
    codes.keep(arrived)
    final, values = codes.finish()
    held = sorted((key, at) for at, person in enumerate(people) for key in person.keys)
    index = KeyIndex(
        np.array([key for key, _ in held], np.uint64), np.array([at for _, at in held], np.uint32)
    )
    info = AttributeInfo("category", open=True)
    return DatasetView(
        persons=len(people),
        keys={"email/room": index},
        consented=np.array([person.consented for person in people], bool),
        column={"town": Column(info, final[arrived])}.__getitem__,
        dictionary={"town": ["unknown", *(value.decode() for value in values)]}.__getitem__,
    )


def counted(people: list[Person], base: frozenset[int], engine: LocalEngine = ENGINE) -> dict[str, int]:
    sides = BaseView({"email/room": BaseKey(np.array(sorted(base), np.uint64), None)}, 0)
    plan = Plan("advertising", ("email/room",), open_breakdown="town")
    return dict(engine.count(view_of(people), sides, plan).open_breakdown)


@settings(deadline=None, max_examples=up_to(150))
@given(PEOPLE, BASE)
def test_the_engine_counts_what_a_naive_count_counts(people: list[Person], base: frozenset[int]) -> None:
    expected = Counter(
        person.town or "unknown" for person in people if person.consented and person.keys & base
    )
    assert counted(people, base) == dict(expected)


@settings(deadline=None, max_examples=up_to(150))
@given(PEOPLE, PERSON, st.integers(0, 25), BASE)
def test_one_person_moves_one_key_by_one(
    people: list[Person], one: Person, at: int, base: frozenset[int]
) -> None:
    # Whatever codes its value shifts: what counts are the keys.
    without, within = (
        Counter(counted(people, base)),
        Counter(counted([*people[:at], one, *people[at:]], base)),
    )
    assert not without - within
    moved = within - without
    assert moved.total() <= 1
    assert set(moved) <= {one.town or "unknown"}


def test_blocks_leave_no_trace() -> None:
    people = [Person(frozenset({n % 13}), TOWNS[n % 5], n % 3 > 0) for n in range(200)]
    whole = counted(people, frozenset(range(6)))
    blocked = LocalEngine(persons_per_block=7, rows_at_once=5)
    assert counted(people, frozenset(range(6)), blocked) == whole


@settings(deadline=None, max_examples=up_to(150))
@given(
    st.lists(st.lists(st.binary(max_size=12) | st.sampled_from([b"", b"a", b"ab"]), min_size=1), min_size=1)
)
def test_codes_tell_values_apart_and_final_codes_are_sorted(frames: list[list[bytes]]) -> None:
    codes = ValueCodes("town")
    arrived: list[int] = []
    values: list[bytes] = []
    for frame in frames:
        fixed = to_fixed(frame, 12)
        arrived += codes.encode(fixed).tolist()
        values += [bytes(row).rstrip(b"\0") for row in fixed]
    for code, value in zip(arrived, values, strict=True):
        assert (code == 0) == (not value)
        assert (code == BAD) == (bool(value) and not is_open_value(value))
    kept = np.array([code for code in arrived if code != BAD], np.uint32)
    codes.keep(kept)
    final, names = codes.finish()
    assert names == sorted({value for value in values if value and is_open_value(value)})
    looked_up = [b"", *names]
    assert [looked_up[code] for code in final[kept]] == [
        value for value in values if not value or is_open_value(value)
    ]
