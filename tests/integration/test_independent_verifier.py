"""What the room hands out verifies with code that shares nothing with it, written from RFC 6962 and C2SP."""

import base64
import hashlib
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Engine

from cleanroom.audit.errors import UnknownEventError
from cleanroom.audit.export import export_events
from cleanroom.audit.log import AuditLog
from cleanroom.clock import SystemClock
from cleanroom.db.database import Database

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")

EVENTS = 23


def check_note(note: str, verifier_key: str) -> tuple[str, int, bytes]:
    name, key_id, encoded = verifier_key.split("+", 2)
    material = base64.b64decode(encoded)
    assert hashlib.sha256(name.encode() + b"\n" + material).digest()[:4].hex() == key_id
    body, signature_line = note.split("\n\n")
    dash, signer, encoded = signature_line.rstrip("\n").split(" ")
    signature = base64.b64decode(encoded)
    assert (dash, signer, signature[:4].hex()) == ("\u2014", name, key_id)
    Ed25519PublicKey.from_public_bytes(material[1:]).verify(signature[4:], (body + "\n").encode())
    origin, size, root = body.split("\n")
    return origin, int(size), base64.b64decode(root)


def root_of_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    if size == 1:
        assert path == []
        return leaf
    split = 1
    while split * 2 < size:
        split *= 2
    if index < split:
        left, right = root_of_path(leaf, index, split, path[:-1]), path[-1]
    else:
        left, right = path[-1], root_of_path(leaf, index - split, size - split, path[:-1])
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of_leaves(leaves: list[bytes]) -> bytes:
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    pair = root_of_leaves(leaves[:split]) + root_of_leaves(leaves[split:])
    return hashlib.sha256(b"\x01" + pair).digest()


def consistent(size1: int, root1: bytes, size2: int, root2: bytes, path: list[bytes]) -> bool:
    """RFC 9162, section 2.1.4.2, word by word."""
    if size1 & (size1 - 1) == 0:
        path = [root1, *path]
    fn, sn = size1 - 1, size2 - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = hashlib.sha256(b"\x01" + c + fr).digest(), hashlib.sha256(b"\x01" + c + sr).digest()
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = hashlib.sha256(b"\x01" + sr + c).digest()
        fn, sn = fn >> 1, sn >> 1
    return fr == root1 and sr == root2 and sn == 0


@pytest.fixture
def log() -> AuditLog:
    return AuditLog(origin="test.room/log", seed=bytes(range(32)), clock=SystemClock())


@pytest.fixture
def db(engine: Engine, log: AuditLog) -> Database:
    opened = Database(engine, log)
    for number in range(EVENTS):
        with opened.transaction() as tx:
            tx.audit("test.event", subject_id=str(number), body={"имя": "é", "number": number})
    return opened


def test_an_exported_log_verifies_event_by_event(db: Database, log: AuditLog) -> None:
    with db.reading() as tx:
        first, *lines = [json.loads(line) for line in export_events(tx, verifier_key=log.verifier_key)]
    origin, size, root = check_note(first["checkpoint"], first["verifier_key"])
    assert (origin, size) == ("test.room/log", EVENTS)
    leaves = []
    for line in lines:
        leaf = hashlib.sha256(b"\x00" + line["record"].encode()).digest()
        leaves.append(leaf)
        path = [base64.b64decode(node) for node in line["proof"]]
        assert root_of_path(leaf, line["index"], size, path) == root
        record = json.loads(line["record"])
        assert sorted(record) == ["at", "body", "kind", "organisation", "salt", "subject", "v"]
        assert len(bytes.fromhex(record["salt"])) == 32
    assert root_of_leaves(leaves) == root
    with pytest.raises(InvalidSignature):
        check_note(first["checkpoint"].replace("23", "24"), first["verifier_key"])


def test_a_part_of_the_log_is_exported_without_proofs(db: Database, log: AuditLog) -> None:
    with db.reading() as tx:
        lines = list(export_events(tx, verifier_key=log.verifier_key, start=3, end=5, proofs=False))
    assert [sorted(json.loads(line)) for line in lines[1:]] == [["index", "record"]] * 2
    assert [json.loads(line)["index"] for line in lines[1:]] == [3, 4]


def test_every_checkpoint_leads_to_the_newest(db: Database, log: AuditLog) -> None:
    with db.reading() as tx:
        records = [log.record(tx, index) for index in range(EVENTS)]
        leaves = [hashlib.sha256(b"\x00" + record).digest() for record in records]
        for size in range(1, EVENTS):
            path = log.consistency(tx, size, EVENTS)
            roots = root_of_leaves(leaves[:size]), root_of_leaves(leaves)
            assert consistent(size, roots[0], EVENTS, roots[1], path)
        assert log.consistency(tx, EVENTS, EVENTS) == []


def test_a_checkpoint_is_kept_once_per_size(db: Database, log: AuditLog) -> None:
    with db.transaction() as tx:
        first = log.checkpoint(tx)
        assert log.checkpoint(tx) == first
        assert log.head(tx) == first
    with db.transaction() as tx:
        tx.audit("test.event", subject_id="x")
        assert log.checkpoint(tx) == first
    with db.transaction() as tx:
        assert check_note(log.checkpoint(tx), log.verifier_key)[1] == EVENTS + 1


def test_an_empty_log_has_a_checkpoint_and_no_head(engine: Engine, log: AuditLog) -> None:
    with Database(engine, log).transaction() as tx:
        note = log.checkpoint(tx)
        assert log.size(tx) == 0
        with pytest.raises(UnknownEventError, match="empty"):
            log.head(tx)
    assert check_note(note, log.verifier_key) == ("test.room/log", 0, hashlib.sha256(b"").digest())


def test_a_transaction_that_raises_leaves_no_event(db: Database, log: AuditLog) -> None:
    with pytest.raises(RuntimeError), db.transaction() as tx:  # noqa: PT012 - the block is the transaction
        tx.audit("test.event", subject_id="x")
        raise RuntimeError
    with db.reading() as tx:
        assert log.size(tx) == EVENTS


def test_an_event_knows_its_index_after_its_transaction(db: Database) -> None:
    with db.transaction() as tx:
        events = [tx.audit("test.event", subject_id="x") for _ in range(2)]
    assert [event.index for event in events] == [EVENTS, EVENTS + 1]


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, EVENTS + 1)])
def test_an_impossible_inclusion_proof_is_refused(db: Database, log: AuditLog, index: int, size: int) -> None:
    with db.reading() as tx, pytest.raises(UnknownEventError, match="below the size"):
        log.inclusion(tx, index, size)


@pytest.mark.parametrize(("old", "size"), [(0, 5), (6, 5), (1, EVENTS + 1)])
def test_an_impossible_consistency_proof_is_refused(db: Database, log: AuditLog, old: int, size: int) -> None:
    with db.reading() as tx, pytest.raises(UnknownEventError, match="larger one"):
        log.consistency(tx, old, size)


def test_an_unknown_event_is_refused(db: Database, log: AuditLog) -> None:
    with db.reading() as tx, pytest.raises(UnknownEventError, match="no event"):
        log.record(tx, EVENTS)
