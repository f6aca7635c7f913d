"""Both parties of the demo: they sign up, prepare their files on their own machines, and hand them in."""

import time
from dataclasses import dataclass
from pathlib import Path

from cleanroom import client
from cleanroom.accounts.types import OrganisationKind
from cleanroom.datasets.types import DatasetKind, VersionStatus
from cleanroom.demo.results import Loaded, Prepared
from cleanroom.room import Room
from cleanroom.schema.model import Schema
from crypto.keys import generate_signing_key, public_key


@dataclass(frozen=True)
class Party:
    """One side of the room.

    Attributes:
        role: provider or advertiser.
        organisation_id: the legal party.
        workspace_id: its workspace.
        population_id: the people whose budget its datasets draw on.
        recipient: the public key that files for this workspace are encrypted to.
        signer: the key that signs its packages; it stays on the party's machine.
    """

    role: OrganisationKind
    organisation_id: str
    workspace_id: str
    population_id: str
    recipient: str
    signer: client.Signer


@dataclass(frozen=True)
class Package:
    """A prepared file on its owner's machine, ready to hand in.

    Attributes:
        party: whose it is.
        dataset_id: which table it loads.
        files: payload and signed manifest.
        summary: what preparing found.
    """

    party: Party
    dataset_id: str
    files: client.Prepared
    summary: Prepared


def sign_up(room: Room, role: OrganisationKind, name: str) -> Party:
    """Register a party with a workspace of its own and a signing key."""
    seed = generate_signing_key()
    with room.db.transaction() as tx:
        organisation = room.accounts.create_organisation(tx, name=name, kind=role)
        workspace = room.workspaces.create_workspace(tx, organisation_id=organisation.id, name=name)
        key_id = room.accounts.enrol_key(tx, organisation.id, public_key(seed))
    return Party(
        role=role,
        organisation_id=organisation.id,
        workspace_id=workspace.id,
        population_id=workspace.population_id,
        recipient=workspace.recipient,
        signer=client.Signer(key_id, seed),
    )


def prepare(
    room: Room,
    party: Party,
    source: Path,
    schema: Schema,
    *,
    name: str,
    out_dir: Path,
    progress: client.Progress | None = None,
) -> Package:
    """Describe a file to the room, then normalise, hash, encrypt and sign it without sending anything.

    Args:
        room: where the file will go.
        party: its owner.
        source: the plain file.
        schema: of the file.
        name: of the dataset or base.
        out_dir: a directory of the owner's, outside the room.
        progress: called with rows read, and their total.

    Returns:
        The package.
    """
    kind = DatasetKind.DATASET if party.role is OrganisationKind.PROVIDER else DatasetKind.BASE
    with room.db.transaction() as tx:
        dataset = room.datasets.register(
            tx, workspace_id=party.workspace_id, kind=kind, name=name, schema=schema
        )
    started = time.perf_counter()
    files = client.prepare(
        source,
        schema=schema,
        recipient=client.Recipient(party.workspace_id, dataset.id, party.recipient),
        signer=party.signer,
        out_dir=out_dir,
        progress=progress,
    )
    summary = Prepared(
        party=party.role.value,
        source=source.name,
        rows=files.rows_read,
        rejected=files.rejected,
        rejects=tuple(files.rejects),
        package_bytes=files.package_path.stat().st_size,
        seconds=time.perf_counter() - started,
    )
    return Package(party, dataset.id, files, summary)


def hand_in(room: Room, package: Package, *, progress: client.Progress | None = None) -> Loaded:
    """Take a package in, resolve what its owner has to decide, and publish the version.

    The demo's owner puts every over-shared key value on the junk list, which is the usual decision.
    """
    started = time.perf_counter()
    manifest = package.files.manifest_path.read_bytes()
    version_id = room.ingestion.ingest(manifest, package.files.package_path, progress=progress)
    with room.db.transaction() as tx:
        version = room.datasets.version(tx, version_id)
        if version.status is VersionStatus.AWAITING_JUNK:
            room.junk_lists.resolve_junk(tx, version_id)
        report = room.datasets.report(tx, version_id)
        room.ingestion.publish(tx, version_id)
    return Loaded(
        party=package.party.role.value,
        dataset_id=package.dataset_id,
        version_id=version_id,
        report=report,
        junk=version.over_shared,
        seconds=time.perf_counter() - started,
    )
