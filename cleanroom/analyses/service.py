"""A question's way: decide and reserve in one transaction, count without any lock, release in another."""

from collections.abc import Hashable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cleanroom.analyses.deciding import Deciding
from cleanroom.analyses.entering import entered, entry
from cleanroom.analyses.errors import EndedError
from cleanroom.analyses.estimate_types import Estimate
from cleanroom.analyses.estimating import charged_by, estimate_of, left_by
from cleanroom.analyses.facts import FactFinder, Facts
from cleanroom.analyses.foreseeing import Foreseeing, Foreseen
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.queue import Queue
from cleanroom.analyses.reading import Reading
from cleanroom.analyses.showing import show
from cleanroom.analyses.steps import Answered, Refused, Reserved
from cleanroom.analyses.types import Analysis, Answer, Outcome
from cleanroom.clock import Clock
from cleanroom.db.database import Database, PendingEvent, Transaction
from cleanroom.grants.service import Grants
from cleanroom.grants.types import Amount
from cleanroom.ids import new_id
from cleanroom.release.receipts import Receipts
from cleanroom.storage.leases import Leases
from policies.question import Question


@dataclass(frozen=True)
class Begun:
    """A question that was just asked.

    Attributes:
        analysis: as it stands.
        answer: figures or a refusal that are there at once; None when a worker will count.
        event: the log's record that a receipt is to be made of; None without one.
    """

    analysis: Analysis
    answer: Answer | None
    event: PendingEvent | None


