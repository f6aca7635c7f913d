"""Entering incidents, and what becomes of them."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from cleanroom.accounts.service import Accounts
from cleanroom.accounts.types import OrganisationKind
from cleanroom.clock import Clock, rfc3339
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id
from cleanroom.incidents.affected import Affected, AffectedRelease, affected, released, require_scope
from cleanroom.incidents.duties import TERMS
from cleanroom.incidents.errors import (
    DutiesOpenError,
    DutyEndedError,
    IncidentClosedError,
    IncidentFormError,
    NotSharableError,
    UnknownIncidentError,
)
from cleanroom.incidents.models import IncidentDutyRow, IncidentEntryRow, IncidentRow, IncidentShareRow
from cleanroom.incidents.register import Register
from cleanroom.incidents.reminding import Reminding
from cleanroom.incidents.rows import scope_from, scope_to, text_sha256
from cleanroom.incidents.types import Duty, DutyState, EntryKind, IncidentKind, IncidentState, Scope, Severity

MAX_TITLE = 200
MAX_TEXT = 10_000
_SALT_BYTES = 32


class Incidents:
    """Registers of organisations: each has its own, and only adds to it.

    The log states every entry; of people's words it holds a salted hash alone, as nobody can keep them from naming
    somebody, and the log forgets nothing.
    """

    def __init__(self, clock: Clock, accounts: Accounts) -> None:
        self._clock = clock
        self._accounts = accounts
        self.register = Register()
        self.reminding = Reminding(clock)

    def open(
        self,
        tx: Transaction,
        organisation_id: str,
        *,
        kind: IncidentKind,
        severity: Severity,
        title: str,
        text: str,
        discovered_at: datetime,
        by: str,
        scope: Scope | None = None,
    ) -> str:
        """Enter an incident; from its discovery on the terms run within which others have to be told.

        Args:
            tx: the caller's transaction.
            organisation_id: whose register.
            kind: what happened.
            severity: how bad it is.
            title: in a few words, 1 to 200 characters; about the incident, not about people.
            text: what happened, 1 to 10,000 characters; likewise.
            discovered_at: when somebody became aware of it; not later than now.
            by: id of a user or client, or `operator`.
            scope: what it is about, if that is known already.

        Returns:
            The incident's id.

        Raises:
            IncidentFormError: a text is missing or too long, or the discovery is yet to come.
            IncidentScopeError: the scope names nothing, or what the organisation has not.
        """
        now, named = self._clock.now(), title.strip()
        if not 0 < len(named) <= MAX_TITLE:
            raise IncidentFormError(
                f"A title has 1 to {MAX_TITLE} characters.", remedy="Say in a few words what happened."
            )
        if discovered_at > now:
            raise IncidentFormError(
                "The discovery lies in the future.", remedy="Give the instant at which somebody became aware."
            )
        if scope is not None:
            require_scope(tx, scope, within=self._within(tx, organisation_id))
        row = IncidentRow(
            id=new_id("in", now),
            organisation_id=organisation_id,
            kind=kind.value,
            severity=severity.value,
            state=IncidentState.OPEN.value,
            title=named,
            discovered_at=discovered_at,
            opened_at=now,
            opened_by=by,
            closed_at=None,
            scope=None if scope is None else scope_to(scope),
        )
        tx.session.add(row)
        tx.session.flush()
        tx.session.add_all(
            IncidentDutyRow(
                incident_id=row.id,
                duty=duty.value,
                due_at=discovered_at + term,
                state=DutyState.DUE.value,
                ended_at=None,
                reminded=0,
            )
            for duty, term in TERMS.items()
        )
        facts: dict[str, Any] = {
            "kind": kind.value,
            "severity": severity.value,
            "discovered_at": rfc3339(discovered_at),
        }
        self._enter(tx, row, EntryKind.OPENED, by=by, text=text, shown=True, facts=facts | _named(row.scope))
        return row.id

    def note(
        self,
        tx: Transaction,
        incident_id: str,
        *,
        organisation_id: str,
        text: str,
        by: str,
        shown: bool = False,
    ) -> None:
        """Add what became known; to a closed incident too.

        Args:
            tx: the caller's transaction.
            incident_id: which.
            organisation_id: whose it has to be.
            text: 1 to 10,000 characters; about the incident, not about people.
            by: id of a user or client, or `operator`.
            shown: whether those see it with whom the incident is shared.

        Raises:
            UnknownIncidentError: the register has no such incident.
            IncidentFormError: the text is missing or too long.
        """
        row = self._held(tx, incident_id, organisation_id)
        self._enter(tx, row, EntryKind.NOTE, by=by, text=text, shown=shown)

    def set_scope(
        self,
        tx: Transaction,
        incident_id: str,
        *,
        organisation_id: str,
        scope: Scope,
        by: str,
        text: str = "",
    ) -> None:
        """Enter which data and time it is about; the one before stays in the entries.

        Raises:
            UnknownIncidentError: the register has no such incident.
            IncidentClosedError: it is closed.
            IncidentScopeError: the scope names nothing, or what the organisation has not.
        """
        row = self._running(tx, incident_id, organisation_id)
        require_scope(tx, scope, within=self._within(tx, organisation_id))
        row.scope = scope_to(scope)
        self._enter(tx, row, EntryKind.SCOPE, by=by, text=text, facts=_named(row.scope), wordless=True)

    def end_duty(
        self,
        tx: Transaction,
        incident_id: str,
        duty: Duty,
        *,
        organisation_id: str,
        state: DutyState,
        text: str,
        by: str,
        at: datetime | None = None,
    ) -> None:
        """Enter that an authority was told, or why it need not be.

        Args:
            tx: the caller's transaction.
            incident_id: which.
            duty: which of its duties.
            organisation_id: whose it has to be.
            state: done, or not due.
            text: the notice's number, or the reason; 1 to 10,000 characters.
            by: id of a user or client, or `operator`.
            at: when it was told; now when not given, and never later.

        Raises:
            UnknownIncidentError: the register has no such incident.
            IncidentClosedError: it is closed.
            DutyEndedError: it was entered before.
            IncidentFormError: no text, an instant before the discovery or after now, or a duty that stays due.
        """
        row, now = self._running(tx, incident_id, organisation_id), self._clock.now()
        told = at or now
        if state is DutyState.DUE or not row.discovered_at <= told <= now:
            raise IncidentFormError(
                "A duty ends as done or as not due, after the discovery and not in the future.",
                remedy="Correct the instant.",
            )
        found = tx.session.get_one(IncidentDutyRow, (row.id, duty.value), populate_existing=True)
        if found.state != DutyState.DUE.value:
            raise DutyEndedError(
                "It was entered before what became of this duty.", remedy="Add a note that corrects it."
            )
        found.state, found.ended_at = state.value, told
        tx.session.flush()
        left = select(func.count()).select_from(IncidentDutyRow)
        left = left.where(IncidentDutyRow.incident_id == row.id, IncidentDutyRow.state == DutyState.DUE.value)
        if not tx.session.scalar(left):
            row.state = IncidentState.NOTIFIED.value
        late = state is DutyState.DONE and told > found.due_at
        facts = {"duty": duty.value, "state": state.value, "at": rfc3339(told), "late": late}
        self._enter(tx, row, EntryKind.DUTY, by=by, text=text, facts=facts)

    def share(
        self,
        tx: Transaction,
        incident_id: str,
        organisation_ids: Sequence[str],
        *,
        organisation_id: str,
        by: str,
    ) -> tuple[str, ...]:
        """Show an incident of the operator to organisations that it affects.

        They see what happened, the entries meant for them, and what of their own is affected; not each other.

        Args:
            tx: the caller's transaction.
            incident_id: which.
            organisation_ids: with whom.
            organisation_id: whose it has to be: the operator's.
            by: id of a user or client, or `operator`.

        Returns:
            Those with whom it was not shared before.

        Raises:
            UnknownIncidentError: the register has no such incident.
            IncidentScopeError: it has no scope, so nobody is known to be affected.
            NotSharableError: the organisation is not the operator, or one of the others is not affected.
        """
        row = self._held(tx, incident_id, organisation_id)
        if self._within(tx, organisation_id) is not None:
            raise NotSharableError(
                "Only the room's operator shares incidents.", remedy="Tell the operator, who can share it."
            )
        touched = affected(tx, None if row.scope is None else scope_from(row.scope), within=None)
        wanted = sorted(set(organisation_ids))
        if not wanted or not set(wanted) <= {one.id for one in touched.organisations}:
            raise NotSharableError(
                "The incident's scope does not touch every one of these organisations.",
                remedy="Share it with those that are listed as affected, or widen its scope.",
            )
        known = select(IncidentShareRow.organisation_id).where(IncidentShareRow.incident_id == row.id)
        added = sorted(set(wanted) - set(tx.session.scalars(known)))
        now = self._clock.now()
        tx.session.add_all(
            IncidentShareRow(incident_id=row.id, organisation_id=one, shared_at=now) for one in added
        )
        if added:
            facts = {"organisation_ids": added}
            self._enter(tx, row, EntryKind.SHARED, by=by, text="", facts=facts, wordless=True)
        for one in added:
            # In the log of each, so that it is told, and can prove that it was.
            tx.audit("incidents.shared_with", subject_id=row.id, organisation_id=one, body={})
        return tuple(added)

    def close(self, tx: Transaction, incident_id: str, *, organisation_id: str, text: str, by: str) -> None:
        """Enter that an incident is over.

        Raises:
            UnknownIncidentError: the register has no such incident.
            IncidentClosedError: it is closed.
            DutiesOpenError: it is not entered what became of every duty.
            IncidentFormError: no text, or too much of it.
        """
        row = self._running(tx, incident_id, organisation_id)
        if row.state != IncidentState.NOTIFIED.value:
            raise DutiesOpenError(
                "Somebody may still have to be told of this incident.",
                remedy="Enter of every duty that it was done, or why it is not due.",
            )
        row.state, row.closed_at = IncidentState.CLOSED.value, self._clock.now()
        self._enter(tx, row, EntryKind.CLOSED, by=by, text=text, shown=True)

    def affected(self, tx: Transaction, incident_id: str, *, organisation_id: str) -> Affected:
        """Find what an incident affects, as far as the organisation that looks may know.

        Raises:
            UnknownIncidentError: the organisation does not see such an incident.
            IncidentScopeError: it is not entered yet which data it is about.
        """
        scope, within = self.scope_of(tx, incident_id, organisation_id)
        return affected(tx, scope, within=within)

    def released(
        self, tx: Transaction, incident_id: str, *, organisation_id: str, offset: int = 0, limit: int = 50
    ) -> tuple[AffectedRelease, ...]:
        """Return a page of the answers that left the room of what an incident affects; raises as `affected`."""
        scope, within = self.scope_of(tx, incident_id, organisation_id)
        return released(tx, scope, within=within, offset=offset, limit=limit)

    def scope_of(
        self, tx: Transaction, incident_id: str, organisation_id: str
    ) -> tuple[Scope | None, str | None]:
        """Return the scope of an incident and whose part of it an organisation sees; raises UnknownIncidentError."""
        incident = self.register.incident(tx, incident_id, organisation_id=organisation_id)
        plain = tx.session.get_one(IncidentRow, incident.id).scope
        return None if plain is None else scope_from(plain), self._within(tx, organisation_id)

    def _within(self, tx: Transaction, organisation_id: str) -> str | None:
        """Return whose data a register may be about; None for the operator's, which is about everybody's."""
        kind = self._accounts.organisation(tx, organisation_id).kind
        return None if kind is OrganisationKind.OPERATOR else organisation_id

    def _held(self, tx: Transaction, incident_id: str, organisation_id: str) -> IncidentRow:
        row = tx.session.get(IncidentRow, incident_id, with_for_update=True, populate_existing=True)
        if row is None or row.organisation_id != organisation_id:
            raise UnknownIncidentError("There is no incident with this id.", remedy="List the register.")
        return row

    def _running(self, tx: Transaction, incident_id: str, organisation_id: str) -> IncidentRow:
        row = self._held(tx, incident_id, organisation_id)
        if row.state == IncidentState.CLOSED.value:
            raise IncidentClosedError("This incident is closed.", remedy="Add a note, or enter a new one.")
        return row

    def _enter(
        self,
        tx: Transaction,
        row: IncidentRow,
        kind: EntryKind,
        *,
        by: str,
        text: str,
        shown: bool = False,
        facts: Mapping[str, Any] | None = None,
        wordless: bool = False,
    ) -> None:
        words = text.strip()
        if len(words) > MAX_TEXT or not (words or wordless):
            raise IncidentFormError(
                f"A text has 1 to {MAX_TEXT} characters.", remedy="Say what happened; name no people."
            )
        last = select(func.max(IncidentEntryRow.number)).where(IncidentEntryRow.incident_id == row.id)
        entry = IncidentEntryRow(
            incident_id=row.id,
            number=(tx.session.scalar(last) or 0) + 1,
            kind=kind.value,
            at=self._clock.now(),
            by=by,
            text=words,
            salt=secrets.token_hex(_SALT_BYTES),
            shown=shown,
            facts=dict(facts or {}),
        )
        tx.session.add(entry)
        tx.session.flush()
        body = {"number": entry.number, "by": by, "text_sha256": text_sha256(entry.salt, words)}
        if kind is EntryKind.OPENED:
            body["title_sha256"] = text_sha256(entry.salt, row.title)
        tx.audit(
            f"incidents.{kind.value}",
            subject_id=row.id,
            organisation_id=row.organisation_id,
            body=body | entry.facts,
        )


def _named(scope: dict[str, Any] | None) -> dict[str, Any]:
    return {} if scope is None else {"scope": scope}
