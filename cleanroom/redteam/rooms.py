"""Throw-away rooms: the parties of an attack and the calls they make, which are those of any buyer and provider."""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from cleanroom.accounts.types import OrganisationKind
from cleanroom.analyses.types import Answer
from cleanroom.bootstrap import open_room
from cleanroom.client import Recipient, Signer, prepare
from cleanroom.consent.types import ChangeOutcome, Withdrawal
from cleanroom.datasets.types import DatasetKind, VersionStatus
from cleanroom.grants.types import Grant
from cleanroom.room import Room
from cleanroom.schema.codec import schema_from_dict
from cleanroom.settings import Settings
from crypto.keys import generate_signing_key, public_key
from policies.decision import Deny, Gap
from policies.diff import preset_above, with_unsafe_override
from policies.model import PolicyDocument
from policies.question import Question, question_from_dict

Columns = Mapping[str, Sequence[str] | pl.Series]
_TERM = timedelta(days=30)
_OVERRIDE = "To be attacked in a throw-away room of invented people."


@dataclass
class LabClock:
    """Moves by a microsecond at each look, and further when the attack waits."""

    instant: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        """Return the instant."""
        self.instant += timedelta(microseconds=1)
        return self.instant

    def wait_until(self, instant: datetime) -> None:
        """Let the time until an instant pass."""
        self.instant = max(self.instant, instant)

    def move(self, **step: float) -> None:
        """Let time pass; keyword arguments of `timedelta`."""
        self.instant += timedelta(**step)


@dataclass(frozen=True)
class Party:
    """An organisation with a workspace and a signing key."""

    organisation_id: str
    workspace_id: str
    population_id: str
    recipient: str
    signer: Signer


