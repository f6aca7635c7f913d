"""What an estimate says a question costs, and how exact it is, is what asking then takes and gives."""

import random
from typing import Any

import pytest

from cleanroom.analyses.estimate_types import Estimate
from cleanroom.analyses.types import Outcome
from policies.codec import load_preset
from tests.integration.analyses.questions import receipt_of
from tests.rooms import DATASET_SCHEMA, PURPOSE, Stage, people

PRICES: tuple[dict[str, Any], ...] = (
    {"precision": "rough"},
    {"precision": "normal"},
    {"half_width": 150},
    {"half_width": 275},
    {"half_width": 1_000},
)


def estimate(stage: Stage, grant: Any, **question: Any) -> Estimate:
    asker_id = stage.advertiser.organisation_id
    return stage.room.analyses.estimate(stage.question(**question), grant_id=grant.id, asker_id=asker_id)


def condition(rng: random.Random, depth: int = 2) -> dict[str, Any]:
    if depth and rng.random() < 0.4:
        parts = [condition(rng, depth - 1) for _ in range(rng.randint(1, 3))]
        return rng.choice(({"all": parts}, {"any": parts}, {"not": parts[0]}))
    return rng.choice(
        (
            {"attribute": "age", "op": rng.choice(("<", ">=", "!=")), "value": rng.randint(15, 64)},
            {"attribute": "age", "op": "between", "value": sorted(rng.sample(range(15, 65), 2))},
            {"attribute": "sex", "op": "in", "value": rng.sample(["F", "M", "nobody's"], 2)},
            {"attribute": "likes", "op": "has_any", "value": rng.sample(["sport", "music", "books"], 2)},
            {"attribute": "age", "op": "is_null"},
        )
    )


def random_question(rng: random.Random) -> dict[str, Any]:
    kind = rng.choice(("match_test", "overlap", "overlap", "profile", "profile", "statistics"))
    # A tenth is refused: by its purpose, or by what one question may cost.
    asked: dict[str, Any] = {"kind": kind, "purpose": rng.choices((PURPOSE, "research"), (95, 5))[0]}
    asked |= rng.choices((*PRICES, {"half_width": 1}), (60, 5, 15, 15, 15, 5))[0]
    asked |= {"labels": rng.random() < 0.5, "per_key": rng.random() < 0.5}
    if kind != "match_test":
        asked["segments"] = {f"s{number}": condition(rng) for number in range(rng.randint(0, 5))}
    if kind in ("profile", "statistics"):
        asked["breakdowns"] = rng.sample([["sex"], ["age"], ["sex", "age"], ["likes"]], rng.randint(1, 3))
    if kind == "profile":
        asked["affinity"] = rng.random() < 0.3
    if kind == "statistics":
        asked["sums"] = ["age"]
    return asked


@pytest.mark.parametrize("questions", [40, pytest.param(300, marks=pytest.mark.slow)])
def test_questions_cost_and_are_as_exact_as_they_were_estimated(make_room, questions):
    stage = make_room()
    relaxed = load_preset("relaxed", purposes=[PURPOSE, "research"])
    # Datasets about the same people share the strictest budget: the room's first one must not be stricter.
    stage.rule(relaxed)
    bands = "bands: [18, 30, 45]"
    stage.dataset_id = stage.dataset(
        people(), schema=DATASET_SCHEMA.replace(bands, f"{bands}, clamp: [0, 60]")
    )
    stage.rule(relaxed)
    grant = stage.grant("L")
    rng = random.Random(11)
    seen, summed = dict.fromkeys(Outcome, 0), 0
    while seen[Outcome.RELEASED] < questions:
        assert sum(seen.values()) < 2 * questions, "the grant must pay for all of them"
        asked = random_question(rng)
        before = stage.left(grant)
        quote = estimate(stage, grant, **asked)
        # Estimating is free.
        assert stage.left(grant) == before

        answer = stage.ask(grant, **asked)

        seen[quote.outcome] += 1
        assert quote.outcome is answer.outcome
        assert (quote.reasons, quote.missing) == (answer.reasons, answer.missing)
        assert quote.charged_micro == answer.charged_micro == before - stage.left(grant)
        assert quote.left_micro == answer.left_micro == stage.left(grant)
        assert quote.mechanism == answer.mechanism
        assert [(item.name, item.sigma) for item in quote.figures] == [
            (figure.name, figure.sigma) for figure in answer.figures
        ]
        body = receipt_of(stage, answer).record["body"]
        if quote.mechanism is None:
            assert body["outcome"] == "refused"
            continue
        proven = body["mechanism"]
        assert proven["rho_micro"] == quote.mechanism.rho_micro
        widths = {item["attribute"]: int(item["half_width"]) for item in proven["sums"]}
        for item in quote.figures:
            width = widths["age"] if item.name.startswith("sum:age") else proven["half_width"]
            assert item.half_width == width
        summed += bool(widths)
        if quote.outcome is Outcome.RELEASED:
            assert body["budget"]["left_after_micro"] == quote.left_micro
            assert quote.questions_left == before // quote.charged_micro
    assert seen[Outcome.STORED] >= questions // 40
    assert seen[Outcome.REFUSED] >= questions // 40
    assert summed >= questions // 20


