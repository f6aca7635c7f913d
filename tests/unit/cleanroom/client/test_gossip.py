"""Checkpoints from several sources are of one log, or there is evidence that they are not."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cleanroom.cli.audit import app
from cleanroom.client import room_log
from cleanroom.client.gossip import Fork, GossipError, Seen, compare, read_fork, see
from cleanroom.client.room_log import RoomLog
from cleanroom.client.seen import MAX_PENDING, SeenCheckpoints
from crypto.checkpoint import format_checkpoint, sign_note, verifier_key
from crypto.keys import public_key
from crypto.merkle import consistency_from, in_memory, leaf_hash, root_from

ORIGIN, SEED = "test.room/log", bytes(range(32))
KEY = verifier_key(ORIGIN, public_key(SEED))
HONEST = in_memory([leaf_hash(bytes([number])) for number in range(200)])
# It differs from the tenth event on.
OTHER = in_memory([leaf_hash(bytes([number + 7 if number >= 9 else number])) for number in range(200)])


def note(size: int, source: Callable[[int, int], bytes] = HONEST, seed: bytes = SEED) -> str:
    return sign_note(format_checkpoint(ORIGIN, size, root_from(source, size)), name=ORIGIN, seed=seed)


def seen(size: int, source: Callable[[int, int], bytes] = HONEST, name: str = "somebody") -> Seen:
    return see(name, note(size, source).encode(), KEY)


def prove(old: int, new: int) -> list[bytes]:
    return consistency_from(HONEST, old, new)


def test_checkpoints_of_one_log_are_connected() -> None:
    found = compare([seen(size) for size in (1, 5, 5, 9, 60, 100)], seen(100), prove)
    assert (found.forks, found.ahead, found.connected) == ((), (), 5)


def test_two_roots_of_one_size_are_a_fork_that_proves_itself() -> None:
    found = compare([seen(50), seen(50, OTHER), seen(5, OTHER)], seen(100), prove)
    (fork,) = found.forks
    assert fork.proves
    read = read_fork(fork.evidence(), KEY)
    assert (read.proves, read.first.checkpoint.size) == (True, 50)
    assert read.first.checkpoint.root != read.second.checkpoint.root


def test_what_the_room_cannot_connect_is_told_and_proves_less() -> None:
    found = compare([seen(40, OTHER), seen(9)], seen(100), prove)
    (fork,) = found.forks
    assert (fork.proves, fork.first.checkpoint.size, found.connected) == (False, 40, 2)
    assert not read_fork(fork.evidence(), KEY).proves


def test_a_log_that_shrank_is_told() -> None:
    found = compare([seen(101), seen(100)], seen(100), prove)
    assert [one.checkpoint.size for one in found.ahead] == [101]


def test_a_room_that_gives_no_proof_connects_nothing() -> None:
    def silent(old: int, new: int) -> list[bytes]:
        raise GossipError("no")

    assert len(compare([seen(40)], seen(100), silent).forks) == 1


@pytest.mark.parametrize(
    "data",
    [b"nothing", b"{}", b"[1]", b"\xff", b'{"checkpoint": 1}', note(5, seed=bytes(32)).encode()],
)
def test_what_is_no_checkpoint_of_the_room_is_refused(data: bytes) -> None:
    with pytest.raises(GossipError):
        see("x", data, KEY)


def test_evidence_has_to_show_two_logs() -> None:
    same = Fork(seen(5), seen(5), proves=True).evidence()
    for data in (b"{", b"{}", same, same.replace(b"first", b"other")):
        with pytest.raises(GossipError):
            read_fork(data, KEY)


def test_a_client_keeps_what_it_saw_and_compares_the_next(tmp_path: Path) -> None:
    kept = SeenCheckpoints(tmp_path / "seen")
    assert kept.remember(seen(10), KEY).pending == 0
    assert kept.remember(seen(20), KEY).pending == 1
    assert kept.remember(seen(20), KEY).forks == ()
    (fork,) = kept.remember(seen(20, OTHER), KEY).forks
    assert fork.proves
    assert kept.connect(seen(15), KEY, prove).pending == 1
    assert kept.connect(seen(30), KEY, prove) == kept.connect(seen(30), KEY, prove)
    # What came before 30 is forgotten: 30 stands for it.
    assert kept.connect(seen(40, OTHER), KEY, prove).forks != ()
    assert kept.connect(seen(40), KEY, prove).forks == ()


def test_a_client_keeps_no_more_than_it_can_compare(tmp_path: Path) -> None:
    kept = SeenCheckpoints(tmp_path)
    for size in range(1, MAX_PENDING + 20):
        kept.remember(seen(size), KEY)
    (path,) = tmp_path.iterdir()
    assert len(json.loads(path.read_text())["notes"]) == MAX_PENDING
    path.write_text("damaged")
    with pytest.raises(GossipError):
        kept.remember(seen(5), KEY)


def test_the_command_tells_a_fork_and_keeps_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RoomLog, "newest", lambda *_: seen(100))
    monkeypatch.setattr(RoomLog, "prove", lambda _, old, new: prove(old, new))
    for name, text in (("a", note(50)), ("b", note(60)), ("c", note(50, OTHER)), ("d", note(120))):
        (tmp_path / name).write_text(text)

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, [*arguments, "--key", KEY])
        return done.exit_code, done.output

    common = ("--room", "https://room.example", "--evidence", str(tmp_path / "found"))
    assert run("gossip", str(tmp_path / "a"), str(tmp_path / "b"), *common) == (
        0,
        "ONE LOG 3 checkpoints are connected\n",
    )
    code, said = run("gossip", str(tmp_path / "a"), str(tmp_path / "c"), *common)
    assert (code, said.startswith("FORKED")) == (1, True)
    (evidence,) = (tmp_path / "found").iterdir()
    assert run("fork", str(evidence)) == (0, run("fork", str(evidence))[1])
    assert "FORKED test.room/log at 50 events" in run("fork", str(evidence))[1]
    code, said = run("gossip", str(tmp_path / "d"), *common)
    assert (code, said.startswith("AHEAD")) == (1, True)


def test_a_room_that_does_not_answer_is_told() -> None:
    with room_log.http_client() as client:
        log = RoomLog("http://127.0.0.1:9", client)
        with pytest.raises(GossipError, match="cannot be reached"):
            log.newest(KEY)
        with pytest.raises(GossipError):
            log.prove(1, 2)
