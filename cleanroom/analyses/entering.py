"""Entering questions in SQL, and recording refusals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import insert

from cleanroom.analyses.facts import Facts
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.receipt_facts import receipt_facts
from cleanroom.analyses.steps import Refused
from cleanroom.analyses.types import Outcome
from cleanroom.clock import Clock
from cleanroom.db.base import Base
from cleanroom.db.database import Transaction
from cleanroom.release.service import ReleaseService
from policies.question import question_to_dict

ENTERED = "analysis entered"
# Made once: every question is entered, and to put a statement together takes longer than to run it.
_ENTER = insert(Base.metadata.tables[AnalysisRow.__tablename__])


def entry(
    facts: Facts,
    analysis_id: str,
    status: Outcome,
    *,
    rho_micro: int,
    pieces: Sequence[str] = (),
    ticket: Mapping[str, Any] | None = None,
    tick_ms: int = 0,
) -> dict[str, Any]:
    """Return the row of a question with what has become of it so far.

    Args:
        facts: of the question.
        analysis_id: of the question.
        status: what has become of it.
        rho_micro: what it has taken out of its grant.
        pieces: of a permitted one, see `policies.outline`.
        ticket: what a worker needs to complete it; None when the process that asks does.
        tick_ms: by which its answer is shown.
    """
    return {
        "id": analysis_id,
        "grant_id": facts.grant.id,
        "dataset_id": facts.dataset.id,
        "base_id": facts.base.id,
        "base_version_id": facts.base_version.id,
        "advertiser_id": facts.grant.advertiser_id,
        "agency_id": facts.grant.agency_id,
        "question": question_to_dict(facts.question),
        "outline": list(pieces),
        "status": status.value,
        "rho_micro": rho_micro,
        "asked_at": facts.at,
        "finished_at": None if status is Outcome.RESERVED else facts.at,
        "queued": ticket is not None,
        "ticket": None if ticket is None else dict(ticket),
        "attempts": 0,
        "tick_ms": tick_ms,
    }


def enter(tx: Transaction, row: Mapping[str, Any]) -> None:
    """Enter a question, in the transaction that decides on it.

    Args:
        tx: a writing transaction.
        row: made by `entry`.
    """
    tx.connection.execute(_ENTER, row)
    tx.held[ENTERED, row["id"]] = AnalysisRow(**row)


def entered(tx: Transaction, analysis_id: str) -> AnalysisRow:
    """Return the row of a question that this transaction has entered, without reading it again."""
    row: AnalysisRow = tx.held[ENTERED, analysis_id]
    return row


@dataclass(frozen=True)
class Refusals:
    """Records refusals, in the transaction that decided them."""

    gate: ReleaseService
    clock: Clock

    def at_once(self, tx: Transaction, facts: Facts, analysis_id: str, refused: Refused) -> Refused:
        """Enter a question that is refused before anything was reserved."""
        enter(tx, entry(facts, analysis_id, Outcome.REFUSED, rho_micro=0))
        left_micro = facts.grant.left_micro
        unspent = {"left_before_micro": left_micro, "left_after_micro": left_micro}
        return self.record(
            tx,
            analysis_id,
            refused,
            organisation_id=facts.grant.advertiser_id,
            facts={**receipt_facts(facts), "question": question_to_dict(facts.question), "budget": unspent},
        )

    def record(
        self,
        tx: Transaction,
        analysis_id: str,
        refused: Refused,
        *,
        organisation_id: str,
        facts: Mapping[str, Any],
    ) -> Refused:
        """Write the record that the refusal's receipt proves; `facts` are what it says besides its reasons."""
        event = self.gate.refuse(
            tx,
            analysis_id=analysis_id,
            organisation_id=organisation_id,
            facts=facts,
            reasons=refused.reasons,
            missing=refused.missing,
            at=self.clock.now(),
        )
        return replace(refused, event=event)
