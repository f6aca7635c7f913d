"""Merging rows of a person, where arithmetic could go wrong."""

import numpy as np
import pytest

from cleanroom.ingestion.columns import sort_values
from cleanroom.ingestion.merging import merge_persons, sort_order, split_rows
from cleanroom.ingestion.records import NOBODY, OP_DELETE, OP_UPSERT, RecordLayout
from cleanroom.schema.codec import schema_from_yaml

SCHEMA = """\
person_id: {column: id}
match_keys: {email: {column: e}, phone: {columns: [a, b], default_region: RU}}
attributes: {spend: {type: integer, kind: behavioural, clamp: [0, 9], aggregate: sum}}
"""


def test_tied_first_halves_are_ordered_by_the_second_and_then_by_arrival():
    hi = np.array([7, 7, 1, 7, 7], np.uint64)
    lo = np.array([2, 1, 9, 1, 2], np.uint64)
    assert sort_order(hi, lo).tolist() == [2, 1, 3, 0, 4]


@pytest.mark.parametrize("spread", [1, 3, 1 << 20, 1 << 33, (1 << 64) - 1])
@pytest.mark.parametrize("shared", [0, 0xABC << 52])
@pytest.mark.parametrize("count", [0, 1, 2, 3_000])
def test_the_order_is_that_of_sorting_whole_numbers(spread, shared, count):
    chance = np.random.default_rng(count)
    hi = chance.integers(0, spread, count, dtype=np.uint64, endpoint=True) | np.uint64(shared)
    lo = chance.integers(0, 2, count, dtype=np.uint64, endpoint=True)
    assert sort_order(hi, lo).tolist() == np.lexsort((np.arange(count), lo, hi)).tolist()
    assert sort_order(hi).tolist() == np.argsort(hi, kind="stable").tolist()


def test_persons_whose_first_halves_tie_stay_apart():
    layout = RecordLayout.of(schema_from_yaml(SCHEMA))
    rows = np.zeros(4, layout.row_dtype)
    rows["person_hi"], rows["person_lo"] = 5, [1, 2, 1, 2]
    rows["k0"][:, 0] = [[9, 9], [8, 8], [9, 9], [7, 7]]
    rows["a0"] = [1, 10, 100, 1000]
    split = split_rows(rows, layout)
    merged = merge_persons(split.persons, layout)
    assert merged.persons["a0"].tolist() == [101, 1010]
    assert merged.persons["seq"].tolist() == [2, 3]
    assert merged.persons["primary"].tolist() == [9, 7]
    owners = dict(zip(merged.rows.tolist(), merged.owners.tolist(), strict=True))
    assert [owners[seq] for seq in split.values[0]["seq"].tolist()] == [2, 3, 2, 3]


def test_rows_are_merged_in_the_order_of_their_numbers():
    layout = RecordLayout.of(schema_from_yaml(SCHEMA))
    rows = np.zeros(3, layout.row_dtype)
    persons = split_rows(rows, layout).persons
    persons["op"] = [OP_UPSERT, OP_DELETE, OP_UPSERT]
    persons["a0"] = [1, 2, 4]
    merged = merge_persons(persons[[2, 0, 1]], layout)
    assert merged.persons["a0"].tolist() == [4]
    assert dict(zip(merged.rows.tolist(), merged.owners.tolist(), strict=True)) == {
        0: NOBODY,
        1: NOBODY,
        2: 2,
    }


def test_a_person_is_placed_by_the_first_key_that_any_row_has():
    layout = RecordLayout.of(schema_from_yaml(SCHEMA))
    rows = np.zeros(3, layout.row_dtype)
    rows["k0"][:2, 0] = [[4, 4], [6, 6]]
    # The last row speaks for the person, but not about its place.
    rows["k1"][2, 0] = [1, 1]
    persons = merge_persons(split_rows(rows, layout).persons, layout).persons
    assert persons[["rank", "primary"]].tolist() == [(0, 4)]


def test_a_person_without_the_first_key_is_placed_by_the_next():
    layout = RecordLayout.of(schema_from_yaml(SCHEMA))
    rows = np.zeros(2, layout.row_dtype)
    rows["person_hi"] = [1, 2]
    rows["k0"][0, 0] = [4, 4]
    rows["k1"][:, 1] = [[6, 6], [5, 5]]
    persons = split_rows(rows, layout).persons
    assert persons["rank"].tolist() == [0, 1]
    assert persons["primary"].tolist() == [4, 5]


def test_sums_stop_at_the_limit_instead_of_wrapping():
    layout = RecordLayout.of(schema_from_yaml(SCHEMA))
    rows = np.zeros(6, layout.row_dtype)
    rows["person_hi"] = [1, 1, 1, 2, 2, 2]
    rows["a0"] = [1 << 62] * 3 + [-(1 << 62)] * 3
    assert merge_persons(split_rows(rows, layout).persons, layout).persons["a0"].tolist() == [
        1 << 62,
        -(1 << 62),
    ]


def test_no_rows_make_no_persons():
    layout = RecordLayout.of(schema_from_yaml(SCHEMA))
    split = split_rows(np.zeros(0, layout.row_dtype), layout)
    assert split.persons.size == merge_persons(split.persons, layout).persons.size == 0


def test_a_value_counts_once_for_each_holder():
    hi, lo = np.array([3, 1, 3, 3], np.uint64), np.array([0, 0, 0, 1], np.uint64)
    found = sort_values(hi, lo, np.array([8, 8, 8, 8], np.uint32))
    assert [part.tolist() for part in found] == [[1, 3, 3], [0, 0, 1], [8, 8, 8]]
