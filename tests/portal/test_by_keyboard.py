"""What people come for, by keyboard alone: Tab, Enter, Space, arrows and typing, half of it in Russian.

Elsewhere stand: signing in and out (test_journeys), a policy from its editor to the next question (test_policy), two
people who shred (test_keys_journeys), a description by hand (test_wizard), single sign-on (test_signing_in_elsewhere).
"""

import base64
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import delete

from cleanroom.marketplace.catalogue import Search
from cleanroom.signin.models import SessionRow
from cleanroom.signin.totp import code_at, step_of
from policies.codec import load_preset
from policies.model import PolicyDocument
from policies.rules import Approval
from provider_portal.i18n import translations
from provider_portal.wording import WORDS
from tests.market import Market
from tests.people_rooms import PASSWORD, Person, person
from tests.portal.keyboard import Keyboard, Stop
from tests.portal.test_pages import ENTRANCE, FURTHER, PAGES, places
from tests.portal.test_policy import ask, reasons
from tests.portal.test_wizard import LINES, SHARED, file_of, visit, wire
from tests.portal.wire import Wire
from tests.portal.world import PHONE, Cabinet, Visitor, furnish, served
from tests.rooms import PURPOSE, copied, people

__all__ = ["places", "visit", "wire"]

Visit = Callable[..., Visitor]
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def cabinet(
    sqlite_template: Any, tmp_path_factory: pytest.TempPathFactory, quick_hashes: None, wire: Wire
) -> Iterator[Cabinet]:
    """A room whose line can be cut."""
    stage = copied(sqlite_template, tmp_path_factory.mktemp("keyboard") / "home")
    found, made = furnish(stage)
    with served(stage, around=wire.around) as one:
        one.people.update({name: type(who)(stage.room, who.user) for name, who in found.items()})
        one.made.update(made)
        yield one


class Desk:
    """Somebody at the keyboard, and the words of the language that the pages speak."""

    def __init__(self, visitor: Visitor, language: str) -> None:
        self.visitor, self.language = visitor, language
        self.page: Page = visitor.page
        self.keys = Keyboard(visitor)
        self.t = translations(language).ugettext
        visitor.page.on("dialog", lambda dialog: dialog.accept())

    def open(self, path: str) -> None:
        """Come to an address, and go past the menu."""
        self.visitor.go(path)
        self.past_the_menu()

    def past_the_menu(self) -> None:
        self.keys.skip(self.t("Skip to the content"))
        expect(self.page.locator("main")).to_be_focused()

    def follow(self, text: str, *, role: str = "") -> None:
        """Go to what has a text, and over it to the next page."""
        self.keys.follow(self.t(text), role=role)

    def said(self, text: str) -> None:
        """Wait until the page says something to whoever cannot see it, too."""
        expect(self.page.get_by_role("status").filter(has_text=self.t(text)).first).to_be_visible()


@pytest.fixture
def sit(cabinet: Cabinet, visit: Visit) -> Callable[..., Desk]:
    def make(who: Person | None, language: str, **options: Any) -> Desk:
        visitor = visit(**options)
        if who is not None:
            visitor.enter(who)
        visitor.prefer(language)
        return Desk(visitor, language)

    return make


Sit = Callable[..., Desk]


