"""Nobody owes a tariff for what cannot be asked any more, and an agency follows nothing after its mandate."""

import pytest

from cleanroom.analyses.errors import UnknownAnalysisError
from cleanroom.incidents.types import IncidentKind, Scope, Severity
from cleanroom.marketplace.statements import Position
from cleanroom.marketplace.types import Entitlement, EntitlementState
from tests.market import MONTHLY, Market

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")


def now(market: Market, entitlement: Entitlement) -> Entitlement:
    with market.room.db.reading() as tx:
        found: Entitlement = market.services.entitlements.entitlement(
            tx, entitlement.id, organisation_id=market.provider
        )
    return found


def sweep(market: Market) -> None:
    with market.room.db.transaction() as tx:
        market.services.entitlements.expire(tx)


def test_nobody_owes_a_tariff_once_the_grant_was_revoked_by_itself(market: Market) -> None:
    entitlement = market.bought()
    room, stage = market.room, market.stage
    # As a room of an earlier version left it: the data gone, and still paid for.
    with room.db.transaction() as tx:
        room.grants.revoke_on(tx, stage.dataset_id)
    sweep(market)
    assert now(market, entitlement).state is EntitlementState.REVOKED
    market.next_month()
    market.next_month()
    sweep(market)
    assert [
        line
        for line in market.statement(market.advertiser, "2026-12").lines
        if line.position is Position.FLAT
    ] == []
    (told,) = stage.events("marketplace.entitlement_revoked")
    assert told["subject"] == entitlement.id


def test_an_agency_follows_nothing_that_its_client_asks_without_it(market: Market) -> None:
    room, stage = market.room, market.stage
    agency = stage.party("agency", "agency")
    with room.db.transaction() as tx:
        mandate = room.accounts.grant_mandate(
            tx, agency_id=agency.organisation_id, advertiser_id=market.advertiser
        )
    entitlement = market.bought(agency=agency.organisation_id)
    through = market.question(entitlement, asker=agency)
    with room.db.transaction() as tx:
        room.accounts.revoke_mandate(tx, mandate.id)
    stage.clock.move(days=10)
    since = stage.clock.now()
    alone = market.question(entitlement, precision="rough")
    with room.db.transaction() as tx:
        incident = room.incidents.open(
            tx,
            agency.organisation_id,
            kind=IncidentKind.ACCESS,
            severity=Severity.LOW,
            title="t",
            text="t",
            discovered_at=stage.clock.now(),
            by="us_1",
            scope=Scope(since=since),
        )

    with room.db.reading() as tx:
        listed = room.analyses.reading.analyses(tx, organisation_id=agency.organisation_id)
        assert [one.id for one in listed] == [through.analysis_id]
        with pytest.raises(UnknownAnalysisError):
            room.analyses.reading.result(tx, alone.analysis_id, organisation_id=agency.organisation_id)
        affected = room.incidents.affected(tx, incident, organisation_id=agency.organisation_id)
    assert affected.releases == 0


def test_an_agency_is_shown_no_minimum_that_its_client_has_met_without_it(market: Market) -> None:
    room, stage = market.room, market.stage
    agency = stage.party("agency", "agency")
    parties = {"agency_id": agency.organisation_id, "advertiser_id": market.advertiser}
    with room.db.transaction() as tx:
        first = room.accounts.grant_mandate(tx, **parties)
    listing = market.live(plans=[MONTHLY | {"minimum_minor": 1_800_000}])
    entitlement = market.bought(listing=listing, agency=agency.organisation_id)
    market.question(entitlement, asker=agency, precision="rough")
    with room.db.transaction() as tx:
        room.accounts.revoke_mandate(tx, first.id)
    stage.clock.move(hours=1)
    market.question(entitlement)
    stage.clock.move(hours=1)
    with room.db.transaction() as tx:
        room.accounts.grant_mandate(tx, **parties)
    market.next_month()
    market.mint()

    paid = {line.position for line in market.statement(market.advertiser).lines}
    shown = {line.position for line in market.statement(agency.organisation_id).lines}
    assert Position.MINIMUM not in shown | paid
    assert Position.QUESTIONS in shown & paid


def test_a_month_is_complete_when_what_was_released_in_it_is_in_the_books(market: Market) -> None:
    market.bought()
    market.next_month()
    market.stage.clock.move(minutes=-51)
    assert not market.statement(market.advertiser).complete
    market.stage.clock.move(minutes=2)
    assert market.statement(market.advertiser).complete
