"""Private files appear whole, never by accident over another one, and durably."""

import os
import stat

import pytest

from crypto.durable import discard_partials, write_private


@pytest.fixture
def synced(monkeypatch):
    """Record what is synced: `file` or `directory`."""
    seen = []
    real = os.fsync

    def fsync(handle):
        seen.append("directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


@pytest.mark.parametrize("replace", [False, True])
def test_file_and_directory_are_synced_and_nobody_else_can_read(tmp_path, synced, replace):
    write_private(tmp_path / "seed", b"secret", replace=replace)
    assert (tmp_path / "seed").read_bytes() == b"secret"
    assert stat.S_IMODE((tmp_path / "seed").stat().st_mode) == 0o600
    assert synced == ["file", "directory"]
    assert [path.name for path in tmp_path.iterdir()] == ["seed"]


def test_a_file_is_replaced_only_on_request(tmp_path):
    path = tmp_path / "seed"
    write_private(path, b"first")
    with pytest.raises(FileExistsError):
        write_private(path, b"second")
    assert path.read_bytes() == b"first"
    write_private(path, b"second", replace=True)
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_content_and_no_part_of_the_new(tmp_path, monkeypatch):
    path = tmp_path / "seed"
    write_private(path, b"first")

    def full(_handle):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_private(path, b"second", replace=True)
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_crash_left_of_one_file_is_discarded_and_nothing_else(tmp_path):
    for name in (".seed.7-8.partial", ".other.7-8.partial", "seed"):
        (tmp_path / name).write_bytes(b"x")
    discard_partials(tmp_path / "seed")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.7-8.partial", "seed"]