@slow
def test_from_a_file_to_a_published_version(cabinet: Cabinet, sit: Sit, tmp_path: Path) -> None:
    source = file_of(tmp_path, LINES + SHARED)
    desk = sit(cabinet.anna, "ru")
    keys, page, t = desk.keys, desk.page, desk.t
    desk.open("/datasets")
    desk.follow("New dataset")
    desk.past_the_menu()
    keys.give(t("Choose the file"), source)
    expect(page.locator("#columns > li")).to_have_count(8)
    # Each control says which column it is about, and keeps the focus while arrows change it.
    role = t("Used as")
    keys.choose(f"{role} lab", t("Leave out"))
    expect(page.locator("#columns > li").filter(has_text="lab").locator("select")).to_have_count(1)
    expect(page.get_by_role("combobox", name=f"{role} lab", exact=True)).to_be_focused()
    keys.reach(t("Go on"))
    keys.press("Enter")
    expect(page.locator("#t-keys")).to_be_focused()
    keys.choose(f"{t('The file holds them')} {t('E-mail')}", t("Hashed already"))
    keys.press("ArrowUp")
    keys.choose(f"{t('Hash profile')} {t('E-mail')}", "uid2")
    keys.press("Home")
    keys.reach(t("Plain values, one a line"))
    page.keyboard.type("nobody")
    keys.reach(t("Compare"))
    keys.press("Enter")
    expect(page.locator("#check-plain tr")).to_contain_text(t("no such identifier"))
    keys.reach(t("Go on"))
    keys.press("Enter")
    expect(page.locator("#t-basis")).to_be_focused()
    keys.choose(t("Lawful basis"), t("Consent"))
    keys.reach(t("Go on"))
    keys.press("Enter")
    desk.said("The description is complete.")
    keys.write(t("Name of the dataset"), "С клавиатуры")
    desk.follow("Register and go on")
    expect(page.locator("h1")).to_have_text(t("Load a new version"))
    desk.past_the_menu()
    keys.give(t("The file with people"), source)
    keys.tick(t("Publish it at once if nothing needs a decision"))
    keys.reach(t("Prepare and send"))
    keys.enter()
    page.wait_for_url("**/uploads/*")
    assert cabinet.room.uploads.ingest_next() is not None
    see = t("See the version")
    expect(page.get_by_role("link", name=see)).to_be_visible()
    keys.follow(see)
    # One value is ticked, and decided with the rest.
    desk.past_the_menu()
    box = next(stop for stop in iter(keys.tab, None) if stop.role == "checkbox")
    assert re.fullmatch(r"\S+", box.name)
    keys.press("Space")
    desk.follow("Put those ticked on the junk list")
    expect(page.locator("h1")).to_contain_text(t(WORDS["version"]["loaded"]))
    desk.past_the_menu()
    # It stands beside the heading, so before all else.
    desk.follow("Publish")
    expect(page.locator("h1")).to_contain_text(t(WORDS["version"]["published"]))
    assert desk.visitor.faults() == []


@slow
def test_an_upload_is_stopped_and_goes_on(cabinet: Cabinet, sit: Sit, wire: Wire, tmp_path: Path) -> None:
    dataset_id = cabinet.stage.dataset(LINES)
    desk = sit(cabinet.anna, "en")
    keys, page = desk.keys, desk.page
    pause, go_on = (page.get_by_role("button", name=name, exact=True) for name in ("Pause", "Continue"))
    wire.dead = True
    desk.open(f"/datasets/{dataset_id}/load")
    keys.give("The file with people", file_of(tmp_path, people(500)))
    for last in ("Cancel", "Pause"):
        keys.reach("Prepare and send")
        keys.press("Enter")
        # The button is gone; the focus is where the work is shown.
        expect(page.locator("#work")).to_be_focused()
        expect(page.locator("#work-words")).to_contain_text("Trying again")
        keys.reach(last, most=2)
        keys.press("Enter")
        if last == "Cancel":
            expect(page.get_by_label("The file with people")).to_be_focused()
            desk.said("nothing of it is kept")
    expect(go_on).to_be_focused()
    keys.press("Enter")
    expect(pause).to_be_focused()
    keys.press("Enter")
    expect(go_on).to_be_focused()
    page.reload()
    expect(page.locator("#kept")).to_be_visible()
    desk.visitor.complaints.clear()
    wire.dead = False
    desk.past_the_menu()
    keys.reach("Continue the upload")
    keys.enter()
    expect(page.locator("#progress")).to_contain_text("Waits its turn")
    # The page asks again and again, and leaves the focus where it is.
    upload = cabinet.room.uploads.ingest_next()
    assert upload is not None
    assert upload.failure is None
    expect(page.locator("#progress")).to_contain_text("Look at its report")
    assert desk.visitor.faults() == []


