"""What is told of a question before it is run, from how its first half ended."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cleanroom.analyses.errors import NamedSizeError
from cleanroom.analyses.estimating import estimate_of
from cleanroom.analyses.steps import Refused, Reserved
from cleanroom.analyses.types import Outcome
from cleanroom.grants.types import Grant, GrantStatus, Reservation
from cleanroom.release.types import Mechanism, OpenKeys, SumNoise
from policies.decision import Reason

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SPEND = SumNoise("spend", 0, 20_000, 2, 1, 2_000_000.0, 3_919_928)
MECHANISM = Mechanism(
    family="test",
    l0=3,
    rho_micro=150,
    sigma=100.0,
    minimum_audience=100,
    threshold=333,
    half_width=196,
    round_to=1,
    sums=(SPEND,),
)
NAMES = ("overlap", "segment:young", "sum:spend", "sum:spend:segment:young")
GRANT = Grant(
    id="gr_1",
    population_id="pop_1",
    dataset_id="ds_1",
    advertiser_id="org_1",
    agency_id=None,
    affiliate_group=None,
    purposes=("advertising",),
    size="S",
    rho_micro=2_000,
    spent_micro=500,
    delta_pico=1_000,
    spent_delta_pico=0,
    valid_from=NOW,
    expires_at=NOW,
    status=GrantStatus.ACTIVE,
)


def reserved(*, delta_pico: int = 0, **changed: Any) -> Reserved:
    """A question that has taken its price out of the grant."""
    keys = OpenKeys("town", delta_pico, 700) if delta_pico else None
    mechanism = replace(MECHANISM, open_keys=keys, **changed)
    layout = SimpleNamespace(
        asked_names=lambda: {name: (name,) for name in NAMES},
        question=SimpleNamespace(asked_breakdowns=()),
    )
    paid = Reservation("an_1", "gr_1", 150, 1_650, 1_500, delta_pico, 1_000, 1_000 - delta_pico)
    return Reserved(
        question=cast(Any, None),
        dataset=cast(Any, None),
        base_version=cast(Any, None),
        ticket=cast(Any, SimpleNamespace(mechanism=mechanism)),
        plan=cast(Any, None),
        layout=cast(Any, layout),
        match=cast(Any, None),
        reservation=paid,
    )


def test_a_sum_is_told_in_its_own_unit_and_shown_with_the_count_of_its_people():
    told = estimate_of(reserved(), GRANT, {}, sizes=(333,), expected={"sum:spend": 333})

    count, _, total, part = told.figures
    assert (count.sigma, count.half_width, count.scale) == (100.0, 196, None)
    assert (total.sigma, total.half_width, total.scale) == (2_000_000.0, 3_919_928, 2)
    assert replace(part, name=total.name, expected=total.expected) == total
    assert total.threshold == count.threshold == 333
    assert total.chances == count.chances
    assert total.expected.suppressed == pytest.approx(0.5, abs=0.01)


def test_the_question_itself_is_among_those_that_are_left():
    told = estimate_of(reserved(), GRANT, {}, sizes=(), expected={})

    assert (told.outcome, told.charged_micro, told.left_micro) == (Outcome.RELEASED, 150, 1_500)
    # Of 1,650.
    assert told.questions_left == 11
    assert (told.charged_delta_pico, told.delta) == (0, 1e-6)


def test_delta_bounds_the_number_of_questions_left_where_it_is_scarcer_than_rho():
    told = estimate_of(
        reserved(delta_pico=300), replace(GRANT, spent_delta_pico=300), {}, sizes=(), expected={}
    )

    # Of 1,000 before.
    assert told.questions_left == 3
    assert (told.charged_delta_pico, told.left_delta_pico) == (300, 700)
    assert told.delta == pytest.approx(1e-6 + 3e-10, rel=1e-12)


def test_every_unknown_key_is_told_by_one_figure_with_the_threshold_of_its_delta():
    told = estimate_of(reserved(delta_pico=300), GRANT, {}, sizes=(700,), expected={})

    *others, keys = told.figures
    assert (keys.name, keys.threshold, keys.sigma, keys.half_width) == ("breakdown:town=*", 700, 100.0, 196)
    assert keys.chances[0].suppressed == pytest.approx(0.5, abs=0.01)
    assert others[0].chances[0].suppressed < 0.001


def test_outputs_with_a_minimum_of_their_own_are_shown_from_another_threshold():
    begun = reserved(minimums={"segment": 500, "sum": 200})

    told = estimate_of(begun, GRANT, {}, sizes=(333,), expected={"segment:young": 733})

    overlap, part, total, part_total = told.figures
    assert (overlap.threshold, part.threshold, total.threshold) == (333, 733, 433)
    # It takes the count of its people as well.
    assert part_total.threshold == 733
    assert part.chances[0].suppressed > overlap.chances[0].suppressed
    assert part.expected.suppressed == pytest.approx(0.5, abs=0.01)


def test_a_refusal_is_told_with_its_reasons_and_without_any_figure():
    refused = Refused((Reason("purposes", "No.", (), "resale"),), ("policy",))

    told = estimate_of(refused, GRANT, {}, sizes=(100,), expected={"overlap": 5})

    assert (told.outcome, told.reasons, told.missing) == (Outcome.REFUSED, refused.reasons, ("policy",))
    assert (told.figures, told.mechanism, told.questions_left) == ((), None, None)
    assert (told.charged_micro, told.left_micro) == (0, 1_500)


def test_a_figure_that_the_question_does_not_have_is_named_with_examples():
    with pytest.raises(NamedSizeError, match="'segment:old'") as caught:
        estimate_of(reserved(), GRANT, {}, sizes=(), expected={"segment:old": 5})
    assert "segment:NAME" in (caught.value.remedy or "")


def test_chances_are_limited_over_all_figures(monkeypatch):
    # A hundred thousand cells at a hundred sizes would take gigabytes.
    monkeypatch.setattr("cleanroom.analyses.estimating.MAX_CHANCES", 2 * len(NAMES) + 1)
    told = estimate_of(reserved(), GRANT, {}, sizes=(10, 20), expected={})
    assert [len(figure.chances) for figure in told.figures] == [2] * len(NAMES)
    with pytest.raises(NamedSizeError, match=r"4 figures at 3 sizes are more\. Name at most 2 sizes"):
        estimate_of(reserved(), GRANT, {}, sizes=(10, 20, 30), expected={})
