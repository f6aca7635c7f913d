from datetime import UTC, datetime, timedelta

import pytest

from cleanroom.accounts.service import Accounts
from cleanroom.audit.log import AuditLog
from cleanroom.db.database import Database
from cleanroom.grants.service import Grants
from cleanroom.grants.types import Grant
from cleanroom.workspaces.models import PopulationRow
from policies.codec import load_preset


class Hands:
    """A clock whose hands are moved by the test."""

    def __init__(self):
        self.instant = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def now(self):
        return self.instant


class Room:
    """Two populations, three advertisers (two of them affiliates), an agency with mandates; the services."""

    def __init__(self, engine):
        self.clock = Hands()
        self.db = Database(engine, AuditLog(origin="room.test/cleanroom", seed=bytes(32), clock=self.clock))
        self.accounts = Accounts(self.clock)
        self.grants = Grants(self.clock, self.accounts)
        self.documents = [load_preset("standard", purposes=["advertising"])]
        with self.db.transaction() as tx:
            self.provider = self._party(tx, "provider")
            self.agency = self._party(tx, "agency")
            self.buyers = [self._party(tx, "advertiser", group) for group in ("holding", "holding", None)]
            self.mandates = [
                self.accounts.grant_mandate(tx, agency_id=self.agency, advertiser_id=buyer).id
                for buyer in self.buyers
            ]
            for population in ("pop_1", "pop_2"):
                tx.session.add(
                    PopulationRow(
                        id=population, organisation_id=self.provider, name="p", created_at=self.clock.now()
                    )
                )

    def _party(self, tx, kind, group=None):
        return self.accounts.create_organisation(tx, name=kind, kind=kind, affiliate_group=group).id

    def issue(self, buyer=2, size="L", **changes):
        asked = {
            "dataset_id": "ds_1",
            "population_id": "pop_1",
            "advertiser_id": self.buyers[buyer],
            "size": size,
            "purposes": ["advertising"],
            "expires_at": self.clock.now() + timedelta(days=30),
            "documents": self.documents,
        }
        with self.db.transaction() as tx:
            return self.grants.issue_grant(tx, **asked | changes)

    def granted(self, *args, **changes):
        grant = self.issue(*args, **changes)
        assert isinstance(grant, Grant), grant
        return grant

    def reserve(self, grant, rho_micro, analysis_id="an_1"):
        with self.db.transaction() as tx:
            return self.grants.reserve(
                tx, grant.id, rho_micro=rho_micro, analysis_id=analysis_id, base_id="ds_base"
            )

    def status(self, grant):
        with self.db.reading() as tx:
            return self.grants.status(tx, grant.id)

    def allocated(self, population="pop_1"):
        with self.db.reading() as tx:
            return {
                (account.kind.value, account.party): account.allocated_micro
                for account in self.grants.accounts(tx, population)
            }


@pytest.fixture
def room(engine):
    return Room(engine)
