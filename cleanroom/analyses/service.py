"""A question's way: decide and reserve in one transaction, count without any lock, release in another."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from cleanroom.analyses.completing import Completing
from cleanroom.analyses.deciding import Deciding
from cleanroom.analyses.estimate_types import Estimate
from cleanroom.analyses.estimating import charged_by, estimate_of, left_by
from cleanroom.analyses.facts import FactFinder, Facts
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.showing import show
from cleanroom.analyses.steps import Answered, Refused, Reserved
from cleanroom.analyses.types import Answer, Outcome
from cleanroom.clock import Clock
from cleanroom.db.database import Database, PendingEvent, Transaction
from cleanroom.grants.service import Grants
from cleanroom.grants.types import Amount
from cleanroom.ids import new_id
from cleanroom.release.receipts import Receipts
from cleanroom.storage.leases import Leases
from policies.question import Question


class Analyses:
    """The service of the analyses slice; it opens its own transactions, and none while it counts."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        finder: FactFinder,
        deciding: Deciding,
        completing: Completing,
        grants: Grants,
        receipts: Receipts,
        leases: Leases,
    ) -> None:
        self._db = db
        self._clock = clock
        self._finder = finder
        self._deciding = deciding
        self._completing = completing
        self._grants = grants
        self._receipts = receipts
        self._leases = leases

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
            NotYourGrantError, NotYourBaseError: the asker has none such.
            NoStoredAnswerError: `as_of` is given and nothing was released until then.
        """
        analysis_id = new_id("an", self._clock.now())
        with ExitStack() as at_work:
            with self._db.transaction() as tx:
                facts, begun = self._begin(tx, question, analysis_id, grant_id, asker_id, as_of)
                if isinstance(begun, Reserved):
                    # Before the commit, from which on others take it for lost unless somebody holds this.
                    at_work.enter_context(self._leases.hold(analysis_id))
            done = self._completing.complete(facts, begun) if isinstance(begun, Reserved) else begun
        charged, left = charged_by(begun), left_by(begun, facts.grant)
        if isinstance(done, Refused):
            receipt = self._receipt(analysis_id, done.event)
            return _refusal(facts, analysis_id, done, charged, left, receipt)
        receipt = self._receipt(done.found.analysis_id, done.found.event)
        return _answer(facts, analysis_id, done, charged, left, receipt)

    def estimate(
        self,
        question: Question,
        *,
        grant_id: str,
        asker_id: str,
        sizes: Sequence[int] = (),
        expected: Mapping[str, int] | None = None,
    ) -> Estimate:
        """Tell what asking a question would bring now, for nothing.

        It takes the very decision that asking takes, reservation included, in a transaction that is rolled back:
        nothing is spent or recorded. No file of the dataset is opened, and all it says follows from public facts and
        the asker's own.

        Args:
            question: what to count.
            grant_id: which grant would pay.
            asker_id: the advertiser, or the agency that acts for it.
            sizes: true counts, in people, to give each figure's chance of suppression at; at most 100.
            expected: by a figure's name, how many people the asker expects in it; with the cells of a breakdown, bands
                to merge are suggested.

        Raises:
            QuestionError, NotYourGrantError, NotYourBaseError: as for asking.
            NamedSizeError: a size out of range, too many of them, or a name that the question has no figure of.
        """
        analysis_id = new_id("an", self._clock.now())
        with self._db.rehearsing() as tx:
            facts, begun = self._begin(tx, question, analysis_id, grant_id, asker_id)
            grant = self._grants.status(tx, grant_id)
        return estimate_of(begun, grant, facts.attributes, sizes=sizes, expected=expected or {})

    def _begin(
        self,
        tx: Transaction,
        question: Question,
        analysis_id: str,
        grant_id: str,
        asker_id: str,
        as_of: datetime | None = None,
    ) -> tuple[Facts, Refused | Answered | Reserved]:
        facts = self._finder.find(tx, question, grant_id=grant_id, asker_id=asker_id, at=self._clock.now())
        return facts, self._deciding.begin(tx, facts, analysis_id, asker_id=asker_id, as_of=as_of)

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

    def _receipt(self, analysis_id: str, event: PendingEvent | None) -> Path:
        if event is not None and event.proven is not None:
            return self._receipts.write(analysis_id, event.proven)
        kept = self._receipts.kept(analysis_id)
        if kept is not None:
            return kept
        # A crash came between the answer and its receipt.
        with self._db.transaction() as tx:
            return self._receipts.issue(tx, analysis_id)


def _refusal(
    facts: Facts, analysis_id: str, refused: Refused, charged: Amount, left: Amount, receipt: Path
) -> Answer:
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
        charged_micro=charged.rho_micro,
        left_micro=left.rho_micro,
        charged_delta_pico=charged.delta_pico,
        left_delta_pico=left.delta_pico,
        receipt=receipt,
    )


def _answer(
    facts: Facts, analysis_id: str, answered: Answered, charged: Amount, left: Amount, receipt: Path
) -> Answer:
    found, shown = answered.found, show(facts, answered)
    return Answer(
        analysis_id=analysis_id,
        outcome=answered.outcome,
        figures=shown.figures,
        ratios=shown.ratios,
        mechanism=found.mechanism,
        reasons=(),
        missing=(),
        as_of=found.released_at,
        consent_epoch=found.epoch,
        charged_micro=charged.rho_micro,
        left_micro=left.rho_micro,
        charged_delta_pico=charged.delta_pico,
        left_delta_pico=left.delta_pico,
        receipt=receipt,
        suggestions=shown.suggestions,
    )
