"""What people come for, in a real browser: signing in, requests, the team, and what happens when a session ends."""

import base64
import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect
from sqlalchemy import delete

from cleanroom.signin.models import SessionRow
from cleanroom.signin.totp import code_at, step_of
from tests.people_rooms import PASSWORD, person
from tests.portal.conftest import Visit
from tests.portal.world import DESK, PHONE, Cabinet, Visitor

NEW_PASSWORD = "eleven patient otters"


def sign_in(visitor: Visitor, email: str, password: str = PASSWORD) -> None:
    visitor.page.get_by_label("E-mail").fill(email)
    visitor.page.get_by_label("Password", exact=True).fill(password)
    visitor.page.get_by_role("button", name="Sign in").click()


def test_signing_in_and_out_with_the_keyboard_alone(cabinet: Cabinet, visit: Visit) -> None:
    visitor = visit()
    visitor.go("/datasets")
    page, keys = visitor.page, visitor.page.keyboard
    # The first field has the focus.
    keys.type(cabinet.anna.user.email)
    keys.press("Tab")
    keys.type("seven loud herons wade")
    keys.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("do not fit together")
    expect(page.get_by_label("E-mail")).to_have_value(cabinet.anna.user.email)
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Enter")
    expect(page.locator("h1")).to_have_text("Datasets")
    keys.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    keys.press("Enter")
    expect(page.locator("main")).to_be_focused()
    for _ in range(40):
        keys.press("Shift+Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == "Sign out":
            break
    keys.press("Enter")
    expect(page.locator("h1")).to_have_text("Sign in")
    page.go_back()
    page.reload()
    expect(page.locator("h1")).to_have_text("Sign in")


def test_a_second_factor_from_setting_it_up_to_using_it(cabinet: Cabinet, visit: Visit) -> None:
    room, clock = cabinet.room, cabinet.stage.clock
    vera = person(room, cabinet.stage.provider.organisation_id, "viewer", "vera@example.org")
    visitor = visit()
    page = visitor.page
    visitor.go("/account/second-factor")
    sign_in(visitor, vera.user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Set it up").click()
    picture = page.get_by_role("img", name="A code to scan")
    expect(picture).to_be_visible()
    # A code that is cut off cannot be scanned.
    page.set_viewport_size(PHONE)
    assert visitor.sideways() == 0
    drawn, frame = picture.locator("svg").bounding_box(), picture.bounding_box()
    assert drawn is not None
    assert frame is not None
    assert drawn["width"] == drawn["height"] <= frame["width"]
    assert picture.locator("svg").get_attribute("viewBox") is not None
    page.set_viewport_size(DESK)
    assert visitor.faults() == []
    text = page.locator("code.secret").inner_text()
    secret = base64.b32decode(text + "=" * (-len(text) % 8))
    page.get_by_label("Code", exact=True).fill("000000")
    page.get_by_role("button", name="Switch it on").click()
    expect(page.get_by_role("alert")).to_contain_text("does not fit")
    page.get_by_label("Code", exact=True).fill(code_at(secret, step_of(clock.now())))
    page.get_by_role("button", name="Switch it on").click()
    expect(page.locator("h1")).to_have_text("Recovery codes")
    assert visitor.faults() == []
    spare = page.locator(".codes code").first.inner_text()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()").split("\n")
    assert copied == page.locator(".codes code").all_inner_texts()
    page.get_by_role("link", name="I have kept them").click()
    expect(page.locator("main")).to_contain_text("Signing in takes a code")

    page.get_by_role("button", name="Sign out", exact=True).click()
    sign_in(visitor, vera.user.email)
    expect(page.locator("h1")).to_have_text("Second step")
    assert visitor.faults() == []
    # The code that confirmed the app is used up.
    page.get_by_label("Code", exact=True).fill(code_at(secret, step_of(clock.now())))
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_contain_text("used already")
    clock.move(seconds=30)
    page.get_by_label("Code", exact=True).fill(code_at(secret, step_of(clock.now())))
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("h1")).to_have_text("Overview")
    page.get_by_role("button", name="Sign out", exact=True).click()
    sign_in(visitor, vera.user.email)
    page.get_by_label("Code", exact=True).fill(spare)
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("h1")).to_have_text("Overview")
    visitor.go("/account/second-factor")
    expect(page.locator("main")).to_contain_text("9 recovery codes are left")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Remove the second factor").click()
    expect(page.get_by_role("status")).to_contain_text("removed")


