"""Questions can wait for a worker: what it needs to complete one, and the tick by which its answer is shown.

Revision: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Those asked so far were completed by the process that asked them.
    op.add_column("analyses", sa.Column("queued", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("analyses", sa.Column("ticket", sa.JSON(), nullable=True))
    op.add_column("analyses", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("analyses", sa.Column("tick_ms", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("analyses", sa.Column("cancel_asked_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_analyses_asker", "analyses", ["advertiser_id", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_analyses_asker", table_name="analyses")
    for name in ("cancel_asked_at", "tick_ms", "attempts", "ticket", "queued"):
        op.drop_column("analyses", name)
