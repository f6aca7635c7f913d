"""Every POST does its work once, however often it is sent."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from advertiser_api.auth import ADVERTISER
from advertiser_api.problems import MEDIA_TYPE as PROBLEM
from advertiser_api.room import OpenRoom
from cleanroom.access.idempotency import request_hash, require_key
from cleanroom.access.types import Principal, Replay
from cleanroom.bootstrap import Room
from cleanroom.db.database import Transaction

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
# Of a tus creation, whose request is in its headers.
_COUNTED_HEADERS = ("upload-length", "upload-metadata")
JSON = "application/json"


@dataclass(frozen=True)
class Once:
    """One POST under its idempotency key.

    Attributes:
        room: where its work is done.
        key: as the caller chose it.
        digest: tells this request from another one under the same key.
    """

    room: Room
    key: str
    digest: str

    def __call__(
        self,
        principal: Principal,
        work: Callable[[Transaction], BaseModel],
        *,
        status: int = 201,
        secrets: Collection[str] = (),
    ) -> Response:
        """Do the work and remember its answer in one transaction, or repeat the answer that it had before.

        An error is not remembered: nothing was done, and the request may be sent again.

        Args:
            principal: who calls; keys of others are others.
            work: done in the transaction; gives what is answered.
            status: of the answer.
            secrets: fields that are answered once and remembered as null: nothing secret is stored in clear.
        """
        return self.with_status(principal, lambda tx: (work(tx), status), secrets=secrets)

    def with_status(
        self,
        principal: Principal,
        work: Callable[[Transaction], tuple[BaseModel, int]],
        *,
        secrets: Collection[str] = (),
    ) -> Response:
        """Do as `__call__`, for work that decides the status too: a refusal that the log keeps is an answer."""

        def once(tx: Transaction) -> tuple[Replay, bool]:
            replay = self.room.access.idempotent(tx, principal, self.key, self.digest)
            if replay is not None:
                return replay, True
            content, status = work(tx)
            made = _written(content, status)
            kept = _written(content.model_copy(update=dict.fromkeys(secrets)), status) if secrets else made
            self.room.access.remember(tx, principal, self.key, self.digest, kept)
            return made, False

        made, replayed = self.room.db.together(once)
        headers = {REPLAYED: "true"} if replayed else {}
        media = PROBLEM if made.status >= 400 else JSON
        return Response(made.body, made.status, headers, media_type=media)


def _written(content: BaseModel, status: int) -> Replay:
    text = content.model_dump_json(by_alias=True, exclude_none=status >= 400)
    return Replay(status, text.encode())


async def _once(
    request: Request,
    room: OpenRoom,
    key: Annotated[str | None, Header(alias=HEADER, description="Yours; a UUID will do.")] = None,
) -> Once:
    counted = [request.headers.get(header, "").encode() for header in _COUNTED_HEADERS]
    body = b"\n".join([*filter(None, counted), _canonical(await request.body())])
    digest = request_hash(
        request.method, request.url.path, body, advertiser_id=request.headers.get(ADVERTISER)
    )
    return Once(room, require_key(key), digest)


OnlyOnce = Annotated[Once, Depends(_once)]


def _canonical(body: bytes) -> bytes:
    """Write JSON so that the order of its keys and its spaces do not count; anything else stays as it is."""
    try:
        return json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return body
