"""Breakdowns over values that nobody declared, from the file to the receipt: what is shown, and what it costs."""

from collections import Counter
from typing import Any

import pytest

from cleanroom.analyses.types import Outcome
from cleanroom.release import gate
from policies.errors import QuestionError
from tests.integration.analyses.questions import OVERLAP, receipt_of
from tests.rooms import DATASET_HEADER, DATASET_SCHEMA, KNOWN, PEOPLE, people

SCHEMA = DATASET_SCHEMA.replace(
    "lawful_basis",
    "  town: {type: category, open: true}\n  shop: {type: category, open: true}\nlawful_basis",
    1,
)
HEADER = f"{DATASET_HEADER},town,shop"
ASKED = {"kind": "profile", "breakdowns": [["town"]], "precision": "fine"}


def town(number: int) -> str:
    """Most live in two towns, some name none, and every 20th has a town of its own."""
    if number % 20 == 7:
        return f"Хутор {number}"
    return ("Казань", "Омск", "Казань", "", "Омск")[number % 5]


def matched() -> Counter[str]:
    """Every tenth of the known persons has withdrawn."""
    return Counter(town(number) or "unknown" for number in range(KNOWN) if number % 10 != 9)


@pytest.fixture
def opened(make_room):
    stage = make_room()
    rows = [f"{row},{town(number)},{number % 3}" for number, row in enumerate(people(PEOPLE))]
    stage.dataset_id = stage.dataset(rows, schema=SCHEMA, header=HEADER)
    stage.rule()
    return stage


@pytest.fixture
def grant(opened):
    return opened, opened.grant()


def towns(answer: Any) -> dict[str, Any]:
    prefix = "breakdown:town="
    return {
        figure.name.removeprefix(prefix): figure
        for figure in answer.figures
        if figure.name.startswith(prefix)
    }


def test_towns_of_many_are_shown_and_towns_of_few_leave_no_trace(grant):
    stage, paid = grant
    answer = stage.ask(paid, **ASKED)
    assert answer.outcome is Outcome.RELEASED
    assert answer.mechanism.l0 == 2
    keys = answer.mechanism.open_keys
    # sigma 14.1: the minimum audience of 100 asks for more than delta does.
    assert (keys.attribute, keys.delta_pico, keys.threshold) == ("town", 5_000, 133)
    shown, exact = towns(answer), matched()
    assert exact["Казань"] > exact["Омск"] > exact["unknown"] > 200
    assert list(shown) == sorted(name for name, count in exact.items() if count > 20)
    for name, figure in shown.items():
        # Eight sigma: a false alarm once in 10^15 runs.
        assert abs(figure.value - exact[name]) < 8 * figure.sigma
        assert figure.interval95[0] <= figure.value <= figure.interval95[1]
    assert f"share:breakdown:town={next(iter(shown))}" in {ratio.name for ratio in answer.ratios}
    body = receipt_of(stage, answer).record["body"]
    assert body["question"]["open_breakdown"] == "town"
    assert [(item["name"], item["value"]) for item in body["figures"]] == [
        (figure.name, figure.value) for figure in answer.figures
    ]
    assert "Хутор" not in str(stage.events())


def test_delta_is_charged_once_and_an_answer_again_costs_nothing(grant):
    stage, paid = grant
    first = stage.ask(paid, **ASKED)
    assert (first.charged_delta_pico, first.left_delta_pico) == (5_000, 945_000)
    assert receipt_of(stage, first).record["body"]["budget"]["left_after_delta_pico"] == 945_000
    again = stage.ask(paid, **ASKED)
    assert (again.outcome, again.charged_micro, again.charged_delta_pico) == (Outcome.STORED, 0, 0)
    assert again.figures == first.figures
    assert again.mechanism == first.mechanism
    plain = stage.ask(paid, kind="profile", breakdowns=[["sex"]])
    assert (plain.charged_delta_pico, plain.left_delta_pico) == (0, 945_000)


