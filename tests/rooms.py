"""Small whole rooms for tests: a provider, an advertiser, a rule, and a clock that the test moves.

A `conftest.py` takes what it needs with `from tests.rooms import make_room, sqlite_template`.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cleanroom.accounts.types import OrganisationKind
from cleanroom.analyses.types import Answer
from cleanroom.audit.models import AuditEvent
from cleanroom.bootstrap import init_room, open_room
from cleanroom.client import Recipient, Signer, prepare
from cleanroom.consent.types import ChangeOutcome, Withdrawal
from cleanroom.datasets.types import VersionStatus
from cleanroom.grants.types import Grant
from cleanroom.room import Room
from cleanroom.schema.codec import schema_from_yaml
from cleanroom.settings import Settings, load_settings
from crypto.keys import generate_signing_key, public_key
from policies.codec import load_preset
from policies.decision import Deny, Gap
from policies.diff import preset_above, with_unsafe_override
from policies.model import PolicyDocument
from policies.question import Question, question_from_dict
from tests.ready_databases import ReadyDatabases

PURPOSE = "advertising"
PEOPLE, KNOWN, STRANGERS = 3_000, 1_200, 300
DATASET_SCHEMA = """\
person_id: {column: id}
match_keys:
  email: {column: email}
  phone: {column: phone, default_region: RU}
attributes:
  sex: {type: category, values: [F, M]}
  age: {type: integer, bands: [18, 30, 45]}
  likes: {type: set, values: [sport, music, books], separator: "|", max_values: 2}
lawful_basis: consent
consent:
  advertising: {column: ads, granted: ["yes"], withdrawn: [stop]}
  research: {column: lab, granted: ["yes"]}
"""
BASE_SCHEMA = """\
match_keys:
  email: {column: email}
  phone: {column: phone, default_region: RU}
