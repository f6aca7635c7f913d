"""Signing keys that a person's browser made: whose they are, and when they end by themselves.

Revision: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("enrolled_keys", sa.Column("user_id", sa.String(length=40), nullable=True))
    op.add_column("enrolled_keys", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(op.f("ix_enrolled_keys_user_id"), "enrolled_keys", ["user_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_enrolled_keys_user_id"), table_name="enrolled_keys")
    op.drop_column("enrolled_keys", "expires_at")
    op.drop_column("enrolled_keys", "user_id")
