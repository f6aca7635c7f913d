"""What a permitted question gets: figures, a charge, a receipt, and no exact count anywhere."""

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import select

from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.types import Outcome
from cleanroom.release import gate, service
from cleanroom.release.models import StoredAnswer
from tests.integration.analyses.questions import OVERLAP, RICH, receipt_of, status_of


def test_a_permitted_question_is_answered_charged_and_proven(stage):
    grant = stage.grant()

    answer = stage.ask(grant, **RICH)

    assert answer.outcome is Outcome.RELEASED
    overlap = next(figure for figure in answer.figures if figure.name == "overlap")
    # Eight sigma: a false alarm once in 10^15 runs.
    assert abs(overlap.value - OVERLAP) < 8 * overlap.sigma
    assert {figure.name for figure in answer.figures} >= {
        "key:email/room",
        "label:lapsed",
        "segment:young",
        "breakdown:sex=F,age=30-44",
        "dataset",
        "dataset:segment:sporty",
    }
    # overlap, labels, keys, two overlapping segments, a breakdown; and size, segments, breakdown of the dataset.
    assert answer.mechanism.l0 == 3 + 2 + 1 + 1 + 2 + 1
    assert answer.charged_micro == answer.mechanism.rho_micro == 5_000
    assert answer.left_micro == stage.left(grant) == 95_000 - 5_000
    body = receipt_of(stage, answer).record["body"]
    assert body["outcome"] == "released"
    assert body["budget"] == {
        "left_before_micro": 95_000,
        "left_after_micro": 90_000,
        "left_before_delta_pico": 950_000,
        "left_after_delta_pico": 950_000,
        "window_days": None,
    }
    assert (answer.charged_delta_pico, answer.left_delta_pico) == (0, 950_000)
    assert [(item["name"], item["value"]) for item in body["figures"]] == [
        (figure.name, figure.value) for figure in answer.figures
    ]
    assert body["dataset_id"] == stage.dataset_id
    assert len(body["dataset_files_root"]) == 64
    assert status_of(stage, answer.analysis_id) == "released"


def test_every_cell_goes_through_the_gate_under_the_l0_that_was_paid_for(stage, monkeypatch):
    seen: list[Any] = []
    release = gate.release_cells
    monkeypatch.setattr(
        service,
        "release_cells",
        lambda cells, mechanism: seen.append((cells, mechanism)) or release(cells, mechanism),
    )

    answer = stage.ask(stage.grant(), **RICH)

    ((cells, mechanism),) = seen
    assert mechanism == answer.mechanism
    assert len(cells) == len(answer.figures)
    exact = {cell.name: cell.exact for cell in cells}
    assert exact["overlap"] == OVERLAP
    assert exact["key:email/room"] + exact["key:phone/room"] == OVERLAP
    assert exact["dataset"] == 2_700


def numbers_in(value: Any) -> Iterator[int]:
    """All whole numbers of plain data, and those that stand in its texts."""
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple):
        for item in value:
            yield from numbers_in(item)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value
    elif isinstance(value, str) and value.isdigit():
        yield int(value)


def test_neither_log_nor_receipts_nor_sql_hold_an_exact_count(stage, monkeypatch):
    exact: set[int] = set()

    def far(counts: list[int], *, sigma: float) -> list[int]:
        exact.update(counts)
        return [count + 1_000_000 + 7 * at for at, count in enumerate(counts)]

    # Noise that cannot meet a count by chance.
    monkeypatch.setattr(gate, "add_noise", far)
    answer = stage.ask(stage.grant("M"), **RICH)
    stage.ask(stage.grant("S"), precision="fine", purpose="research")

    exact = {count for count in exact if count > 100}
    assert OVERLAP in exact
    assert len(exact) > 15
    written = [event["body"] for event in stage.events()]
    written += [json.loads(path.read_bytes()) for path in answer.receipt.parent.iterdir()]
    with stage.room.db.reading() as tx:
        for model in (StoredAnswer, AnalysisRow):
            for row in tx.session.scalars(select(model)):
                written.append({column.name: getattr(row, column.name) for column in model.__table__.columns})
    # Record counts of the files are no counts of matches: 3,000 rows, 1,500 in the base.
    assert not exact & set(numbers_in(written))


def test_a_receipt_can_be_made_again_from_the_log(stage):
    answer = stage.ask(stage.grant("S"), precision="rough")
    answer.receipt.unlink()

    again = stage.ask(stage.grant("S"), precision="rough")
    with stage.room.db.transaction() as tx:
        path = stage.room.receipts.issue(tx, answer.analysis_id)

    assert again.analysis_id != answer.analysis_id
    assert path == answer.receipt
    assert receipt_of(stage, answer).record["subject"] == answer.analysis_id