label: {column: status, values: [vip, active, lapsed]}
"""
DATASET_HEADER, BASE_HEADER = "id,email,phone,sex,age,likes,ads,lab", "email,phone,status"
LABELS = ("vip", "active", "lapsed")
LIKES = ("", "sport", "music|books", "books")


def email(number: int) -> str:
    return f"p{number}@example.org"


def phone(number: int) -> str:
    return f"+7916{number:07}"


def person(number: int, *, ads: str = "yes") -> str:
    """One row of the provider's file; who it is decides all values."""
    sex = "FM"[number % 2]
    likes = LIKES[number // 2 % 4]
    return f"p{number},{email(number)},{phone(number)},{sex},{15 + number % 50},{likes},{ads},yes"


def people(count: int = PEOPLE) -> list[str]:
    """Every tenth has withdrawn before."""
    return [person(number, ads="stop" if number % 10 == 9 else "yes") for number in range(count)]


def client_row(number: int) -> str:
    """One row of the advertiser's base, by e-mail or by phone."""
    keys = f"{email(number)}," if number % 2 else f",{phone(number)}"
    return f"{keys},{LABELS[number % 3]}"


def clients(known: int = KNOWN, strangers: int = STRANGERS) -> list[str]:
    """The provider's first persons, and people it does not know."""
    return [client_row(number) for number in (*range(known), *range(1_000_000, 1_000_000 + strangers))]


@dataclass
class MovableClock:
    """Stands still, but for a microsecond at each look, until it is moved."""

    instant: datetime = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def now(self) -> datetime:
        self.instant += timedelta(microseconds=1)
        return self.instant

    def wait_until(self, instant: datetime) -> None:
        self.instant = max(self.instant, instant)

    def move(self, **step: float) -> None:
        self.instant += timedelta(**step)


@dataclass(frozen=True)
class Party:
    """One side: an organisation with a workspace and a signing key."""

    organisation_id: str
    workspace_id: str
    population_id: str
    recipient: str
    signer: Signer


@dataclass
class Stage:
    """An open room with its parties; short names for what tests do most."""

    home: Path
    room: Room
    clock: MovableClock
    parties: dict[str, Party] = field(default_factory=dict)
    dataset_id: str = ""
    base_id: str = ""

    @property
    def provider(self) -> Party:
        return self.parties["provider"]

    @property
    def advertiser(self) -> Party:
        return self.parties["advertiser"]

    def party(self, name: str, kind: str = "advertiser", *, affiliate_group: str | None = None) -> Party:
        seed = generate_signing_key()
        with self.room.db.transaction() as tx:
            organisation = self.room.accounts.create_organisation(
                tx, name=name, kind=OrganisationKind(kind), affiliate_group=affiliate_group
            )
            workspace = self.room.workspaces.create_workspace(tx, organisation_id=organisation.id, name=name)
            key_id = self.room.accounts.enrol_key(tx, organisation.id, public_key(seed))
        self.parties[name] = Party(
            organisation.id,
            workspace.id,
            workspace.population_id,
            workspace.recipient,
            Signer(key_id, seed),
        )
        return self.parties[name]

    def register(self, kind: str, schema: str, *, party: Party | None = None) -> str:
        owner = party or (self.provider if kind == "dataset" else self.advertiser)
        with self.room.db.transaction() as tx:
            return self.room.datasets.register(
                tx,
                workspace_id=owner.workspace_id,
                kind=kind,
                name="people",
                schema=schema_from_yaml(schema),
            ).id

    def load(
        self,
        dataset_id: str,
        header: str,
        rows: Sequence[str],
        *,
        party: Party | None = None,
        publish: bool = True,
    ) -> str:
        """Prepare a file, ingest it, put over-shared values on the junk list, publish; the version's id."""
        with self.room.db.reading() as tx:
            dataset = self.room.datasets.dataset(tx, dataset_id)
        owner = party or (self.provider if dataset.kind == "dataset" else self.advertiser)
        desk = self.home.parent / "desk"
        desk.mkdir(exist_ok=True)
        source = desk / "file.csv"
        source.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
        package = prepare(
            source,
            schema=dataset.schema,
            recipient=Recipient(owner.workspace_id, dataset_id, owner.recipient),
            signer=owner.signer,
            out_dir=desk,
            clock=self.clock,
        )
        version_id = self.room.ingestion.ingest(package.manifest_path.read_bytes(), package.package_path)
        shutil.rmtree(desk)
        if not publish:
            return version_id
        with self.room.db.transaction() as tx:
            if self.room.datasets.version(tx, version_id).status is VersionStatus.AWAITING_JUNK:
                self.room.junk_lists.resolve_junk(tx, version_id)
            self.room.ingestion.publish(tx, version_id)
        return version_id

    def dataset(
        self, rows: Sequence[str], *, schema: str = DATASET_SCHEMA, header: str = DATASET_HEADER
    ) -> str:
        """Register and load a dataset of the provider."""
        dataset_id = self.register("dataset", schema)
        self.load(dataset_id, header, rows)
        return dataset_id

    def base(self, rows: Sequence[str], *, party: Party | None = None) -> str:
        """Register and load a base of the advertiser, or of another party."""
        base_id = self.register("base", BASE_SCHEMA, party=party)
        self.load(base_id, BASE_HEADER, rows, party=party)
        return base_id

    def rule(
        self, document: PolicyDocument | None = None, *, dataset_id: str | None = None
    ) -> PolicyDocument:
        """Put a rule in force; by default the preset `standard`. One that permits more than a preset is overridden."""
        rule = document or load_preset("standard", purposes=[PURPOSE, "research"])
        if preset_above(rule) is None:
            rule = with_unsafe_override(rule, "a test's own rule")
        with self.room.db.transaction() as tx:
            self.room.rules.set_policy(
                tx,
                dataset_id or self.dataset_id,
                rule,
                organisation_id=self.provider.organisation_id,
                confirmed="a test",
            )
        return rule

    def try_grant(self, size: str = "L", **changed: Any) -> Grant | Deny | Gap:
        with self.room.db.transaction() as tx:
            dataset_id = changed.get("dataset_id", self.dataset_id)
            policy = self.room.rules.current(tx, dataset_id)
            asked: dict[str, Any] = {
                "dataset_id": dataset_id,
                "advertiser_id": self.advertiser.organisation_id,
                "size": size,
                "purposes": [PURPOSE],
                "expires_at": self.clock.now() + timedelta(days=30),
                "documents": [policy.document] if policy else [],
            } | changed
            return self.room.grants.issue_grant(tx, **asked)

    def grant(self, size: str = "L", **changed: Any) -> Grant:
        grant = self.try_grant(size, **changed)
        assert isinstance(grant, Grant), grant
        return grant

    def left(self, grant: Grant) -> int:
        with self.room.db.reading() as tx:
            return self.room.grants.status(tx, grant.id).left_micro

    def question(self, **changed: Any) -> Question:
        """An overlap without anything beside it, unless changed."""
        plain = {"purpose": PURPOSE, "labels": False, "per_key": False}
        return question_from_dict(
            {key: value for key, value in {**plain, **changed}.items() if value is not None},
            dataset_id=self.dataset_id,
            base_id=self.base_id,
        )

    def ask(
        self,
        grant: Grant,
        question: Question | None = None,
        *,
        asker: Party | None = None,
        as_of: datetime | None = None,
        **changed: Any,
    ) -> Answer:
        return self.room.analyses.ask(
            question or self.question(**changed),
            grant_id=grant.id,
            asker_id=(asker or self.advertiser).organisation_id,
            as_of=as_of,
        )

    def withdraw(self, *numbers: int, purpose: str = "*") -> ChangeOutcome:
        """Take consents back by e-mail, as the people themselves would name it."""
        digests = b"".join(hashlib.sha256(email(number).encode()).digest() for number in numbers)
        return self.room.consents.withdraw(self.dataset_id, [Withdrawal("email/room", digests, purpose)])

    def stop(self) -> None:
        with self.room.db.transaction() as tx:
            self.room.rules.stop(tx, self.dataset_id, organisation_id=self.provider.organisation_id)

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """The log's records of some kinds, or all, in order."""
        with self.room.db.reading() as tx:
            rows = select(AuditEvent.record).order_by(AuditEvent.index)
            if kinds:
                rows = rows.where(AuditEvent.kind.in_(kinds))
            return [json.loads(record) for record in tx.session.scalars(rows)]

    def reopen(self) -> Room:
        """Open the room anew, as after a crash."""
        self.room.close()
        self.room = open_room(self.room.settings, clock=self.clock)
        return self.room


MakeRoom = Callable[..., Stage]


def _settings(home: Path, database_url: str | None) -> Settings:
    return load_settings({"CLEANROOM_DATABASE_URL": database_url} if database_url else {}, home=home)


def copied(template: Stage, home: Path, database_url: str | None = None) -> Stage:
    """Open a copy of a closed room."""
    shutil.copytree(template.home, home)
    clock = MovableClock(template.clock.instant)
    room = open_room(_settings(home, database_url), clock=clock)
    return Stage(home, room, clock, dict(template.parties), template.dataset_id, template.base_id)


def build(
    home: Path, *, database_url: str | None = None, rows: Sequence[str], base_rows: Sequence[str]
) -> Stage:
    """Make a room with a loaded dataset, a loaded base and the rule `standard`, but no grant."""
    clock = MovableClock()
    stage = Stage(home, init_room(_settings(home, database_url), clock=clock), clock)
    stage.party("provider", "provider")
    stage.party("advertiser")
    stage.dataset_id = stage.dataset(rows)
    stage.base_id = stage.base(base_rows)
    stage.rule()
    return stage


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The usual room on SQLite, closed; copied for each test, which is faster than making it."""
    stage = build(tmp_path_factory.mktemp("template") / "home", rows=people(), base_rows=clients())
    stage.room.close()
    return stage


@pytest.fixture
def make_room(tmp_path: Path, sqlite_template: Stage, ready_databases: ReadyDatabases) -> Iterator[MakeRoom]:
    """A factory: the usual room, on SQLite or on the database named, or one over other rows."""
    made: list[Stage] = []

    def make(
        *,
        template: Stage | None = None,
        database_url: str | None = None,
        rows: Sequence[str] | None = None,
        base_rows: Sequence[str] | None = None,
    ) -> Stage:
        home = tmp_path / f"room{len(made)}" / "home"
        if rows is None and base_rows is None:
            stage = copied(template or sqlite_template, home, database_url)
        else:
            ready_databases.migrated(_settings(home, database_url).database_url)
            stage = build(
                home,
                database_url=database_url,
                rows=people() if rows is None else rows,
                base_rows=clients() if base_rows is None else base_rows,
            )
        made.append(stage)
        return stage

    yield make
    for stage in made:
        stage.room.close()
