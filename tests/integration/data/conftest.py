"""A small room of real parts: two parties, their workspaces, and a clock that the test moves."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cleanroom.accounts.service import Accounts
from cleanroom.audit.log import AuditLog
from cleanroom.client import Recipient, Signer, prepare
from cleanroom.client.preparing import Prepared
from cleanroom.consent.mirror import Mirror
from cleanroom.consent.models import ConsentEpochRow
from cleanroom.consent.service import Consents
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import DatasetVersion, OwnerFigure
from cleanroom.db.database import Database, open_engine
from cleanroom.ingestion.junk import JunkLists
from cleanroom.ingestion.rotation import Rotation
from cleanroom.ingestion.service import Ingestion
from cleanroom.matching.service import Matching
from cleanroom.matching.types import ExactCounts, Plan
from cleanroom.matching.views import shared_keys
from cleanroom.schema.codec import schema_from_yaml
from cleanroom.storage import LocalDirectory
from cleanroom.storage.leases import Leases
from cleanroom.workspaces.service import Workspaces
from crypto.key_file import LocalKeyFile
from crypto.keys import generate_signing_key, public_key
from tests.ready_databases import ReadyDatabases

assert ConsentEpochRow  # its table is created with the others


@dataclass
class MovableClock:
    """A clock that stands still until it is moved."""

    instant: datetime = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def now(self) -> datetime:
        self.instant += timedelta(microseconds=1)
        return self.instant


@dataclass
class Party:
    organisation_id: str
    workspace_id: str
    recipient: str
    signer: Signer


@dataclass
class Room:
    """The services over one home directory."""

    home: Path
    clock: MovableClock
    database_url: str
    memory_bytes: int = 64 << 20
    parties: dict[str, Party] = field(default_factory=dict)

    def __post_init__(self) -> None:
        key_path = self.home / "keys" / "keys.json"
        if not key_path.exists():
            key_path.parent.mkdir(mode=0o700, parents=True)
            LocalKeyFile.create(key_path)
        self.keys = LocalKeyFile.open(key_path)
        self.engine = open_engine(self.database_url)
        log = AuditLog(origin="test/room", seed=bytes(32), clock=self.clock)
        self.db = Database(self.engine, log)
        self.store = LocalDirectory(self.home / "objects")
        self.accounts = Accounts(self.clock)
        self.workspaces = Workspaces(self.keys, self.clock)
        self.datasets = Datasets(workspaces=self.workspaces, store=self.store, clock=self.clock)
        common: dict[str, Any] = {
            "workspaces": self.workspaces,
            "datasets": self.datasets,
            "store": self.store,
            "clock": self.clock,
        }
        leases = Leases(self.home / "leases")
        self.consents = Consents(db=self.db, mirror=Mirror(self.home / "withdrawals", "test/room"), **common)
        self.ingestion = Ingestion(
            db=self.db,
            consents=self.consents,
            accounts=self.accounts,
            leases=leases,
            memory_bytes=self.memory_bytes,
            **common,
        )
        self.junk = JunkLists(**common)
        self.rotation = Rotation(
            db=self.db,
            keys=self.keys,
            leases=leases,
            memory_bytes=self.memory_bytes,
            **common,
        )
        self.matching = Matching(workspaces=self.workspaces, datasets=self.datasets, consents=self.consents)

    def party(self, name: str) -> Party:
        if name not in self.parties:
            seed = generate_signing_key()
            with self.db.transaction() as tx:
                organisation = self.accounts.create_organisation(
                    tx, name=name, kind="provider" if name == "provider" else "advertiser"
                )
                key_id = self.accounts.enrol_key(tx, organisation.id, public_key(seed))
                workspace = self.workspaces.create_workspace(tx, organisation_id=organisation.id, name=name)
                recipient = self.workspaces.recipient(tx, workspace.id)
            self.parties[name] = Party(organisation.id, workspace.id, recipient, Signer(key_id, seed))
        return self.parties[name]

    def register(self, schema: str, *, party: str = "provider", kind: str = "dataset") -> str:
        with self.db.transaction() as tx:
            dataset = self.datasets.register(
                tx,
                workspace_id=self.party(party).workspace_id,
                kind=kind,
                name="people",
                schema=schema_from_yaml(schema),
            )
        return dataset.id

    def prepare(self, dataset_id: str, text: str, *, party: str = "provider", **options: Any) -> Prepared:
        source = self.home / "upload" / "file.csv"
        source.parent.mkdir(exist_ok=True)
        source.write_text(text, encoding="utf-8")
        own = self.party(party)
        with self.db.reading() as tx:
            schema = self.datasets.dataset(tx, dataset_id).schema
        return prepare(
            source,
            schema=schema,
            recipient=Recipient(own.workspace_id, dataset_id, own.recipient),
            signer=own.signer,
            out_dir=source.parent,
            clock=self.clock,
            **options,
        )

    def ingest(self, package: Prepared) -> str:
        return self.ingestion.ingest(package.manifest_path.read_bytes(), package.package_path)

    def load(self, dataset_id: str, text: str, *, party: str = "provider", **options: Any) -> str:
        """Prepare, ingest, resolve junk and publish."""
        version_id = self.ingest(self.prepare(dataset_id, text, party=party, **options))
        with self.db.transaction() as tx:
            if self.datasets.version(tx, version_id).over_shared:
                self.junk.resolve_junk(tx, version_id)
            self.ingestion.publish(tx, version_id)
        return version_id

    def version(self, version_id: str) -> DatasetVersion:
        with self.db.reading() as tx:
            return self.datasets.version(tx, version_id)

    def report(self, version_id: str) -> OwnerFigure:
        with self.db.reading() as tx:
            return self.datasets.report(tx, version_id)

    def count(
        self, version_id: str, base_version_id: str, *, at: datetime | None = None, **plan: Any
    ) -> ExactCounts:
        with self.db.reading() as tx:
            dataset = self.datasets.dataset(tx, self.datasets.version(tx, version_id).dataset_id)
            base = self.datasets.dataset(tx, self.datasets.version(tx, base_version_id).dataset_id)
            purpose = plan.pop("purpose", "advertising")
            match = self.matching.open(
                tx,
                dataset_version_id=version_id,
                base_version_id=base_version_id,
                purpose=purpose,
                epoch=plan.pop("epoch", self.consents.epoch(tx, dataset.id)),
            )
        keys = shared_keys(dataset.schema, base.schema)
        return match.count(Plan(purpose=purpose, keys=keys, **plan), at=at or self.clock.now())

    def objects(self) -> list[str]:
        return list(self.store.keys())


@pytest.fixture
def room(tmp_path: Path, sqlite_url: str, ready_databases: ReadyDatabases) -> Iterator[Room]:
    ready_databases.with_tables(sqlite_url)
    made = Room(tmp_path, MovableClock(), sqlite_url)
    yield made
    made.engine.dispose()


@pytest.fixture
def server_room(tmp_path: Path, postgresql_url: str, ready_databases: ReadyDatabases) -> Iterator[Room]:
    """The same on PostgreSQL, where transactions really run side by side."""
    ready_databases.with_tables(postgresql_url)
    made = Room(tmp_path, MovableClock(), postgresql_url)
    yield made
    made.engine.dispose()


@pytest.fixture
def any_room(tmp_path: Path, database_url: str, ready_databases: ReadyDatabases) -> Iterator[Room]:
    """The same on both databases."""
    ready_databases.with_tables(database_url)
    made = Room(tmp_path, MovableClock(), database_url)
    yield made
    made.engine.dispose()
