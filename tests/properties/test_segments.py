"""Segments made of shared bitmaps, cells and sums are what their words say, one person after the other."""

from contextlib import contextmanager
from datetime import date
from itertools import product
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.matching import bitmaps, evaluate, ranks
from cleanroom.matching.evaluate import Rows
from cleanroom.matching.types import Column
from policies.attributes import AttributeInfo
from policies.canonical import canonical_condition
from policies.condition import Leaf
from policies.nodes import EVERYONE, NOBODY
from tests.examples import up_to
from tests.properties import conditions as words

LOWEST, HIGHEST = -(2**63), 2**63 - 1
CODES = {
    "city": {None: 0, "a": 1, "b": 2, "c": 3, "elsewhere": 4},
    "adult": {None: 0, False: 1, True: 2},
}
SETTINGS = {
    "as they are": {},
    "every number by its rank": {"few_ends": 0},
    "a person at a time": {"chunk": 1},
    "a word at a time, ranked": {"chunk": 64, "few_ends": 0},
    "nothing kept": {"most_kept_bytes": 1, "chunk": 100},
}


@contextmanager
def sizes(few_ends=ranks.FEW_ENDS, chunk=evaluate.CHUNK, most_kept_bytes=bitmaps.MOST_KEPT_BYTES):
    """Evaluate with other sizes; none of them may change a count."""
    with (
        patch.object(ranks, "FEW_ENDS", few_ends),
        patch.object(bitmaps, "FEW_ENDS", few_ends),
        patch.object(bitmaps, "MOST_KEPT_BYTES", most_kept_bytes),
        patch.object(evaluate, "CHUNK", chunk),
    ):
        yield


def days(text):
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def rows_of(people):
    columns = {
        "age": np.array([LOWEST if p["age"] is None else p["age"] for p in people], np.int64),
        "since": np.array([-(2**31) if p["since"] is None else days(p["since"]) for p in people], np.int32),
        "bought": np.array(
            [[sum(1 << "xyzw".index(item) for item in p["bought"])] for p in people], np.uint64
        ).reshape(-1, 1),
    }
    for name, codes in CODES.items():
        columns[name] = np.array([codes[p[name]] for p in people], np.uint8)
    return Rows(len(people), lambda name: Column(words.ATTRIBUTES[name], columns[name]))


@pytest.mark.parametrize("how", SETTINGS)
@given(
    people=st.lists(words.people, max_size=70)
    | st.lists(words.people, min_size=1, max_size=3).map(lambda p: p * 90),
    asked=st.lists(words.conditions, min_size=1, max_size=6),
)
@settings(deadline=None, max_examples=up_to(80))
def test_segments_hold_whom_their_words_say(how, people, asked):
    with sizes(**SETTINGS[how]):
        (counts,) = rows_of(people).segments([words.canonical(one) for one in asked]).tolist()

    assert counts == [sum(words.naive(one, person) for person in people) for one in asked]


whole = st.sampled_from((LOWEST + 1, LOWEST + 2, -1, 0, 1, 2, 1_000, HIGHEST - 1, HIGHEST)) | st.integers(
    LOWEST + 1, HIGHEST
)


@given(
    values=st.lists(whole | st.just(LOWEST), max_size=50),
    ends=st.lists(whole, min_size=1, max_size=80, unique=True),
)
@settings(deadline=None, max_examples=up_to(300))
def test_a_rank_is_the_number_of_ends_that_are_not_above(values, ends):
    ends.sort()
    tables = (values, [end - 1 for end in ends], ends, [min(end + 1, HIGHEST) for end in ends])
    wanted = np.array([value for table in tables for value in table], np.int64)

    found = ranks.ranks(wanted, np.array(ends, np.int64))

    assert found.tolist() == [sum(end <= value for end in ends) for value in wanted.tolist()]
    assert found.dtype.itemsize == 1


