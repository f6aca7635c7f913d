"""Looking at questions that were asked, and at their answers again; what a tick hides is not told."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select

from cleanroom.analyses.cells import layout_of
from cleanroom.analyses.deciding import ANSWERED_AGAIN
from cleanroom.analyses.errors import NoResultError, NotReadyError, UnknownAnalysisError
from cleanroom.analyses.facts import declared, labels_of
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.parties import agency_of, asked_through
from cleanroom.analyses.showing import show
from cleanroom.analyses.ticks import next_look, progress, shown_at
from cleanroom.analyses.types import Analysis, Answer, Outcome, State
from cleanroom.audit.log import AuditLog
from cleanroom.client.receipts import KINDS
from cleanroom.clock import Clock
from cleanroom.datasets.service import Datasets
from cleanroom.db.database import Transaction
from cleanroom.grants.service import Grants
from cleanroom.matching.views import shared_keys
from cleanroom.release.answers import answer_of
from cleanroom.release.public import find_public
from cleanroom.release.receipts import Receipts
from policies.canonical_question import canonical_question
from policies.decision import reason_from_dict
from policies.question import question_from_dict


@dataclass(frozen=True)
class Reading:
    """Reads questions and answers for those who asked."""

    clock: Clock
    log: AuditLog
    datasets: Datasets
    grants: Grants
    receipts: Receipts

    def analysis(
        self, tx: Transaction, analysis_id: str, *, organisation_id: str, advertiser_id: str | None = None
    ) -> Analysis:
        """Return a question that an advertiser, or the agency that asked it, may follow.

        Args:
            tx: any transaction.
            analysis_id: of the question.
            organisation_id: the advertiser, or the agency.
            advertiser_id: for whom an agency looks; questions for its other clients are unknown then.

        Raises:
            UnknownAnalysisError: it is not theirs, or there is none.
        """
        return self.view(self._row(tx, analysis_id, organisation_id, advertiser_id))

    def analyses(
        self,
        tx: Transaction,
        *,
        organisation_id: str,
        advertiser_id: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> tuple[Analysis, ...]:
        """Return questions of an advertiser or agency, the newest first, those before an id.

        Args:
            tx: any transaction.
            organisation_id: the advertiser, or the agency.
            advertiser_id: for whom an agency looks.
            before: the id that the first one comes before.
            limit: how many at most.
        """
        rows = select(AnalysisRow).where(
            or_(AnalysisRow.advertiser_id == organisation_id, asked_through(organisation_id))
        )
        if advertiser_id is not None:
            rows = rows.where(AnalysisRow.advertiser_id == advertiser_id)
        if before is not None:
            rows = rows.where(AnalysisRow.id < before)
        newest = rows.order_by(AnalysisRow.id.desc()).limit(limit)
        return tuple(self.view(row) for row in tx.session.scalars(newest))

    def result(
        self, tx: Transaction, analysis_id: str, *, organisation_id: str, advertiser_id: str | None = None
    ) -> Answer:
        """Return the answer to a question, or its refusal, as it was given; what is left is as of then.

        Of a stored answer what is left is as of now: it took nothing.

        Args:
            tx: any transaction.
            analysis_id: of the question.
            organisation_id: the advertiser, or the agency.
            advertiser_id: for whom an agency looks.

        Raises:
            UnknownAnalysisError: it is not theirs, or there is none.
            NotReadyError: the answer is not shown yet.
            NoResultError: it ended without one.
        """
        row = self._row(tx, analysis_id, organisation_id, advertiser_id)
        self._require_answer(row)
        body = self._body(tx, analysis_id)
        if row.status == Outcome.REFUSED:
            return self._refusal(tx, row, body)
        return self._answer(tx, row, body)

    def receipt_of(
        self, tx: Transaction, analysis_id: str, *, organisation_id: str, advertiser_id: str | None = None
    ) -> str:
        """Return the id of the question whose receipt proves an answer; raises as `result` does."""
        row = self._row(tx, analysis_id, organisation_id, advertiser_id)
        self._require_answer(row)
        return str(self._body(tx, row.id)["answer_of"]) if row.status == Outcome.STORED else row.id

    def view(self, row: AnalysisRow) -> Analysis:
        """Tell of a question what may be told now."""
        now, shown = self.clock.now(), None
        if row.finished_at is not None:
            # What was decided at once has no tick: nothing was counted.
            shown = shown_at(row.asked_at, row.finished_at, row.tick_ms)
        visible = shown is not None and shown <= now
        waiting = State.RUNNING if row.cancel_asked_at is None else State.CANCELLING
        return Analysis(
            id=row.id,
            grant_id=row.grant_id,
            dataset_id=row.dataset_id,
            base_id=row.base_id,
            advertiser_id=row.advertiser_id,
            agency_id=row.agency_id,
            question=row.question,
            state=State(row.status) if visible else waiting,
            progress=1.0 if visible else progress(row.asked_at, now, row.tick_ms),
            charged_micro=row.rho_micro,
            asked_at=row.asked_at,
            shown_at=shown if visible else None,
            look_at=None if visible else next_look(row.asked_at, now, row.tick_ms),
        )

    def _row(
        self, tx: Transaction, analysis_id: str, organisation_id: str, advertiser_id: str | None
    ) -> AnalysisRow:
        row = tx.session.get(AnalysisRow, analysis_id)
        if (
            row is None
            or advertiser_id not in (None, row.advertiser_id)
            or organisation_id not in (row.advertiser_id, agency_of(tx, row))
        ):
            raise UnknownAnalysisError("There is no analysis with this id.", remedy="List your analyses.")
        return row

    def _require_answer(self, row: AnalysisRow) -> None:
        analysis = self.view(row)
        if analysis.look_at is not None:
            seconds = (analysis.look_at - self.clock.now()).total_seconds()
            raise NotReadyError(
                "The answer is not shown yet.",
                remedy="Look again after the time that Retry-After gives.",
                retry_after=max(1, -int(-seconds // 1)),
            )
        if not analysis.answered:
            raise NoResultError(
                f"The analysis ended without an answer: it was {analysis.state}.",
                remedy="Ask again; the budget that it took stays spent.",
            )

    def _body(self, tx: Transaction, analysis_id: str) -> dict[str, Any]:
        """Return what the log says of the answer to a question."""
        index = self.log.find(tx, subject_id=analysis_id, kinds=(*KINDS, ANSWERED_AGAIN))
        body: dict[str, Any] = json.loads(self.log.record(tx, index))["body"]
        return body

    def _refusal(self, tx: Transaction, row: AnalysisRow, body: Mapping[str, Any]) -> Answer:
        budget, grant = body["budget"], self.grants.status(tx, row.grant_id)
        before_delta = budget.get("left_before_delta_pico", grant.left_delta_pico)
        left_delta = budget.get("left_after_delta_pico", grant.left_delta_pico)
        return Answer(
            analysis_id=row.id,
            outcome=Outcome.REFUSED,
            figures=(),
            ratios=(),
            mechanism=None,
            reasons=tuple(reason_from_dict(reason) for reason in body["reasons"]),
            missing=tuple(body["missing"]),
            as_of=row.asked_at,
            consent_epoch=None,
            charged_micro=row.rho_micro,
            left_micro=budget["left_after_micro"],
            charged_delta_pico=before_delta - left_delta,
            left_delta_pico=left_delta,
            receipt=self.receipts.place(row.id),
        )

    def _answer(self, tx: Transaction, row: AnalysisRow, body: Mapping[str, Any]) -> Answer:
        fresh = row.status == Outcome.RELEASED
        made_by = row.id if fresh else str(body["answer_of"])
        proven = body if fresh else self._body(tx, made_by)
        found = answer_of(tx, made_by)
        # An answer is stored in the transaction that logs its release.
        assert found is not None
        question = question_from_dict(row.question)
        dataset, base = (self.datasets.dataset(tx, each) for each in (row.dataset_id, row.base_id))
        attributes = declared(dataset)
        layout = layout_of(
            canonical_question(question, attributes),
            keys=shared_keys(dataset.schema, base.schema),
            labels=labels_of(base),
            schema=dataset.schema,
        )
        shown = show(
            found,
            layout,
            question=question,
            base_version=self.datasets.version(tx, row.base_version_id),
            public_size=find_public(tx, proven["dataset_version_id"], question.purpose),
            attributes=attributes,
        )
        budget, grant = proven["budget"], self.grants.status(tx, row.grant_id)
        left_delta = budget["left_after_delta_pico"]
        return Answer(
            analysis_id=row.id,
            outcome=Outcome(row.status),
            figures=shown.figures,
            ratios=shown.ratios,
            mechanism=found.mechanism,
            reasons=(),
            missing=(),
            as_of=found.released_at,
            consent_epoch=found.epoch,
            charged_micro=row.rho_micro,
            left_micro=budget["left_after_micro"] if fresh else grant.left_micro,
            charged_delta_pico=budget["left_before_delta_pico"] - left_delta if fresh else 0,
            left_delta_pico=left_delta if fresh else grant.left_delta_pico,
            receipt=self.receipts.place(made_by),
            suggestions=shown.suggestions,
        )
