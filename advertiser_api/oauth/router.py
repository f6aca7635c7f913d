"""Routes of the authorization server: /oauth/* and its metadata."""

from collections.abc import Callable
from typing import Any

from authlib.oauth2.base import OAuth2Error
from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from advertiser_api.oauth.documents import (
    KEY_SET_EXAMPLE,
    METADATA_EXAMPLE,
    REVOCATION,
    TOKEN,
)
from advertiser_api.oauth.requests import FormRequest, read_form
from advertiser_api.oauth.server import ASSERTION_TYPE, GRANT_TYPE, RoomAuthorizationServer
from cleanroom.access.client_keys import ALGORITHMS
from cleanroom.access.scopes import SCOPES
from cleanroom.access.types import ClientMethod
from cleanroom.counts import Counts
from cleanroom.room import Room
from cleanroom.settings import Settings

__all__ = ["ASSERTION_TYPE", "oauth_router"]
# Short, so that a rotation is soon known to whoever checks tokens elsewhere.
_KEEP_KEYS = {"Cache-Control": "public, max-age=300"}


def oauth_router(room: Room, counts: Counts) -> APIRouter:
    """Make the routes of the authorization server; none of them needs a token.

    Args:
        room: open.
        counts: of failed attempts to prove who one is.
    """
    router = APIRouter(tags=["oauth"])
    server = RoomAuthorizationServer(room, counts)

    async def answer(request: Request, path: str, handle: Callable[[FormRequest], Response]) -> Response:
        try:
            form = await read_form(request, uri=room.settings.public_url + path)
        except OAuth2Error as error:
            return server.refused(error)
        return await run_in_threadpool(handle, form)

    @router.post("/oauth/token", summary="Get an access token", response_class=JSONResponse, **TOKEN)
    async def token(request: Request) -> Response:
        return await answer(request, "/oauth/token", server.token)

    @router.post("/oauth/revoke", summary="End an access token", response_class=JSONResponse, **REVOCATION)
    async def revoke(request: Request) -> Response:
        return await answer(request, "/oauth/revoke", server.revoke)

    @router.get("/oauth/jwks", summary="Keys that verify access tokens", responses=KEY_SET_EXAMPLE)
    def jwks() -> JSONResponse:
        return JSONResponse(room.token_keys.public_set(room.clock.now()), headers=_KEEP_KEYS)

    @router.get(
        "/.well-known/oauth-authorization-server",
        summary="What this authorization server can do",
        responses=METADATA_EXAMPLE,
    )
    def metadata() -> JSONResponse:
        return JSONResponse(_metadata(room.settings))

    return router


def _metadata(settings: Settings) -> dict[str, Any]:
    """Describe the server (RFC 8414, section 2)."""
    methods = [ClientMethod.PRIVATE_KEY_JWT.value]
    if settings.allow_client_secret:
        methods.append(ClientMethod.CLIENT_SECRET_BASIC.value)
    url = settings.public_url
    return {
        "issuer": url,
        "token_endpoint": f"{url}/oauth/token",
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint": f"{url}/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "jwks_uri": f"{url}/oauth/jwks",
        "scopes_supported": sorted(SCOPES),
        "grant_types_supported": [GRANT_TYPE],
        # Required by the standard; there is no authorization endpoint.
        "response_types_supported": [],
    }
