"""Whose a question is to see: the advertiser's, and the agency's that could ask it then.

The row of a question names its grant's agency. What the advertiser asks under the same grant once the mandate has ended
is not that agency's to know.
"""

from sqlalchemy import ColumnElement, and_, select

from cleanroom.accounts.mandates import mandate_stood
from cleanroom.analyses.models import AnalysisRow
from cleanroom.db.database import Transaction


def asked_through(agency_id: str) -> ColumnElement[bool]:
    """Limit questions to those that an agency could ask when they were asked."""
    stood = mandate_stood(agency_id, AnalysisRow.advertiser_id, AnalysisRow.asked_at)
    return and_(AnalysisRow.agency_id == agency_id, stood)


def agency_of(tx: Transaction, row: AnalysisRow) -> str | None:
    """Return the agency that could ask a question when it was asked; None when there was none."""
    if row.agency_id is None:
        return None
    stood = select(mandate_stood(row.agency_id, row.advertiser_id, row.asked_at))
    return row.agency_id if tx.session.scalar(stood) else None
