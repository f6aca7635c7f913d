"""Strangers read the published heads of the log and have it proven that it only grew; nothing else of it."""

import base64
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from cleanroom.audit.publishing import publish
from crypto.checkpoint import open_note
from crypto.merkle import verify_consistency
from tests.api.world import World, in_process


@pytest.fixture
def stranger(world: World) -> Iterator[httpx.Client]:
    """Somebody without a token."""
    with in_process(world.app) as client:
        yield client


def advance(world: World) -> int:
    """Let something happen and the next tick come; returns the size that was published."""
    room = world.stage.room
    with room.db.transaction() as tx:
        tx.audit("test.event", subject_id="x")
    world.stage.clock.move(seconds=300)
    with room.db.transaction() as tx:
        assert publish(tx, room.clock, every=timedelta(seconds=300))
        return room.audit.size(tx)


def test_a_stranger_follows_the_log_from_head_to_head(world: World, stranger: httpx.Client) -> None:
    key = world.stage.room.audit.verifier_key
    assert stranger.get("/log/checkpoint").status_code == 404
    first, second = advance(world), advance(world)
    newest = stranger.get("/log/checkpoint")
    assert newest.headers["cache-control"].startswith("public, max-age=")
    assert newest.headers["content-type"].startswith("text/plain")
    new, old = open_note(newest.text, key), open_note(stranger.get(f"/log/checkpoints/{first}").text, key)
    assert (old.size, new.size) == (first, second)
    proof = stranger.get(f"/log/consistency?old={first}&new={second}")
    hashes = [base64.b64decode(line) for line in proof.text.split()]
    verify_consistency(old.size, old.root, new.size, new.root, hashes)
    listed = stranger.get("/log/checkpoints").json()["items"]
    assert [one["size"] for one in listed] == [second, first]
    assert stranger.get("/log/witnesses").json() == {"quorum": 0, "vouched_for": 0, "witnesses": []}


def test_sizes_between_the_ticks_are_not_told(world: World, stranger: httpx.Client) -> None:
    published = advance(world)
    with world.stage.room.db.transaction() as tx:
        tx.audit("test.event", subject_id="x")
    for path in (
        f"/log/checkpoints/{published + 1}",
        f"/log/consistency?old={published}&new={published + 1}",
        f"/log/consistency?old={published + 1}&new={published}",
    ):
        assert stranger.get(path).status_code == 404
