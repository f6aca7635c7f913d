"""Letters: what they say, to whom, and what becomes of those that a relay does not take."""

import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from cleanroom.bootstrap import open_room
from cleanroom.foureyes.deeds import SHRED
from cleanroom.foureyes.errors import TooNewError
from cleanroom.mail.outbox import FIRST_DELAY, LEASE, LONGEST_DELAY, MAX_ATTEMPTS, delay_after
from cleanroom.signin.errors import LinkError
from cleanroom.signin.types import Entered, Refused
from tests.integration.mail.conftest import Post
from tests.integration.mail.relay import PASSWORD, USER, relaying
from tests.integration.webhooks.test_tls import certified
from tests.people_rooms import ADDRESS, AGENT
from tests.people_rooms import PASSWORD as OLD
from tests.rooms import MovableClock

NEW = "eleven patient otters"


def text(post: Post, at: int = -1) -> str:
    return post.relay.got[at].get_body(("plain",)).get_content()  # type: ignore[union-attr]


def link(post: Post, at: int = -1) -> str:
    found = re.search(r"https://room\.example\.org/\w+/(\S+)", text(post, at))
    assert found is not None
    return found[1]


def test_an_invitation_arrives_in_the_language_of_whoever_invites(post: Post) -> None:
    _, invitation = post.invite(language="ru")
    assert post.relay.got == []
    assert post.send()
    assert not post.send()
    (got,) = post.relay.got
    assert post.relay.to == ["vera@example.org"] == [str(got["To"])]
    assert got["Subject"] == "Вас пригласили в чистую комнату"
    assert got["Auto-Submitted"] == "auto-generated"
    assert link(post) == invitation
    html = got.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert f"/invitation/{invitation}" in html
    # Nothing that the reader's program would fetch.
    assert not re.search(r"src=|<img|<link|<script|url\(", html)
    assert isinstance(post.room.signin.accept(link(post), NEW, agent=AGENT), Entered)
    (row,) = post.rows()
    assert (row.state, row.sealed) == ("sent", None)


def test_no_link_that_lets_in_stands_in_sql(post: Post) -> None:
    _, invitation = post.invite()
    post.room.mail.forgotten(post.anna.user.email, address=ADDRESS)
    for row in post.rows():
        assert invitation.encode() not in row.sealed
        assert b"anna" not in row.sealed


def test_a_forgotten_password_is_set_by_the_link_of_a_letter(post: Post) -> None:
    post.room.mail.forgotten(f" {post.anna.user.email.upper()} ", address=ADDRESS)
    assert post.send()
    assert post.relay.to == [post.anna.user.email]
    assert isinstance(post.anna.enter(), Entered)
    post.room.signin.reset(link(post), NEW)
    assert isinstance(post.anna.sign_in(OLD), Refused)
    assert isinstance(post.anna.sign_in(NEW), Entered)


def test_a_letter_that_anybody_can_ask_for_ends_no_link_that_was_handed_over(post: Post) -> None:
    signin = post.room.signin
    with post.room.db.transaction() as tx:
        handed = signin.links.reset(tx, post.anna.user.id, drop_second_factor=True)
    for _ in range(2):
        post.room.mail.forgotten(post.anna.user.email, address=ADDRESS)
        assert post.send()
    with post.room.db.reading() as tx:
        assert signin.links.whose(tx, handed.token).user.id == post.anna.user.id
    signin.reset(handed.token, NEW)
    assert isinstance(post.anna.sign_in(NEW), Entered)
    # Who has a new password needs no other link.
    with pytest.raises(LinkError):
        signin.reset(link(post), OLD)


