"""Opt-outs across datasets: accepted batches, what each dataset did with them, and where their sealed files are.

Revision: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "opt_outs",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=True),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("action", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("reference", sa.String(length=80), nullable=False),
        sa.Column("submitted", sa.Integer(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opt_outs")),
    )
    op.create_index("ix_opt_outs_listed", "opt_outs", ["organisation_id", "id"], unique=False)
    op.create_table(
        "opt_out_lists",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("opt_out_id", sa.String(length=40), nullable=False),
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("keys", sa.JSON(), nullable=False),
        sa.Column("token_key_version", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.String(length=32), nullable=False),
        sa.Column("ciphertext_sha256", sa.String(length=64), nullable=False),
        sa.Column("object_key", sa.String(length=160), nullable=False),
        sa.ForeignKeyConstraint(
            ["opt_out_id"], ["opt_outs.id"], name=op.f("fk_opt_out_lists_opt_out_id_opt_outs")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opt_out_lists")),
        sa.UniqueConstraint("workspace_id", "number", name=op.f("uq_opt_out_lists_workspace_id_number")),
        sa.UniqueConstraint("object_key", name=op.f("uq_opt_out_lists_object_key")),
    )
    op.create_index(op.f("ix_opt_out_lists_opt_out_id"), "opt_out_lists", ["opt_out_id"], unique=False)
    op.create_table(
        "opt_out_outcomes",
        sa.Column("opt_out_id", sa.String(length=40), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=True),
        sa.Column("applied", sa.JSON(), nullable=False),
        sa.Column("not_applied", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["opt_out_id"], ["opt_outs.id"], name=op.f("fk_opt_out_outcomes_opt_out_id_opt_outs")
        ),
        sa.PrimaryKeyConstraint("opt_out_id", "dataset_id", name=op.f("pk_opt_out_outcomes")),
    )
    op.create_index(op.f("ix_opt_out_outcomes_dataset_id"), "opt_out_outcomes", ["dataset_id"], unique=False)
    op.create_table(
        "bar_segments",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("token_key_version", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.String(length=32), nullable=True),
        sa.Column("ciphertext_sha256", sa.String(length=64), nullable=True),
        sa.Column("object_key", sa.String(length=160), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bar_segments")),
        sa.UniqueConstraint("object_key", name=op.f("uq_bar_segments_object_key")),
    )
    op.create_index("ix_bar_segments_epochs", "bar_segments", ["dataset_id", "epoch"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_bar_segments_epochs", table_name="bar_segments")
    op.drop_table("bar_segments")
    op.drop_index(op.f("ix_opt_out_outcomes_dataset_id"), table_name="opt_out_outcomes")
    op.drop_table("opt_out_outcomes")
    op.drop_index(op.f("ix_opt_out_lists_opt_out_id"), table_name="opt_out_lists")
    op.drop_table("opt_out_lists")
    op.drop_index("ix_opt_outs_listed", table_name="opt_outs")
    op.drop_table("opt_outs")
