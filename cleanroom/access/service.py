"""Letting callers in: clients prove who they are, get tokens, and act for an advertiser."""

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import bindparam, delete, exists, select

from cleanroom.access.assertions import Assertions
from cleanroom.access.clients import Clients
from cleanroom.access.errors import (
    AdvertiserMissingError,
    InsufficientScopeError,
    InvalidClientError,
    InvalidTokenError,
    MandateLimitError,
    UnknownAdvertiserError,
)
from cleanroom.access.idempotency import Idempotency
from cleanroom.access.models import RevokedTokenRow, UsedAssertionRow
from cleanroom.access.rows import insert_new
from cleanroom.access.scopes import ANALYSES_RUN, BASES_WRITE, REQUESTS_WRITE
from cleanroom.access.token_keys import DEFAULT_OVERLAP, TokenKeys
from cleanroom.access.tokens import Tokens
from cleanroom.access.types import Acting, Client, ClientMethod, IssuedToken, Offboarded, Principal, Replay
from cleanroom.access.users import Users
from cleanroom.accounts.service import Accounts
from cleanroom.accounts.types import AgencyAction, OrganisationKind
from cleanroom.clock import Clock
from cleanroom.db.database import Database, Transaction

# What an agency needs the advertiser's leave for, beside a mandate.
_ACTIONS = {
    BASES_WRITE: AgencyAction.UPLOAD,
    REQUESTS_WRITE: AgencyAction.REQUEST,
    ANALYSES_RUN: AgencyAction.ASK,
}

# Made once: every request runs it, and to put a statement together takes longer than to run it.
_REVOKED = select(exists().where(RevokedTokenRow.token_id == bindparam("token")))


