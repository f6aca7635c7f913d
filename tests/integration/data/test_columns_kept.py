"""Decrypted columns kept between questions: the same counts, and never those of yesterday's consents or keys."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from cleanroom.consent.types import Withdrawal
from cleanroom.datasets.cache import ColumnCache
from cleanroom.matching.service import Matching
from cleanroom.matching.types import Plan
from cleanroom.workspaces.errors import WorkspaceDestroyedError
from crypto.errors import KeyDestroyedError
from tests.integration.data.test_load_and_match import BASE, CLIENTS, FILE, PEOPLE

DATED = """\
match_keys:
  email: {column: mail}
attributes:
  age: {type: integer, bands: [18, 25]}
lawful_basis: consent
consent:
  ads: {column: ads, granted: ["yes"], collected_at: seen, expires_at: until}
"""
PLAN = {
    "per_key": True,
    "labels": True,
    "breakdowns": (("city", "age"),),
    "sums": ("spend",),
    "dataset_side": True,
}


@pytest.fixture
def loaded(room):
    version = room.load(room.register(PEOPLE), FILE)
    base = room.load(room.register(BASE, party="shop", kind="base"), CLIENTS, party="shop")
    return room, version, base


def keep(room, limit: int) -> ColumnCache:
    """Give the room a cache of so many bytes."""
    cache = ColumnCache(limit)
    room.matching = Matching(
        workspaces=room.workspaces, datasets=room.datasets, consents=room.consents, cache=cache
    )
    return cache


def plain(counts):
    """Counts that can be compared."""
    if counts is None:
        return None
    own = dict(vars(counts))
    own["breakdowns"] = [table.tolist() for table in counts.breakdowns]
    own["sums"] = [plain(part) for part in own.get("sums", ())]
    if "dataset" in own:
        own["dataset"] = plain(counts.dataset)
    return own


def test_however_much_is_kept_the_counts_are_the_same(loaded):
    room, version, base = loaded
    expected = plain(room.count(version, base, **PLAN))
    assert expected["overlap"] == 2
    for limit in (1, 20, 60, 100, 200, 400, 1 << 20):
        cache = keep(room, limit)
        assert [plain(room.count(version, base, **PLAN)) for _ in range(3)] == [expected] * 3
        assert cache.used_bytes <= limit
    assert cache.used_bytes > 0


def test_questions_at_the_same_time_share_what_is_kept(loaded):
    room, version, base = loaded
    expected = plain(room.count(version, base, **PLAN))
    for limit in (100, 1 << 20):
        keep(room, limit)
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(room.count, version, base, **PLAN) for _ in range(12)]
            assert [plain(each.result(60)) for each in asked] == [expected] * 12


def withdraw(room, dataset_id: str, mail: str) -> None:
    digest = hashlib.sha256(mail.encode()).digest()
    room.consents.withdraw(dataset_id, [Withdrawal("email/room", digest)])


def test_a_withdrawal_counts_at_once(loaded):
    room, version, base = loaded
    keep(room, 1 << 20)
    assert room.count(version, base).overlap == 2
    withdraw(room, room.version(version).dataset_id, "anna@example.org")
    assert room.count(version, base).overlap == 1
    assert room.count(version, base, epoch=0).overlap == 2


def test_consents_expire_and_begin_though_they_are_kept(room):
    rows = "mail,age,ads,seen,until\na@example.org,20,yes,2026-01-01,2026-11-23\nb@example.org,30,yes,2026-11-20,\n"
    version = room.load(room.register(DATED), rows)
    base = room.load(
        room.register("match_keys:\n  email: {column: mail}\n", party="shop", kind="base"),
        "mail\na@example.org\nb@example.org\n",
        party="shop",
    )
    keep(room, 1 << 20)
    today = room.clock.now()
    found = [
        room.count(version, base, purpose="ads", at=today + timedelta(days=days), breakdowns=(("age",),))
        for days in (1, -3, 0, 2)
    ]
    assert [counts.overlap for counts in found] == [2, 1, 2, 1]
    assert [counts.breakdowns[0].tolist() for counts in found] == [
        [0, 1, 1, 0],
        [0, 1, 0, 0],
        [0, 1, 1, 0],
        [0, 0, 1, 0],
    ]


def test_a_withdrawal_does_not_count_before_its_time(room):
    version = room.load(room.register(DATED), "mail,age,ads,seen,until\na@example.org,20,yes,2026-01-01,\n")
    base = room.load(
        room.register("match_keys:\n  email: {column: mail}\n", party="shop", kind="base"),
        "mail\na@example.org\n",
        party="shop",
    )
    keep(room, 1 << 20)
    before = room.clock.now()
    room.clock.instant += timedelta(days=1)
    withdraw(room, room.version(version).dataset_id, "a@example.org")
    assert room.count(version, base, purpose="ads").overlap == 0
    assert room.count(version, base, purpose="ads", at=before).overlap == 1


@pytest.mark.parametrize("rotation", ["rotate_kek", "rotate_token_key"])
@pytest.mark.parametrize("side", ["provider", "shop"])
def test_rotated_keys_change_no_count_and_leave_nothing_that_the_old_ones_open(loaded, rotation, side):
    room, version, base = loaded
    keep(room, 1 << 20)
    expected = plain(room.count(version, base, **PLAN))
    getattr(room.rotation, rotation)(room.parties[side].workspace_id)
    assert plain(room.count(version, base, **PLAN)) == expected


def test_nothing_is_counted_from_memory_once_a_key_is_destroyed(loaded):
    room, version, base = loaded
    cache = keep(room, 1 << 20)
    room.count(version, base)
    with room.db.reading() as tx:
        kek = room.workspaces.secrets(tx, room.parties["provider"].workspace_id).kek
        dataset_id = room.datasets.version(tx, version).dataset_id
        match = room.matching.open(
            tx,
            dataset_version_id=version,
            base_version_id=base,
            purpose="advertising",
            epoch=room.consents.epoch(tx, dataset_id),
        )
    before = cache.used_bytes
    room.keys.destroy(kek.kek_id)
    with pytest.raises(KeyDestroyedError):
        match.count(Plan("advertising", match.keys), at=room.clock.now())
    assert cache.used_bytes < before


@pytest.mark.parametrize("side", ["provider", "shop"])
def test_what_is_kept_of_a_destroyed_workspace_goes_when_it_is_asked_for_next(loaded, side):
    room, version, base = loaded
    cache = keep(room, 1 << 20)
    room.count(version, base)
    with room.db.reading() as tx:
        own = {file.file_id for file in room.datasets.files(tx, {"provider": version, "shop": base}[side])}
    kept = [array for key, entry in cache._entries.items() if key[0] in own for array in entry.arrays]
    assert any(array.any() for array in kept)
    with room.db.transaction() as tx:
        room.workspaces.destroy(tx, room.parties[side].workspace_id)
    with pytest.raises(WorkspaceDestroyedError):
        room.count(version, base)
    assert not any(array.any() for array in kept)


def test_closing_leaves_nothing_in_memory(loaded):
    room, version, base = loaded
    cache = keep(room, 1 << 20)
    room.count(version, base)
    kept = [array for entry in cache._entries.values() for array in entry.arrays]
    assert any(array.any() for array in kept)
    room.matching.close()
    assert not any(array.any() for array in kept)
    assert cache.used_bytes == 0
