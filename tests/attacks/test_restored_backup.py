"""The attack on the budget by its operator: put an old backup of the database back, and ask once more for nothing."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from cleanroom.analyses.types import Outcome
from cleanroom.audit.log import AuditLog
from cleanroom.consent.optout_types import Named, OptOut, OptOutAction, OptOutKind, OptOutReason
from cleanroom.grants.types import Amount, Grant, GrantStatus
from cleanroom.reconciling import reconcile_room
from policies.codec import load_preset
from policies.decision import Deny
from tests.backups import Backup
from tests.rooms import DATASET_HEADER, DATASET_SCHEMA, PURPOSE, Stage, email, people

CAP_MICRO = 95_000
FINE_MICRO = 5_000


def no_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: nobody compares the database with what the room has signed."""
    monkeypatch.setattr(AuditLog, "restored", lambda self, tx: None)


def released(stage: Stage, grant: Grant, numbers: range) -> int:
    """Ask fine questions until the room refuses; what did they cost together?"""
    charged = 0
    for number in numbers:
        answer = stage.ask(
            grant,
            kind="overlap",
            precision="fine",
            segments={"old": {"attribute": "age", "op": ">", "value": number}},
        )
        charged += answer.charged_micro
        if answer.outcome is not Outcome.RELEASED:
            break
    return charged


def reasons_of(refused: Any) -> list[str]:
    return [reason.rule for reason in refused.reasons]


def test_a_restored_backup_answers_nothing_and_sells_nothing(make_room: Callable[..., Stage]) -> None:
    stage = make_room()
    grant = stage.grant("M")
    stored = stage.ask(grant)
    backup = Backup(stage)
    assert released(stage, grant, range(20, 60)) == 15_000

    backup.put_back()

    assert stage.left(grant) > 15_000
    assert reasons_of(stage.ask(grant, precision="fine")) == ["restored"]
    # A stored answer as well: withdrawals that came after it may be forgotten.
    assert stored.outcome is Outcome.RELEASED
    assert reasons_of(stage.ask(grant)) == ["restored"]
    assert reasons_of(stage.try_grant("S")) == ["restored"]
    assert stage.room.public_sizes.release(stage.dataset_id, purpose=PURPOSE) is None
    # Refusals are recorded, and opening the room again heals nothing.
    stage.reopen()
    assert reasons_of(stage.ask(grant)) == ["restored"]


def test_after_reconciling_what_was_left_in_the_backup_counts_as_spent(
    make_room: Callable[..., Stage],
) -> None:
    stage = make_room()
    grant = stage.grant("M")
    backup = Backup(stage)
    released(stage, grant, range(20, 60))
    backup.put_back()

    done = reconcile_room(stage.room)

    assert (done.grants_written_off, done.written_off) == (1, Amount(20_000, 200_000))
    assert stage.left(grant) == 0
    assert reasons_of(stage.ask(grant, precision="fine")) == ["budget_left"]
    # The rest of the cap was never given out, and is sold again.
    assert stage.ask(stage.grant("M")).outcome is Outcome.RELEASED
    stage.clock.move(days=31)
    with stage.room.db.transaction() as tx:
        stage.room.grants.expire(tx)
    refused = stage.try_grant("L")
    assert isinstance(refused, Deny)
    assert 0 < refused.reasons[0].limit <= CAP_MICRO - 20_000


def test_grants_that_the_backup_does_not_know_are_charged_as_a_whole(make_room: Callable[..., Stage]) -> None:
    stage = make_room()
    backup = Backup(stage)
    spent = released(stage, stage.grant("L"), range(20, 60))
    size = stage.room.public_sizes.release(stage.dataset_id, purpose=PURPOSE)
    assert spent == CAP_MICRO
    assert size is not None
    backup.put_back()

    done = reconcile_room(stage.room)

    assert done.allocations_lost == 2
    refused = stage.try_grant("S")
    assert isinstance(refused, Deny)
    assert (refused.reasons[0].rule, refused.reasons[0].limit) == ("budget_advertiser", 0)
    with stage.room.db.reading() as tx:
        accounts = stage.room.grants.accounts(tx, stage.provider.population_id)
    assert {account.kind.value: account.allocated_micro for account in accounts} == {
        "total": CAP_MICRO,
        "advertiser": CAP_MICRO,
        "public": 500,
    }
    # Once more is no more.
    assert reconcile_room(stage.room).allocations_lost == 0


def test_grants_on_people_that_the_backup_does_not_know_are_told(make_room: Callable[..., Stage]) -> None:
    stage = make_room()
    backup = Backup(stage)
    other = stage.party("a later provider", "provider")
    dataset = stage.register("dataset", DATASET_SCHEMA, party=other)
    with stage.room.db.transaction() as tx:
        document = load_preset("standard", purposes=[PURPOSE])
        stage.room.rules.set_policy(tx, dataset, document, organisation_id=other.organisation_id)
    stage.grant("S", dataset_id=dataset)
    stage.grant("S")
    backup.put_back()

    done = reconcile_room(stage.room)

    assert (done.allocations_lost, done.allocations_unchargeable) == (1, 1)


