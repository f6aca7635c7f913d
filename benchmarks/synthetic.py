"""People made of numbers, as prepared packages: millions in seconds, without a plain file to normalise.

Person n has the same digests wherever it is made, so two packages meet wherever their numbers do.
"""

import shutil
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cleanroom.accounts.types import OrganisationKind
from cleanroom.clock import rfc3339
from cleanroom.datasets.types import DatasetKind
from cleanroom.demo.parties import Party, sign_up
from cleanroom.grants.types import Grant
from cleanroom.ids import new_id
from cleanroom.room import Room
from cleanroom.schema.batch import MAX_FRAME_ROWS, BatchHeader, BatchTrailer, BatchWriter, Columns
from cleanroom.schema.codec import schema_from_yaml
from cleanroom.schema.layout import layout, reasons
from cleanroom.schema.model import ConsentState, Schema
from crypto.package import Manifest, PackageWriter, recipient_key_id, sign_manifest
from policies.codec import load_preset

PURPOSE = "advertising"
KEYS = ("email", "phone")
# Numbers that make different digests of the same person.
_SALTS = {"email": 1, "phone": 3}
_PERSON_SALT, _STRANGER_SALT = 2, 5
CITIES = tuple(f"city{number}" for number in range(10))
_KEYS = "match_keys:\n  email: {column: email}\n"
_TWO_KEYS = _KEYS + "  phone: {column: phone}\n"
_PEOPLE = f"""\
attributes:
  sex: {{type: category, values: [F, M]}}
  age: {{type: integer, bands: [18, 25, 35, 45, 60]}}
  city: {{type: category, values: [{", ".join(CITIES)}]}}
lawful_basis: consent
consent:
  {PURPOSE}: {{column: ads, granted: ["yes"]}}
"""
BASE = schema_from_yaml(_KEYS)
ROW_IS_PERSON = schema_from_yaml(_KEYS + _PEOPLE)
BASE_OF_TWO = schema_from_yaml(_TWO_KEYS)
ROW_OF_TWO = schema_from_yaml(_TWO_KEYS + _PEOPLE)
PERSON_BY_ID = schema_from_yaml("person_id: {column: id}\n" + _KEYS + _PEOPLE)
Numbers = NDArray[np.uint64]


def mixed(numbers: Numbers, salt: int) -> Numbers:
    """Return 64 bits for each number that look random and are distinct (splitmix64)."""
    mixed = (numbers + np.uint64(1) + (np.uint64(salt) << np.uint64(48))) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def digests(numbers: Numbers, salt: int) -> NDArray[np.uint8]:
    """Return (n, 32) bytes: in place of an identifier's SHA-256."""
    words = np.stack([mixed(numbers, 4 * salt + word) for word in range(4)], axis=1)
    return words.view(np.uint8)


