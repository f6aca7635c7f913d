"""Grants between values and rows."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, bindparam, or_, select

from cleanroom.db.base import Base
from cleanroom.db.database import Transaction
from cleanroom.grants.errors import UnknownGrantError
from cleanroom.grants.models import GrantRow
from cleanroom.grants.types import Grant, GrantStatus
from cleanroom.workspaces.models import PopulationRow
from policies.codec import policy_from_data, policy_to_data
from policies.model import PolicyDocument

_LICENCES = 256

_GRANTS = Base.metadata.tables[GrantRow.__tablename__]
# Made once: every question loads its grant, and to put a statement together takes longer than to run it.
_BY_ID = select(_GRANTS).where(_GRANTS.c.id == bindparam("id"))


def load(tx: Transaction, grant_id: str) -> Grant:
    """Return a grant as the database has it now; raises UnknownGrantError."""
    row = tx.connection.execute(_BY_ID, {"id": grant_id}).one_or_none()
    if row is None:
        raise UnknownGrantError("There is no grant with this id.", remedy="Look it up in the audit log.")
    return grant_of(row)


def active_on(tx: Transaction, dataset_id: str) -> Sequence[str]:
    """Return the ids of the active grants on a dataset."""
    active = select(GrantRow.id).where(
        GrantRow.status == GrantStatus.ACTIVE.value, GrantRow.dataset_id == dataset_id
    )
    return tx.session.scalars(active.order_by(GrantRow.id)).all()


def active_of(tx: Transaction, organisation_id: str) -> tuple[str, ...]:
    """List the ids of the active grants that an organisation holds, acts on, or gave over its own people."""
    own = select(PopulationRow.id).where(PopulationRow.organisation_id == organisation_id)
    found = select(GrantRow.id).where(
        GrantRow.status == GrantStatus.ACTIVE.value,
        or_(
            GrantRow.advertiser_id == organisation_id,
            GrantRow.agency_id == organisation_id,
            GrantRow.population_id.in_(own),
        ),
    )
    # In the order in which accounts are locked.
    return tuple(tx.session.scalars(found.order_by(GrantRow.population_id, GrantRow.id)))


def row_of(grant: Grant) -> GrantRow:
    """Return a new row for a grant."""
    return GrantRow(
        id=grant.id,
        population_id=grant.population_id,
        dataset_id=grant.dataset_id,
        advertiser_id=grant.advertiser_id,
        agency_id=grant.agency_id,
        affiliate_group=grant.affiliate_group,
        purposes=list(grant.purposes),
        size=grant.size,
        rho_micro=grant.rho_micro,
        spent_micro=grant.spent_micro,
        delta_pico=grant.delta_pico,
        spent_delta_pico=grant.spent_delta_pico,
        valid_from=grant.valid_from,
        expires_at=grant.expires_at,
        status=grant.status.value,
        licence=None if grant.licence is None else policy_to_data(grant.licence),
    )


def grant_of(row: GrantRow | Row[Any]) -> Grant:
    """Return a row as a value."""
    return Grant(
        id=row.id,
        population_id=row.population_id,
        dataset_id=row.dataset_id,
        advertiser_id=row.advertiser_id,
        agency_id=row.agency_id,
        affiliate_group=row.affiliate_group,
        purposes=tuple(row.purposes),
        size=row.size,
        rho_micro=row.rho_micro,
        spent_micro=row.spent_micro,
        delta_pico=row.delta_pico,
        spent_delta_pico=row.spent_delta_pico,
        valid_from=row.valid_from,
        expires_at=row.expires_at,
        status=GrantStatus(row.status),
        licence=None if row.licence is None else _read(json.dumps(row.licence)),
    )


@lru_cache(maxsize=_LICENCES)
def _read(text: str) -> PolicyDocument:
    return policy_from_data(json.loads(text))
