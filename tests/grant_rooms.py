"""The grants slice over real tables: two populations, three advertisers (two of them affiliates), an agency."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from cleanroom.accounts.service import Accounts
from cleanroom.audit.log import AuditLog
from cleanroom.datasets.service import Datasets
from cleanroom.db.database import Database, Transaction
from cleanroom.grants.journal import Journal
from cleanroom.grants.service import Grants
from cleanroom.grants.types import Grant, Reservation
from cleanroom.schema.codec import schema_from_yaml
from cleanroom.storage import LocalDirectory
from cleanroom.workspaces.service import Workspaces
from crypto.keys import LocalKeyFile
from policies.codec import load_preset
from policies.decision import Deny, Gap, Limits
from policies.engine import grant_limits
from policies.rules import Budget

_SCHEMA = "match_keys: {email: {column: email}}\nlawful_basis: consent\n"


class Hands:
    """A clock whose hands are moved by the test."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.instant

    def move(self, **step: float) -> None:
        self.instant += timedelta(**step)


class GrantRoom:
    """The services of the slice and all below it, and the parties.

    Two datasets, `dataset_ids[0]` and `[1]`, are about the first population, the last about the second.
    """

    def __init__(self, engine: Engine, home: Path) -> None:
        home.mkdir(mode=0o700, exist_ok=True)
        self.clock = Hands()
        log = AuditLog(origin="room.test/cleanroom", seed=bytes(32), clock=self.clock)
        self.db = Database(engine, log)
        self.accounts = Accounts(self.clock)
        self.journal = Journal(home / "allocations.jsonl")
        workspaces = Workspaces(LocalKeyFile.create(home / "keyring.json"), self.clock)
        datasets = Datasets(workspaces=workspaces, store=LocalDirectory(home / "objects"), clock=self.clock)
        self.grants = Grants(
            clock=self.clock,
            accounts=self.accounts,
            workspaces=workspaces,
            datasets=datasets,
            log=log,
            journal=self.journal,
        )
        self.documents = [load_preset("standard", purposes=["advertising"])]
        with self.db.transaction() as tx:
            self.provider = self.party(tx, "provider")
            self.agency = self.party(tx, "agency")
            self.buyers = [self.party(tx, "advertiser", group) for group in ("holding", "holding", None)]
            self.mandates = [
                self.accounts.grant_mandate(tx, agency_id=self.agency, advertiser_id=buyer).id
                for buyer in self.buyers
            ]
            made = [
                workspaces.create_workspace(tx, organisation_id=self.provider, name=name) for name in "ab"
            ]
            self.populations = [workspace.population_id for workspace in made]
            self.dataset_ids = [
                datasets.register(
                    tx, workspace_id=made[at].id, kind="dataset", name="d", schema=schema_from_yaml(_SCHEMA)
                ).id
                for at in (0, 0, 1)
            ]

    def budget(self, **changed: Any) -> None:
        """Put another budget rule in force."""
        (document,) = self.documents
        rules = (replace(rule, **changed) if isinstance(rule, Budget) else rule for rule in document.rules)
        self.documents = [replace(document, rules=tuple(rules))]

    def party(self, tx: Transaction, kind: str, group: str | None = None) -> str:
        return self.accounts.create_organisation(tx, name=kind, kind=kind, affiliate_group=group).id

    def issue(
        self, buyer: int = 2, size: str = "L", *, dataset: int = 0, **changes: Any
    ) -> Grant | Deny | Gap:
        asked = {
            "dataset_id": self.dataset_ids[dataset],
            "advertiser_id": self.buyers[buyer],
            "size": size,
            "purposes": ["advertising"],
            "expires_at": self.clock.now() + timedelta(days=30),
            "documents": self.documents,
        }
        with self.db.transaction() as tx:
            return self.grants.issue_grant(tx, **asked | changes)

    def granted(self, *args: Any, **changes: Any) -> Grant:
        grant = self.issue(*args, **changes)
        assert isinstance(grant, Grant), grant
        return grant

    def reserve(
        self, grant: Grant, rho_micro: int, analysis_id: str = "an_1", *, delta_pico: int = 0
    ) -> Reservation | Deny:
        with self.db.transaction() as tx:
            return self.grants.reserve(
                tx,
                grant.id,
                rho_micro=rho_micro,
                analysis_id=analysis_id,
                base_id="ds_base",
                delta_pico=delta_pico,
            )

    def settle(self, analysis_id: str = "an_1") -> None:
        """Settle as whoever releases an answer does, who logs it."""
        with self.db.transaction() as tx:
            self.grants.settle(tx, analysis_id)
            tx.audit("release.released", subject_id=analysis_id)

    def expire(self) -> tuple[Grant, ...]:
        with self.db.transaction() as tx:
            return self.grants.expire(tx)

    def status(self, grant: Grant) -> Grant:
        with self.db.reading() as tx:
            return self.grants.status(tx, grant.id)

    def limits(self) -> Limits:
        found = grant_limits(
            self.documents,
            purposes=["advertising"],
            advertiser_id="a",
            agency_id=None,
            at=self.clock.now(),
        )
        assert isinstance(found, Limits)
        return found

    def charge_public(self, release_id: str, rho_micro: int) -> bool:
        with self.db.transaction() as tx:
            return self.grants.charge_public(
                tx,
                self.populations[0],
                rho_micro=rho_micro,
                release_id=release_id,
                limits=self.limits(),
            )

    def allocated(self, population: int = 0, *, delta: bool = False) -> dict[tuple[str, str], int]:
        with self.db.reading() as tx:
            return {
                (account.kind.value, account.party): account.allocated_delta_pico
                if delta
                else account.allocated_micro
                for account in self.grants.accounts(tx, self.populations[population])
            }
