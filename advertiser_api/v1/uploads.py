"""Uploads over HTTP: the tus 1.0 core with creation, termination, checksum and expiration, and a status in JSON.

Source: tus resumable upload protocol 1.0.0, https://tus.io/protocols/resumable-upload
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import datetime
from typing import Any, Protocol, Self

from anyio import CancelScope
from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from advertiser_api.statuses import status_of
from cleanroom.datasets.types import DatasetKind
from cleanroom.errors import KNOWN_ERRORS
from cleanroom.room import Room
from cleanroom.uploads import tus
from cleanroom.uploads.errors import ScopeError, StalledError, TusVersionError
from cleanroom.uploads.types import Upload, UploadStatus

PIECE_BYTES = 1 << 20
"""Handed to a thread at a time: a request holds about this much memory, however long it is."""
IDLE_SECONDS = 60.0
"""A client that sends nothing for so long is taken for gone: it would keep others from resuming its upload."""
STATUSES = {
    code: status_of(code)
    for code in (
        "uploads.not_found",
        "uploads.gone",
        "uploads.status",
        "uploads.length",
        "uploads.too_large",
        "uploads.too_many",
        "uploads.package_uploading",
        "uploads.offset",
        "uploads.busy",
        "uploads.checksum",
        "uploads.no_space",
        "uploads.tus_version",
        "uploads.tus_header",
        "uploads.content_type",
        "uploads.scope",
        "uploads.stalled",
        "datasets.not_found",
        "ingestion.package_used",
        "workspaces.destroyed",
    )
}
"""The status of each error of these routes; the protocol fixes most of them."""

Problem = Callable[[Request, Exception], Response]


class Caller(Protocol):
    """Who calls, as far as uploads need to know."""

    @property
    def organisation_id(self) -> str:
        """Whose uploads they are: for an agency, the advertiser's that it acts for."""
        ...

    @property
    def scopes(self) -> frozenset[str]:
        """What the access token may be used for."""
        ...


class Progress(BaseModel):
    """How far ingestion is, for the owner alone."""

    rows_done: int
    rows_total: int


class UploadOut(BaseModel):
    """The status of an upload."""

    id: str
    workspace_id: str
    dataset_id: str
    package_id: str
    state: UploadStatus
    offset: int
    length: int
    publish: bool
    version_id: str | None
    failure: str | None
    progress: Progress | None
    created_at: datetime
    expires_at: datetime
    received_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, upload: Upload) -> Self:
        """Write an upload's status."""
        return cls(
            id=upload.id,
            workspace_id=upload.workspace_id,
            dataset_id=upload.dataset_id,
            package_id=upload.package_id,
            state=upload.status,
            offset=upload.offset,
            length=upload.length,
            publish=upload.publish,
            version_id=upload.version_id,
            failure=upload.failure,
            progress=Progress(rows_done=upload.rows_done, rows_total=upload.rows_total)
            if upload.rows_total
            else None,
            created_at=upload.created_at,
            expires_at=upload.expires_at,
            received_at=upload.received_at,
            finished_at=upload.finished_at,
        )


