"""Packages for tests of uploads: real ones, and signed manifests over any bytes."""

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from cleanroom.client import Recipient, prepare
from cleanroom.clock import rfc3339
from cleanroom.ids import new_id
from cleanroom.uploads.types import Upload
from crypto.package import Manifest, recipient_key_id, sign_manifest
from tests.rooms import BASE_HEADER, DATASET_HEADER, Party, Stage


@dataclass(frozen=True)
class Package:
    """A signed manifest and its payload."""

    manifest: bytes
    payload: bytes


def signed(stage: Stage, payload: bytes, *, party: Party | None = None, **changed: Any) -> Package:
    """Sign a manifest over bytes that no ingestion would take; for what happens on the way there."""
    owner = party or stage.advertiser
    now = stage.clock.now()
    with stage.room.db.reading() as tx:
        schema_sha256 = stage.room.datasets.dataset(tx, stage.base_id).schema_sha256
    manifest = Manifest(
        package_id=new_id("pkg", now),
        workspace_id=owner.workspace_id,
        dataset_id=stage.base_id,
        mode="full",
        expected_version_id=None,
        schema_sha256=schema_sha256,
        recipient_key_id=recipient_key_id(owner.recipient),
        rows=1,
        ciphertext_sha256=hashlib.sha256(payload).hexdigest(),
        ciphertext_bytes=len(payload),
        signer_key_id=owner.signer.key_id,
        created_at=rfc3339(now),
        expires_at=rfc3339(now + timedelta(days=30)),
    )
    return Package(sign_manifest(replace(manifest, **changed), owner.signer.seed), payload)


def real(stage: Stage, rows: list[str], desk: Path, *, dataset: bool = False) -> Package:
    """Prepare the advertiser's base, or the provider's dataset, as its owner would."""
    desk.mkdir(exist_ok=True)
    source = desk / "file.csv"
    header = DATASET_HEADER if dataset else BASE_HEADER
    source.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    own = stage.provider if dataset else stage.advertiser
    table_id = stage.dataset_id if dataset else stage.base_id
    with stage.room.db.reading() as tx:
        schema = stage.room.datasets.dataset(tx, table_id).schema
    made = prepare(
        source,
        schema=schema,
        recipient=Recipient(own.workspace_id, table_id, own.recipient),
        signer=own.signer,
        out_dir=desk,
        clock=stage.clock,
    )
    return Package(made.manifest_path.read_bytes(), made.package_path.read_bytes())


def announce(stage: Stage, package: Package, **changed: Any) -> Upload:
    """Create an upload of the advertiser."""
    asked: dict[str, Any] = {
        "organisation_id": stage.advertiser.organisation_id,
        "manifest": package.manifest,
        "length": len(package.payload),
    }
    with stage.room.db.transaction() as tx:
        return stage.room.uploads.create(tx, **asked | changed)


def send(stage: Stage, upload_id: str, data: bytes, at: int, **options: Any) -> Upload:
    """Append bytes as one request would."""
    asked: dict[str, Any] = {"organisation_id": stage.advertiser.organisation_id, "offset": at}
    with stage.room.uploads.append(upload_id, **asked | options) as appending:
        appending.write(data)
        return appending.finish()


def look(stage: Stage, upload_id: str) -> Upload:
    """Return an upload as its owner sees it."""
    with stage.room.db.reading() as tx:
        return stage.room.uploads.upload(tx, upload_id, organisation_id=stage.advertiser.organisation_id)


def on_disk(stage: Stage, upload_id: str) -> bytes | None:
    """Return what lies in an upload's file."""
    path = stage.room.settings.uploads_path / f"{upload_id}.part"
    return path.read_bytes() if path.exists() else None
