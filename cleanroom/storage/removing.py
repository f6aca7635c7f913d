"""Removing objects that a transaction replaces, once it has committed."""

from collections.abc import Collection

from sqlalchemy import event

from cleanroom.db.database import Transaction
from cleanroom.storage.types import ObjectStore


def delete_after_commit(tx: Transaction, store: ObjectStore, keys: Collection[str]) -> None:
    """Remove replaced objects once the transaction has committed; a crash leaves them to `recover`."""

    def remove(_session: object) -> None:
        for key in keys:
            store.delete(key)

    event.listen(tx.session, "after_commit", remove, once=True)
