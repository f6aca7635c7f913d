"""Rights: erasures, passes over files, periods of retention, acts of destruction.

Revision: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.String(length=length), nullable=nullable)


def _instant(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _of(table: str, column: str, parent: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=op.f(f"fk_{table}_{column}_{parent}"))


def upgrade() -> None:
    op.create_table(
        "erasures",
        _text("id", 40),
        _text("dataset_id", 40),
        _text("organisation_id", 40),
        _text("asked_by", 80),
        _instant("asked_at"),
        _text("reason", 20),
        _text("reference", 80),
        _text("commitment", 64),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        _text("state", 10),
        _text("compaction_id", 40, nullable=True),
        _instant("erased_at", nullable=True),
        _of("erasures", "dataset_id", "datasets"),
        _of("erasures", "organisation_id", "organisations"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
        sa.UniqueConstraint("dataset_id", "commitment", name=op.f("uq_erasures_dataset_id_commitment")),
    )
    op.create_index("ix_erasures_listed", "erasures", ["dataset_id", "id"])
    op.create_index(op.f("ix_erasures_organisation_id"), "erasures", ["organisation_id"])
    op.create_table(
        "compactions",
        _text("id", 40),
        _text("dataset_id", 40),
        _text("organisation_id", 40),
        _text("why", 10),
        _text("state", 10),
        _instant("asked_at"),
        _instant("due_at"),
        _instant("started_at", nullable=True),
        _instant("ended_at", nullable=True),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        _text("failure", 80, nullable=True),
        sa.Column("through_epoch", sa.BigInteger(), nullable=True),
        _instant("collected_before", nullable=True),
        _of("compactions", "dataset_id", "datasets"),
        _of("compactions", "organisation_id", "organisations"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compactions")),
    )
    op.create_index("ix_compactions_due", "compactions", ["state", "due_at"])
    op.create_index("ix_compactions_listed", "compactions", ["dataset_id", "id"])
    op.create_table(
        "compacted_versions",
        _text("version_id", 40),
        _text("dataset_id", 40),
        _text("compaction_id", 40),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        _instant("at"),
        _of("compacted_versions", "version_id", "dataset_versions"),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_compacted_versions")),
    )
    op.create_index(op.f("ix_compacted_versions_dataset_id"), "compacted_versions", ["dataset_id"])
    op.create_table(
        "replaced_files",
        _text("object_key", 160),
        _text("compaction_id", 40),
        sa.PrimaryKeyConstraint("object_key", name=op.f("pk_replaced_files")),
    )
    op.create_index(op.f("ix_replaced_files_compaction_id"), "replaced_files", ["compaction_id"])
    op.create_table(
        "retention_rules",
        _text("dataset_id", 40),
        _text("organisation_id", 40),
        sa.Column("version_days", sa.Integer(), nullable=True),
        sa.Column("retain_until", sa.Date(), nullable=True),
        sa.Column("collected_days", sa.Integer(), nullable=True),
        sa.Column("warn_days", sa.Integer(), nullable=False),
        _text("set_by", 80),
        _instant("set_at"),
        _of("retention_rules", "dataset_id", "datasets"),
        _of("retention_rules", "organisation_id", "organisations"),
        sa.PrimaryKeyConstraint("dataset_id", name=op.f("pk_retention_rules")),
    )
    op.create_table(
        "retention_warnings",
        _text("version_id", 40),
        sa.Column("due_on", sa.Date(), nullable=False),
        _instant("warned_at"),
        sa.PrimaryKeyConstraint("version_id", "due_on", name=op.f("pk_retention_warnings")),
    )
    op.create_table(
        "destruction_acts",
        _text("id", 40),
        _text("organisation_id", 40),
        sa.Column("number", sa.Integer(), nullable=False),
        _text("kind", 20),
        _text("subject_id", 40),
        sa.Column("event_index", sa.BigInteger(), nullable=False),
        _instant("destroyed_at"),
        _instant("made_at"),
        _text("sha256", 64),
        sa.Column("document", sa.JSON(), nullable=False),
        _of("destruction_acts", "organisation_id", "organisations"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_destruction_acts")),
        sa.UniqueConstraint("event_index", name=op.f("uq_destruction_acts_event_index")),
        sa.UniqueConstraint(
            "organisation_id", "number", name=op.f("uq_destruction_acts_organisation_id_number")
        ),
    )


def downgrade() -> None:
    op.drop_table("destruction_acts")
    op.drop_table("retention_warnings")
    op.drop_table("retention_rules")
    op.drop_table("replaced_files")
    op.drop_table("compacted_versions")
    op.drop_table("compactions")
    op.drop_table("erasures")
