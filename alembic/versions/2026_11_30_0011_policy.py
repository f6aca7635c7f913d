"""Who set a rule, touched the kill switch and ruled on a question; trials of policies by the red team.

Revision: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# Empty for what was done before it was noted.
_WHO = {"policies": "set_by", "kill_switches": "changed_by", "approvals": "decided_by"}


def upgrade() -> None:
    for table, column in _WHO.items():
        op.add_column(table, sa.Column(column, sa.String(length=40), nullable=True))
    op.create_index("ix_approvals_state", "approvals", ["state", "dataset_id"], unique=False)
    op.create_table(
        "policy_trials",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("asked_by", sa.String(length=40), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("runner", sa.String(length=40), nullable=True),
        sa.Column("starts", sa.Integer(), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure", sa.String(length=80), nullable=True),
        sa.Column("resists", sa.Boolean(), nullable=True),
        sa.Column("grade", sa.String(length=20), nullable=True),
        sa.Column("report", sa.Text(), nullable=True),
        sa.Column("report_sha256", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_trials")),
    )
    op.create_index(op.f("ix_policy_trials_dataset_id"), "policy_trials", ["dataset_id"], unique=False)
    op.create_index(op.f("ix_policy_trials_state"), "policy_trials", ["state"], unique=False)


def downgrade() -> None:
    op.drop_table("policy_trials")
    op.drop_index("ix_approvals_state", table_name="approvals")
    for table, column in reversed(_WHO.items()):
        op.drop_column(table, column)
