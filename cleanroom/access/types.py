"""Callers, clients, tokens and users as values."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cleanroom.access.errors import MandateLimitError
from cleanroom.accounts.types import Mandate, OrganisationKind


class ClientMethod(StrEnum):
    """How a client proves who it is: the names of RFC 7591."""

    PRIVATE_KEY_JWT = "private_key_jwt"
    CLIENT_SECRET_BASIC = "client_secret_basic"  # noqa: S105 - a method's name


@dataclass(frozen=True)
class Principal:
    """Who calls.

    Attributes:
        client_id: `cl_...`.
        organisation_id: `org_...`, whose client it is.
        kind: of the organisation.
        scopes: what the access token carries; never more than the client has now.
        token_id: the `jti` of the access token.
    """

    client_id: str
    organisation_id: str
    kind: OrganisationKind
    scopes: frozenset[str]
    token_id: str


@dataclass(frozen=True)
class Acting:
    """A caller, and the advertiser that the call is for.

    Attributes:
        principal: who calls.
        advertiser_id: for whom.
        agency_id: set when an agency acts.
        mandate: the agency's right to, with its limits; None when an advertiser acts for itself.
    """

    principal: Principal
    advertiser_id: str
    agency_id: str | None = None
    mandate: Mandate | None = None

    def require_purpose(self, purpose: str) -> None:
        """Refuse a purpose that the mandate does not cover; raises MandateLimitError."""
        if self.mandate is not None and not self.mandate.covers_purpose(purpose):
            raise MandateLimitError(
                "The advertiser's mandate does not cover this purpose.",
                remedy="Ask the advertiser to widen the mandate.",
            )


@dataclass(frozen=True)
class Client:
    """A program that calls the room for an organisation.

    Attributes:
        id: `cl_...`.
        organisation_id: whose it is.
        kind: of the organisation.
        name: for people.
        method: how it proves who it is.
        role: the role that its scopes come from; None when they were listed.
        scopes: the most that its tokens can carry.
        created_at: when it was registered.
        revoked_at: the instant from which it is refused; None while it stands.
        last_used_at: when it last proved who it is, to five minutes; None for never since this is noted.
    """

    id: str
    organisation_id: str
    kind: OrganisationKind
    name: str
    method: ClientMethod
    role: str | None
    scopes: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True)
class Credential:
    """A public key or a secret of a client, without the secret.

    Attributes:
        id: `ck_...` of a key, `cs_...` of a secret.
        kid: the key id that assertions name; None for a secret.
        added_at: since when it counts.
        expires_at: the instant from which it no longer counts; None for open-ended.
    """

    id: str
    kid: str | None
    added_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True)
class NewClient:
    """A client that was just registered.

    Attributes:
        client: as it stands.
        secret: shown this once; None for a client with keys.
    """

    client: Client
    secret: str | None


@dataclass(frozen=True)
class IssuedToken:
    """An access token, just made.

    Attributes:
        value: the JWT; a secret until it expires.
        token_id: its `jti`.
        scopes: what it carries.
        expires_in: seconds until it ends.
    """

    value: str
    token_id: str
    scopes: frozenset[str]
    expires_in: int


@dataclass(frozen=True)
class Replay:
    """What a request was answered with before.

    Attributes:
        status: the HTTP status.
        body: the body as it was sent.
        packed: the body as it is kept.
    """

    status: int
    body: bytes
    packed: bytes = field(repr=False)


@dataclass(frozen=True)
class User:
    """A person who signs in for an organisation.

    Attributes:
        id: `us_...`.
        organisation_id: for whom.
        email: where the invitation went, in lower case.
        role: one of the roles of the organisation's kind.
        created_at: when the record was made.
        disabled_at: the instant from which it no longer counts; None while it stands.
    """

    id: str
    organisation_id: str
    email: str
    role: str
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True)
class NewUser:
    """A user whose record was just made.

    Attributes:
        user: as it stands.
        invitation: shown this once; with it the person sets a password.
        invitation_expires_at: when it ends.
    """

    user: User
    invitation: str
    invitation_expires_at: datetime


@dataclass(frozen=True)
class Offboarded:
    """What ended with an organisation's leave.

    Attributes:
        clients: ids of those that stood.
        users: ids of those that stood.
    """

    clients: tuple[str, ...]
    users: tuple[str, ...]
