"""Files are as large as public figures say, and give back what they hold."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.clock import SystemClock
from cleanroom.consent.changes import CHANGE_DTYPE, ChangeState, no_changes, read_changes
from cleanroom.consent.laid import packed, read_entries, read_laid
from cleanroom.consent.overlay import ENTRY_DTYPE, Entries
from cleanroom.consent.padding import (
    PADDING,
    filled_up,
    padded_bytes,
    usual_bound,
    usual_full,
    without_padding,
)
from cleanroom.datasets.errors import SealedColumnError
from cleanroom.datasets.files import Place, PlaceReader, PlaceWriter
from cleanroom.datasets.types import Role
from cleanroom.ids import new_id
from cleanroom.schema.model import NULL_DATE
from cleanroom.storage import LocalDirectory
from crypto.keys import BoundKek, LocalKeyFile


def entries(count: int, *, ends: bool = False) -> Entries:
    made = np.zeros(count, ENTRY_DTYPE)
    made["person"], made["at"] = np.arange(count), np.arange(count) + 7
    made["state"], made["until"] = ChangeState.WITHDRAWN, 20_000 if ends else NULL_DATE
    return made


def written(home: Path, role: Role, *contents: object) -> PlaceReader:
    (home / "keys").mkdir(mode=0o700, parents=True)
    keys = LocalKeyFile.create(home / "keys" / "keys.json")
    store, kek, clock = (
        LocalDirectory(home / "objects"),
        BoundKek(keys, keys.create_kek("test")),
        SystemClock(),
    )
    place = Place(*(new_id(kind, clock.now()) for kind in ("ws", "ds", "ce")))
    with PlaceWriter(store, place, kek=kek, clock=clock) as writer:
        for content in contents:
            writer.write(role, 0, content)
    return PlaceReader(store, place, writer.files, kek=kek)


@given(usual=st.integers(0, 300_000), held=st.integers(0, 300_000), other=st.integers(0, 300_000))
def test_a_size_tells_nothing_where_the_usual_is_enough(usual: int, held: int, other: int) -> None:
    size = padded_bytes(held, usual)
    assert size >= max(held, usual, 4096)
    if max(held, other) <= max(usual, 4096):
        assert size == padded_bytes(other, usual)
    elif held > max(usual, 4096):
        assert size.bit_count() == 1
        assert size < 2 * held


@given(held=st.integers(0, 200), usual=st.integers(0, 70_000))
def test_what_is_filled_up_gives_back_what_it_holds(held: int, usual: int) -> None:
    rows = no_changes(held)
    rows["hi"] = np.arange(held)
    whole = np.concatenate(list(filled_up(rows, usual=usual)))
    assert np.array_equal(without_padding(whole), rows)
    assert whole.nbytes == padded_bytes(rows.nbytes, usual * CHANGE_DTYPE.itemsize) // 44 * 44
    assert (whole["key"][held:] == PADDING).all()


@pytest.mark.parametrize("ends", [False, True])
def test_an_overlay_is_as_large_for_nobody_as_for_everybody(ends: bool) -> None:
    sizes = {len(packed(entries(count, ends=ends), usual=1_000)) for count in (0, 1, 999, 1_000)}
    assert sizes == {32 + 17_000}
    assert len(packed(entries(0), usual=1)) == len(packed(entries(2, ends=ends), usual=1)) == 4096


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("count", [0, 1, 300])
def test_overlays_are_read_filled_up_or_not(tmp_path: Path, count: int, ends: bool) -> None:
    made = entries(count, ends=ends)
    full = packed(made, usual=500)
    # As one is that holds more than is usual: nothing fills it up.
    bare = full[: 32 + count * (17 if ends else 13)]
    for number, content in enumerate((full, bare)):
        reader = written(tmp_path / str(number), Role.OVERLAY, content)
        assert np.array_equal(read_entries(reader, 0), made)
        assert read_laid(reader, 0).persons.size == count


def test_an_overlay_of_another_format_is_refused(tmp_path: Path) -> None:
    other = b"\1" + packed(entries(3), usual=500)[1:]
    reader = written(tmp_path, Role.OVERLAY, other)
    for read in (read_laid, read_entries):
        with pytest.raises(SealedColumnError, match="format 1"):
            read(reader, 0)


def test_segments_are_read_filled_up_or_not(tmp_path: Path) -> None:
    rows = no_changes(3)
    rows["hi"] = 1, 2, 3
    for number, blocks in enumerate(([rows], filled_up(rows, usual=100_000))):
        assert np.array_equal(read_changes(written(tmp_path / str(number), Role.CHANGES, *blocks)), rows)


def test_what_is_written_again_and_again_is_filled_up_within_limits() -> None:
    assert usual_bound(3, keys=2) == 12
    assert usual_bound(10**9, keys=2) == 1024
    assert usual_full(10) == 20
    assert usual_full(10**9) == 1 << 18
