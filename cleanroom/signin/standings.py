"""How an organisation's users stand, for those who administer them."""

from sqlalchemy import func, select

from cleanroom.access.users import Users
from cleanroom.db.database import Transaction
from cleanroom.signin.models import CredentialRow, SessionRow
from cleanroom.signin.types import Standing


def standings_of(tx: Transaction, users: Users, organisation_id: str) -> tuple[Standing, ...]:
    """List an organisation's users and how they stand, oldest first, disabled ones too.

    Args:
        tx: any transaction.
        users: the service.
        organisation_id: whose.
    """
    found = users.of(tx, organisation_id)
    ids = [user.id for user in found]
    protected = {
        row.user_id: row.totp_confirmed_at is not None
        for row in tx.session.scalars(select(CredentialRow).where(CredentialRow.user_id.in_(ids)))
    }
    seen = select(SessionRow.user_id, func.max(SessionRow.seen_at)).where(SessionRow.user_id.in_(ids))
    last_seen = dict(tx.session.execute(seen.group_by(SessionRow.user_id)).all())
    return tuple(
        Standing(
            user=user,
            joined=user.id in protected,
            second_factor=protected.get(user.id, False),
            last_seen_at=last_seen.get(user.id),
        )
        for user in found
    )
