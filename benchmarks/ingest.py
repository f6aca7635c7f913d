"""Taking a prepared package in against a bare read of the CSV it was made of; `python -m benchmarks.ingest`.

Taking in ends when the version is sealed on disk and published. The package is made of the CSV by the client; the time
that takes is shown, not compared.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.harness import (
    OURS,
    RUNS,
    CountsDifferError,
    Side,
    arguments,
    compared,
    in_own_process,
    in_turns,
    kept_room,
    new_room,
    peak_of,
    show,
    timed,
)
from benchmarks.synthetic import CITIES, digests, fits, mixed
from cleanroom.accounts.types import OrganisationKind
from cleanroom.client import Prepared, Recipient, prepare
from cleanroom.datasets.types import DatasetKind
from cleanroom.demo.parties import Party, sign_up
from cleanroom.ids import new_id
from cleanroom.room import Room
from cleanroom.schema.codec import schema_from_yaml
from crypto.package import sign_manifest

CHUNK = 1 << 20
BYTES_PER_ROW = 1_200
DEVICES = ("phone", "tablet", "desktop", "tv")
REGIONS = tuple(f"region{number}" for number in range(40))
_PERSON_ID = "person_id: {column: id}\n"
_REST = f"""\
match_keys:
  email: {{column: email, form: hashed}}
attributes:
  sex: {{type: category, values: [F, M]}}
  age: {{type: integer, bands: [18, 25, 35, 45, 60]}}
  city: {{type: category, values: [{", ".join(CITIES)}]}}
  region: {{type: category, values: [{", ".join(REGIONS)}]}}
  device: {{type: category, values: [{", ".join(DEVICES)}]}}
  visits: {{type: integer, bands: [1, 5, 20]}}
  spend: {{type: decimal, scale: 2, bands: [10, 100, 1000]}}
  since: {{type: date, bands: ["2020-01-01", "2023-01-01"]}}
consent:
  advertising: {{column: ads, granted: ["yes"]}}
"""
SCHEMA, ROWS_ARE_PEOPLE = schema_from_yaml(_PERSON_ID + _REST), schema_from_yaml(_REST)
LEFT_OUT = {
    OURS: ("preparing the package at its owner's",),
    "polars": ("everything but parsing the file into memory; it uses all cores",),
}


def write_csv(path: Path, rows: int) -> None:
    """Write people with 11 columns, about 120 bytes each."""
    with path.open("wb") as file:
        for start in range(0, rows, CHUNK):
            n = np.arange(start, min(start + CHUNK, rows), dtype=np.uint64)
            chance = mixed(n, 99)
            email = pl.Series("email", [bytes(row) for row in digests(n, 1)], dtype=pl.Binary)

            def pick(values: tuple[str, ...], salt: int, n: Any = n) -> pl.Series:
                return pl.Series(values).gather(mixed(n, salt) % np.uint64(len(values)))

            pl.DataFrame(
                {
                    "id": pl.Series("id", n + np.uint64(10_000_000)),
                    "email": email.bin.encode("hex"),
                    "sex": pick(("F", "M"), 96),
                    "age": mixed(n, 98) % np.uint64(70) + np.uint64(14),
                    "city": pick(CITIES, 97),
                    "region": pick(REGIONS, 95),
                    "device": pick(DEVICES, 94),
                    "visits": mixed(n, 93) % np.uint64(50),
                    "spend": (mixed(n, 92) % np.uint64(200_000)).astype(np.float64) / 100,
                    "since": pl.Series((mixed(n, 91) % np.uint64(3_000)).astype(np.int32) + 17_000).cast(
                        pl.Date
                    ),
                    "ads": pl.Series(["yes", "no"]).gather(
                        (chance >> np.uint64(32) >= np.uint64(3 << 30)).astype(int)
                    ),
                }
            ).write_csv(file, include_header=start == 0, float_precision=2)


class Packages:
    """One payload handed in again and again, under a new signed manifest each time."""

    def __init__(self, room: Room, party: Party, made: Prepared) -> None:
        """Keep what is needed to sign."""
        self._room, self._party, self._made = room, party, made

    def manifest(self) -> bytes:
        """Return the manifest of a package that was never taken in."""
        fresh = replace(self._made.manifest, package_id=new_id("pk", self._room.clock.now()))
        return sign_manifest(fresh, self._party.signer.seed)

    def take_in(self) -> str:
        """Take the package in and publish it; return the version's id."""
        return take_in(self._room, self.manifest(), self._made.package_path)


