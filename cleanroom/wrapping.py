"""Key-encryption keys that come and go with a transaction: made before what they wrap, destroyed after its commit."""

from datetime import datetime

from sqlalchemy import String, event, select
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base
from cleanroom.db.database import Transaction
from crypto.keys import KeyProvider


class RetiredKekRow(Base):
    """A key-encryption key that is to be destroyed, or is."""

    __tablename__ = "retired_keks"

    kek_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    # None for keys of the room itself.
    workspace_id: Mapped[str | None] = mapped_column(String(40), index=True)
    retired_at: Mapped[datetime]


def make_kek(tx: Transaction, keys: KeyProvider, label: str) -> str:
    """Make a key-encryption key; it is destroyed again if the transaction is rolled back.

    Args:
        tx: the caller's transaction, which stores something under the key.
        keys: where it is made.
        label: for people; it is not secret.

    Returns:
        The key's id.
    """
    kek_id = keys.create_kek(label)
    event.listen(tx.session, "after_rollback", lambda _session: keys.destroy(kek_id), once=True)
    return kek_id


def retire_kek(
    tx: Transaction, keys: KeyProvider, kek_id: str, *, now: datetime, workspace_id: str | None = None
) -> None:
    """Have a key-encryption key destroyed once the transaction has committed.

    Args:
        tx: the transaction after which nothing stands under the key any more.
        keys: where it is.
        kek_id: which.
        now: the instant.
        workspace_id: whose it was; None for a key of the room itself.
    """
    # Written down first, so that `destroy_retired` finishes after a crash; and destroyed not before the commit,
    # because a rollback would leave SQL pointing at a key that is gone.
    tx.session.add(RetiredKekRow(kek_id=kek_id, workspace_id=workspace_id, retired_at=now))
    tx.session.flush()
    event.listen(tx.session, "after_commit", lambda _session: keys.destroy(kek_id), once=True)


def destroy_retired(tx: Transaction, keys: KeyProvider) -> tuple[str, ...]:
    """Destroy retired keys that a crash just after the commit left behind.

    Returns:
        The ids of the keys destroyed.
    """
    retired = set(tx.session.scalars(select(RetiredKekRow.kek_id)))
    left_over = tuple(kek_id for kek_id in keys.kek_ids() if kek_id in retired)
    for kek_id in left_over:
        keys.destroy(kek_id)
    return left_over
