"""An index that an owner's list of answered questions is counted and paged by.

Revision: 0009
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_analyses_noticed", "analyses", ["dataset_id", "status", "asked_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_analyses_noticed", "analyses")
