"""`audit verify` compares the budget in SQL with the log: whoever edits a balance is named."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from cleanroom.cli.main import EXIT_PROBLEM_FOUND, main
from cleanroom.grants.models import BudgetAccountRow, GrantRow, LedgerRow
from cleanroom.grants.verifying import ledger_problems
from cleanroom.reconciling import reconcile_room
from tests.backups import Backup
from tests.rooms import PURPOSE, Stage


def problems(stage: Stage) -> list[str]:
    with stage.room.db.reading() as tx:
        return [f"{problem.what}: {problem.reason}" for problem in ledger_problems(tx)]


def lived_in(stage: Stage) -> Stage:
    """Grants through an agency and without, one ended, one revoked; questions; a public size."""
    agency = stage.party("agency", "agency").organisation_id
    sister = stage.party("sister", affiliate_group="holding").organisation_id
    with stage.room.db.transaction() as tx:
        stage.room.accounts.grant_mandate(
            tx, agency_id=agency, advertiser_id=stage.advertiser.organisation_id
        )
    stage.ask(stage.grant("M"))
    stage.grant("S", agency_id=agency)
    revoked = stage.grant("S", advertiser_id=sister)
    stage.room.public_sizes.release(stage.dataset_id, purpose=PURPOSE)
    with stage.room.db.transaction() as tx:
        stage.room.grants.revoke(tx, revoked.id)
    stage.clock.move(days=31)
    with stage.room.db.transaction() as tx:
        stage.room.grants.expire(tx)
    stage.ask(stage.grant("M"), precision="fine")
    return stage


def test_a_room_that_was_used_as_it_should_has_no_problem(stage: Stage) -> None:
    assert problems(lived_in(stage)) == []


def test_a_reconciled_room_has_none_either(make_room: Callable[..., Stage]) -> None:
    stage = make_room()
    grant = stage.grant("M")
    backup = Backup(stage)
    late = stage.ask(grant, precision="fine")
    stage.grant("S")
    stage.room.public_sizes.release(stage.dataset_id, purpose=PURPOSE)
    receipt = late.receipt.read_bytes()
    backup.put_back()

    assert reconcile_room(stage.room, [receipt]).allocations_lost == 2

    assert problems(stage) == []


def edit(statement: Any) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        with stage.room.db.transaction() as tx:
            tx.session.execute(statement)

    return run


def copy_a_grant(stage: Stage) -> None:
    with stage.room.db.transaction() as tx:
        row = tx.session.execute(select(GrantRow.__table__).limit(1)).mappings().one()
        tx.session.execute(insert(GrantRow.__table__).values({**row, "id": "gr_free", "spent_micro": 0}))


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (edit(update(GrantRow).values(spent_micro=0)), "has spent 0 micro-rho with 0 pico-delta in SQL, and"),
        (edit(update(GrantRow).values(rho_micro=99_999)), "was given 99999 micro-rho"),
        (edit(update(GrantRow).values(delta_pico=10**7)), "with 10000000 pico-delta in SQL, and"),
        (edit(update(GrantRow).values(status="active")), "it is active in SQL, and "),
        (edit(update(GrantRow).values(purposes=["research"])), "its purposes are not those"),
        (edit(update(GrantRow).values(dataset_id="ds_x")), "its dataset_id is not the one"),
        (edit(update(BudgetAccountRow).values(allocated_micro=0)), "account: it holds 0 micro-rho"),
        (edit(update(BudgetAccountRow).values(allocated_delta_pico=0)), " with 0 pico-delta in SQL, and"),
        (edit(delete(BudgetAccountRow)), "account: the log states this account, and there is none"),
        (edit(delete(LedgerRow)), "ledger: its movements come to 0 micro-rho"),
        (copy_a_grant, "grant: the log does not know this grant"),
    ],
)
def test_every_edit_of_a_balance_is_named(
    make_room: Callable[..., Stage], tamper: Callable[[Stage], None], named: str
) -> None:
    stage = lived_in(make_room())

    tamper(stage)

    assert any(named in problem for problem in problems(stage)), problems(stage)


def test_the_command_names_it(make_room: Callable[..., Stage], capsys: pytest.CaptureFixture[str]) -> None:
    stage = make_room()
    stage.ask(stage.grant("M"))
    edit(update(GrantRow).values(spent_micro=0))(stage)

    with pytest.raises(SystemExit) as ended:
        main(["audit", "verify", "--home", str(stage.home)])

    assert ended.value.code == EXIT_PROBLEM_FOUND
    assert "DAMAGED grant gr_" in capsys.readouterr().out
