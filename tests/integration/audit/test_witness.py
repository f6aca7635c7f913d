"""A witness vouches for a log that grows and for nothing else; the room keeps what it says, and tells of a refusal."""

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from cleanroom.audit.log import AuditLog
from cleanroom.audit.publishing import newest_published
from cleanroom.audit.witnessing import AWAY, Witnessing, WitnessState, standings, vouched_for
from cleanroom.db.database import Database
from cleanroom.settings.witnesses import PublishingSettings, WitnessSettings
from cleanroom.witness.home import MAX_FORKS, WitnessHome
from cleanroom.witness.service import Witness
from crypto.checkpoint import format_checkpoint, open_note, sign_note
from crypto.cosignature import WitnessKey, cosign, cosigned_at
from crypto.keys import public_key
from tests.answering import Answering
from tests.rooms import MovableClock

ORIGIN, SEED = "test.room/log", bytes(range(32))
pytestmark = pytest.mark.slow_on("postgresql")


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def log(clock: MovableClock) -> AuditLog:
    return AuditLog(origin=ORIGIN, seed=SEED, clock=clock)


@pytest.fixture
def db(engine: Engine, log: AuditLog) -> Database:
    opened = Database(engine, log)
    grow(opened, 5)
    return opened


@pytest.fixture
def witness(tmp_path: Path, clock: MovableClock, log: AuditLog) -> Witness:
    home = WitnessHome.make(tmp_path / "w1", "w1.example/witness")
    home.trust(log.verifier_key, None)
    return Witness(home, clock)


@pytest.fixture
def address(witness: Witness) -> Iterator[str]:
    with Answering(witness) as url:
        yield url


def grow(db: Database, count: int = 1, what: str = "it") -> None:
    with db.transaction() as tx:
        for number in range(count):
            tx.audit("test.event", subject_id=f"{number}", body={"is": what})


@pytest.fixture
def showing(db: Database, clock: MovableClock, witness: Witness, address: str) -> Witnessing:
    settings = PublishingSettings((WitnessSettings(witness.home.key, address),), 1, 300)
    return Witnessing(db, clock, settings)


def state(db: Database, showing: Witnessing) -> tuple[WitnessState, int, str]:
    with db.reading() as tx:
        (found,) = standings(tx, showing.settings)
    return found.state, found.size, found.detail


def test_a_head_is_published_at_ticks_and_vouched_for(
    db: Database, showing: Witnessing, clock: MovableClock, witness: Witness, log: AuditLog
) -> None:
    assert state(db, showing)[0] is WitnessState.NEW
    assert showing.run_due()
    with db.reading() as tx:
        shown = newest_published(tx)
        assert vouched_for(tx, showing.settings) == 5
    assert shown is not None
    assert (shown.size, shown.witnesses) == (5, ("w1.example/witness",))
    assert open_note(shown.note, log.verifier_key).size == 5
    assert cosigned_at(shown.note, witness.home.key) is not None
    # Nothing more is shown before the next tick, however much happens; then all of it at once.
    grow(db, 3)
    assert not showing.run_due()
    clock.move(seconds=300)
    assert showing.run_due()
    # Its first answer made one event.
    assert state(db, showing) == (WitnessState.VOUCHES, 9, "")
    clock.move(seconds=300)
    assert not showing.run_due()


