"""An officer at a browser: what it hashes and recomputes by itself, and the way by keyboard alone."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route, expect
from pypdf import PdfReader

from cleanroom.client.certificates import verify_certificate
from tests.portal.test_by_keyboard import Sit, sit
from tests.portal.world import Cabinet, Visitor
from tests.rooms import email

__all__ = ["sit"]
pytestmark = pytest.mark.slow
Visit = Callable[..., Visitor]


def test_a_browser_recomputes_a_proof_and_sees_one_that_was_changed(cabinet: Cabinet, visit: Visit) -> None:
    visitor = visit()
    visitor.enter(cabinet.people["provider.officer"])
    place = f"/compliance/events/{cabinet.made['event']}"
    visitor.go(place)
    button = visitor.page.get_by_role("button", name="Recompute in this browser")
    result = visitor.page.locator("#browser-result")
    button.click()
    expect(result).to_contain_text("Your browser has recomputed it: the record leads to the")
    assert visitor.faults() == []

    def forge(change: Callable[[dict[str, Any]], None]) -> None:
        def answer(route: Route) -> None:
            given = json.loads(route.fetch().text())
            change(given)
            route.fulfill(json=given)

        visitor.page.unroute("**/proof.json")
        visitor.page.route("**/proof.json", answer)
        visitor.go(place)
        button.click()
        expect(result).to_contain_text("it does not hold")

    forge(lambda given: given.update(record=given["record"].replace("advertising", "research")))
    forge(lambda given: given.update(index=given["index"] + 1))
    forge(lambda given: given.update(proof=given["proof"][:-1]))
    forge(lambda given: given.update(proof=[*given["proof"][1:], given["proof"][0]]))
    other = given_root(cabinet)
    forge(lambda given: given.update(checkpoint=given["checkpoint"].replace(other, other[::-1])))


def given_root(cabinet: Cabinet) -> str:
    """The root in the log's head, as its text has it."""
    with cabinet.room.db.reading() as tx:
        return str(cabinet.room.audit.head(tx)).split("\n")[2]


def test_an_identifier_is_hashed_in_the_page_and_never_sent(cabinet: Cabinet, visit: Visit) -> None:
    visitor = visit()
    visitor.enter(cabinet.people["provider.officer"])
    sent: list[str] = []
    visitor.page.on("request", lambda request: sent.append(f"{request.url} {request.post_data}"))
    visitor.go("/compliance/lookup")
    page = visitor.page
    plain, digest = page.locator("#plain"), page.locator("#digest")
    plain.fill(f" {email(5).upper()} ")
    expected = hashlib.sha256(email(5).encode()).hexdigest()
    expect(digest).to_have_value(expected)
    plain.fill("not an address")
    expect(digest).to_have_value("")
    expect(page.locator("#plain-said")).to_have_text("This is no such identifier.")
    page.locator("#key").select_option("person_id/sha256")
    plain.fill("p5")
    expect(digest).to_have_value(hashlib.sha256(b"p5").hexdigest())
    page.locator("#key").select_option("email/room")
    plain.fill(email(5))
    page.get_by_role("button", name="Look up").click()
    expect(page.locator("h1")).to_have_text("Held in people")
    assert visitor.faults() == []
    assert page.url == f"{cabinet.url}/compliance/lookup"
    name = email(5).partition("@")[0]
    assert [one for one in sent if expected in one]
    assert [one for one in sent if re.search(rf"\b{re.escape(name)}(@|%40)", one)] == []
    page.go_back()
    expect(plain).to_have_value("")


def test_an_alarm_by_keyboard_from_the_questions_to_its_note(cabinet: Cabinet, sit: Sit) -> None:
    desk = sit(cabinet.people["provider.officer"], "ru")
    keys, page, t = desk.keys, desk.page, desk.t
    desk.open("/compliance/overview")
    desk.follow(f"{t('Questions that hardly differ')}: advertiser")
    desk.past_the_menu()
    keys.write(t("What you found"), "Два варианта одного отчёта")
    desk.follow("Acknowledge")
    desk.said("Acknowledged. Your note stands in the log.")
    expect(page.locator("blockquote")).to_have_text("Два варианта одного отчёта")


