"""Alarms: an API client acknowledges one too, not only a user.

Revision: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_TO_USERS = "fk_alarms_acknowledged_by_users"


def upgrade() -> None:
    with op.batch_alter_table("alarms") as alarms:
        alarms.drop_constraint(_TO_USERS, type_="foreignkey")


def downgrade() -> None:
    op.execute(
        sa.text(
            "UPDATE alarms SET acknowledged_by = NULL WHERE acknowledged_by NOT IN (SELECT id FROM users)"
        )
    )
    with op.batch_alter_table("alarms") as alarms:
        alarms.create_foreign_key(_TO_USERS, "users", ["acknowledged_by"], ["id"])