def test_a_fork_is_refused_told_and_kept(
    db: Database,
    showing: Witnessing,
    clock: MovableClock,
    witness: Witness,
    log: AuditLog,
    sqlite_url: str,
    tmp_path: Path,
) -> None:
    from cleanroom.client.gossip import read_fork
    from cleanroom.db.base import Base
    from cleanroom.db.database import open_engine

    showing.run_due()
    engine = open_engine(f"sqlite:///{tmp_path / 'other.sqlite3'}")
    Base.metadata.create_all(engine)
    other = Database(engine, log)
    grow(other, 5, "another")
    forked = Witnessing(other, clock, showing.settings)
    forked.run_due()
    assert state(other, forked) == (WitnessState.REFUSES, 0, "it saw another log of this size")
    with other.reading() as tx:
        record = log.record(tx, 5)
    assert b"audit.witness_refuses" in record
    (evidence,) = witness.home._directory.glob("fork-*.json")
    found = read_fork(evidence.read_bytes(), log.verifier_key)
    assert found.proves
    # One that has grown meanwhile does not continue what was seen either.
    grow(other, 5)
    clock.move(seconds=300)
    forked.run_due()
    assert state(other, forked)[::2] == (WitnessState.REFUSES, "it answers 422")
    engine.dispose()


def test_a_log_that_was_rolled_back_is_refused(
    db: Database, showing: Witnessing, clock: MovableClock, log: AuditLog, tmp_path: Path
) -> None:
    import sqlite3

    if db.engine.dialect.name != "sqlite":
        pytest.skip("copies a file")
    path = tmp_path / "room.sqlite3"
    copy = tmp_path / "copy.sqlite3"
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    grow(db, 5)
    showing.run_due()
    from cleanroom.db.database import open_engine

    engine = open_engine(f"sqlite:///{copy}")
    back = Witnessing(Database(engine, log), clock, showing.settings)
    back.run_due()
    assert state(Database(engine, log), back) == (WitnessState.REFUSES, 0, "it saw a larger log")
    engine.dispose()


