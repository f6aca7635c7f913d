"""The portal's own files: read once, compressed once, named by their content so that browsers may keep them."""

import gzip
import hashlib
from dataclasses import dataclass
from importlib.resources import files

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_YEAR = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class StaticFile:
    """One file as it is sent."""

    plain: bytes
    packed: bytes
    media_type: str
    tag: str


class StaticFiles:
    """All of them; an address holds the start of the content's hash."""

    def __init__(self) -> None:
        folder = files("provider_portal").joinpath("static")
        self._files = {
            entry.name: _read(entry.name, entry.read_bytes())
            for entry in folder.iterdir()
            if "." + entry.name.rpartition(".")[2] in _TYPES
        }

    def url(self, name: str) -> str:
        """Return where a file lies; raises KeyError when there is none of this name."""
        return f"/static/{self._files[name].tag}/{name}"

    def router(self) -> APIRouter:
        """Return the route that sends them."""
        router = APIRouter()

        @router.get("/static/{tag}/{name}", name="static")
        def static(request: Request, tag: str, name: str) -> Response:
            """Send a file."""
            found = self._files.get(name)
            if found is None or tag != found.tag:
                raise HTTPException(404)
            packed = "gzip" in request.headers.get("accept-encoding", "")
            headers = {"Cache-Control": _YEAR, "Vary": "Accept-Encoding"}
            if packed:
                headers["Content-Encoding"] = "gzip"
            return Response(
                found.packed if packed else found.plain, media_type=found.media_type, headers=headers
            )

        return router


def _read(name: str, content: bytes) -> StaticFile:
    ending = "." + name.rpartition(".")[2]
    packed = gzip.compress(content, mtime=0)
    return StaticFile(content, packed, _TYPES[ending], hashlib.sha256(content).hexdigest()[:16])
