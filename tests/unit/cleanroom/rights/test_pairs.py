"""A fingerprint does not depend on where the blocks end."""

import hashlib
import hmac

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.rights.pairs import Pairs


def taken(entries: list[tuple[int, int, int]], labels: list[int], size: int) -> tuple[bytes, int]:
    mac = hmac.new(b"key", digestmod=hashlib.sha256)
    pairs = Pairs(np.array(labels, np.uint8), mac)
    rows = np.array(sorted(entries), np.uint64).reshape(-1, 3)
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        pairs.add(part[:, 0].copy(), part[:, 1].copy(), part[:, 2].astype(np.uint32))
    distinct = pairs.finish()
    return mac.digest(), distinct


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 5)), max_size=20, unique=True),
    st.one_of(st.just([]), st.lists(st.integers(1, 4), min_size=6, max_size=6)),
    st.integers(1, 5),
)
def test_blocks_leave_no_trace(entries: list[tuple[int, int, int]], labels: list[int], size: int) -> None:
    whole = hmac.new(b"key", digestmod=hashlib.sha256)
    values: dict[tuple[int, int], int] = {}
    for hi, lo, person in sorted(entries):
        label = labels[person] if labels else 0
        values[hi, lo] = min(values.get((hi, lo), label), label)
    for (hi, lo), label in values.items():
        whole.update(hi.to_bytes(8) + lo.to_bytes(8) + bytes([label]))
    assert taken(entries, labels, size) == (whole.digest(), len(values))