class Analyses:
    """The service of the analyses slice; it opens its own transactions, and none while it counts."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        finder: FactFinder,
        deciding: Deciding,
        foreseeing: Foreseeing,
        queue: Queue,
        reading: Reading,
        grants: Grants,
        receipts: Receipts,
        leases: Leases,
    ) -> None:
        self.queue = queue
        self.reading = reading
        self._db = db
        self._clock = clock
        self._finder = finder
        self._deciding = deciding
        self._foreseeing = foreseeing
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
                facts, begun = self._begin(tx, question, analysis_id, grant_id, asker_id, as_of=as_of)
                if isinstance(begun, Reserved):
                    # Before the commit, from which on others take it for lost unless somebody holds this.
                    at_work.enter_context(self._leases.hold(analysis_id))
            done = self.queue.completing.complete(begun) if isinstance(begun, Reserved) else begun
        answer, event = self._answer(facts, analysis_id, begun, done)
        self._receipt(answer.receipt.stem, event)
        return answer

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
            sizes: true counts, in people, to give each figure's chance of suppression at; at most 100, and fewer for
                many figures.
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
        *,
        as_of: datetime | None = None,
        queue: bool = False,
    ) -> tuple[Facts, Refused | Answered | Reserved]:
        facts = self._finder.find(tx, question, grant_id=grant_id, asker_id=asker_id, at=self._clock.now())
        return facts, self._deciding.begin(
            tx, facts, analysis_id, asker_id=asker_id, as_of=as_of, queue=queue
        )

    def begin(self, tx: Transaction, question: Question, *, grant_id: str, asker_id: str) -> Begun:
        """Ask a question in the caller's transaction: decide, look for a stored answer, or reserve for a worker.

        Call `settle` with what it returns once the transaction has committed.

        Args:
            tx: a writing transaction; with it the question is asked, or is not.
            question: what to count.
            grant_id: which grant pays.
            asker_id: the advertiser, or the agency that acts for it.

        Returns:
            The question, with its answer when that is there at once.

        Raises:
            QuestionError, NotYourGrantError, NotYourBaseError: as for `ask`.
        """
        analysis_id = new_id("an", self._clock.now())
        facts, begun = self._begin(tx, question, analysis_id, grant_id, asker_id, queue=True)
        analysis = self.reading.view(entered(tx, analysis_id))
        if isinstance(begun, Reserved):
            return Begun(analysis, None, None)
        answer, event = self._answer(facts, analysis_id, begun, begun)
        return Begun(analysis, answer, event)

    def foresee(
        self, tx: Transaction, question: Question, *, grant_id: str, asker_id: str, said: Hashable = None
    ) -> tuple[Foreseen, Begun] | None:
        """Find out, before its transaction, whether a question will be answered from the store, and how.

        Args:
            tx: of one state of the database; nothing is written.
            question: what to count.
            grant_id: which grant pays.
            asker_id: the advertiser, or the agency that acts for it.
            said: under which `foresee_again` finds it: who asks, and in which words.

        Returns:
            What `enter` takes, and the question as `begin` would return it; None when `begin` has to see.

        Raises:
            QuestionError, NotYourGrantError, NotYourBaseError: as for `ask`.
        """
        return self._begun(
            self._foreseeing.look(tx, question, grant_id=grant_id, asker_id=asker_id, said=said)
        )

    def foresee_again(self, tx: Transaction, said: Hashable) -> tuple[Foreseen, Begun] | None:
        """Return what `foresee` found for the one who said the same just before; None when that has to be seen anew."""
        return self._begun(self._foreseeing.again(tx, said))

    def _begun(self, foreseen: Foreseen | None) -> tuple[Foreseen, Begun] | None:
        if foreseen is None:
            return None
        facts, answered, analysis_id = foreseen.facts, foreseen.answered, foreseen.analysis_id
        row = AnalysisRow(**entry(facts, analysis_id, answered.outcome, rho_micro=0))
        answer, event = self._answer(facts, analysis_id, answered, answered)
        return foreseen, Begun(self.reading.view(row), answer, event)

    def enter(self, tx: Transaction, foreseen: Foreseen) -> bool:
        """Ask a question that was foreseen, if what was found out still stands; see `Foreseeing.enter`."""
        return self._foreseeing.enter(tx, foreseen)

    def settle(self, begun: Begun) -> None:
        """Write the receipt of what was answered at once; without it, it is made when somebody asks for it."""
        if begun.event is not None:
            self._receipt(begun.analysis.id, begun.event)

    def complete(self, analysis_id: str) -> Outcome | None:
        """Complete a question that waits for a worker; see `Queue.complete`."""
        return self.queue.complete(analysis_id)

    def cancel(
        self, tx: Transaction, analysis_id: str, *, organisation_id: str, advertiser_id: str | None = None
    ) -> Analysis:
        """End a question without an answer, if it has none yet; see `Queue.cancel`.

        Raises:
            UnknownAnalysisError: it is not theirs, or there is none.
            EndedError: its outcome is shown already.
        """
        known = self.reading.analysis(
            tx, analysis_id, organisation_id=organisation_id, advertiser_id=advertiser_id
        )
        if known.shown_at is not None:
            raise EndedError(f"The analysis has ended: {known.state}.", remedy="Read its result.")
        row = tx.session.get_one(AnalysisRow, analysis_id)
        self.queue.cancel(tx, row)
        return self.reading.view(row)

    def result(self, analysis_id: str, *, organisation_id: str, advertiser_id: str | None = None) -> Answer:
        """Return the answer to a question again; see `Reading.result`."""
        with self._db.reading() as tx:
            return self.reading.result(
                tx, analysis_id, organisation_id=organisation_id, advertiser_id=advertiser_id
            )

    def receipt(self, analysis_id: str, *, organisation_id: str, advertiser_id: str | None = None) -> Path:
        """Return the file that proves an answer, of the question that was stored when it is a stored one.

        Raises:
            UnknownAnalysisError, NotReadyError, NoResultError: as for `result`.
        """
        with self._db.reading() as tx:
            proven = self.reading.receipt_of(
                tx, analysis_id, organisation_id=organisation_id, advertiser_id=advertiser_id
            )
        return self._receipt(proven, None)

    def recover(self, *, queued: bool = False) -> tuple[str, ...]:
        """Close questions whose process died while it counted, at the room's start; what they reserved stays spent.

        Args:
            queued: those that wait for a worker too, which would complete them: only when a room was restored, whose
                database may have forgotten that they were answered.

        Returns:
            Their ids.
        """
        return self.queue.recover(queued=queued)

    def _answer(
        self,
        facts: Facts,
        analysis_id: str,
        begun: Refused | Answered | Reserved,
        done: Refused | Answered,
    ) -> tuple[Answer, PendingEvent | None]:
        charged, left = charged_by(begun), left_by(begun, facts.grant)
        if isinstance(done, Refused):
            receipt = self._receipts.place(analysis_id)
            return _refusal(facts, analysis_id, done, charged, left, receipt), done.event
        receipt = self._receipts.place(done.found.analysis_id)
        return _answer(facts, analysis_id, done, charged, left, receipt), done.found.event

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
    found = answered.found
    shown = show(
        found,
        answered.layout,
        question=facts.question,
        base_version=facts.base_version,
        public_size=facts.public_size,
        attributes=facts.attributes,
    )
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
