"""Many spenders at once, on both databases: the sum never passes a limit, and never stops short of it."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import func, select

from cleanroom.grants.models import LedgerRow
from cleanroom.grants.types import Grant, GrantStatus, Reservation
from policies.decision import Deny

SPENDERS = 50


def together(task, count=SPENDERS):
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(task, range(count)))


def recorded(room, kind):
    with room.db.reading() as tx:
        return tx.session.scalar(
            select(func.coalesce(func.sum(LedgerRow.rho_micro), 0)).where(LedgerRow.kind == kind)
        )


def test_fifty_spenders_take_a_grant_to_its_last_micro_rho(room):
    grant = room.granted(2, "S")

    def spend(number):
        # 40 of these fit into 2,000 and leave 40 micro-rho over: a spender too many would show at once.
        return [room.reserve(grant, 49, f"an_{number}_{turn}") for turn in range(2)]

    outcomes = [outcome for pair in together(spend) for outcome in pair]

    paid = [outcome for outcome in outcomes if isinstance(outcome, Reservation)]
    assert len(paid) == 2_000 // 49
    assert room.status(grant).spent_micro == 49 * len(paid) == recorded(room, "reserved")
    # Each saw a balance of its own: no two questions were paid with the same micro-rho.
    assert sorted(outcome.left_after_micro for outcome in paid) == sorted({o.left_after_micro for o in paid})
    assert all(outcome.left_before_micro - outcome.left_after_micro == 49 for outcome in paid)


def test_concurrent_grants_never_overallocate_an_account(room):
    def ask(number):
        return room.issue(number % 2, "M", agency_id=room.agency if number % 3 else None)

    granted = [outcome for outcome in together(ask, 20) if isinstance(outcome, Grant)]

    # Both advertisers are affiliates, so one cap of 95,000 holds four grants of 20,000 between them.
    assert len(granted) == 4
    allocated = room.allocated()
    per_buyer = Counter()
    for grant in granted:
        per_buyer[grant.advertiser_id] += grant.rho_micro
    assert allocated["affiliates", "holding"] == allocated["total", ""] == 80_000
    assert {
        party: amount for (kind, party), amount in allocated.items() if kind == "advertiser" and amount
    } == per_buyer


def test_a_refused_grant_may_open_accounts_but_leaves_them_empty(room):
    for _ in range(4):
        room.granted(0, "M")
    before = room.allocated()

    assert isinstance(room.issue(0, "M", agency_id=room.agency), Deny)

    assert room.allocated() == before | {("agency", room.agency): 0}


def test_the_public_share_is_never_overspent(room):
    assert sum(together(lambda number: room.charge_public(f"r{number}", 300), 30)) == 5_000 // 300
    assert room.allocated()["public", ""] == recorded(room, "public") == 4_800


def test_a_grant_that_ends_while_it_is_spent_returns_exactly_the_rest(room):
    grant = room.granted(0, "M", agency_id=room.agency)
    renewals = room.clock.now() + timedelta(days=60)

    def act(number):
        if number == 25:
            with room.db.transaction() as tx:
                return room.grants.revoke(tx, grant.id)
        if number % 10 == 9:
            return room.issue(2, "S", agency_id=room.agency, expires_at=renewals)
        return room.reserve(grant, 7, f"an_{number}")

    outcomes = together(act)

    spent = 7 * sum(isinstance(outcome, Reservation) for outcome in outcomes)
    ended = room.status(grant)
    assert ended.status is GrantStatus.REVOKED
    assert ended.spent_micro == spent
    assert recorded(room, "returned") == 20_000 - spent
    allocated = room.allocated()
    assert allocated["advertiser", room.buyers[0]] == allocated["affiliates", "holding"] == spent
    assert allocated["total", ""] == allocated["agency", room.agency] == spent + 5 * 2_000


def test_fifty_spenders_take_a_grants_delta_to_its_last_unit(room):
    grant = room.granted(2, "S")

    def spend(number):
        return [room.reserve(grant, 1, f"an_{number}_{turn}", delta_pico=499) for turn in range(2)]

    outcomes = [outcome for pair in together(spend) for outcome in pair]

    paid = [outcome for outcome in outcomes if isinstance(outcome, Reservation)]
    # 40 of these fit into 20,000, and rho would pay for all hundred.
    assert len(paid) == 20_000 // 499
    status = room.status(grant)
    assert (status.spent_micro, status.spent_delta_pico) == (len(paid), 499 * len(paid))
    assert sorted(outcome.left_after_delta_pico for outcome in paid) == sorted(
        {outcome.left_after_delta_pico for outcome in paid}
    )


def test_concurrent_grants_never_pass_a_cap_of_delta_that_is_tighter_than_that_of_rho(room):
    # Rho has room for three more grants; delta, of which more was given out before its cap was halved, for two.
    room.granted(2, "M")
    room.budget(cap_delta_pico=500_000, small_percent=20, medium_percent=40)

    def ask(number):
        return room.issue(2, "S")

    granted = [outcome for outcome in together(ask, 20) if isinstance(outcome, Grant)]

    assert {grant.delta_pico for grant in granted} == {100_000}
    assert len(granted) == 2
    assert room.allocated(delta=True)["advertiser", room.buyers[2]] == 200_000 + 2 * 100_000


def test_concurrent_grants_get_what_the_window_frees_once(room):
    room.budget(window_days=30)
    for _ in range(4):
        grant = room.granted(0, "M", agency_id=room.agency)
        room.reserve(grant, 20_000, f"an_{grant.id}", delta_pico=200_000)
        room.settle(f"an_{grant.id}")
    room.clock.move(days=30)
    room.expire()

    def ask(number):
        return room.issue(number % 2, "M", agency_id=room.agency)

    granted = [outcome for outcome in together(ask, 20) if isinstance(outcome, Grant)]

    assert len(granted) == 4
    assert room.allocated()["affiliates", "holding"] == 2 * 80_000
