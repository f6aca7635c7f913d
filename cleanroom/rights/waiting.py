"""Whether people of a table are to be erased and its files were not written anew yet."""

from sqlalchemy import bindparam, literal, select

from cleanroom.db.base import Base
from cleanroom.db.database import Transaction
from cleanroom.rights.models import WAITING_ERASURE, ErasureRow

_ERASURES = Base.metadata.tables[ErasureRow.__tablename__].c
# Made once: every question runs it.
_WAITING = select(literal(1)).where(_ERASURES.dataset_id == bindparam("dataset_id"), WAITING_ERASURE).limit(1)


def erasing(tx: Transaction, dataset_id: str) -> bool:
    """Tell whether a request to erase somebody of a dataset or base waits for its pass."""
    return tx.connection.scalar(_WAITING, {"dataset_id": dataset_id}) is not None
