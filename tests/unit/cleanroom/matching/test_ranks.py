"""Ranks at the widths where their integers are full."""

import numpy as np
import pytest

from cleanroom.matching.ranks import ranks


@pytest.mark.parametrize("many", [1, 32, 33, 253, 254, 255, 256, 257, 65_533, 65_534, 65_535, 65_536])
@pytest.mark.parametrize("step", [1, 3, 10**13])
def test_every_rank_fits_its_integer(many: int, step: int) -> None:
    ends = np.arange(1, many + 1, dtype=np.int64) * step

    found = ranks(np.concatenate([ends, ends - 1, [-(2**63), 2**63 - 1]]), ends)

    below = np.arange(many)
    assert np.array_equal(found, np.concatenate([below + 1, below, [0, many]]))


def test_ranks_of_a_few_hundred_ends_take_two_bytes() -> None:
    assert ranks(np.arange(5), np.arange(1, 301)).dtype == np.uint16


@pytest.mark.parametrize("many", [7, 100])
@pytest.mark.parametrize("kind", [np.int8, np.int16])
def test_narrow_numbers_have_the_ranks_of_wide_ones(kind: type[np.signedinteger], many: int) -> None:
    values = np.array([-127, -126, -5, 0, 5, 126, 127], np.int64)
    ends = np.unique(np.linspace(-1_000, 1_000, many).astype(np.int64))
    wide, narrow = (np.append(np.iinfo(one).min, values.astype(one)).astype(one) for one in (np.int64, kind))

    assert np.array_equal(ranks(narrow, ends), ranks(wide, ends))
    assert ranks(narrow, ends)[0] == 0, "no value is below every end"