def test_a_forgotten_password_does_not_hide_who_let_its_person_in(post: Post) -> None:
    room, clock = post.room, post.access.clock
    owner = post.anna.user.organisation_id
    with room.db.transaction() as tx:
        space = room.workspaces.create_workspace(tx, organisation_id=owner, name="space").id
    # She has a second mailbox, and is to be her own second person.
    clock.move(days=30)
    with room.db.transaction() as tx:
        made = room.access.users.invite(
            tx, organisation_id=owner, email="anna.too@example.org", role="owner", by=post.anna.user.id
        )
        room.mail.invitation(tx, made.user, made.invitation, language="en")
    assert post.send()
    room.signin.accept(link(post), OLD, agent=AGENT)
    clock.move(seconds=1)
    room.mail.forgotten("anna.too@example.org", address=ADDRESS)
    assert post.send()
    room.signin.reset(link(post), NEW)
    clock.move(seconds=1)
    with room.db.transaction() as tx:
        ask = room.four_eyes.ask(tx, SHRED, space, reason="done", by=post.anna.user.id)
    clock.move(seconds=1)
    with pytest.raises(TooNewError, match="by a link"), room.db.transaction() as tx:
        room.four_eyes.confirm(tx, ask.id, organisation_id=owner, by=made.user.id)


def test_of_unknown_addresses_nobody_learns_anything(post: Post) -> None:
    user, _ = post.invite("invited@example.org")
    post.send()
    gone = post.invite("gone@example.org")[0]
    with post.room.db.transaction() as tx:
        post.room.access.users.disable(tx, gone.id)
    before = len(post.relay.got)
    for address in ("nobody@example.org", "invited@example.org", "gone@example.org", "no address", ""):
        post.room.mail.forgotten(address, address=ADDRESS)
    # One row each, whoever it is for; only the empty address has none.
    assert sum(row.kind == "forgotten" for row in post.rows()) == 4
    post.send()
    assert len(post.relay.got) == before
    assert {row.state for row in post.rows() if row.kind == "forgotten"} == {"dropped"}
    assert user.id not in post.relay.to


def test_letters_to_one_address_are_few(post: Post) -> None:
    for _ in range(10):
        post.room.mail.forgotten(post.anna.user.email, address=ADDRESS)
    assert len(post.rows()) == 3
    post.room.mail.forgotten("other@example.org", address=ADDRESS)
    assert len(post.rows()) == 4


def test_only_the_newest_link_counts(post: Post) -> None:
    for _ in range(2):
        post.room.mail.forgotten(post.anna.user.email, address=ADDRESS)
        post.send()
    first, second = link(post, 0), link(post, 1)
    assert first != second
    with pytest.raises(Exception, match="does not count"):
        post.room.signin.reset(first, NEW)
    post.room.signin.reset(second, NEW)


@pytest.mark.parametrize("step", ["recipient_says", "data_says"])
def test_a_relay_that_says_later_is_asked_later(post: Post, step: str) -> None:
    post.invite()
    setattr(post.relay, step, ["450 4.2.1 later"])
    assert not post.send()
    (row,) = post.rows()
    assert (row.state, row.failure, row.attempts) == ("pending", "later", 1)
    assert not post.send()
    post.access.clock.instant += FIRST_DELAY
    assert post.send()
    assert len(post.relay.got) == 1


@pytest.mark.parametrize("step", ["recipient_says", "data_says"])
def test_a_letter_that_is_refused_for_good_is_given_up_and_the_log_says_so(post: Post, step: str) -> None:
    user, _ = post.invite()
    setattr(post.relay, step, ["550 5.1.1 no such mailbox vera@example.org"])
    assert not post.send()
    (row,) = post.rows()
    assert (row.state, row.sealed, row.failure) == ("given_up", None, "refused")
    event = post.access.events("mail.given_up")[-1]
    assert event["organisation"] == user.organisation_id
    assert event["body"] == {"kind": "invitation", "failure": "refused", "user_id": user.id}
    assert "vera" not in str(event)


def test_a_relay_that_stays_away_is_given_up_after_a_day(post: Post) -> None:
    post.reopen(port=9)
    post.invite()
    began = post.access.clock.instant
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert not post.send()
        (row,) = post.rows()
        assert row.attempts == attempt
        post.access.clock.instant = max(row.due_at, post.access.clock.instant)
    assert (row.state, row.failure) == ("given_up", "unreachable")
    assert timedelta(hours=12) < post.access.clock.instant - began < timedelta(days=2)
    assert delay_after(40) == LONGEST_DELAY


def test_what_others_wait_for_is_not_held_up_by_one(post: Post) -> None:
    post.invite("first@example.org")
    post.invite("second@example.org")
    post.relay.recipient_says = ["550 no"]
    assert post.send()
    assert post.relay.to == ["second@example.org"]