@slow
def test_a_dataset_is_stopped_and_released(cabinet: Cabinet, sit: Sit) -> None:
    desk = sit(cabinet.anna, "ru")
    assert reasons(ask(cabinet, 51)) == []
    desk.open(f"/datasets/{cabinet.stage.dataset_id}/policy")
    desk.follow("Stop the dataset")
    desk.past_the_menu()
    desk.follow("Stop")
    desk.said("This dataset is stopped: no question is answered.")
    assert reasons(ask(cabinet, 52)) == ["kill_switch"]
    desk.past_the_menu()
    desk.follow("Release the dataset")
    desk.past_the_menu()
    desk.follow("Release")
    expect(desk.page.locator(".note-bad")).to_have_count(0)
    assert reasons(ask(cabinet, 53)) == []
    assert desk.visitor.faults() == []


@slow
def test_a_question_is_approved(cabinet: Cabinet, sit: Sit) -> None:
    standard = load_preset("standard", purposes=[PURPOSE, "research"])
    cabinet.stage.rule(PolicyDocument("asks first", (*standard.rules, Approval("question"))))
    # In a second of its own, so that it is the newest.
    cabinet.stage.clock.move(seconds=1)
    assert reasons(ask(cabinet, 57)) == ["approval"]
    desk = sit(cabinet.anna, "en")
    desk.open("/requests")
    desk.follow("Single questions")
    desk.past_the_menu()
    # The newest one stands first.
    desk.follow("advertiser", role="link")
    expect(desk.page.locator("main")).to_contain_text("age is at least 57")
    desk.past_the_menu()
    desk.follow("Approve")
    expect(desk.page.locator("h1")).to_contain_text("Approved")
    assert reasons(ask(cabinet, 57)) == []
    cabinet.stage.rule(standard)


@slow
def test_a_listing_goes_live_by_two_people(cabinet: Cabinet, sit: Sit) -> None:
    desk = sit(cabinet.people["provider.data_manager"], "ru")
    keys, page, t = desk.keys, desk.page, desk.t
    desk.open("/listings")
    desk.follow("New listing")
    desk.past_the_menu()
    desk.follow("Continue")
    desk.past_the_menu()
    keys.write(t("Title in Russian"), "Молодые люди")
    keys.write(t("Title in English"), "Young by keyboard")
    keys.tick("age")
    desk.follow("Add a segment")
    # On the new row, with everything that was typed.
    expect(page.locator("[id='segments.0.ru']")).to_be_focused()
    expect(page.locator("[id='title.en']")).to_have_value("Young by keyboard")
    page.keyboard.type("Молодые")
    keys.write(t("Title in English"), "The young")
    keys.write(t("Key"), "young")
    keys.write(t("Whom it holds"), "age < 30")
    desk.follow("Add a segment")
    expect(page.locator("[id='segments.1.ru']")).to_be_focused()
    keys.follow(f"{t('Remove')} : {t('Segment %(number)s') % {'number': 2}}")
    # What adds one has the focus, so the way on is short.
    expect(page.get_by_role("button", name=t("Add a segment"))).to_be_focused()
    for words in (WORDS["purpose"]["advertising"], WORDS["question"]["overlap"]):
        keys.tick(t(words))
    keys.write(t("Per question"), "75,50")
    desk.follow("Save as a draft")
    desk.said("The listing is saved as a draft. Send it to review when it is ready.")
    address = page.url.split("?")[0].removeprefix(cabinet.url)
    desk.past_the_menu()
    desk.follow(WORDS["way"]["review"])
    desk.past_the_menu()
    desk.follow(WORDS["way"]["review"])
    desk.said("Sent to review.")
    second = sit(cabinet.anna, "ru")
    second.open(address)
    second.follow(WORDS["way"]["live"])
    second.past_the_menu()
    second.follow(WORDS["way"]["live"])
    second.said("The listing is live: buyers see it.")
    assert second.visitor.faults() == []
    with cabinet.room.db.reading() as tx:
        catalogue = cabinet.room.marketplace.catalogue
        (found,) = catalogue.search(
            tx, Search(text="Young by keyboard"), buyers=[cabinet.stage.advertiser.organisation_id]
        )
    assert found.version.content.plans[0].question_minor == 7_550


