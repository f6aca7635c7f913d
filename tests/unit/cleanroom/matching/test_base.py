"""A base's entries under the dataset's key: moved part by part, junk left out, each with its label."""

import numpy as np
import pytest

from cleanroom.datasets.tokens import halves_of
from cleanroom.matching.base import MovedKey
from crypto.tokens import tokenise

OLD, NEW = b"\x01" * 32, b"\x02" * 32
DIGESTS = np.random.default_rng(1).integers(0, 256, (50, 32), np.uint8)
MINE, THEIRS = (halves_of(tokenise(DIGESTS, key=key)) for key in (OLD, NEW))
LABELS = np.array([1, 3, 2], np.uint8)
PERSON = (np.arange(50) % 3).astype(np.uint32)


def moved(junk: np.ndarray, *, labelled: bool) -> MovedKey:
    hi, lo = (np.ascontiguousarray(half) for half in MINE.T)
    labels = {"person": PERSON, "labels": LABELS} if labelled else {}
    return MovedKey(hi, lo, OLD, NEW, np.sort(junk), **labels)


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("junk", [THEIRS[:0, 0], THEIRS[[3, 40, 7], 0], THEIRS[:, 0]])
def test_every_part_is_what_the_dataset_would_have_made_of_the_digests(junk, labelled):
    key = moved(junk, labelled=labelled)
    assert key.size == 50
    kept = ~np.isin(THEIRS[:, 0], junk)
    for start, stop in ((0, 50), (10, 20), (49, 50), (5, 5)):
        values, labels = key.part(start, stop)
        inside = kept[start:stop]
        assert values.tolist() == THEIRS[start:stop, 0][inside].tolist()
        if labelled:
            assert labels.tolist() == (LABELS[PERSON[start:stop]] - 1)[inside].tolist()
        else:
            assert labels is None
