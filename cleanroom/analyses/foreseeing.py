"""What a question will be answered with from the store, found out before its transaction begins.

SQLite lets one writer in at a time, so the less a stored answer does while it writes, the more of them there can be.
All that the decision depends on is read before, without a lock. Then, in the transaction, the log tells whether any of
it can have changed since: no state changes without an event. For the same reason the next to ask the same within a
second needs no more than the log, and the decision taken once more at its own instant.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cleanroom.analyses.deciding import ANSWERED_AGAIN, Deciding
from cleanroom.analyses.facts import FactFinder, Facts
from cleanroom.analyses.steps import Answered
from cleanroom.audit.log import AuditLog
from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id
from cleanroom.remembered import Remembered
from policies.decision import Permit
from policies.question import Question
from policies.rules import Rate

# What the calendar decides is decided again when a question had to wait longer for its turn.
FRESH_FOR = timedelta(seconds=10)
# What a sliding window gives back comes by the clock, and is told a little late.
REMEMBERED_FOR = timedelta(seconds=1)
_MOST_REMEMBERED = 256
_CHANGES_NOTHING = frozenset({ANSWERED_AGAIN})


@dataclass(frozen=True)
class Foreseen:
    """A stored answer, and when its question was decided on.

    Attributes:
        analysis_id: the question's, if it is answered like this.
        facts: that it was decided on.
        permit: how it is permitted.
        answered: what it is answered with.
        events: in the log when the facts were known to hold.
        read_at: when they were read.
        at: the instant of the decision.
    """

    analysis_id: str
    facts: Facts
    permit: Permit
    answered: Answered
    events: int
    read_at: datetime
    at: datetime


@dataclass(frozen=True)
class Foreseeing:
    """Decides on questions before their transaction, and tells in it whether the decision still stands."""

    finder: FactFinder
    deciding: Deciding
    log: AuditLog
    clock: Clock
    _known: Remembered[Hashable, Foreseen] = field(
        default_factory=lambda: Remembered(_MOST_REMEMBERED), init=False, repr=False
    )

    def look(
        self, tx: Transaction, question: Question, *, grant_id: str, asker_id: str, said: Hashable = None
    ) -> Foreseen | None:
        """Find out what a question would be answered with from the store; None when it would not be.

        Args:
            tx: of one state of the database; nothing is written.
            question: what to count.
            grant_id: which grant pays.
            asker_id: the advertiser, or the agency that acts for it.
            said: under which `again` finds it: who asks, and in which words.

        Raises:
            QuestionError, NotYourGrantError, NotYourBaseError: as for asking.
        """
        # The same words give the same question; what is remembered holds it, so that no other can have its id.
        key = (grant_id, asker_id, id(question)) if said is None else said
        return self.again(tx, key) or self._anew(tx, question, key, grant_id=grant_id, asker_id=asker_id)

    def again(self, tx: Transaction, said: Hashable) -> Foreseen | None:
        """Return what was found out for the one who said the same before, if it is still so; else None."""
        known, now = self._known.get(said), self.clock.now()
        if known is None or now - known.read_at >= REMEMBERED_FOR:
            return None
        facts = replace(known.facts, at=now)
        # Mandates and consents end by the calendar too, and are looked up.
        if facts.grant.agency_id is not None or any(
            consent.expires_at for consent in facts.dataset.schema.consents
        ):
            return None
        events = self.log.continued(tx, since=known.events, but=_CHANGES_NOTHING)
        if events is None or self.deciding.permits(facts) != known.permit:
            return None
        found = replace(known, analysis_id=new_id("an", now), facts=facts, events=events, at=now)
        return self._known.put(said, found)

    def _anew(
        self, tx: Transaction, question: Question, key: Hashable, *, grant_id: str, asker_id: str
    ) -> Foreseen | None:
        now, events = self.clock.now(), self.log.size(tx)
        facts = self.finder.find_settled(tx, question, grant_id=grant_id, asker_id=asker_id, at=now)
        # A limit on how often one may ask counts stored answers too, so every one of them changes what it says.
        if (
            facts is None
            or facts.document is None
            or any(isinstance(rule, Rate) for rule in facts.document.rules)
        ):
            return None
        found = self.deciding.from_store(tx, facts, asker_id=asker_id)
        if found is None:
            return None
        foreseen = Foreseen(new_id("an", now), facts, *found, events=events, read_at=now, at=now)
        return self._known.put(key, foreseen)

    def enter(self, tx: Transaction, foreseen: Foreseen) -> bool:
        """Answer a question as foreseen, if that is still how it would be answered; else do nothing.

        Args:
            tx: a writing transaction; with it the question is answered.
            foreseen: what was found out before.

        Returns:
            Whether it is answered.
        """
        stands = (
            self.clock.now() - foreseen.at < FRESH_FOR
            and self.log.unchanged(tx, since=foreseen.events, but=_CHANGES_NOTHING)
            and self.log.restored(tx) is None
        )
        if stands:
            self.deciding.answer_again(tx, foreseen.facts, foreseen.analysis_id, foreseen.answered)
        return stands
