"""Figures that everyone may see, released once per version and purpose."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import bindparam, select

from cleanroom.clock import rfc3339
from cleanroom.db.base import Base
from cleanroom.db.database import Transaction
from cleanroom.release.codec import figure_from_dict, figure_to_dict, mechanism_to_dict
from cleanroom.release.gate import plan_mechanism, release_cells
from cleanroom.release.mechanism import calibrate
from cleanroom.release.models import PublicRelease
from cleanroom.release.types import Cell, ReleasedFigure
from policies.decision import Limits

SIZE = "dataset"

_ROWS = Base.metadata.tables[PublicRelease.__tablename__].c
# Made once: every question runs it, and to put a statement together takes longer than to run it.
_FIGURE = select(_ROWS.figure).where(
    _ROWS.version_id == bindparam("version_id"), _ROWS.purpose == bindparam("purpose")
)


def find_public(tx: Transaction, version_id: str, purpose: str) -> ReleasedFigure | None:
    """Return the figure of a version and purpose, if it was released."""
    figure = tx.connection.scalar(_FIGURE, {"version_id": version_id, "purpose": purpose})
    return None if figure is None else figure_from_dict(figure)


def find_publics(tx: Transaction, version_ids: Iterable[str]) -> dict[tuple[str, str], ReleasedFigure]:
    """Return every figure that was released of some versions, by version and purpose, in one statement."""
    found = select(_ROWS.version_id, _ROWS.purpose, _ROWS.figure).where(_ROWS.version_id.in_(version_ids))
    return {
        (version_id, purpose): figure_from_dict(figure)
        for version_id, purpose, figure in tx.connection.execute(found)
        if figure is not None
    }


def enter_public(tx: Transaction, *, version_id: str, purpose: str, rho_micro: int, at: datetime) -> None:
    """Note, in the transaction that charges it, that a release is paid for."""
    tx.session.add(
        PublicRelease(version_id=version_id, purpose=purpose, rho_micro=rho_micro, figure=None, charged_at=at)
    )
    tx.session.flush()


def make_public(
    tx: Transaction, *, version_id: str, purpose: str, persons: int, limits: Limits, at: datetime
) -> ReleasedFigure:
    """Make the figure that was paid for, unless another process was faster: then that one counts.

    Args:
        tx: a transaction of its own.
        version_id: which version.
        purpose: whose consents were counted.
        persons: the exact count; it must not outlive this call.
        limits: of the policy in force.
        at: the instant of the release.
    """
    row = tx.session.get_one(PublicRelease, (version_id, purpose), with_for_update=True)
    if row.figure is not None:
        return figure_from_dict(row.figure)
    mechanism = plan_mechanism(
        l0=1,
        rho_micro=row.rho_micro,
        minimum_audience=limits.minimum_audience,
        round_to=limits.round_to,
    )
    (figure,) = release_cells([Cell(SIZE, persons, None)], mechanism)
    row.figure = figure_to_dict(figure)
    tx.audit(
        "release.public",
        subject_id=version_id,
        body={
            "purpose": purpose,
            "released_at": rfc3339(at),
            "mechanism": mechanism_to_dict(mechanism),
            "figures": [row.figure],
        },
    )
    return figure


def withhold_unmade(tx: Transaction) -> None:
    """Withhold for good what is paid for and not made, after a backup was put back.

    The figure may have been made after the backup: once more, with fresh noise, it would tell more than was charged.
    """
    ordered = select(PublicRelease).order_by(PublicRelease.version_id, PublicRelease.purpose)
    # Compared here: "none yet" is a null of JSON, which `is_(None)` in SQL does not find.
    for row in [row for row in tx.session.scalars(ordered) if row.figure is None]:
        row.figure = figure_to_dict(ReleasedFigure(SIZE, None, True, calibrate(1, row.rho_micro), None))
        tx.audit("release.public_withheld", subject_id=row.version_id, body={"purpose": row.purpose})


def is_charged(tx: Transaction, version_id: str, purpose: str) -> bool:
    """Tell whether a release was paid for, made or not."""
    return tx.session.get(PublicRelease, (version_id, purpose)) is not None
