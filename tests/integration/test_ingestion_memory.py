"""Ingestion holds what its setting allows and a few bytes per person, however many rows come."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.synthetic import PERSON_BY_ID, sign_up, write_package
from cleanroom.accounts.types import OrganisationKind
from cleanroom.bootstrap import init_room
from cleanroom.datasets.types import DatasetKind
from cleanroom.settings import MIN_MEMORY_BYTES, load_settings

MEBIBYTE = 1 << 20
# A person's place is kept while the keys' values are sorted; it is 4 bytes.
BYTES_PER_PERSON = 4
# Frames on their way take some besides the spools. What the program itself takes before is not ingestion's.
BOUND_BYTES = 115 * MEBIBYTE
SLACK_BYTES = 24 * MEBIBYTE
REPOSITORY = Path(__file__).parents[2]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    few, many = 1_500_000, 12_000_000
    peaks = {rows: ingest(tmp_path / str(rows), rows) for rows in (few, many)}
    for rows, (before, after) in peaks.items():
        assert after - before < BOUND_BYTES + BYTES_PER_PERSON * rows, (rows, before, after)
    (few_before, few_after), (many_before, many_after) = peaks[few], peaks[many]
    grown = (many_after - many_before) - (few_after - few_before)
    assert grown < BYTES_PER_PERSON * (many - few) + SLACK_BYTES, grown


def ingest(directory: Path, rows: int) -> tuple[int, int]:
    """Ingest rows in a process of its own with the least memory allowed; its peaks before and after, in bytes."""
    directory.mkdir()
    settings = load_settings({"CLEANROOM_MEMORY_BYTES": str(MIN_MEMORY_BYTES)}, home=directory / "home")
    room = init_room(settings)
    provider = sign_up(room, OrganisationKind.PROVIDER, "provider")
    with room.db.transaction() as tx:
        dataset = room.datasets.register(
            tx,
            workspace_id=provider.workspace_id,
            kind=DatasetKind.DATASET,
            name="numbers",
            schema=PERSON_BY_ID,
        )
    manifest, payload = directory / "manifest.json", directory / "payload.age"
    manifest.write_bytes(write_package(room, provider, dataset.id, PERSON_BY_ID, range(rows), payload))
    room.close()
    given = [settings.home, settings.database_url, settings.memory_bytes, manifest, payload]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("ingest_one.py")), *map(str, given)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    payload.unlink()
    before, after = done.stdout.split()
    return int(before), int(after)