def test_everything_beside_the_breakdown_is_counted_as_without_it(grant, monkeypatch):
    stage, paid = grant
    seen: list[Any] = []
    release = gate.release_cells
    monkeypatch.setattr(
        "cleanroom.release.service.release_cells",
        lambda cells, how: seen.append(cells) or release(cells, how),
    )
    both = {"breakdowns": [["sex"], ["town"]], "labels": True, "affinity": True}
    answer = stage.ask(paid, **ASKED | both)
    assert answer.outcome is Outcome.RELEASED
    exact = {cell.name: cell.exact for cell in seen[0] if cell.open}
    assert exact == {f"breakdown:town={name}": count for name, count in matched().items()}
    assert sum(exact.values()) == OVERLAP
    # Overlap, labels, sex and town; size and sex of the dataset.
    assert answer.mechanism.l0 == 6
    assert {"breakdown:sex=F", "dataset:breakdown:sex=F", "label:vip"} <= {f.name for f in answer.figures}


def test_a_small_grant_pays_four_such_questions_and_then_offers_one_without(opened):
    stage, small = opened, opened.grant("S")
    asked = [
        {**ASKED, "precision": "rough", "breakdowns": [["town"], more]}
        for more in (["sex"], ["age"], ["likes"])
    ]
    asked += [{**ASKED, "precision": "rough", "breakdowns": [["shop"]]}]
    assert [stage.ask(small, **one).outcome for one in asked] == [Outcome.RELEASED] * 4
    fifth = stage.ask(small, **ASKED | {"precision": "rough", "breakdowns": [["town"], ["sex", "age"]]})
    assert fifth.outcome is Outcome.REFUSED
    (reason,) = fifth.reasons
    assert (reason.rule, reason.limit, reason.asked) == ("delta_left", 0, 5_000)
    assert reason.nearest["question"]["breakdowns"] == [["sex", "age"]]
    # What is paid for is still there to read, with nothing left of delta.
    assert stage.ask(small, **asked[0]).outcome is Outcome.STORED


def test_an_estimate_quotes_the_delta_and_the_threshold_that_are_billed(grant):
    stage, paid = grant
    question = stage.question(**ASKED)
    asker = stage.advertiser.organisation_id
    told = stage.room.analyses.estimate(question, grant_id=paid.id, asker_id=asker)
    answer = stage.ask(paid, question)
    assert (told.charged_micro, told.charged_delta_pico) == (answer.charged_micro, answer.charged_delta_pico)
    assert (told.left_micro, told.left_delta_pico) == (answer.left_micro, answer.left_delta_pico)
    assert told.mechanism == answer.mechanism
    assert told.questions_left == 19


@pytest.mark.parametrize(
    "asked",
    [
        {"breakdowns": [["town", "sex"]]},
        {"breakdowns": [["town"], ["shop"]]},
        {"segments": {"s": {"attribute": "town", "op": "==", "value": "Хутор 7"}}},
    ],
)
def test_crossing_and_conditions_are_refused_before_anything_is_spent(grant, asked):
    stage, paid = grant
    events = len(stage.events())
    with pytest.raises(QuestionError, match="open category") as caught:
        stage.ask(paid, **ASKED | asked)
    assert "Хутор" not in str(caught.value)
    assert (stage.left(paid), len(stage.events())) == (95_000, events)


def test_answers_survive_the_rotation_of_the_keys(grant):
    stage, paid = grant
    stage.room.rotation.rotate_token_key(stage.provider.workspace_id)
    stage.room.rotation.rotate_kek(stage.provider.workspace_id)
    shown = towns(stage.ask(paid, **ASKED))
    assert abs(shown["Казань"].value - matched()["Казань"]) < 8 * shown["Казань"].sigma


def test_people_who_withdraw_are_counted_under_no_key(grant, monkeypatch):
    stage, paid = grant
    stage.withdraw(*range(0, KNOWN, 5))
    seen: list[Any] = []
    release = gate.release_cells
    monkeypatch.setattr(
        "cleanroom.release.service.release_cells",
        lambda cells, how: seen.append(cells) or release(cells, how),
    )
    stage.ask(paid, **ASKED)
    left = Counter(
        town(number) or "unknown" for number in range(KNOWN) if number % 10 != 9 and number % 5 != 0
    )
    assert {cell.name.partition("=")[2]: cell.exact for cell in seen[0] if cell.open} == dict(left)
