"""Rows that may be added once."""

from collections.abc import Mapping

from sqlalchemy.dialects import postgresql, sqlite

from cleanroom.access.models import RevokedTokenRow, UsedAssertionRow
from cleanroom.db.database import Transaction


def insert_new(
    tx: Transaction, table: type[UsedAssertionRow | RevokedTokenRow], values: Mapping[str, object]
) -> bool:
    """Add a row unless its key is taken; another transaction that is adding it is waited for.

    Returns:
        Whether it was added: of several who try at once, on any number of hosts, one is told so.
    """
    dialect = sqlite if tx.connection.dialect.name == "sqlite" else postgresql
    adding = dialect.insert(table).values(values).on_conflict_do_nothing()
    return tx.session.execute(adding.returning(table.client_id)).first() is not None
