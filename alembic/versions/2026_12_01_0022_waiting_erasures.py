"""Erasures: those that wait are found at once.

Revision: 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    waiting = sa.text("state = 'excluded'")
    op.create_index(
        "ix_erasures_waiting", "erasures", ["dataset_id"], sqlite_where=waiting, postgresql_where=waiting
    )


def downgrade() -> None:
    op.drop_index("ix_erasures_waiting", "erasures")
