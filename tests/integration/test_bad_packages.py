"""Packages that are not what they say: refused with a remedy and no word of data, and a right one loads afterwards."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from cleanroom.accounts.types import OrganisationKind
from cleanroom.bootstrap import init_room
from cleanroom.client import Recipient, Signer, prepare
from cleanroom.client.preparing import Prepared
from cleanroom.datasets.models import DatasetVersionRow, PackageRow
from cleanroom.datasets.types import DatasetKind, VersionStatus
from cleanroom.errors import KNOWN_ERRORS
from cleanroom.room import Room
from cleanroom.schema.batch import BatchHeader, BatchTrailer, BatchWriter
from cleanroom.schema.codec import schema_from_yaml
from cleanroom.schema.layout import layout, reasons
from cleanroom.settings import load_settings
from crypto.keys import generate_signing_key, public_key
from crypto.package import PackageWriter, generate_identity, recipient_key_id, sign_manifest
from tests.rooms import MovableClock

SCHEMA = """\
person_id: {column: id}
match_keys: {email: {column: email}}
attributes: {city: {type: category, kind: descriptive, values: [Moscow]}}
consent: {advertising: {column: ads, granted: ["yes"]}}
"""
OTHER_SCHEMA = (
    'match_keys: {email: {column: email}}\nconsent: {advertising: {column: ads, granted: ["yes"]}}\n'
)
EMAILS = [f"secret.person{number}@example.org" for number in range(40)]
TEXT = "id,email,city,ads\n" + "".join(f"who-{at},{email},Moscow,yes\n" for at, email in enumerate(EMAILS))
Package = tuple[bytes, bytes]


@dataclass(frozen=True)
class Owner:
    """An organisation with a workspace and a dataset."""

    workspace_id: str
    recipient: str
    signer: Signer
    dataset_id: str


@dataclass(frozen=True)
class Bench:
    """A room, an owner in it, and the owner's file."""

    room: Room
    clock: MovableClock
    owner: Owner
    stranger: Owner
    source: Path

    def prepare(self, owner: Owner | None = None, *, schema: str = SCHEMA, **options: Any) -> Prepared:
        """Prepare the owner's file."""
        own = owner or self.owner
        return prepare(
            self.source,
            schema=schema_from_yaml(schema),
            recipient=Recipient(own.workspace_id, own.dataset_id, own.recipient),
            signer=own.signer,
            out_dir=self.source.parent,
            clock=self.clock,
            **options,
        )

    def sign(self, package: Prepared, **changes: Any) -> bytes:
        """Sign a manifest that says something else, with the owner's own key."""
        return sign_manifest(replace(package.manifest, **changes), self.owner.signer.seed)

    def craft(
        self,
        change: Callable[[dict[str, np.ndarray]], None] = lambda _columns: None,
        *,
        recipient: str | None = None,
        counted: int | None = None,
        trailer: BatchTrailer | None = None,
        sign: dict[str, Any] | None = None,
        **header: Any,
    ) -> Package:
        """Write, encrypt and sign a payload of raw columns, as a client that lies would.

        Args:
            change: spoils the columns.
            recipient: whom to encrypt to.
            counted: rows according to the manifest.
            trailer: the payload's last word.
            sign: other changes of the manifest.
            header: other fields of the payload's header.
        """
        schema, rows = schema_from_yaml(SCHEMA), 4
        columns = {spec.name: np.zeros(spec.shape(rows), spec.dtype) for spec in layout(schema)}
        columns["row"] = np.arange(1, rows + 1, dtype="<u8")
        columns["person"][:, 0] = columns["row"]
        columns["key:email/room"][:, :, 0] = columns["row"][:, None]
        change(columns)
        said = dataclasses.replace(
            BatchHeader(schema.sha256(), "full", layout(schema), reasons(schema)), **header
        )
        package = self.prepare()
        with PackageWriter(package.package_path, recipient or self.owner.recipient) as sink:
            writer = BatchWriter(sink, said)
            writer.write({spec.name: columns[spec.name] for spec in said.columns})
            writer.finish(trailer or BatchTrailer(rows, rows, {}, {}, {}, []))
        changes = {
            "ciphertext_sha256": sink.result.sha256,
            "ciphertext_bytes": sink.result.size,
            **(sign or {}),
        }
        manifest = self.sign(package, rows=rows if counted is None else counted, **changes)
        return manifest, package.package_path.read_bytes()


def _sign_up(room: Room, name: str, schema: str) -> Owner:
    seed = generate_signing_key()
    with room.db.transaction() as tx:
        organisation = room.accounts.create_organisation(tx, name=name, kind=OrganisationKind.PROVIDER)
        workspace = room.workspaces.create_workspace(tx, organisation_id=organisation.id, name=name)
        key_id = room.accounts.enrol_key(tx, organisation.id, public_key(seed))
        dataset = room.datasets.register(
            tx,
            workspace_id=workspace.id,
            kind=DatasetKind.DATASET,
            name=name,
            schema=schema_from_yaml(schema),
        )
    return Owner(workspace.id, workspace.recipient, Signer(key_id, seed), dataset.id)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    clock = MovableClock()
    room = init_room(load_settings({}, home=tmp_path / "home"), clock=clock)
    source = tmp_path / "owner" / "people.csv"
    source.parent.mkdir()
    source.write_text(TEXT, encoding="utf-8")
    yield Bench(
        room, clock, _sign_up(room, "owner", SCHEMA), _sign_up(room, "stranger", OTHER_SCHEMA), source
    )
    room.close()


