"""The budget of a dataset by adversary: what each party's answers, put together, let it learn; as time went by."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from sqlalchemy import case, func, select

from cleanroom.accounts.models import OrganisationRow
from cleanroom.db.database import Transaction
from cleanroom.grants.budget_view import Bound, bound_of
from cleanroom.grants.models import GrantRow, LedgerRow
from cleanroom.grants.types import AccountKind, Amount

_SPENDS = ("reserved", "written_off")


@dataclass(frozen=True)
class Adversary:
    """Somebody who may put answers about a dataset together.

    Attributes:
        kind: one advertiser, affiliates, an agency with all its clients, or everybody.
        party: id of the organisation, or the affiliates' group; empty for everybody.
        name: of the organisation or the group; empty for everybody.
        spent: what questions about the dataset have spent of it so far, and what that lets it learn at most.
        over_time: the same at the end of each stretch of time that was asked for.
    """

    kind: AccountKind
    party: str
    name: str
    spent: Bound
    over_time: tuple[Bound, ...]


def adversaries(tx: Transaction, dataset_id: str, edges: Sequence[datetime]) -> tuple[Adversary, ...]:
    """Return who has spent budget of a dataset, everybody together first, then by what they have spent.

    Args:
        tx: any transaction.
        dataset_id: which.
        edges: instants in order; what was spent adds up from the beginning to each of them but the first.
    """
    sums: dict[tuple[AccountKind, str], list[Amount]] = {}
    for advertiser_id, agency_id, group, amounts in _spent(tx, dataset_id, edges):
        for key in _keys(advertiser_id, agency_id, group):
            known = sums.setdefault(key, [Amount(0)] * len(amounts))
            sums[key] = [one + other for one, other in zip(known, amounts, strict=True)]
    parties = sorted(party for kind, party in sums if kind in (AccountKind.ADVERTISER, AccountKind.AGENCY))
    rows = select(OrganisationRow.id, OrganisationRow.name).where(OrganisationRow.id.in_(parties))
    names = dict(tx.session.execute(rows).all())
    found = [
        Adversary(kind, party, names.get(party, party), bound_of(amounts[-1]), _adding_up(amounts))
        for (kind, party), amounts in sums.items()
    ]
    return tuple(
        sorted(
            found,
            key=lambda one: (one.kind is not AccountKind.TOTAL, -one.spent.amount.rho_micro, one.name),
        )
    )


def _keys(advertiser_id: str, agency_id: str | None, group: str | None) -> Iterator[tuple[AccountKind, str]]:
    yield AccountKind.TOTAL, ""
    yield AccountKind.ADVERTISER, advertiser_id
    if group is not None:
        yield AccountKind.AFFILIATES, group
    if agency_id is not None:
        yield AccountKind.AGENCY, agency_id


def _adding_up(amounts: Sequence[Amount]) -> tuple[Bound, ...]:
    """Return the bounds at the edges: of what came before the first of them, and of each stretch added to it."""
    *stretches, whole = amounts
    so_far = whole
    for amount in stretches:
        so_far = so_far - amount
    bounds = []
    for amount in stretches:
        so_far = so_far + amount
        bounds.append(bound_of(so_far))
    return tuple(bounds)


def _spent(
    tx: Transaction, dataset_id: str, edges: Sequence[datetime]
) -> Iterator[tuple[str, str | None, str | None, list[Amount]]]:
    """Add up by parties of grants: each stretch between two edges, and at the end all that was ever spent."""
    columns = (LedgerRow.rho_micro, LedgerRow.delta_pico)
    sums = []
    for start, end in pairwise(edges):
        inside = (LedgerRow.at >= start) & (LedgerRow.at < end)
        sums += [func.sum(case((inside, column), else_=0)) for column in columns]
    sums += [func.sum(case((LedgerRow.at < edges[-1], column), else_=0)) for column in columns]
    parties = (GrantRow.advertiser_id, GrantRow.agency_id, GrantRow.affiliate_group)
    rows = (
        select(*parties, *sums)
        .join(GrantRow, GrantRow.id == LedgerRow.grant_id)
        .where(GrantRow.dataset_id == dataset_id, LedgerRow.kind.in_(_SPENDS))
        .group_by(*parties)
    )
    for advertiser_id, agency_id, group, *values in tx.session.execute(rows):
        numbers = [int(value) for value in values]
        amounts = [Amount(rho, delta) for rho, delta in zip(numbers[::2], numbers[1::2], strict=True)]
        yield advertiser_id, agency_id, group, amounts
