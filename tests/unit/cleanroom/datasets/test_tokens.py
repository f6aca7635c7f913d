"""Tokens as pairs of numbers."""

import numpy as np

from cleanroom.datasets.tokens import halves_of, starts_of, tokens_of


def test_halves_and_tokens_are_two_spellings():
    tokens = bytes(range(48))
    halves = halves_of(tokens)
    assert tokens_of(halves[:, 0], halves[:, 1]) == tokens
    assert halves[0, 0] == 0x0001020304050607


def test_a_new_token_begins_where_either_half_changes():
    hi, lo = np.array([1, 1, 1, 2, 2], np.uint64), np.array([7, 7, 8, 8, 8], np.uint64)
    assert starts_of(hi, lo).tolist() == [0, 2, 3]
    assert starts_of(hi[:0], lo[:0]).tolist() == []
