"""Uploads of any size take the same memory, on both sides."""

import shutil
from pathlib import Path

import pytest

from benchmarks import upload

SMALL, LARGE = 64 << 10, 1 << 30
# Pieces of 8 MiB, their copies on the way, and what the interpreter does as it likes; a package is 20 times as much.
SLACK_MB = 50


@pytest.mark.slow
def test_the_smallest_arrives_as_it_was_sent(tmp_path: Path) -> None:
    found = upload.measure(SMALL, directory=tmp_path)
    assert found["bytes"] == SMALL
    assert found["client_peak_mb"] >= found["client_before_mb"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_package(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 2 * LARGE + (1 << 30):
        pytest.skip("Less than 3 GiB of disk are free.")
    small, large = (upload.measure(size, directory=tmp_path) for size in (SMALL, LARGE))
    for side in ("server", "client"):
        assert large[f"{side}_peak_mb"] - small[f"{side}_peak_mb"] < SLACK_MB, (small, large)
