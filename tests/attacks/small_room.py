"""A whole small room for attacks: invented people, two parties, their files, a rule and a grant."""

import random
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from cleanroom import client
from cleanroom.accounts.types import OrganisationKind
from cleanroom.analyses.types import Answer
from cleanroom.client.preparing import Prepared
from cleanroom.datasets.types import DatasetKind, VersionStatus
from cleanroom.grants.types import Grant
from cleanroom.ingestion.loading import Progress
from cleanroom.room import Room
from cleanroom.schema.codec import schema_from_yaml
from cleanroom.settings import Settings
from crypto.keys import generate_signing_key, public_key
from policies.codec import load_preset
from policies.question import Question, question_from_dict

PROVIDER_SCHEMA = """\
person_id: {column: id}
match_keys:
  email: {column: email}
  phone: {columns: [phone, phone2], default_region: RU}
attributes:
  age: {type: integer, kind: descriptive, bands: [18, 25, 35, 45, 60]}
  city: {type: category, kind: descriptive, values: [Москва, Казань]}
  spend: {type: decimal, kind: behavioural, clamp: [0, 20000]}
  town: {type: category, kind: descriptive, open: true}
lawful_basis: consent
consent:
  advertising: {column: ads, granted: ["yes"], withdrawn: [stop]}
"""
BASE_SCHEMA = """\
match_keys:
  email: {column: email}
  phone: {columns: [phone], default_region: RU}
label: {column: status, values: [vip, lapsed]}
lawful_basis: consent
"""
RARE_CITY = "Верхоянск"
RARE_SPEND = "73162849051.37"
RARE_TOWN = "Оймякон-на-Индигирке"
SHARED_PHONE = "+79161230000"
_HEADER = "id,full_name,email,phone,phone2,age,city,spend,ads,town"
_BASE_HEADER = "email,phone,status"
# Little enough that even a small load spills sealed runs to disk.
_MEMORY_BYTES = 1 << 18


@dataclass(frozen=True)
class Person:
    """One row of the provider's file, as it is written there."""

    customer_id: str
    full_name: str
    email: str
    phone: str
    phone2: str
    age: str
    city: str
    spend: str
    ads: str
    town: str

    @property
    def line(self) -> str:
        """The row."""
        return ",".join(vars(self).values())


@dataclass(frozen=True)
class Party:
    """One side of the room."""

    organisation_id: str
    workspace_id: str
    population_id: str
    recipient: str
    signer: client.Signer


@dataclass(frozen=True)
class Stage:
    """Where the work happens; plain data, so that it can be handed to another process as JSON."""

    home: str
    database_url: str
    provider_dataset: str = ""
    base_dataset: str = ""
    grant_id: str = ""
    asker_id: str = ""

    @property
    def settings(self) -> Settings:
        """Of the room."""
        return Settings(Path(self.home), self.database_url, "test.room/attacks", _MEMORY_BYTES)


def people(count: int, *, seed: int = 7) -> tuple[Person, ...]:
    """Invent people; the third has a city, a town and a spend that nobody else has, every 90th shares a phone."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        mobile = f"916{rng.randrange(10**7):07d}"
        rare = number == 3
        made.append(
            Person(
                customer_id=f"cust-{rng.randrange(10**6):06d}-{number}",
                full_name=f"Аполлинария{number} Верхнедвинская{number}",
                email=f"Anna.Petrova{number}.{rng.randrange(10**6)}@Example.org",
                phone=f"8 ({mobile[:3]}) {mobile[3:6]}-{mobile[6:8]}-{mobile[8:]}",
                phone2=SHARED_PHONE if number % 90 == 5 else "",
                age=str(18 + rng.randrange(60)),
                city=RARE_CITY if rare else rng.choice(["Москва", "Казань", "Омск"]),
                spend=RARE_SPEND if rare else f"{rng.randrange(9_000)}.{rng.randrange(100):02d}",
                ads="stop" if number % 10 == 0 else "yes",
                town=RARE_TOWN if rare else ("Нижний Новгород", "Екатеринбург", "")[number % 3],
            )
        )
    return tuple(made)


def write_dataset(path: Path, known: tuple[Person, ...]) -> Path:
    """Write the provider's plain file."""
    path.write_text("\n".join([_HEADER, *(person.line for person in known)]) + "\n", encoding="utf-8")
    return path


