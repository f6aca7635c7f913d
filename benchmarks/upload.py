"""A package sent to a room over HTTP; `python -m benchmarks.upload --mib 5120` for one of 5 GiB.

The room is `cleanroom serve` in a process of its own, and the SDK sends from another, as it does for every caller: in
pieces, each with its checksum. What counts is the memory that both need, which is not to grow with the package. Its
bytes are made up, so no worker runs that would load it; the manifest is signed for them, and the file that arrives is
compared with it.
"""

import hashlib
import json
import os
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.harness import arguments, in_own_process, memory_mb, new_room, peak_of
from benchmarks.over_http import UnexpectedAnswerError, served
from benchmarks.synthetic import BASE, fits
from cleanroom.accounts.types import OrganisationKind
from cleanroom.client.remote.connection import Connection
from cleanroom.client.remote.credentials import ClientSecret
from cleanroom.client.remote.drivers import SyncDriver
from cleanroom.client.remote.store import Store
from cleanroom.client.remote.tus import send_parcel
from cleanroom.clock import rfc3339
from cleanroom.datasets.types import DatasetKind
from cleanroom.demo.parties import sign_up
from cleanroom.ids import new_id
from crypto.package import Manifest, recipient_key_id, sign_manifest

_BLOCK = 1 << 20


def measure(size: int, *, directory: Path) -> dict[str, Any]:
    """Send a package of a size.

    Args:
        size: bytes.
        directory: has room for twice as much.

    Returns:
        Seconds, and the most that each side's process held, in MB.
    """
    fits(directory, 2 * size + (512 << 20))
    with tempfile.TemporaryDirectory(dir=directory) as place:
        folder = Path(place)
        payload, digest = _made_up(folder / "payload.age", size)
        with new_room(folder) as room:
            party = sign_up(room, OrganisationKind.ADVERTISER, "sender")
            with room.db.transaction() as tx:
                base = room.datasets.register(
                    tx, workspace_id=party.workspace_id, kind=DatasetKind.BASE, name="numbers", schema=BASE
                )
                client = room.access.clients.register(
                    tx, organisation_id=party.organisation_id, name="sender", role="owner"
                )
            now = room.clock.now()
            manifest = Manifest(
                package_id=new_id("pk", now),
                workspace_id=party.workspace_id,
                dataset_id=base.id,
                mode="full",
                expected_version_id=None,
                schema_sha256=base.schema_sha256,
                recipient_key_id=recipient_key_id(party.recipient),
                rows=1,
                ciphertext_sha256=digest,
                ciphertext_bytes=size,
                signer_key_id=party.signer.key_id,
                created_at=rfc3339(now),
                expires_at=rfc3339(now + timedelta(days=1)),
            )
            signed = folder / "manifest.json"
            signed.write_bytes(sign_manifest(manifest, party.signer.seed))
            home = room.settings.home
        with served(home, "--no-with-worker") as (address, pid):
            before = memory_mb("VmHWM", pid=pid)
            sent = in_own_process(
                send,
                address=address,
                client_id=client.client.id,
                secret=client.secret,
                folder=str(folder),
                table_id=base.id,
                payload=str(payload),
                manifest=str(signed),
            )
            server = memory_mb("VmHWM", pid=pid)
        [arrived] = [
            path for path in (home / "uploads").rglob("*") if path.is_file() and path.stat().st_size == size
        ]
        if _sha256(arrived) != digest:
            raise UnexpectedAnswerError("What arrived is not what was sent.")
    return {
        "bytes": size,
        "seconds": sent["seconds"],
        "client_before_mb": sent["before_mb"],
        "client_peak_mb": sent["peak_mb"],
        "server_before_mb": before,
        "server_peak_mb": server,
    }


def send(
    address: str, client_id: str, secret: str, folder: str, table_id: str, payload: str, manifest: str
) -> dict[str, float]:
    """Send a prepared package with the SDK, in this fresh process."""
    store = Store(Path(folder) / "state", url=address, party=client_id)
    with store.packing():
        parcel = store.keep_parcel(
            "0" * 64, table_id=table_id, manifest=Path(manifest), payload=Path(payload)
        )
    connection = Connection(address, ClientSecret(client_id, secret))
    with SyncDriver(address) as driver:
        driver.run(connection.get("/v1/me"))
        return peak_of(
            lambda: driver.run(
                send_parcel(connection, store, parcel, publish=False, sent=lambda _done, _of: None)
            )
        )


def _made_up(path: Path, size: int) -> tuple[Path, str]:
    digest, left = hashlib.sha256(), size
    with path.open("wb") as file:
        while left:
            block = os.urandom(min(left, _BLOCK))
            file.write(block)
            digest.update(block)
            left -= len(block)
    return path, digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    """Measure and print."""
    parser = arguments("upload", __doc__, mib=(1024, "size of the package in MiB"))
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()), help="where it lies")
    options = parser.parse_args()
    started = time.perf_counter()
    found = measure(options.mib << 20, directory=options.directory)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(
        f"{options.mib} MiB in {found['seconds']:.1f} s ({time.perf_counter() - started:.0f} s in all); "
        f"server {found['server_before_mb']:.0f} MB before, {found['server_peak_mb']:.0f} MB at most; "
        f"client {found['client_before_mb']:.0f} MB before, {found['client_peak_mb']:.0f} MB at most"
    )


if __name__ == "__main__":
    main()
