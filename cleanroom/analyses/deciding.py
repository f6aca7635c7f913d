"""The first half of a question (T1): decide, look for a stored answer, reserve the budget."""

from dataclasses import dataclass
from datetime import datetime

from cleanroom.accounts.service import Accounts
from cleanroom.accounts.types import AgencyAction
from cleanroom.analyses.alarm import sound_alarm
from cleanroom.analyses.approving import Approving
from cleanroom.analyses.cells import Layout, layout_of, plan_of
from cleanroom.analyses.entering import Refusals, enter, entry
from cleanroom.analyses.errors import NoStoredAnswerError
from cleanroom.analyses.facts import Facts
from cleanroom.analyses.receipt_facts import people_at_most, receipt_facts, size_band
from cleanroom.analyses.resuming import ticket_to_dict
from cleanroom.analyses.steps import Answered, Refused, Reserved
from cleanroom.analyses.ticks import tick_ms
from cleanroom.analyses.types import Outcome
from cleanroom.db.database import Transaction
from cleanroom.grants.service import Grants
from cleanroom.grants.types import Grant
from cleanroom.matching.service import Matching
from cleanroom.release.answers import Asked, find_answer
from cleanroom.release.gate import mechanism_of
from cleanroom.release.service import Ticket
from policies.decision import Deny, Gap, Permit, Reason
from policies.engine import decide
from policies.model import PolicyDocument
from policies.outline import outline
from policies.reasons import base_erasing, consents_unconfirmed, no_mandate

ANSWERED_AGAIN = "analyses.answered_again"


