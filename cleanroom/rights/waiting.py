"""What keeps a question waiting for people's sake: consents that are in doubt, and erasures that are not done."""

from sqlalchemy import bindparam, select

from cleanroom.consent.checks import OPEN_CHECK
from cleanroom.db.base import Base
from cleanroom.db.database import Transaction
from cleanroom.rights.models import WAITING_ERASURE, ErasureRow

_ERASURES = Base.metadata.tables[ErasureRow.__tablename__].c
# Made once, and one statement for both: every question runs it.
_WAITING = select(
    OPEN_CHECK.exists(),
    select(_ERASURES.id).where(_ERASURES.dataset_id == bindparam("base_id"), WAITING_ERASURE).exists(),
)


def waiting(tx: Transaction, dataset_id: str, base_id: str) -> tuple[bool, bool]:
    """Tell what a question has to wait for.

    Returns:
        Whether the owner has to confirm the consents of the dataset after a restore; whether people of the base are to
        be erased and its files were not written anew yet.
    """
    in_doubt, erasing = tx.connection.execute(_WAITING, {"dataset_id": dataset_id, "base_id": base_id}).one()
    return bool(in_doubt), bool(erasing)
