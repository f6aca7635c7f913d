"""Objects appear whole or not at all, never change, and what a crash leaves is swept."""

from pathlib import Path

import pytest

from cleanroom.storage import LocalDirectory
from cleanroom.storage.errors import ObjectExistsError, ObjectKeyError, ObjectMissingError


@pytest.fixture
def store(tmp_path: Path) -> LocalDirectory:
    return LocalDirectory(tmp_path / "deep" / "objects")


def put(store: LocalDirectory, key: str, content: bytes = b"sealed") -> None:
    with store.create(key) as sink:
        sink.write(content)


def test_an_object_reads_back(store: LocalDirectory) -> None:
    put(store, "ws_1/dv_1/fl_1", b"content")
    assert store.path("ws_1/dv_1/fl_1").read_bytes() == b"content"


def test_objects_are_closed_to_others(store: LocalDirectory) -> None:
    put(store, "ws_1/dv_1/fl_1")
    path = store.path("ws_1/dv_1/fl_1")
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_nothing_is_there_before_the_block_ends(store: LocalDirectory) -> None:
    with store.create("ws_1/fl_1") as sink:
        sink.write(b"half")
        assert list(store.keys()) == []
        with pytest.raises(ObjectMissingError):
            store.path("ws_1/fl_1")
    assert list(store.keys()) == ["ws_1/fl_1"]


def test_a_block_that_raises_leaves_nothing(store: LocalDirectory) -> None:
    with pytest.raises(RuntimeError), store.create("ws_1/fl_1") as sink:  # noqa: PT012 - the block is the file
        sink.write(b"half")
        raise RuntimeError
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


def test_an_object_is_never_overwritten(store: LocalDirectory) -> None:
    put(store, "fl_1", b"first")
    with pytest.raises(ObjectExistsError), store.create("fl_1"):
        pass
    assert store.path("fl_1").read_bytes() == b"first"


@pytest.mark.parametrize(
    "key", ["", "../fl_1", "/etc/passwd", "a//b", "a/", ".hidden", "a b", "a/" * 8 + "b"]
)
def test_a_key_cannot_leave_the_store(store: LocalDirectory, key: str) -> None:
    with pytest.raises(ObjectKeyError, match="ids joined by slashes"), store.create(key):
        pass
    with pytest.raises(ObjectKeyError):
        store.path(key)


def test_a_missing_object_is_named(store: LocalDirectory) -> None:
    with pytest.raises(ObjectMissingError, match="ws_1/fl_9") as caught:
        store.path("ws_1/fl_9")
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.remedy


def test_keys_are_listed_by_prefix_in_order(store: LocalDirectory) -> None:
    for key in ("ws_2/fl_1", "ws_1/fl_2", "ws_1/fl_1"):
        put(store, key)
    assert list(store.keys()) == ["ws_1/fl_1", "ws_1/fl_2", "ws_2/fl_1"]
    assert list(store.keys("ws_1/")) == ["ws_1/fl_1", "ws_1/fl_2"]


def test_deleting_removes_emptied_directories_and_can_be_repeated(store: LocalDirectory) -> None:
    put(store, "ws_1/dv_1/fl_1")
    put(store, "ws_1/dv_2/fl_1")
    store.delete("ws_1/dv_1/fl_1")
    store.delete("ws_1/dv_1/fl_1")
    assert list(store.keys()) == ["ws_1/dv_2/fl_1"]
    assert not (store.root / "ws_1" / "dv_1").exists()
    store.delete("ws_1/dv_2/fl_1")
    assert store.root.is_dir()
    assert list(store.root.iterdir()) == []


def test_a_sweep_removes_orphans_and_unfinished_files_only(store: LocalDirectory) -> None:
    put(store, "ws_1/fl_known")
    put(store, "ws_1/fl_orphan")
    put(store, "ws_2/fl_orphan")
    (store.root / "ws_1" / ".fl_x.0011.tmp").write_bytes(b"half")
    assert store.sweep({"ws_1/fl_known"}, prefix="ws_1/") == ["ws_1/.fl_x.0011.tmp", "ws_1/fl_orphan"]
    assert list(store.keys()) == ["ws_1/fl_known", "ws_2/fl_orphan"]
    assert store.sweep({"ws_1/fl_known"}) == ["ws_2/fl_orphan"]


@pytest.mark.parametrize(("lasting", "synced"), [(True, True), (False, False)])
def test_only_what_is_of_use_after_a_crash_is_synced(
    store: LocalDirectory, monkeypatch: pytest.MonkeyPatch, lasting: bool, synced: bool
) -> None:
    put(store, "ws_1/fl_1")
    descriptors: list[int] = []
    monkeypatch.setattr("os.fsync", descriptors.append)
    with store.create("ws_1/fl_2", lasting=lasting) as sink:
        sink.write(b"content")
    assert bool(descriptors) == synced
    assert store.path("ws_1/fl_2").read_bytes() == b"content"
