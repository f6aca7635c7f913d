"""Taking a question's budget out of its grant, in one conditional statement."""

from datetime import datetime

from sqlalchemy import BindParameter, bindparam, update

from cleanroom.db.base import Base
from cleanroom.db.database import Transaction
from cleanroom.grants import ledger, repository
from cleanroom.grants.models import GrantRow
from cleanroom.grants.types import Amount, Grant, GrantStatus, Reservation
from policies.decision import Deny
from policies.reasons import budget_left, delta_left, grant_term

_GRANTS = Base.metadata.tables[GrantRow.__tablename__].c
_RHO: BindParameter[int] = bindparam("rho")
_DELTA: BindParameter[int] = bindparam("delta")
_NOW: BindParameter[datetime] = bindparam("now")
# Made once: to put a statement together takes as long as to run it.
_SPEND = (
    update(Base.metadata.tables[GrantRow.__tablename__])
    .where(
        _GRANTS.id == bindparam("grant"),
        _GRANTS.status == GrantStatus.ACTIVE.value,
        _GRANTS.valid_from <= _NOW,
        _GRANTS.expires_at > _NOW,
        _GRANTS.spent_micro + _RHO <= _GRANTS.rho_micro,
        _GRANTS.spent_delta_pico + _DELTA <= _GRANTS.delta_pico,
    )
    .values(spent_micro=_GRANTS.spent_micro + _RHO, spent_delta_pico=_GRANTS.spent_delta_pico + _DELTA)
    .returning(_GRANTS.spent_micro, _GRANTS.spent_delta_pico)
)


def spend(
    tx: Transaction, grant: Grant, cost: Amount, *, analysis_id: str, base_id: str, now: datetime
) -> Reservation | Deny:
    """Reserve a cost for an analysis, or say why the grant does not pay it."""
    parameters = {"grant": grant.id, "now": now, "rho": cost.rho_micro, "delta": cost.delta_pico}
    spent = tx.connection.execute(_SPEND, parameters).one_or_none()
    if spent is None:
        return _refusal(repository.load(tx, grant.id), cost, now)
    ledger.record(
        tx,
        "reserved",
        population_id=grant.population_id,
        subject_id=analysis_id,
        amount=cost,
        now=now,
        grant_id=grant.id,
        base_id=base_id,
    )
    left = grant.allocated - Amount(*spent)
    before = left + cost
    tx.audit(
        "grants.budget_reserved",
        subject_id=analysis_id,
        organisation_id=grant.advertiser_id,
        body={
            "grant_id": grant.id,
            "rho_micro": cost.rho_micro,
            "left_micro": left.rho_micro,
            "delta_pico": cost.delta_pico,
            "left_delta_pico": left.delta_pico,
        },
    )
    return Reservation(
        analysis_id=analysis_id,
        grant_id=grant.id,
        rho_micro=cost.rho_micro,
        left_before_micro=before.rho_micro,
        left_after_micro=left.rho_micro,
        delta_pico=cost.delta_pico,
        left_before_delta_pico=before.delta_pico,
        left_after_delta_pico=left.delta_pico,
    )


def _refusal(grant: Grant, cost: Amount, now: datetime) -> Deny:
    if grant.status is not GrantStatus.ACTIVE or not grant.valid_from <= now < grant.expires_at:
        active = grant.status is GrantStatus.ACTIVE
        term = grant_term(active=active, valid_from=grant.valid_from, expires_at=grant.expires_at, at=now)
        return Deny((term,))
    if cost.rho_micro > grant.left_micro:
        return Deny((budget_left(left_micro=grant.left_micro, cost_micro=cost.rho_micro),))
    return Deny((delta_left(left_pico=grant.left_delta_pico, cost_pico=cost.delta_pico),))
