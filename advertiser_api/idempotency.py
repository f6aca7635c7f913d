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
from cleanroom.access.idempotency import replay_of, require_key
from cleanroom.access.types import Principal, Replay
from cleanroom.db.database import Transaction
from cleanroom.room import Room

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

    def outside(self, principal: Principal, work: Callable[[], BaseModel], *, status: int = 201) -> Response:
        """Do work that opens transactions of its own, and remember its answer.

        Args:
            principal: who calls.
            work: taken once by itself, however often it is done: whoever dies before the answer is remembered does it
                again.
            status: of the answer.
        """
        with self.room.db.transaction() as tx:
            replay = self.room.access.idempotent(tx, principal, self.key, self.digest)
        if replay is not None:
            return Response(replay.body, replay.status, {REPLAYED: "true"}, media_type=JSON)
        content = work()
        return self(principal, lambda _tx: content, status=status)

    def with_status(
        self,
        principal: Principal,
        work: Callable[[Transaction], tuple[BaseModel, int] | Replay],
        *,
        secrets: Collection[str] = (),
    ) -> Response:
        """Do as `__call__`, for work that decides the status too: a refusal that the log keeps is an answer.

        It may also return an answer that is written already, with `replay_of`, which has no secrets in it.
        """

        def once(tx: Transaction) -> tuple[Replay, bool]:
            replay = self.room.access.idempotent(tx, principal, self.key, self.digest)
            if replay is not None:
                return replay, True
            done = work(tx)
            if isinstance(done, Replay):
                made = kept = done
            else:
                content, status = done
                made = _written(content, status)
                kept = (
                    _written(content.model_copy(update=dict.fromkeys(secrets)), status) if secrets else made
                )
            self.room.access.remember(tx, principal, self.key, self.digest, kept)
            return made, False

        made, replayed = self.room.db.together(once)
        headers = {REPLAYED: "true"} if replayed else {}
        media = PROBLEM if made.status >= 400 else JSON
        return Response(made.body, made.status, headers, media_type=media)


def _written(content: BaseModel, status: int) -> Replay:
    """Write an answer as it is sent."""
    text = content.model_dump_json(by_alias=True, exclude_none=status >= 400)
    return replay_of(status, text.encode())


def once_of(request: Request, room: Room, key: str | None, body: bytes) -> Once:
    """Return a POST under its key.

    Args:
        request: which is answered.
        room: where its work is done.
        key: the header `Idempotency-Key`.
        body: whole, and `canonical`.
    """
    headers = request.headers
    counted = [headers.get(header, "").encode() for header in _COUNTED_HEADERS]
    told = b"\n".join([*filter(None, counted), body])
    digest = room.access.request_hash(
        request.method, request.scope["path"], told, advertiser_id=headers.get(ADVERTISER)
    )
    return Once(room, require_key(key), digest)


async def _once(
    request: Request,
    room: OpenRoom,
    key: Annotated[str | None, Header(alias=HEADER, description="Yours; a UUID will do.")] = None,
) -> Once:
    return once_of(request, room, key, canonical(await request.body()))


OnlyOnce = Annotated[Once, Depends(_once)]


def canonical(body: bytes) -> bytes:
    """Write JSON so that the order of its keys and its spaces do not count; anything else stays as it is."""
    try:
        return json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return body