def test_receipts_enter_questions_with_their_own_cost_and_the_rest_counts_as_spent(
    make_room: Callable[..., Stage],
) -> None:
    stage = make_room()
    grant = stage.grant("M")
    early = stage.ask(grant)
    backup = Backup(stage)
    late = stage.ask(grant, precision="fine")
    backup.put_back()
    files = [early.receipt.read_bytes(), late.receipt.read_bytes(), late.receipt.read_bytes()]

    done = reconcile_room(stage.room, files)

    assert done.receipts_entered == 1
    assert done.written_off.rho_micro == 20_000 - early.charged_micro - FINE_MICRO
    (entered,) = stage.events("grants.spend_reentered")
    assert (entered["subject"], entered["body"]["rho_micro"]) == (late.analysis_id, FINE_MICRO)
    assert stage.left(grant) == 0


def test_a_grant_that_is_revoked_before_reconciling_returns_nothing(make_room: Callable[..., Stage]) -> None:
    stage = make_room()
    grant = stage.grant("L")
    backup = Backup(stage)
    released(stage, grant, range(20, 60))
    backup.put_back()

    with stage.room.db.transaction() as tx:
        ended = stage.room.grants.revoke(tx, grant.id)
        assert stage.room.grants.expire(tx) == ()
    reconcile_room(stage.room)

    assert (ended.status, ended.spent_micro) == (GrantStatus.REVOKED, CAP_MICRO)
    assert isinstance(stage.try_grant("S"), Deny)


def test_keys_and_database_from_one_backup_are_told_by_the_operator(make_room: Callable[..., Stage]) -> None:
    # Nothing inside such a home can know; whoever puts it back says so, and shows the receipts that are left.
    stage = make_room()
    grant = stage.grant("M")
    backup = Backup(stage)
    late = stage.ask(grant, precision="fine")
    receipt = late.receipt.read_bytes()
    backup.put_back(keys=True)
    assert stage.left(grant) > FINE_MICRO

    done = reconcile_room(stage.room, [receipt])

    assert done.receipts_entered == 1
    assert stage.left(grant) == 0


def test_a_receipt_proves_a_grant_that_nothing_else_remembers(make_room: Callable[..., Stage]) -> None:
    stage = make_room()
    backup = Backup(stage)
    answers = [stage.ask(grant, precision="fine") for grant in [stage.grant("L")] for _ in range(2)]
    receipt = answers[0].receipt.read_bytes()
    backup.put_back(keys=True)

    assert reconcile_room(stage.room, [receipt]).allocations_lost == 1

    assert isinstance(stage.try_grant("S"), Deny)
    assert reconcile_room(stage.room, [receipt]).allocations_lost == 0


def test_without_the_check_an_old_backup_gives_free_questions(
    make_room: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    no_check(monkeypatch)
    stage = make_room()
    grant = stage.grant("L")
    backup = Backup(stage)
    first = released(stage, grant, range(20, 60))
    backup.put_back()

    again = released(stage, grant, range(20, 60))

    assert first + again == 2 * CAP_MICRO


def suppress(stage: Stage, *numbers: int, action: OptOutAction = OptOutAction.ADD) -> None:
    digests = b"".join(hashlib.sha256(email(number).encode()).digest() for number in numbers)
    named = (Named("email", "room", digests),)
    asked = OptOut(OptOutKind.SUPPRESSION, action, named, OptOutReason.REQUEST)
    stage.room.opt_outs.accept(asked, organisation_id=stage.provider.organisation_id)


def counted(stage: Stage) -> int:
    with stage.room.db.reading() as tx:
        version = stage.room.datasets.current(tx, stage.dataset_id)
        epoch = stage.room.consents.epoch(tx, stage.dataset_id)
        view = stage.room.consents.view(tx, version.id, purpose=PURPOSE, epoch=epoch)
    return int(view.mask(stage.clock.now()).sum())


def test_a_list_holds_in_a_restored_backup_and_what_came_later_holds_when_it_is_reconciled(
    make_room: Callable[..., Stage],
) -> None:
    stage = make_room()
    everybody = counted(stage)
    grant = stage.grant("M")
    suppress(stage, 0, 1)
    backup = Backup(stage)
    suppress(stage, 2, 3)
    assert counted(stage) == everybody - 4

    backup.put_back()

    assert counted(stage) == everybody - 2
    assert reasons_of(stage.ask(grant)) == ["restored"]
    assert reconcile_room(stage.room).batches_replayed == 1
    assert counted(stage) == everybody - 4
    stage.load(stage.dataset_id, DATASET_HEADER, people())
    assert counted(stage) == everybody - 4