def test_too_many_attempts_say_how_long_to_wait(cabinet: Cabinet, visit: Visit) -> None:
    visitor = visit()
    visitor.go("/sign-in")
    for _ in range(6):
        sign_in(visitor, "somebody@example.org", "wrong, and wrong again")
    expect(visitor.page.get_by_role("alert")).to_contain_text("looked at in 30 seconds")


def test_what_was_typed_outlives_the_session(cabinet: Cabinet, visit: Visit) -> None:
    visitor = visit()
    visitor.enter(cabinet.anna)
    page = visitor.page
    visitor.go(f"/requests/{cabinet.made['to_reject']}")
    with cabinet.room.db.transaction() as tx:
        tx.session.execute(delete(SessionRow))
    page.get_by_label("Reason for a rejection").fill("Назовите сезон.\nИ срок.")
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_role("main")).to_contain_text("What you typed is kept")
    assert visitor.faults() == []
    sign_in(visitor, cabinet.anna.user.email, "a wrong one, on the way")
    sign_in(visitor, cabinet.anna.user.email)
    expect(page.locator("h1")).to_have_text("Go on where you were")
    expect(page.locator("main")).to_contain_text("Назовите сезон.")
    assert visitor.faults() == []
    page.get_by_role("button", name="Send it now").click()
    expect(page.get_by_role("status")).to_contain_text("Rejected")
    expect(page.locator("main")).to_contain_text("И срок.")


def test_a_request_is_approved_and_one_that_does_not_fit_waits(cabinet: Cabinet, visit: Visit) -> None:
    visitor = visit()
    visitor.enter(cabinet.people["provider.policy_manager"])
    page = visitor.page
    visitor.go(f"/requests/{cabinet.made['waiting']}")
    expect(page.locator("main")).to_contain_text("<b>Спасибо!</b>")
    expect(page.locator("main")).to_contain_text("does not fit")
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("main")).to_contain_text("The rule or the budget does not allow it")
    expect(page.locator("h1")).to_contain_text("Waiting")
    assert visitor.faults() == []
    entitlement = cabinet.made["entitlement"]
    with cabinet.room.db.transaction() as tx:
        cabinet.room.marketplace.entitlements.revoke(
            tx,
            entitlement,
            organisation_id=cabinet.stage.provider.organisation_id,
            reason="a test needs its budget",
        )
    visitor.go(f"/requests/{cabinet.made['to_approve']}")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status")).to_contain_text("Approved")
    expect(page.locator("main")).to_contain_text("Licence ends")
    assert page.get_by_role("button", name="Approve").count() == 0


def test_requests_are_sorted_and_filtered_by_the_server(cabinet: Cabinet, visit: Visit) -> None:
    visitor = visit()
    visitor.enter(cabinet.anna)
    page = visitor.page
    visitor.go("/requests")
    assert page.locator("tbody tr").count() == 4
    page.get_by_label("Buyer").press_sequentially("no such buyer", delay=5)
    expect(page.locator("#rows")).to_contain_text("Nothing fits")
    expect(page).to_have_url(re.compile("q=no"))
    page.get_by_label("Buyer").fill("ADVERT")
    expect(page.locator("tbody tr")).to_have_count(4)
    assert visitor.faults() == []
    page.get_by_role("link", name="Size").click()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Size")
    page.get_by_role("link", name="Size").click()
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Size")
    assert page.locator("tbody tr td:nth-child(5)").all_inner_texts() == ["L", "L", "L", "S"]


