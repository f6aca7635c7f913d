"""Cells of sets, at the widths where their words are full."""

import numpy as np
import pytest

from cleanroom.matching.evaluate import Rows
from cleanroom.matching.types import Column
from policies.attributes import AttributeInfo


@pytest.mark.parametrize("declared", [1, 62, 63, 64, 127, 128])
def test_every_value_other_and_unknown_have_cells_of_their_own(declared: int) -> None:
    info = AttributeInfo("set", values=tuple(f"v{at}" for at in range(declared)), max_values=3)
    words = np.zeros((4, (declared + 1 + 63) // 64), np.uint64)
    for person, bit in ((0, 0), (1, declared - 1), (2, declared)):
        words[person, bit // 64] |= np.uint64(1 << bit % 64)

    cells = Rows(4, lambda _name: Column(info, words)).cells(("likes",)).counts()

    assert cells.size == declared + 2
    assert cells.sum() == 4
    assert cells[declared] == 1, "other"
    assert cells[declared + 1] == 1, "unknown"
    assert cells[0] == (2 if declared == 1 else 1)
