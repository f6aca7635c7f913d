"""An answer written in parts is the one that pydantic writes whole."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from advertiser_api.v1.answers import ResultOut
from cleanroom.access.idempotency import replay_of
from cleanroom.analyses.suggesting import Suggestion
from cleanroom.analyses.types import Answer, Outcome
from cleanroom.release.types import Mechanism, ReleasedFigure, ReleasedRatio

NAMES = st.text(max_size=12) | st.sampled_from(['"figures":[]', '","suggestions":[],"', "ratios", "сегмент"])
NUMBERS = st.integers(0, 10**9)
FIGURES = st.builds(
    ReleasedFigure,
    name=NAMES,
    value=st.none() | NUMBERS,
    suppressed=st.booleans(),
    sigma=st.floats(0, 1e6),
    interval95=st.none() | st.tuples(NUMBERS, NUMBERS),
    scale=st.none() | st.integers(0, 4),
)
RATIOS = st.builds(
    ReleasedRatio,
    name=NAMES,
    value=st.none() | st.floats(0, 1e4),
    interval95=st.none() | st.tuples(st.floats(0, 1e4), st.none() | st.floats(0, 1e4)),
    scale=st.none() | st.integers(0, 4),
)
SUGGESTIONS = st.builds(
    Suggestion,
    breakdown=st.tuples(NAMES, NAMES),
    attribute=NAMES,
    bands=st.tuples(st.tuples(NAMES, NAMES)),
    withheld_before=st.floats(0, 1e6),
    withheld_after=st.floats(0, 1e6),
)
MECHANISM = Mechanism("discrete_gaussian/v1", 3, 50, 31.5, 50, 120, 62, 5)


def lists(of: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(of, max_size=4).map(tuple)


def joined(answer: Answer) -> bytes:
    return replay_of(201, *ResultOut.json_of(answer)).body


@given(
    st.builds(
        Answer,
        analysis_id=st.just("an_1"),
        outcome=st.just(Outcome.STORED),
        figures=lists(FIGURES),
        ratios=lists(RATIOS),
        mechanism=st.none() | st.just(MECHANISM),
        reasons=st.just(()),
        missing=lists(NAMES),
        as_of=st.just(datetime(2026, 11, 22, tzinfo=UTC)),
        consent_epoch=st.none() | NUMBERS,
        charged_micro=st.just(0),
        left_micro=NUMBERS,
        charged_delta_pico=st.just(0),
        left_delta_pico=NUMBERS,
        receipt=st.builds(Path, st.sampled_from([f"an_{number:032x}.json" for number in range(2)])),
        suggestions=lists(SUGGESTIONS),
    )
)
def test_an_answer_written_in_parts_is_the_whole_one(answer: Answer) -> None:
    whole = ResultOut.of(answer).model_dump_json().encode()
    assert joined(answer) == whole
    # Another one with the same receipt: its long part was written before, the rest is its own.
    later = replace(answer, analysis_id="an_2", left_micro=7)
    assert joined(later) == ResultOut.of(later).model_dump_json().encode()
