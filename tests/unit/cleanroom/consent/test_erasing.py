"""What erased tokens said goes, and nobody's consent changes by it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.consent.changes import (
    EVERY_PURPOSE,
    NO_DETAIL,
    ChangeRows,
    ChangeState,
    newest,
    no_changes,
)
from cleanroom.consent.erasing import erasure_of, without_erased, without_terms
from cleanroom.consent.terms import Terms, read_terms, written

PURPOSES = (0, 1, EVERY_PURPOSE)
STATES = [state for state in ChangeState if state is not ChangeState.ERASED]


@st.composite
def changes(draw: st.DrawFn) -> ChangeRows:
    """Changes by few tokens at few instants, some of which are erasures with their withdrawals."""
    made = draw(
        st.lists(
            st.tuples(
                st.integers(0, 2), st.sampled_from(PURPOSES), st.sampled_from(STATES), st.integers(0, 5)
            ),
            max_size=12,
        )
    )
    rows = no_changes(len(made))
    for at, (token, purpose, state, instant) in enumerate(made):
        rows[at]["hi"], rows[at]["purpose"] = token, purpose
        rows[at]["state"], rows[at]["at"] = state, instant
    erased = draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), max_size=4))
    asked = no_changes(len(erased))
    for at, (token, instant) in enumerate(erased):
        asked[at]["hi"], asked[at]["at"] = token, instant
    return np.concatenate([rows, erasure_of(asked)])


def stands(rows: ChangeRows, token: int, purpose: int) -> int | None:
    """The state of a token's consent to a purpose: the newest; of equally old ones the strictest."""
    own = rows[(rows["hi"] == token) & np.isin(rows["purpose"], (purpose, EVERY_PURPOSE))]
    own = own[own["state"] != ChangeState.ERASED]
    if not own.size:
        return None
    return int(own["state"][newest(own, np.zeros(own.size, np.int64))[0]])


@given(changes(), st.integers(1, 4))
def test_no_consent_changes_when_what_was_said_before_is_struck(rows: ChangeRows, parts: int) -> None:
    erased = rows[rows["state"] == ChangeState.ERASED]
    # Segment by segment, as they lie in files.
    left = np.concatenate([without_erased(part, erased) for part in np.array_split(rows, parts)])
    for token in range(3):
        for purpose in (0, 1):
            assert stands(left, token, purpose) == stands(rows, token, purpose)
    last = {token: int(erased["at"][erased["hi"] == token].max(initial=-1)) for token in range(3)}
    for row in left:
        before = row["at"] < last[int(row["hi"])]
        assert not before
    for token, at in last.items():
        own, kept = rows[rows["hi"] == token], left[left["hi"] == token]
        # What others said stays, and of the erased what was said later, and their last erasure itself.
        assert {row.tobytes() for row in own if row["at"] > at} <= {row.tobytes() for row in kept}
        assert at < 0 or ((kept["state"] == ChangeState.ERASED) & (kept["at"] == at)).any()


def test_tokens_that_end_in_zero_bytes_are_told_apart() -> None:
    rows = no_changes(3)
    rows["lo"] = (0, 256, 1 << 56)
    rows["state"] = ChangeState.GRANTED
    asked = no_changes(1)
    asked["lo"], asked["at"] = 256, 5
    left = without_erased(rows, erasure_of(asked))
    assert left["lo"].tolist() == [0, 1 << 56]


def test_terms_are_blanked_and_keep_their_lines() -> None:
    content = written([Terms(evidence=name) for name in "abc"])
    left = without_terms(content, np.array([1, NO_DETAIL], np.uint32))
    assert [one.evidence for one in read_terms(left)] == [None, "b", None]
    assert b'"a"' not in left
