"""Parties, mandates and signing keys."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from cleanroom.accounts.errors import (
    EnrolmentError,
    MandateError,
    OrganisationKindError,
    OrganisationNameError,
    UnknownOrganisationError,
    UnknownSectorError,
)
from cleanroom.accounts.service import Accounts
from cleanroom.audit.log import AuditLog
from cleanroom.db.database import Database, Transaction

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class FixedClock:
    def __init__(self) -> None:
        self.instant = NOW

    def now(self) -> datetime:
        return self.instant


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def accounts(clock: FixedClock) -> Accounts:
    return Accounts(clock)


@pytest.fixture
def tx(sqlite_engine: Engine, clock: FixedClock) -> Iterator[Transaction]:
    log = AuditLog(origin="test/log", seed=bytes(32), clock=clock)
    with Database(sqlite_engine, log).transaction() as opened:
        yield opened


@pytest.fixture
def parties(accounts: Accounts, tx: Transaction) -> tuple[str, str]:
    agency = accounts.create_organisation(tx, name="Агентство", kind="agency")
    advertiser = accounts.create_organisation(tx, name="Bank", kind="advertiser", affiliate_group="holding")
    return agency.id, advertiser.id


def test_an_organisation_reads_back(accounts: Accounts, tx: Transaction) -> None:
    made = accounts.create_organisation(tx, name=" Telecom ", kind="provider")
    assert made.id.startswith("org_")
    assert made.name == "Telecom"
    assert accounts.organisation(tx, made.id) == made
    assert [event.kind for event in tx.events] == ["accounts.organisation_created"]


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_a_name_has_1_to_200_characters(accounts: Accounts, tx: Transaction, name: str) -> None:
    with pytest.raises(OrganisationNameError, match=r"1 to 200 characters\. Give it"):
        accounts.create_organisation(tx, name=name, kind="provider")


def test_an_unknown_kind_is_refused_with_the_known_ones(accounts: Accounts, tx: Transaction) -> None:
    with pytest.raises(OrganisationKindError, match="provider, advertiser, agency, operator"):
        accounts.create_organisation(tx, name="X", kind="broker")


def test_an_unknown_organisation_is_refused(accounts: Accounts, tx: Transaction) -> None:
    with pytest.raises(UnknownOrganisationError):
        accounts.organisation(tx, "org_none")
    with pytest.raises(UnknownOrganisationError):
        accounts.enrol_key(tx, "org_none", bytes(32))


@pytest.mark.parametrize(("days", "expected"), [(-1, False), (0, True), (9, True), (10, False), (11, False)])
def test_a_mandate_holds_from_its_first_instant_until_before_its_last(
    accounts: Accounts, tx: Transaction, parties: tuple[str, str], days: int, expected: bool
) -> None:
    agency, advertiser = parties
    accounts.grant_mandate(tx, agency_id=agency, advertiser_id=advertiser, valid_until=NOW + 10 * DAY)
    at = NOW + days * DAY
    assert accounts.mandate_in_force(tx, agency_id=agency, advertiser_id=advertiser, at=at) is expected


def test_a_mandate_is_for_one_advertiser(
    accounts: Accounts, tx: Transaction, parties: tuple[str, str]
) -> None:
    agency, advertiser = parties
    other = accounts.create_organisation(tx, name="Shop", kind="advertiser").id
    accounts.grant_mandate(tx, agency_id=agency, advertiser_id=advertiser)
    assert not accounts.mandate_in_force(tx, agency_id=agency, advertiser_id=other, at=NOW)


def test_a_revoked_mandate_stops_at_its_revocation(
    accounts: Accounts, tx: Transaction, clock: FixedClock, parties: tuple[str, str]
) -> None:
    agency, advertiser = parties
    mandate = accounts.grant_mandate(tx, agency_id=agency, advertiser_id=advertiser)
    clock.instant = NOW + DAY
    first = accounts.revoke_mandate(tx, mandate.id)
    clock.instant = NOW + 2 * DAY
    assert accounts.revoke_mandate(tx, mandate.id) == first
    assert first.revoked_at == NOW + DAY
    assert [event.kind for event in tx.events].count("accounts.mandate_revoked") == 1
    in_force = [
        accounts.mandate_in_force(tx, agency_id=agency, advertiser_id=advertiser, at=at)
        for at in (NOW, NOW + DAY, NOW + 2 * DAY)
    ]
    assert in_force == [True, False, False]


def test_a_mandate_joins_an_agency_to_an_advertiser(
    accounts: Accounts, tx: Transaction, parties: tuple[str, str]
) -> None:
    agency, advertiser = parties
    with pytest.raises(OrganisationKindError, match="agency"):
        accounts.grant_mandate(tx, agency_id=advertiser, advertiser_id=advertiser)
    with pytest.raises(OrganisationKindError, match="advertiser"):
        accounts.grant_mandate(tx, agency_id=agency, advertiser_id=agency)


def test_a_mandate_ends_after_it_starts(
    accounts: Accounts, tx: Transaction, parties: tuple[str, str]
) -> None:
    agency, advertiser = parties
    with pytest.raises(MandateError, match="ends after it starts"):
        accounts.grant_mandate(tx, agency_id=agency, advertiser_id=advertiser, valid_until=NOW)
    with pytest.raises(MandateError, match="no mandate"):
        accounts.revoke_mandate(tx, "man_none")


def test_only_keys_in_force_sign_for_an_organisation(
    accounts: Accounts, tx: Transaction, parties: tuple[str, str]
) -> None:
    agency, advertiser = parties
    first = accounts.enrol_key(tx, advertiser, bytes(32))
    second = accounts.enrol_key(tx, advertiser, b"\x01" * 32)
    accounts.enrol_key(tx, agency, b"\x02" * 32)
    accounts.revoke_key(tx, first)
    accounts.revoke_key(tx, first)
    assert accounts.enrolled_keys(tx, advertiser) == {second: b"\x01" * 32}
    assert [event.kind for event in tx.events].count("accounts.key_revoked") == 1


def test_a_persons_keys_end_by_themselves_and_with_the_person(
    accounts: Accounts, tx: Transaction, parties: tuple[str, str]
) -> None:
    _, advertiser = parties
    lasting = accounts.enrol_key(tx, advertiser, bytes(32))
    lapsed = accounts.enrol_key(tx, advertiser, b"\x01" * 32, user_id="us_1", expires_at=NOW)
    theirs, others = (
        accounts.enrol_key(tx, advertiser, key * 32, user_id=who, expires_at=NOW + timedelta(days=8))
        for key, who in ((b"\x02", "us_1"), (b"\x03", "us_2"))
    )
    assert set(accounts.enrolled_keys(tx, advertiser)) == {lasting, theirs, others}
    accounts.revoke_keys_of(tx, "us_1")
    assert set(accounts.enrolled_keys(tx, advertiser)) == {lasting, others}
    told = [event for event in tx.events if event.kind == "accounts.key_revoked"]
    assert {event.subject_id for event in told} == {lapsed, theirs}
    key = accounts.signing_key(tx, others, organisation_id=advertiser)
    assert (key.user_id, key.expires_at) == ("us_2", NOW + timedelta(days=8))


def test_a_revoked_key_never_comes_back(
    accounts: Accounts, tx: Transaction, parties: tuple[str, str]
) -> None:
    agency, advertiser = parties
    accounts.revoke_key(tx, accounts.enrol_key(tx, advertiser, bytes(32)))
    with pytest.raises(EnrolmentError, match="enrolled before"):
        accounts.enrol_key(tx, agency, bytes(32))


def test_a_key_has_32_bytes(accounts: Accounts, tx: Transaction, parties: tuple[str, str]) -> None:
    with pytest.raises(EnrolmentError, match="32 bytes"):
        accounts.enrol_key(tx, parties[0], bytes(31))
    with pytest.raises(EnrolmentError, match="no enrolled key"):
        accounts.revoke_key(tx, "ek_none")


def test_a_sector_is_declared_from_a_list_and_logged_when_it_changes(
    accounts: Accounts, tx: Transaction
) -> None:
    made = accounts.create_organisation(tx, name="Shop", kind="advertiser", sector="retail")
    assert accounts.organisation(tx, made.id).sector == "retail"
    assert accounts.create_organisation(tx, name="Other", kind="advertiser").sector is None
    before = len(tx.events)

    assert accounts.set_sector(tx, made.id, "retail") == made
    assert accounts.set_sector(tx, made.id, None).sector is None
    assert [event.body for event in tx.events[before:]] == [{"before": "retail", "sector": None}]
    with pytest.raises(UnknownSectorError, match=r"not known\. Use one of: agriculture"):
        accounts.set_sector(tx, made.id, "bets")
    with pytest.raises(UnknownSectorError):
        accounts.create_organisation(tx, name="Shop", kind="advertiser", sector="Retail")
