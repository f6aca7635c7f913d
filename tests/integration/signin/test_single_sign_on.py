"""Single sign-on against a provider over real HTTP: who is let in, and what is made of answers that lie."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from sqlalchemy import delete, select

from cleanroom.access.errors import InvitationError
from cleanroom.bootstrap import init_room, open_room
from cleanroom.room import Room
from cleanroom.settings import load_settings
from cleanroom.signin.attempts import TERM, Wanted
from cleanroom.signin.errors import (
    AttemptError,
    ConnectedError,
    NotConnectedError,
    ProviderAnswerError,
    ProviderUnavailableError,
    StaleSignInError,
    UnknownProviderError,
)
from cleanroom.signin.models import IdentityRow, SsoAttemptRow
from cleanroom.signin.service import FRESH
from cleanroom.signin.types import Arrival, Departure, Entered, Member, SecondStep, Way
from cleanroom.worker.pieces import Chores
from tests.access_rooms import URL, AccessRoom
from tests.identity_provider import CLIENT, Account, Fault, IdentityServer, identity_server
from tests.people_rooms import ADDRESS, AGENT, Person, invite, person
from tests.rooms import MovableClock

pytestmark = pytest.mark.usefixtures("quick_hashes")
VERA = "vera@example.org"


@dataclass
class Scene:
    """A room, a provider, and short words for the way there and back."""

    access: AccessRoom
    server: IdentityServer

    @property
    def room(self) -> Room:
        return self.access.room

    def reopen(self, **settings: Any) -> None:
        self.access.room.close()
        changed = replace(self.access.room.settings, sso=(self.server.settings(**settings),))
        self.access.room = open_room(changed, clock=self.access.clock)

    def depart(self, wanted: Wanted | None = None) -> Departure:
        return self.room.signin.sso.depart("office", wanted or Wanted())

    def arrive(
        self, departure: Departure, subject: str = "vera-1", member: Member | None = None, **changed: str
    ) -> Arrival:
        answer = self.server.sign_in(departure.address, subject) | changed
        sso = self.room.signin.sso
        attempt = sso.returning("office", state=answer["state"], browser=departure.browser)
        return sso.arrive(attempt, answer, member=member, agent=AGENT)

    def come(self, subject: str = "vera-1") -> Arrival:
        return self.arrive(self.depart(), subject)

    def invited(self, subject: str = "vera-1", email: str = VERA, role: str = "viewer") -> Member:
        organisation = self.access.party("provider")
        _, invitation = invite(self.room, organisation.id, role, email)
        arrival = self.arrive(self.depart(Wanted(Way.INVITATION, invitation=invitation)), subject)
        assert isinstance(arrival.entered, Entered)
        member = self.room.signin.member(arrival.entered.token)
        assert member is not None
        return member

    def why(self) -> list[str]:
        return [one["body"]["why"] for one in self.access.events("signin.failed")]


@pytest.fixture(scope="module")
def rsa() -> RSAKey:
    return RSAKey.generate_key(2048)


@contextmanager
def opened(home: Path, key: RSAKey) -> Iterator[Scene]:
    clock = MovableClock()
    room = init_room(load_settings({"CLEANROOM_PUBLIC_URL": URL}, home=home), clock=clock)
    with identity_server(clock) as server:
        server.key = key
        server.accounts = {
            "vera-1": Account("vera-1", VERA),
            "mallory-1": Account("mallory-1", "mallory@example.net"),
        }
        made = Scene(AccessRoom(room, clock), server)
        made.reopen()
        yield made
        made.room.close()


@pytest.fixture
def scene(tmp_path: Path, rsa: RSAKey) -> Iterator[Scene]:
    with opened(tmp_path / "room", rsa) as made:
        yield made


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, rsa: RSAKey, quick_hashes: None
) -> Iterator[tuple[Scene, Person]]:
    """One room for many answers; Vera is known, and has a second factor."""
    with opened(tmp_path_factory.mktemp("shared") / "room", rsa) as made:
        yield made, enrolled(made)


def test_an_invited_person_comes_in_and_is_known_from_then_on(scene: Scene) -> None:
    member = scene.invited()
    assert (member.email, member.role, member.has_password) == (VERA, "viewer", False)
    assert scene.access.events("signin.connected")[-1]["subject"] == member.user_id
    again = scene.come()
    assert isinstance(again.entered, Entered)
    assert again.entered.user_id == member.user_id
    entered = scene.access.events("signin.entered")[-1]["body"]
    assert (entered["method"], entered["provider"]) == ("single_sign_on", "office")
    # Neither the provider's name for the person nor an address stands in the log or in SQL.
    with scene.room.db.reading() as tx:
        rows = tx.session.scalars(select(IdentityRow)).all()
        assert b"vera" not in b"".join(row.digest for row in rows)
        assert tx.session.scalars(select(SsoAttemptRow)).all() == []
    assert "vera" not in str(scene.access.events("signin.entered"))


def test_the_address_holds_no_secret_but_what_the_protocol_needs(scene: Scene) -> None:
    departure = scene.depart(Wanted(kept="typed", next_path="/requests"))
    query = {name: values[0] for name, values in parse_qs(urlsplit(departure.address).query).items()}
    assert query["redirect_uri"] == f"{scene.room.settings.public_url}/sign-in/with/office/back"
    assert set(query) == {
        "client_id", "code_challenge", "code_challenge_method", "nonce", "redirect_uri", "response_type",
        "scope", "state",
    }  # fmt: skip
    assert departure.browser not in departure.address
    assert "typed" not in departure.address
    with scene.room.db.reading() as tx:
        row = tx.session.scalars(select(SsoAttemptRow)).one()
        stored = row.sealed + row.browser + row.digest
    for secret in (query["nonce"], "typed", departure.browser):
        assert secret.encode() not in stored
    scene.invited()
    back = scene.arrive(departure)
    assert (back.next_path, back.kept) == ("/requests", "typed")


def forged(_server: IdentityServer, claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": "first"}, claims, RSAKey.generate_key(2048))


def confused(server: IdentityServer, claims: dict[str, Any]) -> str:
    """The public key, used as a shared secret."""
    head, body, _ = server.signed(claims).split(".")
    head = urlsafe_b64encode(b'{"alg":"HS256","kid":"first"}').rstrip(b"=").decode()
    mac = hmac.digest(server.key.as_pem(private=False), f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def claims(**changed: Any) -> Fault:
    return Fault(
        claims=lambda usual: {name: value for name, value in (usual | changed).items() if value != ...}
    )


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (claims(nonce="another"), "token_nonce"),
        (claims(nonce=...), "token_nonce"),
        (claims(aud="another"), "token_audience"),
        (claims(aud=[CLIENT, "another"]), "token_audience"),
        (claims(azp="another"), "token_audience"),
        (claims(iss="https://another.example"), "token_issuer"),
        (claims(exp=1), "token_expired"),
        (claims(exp=...), "token_form"),
        (claims(iat=4_000_000_000), "token_not_yet_valid"),
        (claims(nbf=4_000_000_000), "token_not_yet_valid"),
        (claims(nbf="soon"), "token_form"),
        (claims(sub=""), "token_subject"),
        (Fault(token=IdentityServer.unsigned), "token_algorithm"),
        (Fault(token=forged), "token_signature"),
        (Fault(token=confused), "token_algorithm"),
        (Fault(token=lambda _server, _claims: "no.token"), "token_form"),
        (Fault(answer=lambda answer: answer | {"iss": "https://another.example"}), "answer_issuer"),
        (Fault(answer=lambda answer: {"code": answer["code"], "state": answer["state"]}), "answer_issuer"),
        (Fault(answer=lambda answer: answer | {"code": "made up"}), "code_refused"),
        (
            Fault(
                answer=lambda answer: {
                    "error": "access_denied",
                    "state": answer["state"],
                    "iss": answer["iss"],
                }
            ),
            "answer_error",
        ),
    ],
)
def test_an_answer_that_lies_lets_nobody_in(shared: tuple[Scene, Person], fault: Fault, why: str) -> None:
    scene, _ = shared
    before = len(scene.access.events("signin.entered"))
    scene.server.fault = Fault()
    assert isinstance(scene.come().entered, SecondStep)
    scene.server.fault = fault
    with pytest.raises(ProviderAnswerError) as refused:
        scene.come()
    assert refused.value.reason == why
    assert scene.why()[-1] == why
    assert len(scene.access.events("signin.entered")) == before


def test_an_answer_counts_once_in_the_browser_that_began_and_for_ten_minutes(scene: Scene) -> None:
    scene.invited()
    departure = scene.depart()
    answer = scene.server.sign_in(departure.address, "vera-1")

    sso, state = scene.room.signin.sso, answer["state"]
    for browser, named in (("", state), ("another", state), (departure.browser, "made up")):
        with pytest.raises(AttemptError):
            sso.returning("office", state=named, browser=browser)
    attempt = sso.returning("office", state=state, browser=departure.browser)
    assert isinstance(sso.arrive(attempt, answer, member=None, agent=AGENT).entered, Entered)
    with pytest.raises(AttemptError):
        sso.returning("office", state=state, browser=departure.browser)
    late = scene.depart()
    scene.access.clock.instant += TERM
    with pytest.raises(AttemptError):
        scene.arrive(late)
    with pytest.raises(UnknownProviderError):
        scene.room.signin.sso.depart("other", Wanted())


def test_a_code_of_another_attempt_is_refused_by_its_verifier(scene: Scene) -> None:
    scene.invited()
    theirs = scene.server.sign_in(scene.depart().address, "mallory-1")
    mine = scene.depart()
    with pytest.raises(ProviderAnswerError):
        scene.arrive(mine, code=theirs["code"])
    assert scene.why() == ["code_refused"]


def test_nobody_is_taken_for_somebody_by_an_address_alone(scene: Scene) -> None:
    anna = person(scene.room, scene.access.party("provider").id, email=VERA)
    with pytest.raises(NotConnectedError):
        scene.come()
    member = anna.member()
    scene.arrive(scene.depart(Wanted(Way.CONNECT, user_id=member.user_id)), member=member)
    arrival = scene.come()
    assert isinstance(arrival.entered, Entered)
    assert arrival.entered.user_id == anna.user.id
    with scene.room.db.transaction() as tx:
        assert [one.bound_at is not None for one in scene.room.signin.sso.of(tx, anna.user.id)] == [True]
        scene.room.signin.sso.disconnect(tx, member, "office")
    with pytest.raises(NotConnectedError):
        scene.come()


def test_a_connection_belongs_to_whoever_began_it_and_to_one_person(scene: Scene) -> None:
    vera = scene.invited()
    anna = person(scene.room, scene.access.party("provider").id, email="anna@example.org").member()
    wanted = Wanted(Way.CONNECT, user_id=anna.user_id)
    for stranger in (None, vera):
        with pytest.raises(AttemptError):
            scene.arrive(scene.depart(wanted), "mallory-1", member=stranger)
    with pytest.raises(ConnectedError):
        scene.arrive(scene.depart(wanted), "vera-1", member=anna)
    scene.arrive(scene.depart(wanted), "mallory-1", member=anna)
    with pytest.raises(ConnectedError), scene.room.db.transaction() as tx:
        scene.room.signin.sso.disconnect(tx, vera, "office")


@pytest.mark.parametrize(
    "account",
    [
        Account("vera-1", "mallory@example.org"),
        Account("vera-1", VERA, verified=False),
        Account("vera-1", ""),
    ],
)
def test_an_invitation_is_for_its_address_as_the_provider_has_verified_it(
    scene: Scene, account: Account
) -> None:
    scene.server.accounts["vera-1"] = account
    with pytest.raises(NotConnectedError):
        scene.invited()
    scene.server.accounts["vera-1"] = Account("vera-1", VERA.upper())
    with scene.room.db.transaction() as tx:
        (vera,) = scene.room.access.users.of(tx)
        invitation = scene.room.access.users.invite_again(tx, vera.id).invitation
    scene.arrive(scene.depart(Wanted(Way.INVITATION, invitation=invitation)))
    with pytest.raises(InvitationError):
        scene.depart(Wanted(Way.INVITATION, invitation=invitation))


def test_only_the_operators_domains_come_in_and_only_as_viewers(scene: Scene) -> None:
    organisation = scene.access.party("provider")
    scene.reopen(domains=frozenset({"example.org"}), viewers={"example.org": organisation.id})
    with pytest.raises(NotConnectedError):
        scene.come("mallory-1")
    arrival = scene.come()
    assert isinstance(arrival.entered, Entered)
    member = scene.room.signin.member(arrival.entered.token)
    assert member is not None
    assert (member.role, member.organisation_id, member.email) == ("viewer", organisation.id, VERA)
    scene.server.accounts["vera-1"].verified = False
    with pytest.raises(NotConnectedError):
        scene.come()


def test_an_ended_access_ends_this_way_in_too(scene: Scene) -> None:
    member = scene.invited()
    with scene.room.db.transaction() as tx:
        scene.room.access.users.disable(tx, member.user_id)
    with pytest.raises(NotConnectedError):
        scene.come()
    assert (
        scene.room.signin.sign_in(VERA, "any password at all", address=ADDRESS, agent=AGENT).wait_seconds == 0
    )


def enrolled(scene: Scene) -> Person:
    member = scene.invited()
    with scene.room.db.reading() as tx:
        vera = Person(scene.room, scene.room.access.users.user(tx, member.user_id))
    vera.enrol()
    return vera


@pytest.mark.parametrize(
    ("settings", "says", "asked"),
    [
        ({}, {}, True),
        ({}, {"amr": ["pwd"]}, True),
        ({}, {"amr": "mfa"}, True),
        ({}, {"amr": ["pwd", "otp", "mfa"]}, False),
        ({}, {"acr": "urn:example:gold"}, True),
        ({"second_factor_acr": frozenset({"urn:example:gold"})}, {"acr": "urn:example:gold"}, False),
        ({"trust_second_factor": True}, {}, False),
    ],
)
def test_a_second_factor_is_asked_for_unless_the_provider_has_seen_one(
    shared: tuple[Scene, Person], settings: dict[str, Any], says: dict[str, Any], asked: bool
) -> None:
    scene, vera = shared
    scene.server.fault = Fault()
    scene.reopen(**settings)
    scene.server.accounts["vera-1"].claims = says
    arrival = scene.come()
    assert isinstance(arrival.entered, SecondStep if asked else Entered)
    if asked:
        vera.room = scene.room
        # The code that confirmed the app is not good twice.
        scene.access.clock.move(minutes=1)
        entered = scene.room.signin.second_step(arrival.entered.token, vera.code(), address=ADDRESS)
        assert isinstance(entered, Entered)
        assert entered.user_id == vera.user.id


def test_a_turned_key_is_fetched_but_not_for_every_made_up_one(scene: Scene) -> None:
    scene.invited()
    scene.server.turn_key("second")
    scene.access.clock.move(minutes=1)
    assert isinstance(scene.come().entered, Entered)
    fetched = scene.server.asked.count("/keys")
    scene.server.kid = "made up"
    scene.server.fault = Fault(
        token=lambda server, said: jwt.encode({"alg": "RS256", "kid": "x"}, said, server.key)
    )
    for _ in range(3):
        with pytest.raises(ProviderAnswerError):
            scene.come()
    assert scene.server.asked.count("/keys") == fetched


def test_an_address_may_come_from_userinfo_and_of_nobody_else(scene: Scene) -> None:
    scene.server.email_in_token = False
    assert scene.invited().email == VERA
    scene.server.fault = Fault(userinfo_subject="mallory-1")
    with pytest.raises(ProviderAnswerError):
        scene.come()
    assert scene.why() == ["userinfo_subject"]


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://another.example"},
        {"jwks_uri": "file:///etc/passwd"},
        {"token_endpoint": None},
        {"code_challenge_methods_supported": ["plain"]},
        {"token_endpoint_auth_methods_supported": ["private_key_jwt"]},
    ],
)
def test_a_discovery_document_that_does_not_fit_begins_nothing(
    shared: tuple[Scene, Person], change: dict[str, Any]
) -> None:
    scene, _ = shared
    scene.reopen()
    with scene.room.db.transaction() as tx:
        tx.session.execute(delete(SsoAttemptRow))
    scene.server.fault = Fault(discovery=lambda found: found | change)
    with pytest.raises(ProviderUnavailableError):
        scene.depart()
    with scene.room.db.reading() as tx:
        assert tx.session.scalars(select(SsoAttemptRow)).all() == []


def test_a_provider_that_is_away_says_so(scene: Scene) -> None:
    scene.reopen(issuer="http://127.0.0.1:9")
    with pytest.raises(ProviderUnavailableError):
        scene.depart()


def test_without_a_password_a_fresh_sign_in_stands_for_it(scene: Scene) -> None:
    member = scene.invited()
    scene.room.signin.confirm_password(member, "")
    scene.access.clock.instant += FRESH
    with pytest.raises(StaleSignInError):
        scene.room.signin.confirm_password(member, "")


def test_what_is_over_is_forgotten(scene: Scene) -> None:
    scene.depart()
    scene.access.clock.instant += TERM
    Chores(scene.room)()
    with scene.room.db.reading() as tx:
        assert tx.session.scalars(select(SsoAttemptRow)).all() == []
