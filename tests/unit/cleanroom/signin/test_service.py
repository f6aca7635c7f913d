"""Who is let in, who is not, and what the log says of it."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from cleanroom.access.errors import InvitationError, LastOwnerError, UnknownScopeError, UnknownUserError
from cleanroom.access.models import UserRow
from cleanroom.audit.models import AuditEvent
from cleanroom.signin import passwords
from cleanroom.signin.errors import (
    FirstRunError,
    LinkError,
    PasswordError,
    SecondFactorError,
    UnknownSessionError,
    WrongPasswordError,
)
from cleanroom.signin.making import make_sign_in
from cleanroom.signin.models import CredentialRow, SessionRow, SignInSecretRow
from cleanroom.signin.sessions import IDLE, LONGEST, SECOND_STEP
from cleanroom.signin.throttle import PACES
from cleanroom.signin.types import EndReason, Entered, Refused, SecondStep
from tests.access_rooms import AccessRoom
from tests.people_rooms import ADDRESS, AGENT, PASSWORD, Person, invite, person

pytestmark = pytest.mark.usefixtures("quick_hashes")

WRONG = "seven loud herons wade"


@pytest.fixture
def anna(access_room: AccessRoom) -> Person:
    return person(access_room.room, access_room.party("provider").id)


def kinds(one: AccessRoom) -> list[str]:
    with one.room.db.reading() as tx:
        return list(tx.session.scalars(select(AuditEvent.kind).order_by(AuditEvent.index)))


def test_the_right_password_lets_in_and_the_log_says_who(access_room: AccessRoom, anna: Person) -> None:
    entered = anna.sign_in()
    assert isinstance(entered, Entered)
    member = access_room.room.signin.member(entered.token)
    assert member is not None
    assert (member.user_id, member.role, member.email) == (anna.user.id, "owner", anna.user.email)
    assert member.may("requests:decide")
    assert not member.may("operate")
    body = access_room.events("signin.entered")[-1]
    assert body["subject"] == member.session_id
    assert body["organisation"] == member.organisation_id
    assert body["body"] == {"user_id": anna.user.id, "method": "password", "new_device": True}


def test_an_address_is_read_whatever_its_case(access_room: AccessRoom, anna: Person) -> None:
    let_in = access_room.room.signin.sign_in(" ANNA@Example.org ", PASSWORD, address=ADDRESS, agent=AGENT)
    assert isinstance(let_in, Entered)


@pytest.mark.parametrize("who", ["anna@example.org", "nobody@example.org"])
def test_known_and_unknown_people_are_refused_alike(
    access_room: AccessRoom, anna: Person, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    work: list[str | None] = []
    real = passwords.verify_password
    monkeypatch.setattr(
        "cleanroom.signin.service.verify_password",
        lambda hashed, password: (work.append(password), real(hashed, password))[1],
    )

    def attempt() -> Refused:
        refused = access_room.room.signin.sign_in(who, WRONG, address=ADDRESS, agent=AGENT)
        assert isinstance(refused, Refused)
        return refused

    answers = [attempt() for _ in range(7)]
    # The fifth failure begins the pause; what comes during it is not looked at.
    assert [answer.wait_seconds for answer in answers] == [0, 0, 0, 0, 30, 30, 30]
    assert len(work) == 5
    access_room.clock.move(seconds=31)
    assert attempt().wait_seconds == 60
    access_room.clock.move(seconds=61)
    assert attempt().wait_seconds == 120
    for _ in range(6):
        access_room.clock.move(minutes=16)
        longest = attempt().wait_seconds
    assert longest == PACES["account"].longest.total_seconds()
    assert len(access_room.events("signin.locked")) == 9
    subject = anna.user.id if who.startswith("anna") else "unknown"
    assert {event["subject"] for event in access_room.events("signin.failed")} == {subject}


def test_a_success_forgets_the_failures_before_it(access_room: AccessRoom, anna: Person) -> None:
    for _ in range(3):
        for _ in range(4):
            assert anna.sign_in(WRONG) == Refused(0)
        assert isinstance(anna.sign_in(), Entered)


def test_a_pause_keeps_even_the_right_password_out(access_room: AccessRoom, anna: Person) -> None:
    for _ in range(5):
        anna.sign_in(WRONG)
    assert anna.sign_in() == Refused(30)
    access_room.clock.move(seconds=31)
    assert isinstance(anna.sign_in(), Entered)


def test_failures_are_forgotten_after_a_day(access_room: AccessRoom, anna: Person) -> None:
    for _ in range(4):
        anna.sign_in(WRONG)
    access_room.clock.move(hours=25)
    assert anna.sign_in(WRONG) == Refused(0)


def test_one_address_cannot_try_many_people(
    access_room: AccessRoom, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleanroom.signin.service.verify_password", lambda *_: False)
    signin = access_room.room.signin
    for number in range(PACES["address"].free):
        signin.sign_in(f"p{number}@example.org", WRONG, address="2001:db8:1:2::7", agent=AGENT)
    # The next one of the same subscriber waits, whoever it names; others do not.
    assert signin.sign_in("x@example.org", WRONG, address="2001:db8:1:2:ffff::1", agent=AGENT) == Refused(30)
    assert signin.sign_in("x@example.org", WRONG, address="2001:db8:1:3::1", agent=AGENT) == Refused(0)
    # As a socket for both kinds writes addresses of IPv4: they are not one subscriber's.
    for number in range(PACES["address"].free):
        signin.sign_in(f"q{number}@example.org", WRONG, address="::ffff:192.0.2.9", agent=AGENT)
    assert signin.sign_in("y@example.org", WRONG, address="::ffff:192.0.2.9", agent=AGENT) == Refused(30)
    assert signin.sign_in("y@example.org", WRONG, address="::ffff:192.0.2.8", agent=AGENT) == Refused(0)


def test_neither_log_nor_database_hold_passwords_addresses_tokens_or_codes(
    access_room: AccessRoom, anna: Person
) -> None:
    anna.enrol()
    entered = anna.sign_in()
    assert isinstance(entered, SecondStep)
    anna.sign_in(WRONG)
    access_room.room.signin.sign_in("who@example.com", WRONG, address="198.51.100.99", agent=AGENT)
    raw = (access_room.room.settings.home / "room.sqlite3").read_bytes()
    raw += (access_room.room.settings.home / "room.sqlite3-wal").read_bytes()
    for secret in (PASSWORD, WRONG, entered.token, "198.51.100.99", "who@example.com", *anna.codes):
        assert secret.encode() not in raw
        assert secret.replace("-", "").encode() not in raw
    assert anna.secret not in raw
    with access_room.room.db.reading() as tx:
        logged = b"\n".join(tx.session.scalars(select(AuditEvent.record)))
    assert anna.user.email.encode() not in logged
    assert ADDRESS.encode() not in logged


def test_a_second_factor_is_asked_for_and_no_code_is_taken_twice(
    access_room: AccessRoom, anna: Person
) -> None:
    anna.enrol()
    signin, clock = access_room.room.signin, access_room.clock
    first = anna.sign_in()
    assert isinstance(first, SecondStep)
    assert signin.member(first.token) is None
    # The code that confirmed the app was used by that.
    assert signin.second_step(first.token, anna.code(clock), address=ADDRESS) == Refused(0)
    clock.move(seconds=30)
    code = anna.code(clock)
    entered = signin.second_step(first.token, code, address=ADDRESS)
    assert isinstance(entered, Entered)
    assert entered.token != first.token
    assert signin.member(entered.token) is not None
    assert signin.second_step(first.token, code, address=ADDRESS) is None
    second = anna.sign_in()
    assert isinstance(second, SecondStep)
    assert signin.second_step(second.token, code, address=ADDRESS) == Refused(0)
    assert access_room.events("signin.failed")[-1]["body"] == {"step": "second_factor"}


def test_codes_are_guessed_slowly_and_for_ten_minutes(access_room: AccessRoom, anna: Person) -> None:
    anna.enrol()
    step = anna.sign_in()
    assert isinstance(step, SecondStep)
    signin = access_room.room.signin
    answers = [signin.second_step(step.token, "000 000", address=ADDRESS) for _ in range(6)]
    assert answers == [Refused(0)] * 4 + [Refused(30)] * 2
    # A new sign-in does not begin anew: the pause is the person's.
    again = anna.sign_in()
    assert isinstance(again, SecondStep)
    assert signin.second_step(again.token, anna.code(access_room.clock), address=ADDRESS) == Refused(30)
    access_room.clock.move(minutes=11)
    assert signin.second_step(again.token, anna.code(access_room.clock), address=ADDRESS) is None
    assert timedelta(minutes=10) == SECOND_STEP


def test_a_recovery_code_stands_in_once(access_room: AccessRoom, anna: Person) -> None:
    anna.enrol()
    signin = access_room.room.signin
    assert len(set(anna.codes)) == 10
    for code, expected in ((anna.codes[0].lower(), Entered), (anna.codes[0], Refused)):
        step = anna.sign_in()
        assert isinstance(step, SecondStep)
        assert isinstance(signin.second_step(step.token, code, address=ADDRESS), expected)
    with access_room.room.db.reading() as tx:
        assert signin.second_factors.codes_left(tx, anna.user.id) == 9
    assert len(access_room.events("signin.recovery_code_used")) == 1


def test_a_second_factor_counts_once_its_owner_has_shown_that_it_works(
    access_room: AccessRoom, anna: Person
) -> None:
    room, factors = access_room.room, access_room.room.signin.second_factors
    with room.db.transaction() as tx:
        begun = factors.begin(tx, anna.user.id)
    with room.db.reading() as tx:
        assert factors.begun(tx, anna.user.id) == begun
    assert isinstance(anna.sign_in(), Entered)
    with pytest.raises(SecondFactorError, match="does not fit"), room.db.transaction() as tx:
        factors.confirm(tx, anna.user.id, "000000")
    anna.enrol()
    with pytest.raises(SecondFactorError, match="already"), room.db.transaction() as tx:
        factors.begin(tx, anna.user.id)
    with room.db.transaction() as tx:
        factors.remove(tx, anna.user.id)
    assert isinstance(anna.sign_in(), Entered)
    assert len(access_room.events("signin.second_factor_removed")) == 1
    with room.db.transaction() as tx:
        factors.remove(tx, anna.user.id)
    assert len(access_room.events("signin.second_factor_removed")) == 1


def test_a_sealed_second_factor_is_its_owners_alone(access_room: AccessRoom, anna: Person) -> None:
    boris = person(access_room.room, access_room.party("provider").id, "viewer", "boris@example.org")
    anna.enrol()
    with access_room.room.db.transaction() as tx:
        sealed = tx.session.get_one(CredentialRow, anna.user.id).totp_sealed
        other = tx.session.get_one(CredentialRow, boris.user.id)
        other.totp_sealed, other.totp_confirmed_at = sealed, access_room.clock.now()
    step = boris.sign_in()
    assert isinstance(step, SecondStep)
    with pytest.raises(Exception, match="cannot be opened"):
        access_room.room.signin.second_step(step.token, anna.code(access_room.clock), address=ADDRESS)


def test_a_session_ends_when_it_is_idle_and_in_any_case(access_room: AccessRoom, anna: Person) -> None:
    signin, clock = access_room.room.signin, access_room.clock
    idle = anna.enter().token
    clock.move(seconds=IDLE.total_seconds() + 1)
    assert signin.member(idle) is None
    used = anna.enter().token
    for _ in range(int(LONGEST / IDLE) * 2 - 1):
        clock.move(seconds=IDLE.total_seconds() / 2)
        assert signin.member(used) is not None
    clock.move(seconds=IDLE.total_seconds() / 2)
    assert signin.member(used) is None
    anna.enter()
    ended = [event["body"]["reason"] for event in access_room.events("signin.session_ended")]
    # The one that accepting the invitation began, the idle one, and the one that was used.
    assert ended == ["expired"] * 3


def test_sessions_are_listed_and_ended_one_by_one(access_room: AccessRoom, anna: Person) -> None:
    room, signin = access_room.room, access_room.room.signin
    boris = person(room, access_room.party("provider").id, "viewer", "boris@example.org")
    member = anna.member()
    with room.db.reading() as tx:
        listed = signin.sessions.of(tx, anna.user.id)
    assert len(listed) == 2
    assert {session.agent for session in listed} == {AGENT}
    other = next(session.id for session in listed if session.id != member.session_id)
    with pytest.raises(UnknownSessionError), room.db.transaction() as tx:
        signin.sessions.end(tx, other, user_id=boris.user.id, reason=EndReason.REVOKED)
    with room.db.transaction() as tx:
        signin.sessions.end(tx, other, user_id=anna.user.id, reason=EndReason.REVOKED)
    with room.db.reading() as tx:
        assert [session.id for session in signin.sessions.of(tx, anna.user.id)] == [member.session_id]
    signin.sign_out(member)
    with room.db.reading() as tx:
        assert signin.sessions.of(tx, anna.user.id) == ()
    reasons = [event["body"]["reason"] for event in access_room.events("signin.session_ended")]
    assert reasons == ["revoked", "signed_out"]


def test_a_changed_password_ends_every_other_session(access_room: AccessRoom, anna: Person) -> None:
    signin = access_room.room.signin
    elsewhere, here = anna.enter().token, anna.enter().token
    member = signin.member(here)
    assert member is not None
    with pytest.raises(WrongPasswordError):
        signin.change_password(member, WRONG, "eleven patient otters")
    with pytest.raises(PasswordError):
        signin.change_password(member, PASSWORD, "short")
    signin.change_password(member, PASSWORD, "eleven patient otters")
    assert signin.member(here) is not None
    assert signin.member(elsewhere) is None
    assert anna.sign_in() == Refused(0)
    assert isinstance(anna.sign_in("eleven patient otters"), Entered)


def test_a_password_that_changes_while_it_is_looked_at_lets_nobody_in(
    access_room: AccessRoom, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, real = access_room.room, passwords.verify_password
    with room.db.transaction() as tx:
        link = room.signin.links.reset(tx, anna.user.id)

    def slow(hashed: str | None, password: str) -> bool:
        right = real(hashed, password)
        room.signin.reset(link.token, "eleven patient otters")
        return right

    with monkeypatch.context() as patched:
        patched.setattr("cleanroom.signin.service.verify_password", slow)
        assert anna.sign_in() == Refused(0)
    assert isinstance(anna.sign_in("eleven patient otters"), Entered)


def test_a_stolen_session_does_not_find_the_password(access_room: AccessRoom, anna: Person) -> None:
    member = anna.member()
    for _ in range(5):
        with pytest.raises(WrongPasswordError):
            access_room.room.signin.confirm_password(member, WRONG)
    with pytest.raises(WrongPasswordError, match="Wait"):
        access_room.room.signin.confirm_password(member, PASSWORD)
    access_room.clock.move(seconds=31)
    access_room.room.signin.confirm_password(member, PASSWORD)


def test_an_invitation_lets_in_once_within_its_term(access_room: AccessRoom) -> None:
    room, party = access_room.room, access_room.party("provider")
    user, invitation = invite(room, party.id, "viewer", "vera@example.org")
    nobody = room.signin.sign_in(user.email, PASSWORD, address=ADDRESS, agent=AGENT)
    assert nobody == Refused(0)
    with room.db.reading() as tx:
        assert room.signin.invited(tx, invitation).organisation == "provider"
    with pytest.raises(PasswordError):
        room.signin.accept(invitation, "vera vera vera", agent=AGENT)
    member = room.signin.member(room.signin.accept(invitation, PASSWORD, agent=AGENT).token)
    assert member is not None
    assert member.role == "viewer"
    with pytest.raises(InvitationError):
        room.signin.accept(invitation, PASSWORD, agent=AGENT)
    late, second = invite(room, party.id, "viewer", "late@example.org")
    access_room.clock.move(days=8)
    with pytest.raises(InvitationError):
        room.signin.accept(second, PASSWORD, agent=AGENT)
    with room.db.transaction() as tx:
        third = room.access.users.invite_again(tx, late.id).invitation
    room.signin.accept(third, PASSWORD, agent=AGENT)
    with pytest.raises(InvitationError), room.db.transaction() as tx:
        room.access.users.invite_again(tx, late.id)
    with pytest.raises(InvitationError):
        room.signin.accept("inv_made_up", PASSWORD, agent=AGENT)


def test_a_reset_sets_a_password_once_and_lets_nobody_in(access_room: AccessRoom, anna: Person) -> None:
    room, signin = access_room.room, access_room.room.signin
    anna.enrol()
    links = signin.links
    with room.db.transaction() as tx:
        replaced = links.reset(tx, anna.user.id, by=None)
    with room.db.transaction() as tx:
        link = links.reset(tx, anna.user.id, by=None)
    with pytest.raises(LinkError):
        signin.reset(replaced.token, "eleven patient otters")
    with pytest.raises(PasswordError):
        signin.reset(link.token, "short")
    signin.reset(link.token, "eleven patient otters")
    with pytest.raises(LinkError):
        signin.reset(link.token, "eleven patient otters")
    with room.db.reading() as tx:
        assert signin.sessions.of(tx, anna.user.id) == ()
    assert anna.sign_in() == Refused(0)
    # The second factor is still asked for, unless it was to go.
    assert isinstance(anna.sign_in("eleven patient otters"), SecondStep)
    with room.db.transaction() as tx:
        lost = links.reset(tx, anna.user.id, by=None, drop_second_factor=True)
    signin.reset(lost.token, PASSWORD)
    assert isinstance(anna.sign_in(), Entered)


def test_links_end_when_their_person_sets_a_password_otherwise(access_room: AccessRoom, anna: Person) -> None:
    room, links = access_room.room, access_room.room.signin.links
    with room.db.transaction() as tx:
        handed = links.reset(tx, anna.user.id, drop_second_factor=True)
        asked_for = links.forgotten(tx, tx.session.get_one(UserRow, anna.user.id))
    entered = anna.sign_in()
    assert isinstance(entered, Entered)
    member = room.signin.sessions.member(entered.token)
    assert member is not None
    room.signin.change_password(member, PASSWORD, "eleven patient otters")
    for link in (handed, asked_for):
        with pytest.raises(LinkError):
            room.signin.reset(link.token, PASSWORD)


def test_links_end_with_their_term_and_their_user(access_room: AccessRoom, anna: Person) -> None:
    room = access_room.room
    with room.db.transaction() as tx:
        late = room.signin.links.reset(tx, anna.user.id)
    access_room.clock.move(hours=25)
    with pytest.raises(LinkError):
        room.signin.reset(late.token, PASSWORD)
    with room.db.transaction() as tx:
        link = room.signin.links.reset(tx, anna.user.id)
        room.access.users.disable(tx, anna.user.id)
    with pytest.raises(LinkError):
        room.signin.reset(link.token, PASSWORD)
    unjoined, _ = invite(room, access_room.party("provider").id, "viewer", "vera@example.org")
    for user_id in (unjoined.id, anna.user.id, "us_none"):
        with pytest.raises(UnknownUserError), room.db.transaction() as tx:
            room.signin.links.reset(tx, user_id)


@pytest.mark.parametrize("end", ["disable", "offboard"])
def test_whose_access_ends_is_out_at_once(access_room: AccessRoom, anna: Person, end: str) -> None:
    room, token = access_room.room, anna.enter().token
    with room.db.transaction() as tx:
        if end == "disable":
            room.access.users.disable(tx, anna.user.id)
        else:
            room.offboarding.leave(tx, anna.user.organisation_id)
    assert room.signin.member(token) is None
    assert anna.sign_in() == Refused(0)
    with room.db.transaction() as tx:
        assert room.signin.end_all(tx, anna.user.id) == 2


def test_an_organisation_keeps_somebody_who_administers_it(access_room: AccessRoom, anna: Person) -> None:
    room, users, party = access_room.room, access_room.room.access.users, access_room.party("provider")

    def refused(act: Callable[..., object], *given: str) -> None:
        with pytest.raises(LastOwnerError), room.db.transaction() as tx:
            act(tx, *given)

    invited, _ = invite(room, party.id, "owner", "later@example.org")
    refused(users.retire, anna.user.id)
    refused(users.change_role, anna.user.id, "viewer")
    boris = person(room, party.id, "viewer", "boris@example.org")
    with room.db.transaction() as tx:
        assert users.change_role(tx, boris.user.id, "owner").role == "owner"
    with pytest.raises(UnknownScopeError), room.db.transaction() as tx:
        users.change_role(tx, boris.user.id, "analyst")
    with room.db.transaction() as tx:
        users.change_role(tx, anna.user.id, "finance")
    refused(users.retire, boris.user.id)
    with room.db.transaction() as tx:
        users.retire(tx, anna.user.id)
    event = access_room.events("access.role_changed")[-1]
    assert event["body"] == {"from": "owner", "to": "finance", "by": None}
    with pytest.raises(UnknownUserError), room.db.transaction() as tx:
        users.change_role(tx, anna.user.id, "owner")
    with pytest.raises(UnknownUserError), room.db.reading() as tx:
        users.user(tx, anna.user.id, organisation_id=access_room.party("agency").id)
    assert invited.role == "owner"


def test_the_first_run_makes_an_organisation_and_who_leads_it_once(access_room: AccessRoom) -> None:
    room, signin = access_room.room, access_room.room.signin
    given = {"organisation": "Shop", "kind": "provider", "email": "ann@example.org", "agent": AGENT}
    with room.db.transaction() as tx:
        replaced = signin.first_run_link(tx)
    with room.db.transaction() as tx:
        link = signin.first_run_link(tx)
    assert link is not None
    assert replaced is not None
    with pytest.raises(LinkError):
        signin.first_run(replaced.token, **given, password=PASSWORD)
    with pytest.raises(PasswordError):
        signin.first_run(link.token, **given, password="short")
    with pytest.raises(FirstRunError):
        signin.first_run(link.token, **given | {"kind": "agency"}, password=PASSWORD)
    entered = signin.first_run(link.token, **given, password=PASSWORD)
    member = signin.member(entered.token)
    assert member is not None
    assert (member.organisation, member.role) == ("Shop", "owner")
    with room.db.transaction() as tx:
        assert signin.first_run_link(tx) is None
    with pytest.raises(LinkError):
        signin.first_run(link.token, **given | {"email": "b@example.org"}, password=PASSWORD)


def test_the_first_run_takes_an_organisation_that_is_there(access_room: AccessRoom) -> None:
    room, party = access_room.room, access_room.party("provider")
    with room.db.transaction() as tx:
        link = room.signin.first_run_link(tx)
    assert link is not None
    entered = room.signin.first_run(
        link.token,
        organisation=" provider ",
        kind="provider",
        email="a@example.org",
        password=PASSWORD,
        agent=AGENT,
    )
    assert entered.organisation_id == party.id


def test_the_log_has_an_event_for_every_change(access_room: AccessRoom, anna: Person) -> None:
    anna.enrol()
    found = set(kinds(access_room))
    assert found >= {
        "access.user_invited",
        "access.invitation_accepted",
        "signin.password_set",
        "signin.entered",
        "signin.second_factor_set",
        "signin.recovery_codes_made",
        "signin.secret_made",
    }


def test_the_rooms_secret_is_made_once_and_never_from_what_was_rolled_back(access_room: AccessRoom) -> None:
    room, secret = access_room.room, access_room.room.signin.secret

    with room.db.rehearsing() as tx:
        lost = secret.digest(tx, "kind", "text")
    with room.db.transaction() as tx:
        kept = secret.digest(tx, "kind", "text")
        assert kept == secret.digest(tx, "kind", "text")
    assert kept != lost
    again = make_sign_in(
        room.db, room.clock, room.accounts, room.access.users, room.keys, public_url="http://room"
    )
    with room.db.reading() as tx:
        assert again.secret.digest(tx, "kind", "text") == kept
        assert again.secret.digest(tx, "other", "text") != kept
        kek_ids = tx.session.scalars(select(SignInSecretRow.kek_id)).all()
    # The key of the one that was rolled back is gone.
    assert tuple(kek_ids) == room.keys.kek_ids()


def test_a_dead_session_does_not_come_back_by_its_hash(access_room: AccessRoom, anna: Person) -> None:
    entered = anna.enter()
    with access_room.room.db.reading() as tx:
        stored = [row.digest.hex() for row in tx.session.scalars(select(SessionRow))]
    assert entered.token not in json.dumps(stored)
    assert all(access_room.room.signin.member(digest) is None for digest in stored)
