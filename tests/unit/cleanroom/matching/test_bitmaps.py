"""What bitmaps keep in memory, and what they make once only."""

from unittest.mock import patch

import numpy as np
import pytest

from cleanroom.matching import bitmaps
from cleanroom.matching.bitmaps import Bitmaps, Shared, count_of
from cleanroom.matching.types import Column
from policies.attributes import AttributeInfo
from policies.canonical import canonical_condition
from policies.condition import parse_condition

AGE = AttributeInfo("integer")
AGES = np.arange(64, dtype=np.int64)


def older_than(age: int):
    return canonical_condition(parse_condition({"attribute": "age", "op": ">", "value": age}), {"age": AGE})


def test_no_more_bitmaps_are_kept_than_their_memory_allows() -> None:
    asked = [older_than(age) for age in range(50)]
    with patch.object(bitmaps, "MOST_KEPT_BYTES", 10 * 8):
        made = Bitmaps(64, lambda _name: Column(AGE, AGES), Shared(asked))

        kept = []
        for node in asked:
            made.of(node)
            kept.append(len(made._kept))

    assert max(kept) == 10


def test_an_end_that_conditions_share_is_compared_once() -> None:
    asked = [older_than(30), older_than(30)]
    packed = []
    with patch.object(bitmaps, "packed", side_effect=lambda bits: packed.append(bits) or real(bits)):
        made = Bitmaps(64, lambda _name: Column(AGE, AGES), Shared(asked))
        found = [made.of(node) for node in asked]

    assert found[0] is found[1]
    assert len(packed) == 2, "everyone, and those below 31"


@pytest.mark.parametrize("many", [3, 90])
@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32])
def test_narrow_numbers_are_compared_as_wide_ones_and_no_value_is_below_them_all(kind, many) -> None:
    ages = np.array([-127, -100, -1, 0, 1, 100, 127] * 9, np.int64)
    none = np.iinfo(np.int64).min
    wide = np.append(ages, none)
    narrow = np.append(ages, np.iinfo(kind).min).astype(kind)
    asked = [older_than(int(age)) for age in np.linspace(-40_000, 40_000, many)]

    found = [
        [
            Bitmaps(64, lambda _name, own=own: Column(AGE, own), Shared(asked)).of(node).tolist()
            for node in asked
        ]
        for own in (wide, narrow)
    ]

    assert found[0] == found[1]
    everyone = older_than(-1_000)
    assert count_of(Bitmaps(64, lambda _name: Column(AGE, narrow), Shared([everyone])).of(everyone)) == 63


real = bitmaps.packed
