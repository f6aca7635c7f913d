"""Persons with several rows are found wherever their rows lie, and only they are merged."""

import numpy as np

from cleanroom.ingestion.budget import Budget
from cleanroom.ingestion.merging import split_rows
from cleanroom.ingestion.records import NOBODY, OP_DELETE, RecordLayout
from cleanroom.ingestion.repeats import Repeats
from cleanroom.schema.codec import schema_from_yaml

LAYOUT = RecordLayout.of(
    schema_from_yaml(
        """\
person_id: {column: id}
match_keys: {email: {column: e}}
attributes: {spend: {type: integer, kind: behavioural, clamp: [0, 9], aggregate: sum}}
"""
    )
)


def taken(ids: list[int], ops: dict[int, int] | None = None) -> tuple[Repeats, np.ndarray]:
    """Give rows of these persons to a fresh instance, three at a time."""
    rows = np.zeros(len(ids), LAYOUT.row_dtype)
    rows["person_hi"] = np.array(ids, np.uint64) << np.uint64(54)
    rows["a0"] = 1
    for at, op in (ops or {}).items():
        rows["op"][at] = op
    persons = split_rows(rows, LAYOUT).persons
    made = Repeats(
        LAYOUT,
        rows=len(ids),
        memory_bytes=1 << 20,
        bucket_bytes=64,
        budget=Budget(1 << 20),
        spill=None,
        pool=None,
    )
    for start in range(0, len(ids), 3):
        made.hold(made.arrange(persons[start : start + 3]))
    made.find(len(ids))
    return made, persons


def merged(made: Repeats, rows: np.ndarray) -> np.ndarray:
    made.hold_rows(made.arrange_rows(rows))
    made.settle()
    return np.concatenate([made.merge(bucket) for bucket in range(made.buckets)])


def test_without_repeats_every_row_is_a_person():
    made, persons = taken([5, 1, 9, 7])
    assert not made.found
    stay, out = made.split(persons)
    assert stay["seq"].tolist() == [0, 1, 2, 3]
    assert not out.size


def test_rows_of_a_person_meet_and_lead_to_it():
    made, persons = taken([5, 1, 9, 7, 5, 2, 1, 3, 5])
    assert made.found
    stay, out = made.split(persons)
    assert stay["seq"].tolist() == [2, 3, 5, 7]
    people = merged(made, out)
    assert sorted(people[["seq", "a0"]].tolist()) == [(6, 2), (8, 3)]
    # A merged person is not taken out again.
    assert made.split(people)[0].size == 2
    position = np.array([0, 0, 20, 30, 0, 50, 60, 70, 80], np.uint32)
    made.follow(position)
    assert position.tolist() == [80, 60, 20, 30, 80, 50, 60, 70, 80]


def test_a_single_deletion_leaves_nobody():
    made, persons = taken([5, 1, 9], {1: OP_DELETE})
    stay, out = made.split(persons)
    assert stay["seq"].tolist() == [0, 2]
    assert not merged(made, out).size
    position = np.array([1, 0, 0], np.uint32)
    made.follow(position)
    assert position.tolist() == [1, NOBODY, 0]
