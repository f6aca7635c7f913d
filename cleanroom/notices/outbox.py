"""From the log to notices, behind a cursor: whatever is committed is told, and once, wherever a worker is killed."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from cleanroom.access.models import UserRow
from cleanroom.access.scopes import ROLES
from cleanroom.accounts.models import OrganisationRow
from cleanroom.accounts.types import OrganisationKind
from cleanroom.audit.log import AuditLog
from cleanroom.clock import Clock
from cleanroom.db.database import Database, Transaction
from cleanroom.ids import new_id
from cleanroom.mail.service import Mail
from cleanroom.notices.events import Events
from cleanroom.notices.models import NoticeReaderRow, NoticeReadRow, NoticeRow, NoticeStateRow
from cleanroom.notices.types import MAILED, Made
from cleanroom.notices.wording import letter
from cleanroom.signin.models import CredentialRow

PER_BATCH = 200
KEPT = timedelta(days=90)
MAILED_WITHIN = timedelta(days=1)
"""What happened longer ago is told in the pages alone: after an upgrade nobody gets a year's letters."""
_STATE = 1
_PER_EVENT = 1000
_FAR = 1000


@dataclass(frozen=True)
class NoticeOutbox:
    """Makes notices, and clears old ones away."""

    clock: Clock
    log: AuditLog
    events: Events
    mail: Mail
    public_url: str

    def catch_up(self, db: Database) -> None:
        """Tell what the log holds, a transaction for each batch; where there is nothing it only reads."""
        with db.reading() as tx:
            due = self._behind(tx)
        while due:
            with db.transaction() as tx:
                due = self.tell(tx) == PER_BATCH

    def tell(self, tx: Transaction, *, limit: int = PER_BATCH) -> int:
        """Make notices and letters of the events since the last time.

        Args:
            tx: the caller's transaction; notices, letters and cursor are kept or lost together.
            limit: how many events to read at most; call again while there are more.

        Returns:
            How many were read.
        """
        state = self._lock(tx)
        # Read first: whatever is committed meanwhile lies behind it, and is read the next time.
        size = self.log.size(tx)
        events = self._events(tx, state.next_index, size, limit)
        for index, record in events:
            for place, made in enumerate(self.events.read(tx, record)):
                if made.at >= self.clock.now() - KEPT:
                    once = made.once or f"event:{index}:{place}"
                    self._enter(tx, made, once=once, number=index * _PER_EVENT + place)
        state.next_index = events[-1][0] + 1 if len(events) == limit else size
        tx.session.flush()
        return len(events)

    def sweep(self, tx: Transaction) -> None:
        """Forget old notices."""
        old = select(NoticeRow.id).where(NoticeRow.at < self.clock.now() - KEPT)
        tx.session.execute(delete(NoticeReadRow).where(NoticeReadRow.notice_id.in_(old)))
        tx.session.execute(delete(NoticeRow).where(NoticeRow.at < self.clock.now() - KEPT))

    def _enter(self, tx: Transaction, made: Made, *, once: str, number: int) -> None:
        now = self.clock.now()
        dialect = sqlite if tx.connection.dialect.name == "sqlite" else postgresql
        adding = dialect.insert(NoticeRow).values(
            id=new_id("nt", now),
            number=number,
            type=made.type.value,
            organisation_id=made.organisation_id,
            user_id=made.user_id,
            scope=made.scope,
            at=made.at,
            data=dict(made.data),
            once=once,
        )
        added = tx.session.execute(adding.on_conflict_do_nothing().returning(NoticeRow.id)).first()
        if added is None or not self.mail.set_up or made.at < now - MAILED_WITHIN:
            return
        for user_id, language in self._mailed(tx, made):
            link = f"{self.public_url}/notices"
            text = letter(made.type, language, link=link, room=self.mail.outbox.room)
            self.mail.notice(tx, user_id, text, scope=made.scope)

    def _mailed(self, tx: Transaction, made: Made) -> Iterable[tuple[str, str | None]]:
        """Return who is told by mail, and in which language."""
        organisation = tx.session.get_one(OrganisationRow, made.organisation_id)
        roles = [
            role
            for role, scopes in ROLES[OrganisationKind(organisation.kind)].items()
            if made.scope is None or made.scope in scopes
        ]
        people = (
            select(UserRow.id, CredentialRow.language, NoticeReaderRow.mailed)
            .join(CredentialRow, CredentialRow.user_id == UserRow.id)
            .outerjoin(NoticeReaderRow, NoticeReaderRow.user_id == UserRow.id)
            .where(
                UserRow.organisation_id == made.organisation_id,
                UserRow.disabled_at.is_(None),
                UserRow.role.in_(roles),
            )
            .order_by(UserRow.id)
        )
        if made.user_id is not None:
            people = people.where(UserRow.id == made.user_id)
        for user_id, language, chosen in tx.session.execute(people).all():
            # Somebody who has chosen nothing has no row; whoever wants no mail has an empty list.
            wanted: Collection[str] | None = chosen
            if made.type.value in (MAILED if wanted is None else wanted):
                yield user_id, language

    def _lock(self, tx: Transaction) -> NoticeStateRow:
        dialect = sqlite if tx.connection.dialect.name == "sqlite" else postgresql
        first = dialect.insert(NoticeStateRow).values(id=_STATE, next_index=0)
        tx.session.execute(first.on_conflict_do_nothing())
        return tx.session.get_one(NoticeStateRow, _STATE, with_for_update=True, populate_existing=True)

    def _behind(self, tx: Transaction) -> bool:
        state = tx.session.get(NoticeStateRow, _STATE)
        reached, size = state.next_index if state is not None else 0, self.log.size(tx)
        # Among many events that tell nothing the next look would begin at the same place, and take ever longer.
        return size - reached > _FAR or bool(self._events(tx, reached, size, 1))

    def _events(self, tx: Transaction, first: int, size: int, limit: int) -> list[tuple[int, bytes]]:
        kinds = self.events.kinds
        found = self.log.events(tx, organisation_id=None, kinds=kinds, after=first - 1, limit=limit)
        return [(index, record) for index, record in found if index < size]
