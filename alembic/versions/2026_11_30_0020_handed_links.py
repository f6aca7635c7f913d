"""Who handed out the links with which people set their passwords.

Revision: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("invited_by", sa.String(length=40), nullable=True))
    op.add_column("credentials", sa.Column("linked_by", sa.String(length=40), nullable=True))
    op.add_column("credentials", sa.Column("linked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("one_time_links", sa.Column("made_by", sa.String(length=40), nullable=True))


def downgrade() -> None:
    op.drop_column("one_time_links", "made_by")
    op.drop_column("credentials", "linked_at")
    op.drop_column("credentials", "linked_by")
    op.drop_column("users", "invited_by")