@pytest.mark.parametrize("odd", ["a,b<c>@example.org", "a@[example.org", 'a"b@example.org', "ве@example.org"])
def test_an_address_that_no_header_holds_is_given_up(post: Post, odd: str) -> None:
    user, _ = post.invite(odd)
    post.invite("vera@пример.example.org")
    assert post.send()
    assert {row.user_id == user.id: row.state for row in post.rows()} == {True: "given_up", False: "sent"}
    assert post.relay.to == ["vera@xn--e1afmkfd.example.org"]


def test_a_letter_is_claimed_by_one_worker(post: Post) -> None:
    post.invite()
    outbox = post.room.mail.outbox
    with post.room.db.transaction() as tx:
        (due,) = outbox.due(tx)
        claimed = outbox.claim(tx, due)
        assert claimed is not None
        assert outbox.claim(tx, due) is None
    assert not post.send()
    post.access.clock.instant += LEASE
    assert post.send()
    # Whoever comes back too late changes nothing.
    with post.room.db.transaction() as tx:
        outbox.record(tx, claimed, None)
    assert len(post.relay.got) == 1


_SEND = """
import sys
from pathlib import Path
from cleanroom.bootstrap import open_room
from cleanroom.settings import load_settings
room = open_room(load_settings({
    "CLEANROOM_MAIL_HOST": "127.0.0.1", "CLEANROOM_MAIL_PORT": sys.argv[2], "CLEANROOM_MAIL_SECURITY": "none",
    "CLEANROOM_MAIL_FROM": "room@room.example.org", "CLEANROOM_PUBLIC_URL": "https://room.example.org",
}, home=Path(sys.argv[1])))
room.mail.sending.send_due()
"""


def test_a_worker_that_is_killed_in_between_sends_again_and_under_the_same_id(post: Post) -> None:
    post.access.clock.instant = datetime.now(UTC)
    post.invite()
    post.room.close()
    home = post.room.settings.home
    sender: list[subprocess.Popen[Any]] = []

    def kill() -> None:
        # The relay has the letter, and the worker does not know yet.
        sender[0].kill()
        sender[0].wait(120)

    post.relay.on_data = kill
    sender.append(subprocess.Popen([sys.executable, "-c", _SEND, str(home), str(post.relay.port)]))
    assert sender[0].wait(60) == -signal.SIGKILL
    post.relay.on_data = None
    post.access.room = open_room(post.room.settings, clock=post.access.clock)
    assert not post.send()
    post.access.clock.instant = datetime.now(UTC) + LEASE
    assert post.send()
    first, second = post.relay.got
    assert first["Message-ID"] == second["Message-ID"]
    assert link(post, 0) == link(post, 1)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_over_tls_with_a_login(
    posting: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    context, trusted = certified(tmp_path, x509.DNSName("localhost"))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with relaying(context, implicit=security == "tls") as relay:
        usual = {"host": "localhost", "security": security, "user": USER, "password": PASSWORD}
        post = posting(relay, **usual)
        post.invite()
        for wrong, failure in (
            ({"password": "another"}, "login"),
            # The certificate is not made out to the address.
            ({"host": "127.0.0.1"}, "tls"),
        ):
            post.reopen(**usual | wrong)
            assert not post.send()
            assert post.rows()[0].failure == failure
            post.access.clock.move(hours=1)
        post.reopen(**usual)
        assert post.send()
        assert relay.encrypted == [True]


def test_a_relay_without_starttls_gets_nothing_in_the_open(post: Post) -> None:
    post.invite()
    post.reopen(security="starttls", user=USER, password=PASSWORD)
    assert not post.send()
    assert post.rows()[0].failure == "tls"
    assert post.relay.got == []


def test_a_room_without_a_relay_writes_nothing(access_room: Any, quick_hashes: None) -> None:
    room = access_room.room
    assert not room.mail.set_up
    room.mail.forgotten("anna@example.org", address=ADDRESS)
    assert not room.mail.sending.send_due()
    assert isinstance(access_room.clock, MovableClock)
