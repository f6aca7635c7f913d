"""Packages that are not what they claim to be are refused, each with its own reason."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from cleanroom.ingestion.errors import ManifestMismatchError, PayloadError, SkewError
from cleanroom.schema.batch import BatchHeader, BatchTrailer, BatchWriter
from cleanroom.schema.layout import layout, reasons
from crypto.errors import CryptoError
from crypto.package import (
    PackageWriter,
    TruncatedPackageError,
    UnknownSignerError,
    WrongRecipientError,
    generate_identity,
    recipient_key_id,
    sign_manifest,
)

SCHEMA = """\
person_id: {column: id}
match_keys: {email: {column: email}}
attributes:
  city: {type: category, kind: descriptive, values: [Moscow]}
  age: {type: integer, kind: descriptive}
  vip: {type: boolean, kind: descriptive}
  likes: {type: set, kind: behavioural, values: [tea, cats, tv], max_values: 2}
consent: {ads: {column: ads, granted: ["yes"]}}
"""
TEXT = "id,email,city,age,vip,likes,ads\n1,a@example.org,Moscow,5,true,tea,yes\n"


def signed(room, package, **changes):
    manifest = replace(package.manifest, **changes)
    return sign_manifest(manifest, room.party("provider").signer.seed)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workspace_id": "ws_00"}, "another workspace"),
        ({"recipient_key_id": "0" * 32}, "another workspace's key"),
        ({"schema_sha256": "0" * 64}, "another schema"),
        ({"expected_version_id": "dv_00"}, "another version"),
        ({"mode": "delta"}, "names the version"),
        ({"expires_at": "2026-01-01T00:00:00Z"}, "expired"),
    ],
)
def test_a_manifest_of_something_else_is_refused(room, changes, message):
    package = room.prepare(room.register(SCHEMA), TEXT)
    with pytest.raises(ManifestMismatchError, match=message):
        room.ingestion.ingest(signed(room, package, **changes), package.package_path)
    assert room.objects() == []


def test_another_datasets_manifest_is_refused(room):
    package = room.prepare(room.register(SCHEMA), TEXT)
    other = room.register("match_keys: {email: {column: email}}")
    with pytest.raises(ManifestMismatchError, match="another schema"):
        room.ingestion.ingest(signed(room, package, dataset_id=other), package.package_path)


def test_an_expired_package_is_refused(room):
    package = room.prepare(room.register(SCHEMA), TEXT)
    room.clock.instant += timedelta(days=8)
    with pytest.raises(ManifestMismatchError, match="expired"):
        room.ingest(package)


def test_a_foreign_signer_is_refused(room):
    package = room.prepare(room.register(SCHEMA), TEXT)
    stranger = room.party("stranger").signer
    manifest = sign_manifest(replace(package.manifest, signer_key_id=stranger.key_id), stranger.seed)
    with pytest.raises(UnknownSignerError):
        room.ingestion.ingest(manifest, package.package_path)


def test_a_truncated_or_foreign_payload_is_refused(room):
    package = room.prepare(room.register(SCHEMA), TEXT)
    whole = package.package_path.read_bytes()
    package.package_path.write_bytes(whole[:-1])
    with pytest.raises(TruncatedPackageError):
        room.ingest(package)
    package.package_path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CryptoError):
        room.ingest(package)
    package.package_path.write_bytes(whole)
    room.ingest(package)


def columns_of(schema, rows: int = 4) -> dict[str, np.ndarray]:
    made = {spec.name: np.zeros(spec.shape(rows), spec.dtype) for spec in layout(schema)}
    made["row"] = np.arange(1, rows + 1, dtype="<u8")
    made["person"][:, 0] = made["row"]
    made["key:email/room"][:, :, 0] = made["row"][:, None]
    made["attr:city"][:] = 1
    return made


def craft(room, dataset, change, **options):
    """Make a package of raw columns, as a prepared file that lies would be."""
    own = room.party("provider")
    with room.db.reading() as tx:
        schema = room.datasets.dataset(tx, dataset).schema
    package = room.prepare(dataset, TEXT)
    columns = columns_of(schema, options.get("rows", 4))
    change(columns)
    header = BatchHeader(
        options.get("schema_sha256", schema.sha256()),
        options.get("mode", "full"),
        options.get("columns", layout(schema)),
        reasons(schema),
    )
    rows = len(columns["row"])
    with PackageWriter(package.package_path, options.get("recipient", own.recipient)) as sink:
        writer = BatchWriter(sink, header)
        writer.write({spec.name: columns[spec.name] for spec in header.columns})
        read = options.get("rows_read", rows)
        writer.finish(BatchTrailer(read, rows, {}, {}, {}, []))
    manifest = replace(
        package.manifest,
        rows=options.get("manifest_rows", rows),
        ciphertext_sha256=sink.result.sha256,
        ciphertext_bytes=sink.result.size,
    )
    return sign_manifest(manifest, own.signer.seed), package.package_path


def nothing(_columns) -> None:
    pass


def test_a_payload_that_lies_about_its_shape_is_refused(room):
    dataset = room.register(SCHEMA)
    with room.db.reading() as tx:
        specs = layout(room.datasets.dataset(tx, dataset).schema)
    cases = [
        ({"schema_sha256": "0" * 64}, "another schema or mode"),
        ({"mode": "delta"}, "another schema or mode"),
        ({"columns": specs[:-1]}, "columns are not those"),
        ({"manifest_rows": 3}, "another number of rows"),
        ({"manifest_rows": 5}, "another number of rows"),
        ({"rows_read": 9}, "do not add up"),
    ]
    for options, message in cases:
        with pytest.raises(PayloadError, match=message):
            room.ingestion.ingest(*craft(room, dataset, nothing, **options))
    for numbers in ([1, 2, 2, 3], [0, 1, 2, 3], [4, 3, 2, 1]):
        with pytest.raises(PayloadError, match="ascend"):
            room.ingestion.ingest(
                *craft(room, dataset, lambda c, n=numbers: c.update(row=np.array(n, "<u8")))
            )
    _, foreign = generate_identity()
    with pytest.raises(WrongRecipientError):
        room.ingestion.ingest(*craft(room, dataset, nothing, recipient=foreign))
    assert recipient_key_id(foreign) != recipient_key_id(room.party("provider").recipient)
    assert room.objects() == []


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("attr:city", 3, "bad_value:city"),
        ("attr:vip", 3, "bad_value:vip"),
        ("attr:age", 2**62 + 1, "bad_value:age"),
        ("attr:likes", [1 << 4], "bad_value:likes"),
        ("attr:likes", [0b111], "too_many_values:likes"),
        ("consent:ads", 5, "bad_consent:ads"),
        ("person", [0] * 32, "missing_person_id"),
        ("key:email/room", [[0] * 32], "no_valid_key"),
    ],
)
def test_a_bad_row_is_quarantined_by_reason_and_number(room, column, value, reason):
    def spoil(columns) -> None:
        columns[column][2] = value

    version = room.ingestion.ingest(*craft(room, room.register(SCHEMA), spoil))
    report = room.report(version)
    assert report.rejected == {reason: 1}
    assert report.rejected_rows == ((3, reason),)
    assert (room.version(version).rows, room.version(version).rejected, report.persons) == (3, 1, 3)


def test_more_rows_of_one_value_than_memory_holds_are_refused_with_the_remedy(room, monkeypatch):
    monkeypatch.setattr(room.ingestion, "_memory_bytes", 4_000)
    dataset = room.register(SCHEMA)

    def one_person(columns) -> None:
        columns["person"][:] = 1

    with pytest.raises(SkewError, match="CLEANROOM_MEMORY_BYTES"):
        room.ingestion.ingest(*craft(room, dataset, one_person, rows=500))
    assert room.objects() == []
