"""The view of a grant's budget says what is true: as many questions as it promises, and not one more."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.grants.budget_view import bound_of
from cleanroom.grants.types import AccountKind, Amount, Reservation
from policies.decision import Deny


def view_of(room, grant, l0=1):
    with room.db.reading() as tx:
        return room.grants.budget(tx, grant.id, limits=room.limits(), l0=l0)


def test_a_large_standard_grant_reads_as_the_design_says(room):
    grant = room.granted(0, "L", agency_id=room.agency)

    view = view_of(room, grant, l0=14)

    levels = {level.precision: level for level in view.levels}
    normal, fine = levels["normal"], levels["fine"]
    # 190 totals at +-62; 19 questions with 14 cells at +-73.
    assert (normal.rho_micro, normal.questions_left, normal.half_width) == (500, 190, 62)
    assert (fine.rho_micro, fine.questions_left, fine.half_width_wide) == (5_000, 19, 73)
    assert (view.allocated, view.spent, view.left) == (grant.allocated, Amount(0), grant.allocated)
    bounds = dict(view.bounds)
    assert [kind.value for kind in bounds] == ["total", "advertiser", "affiliates", "agency"]
    advertiser, agency, total = (
        bounds[kind] for kind in (AccountKind.ADVERTISER, AccountKind.AGENCY, AccountKind.TOTAL)
    )
    assert advertiser.advantage == pytest.approx(0.18, abs=0.005)
    assert agency.advantage == pytest.approx(0.30, abs=0.005)
    assert total.advantage == pytest.approx(0.52, abs=0.005)
    assert advertiser.epsilon == pytest.approx(2.141938928, abs=1e-6)
    assert advertiser.delta == pytest.approx(2e-6)
    assert view.window_days is None


def test_what_is_spent_shows_as_a_bound_of_its_own(room):
    room.budget(window_days=60)
    grant = room.granted(2, "L")
    room.reserve(grant, 1_250, delta_pico=7)

    view = view_of(room, grant)

    assert view.spent == Amount(1_250, 7)
    assert view.left == grant.allocated - Amount(1_250, 7)
    assert view.spent_bound.epsilon == pytest.approx(0.205902236, abs=1e-6)
    assert view.spent_bound.delta == pytest.approx(1e-6 + 7e-12)
    assert view.window_days == 60


def test_a_lowered_cap_does_not_hide_what_was_given_out_before(room):
    grant = room.granted(2, "L")
    assert room.charge_public("r1", 5_000)
    room.budget(cap_rho_micro=30_000, cap_delta_pico=300_000)

    bounds = dict(view_of(room, grant).bounds)

    assert bounds[AccountKind.ADVERTISER].amount == Amount(100_000, 950_000)
    assert bounds[AccountKind.TOTAL].amount == Amount(1_000_000, 10_000_000)


def test_what_has_aged_is_no_part_of_a_bound(room):
    room.budget(window_days=30)
    grant = room.granted(2, "L")
    room.reserve(grant, 90_000)
    room.settle()
    room.clock.move(days=29)
    room.budget(cap_rho_micro=30_000)
    assert dict(view_of(room, grant).bounds)[AccountKind.ADVERTISER].amount.rho_micro == 95_000
    room.clock.move(days=1)
    assert dict(view_of(room, grant).bounds)[AccountKind.ADVERTISER].amount.rho_micro == 30_000


def test_a_bound_never_promises_more_than_certainty():
    assert bound_of(Amount(10**12, 10**12)).advantage == 1.0
    assert bound_of(Amount(0)).advantage == 0.0


def test_a_level_that_no_question_may_cost_is_not_promised(room):
    room.budget(question_max_percent=1)
    left = {level.precision: level.questions_left for level in view_of(room, room.granted(2, "L")).levels}
    assert left == {"rough": 950, "normal": 190, "fine": 0}


def test_an_ended_grant_pays_for_nothing(room):
    grant = room.granted(2, "L")
    with room.db.transaction() as tx:
        room.grants.revoke(tx, grant.id)
    assert {level.questions_left for level in view_of(room, grant).levels} == {0}


@settings(max_examples=10)
@given(cap=st.integers(20, 4_000), spent_percent=st.integers(0, 99), level=st.sampled_from([0, 1, 2]))
def test_exactly_as_many_questions_are_paid_for_as_are_promised(cap, spent_percent, level, window_room):
    room, _ = window_room()
    room.budget(cap_rho_micro=cap, agency_rho_micro=cap, total_rho_micro=cap)
    grant = room.granted(2, "M")
    if grant.rho_micro * spent_percent // 100:
        room.reserve(grant, grant.rho_micro * spent_percent // 100, "an_before")
    promised = view_of(room, grant).levels[level]

    for number in range(promised.questions_left):
        assert isinstance(room.reserve(grant, promised.rho_micro, f"an_{number}"), Reservation)
    assert isinstance(room.reserve(grant, promised.rho_micro, "an_one_more"), Deny)
