"""Every key that can be replaced is replaced while questions are asked: none fails or is refused, all stay provable."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from threading import Event, Thread

import pytest

from cleanroom.access.token_keys import DEFAULT_OVERLAP
from cleanroom.bootstrap import open_room
from cleanroom.client.receipts import verify_receipt
from cleanroom.rekeying.service import OPERATOR
from cleanroom.rekeying.types import RotationState, What
from tests.integration.keys.test_wrapping import hooked, rotate, signing
from tests.people_rooms import Person
from tests.rooms import Stage

pytestmark = pytest.mark.slow_on("postgresql")


def rotated(stage: Stage, what: What, workspace_id: str) -> None:
    room = stage.room
    with room.db.transaction() as tx:
        asked = room.rekeying.ask(tx, workspace_id, what, by=OPERATOR)
    done = room.rekeying.run(asked.id)
    assert done is not None
    assert done.state is RotationState.DONE


def test_keys_are_replaced_while_questions_are_answered(stage: Stage, people: dict[str, Person]) -> None:
    people["anna"].enrol()
    endpoint_id, signs = hooked(stage)
    stage.room.close()
    # Nothing is kept in memory: every question opens the files, under whatever key they stand.
    room = stage.room = open_room(replace(stage.room.settings, cache_bytes=0), clock=stage.clock)
    grant, now = stage.grant(), room.clock.now()
    before = set(room.keys.kek_ids())
    kid = room.token_keys.signing_key()[0]
    receipts: list[bytes] = []
    failures: list[BaseException] = []
    ending = Event()

    def ask() -> None:
        try:
            while not ending.is_set():
                # Never the same again, whose answer would be at hand.
                young = {"attribute": "age", "op": "<", "value": 19 + len(receipts)}
                answer = stage.ask(grant, segments={"s": young}, precision="rough")
                assert answer.figures, answer.reasons
                receipts.append(answer.receipt.read_bytes())
        except BaseException as error:  # noqa: BLE001 - told in the main thread
            failures.append(error)

    def at_least(number: int) -> None:
        while len(receipts) < number and not failures:
            ending.wait(0.02)

    steps: list[Callable[[], object]] = [
        lambda: rotate(room),
        lambda: room.token_keys.rotate(now, overlap=DEFAULT_OVERLAP),
    ]
    for what in What:
        for party in (stage.provider, stage.advertiser):
            steps.append(lambda what=what, party=party: rotated(stage, what, party.workspace_id))
    asking = Thread(target=ask)
    asking.start()
    try:
        at_least(1)
        for step in steps:
            step()
            at_least(len(receipts) + 1)
    finally:
        ending.set()
        asking.join()
    assert failures == []
    assert len(receipts) > len(steps)
    for receipt in receipts:
        proven = verify_receipt(receipt, verifier_key=room.audit.verifier_key)
        assert proven.record["body"]["outcome"] == "released"
    assert not before & set(room.keys.kek_ids())
    assert len(room.keys.kek_ids()) == len(before)
    assert signing(room, endpoint_id) == signs
    # What the key before has signed is good until it ends.
    assert room.token_keys.signing_key()[0] != kid
    assert room.token_keys.verifying_key(kid, now + timedelta(hours=1)) is not None
    stage.reopen()
    assert stage.ask(grant, precision="rough").figures