def key_digests(numbers: Numbers, key: str, *, provider: bool) -> NDArray[np.uint8]:
    """Return the digests of a key, as one of the parties knows them.

    With two keys an advertiser knows both of every third person as the provider does; of the others, one is of
    somebody whom the provider does not know.
    """
    salt = _SALTS[key]
    made = digests(numbers, salt)
    if provider:
        return made
    elsewhere = np.nonzero(numbers % np.uint64(3) == np.uint64(salt // 2 + 1))[0]
    made[elsewhere] = digests(numbers[elsewhere], salt + _STRANGER_SALT)
    return made


def people(numbers: Numbers, schema: Schema) -> Columns:
    """Make the payload's columns of some persons; 85% have consented."""
    chance = mixed(numbers, 99)
    made: Columns = {}
    for key in schema.match_keys:
        alone = len(schema.match_keys) == 1 or bool(schema.attributes)
        made[f"key:{key.qualified_names[0]}"] = key_digests(numbers, key.name, provider=alone)[:, None, :]
    if schema.person_id:
        made["person"] = digests(numbers, _PERSON_SALT)
    if schema.attributes:
        made["attr:sex"] = (chance % np.uint64(2) + np.uint64(1)).astype(np.uint8)
        made["attr:age"] = (mixed(numbers, 98) % np.uint64(70) + np.uint64(14)).astype(np.int64)
        made["attr:city"] = (mixed(numbers, 97) % np.uint64(11) + np.uint64(1)).astype(np.uint8)
        denied = chance >> np.uint64(32) >= np.uint64(int(0.85 * 2**32))
        made[f"consent:{PURPOSE}"] = np.where(denied, ConsentState.DENIED, ConsentState.GRANTED).astype("u1")
    return made


@dataclass(frozen=True)
class Table:
    """A published table.

    Attributes:
        id: of the dataset or base.
        version_id: of its version.
        seconds: that taking it in and publishing it took.
    """

    id: str
    version_id: str
    seconds: float


def load(room: Room, party: Party, schema: Schema, numbers: range, *, directory: Path) -> Table:
    """Hand a range of persons in as a table of a party's, and publish it.

    Args:
        room: where.
        party: a provider gets a dataset, an advertiser a base.
        schema: one of this module's.
        numbers: which persons.
        directory: has room for the package, about 50 to 90 bytes per person, while it is loaded.
    """
    kind = DatasetKind.DATASET if party.role is OrganisationKind.PROVIDER else DatasetKind.BASE
    with room.db.transaction() as tx:
        table = room.datasets.register(
            tx, workspace_id=party.workspace_id, kind=kind, name="numbers", schema=schema
        )
    with tempfile.TemporaryDirectory(dir=directory) as place:
        payload = Path(place) / "payload.age"
        manifest = write_package(room, party, table.id, schema, numbers, payload)
        started = time.perf_counter()
        version_id = room.ingestion.ingest(manifest, payload)
    with room.db.transaction() as tx:
        room.ingestion.publish(tx, version_id)
    return Table(table.id, version_id, time.perf_counter() - started)


def write_package(
    room: Room, party: Party, dataset_id: str, schema: Schema, numbers: range, payload: Path
) -> bytes:
    """Write the payload of some persons to a file; returns its signed manifest."""
    header = BatchHeader(schema.sha256(), "full", layout(schema), reasons(schema))
    with PackageWriter(payload, party.recipient) as package:
        writer = BatchWriter(package, header)
        for start in range(0, len(numbers), MAX_FRAME_ROWS):
            rows = np.arange(start, min(start + MAX_FRAME_ROWS, len(numbers)), dtype=np.uint64)
            made = people(rows + np.uint64(numbers.start), schema)
            writer.write({"row": rows + np.uint64(1), **made})
        writer.finish(BatchTrailer(len(numbers), len(numbers), {}, {}, {}, []))
    now = room.clock.now()
    manifest = Manifest(
        package_id=new_id("pk", now),
        workspace_id=party.workspace_id,
        dataset_id=dataset_id,
        mode="full",
        expected_version_id=None,
        schema_sha256=header.schema_sha256,
        recipient_key_id=recipient_key_id(party.recipient),
        rows=len(numbers),
        ciphertext_sha256=package.result.sha256,
        ciphertext_bytes=package.result.size,
        signer_key_id=party.signer.key_id,
        created_at=rfc3339(now),
        expires_at=rfc3339(now + timedelta(days=1)),
    )
    return sign_manifest(manifest, party.signer.seed)


@dataclass(frozen=True)
class Deal:
    """Two parties with their tables, a rule and a grant.

    Attributes:
        provider: owns the dataset.
        advertiser: owns the base and may ask.
        dataset: every row a person.
        base: of the same keys.
        grant: of size L under the preset `standard`.
    """

    provider: Party
    advertiser: Party
    dataset: Table
    base: Table
    grant: Grant

    @property
    def asking(self) -> dict[str, str]:
        """What an asker has to say, as plain data."""
        return {
            "dataset_id": self.dataset.id,
            "base_id": self.base.id,
            "grant_id": self.grant.id,
            "asker_id": self.advertiser.organisation_id,
        }


def base_numbers(provider_rows: int, base_rows: int) -> range:
    """Return who is in the base: for two fifths the last of the provider's persons."""
    first = provider_rows - min(base_rows * 2 // 5, provider_rows)
    return range(first, first + base_rows)


def make_deal(room: Room, *, provider_rows: int, base_rows: int, directory: Path, keys: int = 1) -> Deal:
    """Fill a new room: persons 0 to `provider_rows` for the provider, `base_numbers` for the advertiser.

    Args:
        room: a new one.
        provider_rows: how many persons the dataset has.
        base_rows: how many the base has.
        directory: has room for the packages.
        keys: 1 for e-mail addresses, 2 for telephone numbers too.
    """
    provider = sign_up(room, OrganisationKind.PROVIDER, "provider")
    advertiser = sign_up(room, OrganisationKind.ADVERTISER, "advertiser")
    of_people, of_base = (ROW_IS_PERSON, BASE) if keys == 1 else (ROW_OF_TWO, BASE_OF_TWO)
    dataset = load(room, provider, of_people, range(provider_rows), directory=directory)
    base = load(room, advertiser, of_base, base_numbers(provider_rows, base_rows), directory=directory)
    document = load_preset("standard", purposes=[PURPOSE])
    with room.db.transaction() as tx:
        room.rules.set_policy(tx, dataset.id, document, organisation_id=provider.organisation_id)
        grant = room.grants.issue_grant(
            tx,
            dataset_id=dataset.id,
            advertiser_id=advertiser.organisation_id,
            size="L",
            purposes=[PURPOSE],
            expires_at=room.clock.now() + timedelta(days=30),
            documents=[document],
        )
    assert isinstance(grant, Grant), grant
    return Deal(provider, advertiser, dataset, base, grant)


def fits(directory: Path, needed_bytes: int) -> None:
    """Stop early when a directory has less free space than a run will take."""
    free = shutil.disk_usage(directory).free
    if free < needed_bytes:
        raise SystemExit(f"{needed_bytes >> 30} GiB are needed in {directory}; {free >> 30} GiB are free.")
