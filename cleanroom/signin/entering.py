"""The moment somebody is in: a session, the log's record of it, and whether the browser was ever seen before."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select

from cleanroom.access.models import UserRow
from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.signin.models import KnownDeviceRow
from cleanroom.signin.secret import SignInSecret
from cleanroom.signin.sessions import Sessions
from cleanroom.signin.types import Entered, Stage

DEVICE_KEPT = timedelta(days=400)
"""A browser that was not seen for so long is new again."""
MAX_DEVICE = 100
_DEVICE_BYTES = 24


@dataclass(frozen=True)
class Entering:
    """Opens sessions."""

    sessions: Sessions
    secret: SignInSecret
    clock: Clock

    def enter(
        self,
        tx: Transaction,
        user_id: str,
        *,
        agent: str,
        device: str,
        method: str,
        vouched: bool = False,
        **facts: str,
    ) -> Entered:
        """Open a session.

        Args:
            tx: the caller's transaction.
            user_id: who has proven who it is.
            agent: browser and system in a few words.
            device: a secret that the browser keeps; without it the browser is new, and gets one.
            method: how the person proved it, for the log.
            vouched: whether an identity provider has seen a second factor.
            **facts: more for the log.
        """
        known_by = device[:MAX_DEVICE] or secrets.token_urlsafe(_DEVICE_BYTES)
        token, row = self.sessions.begin(tx, user_id, stage=Stage.OPEN, agent=agent, vouched=vouched)
        organisation_id = tx.session.get_one(UserRow, user_id).organisation_id
        tx.audit(
            "signin.entered",
            subject_id=row.id,
            organisation_id=organisation_id,
            body={
                "user_id": user_id,
                "method": method,
                "new_device": self._is_new(tx, user_id, known_by),
                **facts,
            },
        )
        return Entered(token, user_id, organisation_id, row.expires_at, known_by)

    def sweep(self, tx: Transaction) -> None:
        """Forget browsers that were not seen for long."""
        old = self.clock.now() - DEVICE_KEPT
        tx.session.execute(delete(KnownDeviceRow).where(KnownDeviceRow.seen_at < old))

    def _is_new(self, tx: Transaction, user_id: str, device: str) -> bool:
        """Note a browser; tells whether it is new to somebody who has others."""
        digest, now = self.secret.digest(tx, "device", f"{user_id}\n{device}"), self.clock.now()
        known = tx.session.get(KnownDeviceRow, digest)
        if known is not None:
            known.seen_at = now
            return False
        others = select(KnownDeviceRow.digest).where(KnownDeviceRow.user_id == user_id)
        has_others = tx.session.scalars(others.limit(1)).first() is not None
        tx.session.add(KnownDeviceRow(digest=digest, user_id=user_id, seen_at=now))
        tx.session.flush()
        return has_others
