"""Journeys through an identity provider and a mailbox, both real servers on loopback; and what has happened since."""

import base64
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from cleanroom.settings.mail import MailSettings
from cleanroom.signin.totp import code_at, step_of
from provider_portal.security import form_token
from tests.identity_provider import Account, Fault, IdentityServer, identity_server
from tests.integration.mail.relay import Relay, relaying
from tests.people_rooms import PASSWORD, person
from tests.portal.conftest import Visit
from tests.portal.keyboard import Keyboard
from tests.portal.world import PHONE, Cabinet, Visitor, furnish, served
from tests.rooms import copied

NEW_PASSWORD = "eleven patient otters"


@pytest.fixture(scope="module")
def relay() -> Iterator[Relay]:
    with relaying() as one:
        yield one


@pytest.fixture(scope="module")
def cabinet(
    sqlite_template: Any, tmp_path_factory: pytest.TempPathFactory, quick_hashes: None, relay: Relay
) -> Iterator[Cabinet]:
    """A room with an identity provider and a relay."""
    stage = copied(sqlite_template, tmp_path_factory.mktemp("elsewhere") / "home")
    people, made = furnish(stage)
    mail = MailSettings("127.0.0.1", relay.port, "none", None, None, "room@example.org")
    with identity_server(stage.clock) as server:
        server.accounts = {"vera-1": Account("vera-1", "vera@example.org")}
        with served(stage, mail=mail, sso=(server.settings(),)) as one:
            one.people.update({name: type(who)(stage.room, who.user) for name, who in people.items()})
            one.made.update(made)
            one.server = server  # type: ignore[attr-defined]
            yield one


@pytest.fixture
def server(cabinet: Cabinet) -> IdentityServer:
    found: IdentityServer = cabinet.server  # type: ignore[attr-defined]
    found.fault = Fault()
    return found


def mailed(cabinet: Cabinet, relay: Relay) -> str:
    """Send what waits, and return the path of the last letter's link."""
    cabinet.room.mail.sending.send_due()
    text = relay.got[-1].get_body(("plain",)).get_content()  # type: ignore[union-attr]
    found = re.search(re.escape(cabinet.url) + r"(/\S+)", text)
    assert found is not None
    return found[1]


def test_from_a_letter_to_single_sign_on_with_the_keyboard_alone(
    cabinet: Cabinet, visit: Visit, relay: Relay, server: IdentityServer
) -> None:
    owner, vera = visit(), visit()
    typing, keys = Keyboard(owner), Keyboard(vera)
    owner.enter(cabinet.anna)
    owner.go("/team")
    typing.write("E-mail", "vera@example.org")
    typing.pick("Viewer")
    typing.follow("Make the invitation")
    # Nobody but its reader sees a link that was sent.
    expect(owner.page.locator("main")).to_contain_text("on its way to vera@example.org")
    assert "/invitation/" not in owner.page.content()
    assert owner.faults() == []

    vera.go(mailed(cabinet, relay))
    assert vera.faults() == []
    keys.follow("Accept with Work")
    expect(vera.page.locator("h1")).to_have_text("Who are you?")
    keys.press("Tab", "Enter")
    expect(vera.page.locator("h1")).to_have_text("Overview")
    keys.follow("My account")
    expect(vera.page.locator("main")).to_contain_text("you sign in with single sign-on")
    assert vera.faults() == []
    keys.follow("Sign out")

    vera.go("/requests?state=pending")
    assert vera.faults() == []
    keys.follow("Sign in with Work")
    expect(vera.page.locator("h1")).to_have_text("Who are you?")
    keys.press("Tab", "Enter")
    expect(vera.page.locator("h1")).to_have_text("Requests")
    assert vera.page.url == f"{cabinet.url}/requests?state=pending"
    assert vera.faults() == []


