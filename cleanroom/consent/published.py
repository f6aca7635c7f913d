"""What an auditor checks of consents: the sealed file of every epoch and list that has one; no key needed."""

from collections.abc import Iterator

from sqlalchemy import select

from cleanroom.audit.files import PublishedFiles
from cleanroom.consent.bar_segments import segment_file
from cleanroom.consent.files import rooted
from cleanroom.consent.list_files import list_file
from cleanroom.consent.models import ConsentEpochRow
from cleanroom.consent.optout_models import BarSegmentRow, OptOutListRow
from cleanroom.datasets.files import files_root
from cleanroom.db.database import Transaction


def published_epochs(tx: Transaction) -> Iterator[PublishedFiles]:
    """List the sealed changes of every consent epoch.

    Args:
        tx: reads the room's SQL store.

    Yields:
        One item per epoch with changes, with the hash over its list recomputed from the row.
    """
    sealed = select(ConsentEpochRow).where(ConsentEpochRow.object_key.is_not(None))
    for epoch in tx.session.scalars(sealed.order_by(ConsentEpochRow.id)).all():
        if epoch.file_id is None:
            # Somebody edited the row: without its identity no file can be the one that the log states.
            yield PublishedFiles(epoch.id, "", ())
            continue
        try:
            files = rooted(tx, epoch)
        except ValueError:
            # A role that does not exist, so no list in the log can be this one.
            yield PublishedFiles(epoch.id, "", ())
            continue
        named = [(file.object_key, file.ciphertext_sha256) for file in files]
        yield PublishedFiles(epoch.id, files_root(files), named)


def published_opt_outs(tx: Transaction) -> Iterator[PublishedFiles]:
    """List the sealed entries of every batch of opt-outs, and the sealed bars of every dataset.

    Args:
        tx: reads the room's SQL store.

    Yields:
        One item per file, with the hash over its list recomputed from the row.
    """
    for entry in tx.session.scalars(select(OptOutListRow).order_by(OptOutListRow.id)).all():
        file = list_file(entry)
        yield PublishedFiles(entry.id, files_root([file]), [(file.object_key, file.ciphertext_sha256)])
    sealed = select(BarSegmentRow).where(BarSegmentRow.object_key.is_not(None))
    for segment in tx.session.scalars(sealed.order_by(BarSegmentRow.id)).all():
        if segment.file_id is None:
            yield PublishedFiles(segment.id, "", ())
            continue
        file = segment_file(segment)
        yield PublishedFiles(segment.id, files_root([file]), [(file.object_key, file.ciphertext_sha256)])
