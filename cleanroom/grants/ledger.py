"""The accounts and the ledger in SQL: every movement is one conditional statement, so none overspends."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cleanroom.db.base import Base
from cleanroom.db.database import Transaction
from cleanroom.grants.models import BudgetAccountRow, LedgerRow
from cleanroom.grants.types import Account, AccountKind, Amount
from cleanroom.ids import new_id

AccountKey = tuple[AccountKind, str]

# Made once: to put a statement together takes as long as to run it.
_LEDGER = Base.metadata.tables[LedgerRow.__tablename__]
_RECORD = insert(_LEDGER)
_MOVEMENTS = select(_LEDGER).where(_LEDGER.c.subject_id == bindparam("subject_id"))
# The population's total comes first, so that it alone orders all who lock several accounts of one population.
_ORDER = {kind: position for position, kind in enumerate(AccountKind)}


def lock_accounts(
    tx: Transaction, population_id: str, keys: Sequence[AccountKey], now: datetime
) -> dict[AccountKey, Amount]:
    """Lock accounts until the transaction ends, opening those that do not exist yet.

    Always in the same order, or two grants could wait for each other for ever.

    Returns:
        What each account has allocated.
    """
    found: dict[AccountKey, Amount] = {}
    for kind, party in sorted(keys, key=lambda key: (_ORDER[key[0]], key[1])):
        values = {
            "id": new_id("acc", now),
            "population_id": population_id,
            "kind": kind.value,
            "party": party,
            "allocated_micro": 0,
            "allocated_delta_pico": 0,
        }
        postgres = tx.connection.dialect.name == "postgresql"
        opened = postgresql.insert if postgres else sqlite.insert
        tx.session.execute(opened(BudgetAccountRow).values(values).on_conflict_do_nothing())
        locked = (
            select(BudgetAccountRow.allocated_micro, BudgetAccountRow.allocated_delta_pico)
            .where(*_is(population_id, kind, party))
            .with_for_update()
        )
        found[kind, party] = Amount(*tx.session.execute(locked).one())
    return found


def take(tx: Transaction, population_id: str, key: AccountKey, amount: Amount, *, cap: Amount | None) -> bool:
    """Add to what an account has allocated, unless that passes the cap; tells whether it was done.

    Whoever takes no delta is not stopped by a cap of delta, which may have been lowered meanwhile. Without a cap it
    is always done: what was spent was spent.
    """
    rho, delta = BudgetAccountRow.allocated_micro, BudgetAccountRow.allocated_delta_pico
    fits = [] if cap is None else [rho + amount.rho_micro <= cap.rho_micro]
    if cap is not None and amount.delta_pico:
        fits.append(delta + amount.delta_pico <= cap.delta_pico)
    taken = (
        update(BudgetAccountRow)
        .where(*_is(population_id, *key), *fits)
        .values(allocated_micro=rho + amount.rho_micro, allocated_delta_pico=delta + amount.delta_pico)
        .returning(BudgetAccountRow.id)
    )
    return tx.session.execute(taken).first() is not None


def give_back(tx: Transaction, population_id: str, key: AccountKey, amount: Amount) -> None:
    """Return to an account what an ended grant has not spent."""
    tx.session.execute(
        update(BudgetAccountRow)
        .where(*_is(population_id, *key))
        .values(
            allocated_micro=BudgetAccountRow.allocated_micro - amount.rho_micro,
            allocated_delta_pico=BudgetAccountRow.allocated_delta_pico - amount.delta_pico,
        )
    )


def record(
    tx: Transaction,
    kind: str,
    *,
    population_id: str,
    subject_id: str,
    amount: Amount,
    now: datetime,
    grant_id: str | None = None,
    base_id: str | None = None,
) -> None:
    """Add a movement to the ledger."""
    movement = {
        "id": new_id("le", now),
        "population_id": population_id,
        "grant_id": grant_id,
        "kind": kind,
        "subject_id": subject_id,
        "base_id": base_id,
        "rho_micro": amount.rho_micro,
        "delta_pico": amount.delta_pico,
        "at": now,
    }
    tx.connection.execute(_RECORD, movement)


def recorded(tx: Transaction, kind: str, subject_id: str) -> Row[Any] | None:
    """Return the movement of one kind about one subject, if there is one."""
    return movements(tx, subject_id).get(kind)


def movements(tx: Transaction, subject_id: str) -> dict[str, Row[Any]]:
    """Return every movement about one subject, by kind."""
    return {row.kind: row for row in tx.connection.execute(_MOVEMENTS, {"subject_id": subject_id})}


def accounts_of(tx: Transaction, population_id: str) -> tuple[Account, ...]:
    """Return every account of a population."""
    rows = select(BudgetAccountRow).where(BudgetAccountRow.population_id == population_id)
    ordered = rows.order_by(BudgetAccountRow.kind, BudgetAccountRow.party)
    return tuple(
        Account(AccountKind(row.kind), row.party, row.allocated_micro, row.allocated_delta_pico)
        for row in tx.session.scalars(ordered.execution_options(populate_existing=True))
    )


def _is(population_id: str, kind: AccountKind, party: str) -> tuple[ColumnElement[bool], ...]:
    return (
        BudgetAccountRow.population_id == population_id,
        BudgetAccountRow.kind == kind.value,
        BudgetAccountRow.party == party,
    )