@slow
def test_a_second_factor_is_set_up_and_used(cabinet: Cabinet, sit: Sit) -> None:
    clock = cabinet.stage.clock
    vera = person(cabinet.room, cabinet.stage.provider.organisation_id, "viewer", "tab@example.org")
    desk = sit(None, "ru")
    keys, page, t = desk.keys, desk.page, desk.t
    desk.visitor.go("/account/second-factor")
    sign_in(desk, vera.user.email)
    desk.past_the_menu()
    keys.write(t("Password"), PASSWORD)
    desk.follow("Set it up")
    text = page.locator("code.secret").inner_text()
    secret = base64.b32decode(text + "=" * (-len(text) % 8))
    desk.past_the_menu()
    keys.write(t("Code"), code_at(secret, step_of(clock.now())))
    keys.enter()
    expect(page.locator("h1")).to_have_text(t("Recovery codes"))
    desk.past_the_menu()
    desk.follow("I have kept them")
    desk.follow("Sign out")
    clock.move(seconds=30)
    sign_in(desk, vera.user.email)
    expect(page.locator("h1")).to_have_text(t("Second step"))
    expect(page.get_by_label(t("Code"), exact=True)).to_be_focused()
    page.keyboard.type(code_at(secret, step_of(clock.now())))
    keys.enter()
    expect(page.locator("h1")).to_have_text(t("Overview"))


def sign_in(desk: Desk, email: str) -> None:
    """The first field of the page has the focus."""
    expect(desk.page.get_by_label(desk.t("E-mail"))).to_be_focused()
    desk.page.keyboard.type(email)
    desk.keys.write(desk.t("Password"), PASSWORD)
    desk.keys.enter()


@slow
def test_what_was_typed_outlives_the_session(cabinet: Cabinet, sit: Sit) -> None:
    desk = sit(cabinet.anna, "ru")
    keys, page, t = desk.keys, desk.page, desk.t
    desk.open("/team")
    keys.write(t("E-mail"), "late@example.org")
    keys.pick(t(WORDS["role"]["finance"]))
    with cabinet.room.db.transaction() as tx:
        tx.session.execute(delete(SessionRow))
    desk.follow("Make the invitation")
    expect(page.locator("main")).to_contain_text(
        t("Your session has ended. What you typed is kept: sign in, look at it once more, and send it.")
    )
    sign_in(desk, cabinet.anna.user.email)
    expect(page.locator("h1")).to_have_text(t("Go on where you were"))
    expect(page.locator("main")).to_contain_text("late@example.org")
    desk.follow("Send it now")
    expect(page.get_by_label("late@example.org")).to_have_value(re.compile("/invitation/"))


@slow
def test_a_client_is_registered(cabinet: Cabinet, sit: Sit) -> None:
    desk = sit(cabinet.anna, "en")
    keys, page = desk.keys, desk.page
    desk.open("/clients")
    desk.follow("Register a client")
    desk.past_the_menu()
    keys.write("Name", "By keyboard")
    keys.pick("Data manager")
    keys.pick("A secret that the room makes")
    desk.follow("Register")
    desk.past_the_menu()
    keys.reach("Secret of By keyboard")
    # It is selected with the focus, so that one key copies it.
    assert (secret := page.evaluate("getSelection().toString()")).startswith("crs_")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    keys.reach("Copy")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Copied")).to_be_focused()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    desk.follow("Done")
    expect(page.locator("h1")).to_contain_text("By keyboard")
    assert desk.visitor.faults() == []