def test_a_colleague_from_invitation_to_the_end(cabinet: Cabinet, visit: Visit) -> None:
    visitor = visit()
    visitor.enter(cabinet.anna)
    page = visitor.page
    visitor.go("/team")
    form = page.locator("form[action='/team/invite']")
    form.get_by_label("E-mail").fill("owner@provider.example.org")
    form.get_by_label("Finance").check()
    page.get_by_role("button", name="Make the invitation").click()
    expect(page.get_by_role("alert")).to_contain_text("somebody has it already")
    expect(form.get_by_label("E-mail")).to_have_value("owner@provider.example.org")
    expect(form.get_by_label("Finance")).to_be_checked()
    form.get_by_label("E-mail").fill("colleague@example.org")
    page.get_by_role("button", name="Make the invitation").click()
    link = page.get_by_label("colleague@example.org").input_value()
    assert visitor.faults() == []

    other = visit()
    other.go(urlsplit(link).path)
    expect(other.page.locator("main")).to_contain_text("invited to provider as: Finance")
    other.page.get_by_label("New password").fill(NEW_PASSWORD)
    other.page.get_by_label("The same once more").fill(NEW_PASSWORD + "!")
    other.page.get_by_role("button", name="Set the password").click()
    expect(other.page.get_by_role("alert")).to_contain_text("not the same")
    other.page.get_by_label("New password").fill(NEW_PASSWORD)
    other.page.get_by_label("The same once more").fill(NEW_PASSWORD)
    other.page.get_by_role("button", name="Set the password").click()
    expect(other.page.locator("h1")).to_have_text("Overview")
    assert other.page.get_by_role("link", name="Team").count() == 0
    assert other.go(urlsplit(link).path) == 410

    visitor.go("/team")
    page.get_by_label("Role of colleague@example.org", exact=True).select_option("owner")
    page.get_by_role("button", name="Change the role of colleague@example.org").click()
    expect(page.get_by_role("status")).to_contain_text("The role is changed")
    other.go("/")
    expect(other.page.get_by_role("link", name="Team").first).to_be_visible()
    page.on("dialog", lambda dialog: dialog.accept())
    row = page.locator("li", has_text="colleague@example.org")
    row.locator("summary").click()
    row.get_by_role("button", name="New password").click()
    reset = page.get_by_label("colleague@example.org").input_value()
    visitor.go("/team")
    row.locator("summary").click()
    row.get_by_role("button", name="End access").click()
    expect(page.get_by_role("status")).to_contain_text("cannot sign in any more")
    assert other.go("/") == 401
    assert other.go(urlsplit(reset).path) == 410


def test_a_new_password_signs_out_everywhere_else(cabinet: Cabinet, visit: Visit) -> None:
    boris = person(cabinet.room, cabinet.stage.provider.organisation_id, "viewer", "boris@example.org")
    here, there = visit(), visit()
    for visitor in (here, there):
        visitor.go("/account")
        sign_in(visitor, boris.user.email)
    page = here.page
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill("short")
    page.get_by_label("The same once more").fill("short")
    page.locator("form[action='/account/password']").evaluate("form => { form.noValidate = true; }")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_role("alert")).to_contain_text("at least 12 characters")
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill(NEW_PASSWORD)
    page.get_by_label("The same once more").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_role("status")).to_contain_text("The password is changed")
    assert there.go("/") == 401
    assert here.go("/") == 200


@pytest.mark.parametrize("kind", ["ended by another", "ended all"])
def test_sessions_are_seen_and_ended(cabinet: Cabinet, visit: Visit, kind: str) -> None:
    clara = person(
        cabinet.room, cabinet.stage.provider.organisation_id, "viewer", f"clara{len(kind)}@example.org"
    )
    here, there = visit(), visit()
    for visitor in (here, there):
        visitor.enter(clara)
    here.go("/account")
    if kind == "ended all":
        here.page.get_by_role("button", name="Sign out everywhere else").click()
    else:
        for _ in range(2):
            here.page.get_by_role("button", name=re.compile("^End")).first.click()
            expect(here.page.get_by_role("status")).to_contain_text("ended")
    assert there.go("/") == 401
    assert here.go("/") == 200


def test_the_language_changes_where_one_is_even_after_a_mistake(cabinet: Cabinet, visit: Visit) -> None:
    visitor = visit()
    visitor.enter(cabinet.anna)
    page = visitor.page
    visitor.go("/team")
    page.locator("form[action='/team/invite']").get_by_label("E-mail").fill("owner@provider.example.org")
    page.get_by_role("button", name="Make the invitation").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_role("button", name="Русский").first.click()
    expect(page.locator("h1")).to_have_text("Команда")
    # It is the person's from now on, in every browser.
    other = visit()
    other.enter(cabinet.anna)
    other.go("/team")
    expect(other.page.locator("h1")).to_have_text("Команда")
    page.get_by_role("button", name="English").first.click()
    expect(page.locator("h1")).to_have_text("Team")
