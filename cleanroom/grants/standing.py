"""What another rule would do to the grants that stand: which of them it ends in effect, and what the others can ask."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select

from cleanroom.accounts.models import OrganisationRow
from cleanroom.db.database import Transaction
from cleanroom.grants.models import GrantRow
from cleanroom.grants.repository import grant_of
from cleanroom.grants.types import Grant, GrantStatus
from policies.accounting import questions_left
from policies.decision import Deny, Gap, Limits, Reason
from policies.engine import grant_limits
from policies.licence import under_licence
from policies.mechanisms import rho_for
from policies.model import PolicyDocument
from policies.question import Precision


@dataclass(frozen=True)
class Allowed:
    """What a rule lets a grant do.

    Attributes:
        purposes: of its purposes, those that can still be asked for.
        questions: overlaps at normal precision that what is left of it pays for.
        reasons: why nothing can be asked; empty when something can.
        missing: required rules that the document lacks, so that nothing can be asked.
    """

    purposes: tuple[str, ...]
    questions: int
    reasons: tuple[Reason, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Standing:
    """One grant under the rule in force and under another.

    Attributes:
        grant: as it stands.
        buyer: name of the advertiser.
        before: under the rule in force; None when there is none.
        after: under the other rule.
    """

    grant: Grant
    buyer: str
    before: Allowed | None
    after: Allowed

    @property
    def ends(self) -> bool:
        """Whether the other rule leaves nothing to ask where something could be asked before."""
        return not self.after.purposes and (self.before is None or bool(self.before.purposes))

    @property
    def changes(self) -> bool:
        """Whether the other rule makes any difference to it."""
        return self.before is None or (self.before.purposes, self.before.questions) != (
            self.after.purposes,
            self.after.questions,
        )


def standing_grants(
    tx: Transaction,
    dataset_id: str,
    *,
    before: PolicyDocument | None,
    after: PolicyDocument,
    beside: Sequence[PolicyDocument],
    at: datetime,
    limit: int = 100,
) -> tuple[tuple[Standing, ...], int]:
    """Return the active grants on a dataset under two rules.

    Args:
        tx: any transaction.
        dataset_id: of the dataset.
        before: the rule in force; None for none.
        after: the rule that would follow.
        beside: the rules of other datasets about the same people.
        at: the instant.
        limit: how many at most, those given last.

    Returns:
        The grants, and how many there are in all.
    """
    active = (GrantRow.dataset_id == dataset_id, GrantRow.status == GrantStatus.ACTIVE.value)
    total = tx.session.scalar(select(func.count()).select_from(GrantRow).where(*active)) or 0
    table = GrantRow.__table__
    rows: Iterable[Row[Any]] = tx.session.execute(
        select(*table.c, OrganisationRow.name.label("buyer"), OrganisationRow.sector.label("buyer_sector"))
        .join(OrganisationRow, OrganisationRow.id == GrantRow.advertiser_id)
        .where(*active)
        .order_by(GrantRow.id.desc())
        .limit(limit)
    )
    found = []
    for row in rows:
        grant = grant_of(row)
        found.append(
            Standing(
                grant,
                row.buyer,
                None if before is None else _allowed(before, grant, row.buyer_sector, beside, at),
                _allowed(after, grant, row.buyer_sector, beside, at),
            )
        )
    return tuple(found), int(total)


def _allowed(
    document: PolicyDocument,
    grant: Grant,
    sector: str | None,
    beside: Sequence[PolicyDocument],
    at: datetime,
) -> Allowed:
    purposes = []
    limits: Limits | None = None
    reasons: tuple[Reason, ...] = ()
    for purpose in grant.purposes:
        told = grant_limits(
            [under_licence(document, grant.licence)],
            purposes=[purpose],
            advertiser_id=grant.advertiser_id,
            agency_id=grant.agency_id,
            at=at,
            sector=sector,
            beside=beside,
        )
        if isinstance(told, Gap):
            return Allowed((), 0, missing=told.missing)
        if isinstance(told, Deny):
            reasons = reasons or told.reasons
        else:
            purposes.append(purpose)
            limits = told
    if limits is None:
        return Allowed((), 0, reasons)
    price = rho_for(1, Precision("normal"), cap_rho_micro=limits.cap_rho_micro, kind="overlap")
    payable = price <= limits.question_max_rho_micro
    return Allowed(tuple(purposes), questions_left(grant.left_micro, price) if payable else 0)
