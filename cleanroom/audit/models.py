"""Tables of the audit log, and the triggers that keep them append-only."""

from datetime import datetime

from sqlalchemy import BigInteger, Connection, Integer, LargeBinary, String, Table, event
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base

# SQLite has one integer type, and only its own name for it makes the fast kind of primary key.
_BIG = BigInteger().with_variant(Integer, "sqlite")


class AuditEvent(Base):
    """One event; `record` is what is hashed, the columns before it repeat parts of it for searching."""

    __tablename__ = "audit_events"

    index: Mapped[int] = mapped_column(_BIG, primary_key=True, autoincrement=False)
    recorded_at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(100), index=True)
    organisation_id: Mapped[str | None] = mapped_column(String(40), index=True)
    subject_id: Mapped[str] = mapped_column(String(100), index=True)
    dataset_id: Mapped[str | None] = mapped_column(String(40), index=True)
    record: Mapped[bytes] = mapped_column(LargeBinary)
    leaf_hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class AuditNode(Base):
    """The hash of one complete subtree above the leaves.

    Keyed by the event that completed it, not by its position: verifiers recompute the nodes in this order, so
    one pass over both tables suffices. The node's position in its level is `closed_by >> level`.
    """

    __tablename__ = "audit_nodes"

    closed_by: Mapped[int] = mapped_column(_BIG, primary_key=True, autoincrement=False)
    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class AuditCheckpoint(Base):
    """A signed head that was given out."""

    __tablename__ = "audit_checkpoints"

    size: Mapped[int] = mapped_column(_BIG, primary_key=True, autoincrement=False)
    note: Mapped[str]


class AuditHead(Base):
    """The signed head of the whole log: one row, replaced with every append, so that no event is unsigned."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(_BIG)
    note: Mapped[str]
    # The hashes of the tree's peaks, widest first, so that whoever appends next reads one row.
    peaks: Mapped[bytes | None] = mapped_column(LargeBinary)


APPEND_ONLY_TABLES = ("audit_events", "audit_nodes", "audit_checkpoints")
_KEYS = {"audit_events": ("index",), "audit_nodes": ("closed_by", "level"), "audit_checkpoints": ("size",)}
_REFUSAL = "the audit log is append-only"


def append_only_statements(table: str, dialect: str) -> tuple[str, ...]:
    """Return the DDL that makes the database itself refuse to change or delete rows of an audit table.

    Run when the metadata creates the table, and by the migration that creates it.

    Args:
        table: one of APPEND_ONLY_TABLES.
        dialect: `sqlite` or `postgresql`.

    Returns:
        Statements to run one by one, in order.
    """
    if dialect == "postgresql":
        return (
            "CREATE OR REPLACE FUNCTION cleanroom_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$",
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION cleanroom_refuse_change()",
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION cleanroom_refuse_change()",
        )
    same_key = " AND ".join(f'"{column}" = NEW."{column}"' for column in _KEYS[table])
    refuse = f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    same_row = f"SELECT 1 FROM {table} WHERE {same_key}"  # noqa: S608 - names are constants of this file
    return (
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
        # INSERT OR REPLACE deletes the old row without asking the trigger above.
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN EXISTS ({same_row}) {refuse}",
    )


def _protect(table: Table, connection: Connection, **_options: object) -> None:
    for statement in append_only_statements(table.name, connection.dialect.name):
        connection.exec_driver_sql(statement)


for _name in APPEND_ONLY_TABLES:
    event.listen(Base.metadata.tables[_name], "after_create", _protect)
