"""Questions: asked in one transaction, counted by a worker, read when their tick has come."""

from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from advertiser_api.auth import acting
from advertiser_api.idempotency import JSON, OnlyOnce
from advertiser_api.pages import AskedPage, Listed
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import IdInPath, Instant, Shown
from advertiser_api.v1.answers import ResultOut
from advertiser_api.v1.questions import AskedQuestion, asker_of, entitled
from cleanroom.access.scopes import ANALYSES_READ, ANALYSES_RUN
from cleanroom.access.types import Acting
from cleanroom.analyses.service import Begun
from cleanroom.analyses.types import Analysis, State
from cleanroom.bootstrap import Room
from cleanroom.db.database import Transaction

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


_ANSWERS: dict[int | str, dict[str, Any]] = {
    201: {"description": "Answered at once: from the store, or refused", "model": AskedOut},
    202: {"description": "Accepted: a worker counts"},
}


@router.post("", summary="Ask a question", status_code=202, response_model=AskedOut, responses=_ANSWERS)
def ask_question(room: OpenRoom, caller: Running, once: OnlyOnce, body: AskedQuestion) -> Response:
    """Decide on a question; what is permitted and new is counted by a worker, under the budget reserved here."""
    asked: list[Begun] = []

    def ask(tx: Transaction) -> tuple[AskedOut, int]:
        entitlement = entitled(room, tx, caller, body.entitlement_id)
        # A mandate binds the agency; what the advertiser asks itself is its own money.
        capped = caller.agency_id is not None and room.marketplace.quoting.hold_cap(tx, entitlement)
        begun = room.analyses.begin(
            tx,
            body.question(entitlement.dataset_id),
            grant_id=entitlement.grant_id,
            asker_id=asker_of(caller),
        )
        if capped and begun.answer is None:
            # What is answered at once costs no money.
            room.marketplace.quoting.require_within_cap(tx, entitlement)
        asked.append(begun)
        shown = AskedOut.of(begun.analysis, entitlement.id)
        if begun.answer is None:
            return shown, 202
        return shown.model_copy(update={"result": ResultOut.of(begun.answer)}), 201

    answer = once.with_status(caller.principal, ask)
    for begun in asked:
        room.analyses.settle(begun)
    return answer


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
