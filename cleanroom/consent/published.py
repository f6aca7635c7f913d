"""What an auditor checks of consents: the sealed file of every epoch that has one; no key needed."""

from collections.abc import Iterator

from sqlalchemy import select

from cleanroom.audit.files import PublishedFiles
from cleanroom.consent.models import ConsentEpochRow
from cleanroom.consent.service import withdrawals_file
from cleanroom.datasets.files import files_root
from cleanroom.db.database import Transaction


def published_epochs(tx: Transaction) -> Iterator[PublishedFiles]:
    """List the sealed withdrawals of every consent epoch.

    Args:
        tx: reads the room's SQL store.

    Yields:
        One item per epoch with withdrawals, with the hash over its list recomputed from the row.
    """
    sealed = select(ConsentEpochRow).where(ConsentEpochRow.object_key.is_not(None))
    for epoch in tx.session.scalars(sealed.order_by(ConsentEpochRow.id)).all():
        if epoch.file_id is None:
            # Somebody edited the row: without its identity no file can be the one that the log states.
            yield PublishedFiles(epoch.id, "", ())
            continue
        file = withdrawals_file(epoch)
        yield PublishedFiles(epoch.id, files_root([file]), [(file.object_key, file.ciphertext_sha256)])
