from datetime import timedelta

import pytest

from cleanroom.grants.errors import GrantFormError, ReservationError, UnknownGrantError
from cleanroom.grants.models import LedgerRow
from cleanroom.grants.types import GrantStatus, Reservation
from policies.codec import load_preset
from policies.decision import Deny, Gap


def rules(denied):
    assert isinstance(denied, Deny)
    return [reason.rule for reason in denied.reasons]


def test_a_grant_is_allocated_in_every_enclosing_account(room):
    grant = room.granted(0, "M", agency_id=room.agency)

    assert (grant.rho_micro, grant.left_micro, grant.status) == (20_000, 20_000, GrantStatus.ACTIVE)
    assert room.status(grant) == grant
    assert room.allocated() == {
        ("total", ""): 20_000,
        ("advertiser", room.buyers[0]): 20_000,
        ("affiliates", "holding"): 20_000,
        ("agency", room.agency): 20_000,
    }
    assert room.allocated(1) == {}


def test_an_advertisers_cap_spans_datasets_and_agencies_but_not_populations(room):
    room.granted(2, "L")

    denied = room.issue(2, "M", dataset=1, agency_id=room.agency)

    assert rules(denied) == ["budget_advertiser"]
    reason = denied.reasons[0]
    assert (reason.limit, reason.asked, reason.nearest) == (0, 20_000, None)
    assert reason.message == "The advertiser account has 0 micro-rho left; a grant of size M takes 20000."
    room.granted(2, "L", dataset=2)


def test_a_refused_grant_takes_nothing_anywhere(room):
    room.granted(2, "L")
    before = room.allocated()

    room.issue(2, "S", agency_id=room.agency)

    after = room.allocated()
    assert after.pop(("agency", room.agency)) == 0
    assert after == before


def test_affiliates_share_one_cap(room):
    room.granted(0, "L")

    assert rules(room.issue(1, "S")) == ["budget_affiliates"]
    room.granted(2, "L")


def test_a_refusal_names_the_size_that_still_fits(room):
    for _ in range(4):
        room.granted(2, "M")

    reason = room.issue(2, "M").reasons[0]

    assert reason.limit == 15_000
    assert reason.nearest == {"size": "S"}


def test_an_agency_is_bounded_over_all_its_clients(room):
    with room.db.transaction() as tx:
        clients = [room.party(tx, "advertiser") for _ in range(4)]
        for client in clients:
            room.accounts.grant_mandate(tx, agency_id=room.agency, advertiser_id=client)
    for client in clients[:3]:
        room.granted(advertiser_id=client, agency_id=room.agency)

    assert rules(room.issue(advertiser_id=clients[3], agency_id=room.agency)) == ["budget_agency"]
    room.granted(advertiser_id=clients[3])


def test_everyone_together_is_bounded_by_the_total(room):
    with room.db.transaction() as tx:
        buyers = [room.party(tx, "advertiser") for _ in range(11)]
    for buyer in buyers[:10]:
        room.granted(advertiser_id=buyer)

    assert rules(room.issue(advertiser_id=buyers[10])) == ["budget_total"]


def test_an_agency_needs_a_mandate_in_force(room):
    with room.db.transaction() as tx:
        room.accounts.revoke_mandate(tx, room.mandates[2])

    assert rules(room.issue(2, agency_id=room.agency)) == ["mandate"]


def test_a_grant_is_given_within_the_policy(room):
    assert rules(room.issue(purposes=["resale"])) == ["purposes"]
    assert room.issue(documents=[]) == Gap(("policy",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": "XL"}, "Unknown size of a grant. Use one of: S, M, L."),
        ({"expires_at": -1}, "A grant ends after it starts, and in the future. Choose"),
        ({"expires_at": 2, "valid_from": 3}, "A grant ends after it starts"),
        ({"advertiser_id": "agency"}, "not of the kind advertiser. Name the right party"),
        ({"agency_id": "provider"}, "not of the kind agency"),
    ],
)
def test_a_grant_of_the_wrong_form_is_refused(room, changes, message):
    for key in ("expires_at", "valid_from"):
        if key in changes:
            changes[key] = room.clock.now() + timedelta(days=changes[key])
    for key in ("advertiser_id", "agency_id"):
        if key in changes:
            changes[key] = getattr(room, changes[key])

    with pytest.raises(GrantFormError) as caught:
        room.issue(**changes)

    assert message in str(caught.value)


def test_questions_spend_to_the_last_micro_rho_and_no_further(room):
    grant = room.granted(2, "S")

    assert room.reserve(grant, 1_500, "an_1", delta_pico=3) == Reservation(
        analysis_id="an_1",
        grant_id=grant.id,
        rho_micro=1_500,
        left_before_micro=2_000,
        left_after_micro=500,
        delta_pico=3,
        left_before_delta_pico=20_000,
        left_after_delta_pico=19_997,
    )
    denied = room.reserve(grant, 501, "an_2")
    assert room.reserve(grant, 500, "an_3").left_after_micro == 0

    assert rules(denied) == ["budget_left"]
    assert (denied.reasons[0].limit, denied.reasons[0].asked) == (500, 501)
    assert room.status(grant).spent_micro == 2_000


