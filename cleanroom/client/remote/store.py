"""What a client keeps on its machine for one party at one room: its signing key, packages on their way, known bases."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cleanroom.client.remote.profiles import private_folder
from crypto.durable import write_private

_SHOWN = 24


@dataclass(frozen=True)
class Parcel:
    """A prepared package that is not in the room yet; nothing of it can be read without the room's key.

    Attributes:
        folder: where manifest and payload lie.
        table_id: what it loads.
        location: of the upload in the room; empty before it is announced.
    """

    folder: Path
    table_id: str
    location: str

    @property
    def manifest(self) -> bytes:
        """The signed manifest file."""
        return (self.folder / "manifest.json").read_bytes()

    @property
    def payload(self) -> Path:
        """The encrypted payload."""
        return self.folder / "payload.age"


class Store:
    """A folder that only its owner enters."""

    def __init__(self, root: Path, *, url: str, party: str) -> None:
        """Name the folder; it is made when something is kept.

        Args:
            root: of all folders.
            url: the room's address.
            party: the client's id, and the advertiser that it acts for if any.
        """
        self._root = root
        self._folder = root / hashlib.sha256(f"{url}\n{party}".encode()).hexdigest()[:_SHOWN]

    def read_key(self) -> tuple[str, bytes] | None:
        """Return the signing key's id and seed; None when there is none."""
        plain = _read(self._folder / "signing-key.json")
        return None if plain is None else (plain["key_id"], bytes.fromhex(plain["seed"]))

    def keep_key(self, key_id: str, seed: bytes) -> None:
        """Keep the signing key."""
        self._write("signing-key.json", {"key_id": key_id, "seed": seed.hex()})

    def digest_secret(self) -> bytes:
        """Return what contents are recognised by: without it, their digests tell nothing."""
        plain = _read(self._folder / "digests.json")
        if plain is None:
            plain = {"secret": os.urandom(32).hex()}
            self._write("digests.json", plain)
        return bytes.fromhex(plain["secret"])

    def known(self, digest: str) -> str | None:
        """Return the base that a content became; None when it is not known."""
        found = (_read(self._folder / "known.json") or {}).get(digest)
        return None if found is None else str(found)

    def remember(self, digest: str, table_id: str) -> None:
        """Remember which base a content became."""
        self._write("known.json", {**(_read(self._folder / "known.json") or {}), digest: table_id})

    def parcel(self, digest: str) -> Parcel | None:
        """Return the package of a content that is not in the room yet."""
        folder = self._parcels() / digest
        plain = _read(folder / "parcel.json")
        return None if plain is None else Parcel(folder, plain["table_id"], plain["location"])

    @contextmanager
    def packing(self) -> Iterator[Path]:
        """Give a private folder to prepare in; what is left in it goes."""
        private_folder(self._root)
        private_folder(self._folder)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix="packing-") as folder:
            yield Path(folder)

    def keep_parcel(self, digest: str, *, table_id: str, manifest: Path, payload: Path) -> Parcel:
        """Keep a prepared package until it is in the room."""
        folder = self._parcels() / digest
        shutil.rmtree(folder, ignore_errors=True)
        private_folder(self._parcels())
        private_folder(folder)
        payload.replace(folder / "payload.age")
        manifest.replace(folder / "manifest.json")
        return self.mark_parcel(Parcel(folder, table_id, ""), location="")

    def mark_parcel(self, parcel: Parcel, *, location: str) -> Parcel:
        """Write down where in the room a package goes: the last of its files, so that it is whole or not there."""
        plain = {"table_id": parcel.table_id, "location": location}
        write_private(parcel.folder / "parcel.json", json.dumps(plain).encode(), replace=True)
        return Parcel(parcel.folder, parcel.table_id, location)

    def drop_parcel(self, parcel: Parcel) -> None:
        """Remove a package that is in the room, or will never be."""
        shutil.rmtree(parcel.folder, ignore_errors=True)

    def keep_receipt(self, analysis_id: str, receipt: bytes) -> Path:
        """Keep a receipt; returns its path."""
        path = self._folder / "receipts" / f"{analysis_id}.receipt.json"
        private_folder(self._root)
        private_folder(self._folder)
        private_folder(path.parent)
        write_private(path, receipt, replace=True)
        return path

    def _parcels(self) -> Path:
        return self._folder / "uploads"

    def _write(self, name: str, plain: dict[str, Any]) -> None:
        private_folder(self._root)
        private_folder(self._folder)
        write_private(self._folder / name, json.dumps(plain).encode(), replace=True)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        plain = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return plain if isinstance(plain, dict) else None
