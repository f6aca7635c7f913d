"""Questions: asked in one transaction, counted by a worker, read when their tick has come."""

from collections.abc import Callable, Coroutine, Hashable
from threading import Lock
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from pydantic import Field

from advertiser_api.auth import ADVERTISER, acting
from advertiser_api.idempotency import HEADER, JSON, OnlyOnce, once_of
from advertiser_api.pages import AskedPage, Listed
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import IdInPath, Instant, Shown
from advertiser_api.v1.answers import ResultOut
from advertiser_api.v1.questions import AskedQuestion, asker_of, entitled, read_question
from cleanroom.access.idempotency import replay_of
from cleanroom.access.scopes import ANALYSES_READ, ANALYSES_RUN
from cleanroom.access.types import Acting, Replay
from cleanroom.analyses.foreseeing import Foreseen
from cleanroom.analyses.service import Begun
from cleanroom.analyses.types import Analysis, State
from cleanroom.db.database import Transaction
from cleanroom.errors import KNOWN_ERRORS
from cleanroom.marketplace.types import Entitlement
from cleanroom.room import Room

router = APIRouter(prefix="/v1/analyses", tags=["analyses"])
Running = Annotated[Acting, Depends(acting(ANALYSES_RUN))]
Reading = Annotated[Acting, Depends(acting(ANALYSES_READ))]


class AnalysisOut(Shown):
    """A question, and how far it is; the state tells nothing of the data before the answer is shown."""

    id: str
    entitlement_id: str | None
    dataset_id: str
    base_id: str
    advertiser_id: str
    agency_id: str | None
    question: dict[str, Any]
    state: State
    progress: Annotated[
        float, Field(ge=0, le=1, description="of the usual time, which follows from public sizes")
    ]
    charged_micro: Annotated[int, Field(description="micro-rho, spent whatever becomes of it")]
    asked_at: Instant
    shown_at: Instant | None
    look_at: Annotated[
        Instant | None,
        Field(description="the next instant at which there can be something new; null at the end"),
    ]
    receipt: Annotated[str | None, Field(description="where the signed proof of an answer is")]

    @classmethod
    def of(cls, analysis: Analysis, entitlement_id: str | None) -> Self:
        """Write a question."""
        return cls(
            id=analysis.id,
            entitlement_id=entitlement_id,
            dataset_id=analysis.dataset_id,
            base_id=analysis.base_id,
            advertiser_id=analysis.advertiser_id,
            agency_id=analysis.agency_id,
            question=dict(analysis.question),
            state=analysis.state,
            progress=analysis.progress,
            charged_micro=analysis.charged_micro,
            asked_at=analysis.asked_at,
            shown_at=analysis.shown_at,
            look_at=analysis.look_at,
            receipt=f"/v1/analyses/{analysis.id}/receipt" if analysis.answered else None,
        )


class AskedOut(AnalysisOut):
    """A question that was just asked."""

    result: Annotated[ResultOut | None, Field(description="when it was answered at once")] = None


# Python runs one thread at a time anyway: many that look ahead at once would only hold up the one that writes.
_AHEAD = Lock()
_ANSWERS: dict[int | str, dict[str, Any]] = {
    201: {"description": "Answered at once: from the store, or refused", "model": AskedOut},
    202: {"description": "Accepted: a worker counts"},
}


def ask_question(room: OpenRoom, caller: Running, once: OnlyOnce, body: AskedQuestion) -> Response:
    """Decide on a question; what is permitted and new is counted by a worker, under the budget reserved here."""
    asked: list[Begun] = []
    foreseen = _foreseen(room, caller, body, once.digest)

    def ask(tx: Transaction) -> tuple[AskedOut, int] | Replay:
        if foreseen is not None and room.analyses.enter(tx, foreseen[0]):
            return foreseen[1]
        entitlement = entitled(room, tx, caller, body.entitlement_id)
        # A mandate binds the agency; what the advertiser asks itself is its own money.
        caps = room.marketplace.caps if caller.agency_id is not None else None
        if caps and entitlement.agency_id:
            caps.hold(tx, agency_id=entitlement.agency_id, advertiser_id=entitlement.advertiser_id)
        begun = room.analyses.begin(
            tx,
            body.question(entitlement.dataset_id),
            grant_id=entitlement.grant_id,
            asker_id=asker_of(caller),
        )
        if caps and begun.answer is None:
            # What is answered at once costs no money.
            caps.require_within(tx, entitlement)
        asked.append(begun)
        return _asked(begun, entitlement)

    answer = once.with_status(caller.principal, ask)
    for begun in asked:
        room.analyses.settle(begun)
    return answer


def _foreseen(
    room: Room, caller: Acting, asked: AskedQuestion, digest: str
) -> tuple[Foreseen, Replay] | None:
    """Find out whether a question has a stored answer, and write that, while nobody has to wait for it."""
    if not room.db.one_writer:
        return None
    said = caller.advertiser_id, caller.agency_id, digest
    try:
        with _AHEAD, room.db.reading() as tx:
            found = room.analyses.foresee_again(tx, said) or _found_anew(room, tx, caller, asked, said)
    except KNOWN_ERRORS:
        # It may have been answered before, under the same key; if not, the error is raised again.
        return None
    if found is None or found[1].answer is None:
        return None
    text = AskedOut.of(found[1].analysis, asked.entitlement_id).model_dump_json().encode()
    # The answer stands last, and its long part is mostly written already.
    before, long, after = ResultOut.json_of(found[1].answer)
    return found[0], replay_of(201, text.removesuffix(b"null}") + before, long, after + b"}")


