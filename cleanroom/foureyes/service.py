"""Asking for a deed, confirming it by a second person, and its end without one."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from cleanroom.access.models import UserRow
from cleanroom.access.scopes import scopes_of_role
from cleanroom.accounts.service import Accounts
from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.foureyes.errors import (
    AskEndedError,
    AskFormError,
    AskWaitsError,
    NotEntitledError,
    SamePersonError,
    TooNewError,
    UnknownAskError,
)
from cleanroom.foureyes.models import FourEyesAskRow
from cleanroom.foureyes.types import Ask, AskState, Deed, LapsedFor
from cleanroom.ids import new_id
from cleanroom.signin.models import CredentialRow

LAPSES_AFTER = timedelta(days=7)
STRANGE_FOR = timedelta(days=7)
"""How long somebody is no second person for whoever handed out the link that let them in."""
MAX_REASON = 500
MAX_WAITING = 20
_WAITING = AskState.WAITING.value


class FourEyes:
    """Deeds of organisations that take two people."""

    def __init__(self, clock: Clock, accounts: Accounts, deeds: Sequence[Deed]) -> None:
        self._clock = clock
        self._accounts = accounts
        self.deeds: Mapping[str, Deed] = {deed.name: deed for deed in deeds}

    def ask(
        self,
        tx: Transaction,
        deed: str,
        subject_id: str,
        *,
        reason: str,
        by: str,
        details: Mapping[str, Any] | None = None,
    ) -> Ask:
        """Ask for a deed; nothing is done before somebody else confirms it.

        Args:
            tx: the caller's transaction.
            deed: its name.
            subject_id: what it is to be done to.
            reason: why, for the second person and the log; 1 to 500 characters.
            by: id of the user who asks.
            details: what else the deed takes.

        Raises:
            NotEntitledError: the person may not ask for this.
            AskFormError: there is no such deed, or no reason.
            AskWaitsError: the same is asked for already, or the organisation asks for too much at once.
            CleanroomError: what the deed itself objects to.
        """
        known, why, now = self.deeds.get(deed), reason.strip(), self._clock.now()
        if known is None:
            raise AskFormError("There is no such deed.", remedy=f"Use one of: {', '.join(self.deeds)}.")
        if not 0 < len(why) <= MAX_REASON:
            raise AskFormError(f"A reason has 1 to {MAX_REASON} characters.", remedy="Say why.")
        asker = self._people(tx, by).get(by)
        if asker is None or not self._may(tx, asker, known.asks):
            raise NotEntitledError("Your role does not let you ask for this.", remedy="Ask an owner.")
        organisation_id = asker.organisation_id
        # Held, so that two who ask at once do not both find nothing.
        self._accounts.lock(tx, organisation_id)
        kept = known.prepare(
            tx, organisation_id=organisation_id, subject_id=subject_id, details=details or {}, reason=why
        )
        waiting = tx.session.execute(
            select(FourEyesAskRow.deed, FourEyesAskRow.subject_id).where(
                FourEyesAskRow.organisation_id == organisation_id,
                FourEyesAskRow.state == _WAITING,
                FourEyesAskRow.lapses_at > now,
            )
        ).all()
        if (deed, subject_id) in [tuple(one) for one in waiting] or len(waiting) >= MAX_WAITING:
            raise AskWaitsError(
                "This waits for a second person already, or too much else does.",
                remedy="Have what waits confirmed, rejected or taken back first.",
            )
        row = FourEyesAskRow(
            id=new_id("fe", now),
            organisation_id=organisation_id,
            deed=deed,
            subject_id=subject_id,
            details=dict(kept),
            reason=why,
            asked_by=by,
            asked_at=now,
            lapses_at=now + LAPSES_AFTER,
            state=_WAITING,
            ended_by=None,
            ended_at=None,
            end_reason="",
        )
        tx.session.add(row)
        tx.session.flush()
        _log(tx, row, "asked", reason=why, by=by, details=dict(kept), confirms=known.confirms)
        return ask_of(row)

    def confirm(self, tx: Transaction, ask_id: str, *, organisation_id: str, by: str) -> Ask:
        """Confirm and do a deed, in this one transaction.

        Args:
            tx: the caller's transaction; when it commits the deed is done.
            ask_id: which.
            organisation_id: whose it has to be.
            by: id of the user who confirms.

        Returns:
            The ask: done; or lapsed, when its time is over or the person who asked may not any more.

        Raises:
            UnknownAskError: the organisation has no such ask.
            AskEndedError: it has ended.
            SamePersonError: whoever asked confirms.
            NotEntitledError: the person's role does not confirm this.
            TooNewError: the person's password was set after it was asked for, or one
                of the two, or one third person, let the other in by a link less than 7 days before.
            CleanroomError: the deed cannot be done any more.
        """
        row = self._open(tx, ask_id, organisation_id)
        self._require_second(tx, row, by)
        if self._lapsed(tx, row):
            return ask_of(row)
        now = self._clock.now()
        self._require_settled(tx, row, by)
        self.deeds[row.deed].execute(tx, ask_of(row))
        row.state, row.ended_by, row.ended_at = AskState.DONE.value, by, now
        tx.session.flush()
        _log(tx, row, "confirmed", asked_by=row.asked_by, by=by, reason=row.reason)
        return ask_of(row)

    def reject(self, tx: Transaction, ask_id: str, *, organisation_id: str, by: str, reason: str = "") -> Ask:
        """Refuse a deed for good; raises as `confirm`, but for what the deed and a password's age object to."""
        row = self._open(tx, ask_id, organisation_id)
        self._require_second(tx, row, by)
        if len(reason.strip()) > MAX_REASON:
            raise AskFormError(f"A reason has at most {MAX_REASON} characters.", remedy="Shorten it.")
        if self._lapsed(tx, row):
            return ask_of(row)
        self._end(tx, row, AskState.REJECTED, by=by, reason=reason.strip())
        _log(tx, row, "rejected", asked_by=row.asked_by, by=by, reason=row.end_reason)
        return ask_of(row)

    def withdraw(self, tx: Transaction, ask_id: str, *, organisation_id: str, by: str) -> Ask:
        """Take back what one has asked for oneself.

        Raises:
            UnknownAskError: the organisation has no such ask.
            AskEndedError: it has ended.
            NotEntitledError: somebody else asked.
        """
        row = self._open(tx, ask_id, organisation_id)
        if row.asked_by != by:
            raise NotEntitledError("Somebody else asked for this.", remedy="Reject it, if you may.")
        self._end(tx, row, AskState.WITHDRAWN, by=by)
        _log(tx, row, "withdrawn", by=by)
        return ask_of(row)

    def lapse(self, tx: Transaction) -> tuple[str, ...]:
        """End what nobody decided in time, and what people asked for who may not any more; returns the ids."""
        waiting = select(FourEyesAskRow).where(FourEyesAskRow.state == _WAITING).order_by(FourEyesAskRow.id)
        rows = tx.session.scalars(waiting.with_for_update()).all()
        return tuple(row.id for row in rows if self._lapsed(tx, row))

    def waiting(self, tx: Transaction) -> bool:
        """Tell whether anything waits for a second person."""
        rows = select(func.count()).select_from(FourEyesAskRow).where(FourEyesAskRow.state == _WAITING)
        return bool(tx.session.scalar(rows))

    def _open(self, tx: Transaction, ask_id: str, organisation_id: str) -> FourEyesAskRow:
        row = tx.session.get(FourEyesAskRow, ask_id, with_for_update=True, populate_existing=True)
        if row is None or row.organisation_id != organisation_id:
            raise UnknownAskError("There is nothing with this id.", remedy="List what waits.")
        if row.state != _WAITING:
            raise AskEndedError("This was decided before, or has lapsed.", remedy="Ask for it again.")
        return row

    def _require_second(self, tx: Transaction, row: FourEyesAskRow, by: str) -> None:
        if row.asked_by == by:
            raise SamePersonError(
                "Whoever asked is no second person.", remedy="Have somebody else look at it and decide."
            )
        person = self._people(tx, row.asked_by, by).get(by)
        entitled = (
            person is not None
            and person.organisation_id == row.organisation_id
            and self._may(tx, person, self.deeds[row.deed].confirms)
        )
        if not entitled:
            raise NotEntitledError("Your role does not decide this.", remedy="Ask an owner.")

    def _require_settled(self, tx: Transaction, row: FourEyesAskRow, by: str) -> None:
        """Refuse a second person whom the asker can have made: by an invitation, or a link for a new password."""
        proof = tx.session.get(CredentialRow, by)
        if proof is None or proof.password_set_at is None or proof.password_set_at > row.asked_at:
            raise TooNewError(
                "Your account or your password is younger than this ask.",
                remedy="Have it asked for again, and confirm that.",
            )
        if self._circle(tx, by, row.asked_at) & self._circle(tx, row.asked_by, row.asked_at):
            raise TooNewError(
                f"Less than {STRANGE_FOR.days} days before this ask one of you let the other in by a link, or one"
                " person let in both.",
                remedy="Have somebody else ask for it or confirm it, or have it asked for later.",
            )

    def _circle(self, tx: Transaction, user_id: str, at: datetime) -> frozenset[str]:
        """Return a person, who let them in shortly before an instant, who let that one in, and so on."""
        found = set[str]()
        at_hand: str | None = user_id
        while at_hand is not None and at_hand not in found:
            found.add(at_hand)
            proof = tx.session.get(CredentialRow, at_hand)
            lately = proof is not None and proof.linked_at is not None and proof.linked_at + STRANGE_FOR > at
            at_hand = proof.linked_by if proof is not None and lately else None
        return frozenset(found)

    def _lapsed(self, tx: Transaction, row: FourEyesAskRow) -> bool:
        asker = self._people(tx, row.asked_by).get(row.asked_by)
        if asker is None or not self._may(tx, asker, self.deeds[row.deed].asks):
            why = LapsedFor.ASKER
        elif row.lapses_at <= self._clock.now():
            why = LapsedFor.TIME
        else:
            return False
        self._end(tx, row, AskState.LAPSED, reason=why.value)
        _log(tx, row, "lapsed", why=why.value)
        return True

    def _people(self, tx: Transaction, *user_ids: str) -> Mapping[str, UserRow]:
        # Held, so that nobody loses a role or their access while it still counts; in one order, against deadlocks.
        rows = (
            select(UserRow)
            .where(UserRow.id.in_(user_ids), UserRow.disabled_at.is_(None))
            .order_by(UserRow.id)
            .with_for_update(read=True)
            .execution_options(populate_existing=True)
        )
        return {row.id: row for row in tx.session.scalars(rows)}

    def _may(self, tx: Transaction, person: UserRow, scope: str) -> bool:
        organisation = self._accounts.organisation(tx, person.organisation_id)
        return organisation.offboarded_at is None and scope in scopes_of_role(organisation.kind, person.role)

    def _end(
        self,
        tx: Transaction,
        row: FourEyesAskRow,
        state: AskState,
        *,
        by: str | None = None,
        reason: str = "",
    ) -> None:
        row.state, row.ended_by, row.ended_at, row.end_reason = state.value, by, self._clock.now(), reason
        tx.session.flush()


def ask_of(row: FourEyesAskRow) -> Ask:
    """Return a row as a value."""
    return Ask(
        id=row.id,
        organisation_id=row.organisation_id,
        deed=row.deed,
        subject_id=row.subject_id,
        details=row.details,
        reason=row.reason,
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        lapses_at=row.lapses_at,
        state=AskState(row.state),
        ended_by=row.ended_by,
        ended_at=row.ended_at,
        end_reason=row.end_reason,
    )


def _log(tx: Transaction, row: FourEyesAskRow, what: str, **facts: object) -> None:
    body = {"deed": row.deed, "about": row.subject_id} | facts
    tx.audit(f"foureyes.{what}", subject_id=row.id, organisation_id=row.organisation_id, body=body)
