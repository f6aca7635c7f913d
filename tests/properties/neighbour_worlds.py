"""Strategies for worlds and persons in them, and cases that were missed before."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cleanroom.consent.changes import microseconds
from policies.question import question_from_dict
from tests.properties.neighbours import DAY, INFOS, NOW, POOL, Row, World

# Few values, so that people share them; bands, sets and null all occur.
values = st.integers(0, POOL)
numbers = st.none() | st.integers(0, 5)


def rows_of(person: int) -> st.SearchStrategy[tuple[Row, ...]]:
    row = st.builds(
        Row,
        person=st.just(person),
        email=values,
        phone=values,
        phone2=values,
        age=numbers,
        spend=numbers.map(lambda value: None if value is None else value * 400 - 1_200),
        city=st.integers(0, 3),
        paid=st.integers(0, 2),
        joined=st.none() | st.integers(DAY - 500, DAY),
        # A third bit is more than the schema allows: validation leaves the row out.
        likes=st.integers(0, 15),
        consent=st.sampled_from((0,) * 12 + (1, 2, 3, 4)),
        seen=st.sampled_from((None, None, microseconds(NOW) - 9, microseconds(NOW) - 1)),
        until=st.sampled_from((None, None, None, None, DAY, DAY - 1)),
    )
    return st.lists(row, min_size=1, max_size=3).map(tuple)


def leaves() -> st.SearchStrategy[dict[str, Any]]:
    def leaf(attribute: str, op: str, value: Any) -> dict[str, Any]:
        return {"attribute": attribute, "op": op} | ({} if value is None else {"value": value})

    small = st.integers(-1, 6)
    return st.one_of(
        st.builds(leaf, st.just("age"), st.sampled_from(("==", "!=", "<", "<=", ">", ">=")), small),
        st.builds(lambda low, more: leaf("age", "between", [low, low + more]), small, st.integers(0, 3)),
        st.builds(leaf, st.just("spend"), st.sampled_from(("<", ">=")), st.sampled_from((0, 4, 8.5, 20))),
        st.builds(
            leaf,
            st.just("city"),
            st.sampled_from(("in", "not_in")),
            st.lists(st.sampled_from(("a", "b", "other", "nowhere")), min_size=1, max_size=2),
        ),
        st.builds(leaf, st.just("paid"), st.just("=="), st.booleans()),
        st.builds(
            leaf,
            st.just("joined"),
            st.sampled_from(("<", ">=")),
            st.sampled_from(("2025-12-01", "2026-03-01")),
        ),
        st.builds(
            leaf,
            st.just("likes"),
            st.just("has_any"),
            st.lists(st.sampled_from(("x", "y", "z", "other")), min_size=1, max_size=2),
        ),
        st.builds(
            leaf,
            st.sampled_from(tuple(INFOS)),
            st.sampled_from(("is_null", "not_null")),
            st.none(),
        ),
    )


conditions = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.builds(lambda item: {"not": item}, inner),
        st.builds(
            lambda word, items: {word: items},
            st.sampled_from(("all", "any")),
            st.lists(inner, min_size=1, max_size=3),
        ),
    ),
    max_leaves=4,
)
# Disjoint bands of one attribute count once in L0; a person without a value is in none of them.
BANDS = [{"attribute": "age", "op": "between", "value": [low, low + 1]} for low in (0, 2, 4)]
GROUPS = [["age"], ["likes"], ["city", "likes"], ["joined", "paid"], ["spend"]]
questions = st.builds(
    lambda segments, bands, breakdowns, labels, per_key, affinity, sums: question_from_dict(
        {
            "kind": "statistics" if sums else "profile",
            "purpose": "ads",
            "segments": {f"s{at}": item for at, item in enumerate([*segments, *(BANDS if bands else [])])},
            "breakdowns": breakdowns,
            "labels": labels,
            "per_key": per_key,
            "affinity": affinity and not sums,
            "sums": sums,
        },
        dataset_id="ds",
        base_id="ba",
    ),
    st.lists(conditions, max_size=3),
    st.booleans(),
    st.lists(st.sampled_from(GROUPS), max_size=2, unique_by=str),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.lists(st.sampled_from(("age", "spend")), max_size=2, unique=True),
)
base_rows = st.builds(
    lambda email, phone, phone2, label: Row(0, email, phone, phone2, label=label),
    values,
    values,
    values,
    st.integers(1, 3),
)
marked = st.frozensets(st.tuples(st.integers(0, 1), st.integers(1, POOL)), max_size=2)
worlds = st.builds(
    World,
    others=st.integers(0, 5).flatmap(lambda count: st.tuples(*(rows_of(at + 2) for at in range(count)))),
    base=st.lists(base_rows, max_size=8).map(tuple),
    junk=marked,
    # Withdrawn by e-mail, by phone, or by the id of the person itself.
    withdrawn=st.frozensets(st.tuples(st.integers(0, 2), st.integers(1, POOL)), max_size=2),
    agreed=st.frozensets(st.tuples(st.integers(0, 2), st.integers(1, POOL)), max_size=2),
    question=questions,
    shift=st.none() | st.integers(0, POOL - 1),
    renamed=st.frozensets(st.integers(1, 7), max_size=3),
)
everything = given(world=worlds, person=rows_of(1), at=st.integers(0, 20))

PLAIN = question_from_dict(
    {"kind": "overlap", "purpose": "ads", "labels": True, "per_key": True}, dataset_id="ds", base_id="ba"
)
# privacy.md's example: one e-mail and many phones in the base, one person who holds them all.
FAN = World(
    others=tuple((Row(number, phone=number),) for number in range(2, 6)),
    base=tuple(Row(0, email=1, phone=number, label=number % 3 + 1) for number in range(2, 6)),
    junk=frozenset(),
    withdrawn=frozenset(),
    question=PLAIN,
)
HOLDER = tuple(Row(1, email=1, phone=number, phone2=number + 1) for number in (2, 4))
SETS = replace(
    FAN,
    question=question_from_dict(
        {"kind": "profile", "purpose": "ads", "breakdowns": [["likes"]], "affinity": True},
        dataset_id="ds",
        base_id="ba",
    ),
)
LIKER = (Row(1, email=1, likes=0b011),)
# The person alone is named by the e-mail, and shares phones with four others.
HOUSE = replace(
    FAN,
    others=tuple((Row(number, email=number, phone=number),) for number in range(2, 6)),
    withdrawn=frozenset({(0, 1)}),
)
# A phone is withdrawn that the person shares with somebody.
SHARED = replace(FAN, withdrawn=frozenset({(1, 3)}))
SUMS = replace(
    FAN,
    question=question_from_dict(
        {"purpose": "ads", "sums": ["spend"], "breakdowns": [["likes"]]}, dataset_id="ds", base_id="ba"
    ),
)
# Each of the rows lies within the bounds of a total, all together lie far below them.
SPENDER = tuple(Row(1, email=1, spend=-900, likes=0b011) for _ in range(3))