def test_an_account_is_connected_and_disconnected(
    cabinet: Cabinet, visit: Visit, server: IdentityServer
) -> None:
    server.accounts["boris-1"] = Account("boris-1", "boris@work.example")
    boris = person(cabinet.room, cabinet.stage.provider.organisation_id, "viewer", "boris@example.org")
    visitor = visit()
    visitor.enter(boris)
    visitor.go("/account")
    page = visitor.page
    page.get_by_label("Connect Work").click()
    ways = page.locator("section", has_text="Single sign-on")
    ways.get_by_label("Password").fill("not the password")
    ways.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_contain_text("not right")
    page.get_by_label("Connect Work").click()
    ways.get_by_label("Password").fill(PASSWORD)
    ways.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="boris@work.example").click()
    expect(page.get_by_role("status")).to_contain_text("Connected")
    assert visitor.faults() == []
    page.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("status")).to_contain_text("Disconnected")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(), "lets nobody in"),
        (Fault(claims=lambda claims: claims | {"nonce": "x"}), "did not confirm"),
        (
            Fault(
                answer=lambda answer: {
                    "error": "access_denied",
                    "state": answer["state"],
                    "iss": answer["iss"],
                }
            ),
            "did not confirm",
        ),
        (Fault(answer=lambda answer: answer | {"state": "another"}), "Begin anew"),
    ],
)
def test_what_goes_wrong_is_said_on_the_sign_in_page(
    cabinet: Cabinet, visit: Visit, server: IdentityServer, fault: Fault, says: str
) -> None:
    server.accounts["mallory-1"] = Account("mallory-1", "mallory@example.net")
    server.fault = fault
    visitor = visit()
    visitor.go("/sign-in?next=/requests")
    visitor.page.get_by_role("button", name="Sign in with Work").click()
    visitor.page.get_by_role("button", name="mallory@example.net").click()
    expect(visitor.page.get_by_role("alert")).to_contain_text(says)
    expect(visitor.page.get_by_role("button", name="Sign in with Work")).to_be_visible()
    # Where the person wanted to go is kept, as far as it is known whose answer this is.
    known = says != "Begin anew"
    expect(visitor.page.locator("form[action='/sign-in'] input[name=next]")).to_have_value(
        "/requests" if known else "/"
    )
    assert visitor.faults() == []


def test_an_answer_that_nobody_asked_for_lets_nobody_in_and_leads_nowhere(cabinet: Cabinet) -> None:
    address = cabinet.url + "/sign-in/with/office/back"
    for query in (
        "",
        "?state=x&code=y",
        "?error=x&state=%00",
        f"?state={'s' * 5000}&code=c&next=//evil.example",
    ):
        answer = httpx.get(address + query)
        # A zero byte is no part of any request.
        assert answer.status_code == (400 if "%00" in query else 401)
        assert "cleanroom=" not in answer.headers.get("set-cookie", "")
        assert "evil.example" not in answer.text
    assert httpx.get(cabinet.url + "/sign-in/with/other/back").status_code == 404


def test_a_forgotten_password_comes_by_mail(cabinet: Cabinet, visit: Visit, relay: Relay) -> None:
    who = person(cabinet.room, cabinet.stage.provider.organisation_id, "viewer", "gerda@example.org")
    visitor = visit(locale="ru-RU")
    texts = []
    for address in ("nobody@example.org", who.user.email):
        visitor.go("/forgotten")
        assert visitor.faults() == []
        visitor.page.get_by_label("Эл. почта").fill(address)
        visitor.page.get_by_role("button", name="Прислать ссылку").click()
        texts.append(visitor.page.locator("main").inner_text())
    assert texts[0] == texts[1]
    assert visitor.faults() == []
    before = len(relay.got)
    visitor.go(mailed(cabinet, relay))
    assert len(relay.got) == before + 1
    for at in range(2):
        visitor.page.locator("input[type=password]").nth(at).fill(NEW_PASSWORD)
    visitor.page.get_by_role("button", name="Задать пароль").click()
    visitor.page.locator("input[type=email]").fill(who.user.email)
    visitor.page.locator("input[type=password]").fill(NEW_PASSWORD)
    visitor.page.get_by_role("button", name="Войти", exact=True).click()
    expect(visitor.page.locator("h1")).to_have_text("Обзор")


def test_what_has_happened_is_seen_opened_and_marked(cabinet: Cabinet, visit: Visit) -> None:
    who = cabinet.people["provider.policy_manager"]
    visitor = visit()
    visitor.enter(who)
    visitor.go("/")
    page = visitor.page
    bell = page.get_by_role("navigation", name="Main").get_by_role("link", name="Notifications")
    expect(bell).to_contain_text("unread")
    bell.click()
    first = page.get_by_role("listitem").filter(has_text="A request waits for a decision").first
    first.get_by_role("button", name=re.compile("^Open")).click()
    assert "/requests/erq_" in page.url
    visitor.go("/notices?type=request_waits&show=unread")
    expect(page.locator("#type")).to_have_value("request_waits")
    before = page.locator("#rows li").count()
    page.get_by_role("button", name=re.compile("^Mark read")).first.press("Enter")
    expect(page.locator("#rows li")).to_have_count(before - 1)
    assert page.url.endswith("/notices?type=request_waits&show=unread")
    visitor.go("/notices")
    page.get_by_role("button", name="Mark all read").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("marked read")
    expect(bell).not_to_contain_text("unread")
    page.get_by_role("link", name="What to tell me").press("Enter")
    assert visitor.faults() == []
    page.get_by_role("checkbox", name="Here: A request waits for a decision").press("Space")
    page.get_by_role("checkbox", name="By mail: An alarm was raised").press("Space")
    page.get_by_role("button", name="Keep").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("kept")
    expect(page.locator("#rows")).not_to_contain_text("A request waits for a decision")
    visitor.go("/notices/settings")
    expect(page.get_by_role("checkbox", name="Here: A request waits for a decision")).not_to_be_checked()
    expect(page.get_by_role("checkbox", name="By mail: An alarm was raised")).not_to_be_checked()


