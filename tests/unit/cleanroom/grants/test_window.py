"""A sliding window forgets what was spent before it, in every account, and nothing else."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.grants.types import Grant
from policies.decision import Deny


def spend_in_full(room, size="M", buyer=2, **changes):
    """Buy a grant, spend all of it, and let it end."""
    grant = room.granted(buyer, size, **changes)
    room.reserve(grant, grant.rho_micro, f"an_{grant.id}", delta_pico=grant.delta_pico)
    room.settle(f"an_{grant.id}")
    return grant


def test_without_a_window_nothing_is_ever_forgotten(room):
    for _ in range(4):
        spend_in_full(room)
    room.clock.move(days=3_000)
    room.expire()

    assert isinstance(room.issue(2, "M"), Deny)


def test_what_was_spent_before_the_window_stops_counting_in_every_account_to_the_microsecond(room):
    room.budget(window_days=90)
    for _ in range(4):
        spend_in_full(room, buyer=0, agency_id=room.agency)
    room.clock.move(days=90, microseconds=-1)
    room.expire()
    refused = room.issue(0, "M", agency_id=room.agency)
    assert isinstance(refused, Deny)
    assert [reason.rule for reason in refused.reasons] == ["budget_advertiser", "budget_affiliates"]

    room.clock.move(microseconds=1)

    assert isinstance(room.issue(0, "L", agency_id=room.agency), Grant)
    assert isinstance(room.issue(1, "S"), Deny)


def test_the_total_and_the_agencys_cap_slide_too(room):
    room.budget(window_days=30, agency_rho_micro=100_000, total_rho_micro=100_000)
    spend_in_full(room, "L", buyer=0, agency_id=room.agency)
    room.expire()
    assert [reason.rule for reason in room.issue(2, "S", agency_id=room.agency).reasons] == [
        "budget_total",
        "budget_agency",
    ]

    room.clock.move(days=30)

    assert isinstance(room.issue(2, "L", agency_id=room.agency), Grant)


def test_an_active_grant_counts_with_what_it_may_still_spend(room):
    room.budget(window_days=30)
    grant = room.granted(2, "L", expires_at=room.clock.now().replace(year=2028))
    room.reserve(grant, 50_000, "an_old", delta_pico=500_000)
    room.settle("an_old")
    room.clock.move(days=31)

    # 45,000 of the grant can still be spent, and then lie in one window with what is sold now.
    assert room.issue(2, "L").reasons[0].limit == 50_000
    assert isinstance(room.issue(2, "M"), Grant)


def test_what_was_released_late_ages_from_its_release(room):
    room.budget(window_days=30)
    grant = room.granted(2, "L")
    room.reserve(grant, 95_000, "an_slow")
    room.clock.move(days=5)
    room.settle("an_slow")
    room.clock.move(days=26)
    room.expire()
    assert isinstance(room.issue(2, "M"), Deny)
    room.clock.move(days=4)
    assert isinstance(room.issue(2, "M"), Grant)


def test_public_releases_slide_within_their_own_share(room):
    room.budget(window_days=30)
    assert room.charge_public("r1", 5_000)
    assert not room.charge_public("r2", 1)
    room.clock.move(days=30)
    assert room.charge_public("r2", 5_000)
    assert not room.charge_public("r3", 1)


def test_delta_slides_with_rho(room):
    room.budget(window_days=30)
    spend_in_full(room, "L")
    room.expire()
    room.clock.move(days=30)

    again = room.granted(2, "L")
    assert (again.rho_micro, again.delta_pico) == (95_000, 950_000)


def test_a_policy_that_drops_its_window_remembers_everything(room):
    room.budget(window_days=30)
    spend_in_full(room, "L")
    room.clock.move(days=31)
    room.expire()
    room.budget(window_days=None)
    assert isinstance(room.issue(2, "S"), Deny)


@settings(max_examples=8)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from("SML"), st.integers(0, 100), st.integers(0, 25)), min_size=4, max_size=10
    )
)
def test_no_window_ever_holds_more_than_the_cap(steps, window_room):
    room, released = window_room()
    grants = []
    for size, percent, days in steps:
        grant = room.issue(2, size)
        if isinstance(grant, Grant):
            grants.append(grant)
        for at, paying in enumerate(grants):
            cost = paying.rho_micro * percent // 100 // (at + 1)
            if cost and not isinstance(room.reserve(paying, cost, f"an_{len(released)}"), Deny):
                room.settle(f"an_{len(released)}")
                released.append((room.clock.now(), cost))
        room.clock.move(days=days)
        room.expire()
    for end, _ in released:
        inside = sum(cost for at, cost in released if 0 <= (end - at).total_seconds() < 30 * 86_400)
        assert inside <= 95_000