@slow
def test_a_key_is_to_be_replaced_and_the_focus_stays(cabinet: Cabinet, sit: Sit) -> None:
    desk = sit(cabinet.people["provider.data_manager"], "ru")
    keys, page, t = desk.keys, desk.page, desk.t
    desk.open("/keys")
    key = t("Replace: %(key)s of %(workspace)s")
    keys.follow(key % {"key": t("Secret of the tokens"), "workspace": "provider"})
    expect(page.locator("progress")).to_have_count(1)
    desk.past_the_menu()
    shred = f"{t('Shred this workspace')} : Pilot 2025"
    keys.reach(shred)
    # The page asks how far it is, and is drawn anew each time.
    for _ in range(2):
        with page.expect_response("**/keys") as asked:
            pass
        asked.value.finished()
    stop = keys.here()
    assert stop is not None
    assert stop.name == shred
    keys.reach(t("Take back"), back=True)
    keys.enter()
    expect(page.locator("progress")).to_have_count(0)


@slow
def test_notifications_are_read_on_a_phone(cabinet: Cabinet, sit: Sit) -> None:
    desk = sit(cabinet.anna, "ru", viewport=PHONE)
    keys, page, t = desk.keys, desk.page, desk.t
    desk.visitor.go("/")
    keys.reach(t("Menu"))
    keys.press("Enter")
    keys.reach(re.compile(f"^{t('Notifications')} "))
    keys.press("Escape")
    expect(page.locator("details.menu summary")).to_be_focused()
    keys.press("Enter")
    keys.reach(re.compile(f"^{t('Notifications')} "))
    keys.enter()
    desk.past_the_menu()
    unread = page.locator(".notices .unread")
    before = unread.count()
    assert before > 1
    keys.reach(re.compile(f"^{t('Mark read')}"))
    keys.enter()
    expect(unread).to_have_count(before - 1)
    desk.past_the_menu()
    keys.choose(t("Show"), t("Unread only"))
    expect(page.locator(".notices > li")).to_have_count(before - 1)
    expect(page.locator("#show")).to_be_focused()
    desk.follow("Mark all read")
    expect(unread).to_have_count(0)
    assert desk.visitor.faults() == []


@slow
def test_what_is_replaced_under_the_focus_gives_it_back(cabinet: Cabinet, sit: Sit) -> None:
    desk = sit(cabinet.anna, "en")
    keys, page = desk.keys, desk.page
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(re.compile(r"/requests\?.*q=."), hold)
    for text, then in (("ADVERT", "link"), ("no such", "rows")):
        desk.open("/requests")
        keys.write("Buyer", text)
        keys.reach("Size")
        with page.expect_response(re.compile("q=")):
            # The answer comes when one has gone on already.
            while not held:
                page.wait_for_timeout(20)
            held.pop().continue_()
        if then == "link":
            expect(page.locator("th[aria-sort=none]").get_by_role("link", name="Size")).to_be_focused()
        else:
            expect(page.locator("#rows")).to_contain_text("Nothing fits")
            expect(page.locator("#rows")).to_be_focused()


@slow
def test_prices_are_tried_and_a_statement_saved(cabinet: Cabinet, sit: Sit) -> None:
    market = Market.__new__(Market)
    market.stage = cabinet.stage
    market.next_month()
    desk = sit(cabinet.people["provider.finance"], "en")
    keys, page = desk.keys, desk.page
    desk.open("/listings")
    desk.follow("Shoppers")
    desk.past_the_menu()
    desk.follow("Price simulator")
    desk.past_the_menu()
    keys.write("Questions a month", "7")
    keys.enter()
    expect(page.get_by_label("Questions a month")).to_have_value("7")
    expect(page.locator(".figures")).to_contain_text("A month costs the buyer")
    desk.visitor.go("/")
    keys.follow("Earnings", role="link")
    desk.past_the_menu()
    desk.follow("November 2026", role="link")
    desk.past_the_menu()
    keys.reach("PDF In Russian")
    with page.expect_download() as saved:
        keys.press("Enter")
    assert saved.value.suggested_filename.endswith("-ru.pdf")
    assert Path(saved.value.path()).read_bytes().startswith(b"%PDF")
    assert desk.visitor.faults() == []


