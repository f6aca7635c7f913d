"""Writing a bundle: a zip of JSON lines, a manifest that the log itself vouches for, and the script that checks it."""

import base64
import hashlib
import heapq
import json
import os
import zipfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import IO, Any

from sqlalchemy import select

from cleanroom.audit.log import AuditLog
from cleanroom.audit.models import AuditCheckpoint
from cleanroom.audit.publishing import published_of_sizes, published_sizes
from cleanroom.canonical import canonical_json
from cleanroom.clock import Clock, rfc3339
from cleanroom.db.database import Database, Proven, Transaction
from cleanroom.evidence.hiding import Hidden, laid_out, read_hashes
from cleanroom.evidence.selecting import CONSENTS, KEYS, POLICIES, RECEIPTS, Shown, shown_events
from cleanroom.evidence.types import FORMAT, MADE, Made, Wanted
from crypto.checkpoint import Checkpoint, open_note
from crypto.durable import sync_directory

MOST_PUBLISHED = 1_000
"""Published heads in one bundle besides the newest; of more, so many are taken that are spread over all."""
_MANIFEST, _PROOF = "manifest.json", "manifest.proof.json"
_PLAIN = ("verify.py", "README.en.md", "README.ru.md")
_VIEWS = (("policies.jsonl", POLICIES), ("consents.jsonl", CONSENTS), ("keys.jsonl", KEYS))
# Half of a record is its salt, which nothing compresses: more effort gains little.
_EFFORT = 1
_STEP, _AT_ONCE, _NOTES_AT_ONCE = 10_000, 2_000, 500
# Zip's own earliest instant: a bundle says in its manifest when it was made.
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Order:
    """Who wants which bundle.

    Attributes:
        bundle_id: `eb_...`, for the log.
        organisation_id: whose bundle it is; None for one that is made on the room's machine.
        by: who asked: id of a user, or `machine`.
        confirmed: id of the ask that a second person confirmed; None when there was none.
        wanted: which events it shows.
        cuts: further sizes at which the bundle can be compared with a checkpoint kept elsewhere.
    """

    bundle_id: str
    organisation_id: str | None
    by: str
    confirmed: str | None
    wanted: Wanted
    cuts: Sequence[int] = ()


@dataclass
class _Zip:
    """A zip that is written once from its beginning to its end, and what was written into it."""

    archive: zipfile.ZipFile
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @contextmanager
    def entry(self, name: str) -> Iterator["_Entry"]:
        about = zipfile.ZipInfo(name, _ZIP_DATE)
        about.compress_type, about.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
        with self.archive.open(about, "w", force_zip64=True) as file:
            entry = _Entry(file)
            yield entry
        self.files[name] = {"sha256": entry.digest.hexdigest(), "bytes": entry.size}

    def write(self, name: str, data: bytes) -> None:
        with self.entry(name) as entry:
            entry.write(data)


