"""The keys that wrap secrets of sign-ins and webhooks are replaced; what they wrap stays, and no old key does."""

from datetime import timedelta
from unittest import mock

import pytest

from cleanroom.bootstrap import open_room
from cleanroom.room import Room
from cleanroom.signin.models import SignInSecretRow
from cleanroom.webhooks.models import WebhookEndpointRow, WebhookStateRow
from crypto.errors import KeyDestroyedError, UnknownKeyError
from tests.people_rooms import Person
from tests.rooms import Stage


def rotate(room: Room) -> tuple[str | None, str | None]:
    with room.db.transaction() as tx:
        now = room.clock.now()
        return (
            room.signin.secret.rotate(tx, now),
            room.webhooks.endpoints.sealing.rotate(tx, now),
        )


def hooked(stage: Stage, *, rotations: int = 1) -> tuple[str, list[bytes]]:
    """An endpoint whose old secret still signs, and the keys that sign for it."""
    endpoints, organisation_id = stage.room.webhooks.endpoints, stage.provider.organisation_id
    with stage.room.db.transaction() as tx:
        made = endpoints.create(
            tx, organisation_id=organisation_id, url="https://hooks.example.org/in", types=["upload.loaded"]
        )
    for _ in range(rotations):
        with stage.room.db.transaction() as tx:
            endpoints.rotate(tx, made.endpoint.id, organisation_id=organisation_id, overlap=timedelta(days=1))
    return made.endpoint.id, signing(stage.room, made.endpoint.id)


def signing(room: Room, endpoint_id: str) -> list[bytes]:
    with room.db.reading() as tx:
        row = tx.session.get_one(WebhookEndpointRow, endpoint_id)
        return room.webhooks.endpoints.sealing.open(tx, row, room.clock.now())


def test_what_is_wrapped_stays_and_the_old_keys_go(stage: Stage, people: dict[str, Person]) -> None:
    room = stage.room
    people["anna"].enrol()
    endpoint_id, before = hooked(stage)
    assert len(before) == 2
    with room.db.reading() as tx:
        old = (
            tx.session.get_one(SignInSecretRow, 1).kek_id,
            tx.session.get_one(WebhookStateRow, 1).kek_id,
        )
        wrapped = tx.session.get_one(SignInSecretRow, 1).wrapped
    new = rotate(room)
    assert None not in new
    assert not set(old) & set(room.keys.kek_ids())
    assert set(new) <= set(room.keys.kek_ids())
    with pytest.raises(KeyDestroyedError):
        room.keys.unwrap(old[0], wrapped, context=b"cleanroom/signin-secret/v1\n")
    # Also for a process that has unwrapped nothing yet.
    stage.reopen()
    assert signing(stage.room, endpoint_id) == before
    stage.clock.move(minutes=1)
    anna = Person(stage.room, people["anna"].user, people["anna"].secret)
    assert anna.member().second_factor
    told = stage.events("signin.kek_rotated", "webhooks.kek_rotated")
    assert [event["body"]["old_kek_id"] for event in told] == list(old)
    hooked(stage)


def test_a_room_that_has_wrapped_nothing_has_nothing_to_rotate(stage: Stage) -> None:
    before = stage.room.keys.kek_ids()
    assert rotate(stage.room) == (None, None)
    assert stage.room.keys.kek_ids() == before
    assert stage.events("signin.kek_rotated", "webhooks.kek_rotated") == []


def test_a_rotation_that_is_rolled_back_leaves_all_as_it_was(stage: Stage, people: dict[str, Person]) -> None:
    endpoint_id, signs = hooked(stage)
    before = set(stage.room.keys.kek_ids())
    full = mock.Mock(side_effect=OSError)
    with mock.patch.object(type(stage.room.audit), "append", full), pytest.raises(OSError):
        rotate(stage.room)
    assert set(stage.room.keys.kek_ids()) == before
    assert signing(stage.room, endpoint_id) == signs


def test_a_crash_just_after_the_commit_is_made_good_at_the_next_start(
    stage: Stage, people: dict[str, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint_id, signs = hooked(stage)
    before = set(stage.room.keys.kek_ids())

    def power_cut(_kek_id: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stage.room.keys, "destroy", power_cut)
        with pytest.raises(KeyboardInterrupt):
            rotate(stage.room)
    left_over = set(stage.room.keys.kek_ids())
    assert before < left_over
    stage.room.close()
    stage.room = open_room(stage.room.settings, clock=stage.clock)
    assert len(set(stage.room.keys.kek_ids())) == len(before)
    assert signing(stage.room, endpoint_id) == signs
    with pytest.raises((KeyDestroyedError, UnknownKeyError)):
        stage.room.keys.wrap(next(iter(before - set(stage.room.keys.kek_ids()))), b"k", context=b"")