class Access:
    """The service of the access slice."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        accounts: Accounts,
        clients: Clients,
        users: Users,
        tokens: Tokens,
        assertions: Assertions,
        idempotency: Idempotency,
        allow_client_secret: bool,
    ) -> None:
        self._db = db
        self._clock = clock
        self._accounts = accounts
        self._tokens = tokens
        self._assertions = assertions
        self._allow_client_secret = allow_client_secret
        self._idempotency = idempotency
        self.clients = clients
        self.users = users

    def authenticate(self, token: str) -> Principal:
        """Tell who a bearer of an access token is.

        Args:
            token: the JWT, without the word `Bearer`.

        Returns:
            Who calls; its scopes are what the token carries and its client still has.

        Raises:
            InvalidTokenError: it is malformed, expired, of another issuer, for another audience, or revoked; or its
                client was revoked, or its organisation has left. It says which, and nothing else.
        """
        claims = self._tokens.read(token)
        with self._db.reading() as tx:
            if tx.connection.scalar(_REVOKED, {"token": claims.token_id}):
                raise InvalidTokenError("revoked")
            client = self.clients.in_force(tx, claims.client_id)
        if client is None:
            raise InvalidTokenError("client_revoked")
        return Principal(
            client_id=client.id,
            organisation_id=client.organisation_id,
            kind=client.kind,
            scopes=claims.scopes & client.scopes,
            token_id=claims.token_id,
        )

    def client_by_assertion(self, assertion: str, *, client_id: str | None = None) -> Client:
        """Tell which client signed an assertion, and use it up.

        Args:
            assertion: the JWT.
            client_id: whom the request names beside it, if it does.

        Raises:
            InvalidClientError: it is not good, or was used before; it says why only to who holds the client's key.
        """
        return self._assertions.authenticate(assertion, client_id=client_id)

    def client_by_secret(self, client_id: str, secret: str) -> Client:
        """Tell which client a secret is of.

        Raises:
            InvalidClientError: secrets are switched off, the client is unknown, revoked or has keys, or the secret
                is wrong or ended.
        """
        if not self._allow_client_secret:
            raise InvalidClientError("secrets_are_switched_off")
        with self._db.reading() as tx:
            client = self.clients.in_force(tx, client_id)
            fits = self.clients.secret_fits(tx, client_id, secret)
        if client is None or client.method is not ClientMethod.CLIENT_SECRET_BASIC or not fits:
            raise InvalidClientError("not_recognised")
        if self.clients.use_is_news(client):
            with self._db.transaction() as tx:
                self.clients.note_use(tx, client.id)
        return client

    def issue_token(self, client: Client, scopes: Iterable[str] | None = None) -> IssuedToken:
        """Make an access token for a client that has proven who it is.

        Args:
            client: in force.
            scopes: fewer than the client has; all of them when not given.

        Raises:
            InsufficientScopeError: more were asked for than the client has, or none.
        """
        asked = client.scopes if scopes is None else frozenset(scopes)
        if not asked or not asked <= client.scopes:
            raise InsufficientScopeError(
                "The client does not have all the scopes that it asks for.",
                remedy=f"Ask for some of: {' '.join(sorted(client.scopes))}.",
            )
        return self._tokens.issue(client, asked)

    def revoke_token(self, tx: Transaction, token: str, *, client_id: str) -> bool:
        """End an access token before its time; one that is not good any more is left alone.

        Returns:
            Whether it ended now.

        Raises:
            InvalidTokenError: it was given to another client.
        """
        try:
            claims = self._tokens.read(token)
        except InvalidTokenError:
            return False
        if claims.client_id != client_id:
            raise InvalidTokenError("of_another_client")
        row = {"token_id": claims.token_id, "client_id": client_id, "expires_at": claims.expires_at}
        if not insert_new(tx, RevokedTokenRow, row):
            return False
        organisation_id = self.clients.client(tx, client_id).organisation_id
        tx.audit("access.token_revoked", subject_id=claims.token_id, organisation_id=organisation_id)
        return True

    def rotate_token_keys(self, tx: Transaction, *, overlap: timedelta = DEFAULT_OVERLAP) -> str:
        """Sign tokens with a new key from now on.

        Args:
            tx: the caller's transaction, for the log.
            overlap: how long tokens of older keys are still good; zero ends them all now.

        Returns:
            The new key's id.
        """
        kid = self._tokens.rotate(overlap)
        seconds = int(overlap.total_seconds())
        tx.audit("access.token_keys_rotated", subject_id=kid, body={"overlap_seconds": seconds})
        return kid

    def acting(
        self,
        tx: Transaction,
        principal: Principal,
        advertiser_id: str | None = None,
        *,
        scope: str | None = None,
    ) -> Acting:
        """Resolve for which advertiser a caller acts.

        Args:
            tx: the caller's transaction.
            principal: who calls.
            advertiser_id: whom the call names.
            scope: what the call needs; an agency may do it only if the advertiser's mandate says so.

        Raises:
            AdvertiserMissingError: an agency named nobody.
            UnknownAdvertiserError: there is no such advertiser, or the caller may not act for it: the same answer.
            MandateLimitError: the mandate stands but does not cover this.
        """
        if principal.kind is OrganisationKind.ADVERTISER:
            if advertiser_id not in (None, principal.organisation_id):
                raise _unknown_advertiser()
            return Acting(principal, principal.organisation_id)
        if principal.kind is not OrganisationKind.AGENCY:
            raise _unknown_advertiser()
        if not advertiser_id:
            raise AdvertiserMissingError(
                "An agency names the advertiser that it acts for.",
                remedy="Send the header Cleanroom-Advertiser with its id.",
            )
        mandate = self._accounts.mandate(
            tx, agency_id=principal.organisation_id, advertiser_id=advertiser_id, at=self._clock.now()
        )
        if mandate is None:
            raise _unknown_advertiser()
        action = _ACTIONS.get(scope or "")
        if action is not None and not mandate.covers(action):
            raise MandateLimitError(
                f"The advertiser's mandate does not let the agency {action}.",
                remedy="Ask the advertiser to widen the mandate.",
            )
        return Acting(principal, advertiser_id, principal.organisation_id, mandate)

    def request_hash(self, method: str, path: str, body: bytes, *, advertiser_id: str | None = None) -> str:
        """Return what tells one request from another under the same key, see `Idempotency.request_hash`."""
        return self._idempotency.request_hash(method, path, body, advertiser_id=advertiser_id)

    def idempotent(
        self, tx: Transaction, principal: Principal, key: str | None, request_hash: str
    ) -> Replay | None:
        """Return what this request was answered with before; None when its work is to be done now.

        Call it first in the transaction that does the work, and `remember` last.

        Args:
            tx: the transaction of the work.
            principal: who calls.
            key: the header `Idempotency-Key`.
            request_hash: of `request_hash`.

        Raises:
            IdempotencyKeyMissingError: there is no key.
            IdempotencyKeyError: it is too long, or not printable.
            IdempotencyMismatchError: it was used with another request.
            IdempotencyBusyError: the first request with it is still running.
        """
        return self._idempotency.replay(tx, principal.client_id, key, request_hash)

    def remember(
        self, tx: Transaction, principal: Principal, key: str, request_hash: str, replay: Replay
    ) -> None:
        """Keep for a day what a request is answered with; a body with a secret in it must not be kept."""
        self._idempotency.remember(tx, principal.client_id, key, request_hash, replay)

    def offboard(self, tx: Transaction, organisation_id: str) -> Offboarded:
        """Let an organisation go: its clients, tokens, users, mandates and signing keys end now.

        Its grants and workspaces are of other slices. A second time changes nothing.

        Raises:
            UnknownOrganisationError: there is no such organisation.
        """
        self._accounts.organisation(tx, organisation_id)
        # Before its users, as whoever takes a role away.
        self._accounts.lock(tx, organisation_id)
        ended = Offboarded(
            clients=self.clients.revoke_all(tx, organisation_id),
            users=self.users.disable_all(tx, organisation_id),
        )
        self._accounts.offboard(tx, organisation_id)
        return ended

    def sweep(self, tx: Transaction) -> None:
        """Forget used assertions, revoked tokens and remembered answers that are too old to count."""
        now = self._clock.now()
        for table in (UsedAssertionRow, RevokedTokenRow):
            tx.session.execute(delete(table).where(table.expires_at <= now))
        self._idempotency.sweep(tx)


def make_access(
    *,
    db: Database,
    clock: Clock,
    accounts: Accounts,
    token_keys: TokenKeys,
    seed: bytes,
    issuer: str,
    token_minutes: int,
    allow_client_secret: bool,
) -> Access:
    """Put the service together.

    Args:
        db, clock, accounts: of the room.
        token_keys: sign access tokens.
        seed: a secret of the room that is not in SQL; it keys what is kept of requests.
        issuer: the room's public address, which tokens name and are for.
        token_minutes: how long an access token is good.
        allow_client_secret: whether clients may prove who they are with a secret.
    """
    clients = Clients(accounts, clock)
    return Access(
        db=db,
        clock=clock,
        accounts=accounts,
        clients=clients,
        users=Users(accounts, clock),
        tokens=Tokens(token_keys, clock, issuer=issuer, audience=f"{issuer}/v1", minutes=token_minutes),
        assertions=Assertions(
            db=db, clients=clients, clock=clock, audiences=(issuer, f"{issuer}/oauth/token")
        ),
        idempotency=Idempotency(clock, seed),
        allow_client_secret=allow_client_secret,
    )


def _unknown_advertiser() -> UnknownAdvertiserError:
    return UnknownAdvertiserError(
        "There is no advertiser with this id.", remedy="Name one that you may act for."
    )
