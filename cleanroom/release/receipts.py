"""Issuing receipts: the log's record of a release or refusal, with the proof of its place and a signed checkpoint."""

from pathlib import Path

from cleanroom.audit.log import AuditLog
from cleanroom.client.receipts import KINDS, assemble_receipt
from cleanroom.db.database import Proven, Transaction
from crypto.checkpoint import open_note
from crypto.durable import write_private


class Receipts:
    """The room's folder of receipts; a file can always be made again from the log."""

    def __init__(self, log: AuditLog, directory: Path) -> None:
        self._log = log
        self._directory = directory

    def issue(self, tx: Transaction, analysis_id: str) -> Path:
        """Make the receipt of an analysis again, with a checkpoint of the log as it is now.

        Args:
            tx: a writing transaction, for the checkpoint.
            analysis_id: names the file.

        Returns:
            The file; it appears whole or not at all.
        """
        index = self._log.find(tx, subject_id=analysis_id, kinds=KINDS)
        note = self._log.checkpoint(tx)
        size = open_note(note, self._log.verifier_key).size
        proven = Proven(
            record=self._log.record(tx, index),
            index=index,
            proof=tuple(self._log.inclusion(tx, index, size)),
            checkpoint=note,
        )
        return self.write(analysis_id, proven)

    def write(self, analysis_id: str, proven: Proven) -> Path:
        """Write the receipt of an analysis whose release or refusal has just been committed.

        Args:
            analysis_id: names the file.
            proven: what the log said for it as the transaction ended.

        Returns:
            The file; it appears whole or not at all.
        """
        receipt = assemble_receipt(
            record=proven.record, index=proven.index, proof=list(proven.proof), checkpoint=proven.checkpoint
        )
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = self.place(analysis_id)
        write_private(target, receipt, replace=True)
        return target

    def kept(self, analysis_id: str) -> Path | None:
        """Return the receipt that was written when the analysis was answered, if it is still there."""
        target = self.place(analysis_id)
        return target if target.exists() else None

    def place(self, analysis_id: str) -> Path:
        """Return where the receipt of an analysis lies once it is written."""
        return self._directory / f"{analysis_id}.json"