@slow
@pytest.mark.parametrize(("language", "size"), [("ru", None), ("en", PHONE)])
def test_every_page_is_gone_through_without_a_trap(
    cabinet: Cabinet, sit: Sit, places: dict[str, str], language: str, size: dict[str, int] | None
) -> None:
    found = {}
    for who, pages in ((None, ENTRANCE), (cabinet.anna, PAGES | FURTHER)):
        desk = sit(who, language, **({"viewport": size} if size else {}))
        for name, path in pages.items():
            desk.visitor.go(path.format(**places))
            # What is folded away is gone through too.
            desk.page.evaluate(
                "document.querySelectorAll('main details').forEach((one) => { one.open = true; })"
            )
            stops, missed = desk.keys.round()
            faults = [fault for stop in stops for fault in stop.faults()]
            found[name] = faults + [f"not reached: {one}" for one in missed]
            # Sessions of one browser, and requests of one buyer, may differ by less than a minute: in nothing shown.
            found[name] += alike(stops) if name not in ("account", "notifications") else []
    assert {name: faults for name, faults in found.items() if faults} == {}


@slow
def test_what_keeps_a_keyboard_out_would_be_found(cabinet: Cabinet, sit: Sit) -> None:
    desk = sit(None, "en")
    desk.visitor.go("/sign-in")
    desk.page.evaluate(
        """document.querySelector('main').insertAdjacentHTML('beforeend',
          '<button></button><button>Blind</button><p inert><a href="/">Twin</a></p>');
        document.querySelectorAll('main > button')[1].style.outline = 'none';"""
    )
    stops, missed = desk.keys.round()
    faults = [fault for stop in stops for fault in stop.faults()]
    assert [fault.split(":")[0] for fault in faults] == ["no name", "the focus is not seen"]
    assert len(missed) == 1
    assert "Twin" in missed[0]
    desk.page.evaluate(
        "document.querySelector('main > button').addEventListener('keydown', (event) => event.preventDefault())"
    )
    with pytest.raises(AssertionError, match="trapped"):
        desk.keys.round()
    assert alike([stop for stop in stops if stop.role == "button"] * 2) != []


def alike(stops: list[Stop]) -> list[str]:
    """Buttons and folds that only the eye can tell apart."""
    names = Counter((stop.role, stop.name) for stop in stops if stop.role in ("button", "DisclosureTriangle"))
    return [f"{many} times: {role} {name}" for (role, name), many in names.items() if many > 1]


def test_a_request_is_rejected_and_another_approved(cabinet: Cabinet, sit: Sit) -> None:
    entitlement, owner = cabinet.made["entitlement"], cabinet.stage.provider.organisation_id
    with cabinet.room.db.transaction() as tx:
        made = cabinet.room.marketplace.entitlements
        grant = made.entitlement(tx, entitlement, organisation_id=cabinet.stage.advertiser.organisation_id)
    assert grant is not None
    desk = sit(cabinet.people["provider.policy_manager"], "en")
    keys, page = desk.keys, desk.page
    desk.open(f"/requests/{cabinet.made['to_reject']}")
    keys.write("Reason for a rejection", "Name the season.\nAnd the term.")
    desk.follow("Reject")
    desk.said("Rejected")
    expect(page.locator("main")).to_contain_text("And the term.")
    desk.past_the_menu()
    desk.follow("Requests", role="link")
    # The list is filtered while one types, and the field keeps the focus.
    desk.past_the_menu()
    keys.write("Buyer", "no such")
    expect(page.locator("#rows")).to_contain_text("Nothing fits")
    expect(page.get_by_label("Buyer")).to_be_focused()
    keys.press("Control+a", "Delete")
    keys.choose("State", "Waiting")
    expect(page.locator("#rows tbody tr")).to_have_count(2)
    link = page.locator(f"a[href='/requests/{cabinet.made['to_approve']}']")
    for _ in range(30):
        keys.tab()
        if link.evaluate("one => one === document.activeElement"):
            break
    keys.enter()
    desk.past_the_menu()
    with cabinet.room.db.transaction() as tx:
        made.revoke(tx, entitlement, organisation_id=owner, reason="a test needs its budget")
    desk.follow("Approve")
    desk.said("Approved")
    assert desk.visitor.faults() == []
