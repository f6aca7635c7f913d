"""Delta is allocated, spent and given back beside rho, and runs out on its own."""

import pytest

from cleanroom.grants.errors import ReservationError
from cleanroom.grants.types import Grant, Reservation
from policies.decision import Deny


def test_a_grant_gets_its_sizes_share_of_delta_in_every_enclosing_account(room):
    grant = room.granted(0, "M", agency_id=room.agency)

    assert (grant.delta_pico, grant.left_delta_pico, grant.facts().left_delta_pico) == (200_000,) * 3
    assert room.allocated(delta=True) == {
        ("total", ""): 200_000,
        ("advertiser", room.buyers[0]): 200_000,
        ("affiliates", "holding"): 200_000,
        ("agency", room.agency): 200_000,
    }


def test_questions_spend_delta_to_the_last_unit_and_no_further(room):
    grant = room.granted(2, "S")
    assert isinstance(room.reserve(grant, 1, "an_1", delta_pico=19_999), Reservation)

    denied = room.reserve(grant, 1, "an_2", delta_pico=2)
    last = room.reserve(grant, 1, "an_3", delta_pico=1)
    without = room.reserve(grant, 1, "an_4")

    assert [reason.rule for reason in denied.reasons] == ["delta_left"]
    assert (denied.reasons[0].limit, denied.reasons[0].asked) == (1, 2)
    assert (last.left_before_delta_pico, last.left_after_delta_pico) == (1, 0)
    # Other questions go on without.
    assert isinstance(without, Reservation)
    status = room.status(grant)
    assert (status.spent_micro, status.spent_delta_pico) == (3, 20_000)
    with pytest.raises(ReservationError, match="no less than no delta"):
        room.reserve(grant, 1, "an_5", delta_pico=-1)


def test_unspent_delta_returns_and_spent_delta_never_does(room):
    grant = room.granted(2, "M")
    room.reserve(grant, 1_000, delta_pico=50_000)
    room.clock.instant = grant.expires_at

    (ended,) = room.expire()

    assert (ended.spent_delta_pico, room.status(grant).left_delta_pico) == (50_000, 0)
    assert room.allocated(delta=True)["advertiser", room.buyers[2]] == 50_000


def test_a_cap_of_delta_refuses_a_grant_that_rho_would_let_pass(room):
    room.budget(cap_delta_pico=30, agency_delta_pico=30, total_delta_pico=30)
    room.granted(2, "M")
    room.budget(cap_delta_pico=8)

    reason = room.issue(2, "M").reasons[0]

    assert (reason.rule, reason.limit, reason.asked) == ("budget_advertiser", 1, 2)
    assert reason.nearest == {"size": "S"}
    assert reason.message == "The advertiser account has 1 pico-delta left; a grant of size M takes 2."


def test_where_no_delta_is_allowed_grants_carry_none_and_are_sold_all_the_same(room):
    room.granted(2, "M")
    room.budget(cap_delta_pico=0, agency_delta_pico=0, total_delta_pico=0)

    grant = room.granted(2, "M")

    assert isinstance(grant, Grant)
    assert grant.delta_pico == 0
    assert isinstance(room.reserve(grant, 5, delta_pico=1), Deny)
