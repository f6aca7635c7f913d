"""A room's key pair, a small schema, and a way to look into a package as the room would."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleanroom.client import Prepared, Recipient, Signer, prepare
from cleanroom.schema.batch import BatchReader, BatchTrailer
from cleanroom.schema.codec import schema_from_yaml
from crypto.package import generate_identity, open_payload

SCHEMA = """
person_id: {column: id}
match_keys:
  email: {column: email}
  phone: {columns: [phone, phone2], default_region: RU}
attributes:
  age: {type: integer, bands: [18, 25]}
  city: {type: category, values: [Москва, Казань]}
consent:
  advertising: {column: ads, granted: ["yes"], withdrawn: [stop]}
"""
HEADER = "id,email,phone,phone2,age,city,ads"


@dataclass
class Opened:
    columns: dict[str, np.ndarray[Any, Any]]
    trailer: BatchTrailer


@dataclass
class Desk:
    """Prepares files in a folder and opens the packages again."""

    folder: Path
    identity: str
    recipient: Recipient
    signer: Signer

    def write(self, content: str | bytes, name: str = "people.csv") -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def prepare(self, source: Path, schema: str = SCHEMA, **options: Any) -> Prepared:
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        return prepare(
            source,
            schema=schema_from_yaml(schema),
            recipient=options.pop("recipient", self.recipient),
            signer=self.signer,
            out_dir=out,
            **options,
        )

    def open(self, prepared: Prepared) -> Opened:
        with open_payload(prepared.package_path, self.identity) as stream:
            reader = BatchReader(stream)
            batches = list(reader)
        assert reader.trailer is not None
        names = [spec.name for spec in reader.header.columns]
        return Opened({n: np.concatenate([b.columns[n] for b in batches]) for n in names}, reader.trailer)

    def run(self, content: str | bytes, schema: str = SCHEMA, **options: Any) -> Opened:
        return self.open(self.prepare(self.write(content), schema, **options))

    def leftovers(self) -> list[str]:
        out = self.folder / "out"
        return sorted(path.name for path in out.iterdir()) if out.exists() else []


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    identity, recipient = generate_identity()
    return Desk(tmp_path, identity, Recipient("ws_1", "ds_1", recipient), Signer("ek_1", bytes(range(32))))