def test_a_question_is_paid_within_the_term_only(room):
    grant = room.granted(valid_from=room.clock.now() + timedelta(days=1))
    assert rules(room.reserve(grant, 1)) == ["grant_term"]
    room.clock.instant += timedelta(days=1)
    assert isinstance(room.reserve(grant, 1), Reservation)
    room.clock.instant = grant.expires_at
    assert rules(room.reserve(grant, 1, "an_2")) == ["grant_term"]


def test_an_analysis_reserves_once_and_something(room):
    grant = room.granted()
    room.reserve(grant, 5)

    with pytest.raises(ReservationError, match=r"reserved its budget before. Ask a new question"):
        room.reserve(grant, 5)
    with pytest.raises(ReservationError, match="at least 1 micro-rho"):
        room.reserve(grant, 0, "an_2")
    with pytest.raises(UnknownGrantError, match="no grant with this id"), room.db.transaction() as tx:
        room.grants.reserve(tx, "gr_none", rho_micro=1, analysis_id="an_9", base_id="b")


@pytest.mark.unlogged("whoever releases an answer")
def test_settling_is_noted_once_and_needs_a_reservation(room):
    grant = room.granted()
    room.reserve(grant, 7)

    with room.db.transaction() as tx:
        room.grants.settle(tx, "an_1")
        room.grants.settle(tx, "an_1")
        settled = tx.session.query(LedgerRow).filter_by(kind="settled").all()
        assert [(row.subject_id, row.rho_micro, row.grant_id, row.base_id) for row in settled] == [
            ("an_1", 7, grant.id, "ds_base")
        ]
    with pytest.raises(ReservationError, match="Reserve before computing"), room.db.transaction() as tx:
        room.grants.settle(tx, "an_2")


def test_expiry_returns_what_is_unspent_and_never_what_is_spent(room):
    grant = room.granted(0, "M", agency_id=room.agency)
    longer = room.granted(0, "S", expires_at=room.clock.now() + timedelta(days=90))
    room.reserve(grant, 1_234)
    room.clock.instant = grant.expires_at

    with room.db.transaction() as tx:
        ended = room.grants.expire(tx)
        assert room.grants.expire(tx) == ()

    assert [(item.id, item.status, item.spent_micro) for item in ended] == [
        (grant.id, GrantStatus.EXPIRED, 1_234)
    ]
    assert room.status(grant).left_micro == 0
    assert not room.status(grant).facts().active
    assert room.status(longer).facts().left_micro == 2_000
    assert room.allocated() == {
        ("total", ""): 3_234,
        ("advertiser", room.buyers[0]): 3_234,
        ("affiliates", "holding"): 3_234,
        ("agency", room.agency): 1_234,
    }


def test_a_revoked_grant_pays_nothing_more_and_returns_once(room):
    grant = room.granted(2, "M")
    room.reserve(grant, 100)

    with room.db.transaction() as tx:
        assert room.grants.revoke(tx, grant.id).status is GrantStatus.REVOKED
        assert room.grants.revoke(tx, grant.id).spent_micro == 100

    assert rules(room.reserve(grant, 1, "an_2")) == ["grant_term"]
    assert room.allocated()["advertiser", room.buyers[2]] == 100


def test_a_larger_public_share_takes_nothing_of_what_grants_already_hold(room):
    room.granted(2, "L")
    room.budget(public_percent=60)

    assert room.charge_public("r1", 5_000)
    assert not room.charge_public("r2", 1)
    assert room.allocated()["public", ""] == 5_000


def test_a_smaller_public_share_gives_grants_nothing_of_what_was_released_to_everyone(room):
    room.budget(public_percent=60)
    assert room.charge_public("r1", 60_000)
    room.budget(public_percent=5)

    refused = room.issue(2, "L")
    assert isinstance(refused, Deny)
    assert [(reason.rule, reason.limit) for reason in refused.reasons] == [("budget_advertiser", 40_000)]
    assert room.granted(2, "M").rho_micro == 20_000


def test_public_releases_have_their_own_share(room):
    share = room.limits().public_rho_micro
    assert room.charge_public("r1", share - 1)
    assert not room.charge_public("r2", 2)
    assert room.charge_public("r3", 1)
    with pytest.raises(ReservationError, match="charged before"):
        room.charge_public("r1", 1)

    assert room.allocated()["public", ""] == share == 5_000
    room.granted(2, "L")


def test_a_stricter_policy_counts_what_was_granted_before(room):
    room.granted(2, "M")
    room.documents = [load_preset("strict", purposes=["advertising"])]

    room.granted(2, "M", dataset=1)
    denied = room.issue(2, "M", dataset=1)

    assert rules(denied) == ["budget_advertiser"]
    assert (denied.reasons[0].limit, denied.reasons[0].nearest) == (28_500 - 26_000, {"size": "S"})


def test_every_movement_is_in_the_audit_log_and_the_ledger(room):
    grant = room.granted(2, "S")
    room.reserve(grant, 5)
    with room.db.transaction() as tx:
        room.grants.settle(tx, "an_1")
        room.grants.revoke(tx, grant.id)
        movements = [(row.kind, row.rho_micro) for row in tx.session.query(LedgerRow).order_by(LedgerRow.id)]
        kinds = [event.kind for event in tx.events]

    assert sorted(movements) == [("allocated", 2_000), ("reserved", 5), ("returned", 1_995), ("settled", 5)]
    assert kinds == ["grants.grant_revoked"]
