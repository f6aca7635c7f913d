"""Two applications behind one socket: programs' addresses go to the API, everything else to the pages."""

from starlette.types import ASGIApp, Receive, Scope, Send

_EXACT = frozenset({"/v1", "/oauth", "/healthz", "/readyz", "/openapi.json"})
_UNDER = ("/v1/", "/oauth/", "/.well-known/")


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
