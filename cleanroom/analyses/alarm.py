"""The difference alarm: an entry in the log for the compliance officer, which changes no answer.

It looks at what was asked and at the asker's own bases, never at the provider's rows, and it is friction: dummy
conditions and patience get around it, and only the budget bounds what differences can tell.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from sqlalchemy import or_, select

from cleanroom.analyses.facts import Facts
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.types import Outcome
from cleanroom.datasets.models import DatasetVersionRow
from cleanroom.db.database import Transaction
from policies.outline import hardly_differ

LOOKED_AT = 50
"""So many earlier questions are compared, the newest first."""
NEAR_PERCENT = 1
_OUTLINE, _BASE = "question", "base"


def sound_alarm(tx: Transaction, facts: Facts, analysis_id: str, *, pieces: Sequence[str], days: int) -> None:
    """Log an alarm if a permitted question hardly differs from an earlier one of its advertiser or agency.

    Args:
        tx: the transaction that permits it, before the question is entered.
        facts: of the question.
        analysis_id: of the question.
        pieces: its outline.
        days: how far back to look.
    """
    found = next(_near(tx, facts, pieces, days), None)
    if found is None:
        return
    earlier_id, what = found
    tx.audit(
        "analyses.difference_alarm",
        subject_id=analysis_id,
        organisation_id=facts.owner_id,
        body={
            "dataset_id": facts.dataset.id,
            "advertiser_id": facts.grant.advertiser_id,
            "agency_id": facts.grant.agency_id,
            "earlier": earlier_id,
            "differs_in": what,
        },
    )


def _near(tx: Transaction, facts: Facts, pieces: Sequence[str], days: int) -> Iterator[tuple[str, str]]:
    own = AnalysisRow.advertiser_id == facts.grant.advertiser_id
    if facts.grant.agency_id is not None:
        own = or_(own, AnalysisRow.agency_id == facts.grant.agency_id)
    earlier = (
        select(AnalysisRow.id, AnalysisRow.outline, DatasetVersionRow.fingerprint, DatasetVersionRow.persons)
        .join(DatasetVersionRow, DatasetVersionRow.id == AnalysisRow.base_version_id)
        .where(
            AnalysisRow.dataset_id == facts.dataset.id,
            own,
            AnalysisRow.asked_at > facts.at - timedelta(days=days),
            AnalysisRow.status.in_((Outcome.RESERVED.value, Outcome.RELEASED.value)),
        )
        .order_by(AnalysisRow.asked_at.desc())
        .limit(LOOKED_AT)
    )
    base = facts.base_version
    for earlier_id, outline, fingerprint, persons in tx.session.execute(earlier):
        same_base = fingerprint == base.fingerprint
        near_base = abs(persons - base.persons) * 100 <= max(persons, base.persons) * NEAR_PERCENT
        if same_base and hardly_differ(outline, pieces):
            yield earlier_id, _OUTLINE
        elif not same_base and near_base and list(outline) == list(pieces):
            yield earlier_id, _BASE