@pytest.mark.parametrize(
    ("price", "count"), [({"precision": "rough"}, 19), ({"half_width": 120, "labels": True}, 4)]
)
def test_as_many_such_questions_are_left_as_was_said(make_room, price, count):
    stage = make_room()
    grant = stage.grant("S")
    # One micro-rho was spent before.
    stage.ask(grant, half_width=1_500)
    fresh = iter(range(100))

    def another() -> dict[str, Any]:
        return {"segments": {"s": {"attribute": "age", "op": "<", "value": next(fresh)}}, **price}

    said = estimate(stage, grant, **another()).questions_left
    assert said == count
    for left in range(said, 0, -1):
        question = another()
        assert estimate(stage, grant, **question).questions_left == left
        assert stage.ask(grant, **question).outcome is Outcome.RELEASED
    one_more = another()
    assert estimate(stage, grant, **one_more).questions_left is None
    refused = stage.ask(grant, **one_more)
    assert [reason.rule for reason in refused.reasons] == ["budget_left"]


def test_where_delta_is_scarcer_it_says_how_many_questions_about_unknown_keys_are_left(make_room):
    stage = make_room()
    open_category = "likes: {type: category, open: true, max_bytes: 16}"
    declared = next(line for line in DATASET_SCHEMA.splitlines() if "likes:" in line).strip()
    stage.dataset_id = stage.dataset(people(), schema=DATASET_SCHEMA.replace(declared, open_category))
    stage.rule()
    grant = stage.grant("S")

    def another(number: int) -> dict[str, Any]:
        segments = {"s": {"attribute": "age", "op": "<", "value": number}}
        return {"kind": "profile", "breakdowns": [["likes"]], "precision": "rough", "segments": segments}

    # A two-hundredth of a cap of 10^-6 each, out of two per cent of it; the rho alone would pay for 20.
    for left in (4, 3, 2, 1):
        quote = estimate(stage, grant, **another(left))
        assert (quote.questions_left, quote.charged_delta_pico, quote.delta) == (left, 5_000, 1.005e-6)
        answer = stage.ask(grant, **another(left))
        assert answer.outcome is Outcome.RELEASED
        assert (answer.charged_delta_pico, answer.left_delta_pico) == (5_000, quote.left_delta_pico)
        assert (answer.mechanism, answer.charged_micro) == (quote.mechanism, quote.charged_micro)
        assert quote.figures[-1].name == "breakdown:likes=*"
        assert quote.figures[-1].threshold == answer.mechanism.open_keys.threshold
    assert estimate(stage, grant, **another(4)).outcome is Outcome.STORED
    assert estimate(stage, grant, **another(4)).questions_left == 0
    told, refused = estimate(stage, grant, **another(5)), stage.ask(grant, **another(5))
    assert (
        [reason.rule for reason in told.reasons]
        == [reason.rule for reason in refused.reasons]
        == ["delta_left"]
    )
