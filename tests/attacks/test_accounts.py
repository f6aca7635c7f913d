"""Attacks on the budget: a second purpose, a renewal, another file or version, a friend, a second agency."""

from datetime import timedelta

from sqlalchemy import update

from cleanroom.analyses.types import Outcome
from cleanroom.grants.models import BudgetAccountRow
from cleanroom.grants.types import Grant
from cleanroom.redteam.plants import planted
from policies.codec import load_preset
from policies.decision import Deny
from tests.rooms import DATASET_HEADER, PURPOSE, people

CAP_MICRO = 95_000


def taken(stage, **changed) -> int:
    """Buy as many large grants as the room sells; what are they worth together?"""
    total = 0
    while isinstance(grant := stage.try_grant("M", **changed), Grant):
        total += grant.rho_micro
        assert total < 10 * CAP_MICRO
    assert isinstance(grant, Deny)
    return total


def test_two_purposes_share_one_account(make_room):
    stage = make_room()

    assert taken(stage, purposes=[PURPOSE]) == 80_000
    assert isinstance(stage.try_grant("M", purposes=["research"]), Deny)


def test_a_renewal_brings_back_what_was_not_spent_and_nothing_else(make_room):
    stage = make_room()
    grant = stage.grant("L")
    spent = stage.ask(grant, precision="fine").charged_micro
    stage.clock.move(days=31)
    with stage.room.db.transaction() as tx:
        stage.room.grants.expire(tx)

    renewed = stage.try_grant("L")
    assert isinstance(renewed, Deny)
    assert renewed.reasons[0].limit == CAP_MICRO - spent
    assert taken(stage) == (CAP_MICRO - spent) // 20_000 * 20_000


def test_a_dataset_that_is_registered_again_is_about_the_same_people(make_room):
    stage = make_room()
    stage.grant("L")

    again = stage.dataset(people())
    stage.rule(dataset_id=again)

    assert isinstance(stage.try_grant("S", dataset_id=again), Deny)


def test_a_looser_policy_on_another_dataset_of_the_same_people_widens_nothing(make_room):
    stage = make_room()
    first = stage.grant("L")
    with stage.room.db.transaction() as tx:
        # Delta, which all presets cap alike, must not be what runs out first.
        tx.session.execute(update(BudgetAccountRow).values(allocated_delta_pico=0))
    assert first.rho_micro == CAP_MICRO

    again = stage.dataset(people())
    stage.rule(load_preset("relaxed", purposes=[PURPOSE]), dataset_id=again)

    refused = stage.try_grant("S", dataset_id=again)
    assert isinstance(refused, Deny)
    assert "0 micro-rho left" in refused.reasons[0].message


def test_a_new_version_continues_the_account(make_room):
    stage = make_room()
    grant = stage.grant("S")
    first = stage.ask(grant, precision="rough")
    stage.load(stage.dataset_id, DATASET_HEADER, people(2_999))

    # One person fewer: the difference of both answers is an attack, and so both are paid for.
    second = stage.ask(grant, precision="rough")

    assert second.outcome is Outcome.RELEASED
    assert stage.left(grant) == grant.rho_micro - first.charged_micro - second.charged_micro


def test_affiliates_have_one_cap_together(make_room):
    stage = make_room()
    sisters = [stage.party(name, affiliate_group="holding").organisation_id for name in ("one", "two")]

    assert taken(stage, advertiser_id=sisters[0]) == 80_000
    refused = stage.try_grant("M", advertiser_id=sisters[1])

    assert isinstance(refused, Deny)
    assert [reason.rule for reason in refused.reasons] == ["budget_affiliates"]


def test_an_agency_has_one_cap_over_all_its_clients_and_everyone_together_the_total(make_room):
    stage = make_room()
    agency = stage.party("agency", "agency").organisation_id

    def client(number: int, agency_id: str | None) -> int:
        advertiser = stage.party(f"client {number}").organisation_id
        if agency_id is None:
            return taken(stage, advertiser_id=advertiser)
        with stage.room.db.transaction() as tx:
            stage.room.accounts.grant_mandate(tx, agency_id=agency_id, advertiser_id=advertiser)
        return taken(stage, advertiser_id=advertiser, agency_id=agency_id)

    through_agency = sum(client(number, agency) for number in range(5))
    everyone = through_agency + sum(client(number, None) for number in range(5, 20))

    # Of 300,000 and of 1,000,000, less 5% for public releases, in grants of 20,000.
    assert through_agency == 280_000
    assert everyone == 940_000


def test_a_second_agency_does_not_double_its_clients_cap(make_room):
    stage = make_room()
    advertiser = stage.advertiser.organisation_id
    bought = []
    for name in ("agency", "other agency"):
        agency = stage.party(name, "agency").organisation_id
        with stage.room.db.transaction() as tx:
            stage.room.accounts.grant_mandate(tx, agency_id=agency, advertiser_id=advertiser)
        bought.append(taken(stage, agency_id=agency))

    assert bought == [80_000, 0]


def test_with_a_budget_for_each_purchase_two_purposes_or_a_friend_double_it(make_room):
    stage = make_room()
    with planted("budget_per_entitlement"):
        bought = [stage.grant("L", purposes=[purpose]).rho_micro for purpose in (PURPOSE, "research")]
        bought.append(stage.grant("L", expires_at=stage.clock.now() + timedelta(days=9)).rho_micro)

    assert sum(bought) == 3 * CAP_MICRO
