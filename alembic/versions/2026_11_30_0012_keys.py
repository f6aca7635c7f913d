"""Keys: rotations that a worker runs, deeds that take two people, retired keys of the room itself, last use of clients.

Revision: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("retired_keks") as table:
        table.alter_column("workspace_id", existing_type=sa.String(length=40), nullable=True)
        table.drop_constraint(op.f("fk_retired_keks_workspace_id_workspaces"), type_="foreignkey")
    op.add_column("api_clients", sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "key_rotations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("what", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("asked_by", sa.String(length=80), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failure", sa.String(length=80), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_key_rotations_organisation_id_organisations"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_key_rotations_workspace_id_workspaces")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key_rotations")),
    )
    op.create_index("ix_key_rotations_listed", "key_rotations", ["organisation_id", "id"])
    op.create_index("ix_key_rotations_due", "key_rotations", ["state", "due_at"])
    op.create_index(op.f("ix_key_rotations_workspace_id"), "key_rotations", ["workspace_id"])
    op.create_table(
        "four_eyes_asks",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("deed", sa.String(length=30), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("asked_by", sa.String(length=40), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lapses_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("ended_by", sa.String(length=40), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_four_eyes_asks_organisation_id_organisations"),
        ),
        sa.ForeignKeyConstraint(["asked_by"], ["users.id"], name=op.f("fk_four_eyes_asks_asked_by_users")),
        sa.ForeignKeyConstraint(["ended_by"], ["users.id"], name=op.f("fk_four_eyes_asks_ended_by_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_four_eyes_asks")),
    )
    op.create_index("ix_four_eyes_asks_listed", "four_eyes_asks", ["organisation_id", "id"])
    op.create_index("ix_four_eyes_asks_state", "four_eyes_asks", ["state", "lapses_at"])
    # What the first page reads in a room that is full.
    op.create_index("ix_analyses_newest", "analyses", ["dataset_id", "id"])
    op.drop_index("ix_usage_records_month", table_name="usage_records")
    op.create_index(
        "ix_usage_records_month",
        "usage_records",
        ["entitlement_id", "month", "outcome", "currency", "amount_minor", "fee_minor"],
    )


def downgrade() -> None:
    op.drop_index("ix_usage_records_month", table_name="usage_records")
    op.create_index("ix_usage_records_month", "usage_records", ["entitlement_id", "month"])
    op.drop_index("ix_analyses_newest", table_name="analyses")
    op.drop_table("four_eyes_asks")
    op.drop_table("key_rotations")
    op.drop_column("api_clients", "last_used_at")
    op.execute("DELETE FROM retired_keks WHERE workspace_id IS NULL")
    with op.batch_alter_table("retired_keks") as table:
        table.create_foreign_key(
            op.f("fk_retired_keks_workspace_id_workspaces"), "workspaces", ["workspace_id"], ["id"]
        )
        table.alter_column("workspace_id", existing_type=sa.String(length=40), nullable=False)
