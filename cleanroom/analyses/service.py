"""A question's way: decide and reserve in one transaction, count without any lock, release in another."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy import select

from cleanroom.accounts.service import Accounts
from cleanroom.analyses.cells import Layout, exact_cells
from cleanroom.analyses.errors import NoStoredAnswerError
from cleanroom.analyses.facts import FactFinder, Facts
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.receipt_facts import receipt_facts, size_band
from cleanroom.analyses.types import Answer, Outcome
from cleanroom.clock import Clock
from cleanroom.db.database import Database, Transaction
from cleanroom.ids import new_id
from cleanroom.ingestion.leases import Leases
from cleanroom.matching.service import Match, Matching
from cleanroom.matching.types import Plan
from cleanroom.release.answers import Asked, Found, find_answer
from cleanroom.release.gate import plan_mechanism
from cleanroom.release.ratios import ratios
from cleanroom.release.receipts import Receipts
from cleanroom.release.service import ReleaseService, Ticket, named
from cleanroom.release.types import Cell
from cleanroom.schema.model import cell_labels
from policies.decision import Deny, Gap, Permit, Reason
from policies.engine import decide
from policies.question import Question, question_to_dict

_COUNTS_PER_QUESTION = 2


@dataclass(frozen=True)
class _Refused:
    """The question was refused, and the log says so."""

    reasons: tuple[Reason, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class _Answered:
    """There are figures: released now, or before."""

    outcome: Outcome
    found: Found
    layout: Layout


@dataclass(frozen=True)
class _Reserved:
    """T1 reserved the budget and collected what a match needs; what follows takes no decision any more."""

    ticket: Ticket
    plan: Plan
    layout: Layout
    match: Match


class Analyses:
    """The service of the analyses slice; it opens its own transactions, and none while it counts."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        accounts: Accounts,
        finder: FactFinder,
        matching: Matching,
        gate: ReleaseService,
        receipts: Receipts,
        leases_dir: Path,
    ) -> None:
        self._db = db
        self._clock = clock
        self._accounts = accounts
        self._finder = finder
        self._matching = matching
        self._gate = gate
        self._receipts = receipts
        self._leases = Leases(leases_dir)

    def ask(
        self, question: Question, *, grant_id: str, asker_id: str, as_of: datetime | None = None
    ) -> Answer:
        """Ask a question.

        The same question about unchanged data is answered from the store at no budget. After a change of consents a
        fresh answer costs; the old one stays available, dated, with `as_of`.

        Args:
            question: what to count.
            grant_id: which grant pays.
            asker_id: the advertiser, or the agency that acts for it.
            as_of: give the newest stored answer released until then, or nothing.

        Returns:
            Figures or a refusal, with a receipt. A refusal is an answer, not an error.

        Raises:
            QuestionError: the question cannot be understood.
            UnknownGrantError, UnknownBaseError: the asker has none such.
            NoStoredAnswerError: `as_of` is given and nothing was released until then.
        """
        analysis_id = new_id("an", self._clock.now())
        with self._leases.hold(analysis_id):
            with self._db.transaction() as tx:
                facts = self._finder.find(
                    tx, question, grant_id=grant_id, asker_id=asker_id, at=self._clock.now()
                )
                begun = self._begin(tx, facts, analysis_id, asker_id=asker_id, as_of=as_of)
            done = self._complete(facts, begun) if isinstance(begun, _Reserved) else begun
        charged_micro = begun.ticket.mechanism.rho_micro if isinstance(begun, _Reserved) else 0
        if isinstance(done, _Refused):
            return self._refusal(facts, analysis_id, done, charged_micro=charged_micro)
        return self._answer(facts, analysis_id, done, charged_micro=charged_micro)

    def recover(self) -> tuple[str, ...]:
        """Close questions whose process died while it counted, at the room's start; what they reserved stays spent.

        Returns:
            Their ids.
        """
        with self._db.reading() as tx:
            reserved = select(AnalysisRow.id).where(AnalysisRow.status == Outcome.RESERVED.value)
            found = list(tx.session.scalars(reserved))
        lost = []
        for analysis_id in found:
            with self._leases.try_hold(analysis_id) as held:
                if held and self._lose(analysis_id):
                    lost.append(analysis_id)
        return tuple(lost)

    def _lose(self, analysis_id: str) -> bool:
        with self._db.transaction() as tx:
            row = tx.session.get_one(AnalysisRow, analysis_id)
            if row.status != Outcome.RESERVED.value:
                return False
            row.status, row.finished_at = Outcome.LOST.value, self._clock.now()
            tx.audit("analyses.lost", subject_id=analysis_id, body={"grant_id": row.grant_id})
        return True

    def _begin(
        self, tx: Transaction, facts: Facts, analysis_id: str, *, asker_id: str, as_of: datetime | None
    ) -> _Refused | _Answered | _Reserved:
        """T1: decide, look for a stored answer, reserve."""
        refuse = partial(self._refuse, tx, facts, analysis_id)
        if asker_id != facts.grant.advertiser_id and not self._accounts.mandate_in_force(
            tx, agency_id=asker_id, advertiser_id=facts.grant.advertiser_id, at=facts.at
        ):
            message = "The agency has no mandate of this advertiser in force."
            return refuse((Reason("mandate", message, "a mandate in force", "none"),), ())
        documents = [facts.policy.document] if facts.policy else []
        # A stored answer costs nothing, so what is left of the grant must not stand in its way.
        permitted = decide(documents, facts.request(left_micro=facts.grant.rho_micro))
        if isinstance(permitted, Permit) and facts.version and facts.policy:
            asked = _asked(facts, permitted, version_id=facts.version.id, policy_id=facts.policy.id)
            epoch = None if as_of else facts.epoch
            stored = find_answer(tx, asked, epoch=epoch, rho_micro=permitted.rho_micro, at=as_of)
            if stored is not None:
                return self._answer_again(tx, facts, analysis_id, stored, _layout(facts, permitted))
            if as_of is not None:
                raise NoStoredAnswerError(
                    "No answer to this question was released until then.", remedy="Ask for a fresh one."
                )
            decision = decide(documents, facts.request())
            if isinstance(decision, Permit):
                return self._reserve(tx, facts, analysis_id, decision, asked)
        else:
            decision = decide(documents, facts.request())
        if isinstance(decision, Deny):
            return refuse(decision.reasons, ())
        missing = decision.missing if isinstance(decision, Gap) else ()
        return refuse((), (*missing, *(() if facts.version else ("published_version",))))

    def _answer_again(
        self, tx: Transaction, facts: Facts, analysis_id: str, stored: Found, layout: Layout
    ) -> _Answered:
        self._enter(tx, facts, analysis_id, Outcome.STORED, rho_micro=0)
        tx.audit(
            "analyses.answered_again",
            subject_id=analysis_id,
            organisation_id=facts.grant.advertiser_id,
            body={"answer_of": stored.analysis_id, "consent_epoch": stored.epoch},
        )
        return _Answered(Outcome.STORED, stored, layout)

    def _reserve(
        self, tx: Transaction, facts: Facts, analysis_id: str, permit: Permit, asked: Asked
    ) -> _Refused | _Reserved:
        reservation = self._finder.grants.reserve(
            tx, facts.grant.id, rho_micro=permit.rho_micro, analysis_id=analysis_id, base_id=facts.base.id
        )
        if isinstance(reservation, Deny):
            return self._refuse(tx, facts, analysis_id, reservation.reasons, ())
        self._enter(tx, facts, analysis_id, Outcome.RESERVED, rho_micro=permit.rho_micro)
        tx.audit(
            "analyses.asked",
            subject_id=analysis_id,
            organisation_id=facts.owner_id,
            body={
                "dataset_id": facts.dataset.id,
                "version_id": asked.version_id,
                "advertiser_id": facts.grant.advertiser_id,
                "agency_id": facts.grant.agency_id,
                "purpose": facts.question.purpose,
                "question": permit.question.tree,
                "base_persons": size_band(facts.base_version.persons),
                "rho_micro": permit.rho_micro,
            },
        )
        layout, limits = _layout(facts, permit), permit.limits
        ticket = Ticket(
            analysis_id=analysis_id,
            organisation_id=facts.grant.advertiser_id,
            asked=asked,
            epoch=facts.epoch,
            mechanism=plan_mechanism(
                l0=permit.l0,
                rho_micro=permit.rho_micro,
                minimum_audience=limits.minimum_audience,
                round_to=limits.round_to,
            ),
            names=layout.asked_names(),
            facts={
                **receipt_facts(facts),
                "question": permit.question.tree,
                "budget": {
                    "left_before_micro": reservation.left_before_micro,
                    "left_after_micro": reservation.left_after_micro,
                },
            },
        )
        match = self._matching.open(
            tx,
            dataset_version_id=asked.version_id,
            base_version_id=facts.base_version.id,
            purpose=asked.purpose,
            epoch=facts.epoch,
        )
        plan = Plan(
            purpose=asked.purpose,
            keys=facts.keys,
            segments=permit.question.segments,
            breakdowns=permit.question.breakdowns,
            labels=bool(layout.labels),
            per_key=bool(layout.keys),
            dataset_side=permit.question.affinity,
        )
        return _Reserved(ticket, plan, layout, match)

    def _complete(self, facts: Facts, reserved: _Reserved) -> _Refused | _Answered:
        """Count, then T2; a change of consents meanwhile makes it count once more, and no more."""
        ticket, match, epoch = reserved.ticket, reserved.match, reserved.ticket.epoch
        for _ in range(_COUNTS_PER_QUESTION):
            cells = exact_cells(reserved.layout, match.count(reserved.plan, at=self._clock.now()))
            with self._db.transaction() as tx:
                changed = self._changed(tx, facts, epoch)
                if changed is None or changed.rule != "consent_epoch":
                    return self._finish(tx, facts, reserved, cells, epoch, changed)
                epoch = self._finder.consents.epoch(tx, facts.dataset.id)
                match = self._matching.open(
                    tx,
                    dataset_version_id=ticket.asked.version_id,
                    base_version_id=facts.base_version.id,
                    purpose=ticket.asked.purpose,
                    epoch=epoch,
                )
        with self._db.transaction() as tx:
            return self._finish(tx, facts, reserved, [], epoch, changed)

    def _finish(
        self,
        tx: Transaction,
        facts: Facts,
        reserved: _Reserved,
        cells: Sequence[Cell],
        epoch: int,
        changed: Reason | None,
    ) -> _Refused | _Answered:
        row = tx.session.get_one(AnalysisRow, reserved.ticket.analysis_id)
        row.finished_at = self._clock.now()
        if changed is not None:
            row.status = Outcome.REFUSED.value
            return self._record_refusal(tx, facts, row.id, (changed,), ())
        row.status = Outcome.RELEASED.value
        found = self._gate.release(tx, reserved.ticket, cells, epoch=epoch, at=self._clock.now())
        return _Answered(Outcome.RELEASED, found, reserved.layout)

    def _changed(self, tx: Transaction, facts: Facts, epoch: int) -> Reason | None:
        """Tell what has changed since the budget was reserved, so that the counts must not leave."""
        if self._finder.rules.stopped(tx, facts.dataset.id):
            return Reason("kill_switch", "The owner has stopped all questions to this dataset.", "off", "on")
        now = self._finder.consents.epoch(tx, facts.dataset.id)
        if now != epoch:
            message = "Consents changed twice while the question was being counted."
            return Reason("consent_epoch", message, now, epoch)
        return None

    def _refuse(
        self,
        tx: Transaction,
        facts: Facts,
        analysis_id: str,
        reasons: tuple[Reason, ...],
        missing: tuple[str, ...],
    ) -> _Refused:
        self._enter(tx, facts, analysis_id, Outcome.REFUSED, rho_micro=0)
        return self._record_refusal(tx, facts, analysis_id, reasons, missing)

    def _record_refusal(
        self,
        tx: Transaction,
        facts: Facts,
        analysis_id: str,
        reasons: tuple[Reason, ...],
        missing: tuple[str, ...],
    ) -> _Refused:
        self._gate.refuse(
            tx,
            analysis_id=analysis_id,
            organisation_id=facts.grant.advertiser_id,
            facts={**receipt_facts(facts), "question": question_to_dict(facts.question)},
            reasons=reasons,
            missing=missing,
            at=self._clock.now(),
        )
        return _Refused(reasons, missing)

    def _enter(
        self, tx: Transaction, facts: Facts, analysis_id: str, status: Outcome, *, rho_micro: int
    ) -> None:
        tx.session.add(
            AnalysisRow(
                id=analysis_id,
                grant_id=facts.grant.id,
                dataset_id=facts.dataset.id,
                base_id=facts.base.id,
                question=question_to_dict(facts.question),
                status=status.value,
                rho_micro=rho_micro,
                asked_at=facts.at,
                finished_at=None if status is Outcome.RESERVED else facts.at,
            )
        )
        tx.session.flush()

    def _refusal(self, facts: Facts, analysis_id: str, refused: _Refused, *, charged_micro: int) -> Answer:
        receipt, left_micro = self._receipt(facts, analysis_id)
        return Answer(
            analysis_id=analysis_id,
            outcome=Outcome.REFUSED,
            figures=(),
            ratios=(),
            mechanism=None,
            reasons=refused.reasons,
            missing=refused.missing,
            as_of=facts.at,
            consent_epoch=None,
            charged_micro=charged_micro,
            left_micro=left_micro,
            receipt=receipt,
        )

    def _answer(self, facts: Facts, analysis_id: str, answered: _Answered, *, charged_micro: int) -> Answer:
        found = answered.found
        receipt, left_micro = self._receipt(facts, found.analysis_id)
        figures = named(found.figures, answered.layout.asked_names())
        return Answer(
            analysis_id=analysis_id,
            outcome=answered.outcome,
            figures=figures,
            ratios=ratios(figures, base_persons=facts.base_version.persons),
            mechanism=found.mechanism,
            reasons=(),
            missing=(),
            as_of=found.released_at,
            consent_epoch=found.epoch,
            charged_micro=charged_micro,
            left_micro=left_micro,
            receipt=receipt,
        )

    def _receipt(self, facts: Facts, analysis_id: str) -> tuple[Path, int]:
        with self._db.transaction() as tx:
            receipt = self._receipts.issue(tx, analysis_id)
            return receipt, self._finder.grants.status(tx, facts.grant.id).left_micro


def _asked(facts: Facts, permit: Permit, *, version_id: str, policy_id: str) -> Asked:
    return Asked(
        grant_id=facts.grant.id,
        version_id=version_id,
        policy_id=policy_id,
        purpose=facts.question.purpose,
        base_fingerprint=facts.base_version.fingerprint or b"",
        tree=permit.question.tree,
    )


def _layout(facts: Facts, permit: Permit) -> Layout:
    question = permit.question
    grouped = {name for group in question.breakdowns for name in group}
    return Layout(
        question=question,
        # With a single key its share is the overlap itself, which is not counted twice.
        keys=facts.keys if question.per_key and len(facts.keys) > 1 else (),
        labels=facts.labels if question.labels else (),
        cell_labels={
            attribute.name: cell_labels(attribute)
            for attribute in facts.dataset.schema.attributes
            if attribute.name in grouped
        },
    )