def write_base(path: Path, known: tuple[Person, ...]) -> Path:
    """Write an advertiser's plain file with the same people, differently spelled."""
    rows = (
        f"{person.email.lower()},+7{''.join(c for c in person.phone if c.isdigit())[1:]},"
        f"{'lapsed' if number % 3 else 'vip'}"
        for number, person in enumerate(known)
    )
    path.write_text("\n".join([_BASE_HEADER, *rows]) + "\n", encoding="utf-8")
    return path


def sign_up(room: Room, kind: OrganisationKind, name: str) -> Party:
    """Register a party with a workspace and a signing key."""
    seed = generate_signing_key()
    with room.db.transaction() as tx:
        organisation = room.accounts.create_organisation(tx, name=name, kind=kind)
        workspace = room.workspaces.create_workspace(tx, organisation_id=organisation.id, name=name)
        key_id = room.accounts.enrol_key(tx, organisation.id, public_key(seed))
    return Party(
        organisation.id,
        workspace.id,
        workspace.population_id,
        workspace.recipient,
        client.Signer(key_id, seed),
    )


def register(room: Room, party: Party, kind: DatasetKind, *, schema: str) -> str:
    """Register a table of a party's."""
    with room.db.transaction() as tx:
        return room.datasets.register(
            tx, workspace_id=party.workspace_id, kind=kind, name="people", schema=schema_from_yaml(schema)
        ).id


def prepare(
    party: Party, dataset_id: str, source: Path, *, schema: str, out_dir: Path, **options: Any
) -> Prepared:
    """Prepare a plain file on its owner's machine; every call makes a package of its own."""
    out_dir.mkdir(exist_ok=True)
    return client.prepare(
        source,
        schema=schema_from_yaml(schema),
        recipient=client.Recipient(party.workspace_id, dataset_id, party.recipient),
        signer=party.signer,
        out_dir=out_dir,
        **options,
    )


def hand_in(room: Room, manifest: Path, payload: Path, *, progress: Progress | None = None) -> str:
    """Load a package, put over-shared values on the junk list, and publish."""
    version_id = room.ingestion.ingest(manifest.read_bytes(), payload, progress=progress)
    publish(room, version_id)
    return version_id


def publish(room: Room, version_id: str) -> None:
    """Resolve the junk list in one transaction and publish in another."""
    with room.db.transaction() as tx:
        if room.datasets.version(tx, version_id).status is VersionStatus.AWAITING_JUNK:
            room.junk_lists.resolve_junk(tx, version_id)
    with room.db.transaction() as tx:
        room.ingestion.publish(tx, version_id)


def agree(room: Room, provider: Party, advertiser: Party, dataset_id: str) -> Grant:
    """Put a rule with a low floor in force and give the advertiser a large grant."""
    document = load_preset("relaxed", purposes=["advertising"], blocked=["spend"])
    with room.db.transaction() as tx:
        room.rules.set_policy(tx, dataset_id, document, organisation_id=provider.organisation_id)
        grant = room.grants.issue_grant(
            tx,
            dataset_id=dataset_id,
            advertiser_id=advertiser.organisation_id,
            size="L",
            purposes=["advertising"],
            expires_at=room.clock.now() + timedelta(days=30),
            documents=[document],
        )
    assert isinstance(grant, Grant)
    return grant


def question(stage: Stage, number: int, **changed: Any) -> Question:
    """Put a question; every number is another one."""
    plain = {
        "kind": "profile",
        "purpose": "advertising",
        "precision": "rough",
        "segments": {
            "old": {"attribute": "age", "op": ">=", "value": number},
            "far": {"attribute": "city", "op": "==", "value": "Казань"},
        },
        "breakdowns": [["age"]],
        **changed,
    }
    return question_from_dict(plain, dataset_id=stage.provider_dataset, base_id=stage.base_dataset)


def ask(room: Room, stage: Stage, number: int, **changed: Any) -> Answer:
    """Ask a question; every number is another question."""
    asked = question(stage, number, **changed)
    return room.analyses.ask(asked, grant_id=stage.grant_id, asker_id=stage.asker_id)
