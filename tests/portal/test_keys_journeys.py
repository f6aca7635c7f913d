"""Clients, webhooks, keys and deeds of two people, from the first click to what it changes."""

import re
from threading import Event, Thread
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey
from playwright.sync_api import Page, expect

from cleanroom.rekeying.service import Rekeying
from provider_portal.i18n import translations
from tests.people_rooms import PASSWORD, Person
from tests.portal.conftest import Visit
from tests.portal.world import PHONE, Cabinet, Visitor, ask


def entered(visit: Visit, who: Person, language: str = "en", **options: Any) -> Visitor:
    visitor = visit(**options)
    visitor.enter(who)
    visitor.prefer(language)
    visitor.page.on("dialog", lambda dialog: dialog.accept())
    return visitor


def tab_to(page: Page, selector: str) -> None:
    """Go on with the tabulator until what a selector means has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"no way to {selector} with the keyboard")


def token_of(cabinet: Cabinet, **data: str) -> httpx.Response:
    auth = (data.pop("client_id"), data.pop("secret")) if "secret" in data else None
    form = {"grant_type": "client_credentials"} | data
    return httpx.post(cabinet.url + "/oauth/token", data=form, auth=auth)


def me(cabinet: Cabinet, token: str) -> int:
    return httpx.get(cabinet.url + "/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_client_is_registered_used_over_http_renewed_and_revoked(cabinet: Cabinet, visit: Visit) -> None:
    visitor = entered(visit, cabinet.anna)
    page = visitor.page
    visitor.go("/clients")
    page.get_by_role("link", name="Register a client").click()
    page.get_by_label("Name").fill("CRM, nightly")
    page.get_by_label("Data manager").check()
    page.get_by_label("A key of its own").check()
    page.get_by_label("Public key").fill("not a key")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be taken")
    expect(page.get_by_label("Name")).to_have_value("CRM, nightly")
    expect(page.get_by_label("Data manager")).to_be_checked()
    page.get_by_label("A secret that the room makes").check()
    page.get_by_role("button", name="Register").click()
    secret, client_id = (
        page.get_by_label("CRM, nightly").input_value(),
        page.get_by_label("Id of the client").input_value(),
    )
    assert secret.startswith("crs_")
    assert visitor.faults() == []
    got = token_of(cabinet, client_id=client_id, secret=secret)
    assert got.status_code == 200
    assert me(cabinet, got.json()["access_token"]) == 200
    page.get_by_role("link", name="Done").click()
    expect(page.locator("main")).to_contain_text("second")
    expect(page.locator("main")).not_to_contain_text(secret)
    page.get_by_label("The old ones still count for").select_option("0")
    page.get_by_role("button", name="Replace").click()
    fresh = page.get_by_label("CRM, nightly").input_value()
    cabinet.stage.clock.move(seconds=1)
    assert token_of(cabinet, client_id=client_id, secret=secret).status_code == 401
    got = token_of(cabinet, client_id=client_id, secret=fresh)
    page.get_by_role("link", name="Done").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status")).to_contain_text("is revoked")
    assert me(cabinet, got.json()["access_token"]) == 401
    visitor.go("/clients?show=revoked")
    expect(page.locator("#rows")).to_contain_text("CRM, nightly")
    assert secret not in cabinet.log.getvalue()


def test_a_client_with_a_key_in_pem(cabinet: Cabinet, visit: Visit) -> None:
    visitor = entered(visit, cabinet.anna)
    page, key = visitor.page, generate_private_key(SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    visitor.go("/clients/new")
    for pasted in (private, public):
        page.get_by_label("Name").fill("Notebook")
        page.get_by_label("Viewer").check()
        page.get_by_label("Public key").fill(pasted)
        page.get_by_role("button", name="Register").click()
        if pasted is private:
            expect(page.get_by_role("alert")).to_contain_text("make a new one")
            # What should never have left its owner is not written into a page.
            expect(page.get_by_label("Public key")).to_have_value("")
    expect(page.get_by_role("status")).to_contain_text("is registered")
    client_id = page.url.split("/")[-1].split("?")[0]
    now = int(cabinet.stage.clock.now().timestamp())
    claims = {"iss": client_id, "sub": client_id, "aud": cabinet.url, "exp": now + 60, "iat": now, "jti": "1"}
    signed = jwt.encode({"alg": "ES256"}, claims, ECKey.import_key(private))
    got = token_of(
        cabinet,
        client_assertion=signed,
        client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    )
    assert got.status_code == 200, got.text
    assert me(cabinet, got.json()["access_token"]) == 200


@pytest.mark.slow
def test_a_webhook_is_registered_tested_paused_and_deleted(cabinet: Cabinet, visit: Visit) -> None:
    visitor = entered(visit, cabinet.anna)
    page = visitor.page
    visitor.go("/webhooks")
    page.get_by_label("Address").fill("https://hooks.example.org/other")
    page.get_by_label("What it is for").fill("Warehouse")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("alert")).to_contain_text("one event or more")
    expect(page.get_by_label("What it is for")).to_have_value("Warehouse")
    page.get_by_label("An upload was loaded").check()
    page.get_by_role("button", name="Register").click()
    assert page.get_by_label("Warehouse").input_value().startswith("whsec_")
    page.get_by_role("link", name="Done").click()
    page.get_by_role("button", name="Send a test message").click()
    expect(page.get_by_role("table")).to_contain_text("On its way")
    page.get_by_role("button", name="New secret").click()
    assert page.get_by_label("Warehouse").input_value().startswith("whsec_")
    page.get_by_role("link", name="Done").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("h1")).to_contain_text("Paused")
    page.get_by_role("button", name="Let it go on").click()
    expect(page.locator("h1")).to_contain_text("Active")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status")).to_contain_text("deleted")
    expect(page.locator("main")).not_to_contain_text("Warehouse")


@pytest.mark.slow
def test_a_key_is_replaced_while_the_page_shows_how_far_it_is(
    cabinet: Cabinet, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = entered(visit, cabinet.people["provider.data_manager"])
    page = visitor.page
    visitor.go("/keys")
    tab_to(page, "[aria-label='Replace: Secret of the tokens of provider']")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").last).to_contain_text("Waits")
    assert visitor.faults() == []
    go_on, note = Event(), Rekeying._note

    def slowly(self: Rekeying, rotation_id: str, done: int, total: int) -> None:
        note(self, rotation_id, done or total // 3, total)
        go_on.wait(30)

    monkeypatch.setattr(Rekeying, "_note", slowly)
    # The worker of a room is another process; here it is a thread.
    worker = Thread(target=cabinet.room.rekeying.work)
    worker.start()
    # Nobody loads the page again.
    expect(page.locator("progress")).to_have_attribute("value", re.compile("^[1-9]"))
    expect(page.locator("#keys")).to_contain_text("Under way")
    assert visitor.faults() == []
    go_on.set()
    worker.join(60)
    expect(page.locator("progress")).to_have_count(0)
    expect(page.locator("#keys")).to_contain_text("Done")
    with cabinet.room.db.reading() as tx:
        assert cabinet.room.workspaces.secrets(tx, cabinet.stage.provider.workspace_id).token_version == 2


@pytest.mark.parametrize("language", ["en", pytest.param("ru", marks=pytest.mark.slow)])
def test_two_people_shred_a_workspace_with_the_keyboard_alone(
    cabinet: Cabinet, visit: Visit, language: str
) -> None:
    words = translations(language).ugettext
    with cabinet.room.db.transaction() as tx:
        owner = cabinet.stage.provider.organisation_id
        name = f"Season {language}"
        space = cabinet.room.workspaces.create_workspace(tx, organisation_id=owner, name=name).id
    asker = entered(visit, cabinet.people["provider.data_manager"], language)
    asker.go(f"/four-eyes/new?deed=shred_workspace&about={space}")
    page = asker.page
    tab_to(page, "#reason")
    page.keyboard.type("The season is over.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text(
        words("Asked. Somebody else has to confirm it before anything is done.")
    )
    expect(page.locator("main")).to_contain_text(words("Somebody else has to confirm it"))
    assert page.get_by_role("button", name=words("Confirm and shred")).count() == 0
    # The second person sits somewhere else, on a phone.
    second = entered(visit, cabinet.anna, language, viewport=PHONE)
    second.go("/")
    other = second.page
    tab_to(other, "a[href^='/four-eyes?']")
    other.keyboard.press("Enter")
    row = other.get_by_role("row", name=name).get_by_role("link").get_attribute("href")
    tab_to(other, f"a[href='{row}']")
    other.keyboard.press("Enter")
    expect(other.locator("h1")).to_contain_text(name)
    assert second.faults() == []
    assert second.sideways() == 0
    for password in ("seven loud herons wade", PASSWORD):
        tab_to(other, "#f-password")
        other.keyboard.type(password)
        other.keyboard.press("Enter")
        if password != PASSWORD:
            expect(other.get_by_role("alert")).to_be_visible()
    expect(other.get_by_role("status").first).to_contain_text(words("Confirmed, and done."))
    with cabinet.room.db.reading() as tx:
        assert cabinet.room.workspaces.workspace(tx, space).destroyed_at is not None
    second.go("/keys")
    expect(other.locator("main")).to_contain_text(words("Shredded"))
    for path in ("/", "/datasets", "/four-eyes", "/four-eyes/new"):
        assert second.go(path) == 200
        assert second.faults() == []
    asker.go("/four-eyes?state=done")
    expect(page.locator("#rows")).to_contain_text(name)


@pytest.mark.slow
def test_a_deed_is_rejected_with_words_and_taken_back(cabinet: Cabinet, visit: Visit) -> None:
    with cabinet.room.db.transaction() as tx:
        owner = cabinet.stage.provider.organisation_id
        space = cabinet.room.workspaces.create_workspace(tx, organisation_id=owner, name="Kept").id
    waiting = ask(cabinet.stage, cabinet.people["provider.data_manager"], space)
    visitor = entered(visit, cabinet.anna)
    visitor.go(f"/four-eyes/{waiting}")
    visitor.page.get_by_label("Reason for a rejection").fill("We need it <until> May.")
    visitor.page.get_by_role("button", name="Reject").click()
    expect(visitor.page.locator("main")).to_contain_text("We need it <until> May.")
    again = ask(cabinet.stage, cabinet.people["provider.data_manager"], space)
    mine = entered(visit, cabinet.people["provider.data_manager"])
    mine.go(f"/four-eyes/{again}")
    mine.page.get_by_role("button", name="Take back").click()
    expect(mine.page.get_by_role("status")).to_contain_text("Nothing was done")
    with cabinet.room.db.reading() as tx:
        assert cabinet.room.workspaces.workspace(tx, space).destroyed_at is None
