"""Letting people in: by a password and a second factor, an invitation, a reset, or the first run of a room."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from cleanroom.access.models import UserRow
from cleanroom.access.users import LEADING, Users
from cleanroom.accounts.service import Accounts
from cleanroom.accounts.types import OrganisationKind
from cleanroom.clock import Clock
from cleanroom.db.database import Database, Transaction
from cleanroom.signin.entering import Entering
from cleanroom.signin.errors import (
    FirstRunError,
    StaleSignInError,
    UnknownSessionError,
    WrongPasswordError,
)
from cleanroom.signin.links import Links
from cleanroom.signin.models import CredentialRow
from cleanroom.signin.passwords import hash_password, outdated, require_good, verify_password
from cleanroom.signin.requirement import Requirement
from cleanroom.signin.second_factor import SecondFactors
from cleanroom.signin.secret import SignInSecret
from cleanroom.signin.sessions import Sessions
from cleanroom.signin.single_sign_on import SingleSignOn
from cleanroom.signin.throttle import Throttle
from cleanroom.signin.types import (
    EndReason,
    Entered,
    Invited,
    LinkKind,
    Member,
    NewLink,
    Refused,
    SecondStep,
    Stage,
)

FRESH = timedelta(minutes=15)
"""So long a sign-in by an identity provider stands for a password that is given once more."""
UNKNOWN = "unknown"
"""Whom an attempt is logged about when there is no such user; what was typed is never kept."""


@dataclass(frozen=True)
class SignIn:
    """The service of the signin slice; what takes long is done outside of transactions."""

    db: Database
    clock: Clock
    accounts: Accounts
    users: Users
    secret: SignInSecret
    throttle: Throttle
    sessions: Sessions
    second_factors: SecondFactors
    links: Links
    requirement: Requirement
    entering: Entering
    sso: SingleSignOn

    def sign_in(
        self, email: str, password: str, *, address: str, agent: str, device: str = ""
    ) -> Entered | SecondStep | Refused:
        """Let somebody in who knows the password, as far as the password goes.

        An unknown address takes the same work and the same pauses as a known one.

        Args:
            email: as typed.
            password: as typed.
            address: where the request came from; it is counted under a keyed digest, and not logged.
            agent: browser and system in a few words.
            device: a secret that the browser keeps, by which it is known again; empty when it has none.
        """
        who = email.strip().lower()
        with self.db.transaction() as tx:
            if wait := self._take(tx, ("address", address), ("account", who)):
                return Refused(wait)
        with self.db.reading() as tx:
            known = self._known(tx, who)
            user_id, hashed = (known.user_id, known.password_hash) if known else (None, None)
        right = verify_password(hashed, password)
        if right:
            self.sweep()
        fresh = hash_password(password) if right and hashed and outdated(hashed) else None
        with self.db.transaction() as tx:
            # What was read before the hash may have changed while it was computed.
            standing = self._known(tx, who) if right else None
            if standing is None or standing.password_hash != hashed:
                return self._failed(tx, user_id, ("account", who), ("address", address))
            self._let_through(tx, address, "account", who)
            if fresh is not None:
                standing.password_hash = fresh
            if standing.totp_confirmed_at is None:
                return self.entering.enter(
                    tx, standing.user_id, agent=agent, device=device, method="password"
                )
            token, row = self.sessions.begin(tx, standing.user_id, stage=Stage.SECOND_FACTOR, agent=agent)
            return SecondStep(token, row.expires_at)

    def second_step(
        self, token: str, code: str, *, address: str, device: str = ""
    ) -> Entered | Refused | None:
        """Let somebody in who has given the password, and now a code.

        Args:
            token: of the second step.
            code: of the authenticator app, or a recovery code.
            address: where the request came from.
            device: as for `sign_in`.

        Returns:
            None when the password has to be given anew: the second step took too long.
        """
        with self.db.transaction() as tx:
            pending = self.sessions.pending(tx, token)
            if pending is None:
                return None
            user_id, agent = pending.user_id, pending.agent
            if wait := self._take(tx, ("address", address), ("second_factor", user_id)):
                return Refused(wait)
        with self.db.transaction() as tx:
            pending = self.sessions.pending(tx, token)
            if pending is None or tx.session.get_one(UserRow, user_id).disabled_at is not None:
                return None
            if not self.second_factors.check(tx, user_id, code):
                return self._failed(tx, user_id, ("second_factor", user_id), ("address", address))
            self._let_through(tx, address, "second_factor", user_id)
            self.sessions.end(tx, pending.id, user_id=user_id, reason=EndReason.ROTATED)
            return self.entering.enter(tx, user_id, agent=agent, device=device, method="second_factor")

    def member(self, token: str) -> Member | None:
        """Tell who a session's token belongs to; None for nobody."""
        return self.sessions.member(token)

    def sign_out(self, member: Member, *, reason: EndReason = EndReason.SIGNED_OUT) -> None:
        """End the session that somebody is using; one that has ended meanwhile is no matter.

        Args:
            member: who is signed in.
            reason: for the log.
        """
        with self.db.transaction() as tx, suppress(UnknownSessionError):
            self.sessions.end(tx, member.session_id, user_id=member.user_id, reason=reason)

    def confirm_password(self, member: Member, password: str) -> None:
        """Make sure that it is still the same person, before something that outlives the session.

        Whoever has no password must have signed in a moment ago instead.

        Raises:
            WrongPasswordError: it is not the password, or it was tried too often.
            StaleSignInError: there is no password, and the person signed in longer ago.
        """
        if not member.has_password:
            if self.clock.now() >= member.entered_at + FRESH:
                raise StaleSignInError(
                    "You signed in more than 15 minutes ago.", remedy="Sign out and in, and do it then."
                )
            return
        with self.db.transaction() as tx:
            wait = self._take(tx, ("account", member.email))
            hashed = tx.session.get_one(CredentialRow, member.user_id).password_hash
        if wait or not verify_password(hashed, password):
            if not wait:
                with self.db.transaction() as tx:
                    self._failed(tx, member.user_id, ("account", member.email))
            raise WrongPasswordError(
                "The current password is not right.",
                remedy=f"Wait {wait} seconds." if wait else "Type it again.",
            )
        with self.db.transaction() as tx:
            self.throttle.clear(tx, "account", member.email)

    def change_password(self, member: Member, current: str, new: str) -> None:
        """Set another password; every other session of the person ends.

        Raises:
            WrongPasswordError: the current one is not right.
            PasswordError: the new one cannot be taken.
        """
        require_good(new, email=member.email)
        self.confirm_password(member, current)
        hashed = hash_password(new)
        with self.db.transaction() as tx:
            self._set_password(tx, member.user_id, hashed)
            self.sessions.end_all(
                tx, member.user_id, reason=EndReason.PASSWORD_CHANGED, except_id=member.session_id
            )

    def invited(self, tx: Transaction, invitation: str) -> Invited:
        """Tell whom an invitation is for; raises InvitationError."""
        user = self.users.invited(tx, invitation)
        return Invited(user, self.accounts.organisation(tx, user.organisation_id).name)

    def accept(self, invitation: str, password: str, *, agent: str, device: str = "") -> Entered:
        """Let somebody in who was invited and sets a password.

        Raises:
            InvitationError: the invitation does not count.
            PasswordError: the password cannot be taken.
        """
        with self.db.reading() as tx:
            user = self.users.invited(tx, invitation)
        require_good(password, email=user.email)
        hashed = hash_password(password)
        with self.db.transaction() as tx:
            user = self.users.accept(tx, invitation)
            by = tx.session.get_one(UserRow, user.id).invited_by
            self._set_password(tx, user.id, hashed, link_by=by)
            return self.entering.enter(tx, user.id, agent=agent, device=device, method="invitation")

    def reset(self, token: str, password: str) -> None:
        """Set a new password by a one-time link; every session of the person ends, and nobody is let in by it.

        Raises:
            LinkError: the link does not count.
            PasswordError: the password cannot be taken.
        """
        with self.db.reading() as tx:
            user = self.links.whose(tx, token).user
        require_good(password, email=user.email)
        hashed = hash_password(password)
        with self.db.transaction() as tx:
            used = self.links.use_up(tx, LinkKind.RESET, token)
            if used.drop_second_factor:
                self.second_factors.remove(tx, user.id)
            self._set_password(tx, user.id, hashed, link_by=used.made_by)
            self.throttle.clear(tx, "account", user.email)
            self.sessions.end_all(tx, user.id, reason=EndReason.PASSWORD_CHANGED)

    def needs_first_run(self, tx: Transaction) -> bool:
        """Tell whether nobody can sign in who could invite others."""
        leading = select(func.count()).where(
            UserRow.id == CredentialRow.user_id, UserRow.role.in_(LEADING), UserRow.disabled_at.is_(None)
        )
        return not tx.session.scalar(leading)

    def first_run_link(self, tx: Transaction) -> NewLink | None:
        """Make the link of the first run; None when somebody can sign in who could invite others."""
        return self.links.first_run(tx) if self.needs_first_run(tx) else None

    def first_run(
        self,
        token: str,
        *,
        organisation: str,
        kind: OrganisationKind,
        email: str,
        password: str,
        agent: str,
        device: str = "",
    ) -> Entered:
        """Make the first organisation and the person who leads it, and let that person in.

        Args:
            token: of the link that the server printed.
            organisation: its name; one that was registered before by this name and of this kind is taken.
            kind: provider or operator.
            email: of the person.
            password: of the person.
            agent, device: as for `sign_in`.

        Raises:
            LinkError: the link does not count.
            FirstRunError: somebody can sign in already, or the kind is another one.
            OrganisationNameError, UserError, PasswordError: what was typed cannot be taken.
        """
        role = {OrganisationKind.PROVIDER: "owner", OrganisationKind.OPERATOR: "operator"}.get(kind)
        if role is None:
            raise FirstRunError("A room begins with a provider or an operator.", remedy="Choose one of them.")
        with self.db.reading() as tx:
            self.links.find(tx, LinkKind.FIRST_RUN, token)
        require_good(password, email=email)
        hashed = hash_password(password)
        with self.db.transaction() as tx:
            self.links.use_up(tx, LinkKind.FIRST_RUN, token)
            if not self.needs_first_run(tx):
                raise FirstRunError(
                    "Somebody can sign in to this room already.", remedy="Ask them for an invitation."
                )
            known = next(
                (
                    one
                    for one in self.accounts.organisations(tx)
                    if (one.name, one.kind, one.offboarded_at) == (organisation.strip(), kind, None)
                ),
                None,
            )
            made = known or self.accounts.create_organisation(tx, name=organisation, kind=kind)
            invited = self.users.invite(tx, organisation_id=made.id, email=email, role=role)
            user = self.users.accept(tx, invited.invitation)
            self._set_password(tx, user.id, hashed)
            return self.entering.enter(tx, user.id, agent=agent, device=device, method="first_run")

    def set_language(self, member: Member, language: str) -> None:
        """Keep the language that a person chose."""
        with self.db.transaction() as tx:
            tx.session.get_one(CredentialRow, member.user_id).language = language
            tx.audit(
                "signin.language_set",
                subject_id=member.user_id,
                organisation_id=member.organisation_id,
                body={"language": language},
            )

    def end_all(self, tx: Transaction, user_id: str) -> int:
        """End every session of a person whose access ends; returns how many."""
        return self.sessions.end_all(tx, user_id, reason=EndReason.REVOKED)

    def sweep(self) -> None:
        """Forget what is over: sessions, failures, links, ways to identity providers, browsers not seen for long."""
        # In transactions of their own: they take rows in any order.
        for sweep in (
            self.sessions.sweep,
            self.throttle.sweep,
            self.links.sweep,
            self.sso.sweep,
            self.entering.sweep,
        ):
            with self.db.transaction() as tx:
                sweep(tx)

    def _take(self, tx: Transaction, *counted: tuple[str, str]) -> int:
        waits = [self.throttle.blocked(tx, kind, who) for kind, who in counted]
        if any(waits):
            return max(waits)
        return max(self.throttle.take(tx, kind, who) for kind, who in counted)

    def _known(self, tx: Transaction, email: str) -> CredentialRow | None:
        """Return how a person proves who it is; None when nobody with this address may sign in."""
        found = tx.session.execute(
            select(CredentialRow, UserRow)
            .join(UserRow, UserRow.id == CredentialRow.user_id)
            .where(UserRow.email == email, UserRow.disabled_at.is_(None))
        ).one_or_none()
        if found is None:
            return None
        credential, user = found
        gone = self.accounts.organisation(tx, user.organisation_id).offboarded_at is not None
        return None if gone else credential

    def _failed(self, tx: Transaction, user_id: str | None, *counted: tuple[str, str]) -> Refused:
        """Log a failure, and the pauses that it begins."""
        user = tx.session.get(UserRow, user_id) if user_id else None
        subject, organisation_id = (user.id, user.organisation_id) if user else (UNKNOWN, None)
        step, _ = counted[0]
        tx.audit("signin.failed", subject_id=subject, organisation_id=organisation_id, body={"step": step})
        waits = {kind: self.throttle.blocked(tx, kind, who) for kind, who in counted}
        for kind, seconds in waits.items():
            if seconds:
                tx.audit(
                    "signin.locked",
                    subject_id=subject,
                    organisation_id=organisation_id,
                    body={"what": kind, "seconds": seconds},
                )
        return Refused(max(waits.values()))

    def _set_password(
        self,
        tx: Transaction,
        user_id: str,
        password_hash: str,
        *,
        link_by: str | None = None,
    ) -> None:
        self.links.end_all(tx, user_id)
        row, now = tx.session.get(CredentialRow, user_id), self.clock.now()
        if row is None:
            row = CredentialRow(
                user_id=user_id, totp_sealed=None, totp_confirmed_at=None, totp_last_step=0, language=None
            )
            tx.session.add(row)
        row.password_hash, row.password_set_at = password_hash, now
        # A link that somebody has sent to their own mailbox says nothing of who let them in.
        if link_by is not None:
            row.linked_by, row.linked_at = link_by, now
        tx.session.flush()
        organisation_id = tx.session.get_one(UserRow, user_id).organisation_id
        tx.audit("signin.password_set", subject_id=user_id, organisation_id=organisation_id)

    def _let_through(self, tx: Transaction, address: str, kind: str, who: str) -> None:
        # In the order in which `_take` locks them.
        self.throttle.forgive(tx, "address", address)
        self.throttle.clear(tx, kind, who)
