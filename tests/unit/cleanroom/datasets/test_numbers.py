"""Numbers in the narrowest integers: nothing is lost, and "no value" stays apart from every value."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.datasets.errors import SealedColumnError
from cleanroom.datasets.numbers import as_kind, bounds_of, narrowest, stored_kind

NONE = np.iinfo("<i8").min


@given(st.lists(st.integers(NONE, 2**63 - 1) | st.integers(-200, 200)))
def test_what_is_written_narrowly_reads_the_same(numbers):
    values = np.array(numbers, "<i8")
    kind = narrowest(*bounds_of(values), "<i8")
    kept = as_kind(values, kind)
    assert kept.dtype == kind
    assert np.array_equal(as_kind(kept, np.dtype("<i8")), values)
    assert np.array_equal(kept == np.iinfo(kind).min, values == NONE)


@pytest.mark.parametrize(
    ("low", "high", "wide", "kind"),
    [
        (0, -1, "<i8", "<i1"),
        (-127, 127, "<i8", "<i1"),
        (-128, 0, "<i8", "<i2"),
        (0, 128, "<i4", "<i2"),
        (-32_768, 0, "<i4", "<i4"),
        (0, 2**31 - 1, "<i8", "<i4"),
        (-(2**31), 0, "<i8", "<i8"),
        (-(2**63) + 1, 2**63 - 1, "<i8", "<i8"),
    ],
)
def test_the_narrowest_type_leaves_its_smallest_number_to_no_value(low, high, wide, kind):
    assert narrowest(low, high, wide) == np.dtype(kind)


@pytest.mark.parametrize(("size", "kind"), [(0, "<i4"), (7, "<i1"), (14, "<i2"), (28, "<i4")])
def test_the_size_of_a_file_tells_the_width_of_its_numbers(size, kind):
    assert stored_kind(size, 7 if size else 0, "<i4") == np.dtype(kind)


@pytest.mark.parametrize(("size", "items"), [(56, 7), (21, 7), (15, 7), (0, 7), (4, 0)])
def test_a_file_of_other_numbers_is_refused(size, items):
    with pytest.raises(SealedColumnError):
        stored_kind(size, items, "<i4")
