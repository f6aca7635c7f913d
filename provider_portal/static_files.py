"""The portal's own files: read once, compressed once, named by their content so that browsers may keep them."""

import gzip
import hashlib
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.resources.abc import Traversable

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
    """All of them; an address holds the start of the content's hash.

    Files of a folder are modules that name each other, so they share one hash, that of the whole folder.
    """

    def __init__(self) -> None:
        folder = files("provider_portal").joinpath("static")
        self._files = _read_all(folder)
        for entry in folder.iterdir():
            if entry.is_dir():
                found = _read_all(entry)
                tag = hashlib.sha256("".join(one.tag for one in found.values()).encode()).hexdigest()[:16]
                self._files |= {f"{entry.name}/{name}": replace(one, tag=tag) for name, one in found.items()}

    def url(self, name: str) -> str:
        """Return where a file lies; raises KeyError when there is none of this name."""
        return f"/static/{self._files[name].tag}/{name}"

    def router(self) -> APIRouter:
        """Return the route that sends them."""
        router = APIRouter()

        @router.get("/static/{tag}/{name:path}", name="static")
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


def _read_all(folder: Traversable) -> dict[str, StaticFile]:
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    return {
        entry.name: _read(entry.name, entry.read_bytes())
        for entry in entries
        if entry.is_file() and "." + entry.name.rpartition(".")[2] in _TYPES
    }


def _read(name: str, content: bytes) -> StaticFile:
    ending = "." + name.rpartition(".")[2]
    packed = gzip.compress(content, mtime=0)
    return StaticFile(content, packed, _TYPES[ending], hashlib.sha256(content).hexdigest()[:16])
