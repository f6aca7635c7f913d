"""A second factor that an organisation, or the room, requires."""

from dataclasses import replace

import pytest

from cleanroom.bootstrap import open_room
from cleanroom.signin.errors import SecondFactorRequiredError
from cleanroom.signin.types import Entered, SecondStep
from tests.access_rooms import AccessRoom
from tests.people_rooms import Person, person

pytestmark = pytest.mark.usefixtures("quick_hashes")


@pytest.fixture
def anna(access_room: AccessRoom) -> Person:
    return person(access_room.room, access_room.party("provider").id)


def require(one: AccessRoom, who: Person, required: bool = True) -> None:
    with one.room.db.transaction() as tx:
        one.room.signin.requirement.set(tx, who.user.organisation_id, required, by=who.user.id)


def test_it_counts_at_once_and_for_this_organisation_alone(access_room: AccessRoom, anna: Person) -> None:
    other = person(access_room.room, access_room.party("advertiser").id, email="otto@example.org")
    entered = anna.enter()
    member = access_room.room.signin.member
    assert not member(entered.token).must_enrol  # type: ignore[union-attr]
    require(access_room, anna)
    assert member(entered.token).must_enrol  # type: ignore[union-attr]
    assert not other.member().must_enrol
    anna.enrol()
    assert not member(entered.token).must_enrol  # type: ignore[union-attr]
    require(access_room, anna, False)
    assert not other.member().must_enrol


def test_it_is_not_given_up_while_it_is_required_but_may_be_replaced(
    access_room: AccessRoom, anna: Person
) -> None:
    require(access_room, anna)
    anna.enrol()
    factors, room = access_room.room.signin.second_factors, access_room.room
    with pytest.raises(SecondFactorRequiredError), room.db.transaction() as tx:
        factors.give_up(tx, anna.user.id)
    access_room.clock.move(minutes=1)
    assert isinstance(anna.sign_in(), SecondStep)
    # Whoever lost it gets a link that removes it, and has to set another one up.
    with room.db.transaction() as tx:
        link = room.signin.links.reset(tx, anna.user.id, drop_second_factor=True)
    room.signin.reset(link.token, anna.password)
    entered = anna.sign_in()
    assert isinstance(entered, Entered)
    assert room.signin.member(entered.token).must_enrol  # type: ignore[union-attr]
    require(access_room, anna, False)
    anna.enrol()
    with room.db.transaction() as tx:
        factors.give_up(tx, anna.user.id)
    assert not anna.member().second_factor


def test_the_room_may_require_it_of_everybody(access_room: AccessRoom, anna: Person) -> None:
    access_room.room.close()
    settings = replace(access_room.room.settings, require_second_factor=True)
    access_room.room = anna.room = open_room(settings, clock=access_room.clock)
    assert anna.member().must_enrol
    require(access_room, anna, False)
    assert anna.member().must_enrol
    anna.enrol()
    with pytest.raises(SecondFactorRequiredError), anna.room.db.transaction() as tx:
        anna.room.signin.second_factors.give_up(tx, anna.user.id)


def test_the_log_says_who_decided_and_once(access_room: AccessRoom, anna: Person) -> None:
    require(access_room, anna, False)
    assert access_room.events("signin.second_factor_optional") == []
    require(access_room, anna)
    require(access_room, anna)
    (event,) = access_room.events("signin.second_factor_required")
    assert (event["organisation"], event["body"]) == (anna.user.organisation_id, {"by": anna.user.id})
