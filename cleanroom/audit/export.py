"""The log as JSON lines that anyone can check with tools of their own."""

import base64
import json
from collections.abc import Iterator

from sqlalchemy import select

from cleanroom.audit.models import AuditEvent
from cleanroom.audit.reader import AuditReader, node_source
from cleanroom.db.database import Transaction
from crypto.checkpoint import open_note
from crypto.merkle import inclusion_from

_ROWS_AT_ONCE = 1_000


def export_events(
    tx: Transaction, *, verifier_key: str, start: int = 0, end: int | None = None, proofs: bool = True
) -> Iterator[str]:
    """Write a part of the log, its signed head and each event's inclusion proof.

    The first line is `{"v", "checkpoint", "verifier_key"}`, each further one `{"index", "record", "proof"}`:
    `record` is the canonical JSON text whose UTF-8 bytes the leaf hashes, `proof` its sibling hashes in
    base64, lowest first, against the checkpoint.

    Args:
        tx: any transaction.
        verifier_key: the room's public verifier key, for the first line.
        start: first index.
        end: the index to stop before; the log's size when not given.
        proofs: leave the proofs out when False; the whole log then suffices to recompute the root.

    Yields:
        Lines without their newline, in bounded memory.
    """
    note = AuditReader().head(tx)
    size = open_note(note, verifier_key).size
    yield json_line({"v": 1, "checkpoint": note, "verifier_key": verifier_key})
    source = node_source(tx.session)
    stop = size if end is None else min(end, size)
    for first in range(start, stop, _ROWS_AT_ONCE):
        rows = select(AuditEvent.index, AuditEvent.record).where(
            AuditEvent.index >= first, AuditEvent.index < min(first + _ROWS_AT_ONCE, stop)
        )
        for index, record in tx.session.execute(rows.order_by(AuditEvent.index)).all():
            line: dict[str, object] = {"index": index, "record": record.decode("utf-8")}
            if proofs:
                proof = inclusion_from(source, index, size)
                line["proof"] = [base64.b64encode(node).decode("ascii") for node in proof]
            yield json_line(line)


def json_line(content: dict[str, object]) -> str:
    """Write one line of JSON."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