def _found_anew(
    room: Room, tx: Transaction, caller: Acting, asked: AskedQuestion, said: Hashable
) -> tuple[Foreseen, Begun] | None:
    entitlement = entitled(room, tx, caller, asked.entitlement_id)
    return room.analyses.foresee(
        tx,
        asked.question(entitlement.dataset_id),
        grant_id=entitlement.grant_id,
        asker_id=asker_of(caller),
        said=said,
    )


def _asked(begun: Begun, entitlement: Entitlement) -> tuple[AskedOut, int]:
    shown = AskedOut.of(begun.analysis, entitlement.id)
    if begun.answer is None:
        return shown, 202
    return shown.model_copy(update={"result": ResultOut.of(begun.answer)}), 201


class _Asking(APIRoute):
    """The route for asking: sound requests go straight to the work, in one thread.

    Most are answered from the store, which takes less time than the framework's own way through the dependencies. Who
    asks is known, and counted, before a word of the question is read, and it is read outside the loop that serves all.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        usual = super().get_route_handler()

        async def answer(request: Request) -> Response:
            answered = await run_in_threadpool(_ask, request, await request.body())
            # The framework finds the words for what does not fit.
            return await usual(request) if answered is None else answered

        return answer


def _ask(request: Request, body: bytes) -> Response | None:
    """Answer a question; None when something about it does not fit, and by then it is known who asks."""
    room: Room = request.app.state.room
    headers = request.headers
    caller = acting(ANALYSES_RUN)(request, room, headers.get("authorization"), headers.get(ADVERTISER))
    read = read_question(headers.get("content-type"), body)
    if read is None:
        return None
    asked, told = read
    return ask_question(room, caller, once_of(request, room, headers.get(HEADER), told), asked)


router.add_api_route(
    "",
    ask_question,
    methods=["POST"],
    summary="Ask a question",
    status_code=202,
    response_model=AskedOut,
    responses=_ANSWERS,
    route_class_override=_Asking,
)


@router.get("", summary="List analyses")
def list_analyses(room: OpenRoom, caller: Reading, page: AskedPage) -> Listed[AnalysisOut]:
    """List the advertiser's questions, the newest first; an agency sees those that it asked."""
    with room.db.reading() as tx:
        found = room.analyses.reading.analyses(
            tx,
            organisation_id=asker_of(caller),
            advertiser_id=caller.advertiser_id,
            before=page.after or None,
            limit=page.fetch,
        )
        entitlements = room.marketplace.entitlements.of_grants(tx, (each.grant_id for each in found))
    return page.of(
        found,
        lambda each: AnalysisOut.of(each, entitlements.get(each.grant_id)),
        position=lambda each: each.id,
    )


@router.get("/{analysis_id}", summary="Follow an analysis")
def read_analysis(room: OpenRoom, caller: Reading, analysis_id: IdInPath, response: Response) -> AnalysisOut:
    """Tell how far a question is; Retry-After says when to look again."""
    with room.db.reading() as tx:
        found = room.analyses.reading.analysis(tx, analysis_id, **_owner(caller))
        shown = _out(room, tx, found)
    if found.look_at is not None:
        seconds = (found.look_at - room.clock.now()).total_seconds()
        response.headers["Retry-After"] = str(max(1, -int(-seconds // 1)))
    return shown


@router.post("/{analysis_id}/cancel", summary="Cancel an analysis", response_model=AnalysisOut)
def cancel_analysis(room: OpenRoom, caller: Running, once: OnlyOnce, analysis_id: IdInPath) -> Response:
    """End a question without an answer, if it has none yet; what it took of the budget stays spent."""
    return once(
        caller.principal,
        lambda tx: _out(room, tx, room.analyses.cancel(tx, analysis_id, **_owner(caller))),
        status=200,
    )


@router.get("/{analysis_id}/result", summary="Read a result")
def read_result(room: OpenRoom, caller: Reading, analysis_id: IdInPath) -> ResultOut:
    """Give the released figures, or the reasons of a refusal."""
    return ResultOut.of(room.analyses.result(analysis_id, **_owner(caller)))


@router.get("/{analysis_id}/receipt", summary="Read a receipt", response_model=dict[str, Any])
def read_receipt(room: OpenRoom, caller: Reading, analysis_id: IdInPath) -> Response:
    """Give the signed proof, byte for byte as it was written; `cleanroom receipt verify` checks it offline."""
    receipt = room.analyses.receipt(analysis_id, **_owner(caller))
    return Response(receipt.read_bytes(), media_type=JSON)


def _owner(caller: Acting) -> dict[str, str]:
    return {"organisation_id": asker_of(caller), "advertiser_id": caller.advertiser_id}


def _out(room: Room, tx: Transaction, analysis: Analysis) -> AnalysisOut:
    found = room.marketplace.entitlements.of_grants(tx, [analysis.grant_id])
    return AnalysisOut.of(analysis, found.get(analysis.grant_id))