@dataclass
class LabRoom:
    """An open room under the attacked policy, with its parties.

    Attributes:
        home: of the room.
        room: its services.
        clock: the room's time.
        document: the attacked policy, as it is put in force.
        purpose: one that it allows.
        parties: by the names that the attack gives them.
    """

    home: Path
    room: Room
    clock: LabClock
    document: PolicyDocument
    purpose: str
    parties: dict[str, Party] = field(default_factory=dict)

    def close(self) -> None:
        """Leave the room and burn it."""
        self.room.close()
        shutil.rmtree(self.home.parent, ignore_errors=True)

    def reopen(self) -> None:
        """Open the room anew, as after a crash."""
        self.room.close()
        self.room = open_room(self.room.settings, clock=self.clock)

    def party(self, name: str, kind: str = "advertiser", *, affiliate_group: str | None = None) -> Party:
        """Register an organisation, or return the one of this name."""
        if name in self.parties:
            return self.parties[name]
        seed = generate_signing_key()
        with self.room.db.transaction() as tx:
            organisation = self.room.accounts.create_organisation(
                tx, name=name, kind=OrganisationKind(kind), affiliate_group=affiliate_group
            )
            workspace = self.room.workspaces.create_workspace(tx, organisation_id=organisation.id, name=name)
            key_id = self.room.accounts.enrol_key(tx, organisation.id, public_key(seed))
        self.parties[name] = Party(
            organisation.id, workspace.id, workspace.population_id, workspace.recipient, Signer(key_id, seed)
        )
        return self.parties[name]

    def register(self, owner: Party, kind: str, schema: Mapping[str, Any]) -> str:
        """Register a table of a party's; its id."""
        with self.room.db.transaction() as tx:
            return self.room.datasets.register(
                tx,
                workspace_id=owner.workspace_id,
                kind=DatasetKind(kind),
                name="people",
                schema=schema_from_dict(dict(schema)),
            ).id

    def load(self, owner: Party, dataset_id: str, columns: Columns) -> str:
        """Prepare a file, take it in, put over-shared values on the junk list, publish; the version's id."""
        with self.room.db.reading() as tx:
            schema = self.room.datasets.dataset(tx, dataset_id).schema
        desk = self.home.parent / "desk"
        desk.mkdir(exist_ok=True)
        source = desk / "people.parquet"
        pl.DataFrame(columns).write_parquet(source, compression="uncompressed")
        package = prepare(
            source,
            schema=schema,
            recipient=Recipient(owner.workspace_id, dataset_id, owner.recipient),
            signer=owner.signer,
            out_dir=desk,
            clock=self.clock,
        )
        version_id = self.room.ingestion.ingest(package.manifest_path.read_bytes(), package.package_path)
        shutil.rmtree(desk)
        with self.room.db.transaction() as tx:
            if self.room.datasets.version(tx, version_id).status is VersionStatus.AWAITING_JUNK:
                self.room.junk_lists.resolve_junk(tx, version_id)
            self.room.ingestion.publish(tx, version_id)
        return version_id

    def dataset(self, owner: Party, schema: Mapping[str, Any], columns: Columns) -> str:
        """Register and load a provider's dataset, and put the attacked policy in force; its id."""
        dataset_id = self.register(owner, "dataset", schema)
        self.load(owner, dataset_id, columns)
        self.rule(owner, dataset_id)
        return dataset_id

    def base(self, owner: Party, schema: Mapping[str, Any], columns: Columns) -> str:
        """Register and load an advertiser's base; its id."""
        base_id = self.register(owner, "base", schema)
        self.load(owner, base_id, columns)
        return base_id

    def rule(self, owner: Party, dataset_id: str) -> None:
        """Put the attacked policy in force; one that no preset bounds needs its override here too."""
        document = self.document
        if preset_above(document) is None:
            document = with_unsafe_override(document, "under attack by the red team")
        with self.room.db.transaction() as tx:
            self.room.rules.set_policy(
                tx, dataset_id, document, organisation_id=owner.organisation_id, confirmed="a throw-away room"
            )

    def try_grant(
        self, dataset_id: str, advertiser: Party, size: str = "L", **changed: Any
    ) -> Grant | Deny | Gap:
        """Ask for a grant; keyword arguments replace those of `issue_grant`."""
        with self.room.db.transaction() as tx:
            asked: dict[str, Any] = {
                "dataset_id": dataset_id,
                "advertiser_id": advertiser.organisation_id,
                "size": size,
                "purposes": [self.purpose],
                "expires_at": self.clock.now() + _TERM,
                "documents": [self.document],
            } | changed
            return self.room.grants.issue_grant(tx, **asked)

    def buy_all(self, dataset_id: str, advertiser: Party, **changed: Any) -> list[Grant]:
        """Buy grants, large ones first, until the room sells no more of any size."""
        bought = []
        for size in ("L", "M", "S"):
            while isinstance(grant := self.try_grant(dataset_id, advertiser, size, **changed), Grant):
                bought.append(grant)
        return bought

    def left(self, grant: Grant) -> int:
        """Return what a grant has left, in micro-rho."""
        with self.room.db.reading() as tx:
            return self.room.grants.status(tx, grant.id).left_micro

    def question(self, dataset_id: str, base_id: str, **changed: Any) -> Question:
        """Return an overlap with nothing beside it, unless changed; keys of a question's plain data."""
        plain = {"purpose": self.purpose, "labels": False, "per_key": False}
        return question_from_dict({**plain, **changed}, dataset_id=dataset_id, base_id=base_id)

    def ask(self, grant: Grant, asker: Party, question: Question, *, as_of: datetime | None = None) -> Answer:
        """Ask a question as a party."""
        return self.room.analyses.ask(
            question, grant_id=grant.id, asker_id=asker.organisation_id, as_of=as_of
        )

    def withdraw(self, dataset_id: str, *emails: str, purpose: str = "*") -> ChangeOutcome:
        """Take consents back, named by e-mail."""
        digests = b"".join(hashlib.sha256(email.encode()).digest() for email in emails)
        return self.room.consents.withdraw(dataset_id, [Withdrawal("email/room", digests, purpose)])


def settings_of(home: Path) -> Settings:
    """Return the settings of a throw-away room; the environment is left aside, it may name a real database."""
    return Settings(home, f"sqlite:///{home / 'room.sqlite3'}", "red.team/lab", 1 << 29)


def dataset_schema(
    attributes: Mapping[str, Sequence[str]], *, purpose: str, keys: Sequence[str] = ("email",)
) -> dict[str, Any]:
    """Return a provider's schema: person `id`, keys, category attributes with their values, consent in `ads`."""
    return {
        "person_id": {"column": "id"},
        "match_keys": _match_keys(keys),
        "attributes": {
            name: {"type": "category", "kind": "descriptive", "values": list(values)}
            for name, values in attributes.items()
        },
        "lawful_basis": "consent",
        "consent": {purpose: {"column": "ads", "granted": ["yes"], "withdrawn": ["stop"]}},
    }


def base_schema(*, labels: Sequence[str] = (), keys: Sequence[str] = ("email",)) -> dict[str, Any]:
    """Return an advertiser's schema: keys, and labels in `status` if there are any."""
    label = {"label": {"column": "status", "values": list(labels)}} if labels else {}
    return {"match_keys": _match_keys(keys), **label}


def _match_keys(keys: Sequence[str]) -> dict[str, Any]:
    return {key: {"column": key, **({"default_region": "RU"} if key == "phone" else {})} for key in keys}