def _whole(package: Prepared) -> Package:
    return package.manifest_path.read_bytes(), package.package_path.read_bytes()


def _truncated(bench: Bench) -> Package:
    manifest, payload = _whole(bench.prepare())
    return manifest, payload[: len(payload) // 2]


def _truncated_and_signed_so(bench: Bench) -> Package:
    """The hash is right, the encryption has no end."""
    package = bench.prepare()
    cut = package.package_path.read_bytes()[:-30]
    return bench.sign(
        package, ciphertext_sha256=hashlib.sha256(cut).hexdigest(), ciphertext_bytes=len(cut)
    ), cut


def _damaged(bench: Bench) -> Package:
    manifest, payload = _whole(bench.prepare())
    return manifest, payload[:-1] + bytes([payload[-1] ^ 1])


def _wrong_recipient(bench: Bench) -> Package:
    return bench.craft(recipient=bench.stranger.recipient)


def _wrong_recipient_said(bench: Bench) -> Package:
    other = bench.stranger.recipient
    return bench.craft(recipient=other, sign={"recipient_key_id": recipient_key_id(other)})


def _recipient_of_nobody(bench: Bench) -> Package:
    return bench.craft(recipient=generate_identity()[1])


def _unknown_signer(bench: Bench) -> Package:
    package, seed = bench.prepare(), generate_signing_key()
    return sign_manifest(replace(package.manifest, signer_key_id="ek_unknown"), seed), _whole(package)[1]


def _strangers_key(bench: Bench) -> Package:
    package, signer = bench.prepare(), bench.stranger.signer
    manifest = replace(package.manifest, signer_key_id=signer.key_id)
    return sign_manifest(manifest, signer.seed), _whole(package)[1]


def _forged(bench: Bench) -> Package:
    package = bench.prepare()
    return sign_manifest(package.manifest, generate_signing_key()), _whole(package)[1]


def _other_dataset(bench: Bench) -> Package:
    with bench.room.db.transaction() as tx:
        other = bench.room.datasets.register(
            tx,
            workspace_id=bench.owner.workspace_id,
            kind=DatasetKind.DATASET,
            name="other",
            schema=schema_from_yaml(OTHER_SCHEMA),
        )
    package = bench.prepare()
    return bench.sign(package, dataset_id=other.id), _whole(package)[1]


def _dataset_of_nobody(bench: Bench) -> Package:
    package = bench.prepare()
    return bench.sign(package, dataset_id="ds_00"), _whole(package)[1]


def _other_workspace(bench: Bench) -> Package:
    package = bench.prepare()
    return bench.sign(package, workspace_id=bench.stranger.workspace_id), _whole(package)[1]


def _strangers_dataset(bench: Bench) -> Package:
    """Signed with a key that is enrolled, but for another organisation than the dataset's."""
    package, other = bench.prepare(), bench.stranger
    manifest = bench.sign(package, dataset_id=other.dataset_id, workspace_id=other.workspace_id)
    return manifest, _whole(package)[1]


def _expired(bench: Bench) -> Package:
    package = bench.prepare(valid_for=timedelta(hours=1))
    bench.clock.instant += timedelta(hours=2)
    return _whole(package)


def _stale(bench: Bench) -> Package:
    return _whole(bench.prepare(expected_version_id="dv_of_yesterday"))


def _delta_of_nothing(bench: Bench) -> Package:
    package = bench.prepare()
    return bench.sign(package, mode="delta"), _whole(package)[1]


def _not_json(_bench: Bench) -> Package:
    return b"secret.person1@example.org", b""


def _bad_codes(columns: dict[str, np.ndarray]) -> None:
    columns["row"][:] = [4, 3, 2, 1]


BAD: dict[str, tuple[Callable[[Bench], Package], str]] = {
    "truncated": (_truncated, "crypto.package_truncated"),
    "truncated before it was signed": (_truncated_and_signed_so, "crypto.package_damaged"),
    "damaged": (_damaged, "crypto.package_damaged"),
    "encrypted to a stranger, secretly": (_wrong_recipient, "crypto.wrong_recipient"),
    "encrypted to a stranger, openly": (_wrong_recipient_said, "ingestion.manifest_mismatch"),
    "encrypted to nobody": (_recipient_of_nobody, "crypto.wrong_recipient"),
    "unknown signer": (_unknown_signer, "crypto.unknown_signer"),
    "a stranger's signer": (_strangers_key, "crypto.unknown_signer"),
    "forged signature": (_forged, "crypto.signature"),
    "another dataset's manifest": (_other_dataset, "ingestion.manifest_mismatch"),
    "an unknown dataset's manifest": (_dataset_of_nobody, "datasets.not_found"),
    "another workspace": (_other_workspace, "ingestion.manifest_mismatch"),
    "a stranger's dataset": (_strangers_dataset, "crypto.unknown_signer"),
    "expired": (_expired, "ingestion.manifest_mismatch"),
    "stale expected version": (_stale, "ingestion.manifest_mismatch"),
    "a delta of nothing": (_delta_of_nothing, "ingestion.manifest_mismatch"),
    "no manifest at all": (_not_json, "crypto.manifest_format"),
    "fewer rows than said": (lambda bench: bench.craft(counted=5), "ingestion.payload"),
    "more rows than said": (lambda bench: bench.craft(counted=3), "ingestion.payload"),
    "no rows said": (lambda bench: bench.craft(counted=0), "ingestion.payload"),
    "rejects that do not add up": (
        lambda bench: bench.craft(trailer=BatchTrailer(9, 4, {"no_valid_key": 1}, {}, {}, [])),
        "ingestion.payload",
    ),
    "another schema inside": (lambda bench: bench.craft(schema_sha256="0" * 64), "ingestion.payload"),
    "another mode inside": (lambda bench: bench.craft(mode="delta"), "ingestion.payload"),
    "a column too few": (
        lambda bench: bench.craft(columns=layout(schema_from_yaml(SCHEMA))[:-1]),
        "ingestion.payload",
    ),
    "rows out of order": (lambda bench: bench.craft(_bad_codes), "ingestion.payload"),
}


def _files(room: Room) -> list[Path]:
    return [path for path in room.store.root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_package_is_refused_and_a_right_one_loads_afterwards(
    bench: Bench, name: str, tmp_path: Path
) -> None:
    room, (make, code) = bench.room, BAD[name]
    manifest, payload = make(bench)
    path = tmp_path / "upload.age"
    path.write_bytes(payload)

    with pytest.raises(KNOWN_ERRORS) as caught:
        room.ingestion.ingest(manifest, path)

    error = caught.value
    assert getattr(error, "code", "") == code
    assert getattr(error, "remedy", "") != ""
    said = f"{error}".casefold()
    assert not any(email in said for email in EMAILS)
    assert "who-" not in said
    assert str(tmp_path).casefold() not in said
    assert _files(room) == []
    with room.db.reading() as tx:
        assert tx.session.scalars(select(PackageRow)).all() == []
        assert {row.status for row in tx.session.scalars(select(DatasetVersionRow))} <= {VersionStatus.FAILED}
    assert list((room.settings.home / "leases").glob("*")) == []

    right = bench.prepare()
    version_id = room.ingestion.ingest(right.manifest_path.read_bytes(), right.package_path)
    with room.db.transaction() as tx:
        room.ingestion.publish(tx, version_id)
        assert room.datasets.current(tx, bench.owner.dataset_id).persons == len(EMAILS)


def test_the_same_package_is_taken_once(bench: Bench) -> None:
    room, package = bench.room, bench.prepare()
    version_id = room.ingestion.ingest(package.manifest_path.read_bytes(), package.package_path)
    before = _files(room)
    with pytest.raises(KNOWN_ERRORS) as caught:
        room.ingestion.ingest(package.manifest_path.read_bytes(), package.package_path)
    assert getattr(caught.value, "code", "") == "ingestion.package_used"
    assert getattr(caught.value, "remedy", "") == "Prepare a new one to load the file again."
    assert _files(room) == before
    with room.db.transaction() as tx:
        room.ingestion.publish(tx, version_id)


def test_a_version_that_moved_on_refuses_what_was_prepared_for_the_one_before(bench: Bench) -> None:
    room = bench.room

    def load(package: Prepared) -> str:
        version_id = room.ingestion.ingest(package.manifest_path.read_bytes(), package.package_path)
        with room.db.transaction() as tx:
            room.ingestion.publish(tx, version_id)
        return version_id

    first = load(bench.prepare())
    stale = bench.prepare(expected_version_id=first)
    second = load(bench.prepare(expected_version_id=first))
    with pytest.raises(KNOWN_ERRORS) as caught:
        load(stale)
    assert getattr(caught.value, "code", "") == "ingestion.manifest_mismatch"
    assert getattr(caught.value, "remedy", "") != ""
    with room.db.reading() as tx:
        assert room.datasets.current(tx, bench.owner.dataset_id).id == second


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("attr:city", 3, "bad_value:city"),
        ("consent:advertising", 9, "bad_consent:advertising"),
        ("person", 0, "missing_person_id"),
        ("key:email/room", 0, "no_valid_key"),
    ],
)
def test_codes_that_the_schema_does_not_know_leave_their_row_out(
    bench: Bench, column: str, value: int, reason: str, tmp_path: Path
) -> None:
    def spoil(columns: dict[str, np.ndarray]) -> None:
        columns[column][2] = value

    manifest, payload = bench.craft(spoil)
    path = tmp_path / "upload.age"
    path.write_bytes(payload)
    version_id = bench.room.ingestion.ingest(manifest, path)
    with bench.room.db.reading() as tx:
        report = bench.room.datasets.report(tx, version_id)
    assert (report.rejected, report.rejected_rows) == ({reason: 1}, ((3, reason),))
    assert report.persons == 3
