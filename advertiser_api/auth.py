"""Who calls, and whether it may: bearer tokens (RFC 6750) and the scopes that a route declares."""

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, TypeVar

from fastapi import Header, Request, Security
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.security import OAuth2

from advertiser_api.errors import TokenInQueryError, UnauthenticatedError
from advertiser_api.limiting import RateLimiter
from advertiser_api.middleware import address_of
from advertiser_api.room import OpenRoom
from cleanroom.access.errors import InsufficientScopeError, InvalidTokenError
from cleanroom.access.scopes import SCOPES
from cleanroom.access.types import Acting, Principal
from cleanroom.accounts.types import OrganisationKind
from cleanroom.room import Room

R = TypeVar("R")
REALM = 'Bearer realm="cleanroom"'
ADVERTISER = "Cleanroom-Advertiser"

OAUTH2 = OAuth2(
    flows=OAuthFlows(
        clientCredentials=OAuthFlowClientCredentials(
            tokenUrl="/oauth/token", scopes={scope: scope for scope in sorted(SCOPES)}
        )
    ),
    scheme_name="oauth2",
    auto_error=False,
)
NamedAdvertiser = Annotated[
    str | None,
    Header(alias=ADVERTISER, description="An agency names the advertiser that the call is for."),
]


@lru_cache
def requires(*scopes: str) -> Callable[..., Principal]:
    """Make the dependency of a route that is for callers with these scopes; with none, for every client.

    Args:
        scopes: all of which the access token must carry.

    Returns:
        A dependency that gives the `Principal`.
    """

    def principal_of(
        request: Request,
        room: OpenRoom,
        authorization: Annotated[str | None, Security(OAUTH2, scopes=list(scopes))],
    ) -> Principal:
        return _authorised(request, room, authorization, scopes)

    return _marked(principal_of, scopes)


@lru_cache
def acting(scope: str) -> Callable[..., Acting]:
    """Make the dependency of a route that advertisers call for themselves, and agencies for an advertiser.

    Args:
        scope: which the access token must carry, and an agency's mandate must cover.

    Returns:
        A dependency that gives the `Acting`.
    """

    def acting_for(
        request: Request,
        room: OpenRoom,
        authorization: Annotated[str | None, Security(OAUTH2, scopes=[scope])],
        advertiser: NamedAdvertiser = None,
    ) -> Acting:
        # A route may ask before the framework does: one request is checked, and counted, once.
        known: tuple[str, Acting] | None = getattr(request.state, "acting", None)
        if known is not None and known[0] == scope:
            return known[1]
        # Not by way of `requires`: each dependency that may wait is taken to a thread and back.
        principal = _authorised(request, room, authorization, (scope,))
        with room.db.reading() as tx:
            found = room.access.acting(tx, principal, advertiser, scope=scope)
        request.state.acting = scope, found
        return found

    return _marked(acting_for, (scope,))


def party_of(room: Room, principal: Principal, advertiser: str | None, *, scope: str) -> str:
    """Return for which organisation a caller of any kind acts: its own, or the advertiser that an agency names.

    Args:
        room: knows the mandates.
        principal: who calls.
        advertiser: the header `Cleanroom-Advertiser`.
        scope: what an agency's mandate must cover.
    """
    if advertiser is None and principal.kind is not OrganisationKind.AGENCY:
        return principal.organisation_id
    with room.db.reading() as tx:
        return room.access.acting(tx, principal, advertiser, scope=scope).advertiser_id


def scopes_of(dependency: Callable[..., object] | None) -> tuple[str, ...] | None:
    """Return the scopes that a dependency demands; None for one that lets anybody in."""
    return getattr(dependency, "_cleanroom_scopes", None)


def _marked(dependency: Callable[..., R], scopes: tuple[str, ...]) -> Callable[..., R]:
    dependency._cleanroom_scopes = scopes  # type: ignore[attr-defined]
    return dependency


def _authorised(
    request: Request, room: Room, authorization: str | None, scopes: tuple[str, ...]
) -> Principal:
    principal = _authenticate(request, room, authorization)
    missing = set(scopes) - principal.scopes
    if missing:
        request.state.challenge = f'{REALM}, error="insufficient_scope", scope="{" ".join(scopes)}"'
        raise InsufficientScopeError(
            f"The access token lacks the scope {' '.join(sorted(missing))}.",
            remedy="Get a token with it, if the client has it.",
        )
    request.state.challenge = ""
    return principal


def _authenticate(request: Request, room: Room, authorization: str | None) -> Principal:
    request.state.challenge = REALM
    if "access_token" in request.query_params:
        raise TokenInQueryError(
            "An access token stands in the address.",
            remedy="Revoke it, as logs may hold it now, and send tokens in the header Authorization.",
        )
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError(
            "The request carries no access token.", remedy="Get one at /oauth/token and send it as Bearer."
        )
    limiter: RateLimiter = request.app.state.limiter
    try:
        principal = room.access.authenticate(token.strip())
    except InvalidTokenError:
        # Whoever guesses is a stranger, whatever it sends.
        limiter.stranger(request.state, address_of(request))
        request.state.challenge = f'{REALM}, error="invalid_token"'
        raise
    request.state.principal = principal
    limiter.client(request.state, principal.client_id)
    return principal
