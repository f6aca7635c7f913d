"""The log: by dataset, its peaks beside its head, published heads, checks, and bundles of evidence.

Revision: 0018
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
AT_ONCE = 5_000
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("audit_events", sa.Column("dataset_id", sa.String(length=40), nullable=True))
    _fill_in()
    op.create_index(op.f("ix_audit_events_dataset_id"), "audit_events", ["dataset_id"], unique=False)
    op.add_column("audit_head", sa.Column("peaks", sa.LargeBinary(), nullable=True))
    op.create_table(
        "audit_published",
        sa.Column("size", BIG, autoincrement=False, nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("published_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_audit_published")),
    )
    op.create_table(
        "audit_cosignatures",
        sa.Column("size", BIG, autoincrement=False, nullable=False),
        sa.Column("witness", sa.String(length=255), nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("cosigned_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("size", "witness", name=op.f("pk_audit_cosignatures")),
    )
    op.create_table(
        "audit_witnesses",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("detail", sa.String(length=100), nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("tried_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_audit_witnesses")),
    )
    op.create_table(
        "audit_checks",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=True),
        sa.Column("asked_by", sa.String(length=40), nullable=True),
        sa.Column("asked_at", INSTANT, nullable=False),
        sa.Column("start", BIG, nullable=False),
        sa.Column("stop", BIG, nullable=True),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("size", BIG, nullable=True),
        sa.Column("root", sa.String(length=64), nullable=True),
        sa.Column("problems", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_checks")),
    )
    op.create_index("ix_audit_checks_state", "audit_checks", ["state", "id"], unique=False)
    op.create_index(op.f("ix_audit_checks_organisation_id"), "audit_checks", ["organisation_id"])
    op.create_table(
        "evidence_bundles",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("asked_by", sa.String(length=40), nullable=False),
        sa.Column("confirmed", sa.String(length=40), nullable=True),
        sa.Column("asked_at", INSTANT, nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("progress", BIG, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("failure", sa.String(length=100), nullable=True),
        sa.Column("size", BIG, nullable=True),
        sa.Column("events", BIG, nullable=True),
        sa.Column("bytes", BIG, nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_evidence_bundles_organisation_id_organisations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence_bundles")),
    )
    op.create_index("ix_evidence_bundles_listed", "evidence_bundles", ["organisation_id", "id"])
    op.create_index(op.f("ix_evidence_bundles_state"), "evidence_bundles", ["state"])


def downgrade() -> None:
    op.drop_table("evidence_bundles")
    op.drop_table("audit_checks")
    op.drop_table("audit_witnesses")
    op.drop_table("audit_cosignatures")
    op.drop_table("audit_published")
    op.drop_column("audit_head", "peaks")
    op.drop_index(op.f("ix_audit_events_dataset_id"), table_name="audit_events")
    op.drop_column("audit_events", "dataset_id")


def _fill_in() -> None:
    """Fill the new column of the events there are; the rest of a row, and what is hashed of it, stays as it is."""
    connection = op.get_bind()
    on_postgresql = connection.dialect.name == "postgresql"
    guard = "audit_events_append_only" if on_postgresql else "audit_events_no_update"
    if on_postgresql:
        connection.exec_driver_sql(f"ALTER TABLE audit_events DISABLE TRIGGER {guard}")
    else:
        again = connection.execute(
            sa.text("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = :name"), {"name": guard}
        ).scalar_one()
        connection.exec_driver_sql(f"DROP TRIGGER {guard}")
    events = sa.table(
        "audit_events",
        sa.column("index", sa.BigInteger()),
        sa.column("subject_id", sa.String()),
        sa.column("record", sa.LargeBinary()),
        sa.column("dataset_id", sa.String()),
    )
    fill = (
        sa.update(events)
        .where(events.c.index == sa.bindparam("at"))
        .values(dataset_id=sa.bindparam("filled"))
    )
    after = -1
    while True:
        page = sa.select(events.c.index, events.c.subject_id, events.c.record).where(events.c.index > after)
        rows = connection.execute(page.order_by(events.c.index).limit(AT_ONCE)).all()
        if not rows:
            break
        after = rows[-1][0]
        found = [
            {"at": index, "filled": dataset_id}
            for index, subject_id, record in rows
            if (dataset_id := _dataset_of(subject_id, record)) is not None
        ]
        if found:
            connection.execute(fill, found)
    enable = f"ALTER TABLE audit_events ENABLE TRIGGER {guard}" if on_postgresql else again
    connection.exec_driver_sql(enable)


def _dataset_of(subject_id: str, record: bytes) -> str | None:
    stated = json.loads(record)["body"].get("dataset_id")
    for one in (subject_id, stated):
        if isinstance(one, str) and one.startswith("ds_") and len(one) <= 40:
            return one
    return None
