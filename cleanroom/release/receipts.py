"""Issuing receipts: the log's record of a release or refusal, with the proof of its place and a signed checkpoint."""

from pathlib import Path

from cleanroom.audit.log import AuditLog
from cleanroom.client.receipts import KINDS, assemble_receipt
from cleanroom.db.database import Transaction
from crypto.checkpoint import open_note
from crypto.durable import write_private


class Receipts:
    """The room's folder of receipts; a file can always be made again from the log."""

    def __init__(self, log: AuditLog, directory: Path) -> None:
        self._log = log
        self._directory = directory

    def issue(self, tx: Transaction, analysis_id: str) -> Path:
        """Write the receipt of an analysis whose release or refusal was committed before.

        Args:
            tx: a writing transaction, for the checkpoint.
            analysis_id: names the file.

        Returns:
            The file; it appears whole or not at all.
        """
        index = self._log.find(tx, subject_id=analysis_id, kinds=KINDS)
        note = self._log.checkpoint(tx)
        size = open_note(note, self._log.verifier_key).size
        receipt = assemble_receipt(
            record=self._log.record(tx, index),
            index=index,
            proof=self._log.inclusion(tx, index, size),
            checkpoint=note,
        )
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = self._directory / f"{analysis_id}.json"
        write_private(target, receipt, replace=True)
        return target