def test_a_witness_that_is_away_is_asked_again(
    db: Database, clock: MovableClock, witness: Witness, log: AuditLog
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = PublishingSettings((WitnessSettings(witness.home.key, f"http://127.0.0.1:{port}"),), 1, 300)
    showing = Witnessing(db, clock, settings)
    assert showing.run_due()
    assert state(db, showing) == (WitnessState.UNREACHABLE, 0, "ConnectError")
    assert not showing.run_due()
    clock.move(seconds=61)
    with Answering(witness) as url:
        showing.settings = PublishingSettings((WitnessSettings(witness.home.key, url),), 1, 300)
        assert showing.run_due()
    assert state(db, showing)[:2] == (WitnessState.VOUCHES, 5)


def test_one_that_stays_away_for_a_day_is_told_once(
    db: Database, clock: MovableClock, witness: Witness, log: AuditLog
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    showing = Witnessing(db, clock, PublishingSettings((WitnessSettings(witness.home.key, url),), 1, 300))

    def told() -> int:
        with db.reading() as tx:
            return len(log.events(tx, organisation_id=None, kinds=(AWAY,), after=-1, limit=10))

    showing.run_due()
    for hours, expected in ((23.9, 0), (0.2, 1), (30, 1)):
        clock.move(hours=hours)
        assert showing.run_due()
        assert told() == expected
    with Answering(witness) as answering:
        key = witness.home.key
        back = Witnessing(db, clock, PublishingSettings((WitnessSettings(key, answering),), 1, 300))
        clock.move(hours=1)
        back.run_due()
        assert state(db, back)[0] is WitnessState.VOUCHES
    # Even when nobody tried in between: away since the second time, told of again.
    for hours, expected in ((1, 1), (100, 2)):
        clock.move(hours=hours)
        assert showing.run_due()
        assert told() == expected


def hostile(answer: Callable[[], Iterator[bytes]]) -> AbstractContextManager[str]:
    """A witness that answers whatever it likes, a piece at a time."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            # Whoever asked may be gone by then.
            with suppress(OSError):
                for piece in answer():
                    self.wfile.write(piece)

        def log_message(self, *_: object) -> None: ...

    @contextmanager
    def serving() -> Iterator[str]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    return serving()


OK = b"HTTP/1.0 200 OK\r\n\r\n"


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("future", (WitnessState.REFUSES, "its line is of another time")),
        ("past", (WitnessState.REFUSES, "its line is of another time")),
        ("endless", (WitnessState.REFUSES, "its line does not verify")),
        ("slow headers", (WitnessState.UNREACHABLE, "TimeoutError")),
        ("slow body", (WitnessState.UNREACHABLE, "TimeoutError")),
        ("garbage", (WitnessState.UNREACHABLE, "RemoteProtocolError")),
    ],
)
def test_one_that_misbehaves_keeps_no_other_from_being_asked(
    db: Database,
    clock: MovableClock,
    witness: Witness,
    log: AuditLog,
    address: str,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    expected: tuple[WitnessState, str],
) -> None:
    monkeypatch.setattr("cleanroom.audit.witnessing._SECONDS", 0.5)
    seed = b"\7" * 32
    key = WitnessKey("bad.example/w", public_key(seed))
    with db.reading() as tx:
        text = open_note(log.head(tx), log.verifier_key).text

    def line(seconds: int) -> bytes:
        return cosign(text, name=key.name, seed=seed, seconds=seconds).encode()

    def slowly(first: bytes) -> Iterator[bytes]:
        yield first
        for _ in range(20):
            time.sleep(0.2)
            yield b"x"

    day_ago = int(clock.instant.timestamp()) - 86_401
    answers: dict[str, Callable[[], Iterator[bytes]]] = {
        "future": lambda: iter([OK, line(2**62)]),
        "past": lambda: iter([OK, line(day_ago)]),
        "endless": lambda: chain([OK], repeat(b"x" * 65_536)),
        "slow headers": lambda: slowly(b"HTTP/1.0 200 OK\r\n"),
        "slow body": lambda: slowly(OK),
        "garbage": lambda: iter([b"\0\0\0\r\n\r\n"]),
    }
    with hostile(answers[what]) as bad:
        good = WitnessSettings(witness.home.key, address)
        settings = PublishingSettings((WitnessSettings(key, bad), good), 1, 300)
        assert Witnessing(db, clock, settings).run_due()
    with db.reading() as tx:
        first, second = standings(tx, settings)
    assert ((first.state, first.detail), first.size) == (expected, 0)
    assert second.state is WitnessState.VOUCHES


def request(log: AuditLog, db: Database, old: int, size: int, *, proof: bool = True, note: str = "") -> bytes:
    with db.reading() as tx:
        lines = log.consistency(tx, old, size) if proof and 0 < old < size else []
        note = note or log.head(tx)
    encoded = [base64.b64encode(node).decode() for node in lines]
    return "\n".join([f"old {old}", *encoded, "", note]).encode()


def test_the_witness_answers_as_the_protocol_says(witness: Witness, log: AuditLog, db: Database) -> None:
    def say(body: bytes) -> tuple[int, str]:
        reply = witness.add_checkpoint(body)
        return reply.status, reply.body

    assert say(request(log, db, 2, 5))[0] == 409
    assert witness.add_checkpoint(request(log, db, 2, 5)).media_type == "text/x.tlog.size"
    assert say(request(log, db, 2, 5))[1] == "0\n"
    vouched = request(log, db, 0, 5)
    assert say(vouched)[0] == 200
    assert say(vouched) == (409, "5\n")
    # The same again, from what it saw last, is vouched for with another time.
    assert say(request(log, db, 5, 5))[0] == 200
    grow(db, 4)
    assert say(request(log, db, 6, 9)) == (409, "5\n")
    assert say(request(log, db, 5, 9, proof=False))[0] == 422
    assert say(request(log, db, 10, 9)[:0] + b"old 10" + request(log, db, 5, 9)[5:])[0] == 400
    grown = request(log, db, 5, 9)
    assert say(grown.replace(b"test.room/log\n9", b"other.room/log\n9"))[0] == 404
    assert say(grown.replace(b"\n9\n", b"\n8\n"))[0] == 403
    for malformed in (
        b"",
        b"old 5\n",
        b"old 05\n\n" + grown,
        b"new 5\n\nx",
        b"old 5\nAA==\n\nx",
        b"\xff\n\n",
    ):
        assert say(malformed)[0] == 400
    assert say(b"old 5\n" + b"A" * 43 + b"=\n" + grown[6:])[0] == 422
    line = say(grown)
    assert line[0] == 200
    with db.reading() as tx:
        assert cosigned_at(log.head(tx) + line[1], witness.home.key) is not None


def test_lines_that_a_stranger_adds_are_neither_kept_nor_shown(
    witness: Witness, log: AuditLog, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = request(log, db, 0, 5)
    assert witness.add_checkpoint(body).status == 200
    (known,) = witness.home.logs().values()
    before = witness.home.last(known)
    junk = "".join(f"\u2014 x{number} AAAAAAAA\n" for number in range(99)).encode()
    same = request(log, db, 5, 5)
    with monkeypatch.context() as patched:
        # What did not change is not written again: anyone may ask at any rate.
        patched.setattr("cleanroom.witness.home.write_private", lambda *_, **__: 1 // 0)
        assert witness.add_checkpoint(same + junk).status == 200
        assert witness.add_checkpoint(same).status == 200
    assert witness.home.last(known) == before
    shown = witness.cosigned(known)
    assert shown is not None
    assert shown.count("\u2014") == 2
    assert cosigned_at(shown, witness.home.key) is not None
    # What was kept with them before is shown without.
    (path,) = witness.home._directory.glob("last-*.note")
    path.write_bytes(same.partition(b"\n\n")[2] + junk)
    assert witness.cosigned(known) == shown


def test_no_more_forks_are_kept_than_tell_something(witness: Witness, log: AuditLog, db: Database) -> None:
    assert witness.add_checkpoint(request(log, db, 0, 5)).status == 200
    for number in range(MAX_FORKS + 3):
        text = format_checkpoint(ORIGIN, 5, number.to_bytes(32, "big"))
        note = sign_note(text, name=ORIGIN, seed=SEED)
        for junk in ("", f"\u2014 x{number} AAAAAAAA\n"):
            assert witness.add_checkpoint(f"old 5\n\n{note}{junk}".encode()).status == 409
    assert len(list(witness.home._directory.glob("fork-*.json"))) == MAX_FORKS


def test_a_crash_before_the_answer_never_lets_a_fork_through(
    witness: Witness, log: AuditLog, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("cleanroom.witness.service.cosign", lambda *_, **__: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            witness.add_checkpoint(request(log, db, 0, 5))
    # It was kept before it was to be vouched for.
    assert witness.add_checkpoint(request(log, db, 0, 5)).body == "5\n"


def test_two_that_come_at_once_are_compared_one_after_the_other(
    witness: Witness, log: AuditLog, db: Database
) -> None:
    bodies = [request(log, db, 0, 5)]
    grow(db)
    bodies.append(request(log, db, 0, 6))
    replies: list[int] = []
    barrier = threading.Barrier(8)

    def come(number: int) -> None:
        barrier.wait()
        replies.append(witness.add_checkpoint(bodies[number % 2]).status)

    threads = [threading.Thread(target=come, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(replies) == [200, *[409] * 7]


def test_a_damaged_memory_vouches_for_nothing(
    witness: Witness, log: AuditLog, db: Database, address: str
) -> None:
    body = request(log, db, 0, 5)
    assert httpx.post(f"{address}/add-checkpoint", content=body).status_code == 200
    (kept,) = witness.home._directory.glob("last-*.note")
    kept.write_text("damaged")
    assert httpx.post(f"{address}/add-checkpoint", content=body).status_code == 500


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/add-checkpoint", 405), ("GET", "/", 404), ("GET", f"/{'0' * 64}/checkpoint", 404)],
)
def test_there_is_nothing_else(address: str, method: str, path: str, status: int) -> None:
    assert httpx.request(method, address + path).status_code == status


def test_too_much_is_not_read(address: str) -> None:
    assert httpx.post(f"{address}/add-checkpoint", content=b"x" * 200_000).status_code in (400, 413)