@given(
    values=st.lists(st.none() | whole, max_size=40),
    pairs=st.lists(st.tuples(whole, whole), min_size=1, max_size=60),
)
@settings(deadline=None, max_examples=up_to(100))
def test_ranges_reach_from_the_lowest_number_to_the_highest(values, pairs):
    info = {"n": AttributeInfo("integer")}
    column = np.array([LOWEST if value is None else value for value in values], np.int64)
    asked = [
        canonical_condition(Leaf("n", op, (str(low), str(high))), info)
        for low, high in pairs
        for op in ("between", "in", "not_in")
    ]

    (counts,) = Rows(len(values), lambda _name: Column(info["n"], column)).segments(asked).tolist()

    known = [value for value in values if value is not None]
    assert counts == [
        sum(found)
        for low, high in pairs
        for found in (
            [low <= value <= high for value in known],
            [value in (low, high) for value in known],
            [value not in (low, high) for value in known],
        )
    ]


bounds = st.tuples(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9)).map(sorted).map(tuple)


@pytest.mark.parametrize("how", ["as they are", "a word at a time, ranked"])
@given(
    clamp=bounds | st.sampled_from([(0, 0), (5, 9), (-9, -5), (0, 255), (0, 256), (-(10**9), 10**9)]),
    totals=st.lists(st.none() | whole | st.integers(-300, 300), max_size=90),
    least=st.integers(-300, 300),
)
@settings(deadline=None, max_examples=up_to(120))
def test_sums_are_exact_whatever_the_bounds(how, clamp, totals, least):
    info = AttributeInfo("integer", clamp=clamp)
    column = np.array([LOWEST if total is None else total for total in totals], np.int64)
    asked = [canonical_condition(Leaf("n", ">=", least), {"n": info}), EVERYONE, NOBODY]

    with sizes(**SETTINGS[how]):
        found = Rows(len(totals), lambda _name: Column(info, column)).segments(asked, ("n",)).tolist()

    own = [(total, max(clamp[0], min(clamp[1], total))) for total in totals if total is not None]
    assert found == [
        [sum(total >= least for total, _ in own), len(totals), 0],
        [sum(add for total, add in own if total >= least), sum(add for _, add in own), 0],
    ]


INFOS = {
    "city": AttributeInfo("category", values=("a", "b", "c")),
    "adult": AttributeInfo("boolean"),
    "age": AttributeInfo("integer", bands=(0, 3), clamp=(-5, 5)),
    "since": AttributeInfo("date", bands=(days("2026-01-01"),)),
    "steps": AttributeInfo("integer", bands=tuple(range(-20, 20))),
    "bought": AttributeInfo("set", values=("x", "y", "z"), max_values=3),
}


def cells_of(person, attribute):
    """The cells of one person, "no value" last, straight from the words."""
    info, value = INFOS[attribute], person["age" if attribute == "steps" else attribute]
    if attribute == "bought":
        return [("x", "y", "z", "w").index(item) for item in value] or [4]
    if value is None:
        return [info.cells - 1]
    if attribute in CODES:
        return [CODES[attribute][value] - 1]
    value = days(value) if attribute == "since" else value
    return [sum(value >= edge for edge in info.bands)]


@given(
    people=st.lists(words.people, max_size=60),
    group=st.lists(st.sampled_from(sorted(INFOS)), min_size=1, max_size=4, unique=True),
)
@settings(deadline=None, max_examples=up_to(200))
def test_cells_hold_whom_their_labels_say_in_any_crossing(people, group):
    rows = rows_of(people)
    source = rows._source
    crossed = Rows(
        len(people), lambda name: Column(INFOS[name], source("age" if name == "steps" else name).values)
    )

    cells = crossed.cells(tuple(group))

    counts = np.zeros([INFOS[name].cells for name in group], np.int64)
    sums = np.zeros_like(counts)
    for person in people:
        for cell in product(*(cells_of(person, name) for name in group)):
            counts[cell] += 1
            sums[cell] += max(-5, min(5, person["age"])) if person["age"] is not None else 0
    assert cells.counts().tolist() == counts.ravel().tolist()
    assert cells.sums(crossed.totals("age")).tolist() == sums.ravel().tolist()