def test_a_required_second_factor_comes_before_anything_else(cabinet: Cabinet, visit: Visit) -> None:
    organisation_id = cabinet.stage.parties["rival_provider"].organisation_id
    viewer = person(cabinet.room, organisation_id, "viewer", "late@rival.example.org")
    owner, late = visit(), visit(viewport=PHONE)
    late.enter(viewer)
    assert late.go("/datasets") == 200
    owner.enter(cabinet.people["rival.owner"])
    owner.go("/team")
    owner.page.once("dialog", lambda dialog: dialog.accept())
    owner.page.get_by_role("button", name="Require it").click()
    # Whoever requires it has none either.
    expect(owner.page.locator("h1")).to_have_text("Second factor")

    page = late.page
    for path in ("/datasets", "/", "/account", "/notices"):
        late.go(path)
        expect(page.locator("h1")).to_have_text("Second factor")
        expect(
            page.get_by_role("alert").or_(page.get_by_text("requires a second factor")).first
        ).to_be_visible()
    assert late.faults() == []
    assert late.sideways() == 0
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Set it up").click()
    text = page.locator(".secret").inner_text()
    secret = base64.b32decode(text + "=" * (-len(text) % 8))
    page.get_by_role("textbox", name="Code").fill(code_at(secret, step_of(cabinet.stage.clock.now())))
    page.get_by_role("button", name="Switch it on").click()
    expect(page.locator("h1")).to_have_text("Recovery codes")
    assert late.go("/datasets") == 200
    expect(page.locator("h1")).to_have_text("Datasets")
    late.go("/account/second-factor")
    expect(page.get_by_role("button", name="Remove the second factor")).to_have_count(0)


def test_a_required_second_factor_is_not_given_up_by_hand(cabinet: Cabinet) -> None:
    """The page shows no button for it; whoever sends the form all the same is refused."""
    organisation_id = cabinet.stage.parties["operator"].organisation_id
    who = person(cabinet.room, organisation_id, "officer", "officer2@operator.example.org")
    who.enrol()
    member_of = cabinet.room.signin.member
    with cabinet.room.db.transaction() as tx:
        cabinet.room.signin.requirement.set(tx, organisation_id, True, by="us_owner")
    cabinet.stage.clock.move(minutes=1)
    token = who.enter().token
    assert not member_of(token).must_enrol
    cookies = {"cleanroom": token, "cleanroom-form": "a browser's own"}
    form = {"form_token": form_token("a browser's own"), "password": PASSWORD}
    answer = httpx.post(
        cabinet.url + "/account/second-factor/remove",
        data=form,
        cookies=cookies,
        headers={"Origin": cabinet.url},
    )
    assert answer.status_code == 400
    assert member_of(token).second_factor


@pytest.mark.parametrize(
    ("language", "theme"), [("ru", "dark"), pytest.param("en", "light", marks=pytest.mark.slow)]
)
def test_pages_with_single_sign_on_and_mail(
    cabinet: Cabinet, visit: Visit, language: str, theme: str
) -> None:
    visitor: Visitor = visit()
    visitor.prefer(language, theme)
    with cabinet.room.db.transaction() as tx:
        invited = cabinet.room.access.users.invite(
            tx,
            organisation_id=cabinet.stage.provider.organisation_id,
            email=f"new-{language}@example.org",
            role="viewer",
        )
    found = {}
    for path in ("/sign-in", "/forgotten", f"/invitation/{invited.invitation}"):
        visitor.go(path)
        found[path] = visitor.faults()
    visitor.enter(cabinet.anna)
    for path in ("/account", "/notices/settings", "/team", "/notices"):
        visitor.go(path)
        expect(visitor.page.locator("html")).to_have_attribute("lang", language)
        found[path] = visitor.faults()
    visitor.page.set_viewport_size(PHONE)
    for path in ("/account", "/notices/settings", "/team", "/notices"):
        visitor.go(path)
        found[f"{path} on a phone"] = [f"{visitor.sideways()} pixels"] if visitor.sideways() else []
    assert {name: faults for name, faults in found.items() if faults} == {}