def test_a_proof_and_a_bundle_by_keyboard(cabinet: Cabinet, sit: Sit) -> None:
    desk = sit(cabinet.people["provider.officer"], "en")
    keys, page = desk.keys, desk.page
    desk.open(f"/compliance/events/{cabinet.made['event']}")
    keys.reach("Recompute in this browser")
    keys.press("Enter")
    desk.said(
        "Your browser has recomputed it: the record leads to the signed head, and the signature is the room's."
    )
    desk.open("/compliance/evidence")
    desk.follow("Make a bundle")
    expect(page.locator("#rows")).to_contain_text("Being made")
    assert cabinet.room.bundles.make_next()
    # The part of the page asks again by itself.
    expect(page.locator("#rows")).not_to_contain_text("Being made")
    expect(page.locator("#rows")).to_contain_text("Ready")


def test_a_certificate_and_an_act_by_keyboard_from_the_questions(cabinet: Cabinet, sit: Sit) -> None:
    desk = sit(cabinet.people["provider.officer"], "ru")
    keys, page, t = desk.keys, desk.page, desk.t
    desk.open("/compliance/overview")
    desk.follow("Erasures and acts")
    desk.past_the_menu()
    # The part of the page with the rows comes anew, and the address says what it shows.
    keys.choose(t("State"), t("Erased"))
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    page.wait_for_url("**state=erased**")
    keys.follow("2026-117")
    desk.past_the_menu()
    keys.reach(t("Certificate"))
    with page.expect_download() as taken:
        keys.press("Enter")
    proven = verify_certificate(
        Path(taken.value.path()).read_bytes(), verifier_key=cabinet.room.audit.verifier_key
    )
    assert proven.dataset_id == cabinet.made["dataset"]
    assert taken.value.suggested_filename == f"erasure-{cabinet.made['erasure']}.json"
    desk.open("/compliance/acts")
    keys.reach(f"{t('Act No. %(number)s') % {'number': 1}}: {t('In Russian')}")
    with page.expect_download() as taken:
        keys.press("Enter")
    assert Path(taken.value.path()).read_bytes().startswith(b"%PDF")
    assert taken.value.suggested_filename == "act-1-ru.pdf"


def test_an_incident_by_keyboard_from_its_discovery_to_its_report(cabinet: Cabinet, sit: Sit) -> None:
    desk = sit(cabinet.people["provider.officer"], "en")
    keys, page = desk.keys, desk.page
    desk.open("/compliance/incidents")
    desk.follow("Enter an incident")
    desk.past_the_menu()
    keys.write("In a few words", "A file went to another")
    keys.write("What happened", "A file was sent to somebody it was not for.")
    desk.follow("Enter it")
    desk.said("Entered. Its terms run from the discovery on.")
    desk.past_the_menu()
    desk.follow("Enter what it concerns")
    desk.past_the_menu()
    keys.choose("Dataset or base", "people")
    keys.write("From version", "3")
    keys.write("To version", "1")
    keys.write("Why it changes, if it has to be said", "The file names its version.")
    desk.follow("Enter it")
    expect(page.get_by_role("alert")).to_contain_text("a range goes from its first to its last")
    expect(page.locator("#dataset_id option:checked")).to_have_text("people")
    expect(page.locator("#version_from")).to_have_value("3")
    expect(page.locator("#text")).to_have_value("The file names its version.")
    assert desk.visitor.faults() == []
    desk.past_the_menu()
    keys.write("To version", "3")
    desk.follow("Enter it")
    desk.said("What it concerns is entered.")
    expect(page.locator("main")).to_contain_text("people; version 3")
    desk.past_the_menu()
    for language, name in (("Russian", "Отчёт"), ("English", "Report on an incident")):
        keys.reach(f"PDF in {language}")
        with page.expect_download() as taken:
            keys.press("Enter")
        words = PdfReader(taken.value.path()).pages[0].extract_text()
        assert name in words
    keys.reach("JSON")
    with page.expect_download() as taken:
        keys.press("Enter")
    report = json.loads(Path(taken.value.path()).read_text(encoding="utf-8"))
    assert report["incident"]["scope"]["dataset_id"] == cabinet.made["dataset"]
    assert [one["kind"] for one in report["entries"]] == ["opened", "scope"]
    assert desk.visitor.faults() == []
