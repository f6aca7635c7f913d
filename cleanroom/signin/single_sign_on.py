"""Single sign-on: people come by an identity provider that the operator has named, and are who they were bound to."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from cleanroom.access.models import UserRow
from cleanroom.access.users import Users
from cleanroom.accounts.service import Accounts
from cleanroom.clock import Clock
from cleanroom.db.database import Database, Transaction
from cleanroom.errors import CleanroomError
from cleanroom.signin.attempts import Attempt, Attempts, Wanted
from cleanroom.signin.entering import Entering
from cleanroom.signin.errors import (
    AttemptError,
    ConnectedError,
    NotConnectedError,
    ProviderAnswerError,
    ProviderUnavailableError,
    UnknownProviderError,
)
from cleanroom.signin.models import CredentialRow, IdentityRow
from cleanroom.signin.oidc.claims import Said, refused
from cleanroom.signin.oidc.provider import IdentityProvider
from cleanroom.signin.secret import SignInSecret
from cleanroom.signin.types import Arrival, Connected, Departure, Entered, Member, SecondStep, Stage, Way

_MULTI_FACTOR = "mfa"
_METHOD = "single_sign_on"


@dataclass(frozen=True)
class SingleSignOn:
    """Sends people to identity providers, and lets them in when they come back."""

    db: Database
    clock: Clock
    accounts: Accounts
    users: Users
    secret: SignInSecret
    attempts: Attempts
    entering: Entering
    providers: Mapping[str, IdentityProvider]
    public_url: str

    def choices(self) -> tuple[tuple[str, str], ...]:
        """Return the names of the identity providers, and their titles for people."""
        return tuple((name, one.settings.title) for name, one in self.providers.items())

    def depart(self, provider: str, wanted: Wanted) -> Departure:
        """Begin a way to an identity provider.

        Args:
            provider: its name.
            wanted: what for.

        Raises:
            UnknownProviderError: the room knows none of this name.
            ProviderUnavailableError: it does not answer.
            InvitationError: an invitation is to be accepted, and does not count.
        """
        chosen = self._provider(provider)
        if wanted.way is Way.INVITATION:
            with self.db.reading() as tx:
                self.users.invited(tx, wanted.invitation)
        # Asked before anything is written; it is kept for an hour.
        chosen.metadata()
        with self.db.transaction() as tx:
            attempt, state, browser, expires_at = self.attempts.begin(tx, provider, wanted)
        address = chosen.address(
            redirect_uri=self._back(provider), state=state, nonce=attempt.nonce, verifier=attempt.verifier
        )
        return Departure(address, browser, expires_at)

    def returning(self, provider: str, *, state: str, browser: str) -> Attempt:
        """Use up the attempt that somebody comes back from; what was wanted is known from here on, whatever fails.

        Args:
            provider: at whose address the answer came.
            state: that the answer names.
            browser: the secret that the browser kept.

        Raises:
            UnknownProviderError: the room knows none of this name.
            AttemptError: there is no such attempt, it is over, was used, or is another browser's.
        """
        self._provider(provider)
        with self.db.transaction() as tx:
            return self.attempts.use_up(tx, provider, state=state, browser=browser)

    def arrive(
        self,
        attempt: Attempt,
        answer: Mapping[str, str],
        *,
        member: Member | None,
        agent: str,
        device: str = "",
    ) -> Arrival:
        """Make of a provider's answer what the person wanted.

        Args:
            attempt: that was used up.
            answer: its parameters: code, iss, error.
            member: who is signed in; it must be whoever wanted to connect an account.
            agent: browser and system in a few words.
            device: a secret that the browser keeps for long.

        Raises:
            AttemptError, ProviderUnavailableError, ProviderAnswerError, NotConnectedError, ConnectedError,
            InvitationError: as they say; failures stand in the log.
        """
        chosen = self._provider(attempt.provider)
        try:
            chosen.require_named(answer.get("iss"))
            if "error" in answer or not answer.get("code"):
                raise refused("answer_error")
            said = chosen.claims(
                answer["code"],
                redirect_uri=self._back(attempt.provider),
                nonce=attempt.nonce,
                verifier=attempt.verifier,
            )
            with self.db.transaction() as tx:
                return self._arrived(tx, chosen, attempt, said, member=member, agent=agent, device=device)
        except (ProviderAnswerError, ProviderUnavailableError, NotConnectedError, ConnectedError) as error:
            self._note(attempt.provider, error)
            raise

    def of(self, tx: Transaction, user_id: str) -> tuple[Connected, ...]:
        """List the identity providers of the room, and which of them a person is connected to."""
        rows = tx.session.scalars(select(IdentityRow).where(IdentityRow.user_id == user_id))
        bound = {row.provider: row.bound_at for row in rows}
        return tuple(Connected(name, title, bound.get(name)) for name, title in self.choices())

    def disconnect(self, tx: Transaction, member: Member, provider: str) -> None:
        """End a connection; without one nothing changes.

        Raises:
            ConnectedError: the person has no password, and could not sign in any more.
        """
        if not member.has_password:
            raise ConnectedError(
                "Without a password this is the only way to sign in.",
                remedy="Ask an owner for a link, and set a password first.",
            )
        row = tx.session.scalar(
            select(IdentityRow).where(IdentityRow.user_id == member.user_id, IdentityRow.provider == provider)
        )
        if row is None:
            return
        tx.session.delete(row)
        tx.session.flush()
        self._audit(tx, "disconnected", member.user_id, provider)

    def sweep(self, tx: Transaction) -> None:
        """Forget attempts that are over."""
        self.attempts.sweep(tx)

    def _arrived(
        self,
        tx: Transaction,
        chosen: IdentityProvider,
        attempt: Attempt,
        said: Said,
        *,
        member: Member | None,
        agent: str,
        device: str,
    ) -> Arrival:
        wanted, name = attempt.wanted, chosen.settings.name
        _require_domain(chosen, said)
        digest = self.secret.digest(tx, "identity", f"{said.issuer}\n{said.subject}")
        row = tx.session.get(IdentityRow, digest)
        if wanted.way is Way.CONNECT:
            if member is None or member.user_id != wanted.user_id:
                raise AttemptError("Somebody else is signed in now.", remedy="Sign in, and begin anew.")
            self._bind(tx, digest, row, member.user_id, name)
            return Arrival(wanted.way, None, wanted.next_path, "")
        if wanted.way is Way.INVITATION:
            user_id = self._accept(tx, said, wanted.invitation)
            self._bind(tx, digest, row, user_id, name)
        elif row is not None:
            user_id = row.user_id
        else:
            user_id = self._enrolled(tx, chosen, said)
            self._bind(tx, digest, row, user_id, name)
        entered = self._enter(tx, chosen, said, user_id, agent=agent, device=device)
        return Arrival(wanted.way, entered, wanted.next_path, wanted.kept)

    def _enter(
        self, tx: Transaction, chosen: IdentityProvider, said: Said, user_id: str, *, agent: str, device: str
    ) -> Entered | SecondStep:
        user, settings = tx.session.get_one(UserRow, user_id), chosen.settings
        gone = self.accounts.organisation(tx, user.organisation_id).offboarded_at is not None
        if user.disabled_at is not None or gone:
            raise _not_connected()
        vouched = (
            settings.trust_second_factor
            or _MULTI_FACTOR in said.methods
            or said.context in settings.second_factor_acr
        )
        credential = tx.session.get_one(CredentialRow, user_id)
        if credential.totp_confirmed_at is not None and not vouched:
            token, row = self.entering.sessions.begin(tx, user_id, stage=Stage.SECOND_FACTOR, agent=agent)
            return SecondStep(token, row.expires_at)
        return self.entering.enter(
            tx,
            user_id,
            agent=agent,
            device=device,
            method=_METHOD,
            vouched=vouched,
            provider=settings.name,
        )

    def _accept(self, tx: Transaction, said: Said, invitation: str) -> str:
        invited = self.users.invited(tx, invitation)
        # Whoever has the link, and an account at the provider, must still be the one who was invited.
        if said.email != invited.email:
            raise NotConnectedError(
                "The identity provider does not say that this is the address that was invited.",
                remedy="Use the account of that address, or set a password.",
            )
        self.users.accept(tx, invitation)
        self._without_password(tx, invited.id)
        return invited.id

    def _enrolled(self, tx: Transaction, chosen: IdentityProvider, said: Said) -> str:
        """Make a viewer of somebody whose domain the operator lets in; raises NotConnectedError for all others."""
        organisation_id = chosen.settings.viewers.get(said.email.partition("@")[2]) if said.email else None
        if organisation_id is None:
            raise _not_connected()
        try:
            made = self.users.invite(tx, organisation_id=organisation_id, email=said.email, role="viewer")
        except CleanroomError:
            # Mostly somebody has this address here: only that person can connect the account, when signed in.
            raise _not_connected() from None
        self.users.accept(tx, made.invitation)
        self._without_password(tx, made.user.id)
        return made.user.id

    def _without_password(self, tx: Transaction, user_id: str) -> None:
        tx.session.add(
            CredentialRow(
                user_id=user_id,
                password_hash=None,
                password_set_at=None,
                linked_by=None,
                linked_at=None,
                totp_sealed=None,
                totp_confirmed_at=None,
                totp_last_step=0,
                language=None,
            )
        )
        tx.session.flush()

    def _bind(
        self, tx: Transaction, digest: bytes, row: IdentityRow | None, user_id: str, provider: str
    ) -> None:
        if row is not None and row.user_id == user_id:
            return
        others = select(IdentityRow).where(IdentityRow.user_id == user_id, IdentityRow.provider == provider)
        if row is not None or tx.session.scalars(others).first() is not None:
            raise ConnectedError(
                "This account is connected to somebody already, or you to another account of the provider.",
                remedy="Disconnect that one first.",
            )
        now = self.clock.now()
        tx.session.add(IdentityRow(digest=digest, user_id=user_id, provider=provider, bound_at=now))
        tx.session.flush()
        self._audit(tx, "connected", user_id, provider)

    def _note(self, provider: str, error: ProviderAnswerError | Exception) -> None:
        """Log a failure, in a transaction of its own: what it ended is rolled back."""
        why = getattr(error, "reason", "") or getattr(error, "code", "").partition(".")[2]
        with self.db.transaction() as tx:
            tx.audit(
                "signin.failed",
                subject_id="unknown",
                body={"step": _METHOD, "provider": provider, "why": why},
            )

    def _audit(self, tx: Transaction, what: str, user_id: str, provider: str) -> None:
        organisation_id = tx.session.get_one(UserRow, user_id).organisation_id
        tx.audit(
            f"signin.{what}",
            subject_id=user_id,
            organisation_id=organisation_id,
            body={"provider": provider},
        )

    def _provider(self, name: str) -> IdentityProvider:
        chosen = self.providers.get(name)
        if chosen is None:
            raise UnknownProviderError(
                "The room has no identity provider of this name.", remedy="Begin at the sign-in page."
            )
        return chosen

    def _back(self, provider: str) -> str:
        return f"{self.public_url}/sign-in/with/{provider}/back"


def _require_domain(chosen: IdentityProvider, said: Said) -> None:
    domains = chosen.settings.domains
    if domains and said.email.partition("@")[2] not in domains:
        raise NotConnectedError(
            "The room lets nobody of this address's domain in by this provider.",
            remedy="Use the account of your work.",
        )


def _not_connected() -> NotConnectedError:
    return NotConnectedError(
        "This account is connected to nobody here.",
        remedy="Accept your invitation with it; or sign in with your password and connect it under My account.",
    )