def take_in(room: Room, manifest: bytes, payload: Path) -> str:
    """Take a package in and publish it."""
    version_id = room.ingestion.ingest(manifest, payload)
    with room.db.transaction() as tx:
        room.ingestion.publish(tx, version_id)
    return version_id


def measure(rows: int, *, runs: int = RUNS, person_id: bool = True) -> dict[str, Any]:
    """Time both in turns."""
    schema = SCHEMA if person_id else ROWS_ARE_PEOPLE
    with tempfile.TemporaryDirectory() as place, new_room(Path(place)) as room:
        folder = Path(place)
        fits(folder, rows * BYTES_PER_ROW)
        source = folder / "people.csv"
        write_csv(source, rows)
        provider = sign_up(room, OrganisationKind.PROVIDER, "provider")
        with room.db.transaction() as tx:
            dataset = room.datasets.register(
                tx, workspace_id=provider.workspace_id, kind=DatasetKind.DATASET, name="people", schema=schema
            )
        recipient = Recipient(provider.workspace_id, dataset.id, provider.recipient)
        kept: list[Prepared] = []
        preparing = timed(
            lambda: kept.append(
                prepare(source, schema=schema, recipient=recipient, signer=provider.signer, out_dir=folder)
            )
        )
        made = kept[0]
        packages = Packages(room, provider, made)
        sides = [
            Side(OURS, lambda _run: packages.take_in(), LEFT_OUT[OURS]),
            Side("polars", lambda _run: pl.read_csv(source).height, LEFT_OUT["polars"]),
        ]

        def check(_run: int, found: Mapping[str, Any]) -> None:
            with room.db.reading() as tx:
                version = room.datasets.version(tx, found[OURS])
            if not version.persons == found["polars"] == rows:
                raise CountsDifferError("The version and the file have different numbers of people.")

        # Nothing is kept from run to run, so there is nothing to warm up but the page cache.
        pl.read_csv(source, n_rows=1_000)
        seconds = in_turns(sides, runs=runs, warm_up=0, check=check)
        manifest = folder / "manifest.json"
        manifest.write_bytes(packages.manifest())
        peaks = {
            OURS: in_own_process(
                peak_ingest, home=str(folder / "home"), manifest=str(manifest), payload=str(made.package_path)
            ),
            "polars": in_own_process(peak_read, source=str(source)),
        }
        found = compared(
            "ingest",
            sides,
            seconds,
            peak_mb={side: peak["peak_mb"] for side, peak in peaks.items()},
            rows=rows,
            person_id=person_id,
            file_mb=source.stat().st_size / 2**20,
            prepare_s=preparing,
            memory_setting_mb=room.settings.memory_bytes / 2**20,
        )
    return {**found, "rows_per_s": rows / found["ours_s"]}


def peak_ingest(home: str, manifest: str, payload: str) -> dict[str, float]:
    """Take a package in in this fresh process."""
    with kept_room(home) as room:
        signed = Path(manifest).read_bytes()
        return peak_of(lambda: take_in(room, signed, Path(payload)))


def peak_read(source: str) -> dict[str, float]:
    """Read the file in this fresh process."""
    return peak_of(lambda: pl.read_csv(source))


def main() -> None:
    """Measure and print."""
    parser = arguments("ingest", __doc__, rows=(10_000_000, "people"), runs=(RUNS, "how many runs are kept"))
    parser.add_argument("--no-person-id", action="store_true", help="every row is a person of its own")
    options = parser.parse_args()
    found = measure(options.rows, runs=options.runs, person_id=not options.no_person_id)
    show(found, as_json=options.json)
    if not options.json:
        print(
            f"rows/s       {found['rows_per_s']:,.0f}; prepared in {found['prepare_s']:.1f} s, "
            f"file {found['file_mb']:,.0f} MB"
        )


if __name__ == "__main__":
    main()