class _Entry:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.digest.update(data)
        self.size += len(data)

    def line(self, content: dict[str, Any]) -> None:
        self.write(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")


def write_bundle(
    db: Database,
    log: AuditLog,
    clock: Clock,
    path: Path,
    order: Order,
    *,
    progress: Progress = lambda _: None,
) -> Made:
    """Write a bundle; it appears whole or not at all.

    The manifest's hash becomes an event of the log, whose proof is the manifest's signature: no key is used that signs
    anything but heads.

    Args:
        db: the room's database; nothing is held while the events are written.
        log: the room's.
        clock: tells the time.
        path: where the bundle is to be; a file that is there is replaced.
        order: who wants which.
        progress: is told how many events are written, now and then.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with (
            os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b") as file,
            zipfile.ZipFile(file, "w", compresslevel=_EFFORT) as archive,
        ):
            out = _Zip(archive)
            for name in _PLAIN:
                out.write(name, files("cleanroom.evidence").joinpath("files", name).read_bytes())
            with db.reading() as tx:
                head = open_note(note := log.head(tx), log.verifier_key)
                events = _write_log(tx, out, order, head, note, progress)
            manifest = canonical_json(
                {
                    "v": 1,
                    "format": FORMAT,
                    "bundle_id": order.bundle_id,
                    "made_at": rfc3339(clock.now()),
                    "origin": head.origin,
                    "verifier_key": log.verifier_key,
                    "wanted": order.wanted.as_data(),
                    "checkpoint": note,
                    "size": head.size,
                    "events": events,
                    "files": out.files,
                }
            )
            digest = hashlib.sha256(manifest).hexdigest()
            proven, consistency = _vouch(db, log, order, digest, head, events)
            archive.writestr(_info(_MANIFEST), manifest)
            archive.writestr(_info(_PROOF), _proof(proven, consistency))
        sha256, size = _sync(partial)
        partial.replace(path)
        sync_directory(path.parent)
    finally:
        partial.unlink(missing_ok=True)
    return Made(events, head.size, digest, sha256, size)


def _write_log(
    tx: Transaction, out: _Zip, order: Order, head: Checkpoint, note: str, progress: Progress
) -> int:
    receipts = array("q")
    with out.entry("receipts.jsonl") as entry:
        for index, size in _receipts(tx, order.wanted, head.size):
            entry.line({"index": index, "size": size})
            if not receipts or receipts[-1] != size:
                receipts.append(size)
    published = published_sizes(tx, up_to=head.size, most=MOST_PUBLISHED)
    sizes = array("q", _once(heapq.merge(receipts, published, (head.size,))))
    with out.entry("checkpoints.jsonl") as entry:
        for size, found in _notes(tx, sizes, head, note):
            entry.line({"size": size, "note": found})
    for name, kinds in _VIEWS:
        with out.entry(name) as entry:
            for event in shown_events(tx, order.wanted, size=head.size, kinds=kinds):
                entry.line(_view(event))
    # A bundle can be compared with a checkpoint of any of these sizes.
    cuts = heapq.merge(sizes, sorted(size for size in order.cuts if 0 < size < head.size))
    with out.entry("events.jsonl") as entry:
        return _write_events(
            tx, entry, shown_events(tx, order.wanted, size=head.size), head.size, cuts, progress
        )


def _write_events(
    tx: Transaction,
    entry: _Entry,
    events: Iterable[Shown],
    size: int,
    cuts: Iterable[int],
    progress: Progress,
) -> int:
    """Write events, and between them the hashes of what is not shown; returns how many events."""
    count = 0
    for some in _batches(laid_out(events, size, cuts)):
        hashes = read_hashes(tx, [one for one in some if isinstance(one, Hidden)])
        for one in some:
            if isinstance(one, Shown):
                entry.line({"index": one.index, "record": one.record.decode()})
                count += 1
                if count % _STEP == 0:
                    progress(count)
            else:
                node = base64.b64encode(hashes[one]).decode("ascii")
                entry.line({"index": one.start, "leaves": one.leaves, "hash": node})
    progress(count)
    return count


def _batches(items: Iterable[Shown | Hidden]) -> Iterator[list[Shown | Hidden]]:
    ahead = iter(items)
    while some := list(islice(ahead, _AT_ONCE)):
        yield some


def _receipts(tx: Transaction, wanted: Wanted, size: int) -> Iterator[tuple[int, int]]:
    """Yield, for each released or refused answer, its place and the size of the log that its receipt's proof leads to.

    The proof itself is not needed: whoever has rebuilt the tree has seen that the answer is in it.
    """
    kept = _sizes_kept(tx, size)
    reaches = 0
    for event in shown_events(tx, wanted, size=size, kinds=RECEIPTS):
        while reaches <= event.index:
            reaches = next(kept, size)
        yield event.index, reaches


def _sizes_kept(tx: Transaction, size: int) -> Iterator[int]:
    after = 0
    while True:
        page = select(AuditCheckpoint.size).where(AuditCheckpoint.size > after, AuditCheckpoint.size <= size)
        found = tx.session.scalars(page.order_by(AuditCheckpoint.size).limit(_STEP)).all()
        if not found:
            return
        yield from found
        after = found[-1]


def _notes(tx: Transaction, sizes: Sequence[int], head: Checkpoint, note: str) -> Iterator[tuple[int, str]]:
    """Yield the signed heads of these sizes, with the lines of witnesses where there are any."""
    for first in range(0, len(sizes), _NOTES_AT_ONCE):
        some = list(sizes[first : first + _NOTES_AT_ONCE])
        kept = select(AuditCheckpoint.size, AuditCheckpoint.note).where(AuditCheckpoint.size.in_(some))
        found = {head.size: note} | dict(tx.session.execute(kept).all())
        found |= {one.size: one.note for one in published_of_sizes(tx, some)}
        yield from ((size, found[size]) for size in some)


def _once(sizes: Iterable[int]) -> Iterator[int]:
    last = 0
    for size in sizes:
        if size > last:
            yield size
        last = size


def _view(event: Shown) -> dict[str, Any]:
    content = json.loads(event.record)
    return {"index": event.index} | {
        name: content[name] for name in ("at", "kind", "organisation", "subject", "body")
    }


def _vouch(
    db: Database, log: AuditLog, order: Order, manifest_sha256: str, head: Checkpoint, events: int
) -> tuple[Proven, list[bytes]]:
    with db.transaction() as tx:
        pending = tx.audit(
            MADE,
            subject_id=order.bundle_id,
            organisation_id=order.organisation_id,
            body={
                "manifest_sha256": manifest_sha256,
                "wanted": order.wanted.as_data(),
                "size": head.size,
                "events": events,
                "by": order.by,
                "confirmed": order.confirmed,
            },
            prove=True,
        )
    proven = pending.proven
    assert proven is not None
    with db.reading() as tx:
        return proven, log.consistency(tx, head.size, open_note(proven.checkpoint, log.verifier_key).size)


def _proof(proven: Proven, consistency: Sequence[bytes]) -> bytes:
    content = {
        "v": 1,
        "index": proven.index,
        "record": proven.record.decode(),
        "proof": [base64.b64encode(node).decode("ascii") for node in proven.proof],
        "checkpoint": proven.checkpoint,
        "consistency": [base64.b64encode(node).decode("ascii") for node in consistency],
    }
    return json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"


def _info(name: str) -> zipfile.ZipInfo:
    about = zipfile.ZipInfo(name, _ZIP_DATE)
    about.compress_type, about.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    return about


def _sync(path: Path) -> tuple[str, int]:
    """Make a file's bytes durable; returns their hash and how many there are."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size