@dataclass(frozen=True)
class Deciding:
    """Takes every decision about a question, in one transaction; a denial is a value and is recorded."""

    accounts: Accounts
    grants: Grants
    matching: Matching
    refusals: Refusals
    approving: Approving
    tick_unit_ms: int

    def begin(
        self,
        tx: Transaction,
        facts: Facts,
        analysis_id: str,
        *,
        asker_id: str,
        as_of: datetime | None,
        queue: bool,
    ) -> Refused | Answered | Reserved:
        """Decide on a question; the decision comes before the look-up of a stored answer.

        Args:
            tx: a writing transaction of its own.
            facts: read in the same transaction.
            analysis_id: of the question.
            asker_id: the advertiser, or the agency that acts for it.
            as_of: give only an answer released until then.
            queue: whether any worker may complete what is reserved; it then finds all it needs in SQL.

        Raises:
            NoStoredAnswerError: `as_of` is given and there is no such answer.
        """
        if not self._may_ask(tx, facts, asker_id):
            return self.refusals.at_once(tx, facts, analysis_id, Refused((no_mandate(),)))
        held = self._held(tx, facts)
        if held:
            return self.refusals.at_once(tx, facts, analysis_id, Refused(held))
        looked_for = _storable(facts)
        if looked_for is not None:
            permitted, asked = looked_for
            stored = _stored(tx, facts, permitted, asked, as_of=as_of)
            if stored is not None:
                return self.answer_again(tx, facts, analysis_id, stored)
            if as_of is not None:
                raise NoStoredAnswerError(
                    "No answer to this question was released until then.", remedy="Ask for a fresh one."
                )
            if facts.within_quota and _pays(facts.grant, permitted):
                return self._reserve(tx, facts, analysis_id, permitted, asked, queue=queue)
        decision = decide(_documents(facts), facts.request())
        if isinstance(decision, Deny):
            self.approving.put(tx, facts, decision)
            return self.refusals.at_once(tx, facts, analysis_id, Refused(decision.reasons))
        missing = decision.missing if isinstance(decision, Gap) else ()
        return self.refusals.at_once(tx, facts, analysis_id, Refused((), (*missing, *facts.missing)))

    def permits(self, facts: Facts) -> Permit | None:
        """Return how a question is permitted for which a stored answer may be given; None when none may."""
        looked_for = _storable(facts)
        return None if looked_for is None else looked_for[0]

    def from_store(self, tx: Transaction, facts: Facts, *, asker_id: str) -> tuple[Permit, Answered] | None:
        """Return the stored answer that a question would be given; None when it would be given none.

        Args:
            tx: any transaction.
            facts: read in it.
            asker_id: the advertiser, or the agency that acts for it.

        Returns:
            How it is permitted, and the answer.
        """
        looked_for = _storable(facts)
        if looked_for is None or not self._may_ask(tx, facts, asker_id):
            return None
        answered = _stored(tx, facts, *looked_for, as_of=None)
        return None if answered is None else (looked_for[0], answered)

    def answer_again(self, tx: Transaction, facts: Facts, analysis_id: str, stored: Answered) -> Answered:
        """Enter a question with its stored answer.

        Args:
            tx: a writing transaction.
            facts: on which the decision was taken.
            analysis_id: of the question.
            stored: its answer.
        """
        enter(tx, entry(facts, analysis_id, Outcome.STORED, rho_micro=0))
        tx.audit(
            ANSWERED_AGAIN,
            subject_id=analysis_id,
            organisation_id=facts.grant.advertiser_id,
            body={"answer_of": stored.found.analysis_id, "consent_epoch": stored.found.epoch},
        )
        return stored

    def _held(self, tx: Transaction, facts: Facts) -> tuple[Reason, ...]:
        """Say why nothing is answered whatever the policy says, not even from the store.

        The database may have forgotten withdrawals that came after an answer, and who is to be erased counts in none.
        """
        restored = self.grants.restored(tx)
        if restored is not None:
            return restored.reasons
        if facts.unconfirmed:
            return (consents_unconfirmed(),)
        return (base_erasing(),) if facts.erasing else ()

    def _may_ask(self, tx: Transaction, facts: Facts, asker_id: str) -> bool:
        return asker_id == facts.grant.advertiser_id or self.accounts.mandate_in_force(
            tx,
            agency_id=asker_id,
            advertiser_id=facts.grant.advertiser_id,
            at=facts.at,
            action=AgencyAction.ASK,
            purposes=(facts.question.purpose,),
        )

    def _reserve(
        self, tx: Transaction, facts: Facts, analysis_id: str, permit: Permit, asked: Asked, *, queue: bool
    ) -> Refused | Reserved:
        reservation = self.grants.reserve(
            tx,
            facts.grant.id,
            rho_micro=permit.rho_micro,
            delta_pico=permit.delta_pico,
            analysis_id=analysis_id,
            base_id=facts.base.id,
        )
        if isinstance(reservation, Deny):
            return self.refusals.at_once(tx, facts, analysis_id, Refused(reservation.reasons))
        pieces, days = outline(permit.question), permit.limits.alarm_days
        if days is not None:
            sound_alarm(tx, facts, analysis_id, pieces=pieces, days=days)
        layout = _layout(facts, permit)
        ticket = Ticket(
            analysis_id=analysis_id,
            organisation_id=facts.grant.advertiser_id,
            asked=asked,
            epoch=facts.epoch,
            mechanism=mechanism_of(permit, facts.attributes),
            names=layout.asked_names(),
            facts={
                **receipt_facts(facts),
                "question": permit.question.tree,
                # Prices by released counts end here, so that a bill can be checked by its receipts alone.
                "people_at_most": people_at_most(facts.base_version.persons, facts.public_size),
                "budget": {
                    "left_before_micro": reservation.left_before_micro,
                    "left_after_micro": reservation.left_after_micro,
                    "left_before_delta_pico": reservation.left_before_delta_pico,
                    "left_after_delta_pico": reservation.left_after_delta_pico,
                    "window_days": permit.limits.window_days,
                },
            },
        )
        row = entry(
            facts,
            analysis_id,
            Outcome.RESERVED,
            rho_micro=permit.rho_micro,
            pieces=pieces,
            ticket=ticket_to_dict(ticket) if queue else None,
            tick_ms=self._tick_ms(facts) if queue else 0,
        )
        enter(tx, row)
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
        match = self.matching.open(
            tx,
            dataset_version_id=asked.version_id,
            base_version_id=facts.base_version.id,
            purpose=asked.purpose,
            epoch=facts.epoch,
        )
        return Reserved(
            question=facts.question,
            dataset=facts.dataset,
            base_version=facts.base_version,
            ticket=ticket,
            plan=plan_of(layout, keys=facts.keys, purpose=asked.purpose),
            layout=layout,
            match=match,
            reservation=reservation,
        )

    def _tick_ms(self, facts: Facts) -> int:
        return tick_ms(
            self.tick_unit_ms,
            base_persons=facts.base_version.persons,
            public_size=facts.public_size,
            segments=len(facts.question.segments),
        )


def _pays(grant: Grant, permitted: Permit) -> bool:
    """Tell whether a decision stands that left aside how much of the grant is left."""
    return permitted.rho_micro <= grant.left_micro and permitted.delta_pico <= grant.left_delta_pico


def _documents(facts: Facts) -> list[PolicyDocument]:
    return [facts.document] if facts.document else []


def _storable(facts: Facts) -> tuple[Permit, Asked] | None:
    """Return how a question is permitted, and what an answer to it would be stored under; None when it is not."""
    # A stored answer costs nothing, so what is left of the grant must not stand in its way.
    if facts.unconfirmed or facts.erasing:
        return None
    permitted = decide(_documents(facts), facts.request(left_micro=facts.grant.rho_micro))
    if not isinstance(permitted, Permit) or not facts.version or not facts.policy or facts.missing:
        return None
    return permitted, _asked(facts, permitted, version_id=facts.version.id, policy_id=facts.policy.id)


def _stored(
    tx: Transaction, facts: Facts, permitted: Permit, asked: Asked, *, as_of: datetime | None
) -> Answered | None:
    epoch = None if as_of else facts.epoch
    found = find_answer(tx, asked, epoch=epoch, rho_micro=permitted.rho_micro, at=as_of)
    return None if found is None else Answered(Outcome.STORED, found, _layout(facts, permitted))


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
    return layout_of(permit.question, keys=facts.keys, labels=facts.labels, schema=facts.dataset.schema)
