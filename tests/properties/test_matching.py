"""The engine counts what a naive reading of the definitions counts; no person moves a figure by more than its unit."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.matching.buckets import find_all, make_buckets
from cleanroom.matching.local import LocalEngine
from cleanroom.matching.search import SearchSizes
from cleanroom.matching.types import BaseKey, BaseView, Column, DatasetView, ExactCounts, KeyIndex, Plan
from policies.attributes import AttributeInfo
from policies.canonical import canonical_condition
from policies.condition import parse_condition
from policies.values import ValueSet
from tests.examples import up_to

KEYS = ("email", "phone")
LABELS = 3
INFOS = {
    "age": AttributeInfo("integer", bands=(10, 20), clamp=(-2, 15)),
    "balance": AttributeInfo("decimal", scale=2, clamp=(3, 9)),
    "city": AttributeInfo("category", values=("a", "b")),
    "likes": AttributeInfo("set", values=("x", "y", "z"), max_values=2),
}
NULL = -(2**63)
SEGMENTS = tuple(
    canonical_condition(parse_condition(condition), INFOS)
    for condition in (
        {"attribute": "age", "op": "between", "value": [5, 15]},
        {"not": {"attribute": "age", "op": "in", "value": [1, 3, 12]}},
        {"attribute": "city", "op": "in", "value": ["a", "nowhere"]},
        {
            "any": [
                {"attribute": "likes", "op": "has_any", "value": ["x", "z"]},
                {"attribute": "city", "op": "is_null"},
            ]
        },
        {
            "all": [
                {"not": {"attribute": "likes", "op": "has_any", "value": ["y"]}},
                {"attribute": "age", "op": ">", "value": 3},
            ]
        },
        {"attribute": "city", "op": "==", "value": "nowhere"},
    )
)
BREAKDOWNS = (("city", "age"), ("likes",), ("likes", "city"))
SUMS = ("age", "balance")
PLAN = Plan("ads", KEYS, SEGMENTS, BREAKDOWNS, labels=True, per_key=True, dataset_side=True, sums=SUMS)


@dataclass(frozen=True)
class Person:
    email: frozenset[int]
    phone: frozenset[int]
    consented: bool
    age: int | None
    city: int
    likes: frozenset[int]
    balance: int | None = None

    def total(self, attribute: str) -> int:
        """What the person adds to a sum; nothing without a value."""
        value = getattr(self, attribute)
        low, high = INFOS[attribute].clamp
        return 0 if value is None else max(low, min(high, value))


values = st.frozensets(st.integers(1, 12), max_size=3)
persons = st.builds(
    Person,
    values,
    values,
    st.booleans(),
    st.none() | st.integers(-5, 25),
    st.integers(0, 3),
    st.frozensets(st.integers(1, 4), max_size=2),
    st.none() | st.integers(-(2**62), 2**62),
)
bases = st.fixed_dictionaries(
    {key: st.dictionaries(st.integers(1, 14), st.integers(0, LABELS - 1)) for key in KEYS}
)


def view_of(people: list[Person]) -> DatasetView:
    keys = {}
    for key in KEYS:
        pairs = sorted((value, at) for at, person in enumerate(people) for value in getattr(person, key))
        keys[key] = KeyIndex(
            np.array([value for value, _ in pairs], np.uint64), np.array([at for _, at in pairs], np.uint32)
        )
    columns = {
        "age": np.array([NULL if p.age is None else p.age for p in people], np.int64),
        "balance": np.array([NULL if p.balance is None else p.balance for p in people], np.int64),
        "city": np.array([p.city for p in people], np.uint8),
        "likes": np.array([[sum(1 << bit - 1 for bit in p.likes)] for p in people], np.uint64).reshape(-1, 1),
    }
    return DatasetView(
        len(people),
        keys,
        np.array([p.consented for p in people], np.bool_),
        lambda name: Column(INFOS[name], columns[name]),
    )


def base_of(base: dict[str, dict[int, int]]) -> BaseView:
    return BaseView(
        {
            key: BaseKey(
                np.array(sorted(known), np.uint64),
                np.array([known[value] for value in sorted(known)], np.uint8),
            )
            for key, known in base.items()
        },
        LABELS,
    )


def holds(segment, person: Person) -> bool:
    kind = type(segment).__name__
    if kind == "CAll":
        return all(holds(item, person) for item in segment.items)
    if kind == "CAny":
        return any(holds(item, person) for item in segment.items)
    if kind == "CHasAny":
        return bool(person.likes & set(segment.codes)) != segment.negated
    wanted: ValueSet = segment.values
    value = person.age if segment.attribute == "age" else person.city or None
    return value in wanted


def cells_of(person: Person, breakdown: tuple[str, ...]) -> list[tuple[int, ...]]:
    own = {
        "age": [3 if person.age is None else (person.age >= 10) + (person.age >= 20)],
        "city": [3 if person.city == 0 else person.city - 1],
        "likes": [like - 1 for like in person.likes] or [4],
    }
    found: list[tuple[int, ...]] = [()]
    for name in breakdown:
        found = [(*cell, value) for cell in found for value in own[name]]
    return found


def naive(people: list[Person], base: dict[str, dict[int, int]]):
    def side(counted: list[Person], weight=lambda _person: 1):
        tables = []
        for breakdown in BREAKDOWNS:
            table = np.zeros([INFOS[name].cells for name in breakdown], np.int64)
            for person in counted:
                for cell in cells_of(person, breakdown):
                    table[cell] += weight(person)
            tables.append(table.ravel().tolist())
        segments = [sum(weight(p) for p in counted if holds(s, p)) for s in SEGMENTS]
        return sum(map(weight, counted)), segments, tables

    keys, labels, matched = dict.fromkeys(KEYS, 0), [0] * LABELS, []
    for person in people:
        hits = [(key, value) for key in KEYS for value in getattr(person, key) if value in base[key]]
        if hits and person.consented:
            matched.append(person)
            keys[hits[0][0]] += 1
            labels[min(base[key][value] for key, value in hits)] += 1
    sums = [side(matched, lambda person, name=name: person.total(name)) for name in SUMS]
    return side(matched), keys, labels, side([p for p in people if p.consented]), sums


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    return LocalEngine()


def counted(engine: LocalEngine, people: list[Person], base: dict[str, dict[int, int]]):
    return plain_counts(engine.count(view_of(people), base_of(base), PLAN))


def plain_counts(exact: ExactCounts):
    assert exact.dataset is not None
    assert exact.dataset.sums == ()

    def plain(total: int, part):
        return total, list(part.segments), [table.tolist() for table in part.breakdowns]

    assert tuple(part.attribute for part in exact.sums) == SUMS
    return (
        plain(exact.overlap, exact),
        dict(exact.keys),
        list(exact.labels),
        plain(exact.dataset.persons, exact.dataset),
        [plain(part.overlap, part) for part in exact.sums],
    )


@given(people=st.lists(persons, max_size=25), base=bases)
@settings(deadline=None, max_examples=up_to(300))
def test_the_engine_counts_what_the_definitions_say(engine, people, base):
    assert counted(engine, people, base) == naive(people, base)


@dataclass(frozen=True)
class OnDisk:
    """A column that gives slices only, as one that stays in its sealed file."""

    values: np.ndarray

    @property
    def size(self) -> int:
        return len(self.values)

    def __getitem__(self, part: slice) -> np.ndarray:
        return self.values[part].copy()


def narrowed(column: Column) -> Column:
    """A column as the cache keeps it, where its numbers fit; the smallest number is "no value"."""
    wide = column.values
    if wide.dtype != np.int64 or np.abs(wide[wide != NULL]).max(initial=0) > 100:
        return column
    kept = np.where(wide == NULL, -128, wide).astype(np.int8)
    return Column(column.info, kept)


def lies(view: DatasetView, where: str) -> DatasetView:
    """The same version with its columns elsewhere."""

    def column(name: str) -> Column:
        whole = view.column(name)
        return Column(INFOS[name], OnDisk(whole.values)) if where == "disk" else narrowed(whole)

    if where == "disk":
        keys = {name: KeyIndex(OnDisk(key.hi), OnDisk(key.person)) for name, key in view.keys.items()}
    else:
        keys = {
            name: KeyIndex(key.hi, key.person, partial(make_buckets, key.hi) if key.hi.size else None)
            for name, key in view.keys.items()
        }
    return replace(view, keys=keys, column=column)


OPTIONS = {
    "one thread": LocalEngine(1),
    "two threads": LocalEngine(2),
    "tiny blocks": LocalEngine(
        2, search=SearchSizes(values=2, values_read=3, entries=2), persons_per_block=2, rows_at_once=3
    ),
    "walked through": LocalEngine(2, search=SearchSizes(values_walked=1)),
    "matches in a list": LocalEngine(2, search=SearchSizes(persons_per_few=1)),
    "walked through in parts": LocalEngine(
        1, search=SearchSizes(values=2, entries_walked=3, values_walked=1, threads=1)
    ),
    "one of each": LocalEngine(
        1,
        search=SearchSizes(values=1, values_read=1, entries=1, threads=1),
        persons_per_block=1,
        rows_at_once=1,
    ),
}


@pytest.mark.parametrize("where", ["memory", "cache", "disk"])
@pytest.mark.parametrize("option", OPTIONS)
@given(people=st.lists(persons, max_size=25), base=bases, spread=st.booleans())
@settings(deadline=None, max_examples=40)
def test_no_option_of_the_engine_leaves_a_trace(option, where, people, base, spread):
    view, own = view_of(people), base_of(base)
    if spread:
        # Tokens are spread over all 64 bits; small numbers all stand in the first bucket.
        view, own = spread_out(view, own)
    assert plain_counts(OPTIONS[option].count(lies(view, where), own, PLAN)) == naive(people, base)


def spread_out(view: DatasetView, base: BaseView) -> tuple[DatasetView, BaseView]:
    """The same keys at other values in the same order, up to the last one that there is."""
    step = np.uint64(2**64 // 14)

    def moved(values: np.ndarray) -> np.ndarray:
        return np.where(values == 14, np.uint64(2**64 - 1), values * step)

    keys = {name: replace(key, hi=moved(key.hi)) for name, key in view.keys.items()}
    # A base's values come in the order of its own tokens, which is none here.
    values = {
        name: replace(key, hi=moved(key.hi)[::-1].copy(), label=key.label[::-1].copy())
        for name, key in base.keys.items()
    }
    return replace(view, keys=keys), replace(base, keys=values)


@given(
    held=st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5), min_size=1, max_size=200),
    values=st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5), max_size=50, unique=True),
    many=st.integers(1, 300),
)
@settings(deadline=None, max_examples=up_to(300))
def test_buckets_find_every_entry_of_every_value_however_crowded(held, values, many):
    hi = np.sort(np.array([*held, *[held[0]] * many], np.uint64))
    wanted = np.array([*values, held[0]] if held[0] not in values else values, np.uint64)

    entries, found = find_all(hi, make_buckets(hi), wanted)

    pairs = sorted(zip(entries.tolist(), found.tolist(), strict=True))
    assert pairs == sorted(
        (e, v) for v in range(wanted.size) for e in np.flatnonzero(hi == wanted[v]).tolist()
    )


def test_every_entry_at_its_own_position_needs_no_list_of_persons(engine):
    people = [Person(frozenset({value}), frozenset(), True, 1, 1, frozenset()) for value in (2, 5, 9)]
    view, own = view_of(people), base_of({"email": {5: 0, 9: 1}, "phone": {}})
    keys = {"email": KeyIndex(view.keys["email"].hi, None)}
    for place in (
        replace(view, keys=keys),
        replace(view, keys={"email": KeyIndex(OnDisk(keys["email"].hi), None)}),
    ):
        assert engine.count(place, own, PLAN).overlap == 2


@given(people=st.lists(persons, max_size=12), added=persons, base=bases, at=st.integers(0, 12))
@settings(deadline=None, max_examples=up_to(300))
def test_one_person_moves_no_count_and_no_disjoint_group_by_more_than_one(engine, people, added, base, at):
    """The added person shares its values with whoever holds them already."""
    more = [*people[:at], added, *people[at:]]
    before, keys, labels, whole, sums = counted(engine, people, base)
    after, more_keys, more_labels, more_whole, more_sums = counted(engine, more, base)
    for (persons_a, segments_a, tables_a), (persons_b, segments_b, tables_b) in (
        (before, after),
        (whole, more_whole),
    ):
        assert 0 <= persons_b - persons_a <= 1
        assert all(abs(b - a) <= 1 for a, b in zip(segments_a, segments_b, strict=True))
        moved = [np.abs(np.subtract(b, a)).sum() for a, b in zip(tables_a, tables_b, strict=True)]
        assert moved[0] <= 1
        assert moved[1] <= 2  # a set puts its person in as many cells as it declares values at most
        assert moved[2] <= 2
    for name, (total_a, segments_a, tables_a), (total_b, segments_b, tables_b) in zip(
        SUMS, sums, more_sums, strict=True
    ):
        unit = INFOS[name].largest
        assert abs(total_b - total_a) <= unit
        assert all(abs(b - a) <= unit for a, b in zip(segments_a, segments_b, strict=True))
        moved = [np.abs(np.subtract(b, a)).sum() for a, b in zip(tables_a, tables_b, strict=True)]
        assert moved[0] <= unit
        assert max(moved[1:]) <= 2 * unit
    assert sum(abs(more_keys[key] - keys[key]) for key in KEYS) <= 1
    assert sum(abs(b - a) for a, b in zip(labels, more_labels, strict=True)) <= 1


def test_a_side_without_the_key_or_without_values_matches_nobody(engine):
    person = Person(frozenset({1}), frozenset(), True, 1, 1, frozenset())
    base = base_of({"email": {1: 0}, "phone": {}})
    assert engine.count(view_of([person]), BaseView({}, LABELS), PLAN).overlap == 0
    assert engine.count(view_of([]), base, PLAN).overlap == 0
    assert engine.count(view_of([person]), base, PLAN).overlap == 1


def test_plain_plans_count_the_overlap_alone(engine):
    person = Person(frozenset({1}), frozenset(), True, 1, 1, frozenset())
    bare = BaseView({"email": BaseKey(np.array([1], np.uint64), None)}, 0)
    exact = engine.count(view_of([person]), bare, Plan("ads", KEYS))
    assert (exact.overlap, exact.keys, exact.labels, exact.segments, exact.breakdowns) == (1, {}, (), (), ())
    assert exact.dataset is None
    assert exact.sums == ()


def test_many_codes_are_looked_up_in_a_table(engine):
    info = AttributeInfo("category", values=tuple(f"v{index}" for index in range(40)))
    condition = {"attribute": "c", "op": "in", "value": [f"v{index}" for index in range(0, 40, 2)]}
    segment = canonical_condition(parse_condition(condition), {"c": info})
    codes = np.arange(42, dtype=np.uint8)
    view = DatasetView(42, {}, np.ones(42, np.bool_), lambda _name: Column(info, codes))
    plan = Plan("ads", KEYS, (segment,), dataset_side=True)
    exact = engine.count(view, BaseView({}, 0), plan)
    assert exact.dataset is not None
    assert exact.dataset.segments == (20,)
