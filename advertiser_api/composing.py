"""Two applications behind one socket: programs' addresses go to the API, everything else to the pages."""

from collections.abc import Callable
from functools import partial

from fastapi import APIRouter
from starlette.types import ASGIApp, Receive, Scope, Send

from advertiser_api import problems
from advertiser_api.v1.uploads import uploads_router
from cleanroom.room import Room

_EXACT = frozenset({"/v1", "/oauth", "/healthz", "/readyz", "/openapi.json"})
_UNDER = ("/v1/", "/oauth/", "/.well-known/", "/log/")


class Front:
    """Sends a request where it belongs; neither application sees what is for the other one."""

    def __init__(self, api: ASGIApp, pages: ASGIApp) -> None:
        self._api = api
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        path = scope.get("path", "")
        ours = scope["type"] != "http" or path in _EXACT or path.startswith(_UNDER)
        await (self._api if ours else self._pages)(scope, receive, send)


def uploads_for_pages(room: Room) -> Callable[..., APIRouter]:
    """Return what makes the routes of uploads anew, for callers that the pages let in."""
    return partial(uploads_router, room, problem=problems.problem)
