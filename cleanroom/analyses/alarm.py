"""The difference alarm: an entry in the log for the compliance officer, which changes no answer.

It looks at what was asked and at the asker's own bases, never at the provider's rows, and it is friction: dummy
conditions and patience get around it, and only the budget bounds what differences can tell.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, bindparam, or_, select

from cleanroom.analyses.facts import Facts
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.types import Outcome
from cleanroom.datasets.models import DatasetVersionRow
from cleanroom.db.base import Base
from cleanroom.db.database import Transaction
from policies.outline import hardly_differ

LOOKED_AT = 50
"""So many earlier questions are compared, the newest first."""
NEAR_PERCENT = 1
_OUTLINE, _BASE = "question", "base"
_TABLE, _LOADS = (Base.metadata.tables[model.__tablename__] for model in (AnalysisRow, DatasetVersionRow))
_ANALYSES, _VERSIONS = _TABLE.c, _LOADS.c


def _earlier(*, through_agency: bool) -> Select[Any]:
    own = _ANALYSES.advertiser_id == bindparam("advertiser_id")
    if through_agency:
        own = or_(own, _ANALYSES.agency_id == bindparam("agency_id"))
    return (
        select(_ANALYSES.id, _ANALYSES.outline, _VERSIONS.fingerprint, _VERSIONS.persons)
        .join_from(_TABLE, _LOADS, _VERSIONS.id == _ANALYSES.base_version_id)
        .where(
            _ANALYSES.dataset_id == bindparam("dataset_id"),
            own,
            _ANALYSES.asked_at > bindparam("since"),
            _ANALYSES.status.in_((Outcome.RESERVED.value, Outcome.RELEASED.value)),
        )
        .order_by(_ANALYSES.asked_at.desc())
        .limit(LOOKED_AT)
    )


# Made once: to put a statement together takes longer than to run it.
_EARLIER = {through: _earlier(through_agency=through) for through in (False, True)}


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
    asked = {
        "dataset_id": facts.dataset.id,
        "advertiser_id": facts.grant.advertiser_id,
        "agency_id": facts.grant.agency_id,
        "since": facts.at - timedelta(days=days),
    }
    earlier = tx.connection.execute(_EARLIER[facts.grant.agency_id is not None], asked)
    base = facts.base_version
    for earlier_id, outline, fingerprint, persons in earlier:
        same_base = fingerprint == base.fingerprint
        near_base = abs(persons - base.persons) * 100 <= max(persons, base.persons) * NEAR_PERCENT
        if same_base and hardly_differ(outline, pieces):
            yield earlier_id, _OUTLINE
        elif not same_base and near_base and list(outline) == list(pieces):
            yield earlier_id, _BASE
