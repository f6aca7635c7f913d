"""The same link, the same code, many guesses, at the same moment: on SQLite and on PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select

from cleanroom.access.errors import InvitationError, LastOwnerError
from cleanroom.access.models import UserRow
from cleanroom.errors import CleanroomError
from cleanroom.signin.errors import LinkError
from cleanroom.signin.models import SignInSecretRow
from cleanroom.signin.types import Entered, Refused, SecondStep
from tests.access_rooms import AccessRoom, MakeAccessRoom
from tests.people_rooms import ADDRESS, AGENT, PASSWORD, Person, invite, person

THREADS = 6
pytestmark = pytest.mark.usefixtures("quick_hashes")


@pytest.fixture
def one(make_access_room: MakeAccessRoom, database_url: str) -> AccessRoom:
    return make_access_room(database_url=database_url)


@pytest.fixture
def anna(one: AccessRoom) -> Person:
    return person(one.room, one.party("provider").id)


def at_once(work: Callable[[int], Any]) -> list[Any]:
    barrier = Barrier(THREADS)

    def run(number: int) -> Any:
        barrier.wait()
        try:
            return work(number)
        except CleanroomError as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_many_guesses_at_once_are_no_more_than_one_after_another(one: AccessRoom, anna: Person) -> None:
    looked_at = []
    for _ in range(3):
        at_once(lambda number: anna.sign_in(f"a wrong guess, {number}"))
    looked_at = one.events("signin.failed")
    assert len(looked_at) == 5
    assert isinstance(anna.sign_in(), Refused)
    with one.room.db.reading() as tx:
        assert tx.session.scalar(select(func.count()).select_from(SignInSecretRow)) == 1
    assert len(one.room.keys.kek_ids()) == 1


def test_a_code_shown_at_once_lets_in_once(one: AccessRoom, anna: Person) -> None:
    anna.enrol()
    one.clock.move(seconds=30)
    steps = [anna.sign_in() for _ in range(3)]
    assert all(isinstance(step, SecondStep) for step in steps)
    code = anna.code(one.clock)
    outcomes = at_once(lambda n: one.room.signin.second_step(steps[n % 3].token, code, address=ADDRESS))
    assert len([outcome for outcome in outcomes if isinstance(outcome, Entered)]) == 1


def test_a_link_followed_at_once_counts_once(one: AccessRoom, anna: Person) -> None:
    with one.room.db.transaction() as tx:
        token = one.room.signin.links.reset(tx, anna.user.id).token
    outcomes = at_once(lambda n: one.room.signin.reset(token, f"eleven patient otters {n}"))
    assert len([outcome for outcome in outcomes if outcome is None]) == 1
    assert len([outcome for outcome in outcomes if isinstance(outcome, LinkError)]) == THREADS - 1


def test_of_two_links_of_a_person_that_are_followed_at_once_one_counts(one: AccessRoom, anna: Person) -> None:
    with one.room.db.transaction() as tx:
        links = one.room.signin.links
        anna_row = tx.session.get_one(UserRow, anna.user.id)
        tokens = links.reset(tx, anna.user.id).token, links.forgotten(tx, anna_row).token
    outcomes = at_once(lambda n: one.room.signin.reset(tokens[n % 2], f"eleven patient otters {n}"))
    assert len([outcome for outcome in outcomes if outcome is None]) == 1
    assert len([outcome for outcome in outcomes if isinstance(outcome, LinkError)]) == THREADS - 1


def test_an_invitation_accepted_at_once_counts_once(one: AccessRoom) -> None:
    _, invitation = invite(one.room, one.party("provider").id, "viewer", "vera@example.org")
    outcomes = at_once(lambda _: one.room.signin.accept(invitation, PASSWORD, agent=AGENT))
    assert len([outcome for outcome in outcomes if isinstance(outcome, Entered)]) == 1
    assert len([outcome for outcome in outcomes if isinstance(outcome, InvitationError)]) == THREADS - 1


def test_the_last_two_owners_cannot_disable_each_other(one: AccessRoom, anna: Person) -> None:
    boris = person(one.room, one.party("provider").id, "owner", "boris@example.org")
    users = (anna.user.id, boris.user.id)

    def retire(number: int) -> str:
        with one.room.db.transaction() as tx:
            return one.room.access.users.retire(tx, users[number % 2]).id

    outcomes = at_once(retire)
    assert any(isinstance(outcome, LastOwnerError) for outcome in outcomes)
    with one.room.db.reading() as tx:
        standing = [user for user in one.room.access.users.of(tx) if user.disabled_at is None]
    assert len(standing) == 1


def test_the_first_run_happens_once(one: AccessRoom) -> None:
    with one.room.db.transaction() as tx:
        link = one.room.signin.first_run_link(tx)
    assert link is not None
    outcomes = at_once(
        lambda n: one.room.signin.first_run(
            link.token,
            organisation=f"Shop {n}",
            kind="provider",
            email=f"p{n}@example.org",
            password=PASSWORD,
            agent=AGENT,
        )
    )
    assert len([outcome for outcome in outcomes if isinstance(outcome, Entered)]) == 1
    with one.room.db.reading() as tx:
        assert len(one.room.accounts.organisations(tx)) == 1
