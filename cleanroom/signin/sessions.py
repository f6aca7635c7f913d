"""Sessions: a random token in one browser, its hash here, and an end in any case."""

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import delete, select

from cleanroom.access.models import UserRow
from cleanroom.access.scopes import scopes_of_role
from cleanroom.accounts.models import OrganisationRow
from cleanroom.accounts.types import OrganisationKind
from cleanroom.clock import Clock
from cleanroom.db.database import Database, Transaction
from cleanroom.ids import new_id
from cleanroom.signin.errors import UnknownSessionError
from cleanroom.signin.models import CredentialRow, SessionRow, SignInPolicyRow
from cleanroom.signin.types import EndReason, Member, Session, Stage

IDLE = timedelta(hours=1)
LONGEST = timedelta(hours=12)
SECOND_STEP = timedelta(minutes=10)
# So often is it noted that a session is used: every request would be a write.
NOTED_EVERY = timedelta(minutes=1)
MAX_AGENT = 80
_TOKEN_BYTES = 32
_LABEL = b"cleanroom/session/v1\n"


class Sessions:
    """Who is signed in, where, and until when."""

    def __init__(self, db: Database, clock: Clock, *, all_need_second_factor: bool = False) -> None:
        self._db = db
        self._clock = clock
        self._all_need_second_factor = all_need_second_factor

    def begin(
        self, tx: Transaction, user_id: str, *, stage: Stage, agent: str, vouched: bool = False
    ) -> tuple[str, SessionRow]:
        """Start a session under a token of its own; returns the token and the row.

        Args:
            tx: the caller's transaction.
            user_id: whose.
            stage: how far its owner has come.
            agent: browser and system in a few words.
            vouched: whether an identity provider has seen a second factor.
        """
        now, token = self._clock.now(), secrets.token_urlsafe(_TOKEN_BYTES)
        row = SessionRow(
            id=new_id("ses", now),
            digest=_digest(token),
            user_id=user_id,
            stage=stage.value,
            agent=agent[:MAX_AGENT],
            vouched=vouched,
            created_at=now,
            seen_at=now,
            expires_at=now + (LONGEST if stage is Stage.OPEN else SECOND_STEP),
        )
        tx.session.add(row)
        tx.session.flush()
        return token, row

    def member(self, token: str) -> Member | None:
        """Tell who a session's token belongs to; None when it is unknown or over, or its owner may not enter.

        Args:
            token: as the browser sent it.
        """
        digest, now = _digest(token), self._clock.now()
        with self._db.reading() as tx:
            found = tx.session.execute(
                select(SessionRow, UserRow, OrganisationRow, CredentialRow, SignInPolicyRow.second_factor)
                .join(UserRow, UserRow.id == SessionRow.user_id)
                .join(OrganisationRow, OrganisationRow.id == UserRow.organisation_id)
                .join(CredentialRow, CredentialRow.user_id == UserRow.id)
                .outerjoin(SignInPolicyRow, SignInPolicyRow.organisation_id == OrganisationRow.id)
                .where(SessionRow.digest == digest, SessionRow.stage == Stage.OPEN.value)
            ).one_or_none()
            if found is None:
                return None
            session, user, organisation, credential, required = found
            over = now >= session.expires_at or now >= session.seen_at + IDLE
            if over or user.disabled_at is not None or organisation.offboarded_at is not None:
                return None
            stale = now >= session.seen_at + NOTED_EVERY
            kind = OrganisationKind(organisation.kind)
            member = Member(
                session_id=session.id,
                user_id=user.id,
                email=user.email,
                organisation_id=organisation.id,
                organisation=organisation.name,
                kind=kind,
                role=user.role,
                scopes=scopes_of_role(kind, user.role),
                language=credential.language,
                second_factor=credential.totp_confirmed_at is not None,
                entered_at=session.created_at,
                has_password=credential.password_hash is not None,
                must_enrol=(self._all_need_second_factor or bool(required))
                and credential.totp_confirmed_at is None
                and not session.vouched,
            )
        if stale:
            self._note(member.session_id)
        return member

    def pending(self, tx: Transaction, token: str) -> SessionRow | None:
        """Return the session of somebody who owes the second step, and still may take it."""
        row = tx.session.scalar(
            select(SessionRow)
            .where(SessionRow.digest == _digest(token), SessionRow.stage == Stage.SECOND_FACTOR.value)
            .with_for_update()
        )
        return row if row is not None and self._clock.now() < row.expires_at else None

    def of(self, tx: Transaction, user_id: str) -> tuple[Session, ...]:
        """List where a person is signed in, the last used first."""
        now = self._clock.now()
        rows = select(SessionRow).where(
            SessionRow.user_id == user_id,
            SessionRow.stage == Stage.OPEN.value,
            SessionRow.expires_at > now,
            SessionRow.seen_at > now - IDLE,
        )
        return tuple(
            Session(row.id, row.agent, row.created_at, row.seen_at, row.expires_at)
            for row in tx.session.scalars(rows.order_by(SessionRow.seen_at.desc(), SessionRow.id))
        )

    def end(self, tx: Transaction, session_id: str, *, user_id: str, reason: EndReason) -> None:
        """End one session of a person; raises UnknownSessionError."""
        row = tx.session.get(SessionRow, session_id)
        if row is None or row.user_id != user_id:
            raise UnknownSessionError("There is no session with this id.", remedy="List the sessions.")
        self._end(tx, row, reason)

    def end_all(
        self, tx: Transaction, user_id: str, *, reason: EndReason, except_id: str | None = None
    ) -> int:
        """End every session of a person, but for one if it is named; returns how many."""
        rows = tx.session.scalars(select(SessionRow).where(SessionRow.user_id == user_id)).all()
        ending = [row for row in rows if row.id != except_id]
        for row in ending:
            self._end(tx, row, reason)
        return len(ending)

    def sweep(self, tx: Transaction) -> None:
        """Forget sessions that are over, and say so in the log."""
        now = self._clock.now()
        over = select(SessionRow).where((SessionRow.expires_at <= now) | (SessionRow.seen_at <= now - IDLE))
        for row in tx.session.scalars(over).all():
            self._end(tx, row, EndReason.EXPIRED)

    def _end(self, tx: Transaction, row: SessionRow, reason: EndReason) -> None:
        user = tx.session.get_one(UserRow, row.user_id)
        tx.session.execute(delete(SessionRow).where(SessionRow.id == row.id))
        if row.stage != Stage.OPEN:
            # Nobody was in.
            return
        tx.audit(
            "signin.session_ended",
            subject_id=row.id,
            organisation_id=user.organisation_id,
            body={"user_id": user.id, "reason": reason.value},
        )

    def _note(self, session_id: str) -> None:
        with self._db.transaction() as tx:
            row = tx.session.get(SessionRow, session_id)
            if row is not None:
                row.seen_at = self._clock.now()


def _digest(token: str) -> bytes:
    # 256 random bits: a fast hash is as good as a slow one.
    return hashlib.sha256(_LABEL + token.encode()).digest()