def uploads_router(room: Room, *, caller: Callable[..., Any], problem: Problem) -> APIRouter:
    """Make the routes under `/uploads`.

    Args:
        room: whose uploads they are.
        caller: a dependency that authenticates and gives a `Caller`.
        problem: makes the answer to an error, as everywhere in the interface; the protocol's headers are added here.

    Returns:
        A router, to be included under `/v1`.
    """
    refusals: dict[int | str, dict[str, Any]] = {
        status: {"description": ", ".join(code for code in STATUSES if STATUSES[code] == status)}
        for status in STATUSES.values()
    }
    router = APIRouter(
        prefix="/uploads", tags=["uploads"], route_class=_tus_route(problem), responses=refusals
    )
    who = Depends(caller)

    def find(upload_id: str, by: Caller, *, reading: bool = False) -> Upload:
        with room.db.reading() as tx:
            upload = room.uploads.upload(tx, upload_id, organisation_id=by.organisation_id)
        _require_scope(by, upload.kind, reading=reading)
        return upload

    @router.options("", status_code=204, dependencies=[who])
    def discover() -> Response:
        """Tell what this server can do."""
        return Response(status_code=204, headers=tus.capabilities(room.uploads.limits))

    @router.post("", status_code=201)
    def create(request: Request, by: Caller = who) -> Response:
        """Announce an upload by its signed manifest."""
        headers = request.headers
        length = tus.read_length(headers.get("upload-length"), deferred=headers.get("upload-defer-length"))
        manifest, publish = tus.read_wish(tus.read_metadata(headers.get("upload-metadata")))
        with room.db.transaction() as tx:
            upload = room.uploads.create(
                tx, organisation_id=by.organisation_id, manifest=manifest, length=length, publish=publish
            )
            # Inside the transaction: without the scope nothing is announced.
            _require_scope(by, upload.kind)
        location = request.url_for("upload_status", upload_id=upload.id).path
        return Response(status_code=201, headers={"Location": location, **_expiry(upload)})

    @router.head("/{upload_id}", status_code=204)
    def offset(upload_id: str, by: Caller = who) -> Response:
        """Tell where to resume."""
        upload = find(upload_id, by)
        upload.require_resumable()
        return Response(
            status_code=204,
            headers={
                "Upload-Offset": str(upload.offset),
                "Upload-Length": str(upload.length),
                "Cache-Control": "no-store",
                **_expiry(upload),
            },
        )

    @router.patch("/{upload_id}", status_code=204)
    async def append(upload_id: str, request: Request, by: Caller = who) -> Response:
        """Take bytes at the offset."""
        headers = request.headers
        tus.require_content_type(headers.get("content-type"))
        at = tus.read_number("Upload-Offset", headers.get("upload-offset"))
        checksum = tus.read_checksum(headers.get("upload-checksum"))
        size = headers.get("content-length")
        await run_in_threadpool(find, upload_id, by)
        appending = await run_in_threadpool(
            room.uploads.append,
            upload_id,
            organisation_id=by.organisation_id,
            offset=at,
            announced=None if size is None else tus.read_number("Content-Length", size),
            checksum=checksum,
        )
        try:
            async for piece in _pieces(request):
                await run_in_threadpool(appending.write, piece)
            upload = await run_in_threadpool(appending.finish)
        finally:
            # However the request ends: what arrived is counted, and the upload is free for the next one.
            with CancelScope(shield=True):
                await run_in_threadpool(appending.close)
        return Response(status_code=204, headers={"Upload-Offset": str(upload.offset), **_expiry(upload)})

    @router.delete("/{upload_id}", status_code=204)
    def terminate(upload_id: str, by: Caller = who) -> Response:
        """End an upload and remove its bytes."""
        find(upload_id, by)
        room.uploads.terminate(upload_id, organisation_id=by.organisation_id)
        return Response(status_code=204)

    @router.get("/{upload_id}", response_model=UploadOut, name="upload_status")
    def status(upload_id: str, response: Response, by: Caller = who) -> UploadOut:
        """Tell how far an upload is, and what became of it."""
        response.headers["Cache-Control"] = "no-store"
        return UploadOut.of(find(upload_id, by, reading=True))

    return router


def _tus_route(problem: Problem) -> type[APIRoute]:
    """Make the class of the routes: errors carry the protocol's headers too, which a handler of the app cannot add."""

    class TusRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    if request.method not in ("GET", "OPTIONS"):
                        tus.require_version(request.headers.get("tus-resumable"))
                    response = await handle(request)
                except KNOWN_ERRORS as error:
                    response = problem(request, error)
                    if isinstance(error, TusVersionError):
                        response.headers["Tus-Version"] = tus.VERSION
                    response.headers["Cache-Control"] = "no-store"
                response.headers["Tus-Resumable"] = tus.VERSION
                return response

            return answer

    return TusRoute


async def _pieces(request: Request) -> AsyncIterator[bytearray]:
    """Gather the body into pieces of `PIECE_BYTES` or a little more; what is left when the client goes away comes too.

    Raises:
        StalledError: the client went away, or sent nothing for `IDLE_SECONDS`.
    """
    held, stalled = bytearray(), False
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                held += await anext(stream)
        except StopAsyncIteration:
            break
        except (TimeoutError, ClientDisconnect):
            stalled = True
            break
        if len(held) >= PIECE_BYTES:
            yield held
            held = bytearray()
    if held:
        yield held
    if stalled:
        raise StalledError(
            f"No bytes came for {IDLE_SECONDS:.0f} seconds, or the connection was lost.",
            remedy="Ask for the offset and resume there.",
        )


def _require_scope(by: Caller, kind: DatasetKind, *, reading: bool = False) -> None:
    allowed = {f"{kind}s:write"} | ({f"{kind}s:read"} if reading else set())
    if not allowed & by.scopes:
        raise ScopeError(
            f"The token lacks the scope {kind}s:write.", remedy="Ask for a token with this scope."
        )


def _expiry(upload: Upload) -> dict[str, str]:
    if upload.status is not UploadStatus.RECEIVING:
        return {}
    return {"Upload-Expires": tus.http_date(upload.expires_at)}
