"""Every page in a real browser, in both languages and both themes: nothing blocked, nothing complained, nothing cut."""

import pytest
from playwright.sync_api import expect

from tests.portal.conftest import Visit
from tests.portal.world import PHONE, Cabinet

PAGES = {
    "overview": "/",
    "datasets": "/datasets",
    "datasets without any": "/datasets?q=no+such+name",
    "dataset": "/datasets/{dataset}",
    "report": "/datasets/{dataset}/versions/{version}",
    "report with faults": "/datasets/{dataset}/versions/{faulty}",
    "listings": "/listings",
    "listing": "/listings/{listing}",
    "listing in review": "/listings/{private}",
    "the form of a listing": "/listings/{private}/edit",
    "preview": "/listings/{listing}/preview",
    "price simulator": "/listings/{listing}/prices",
    "usage": "/usage",
    "ledger": "/budgets/{dataset}",
    "earnings": "/earnings",
    "statement": "/earnings/2026-11",
    "policy": "/datasets/{dataset}/policy",
    "policy as a form": "/datasets/{dataset}/policy/edit",
    "policy as text": "/datasets/{dataset}/policy/edit?view=text&from=strict",
    "version of a policy": "/datasets/{dataset}/policy/versions/2",
    "kill switch": "/datasets/{dataset}/policy/stop",
    "red team": "/datasets/{dataset}/policy/trials/{trial}",
    "questions": "/requests/questions",
    "question": "/requests/questions/{question}",
    "report to decide": "/datasets/{dataset}/versions/{shared}",
    "changes": "/datasets/{dataset}/versions/{faulty}/changes",
    "no changes": "/datasets/{dataset}/versions/{version}/changes",
    "retire": "/datasets/{dataset}/versions/{version}/remove",
    "delete a version": "/datasets/{dataset}/versions/{faulty}/remove",
    "delete a dataset": "/datasets/{dataset}/delete",
    "new dataset": "/datasets/new",
    "another like it": "/datasets/new?like={dataset}",
    "load": "/datasets/{dataset}/load",
    "upload": "/datasets/{dataset}/uploads/{upload}",
    "requests": "/requests",
    "request": "/requests/{waiting}",
    "notifications": "/notices",
    "notifications without any": "/notices?type=webhook_disabled&show=unread",
    "what to tell": "/notices/settings",
    "team": "/team",
    "clients": "/clients",
    "new client": "/clients/new",
    "client": "/clients/{client}",
    "webhooks": "/webhooks",
    "webhook": "/webhooks/{hook}",
    "keys": "/keys",
    "two people": "/four-eyes",
    "ask for a shredding": "/four-eyes/new?deed=shred_workspace",
    "ask for an override": "/four-eyes/new?deed=unsafe_policy",
    "what waits for a second person": "/four-eyes/{ask}",
    "event": "/compliance/events/{event}",
    "budget by party": "/compliance/budgets/{dataset}",
    "account": "/account",
    "second factor": "/account/second-factor",
    "nothing": "/no/such/page",
}
# Whose parts are on other pages too: with the long runs.
FURTHER = {
    "a new listing": "/listings/new",
    "the form of a new listing": "/listings/new?dataset={dataset}",
    "version of a listing": "/listings/{private}/versions/2",
    "move": "/listings/{listing}/move/retired",
    "sample": "/listings/{listing}/sample/advertising",
    "preview for nobody": "/listings/{private}/preview",
    "budgets": "/budgets",
    "questions and answers": "/compliance/overview",
    "timeline": "/compliance/events",
    "timeline without any": "/compliance/events?subject=none",
    "checks of the log": "/compliance/events/checks",
    "alarms": "/compliance/alarms",
    "alarms without any": "/compliance/alarms?kind=witness",
    "alarm": "/compliance/alarms/{alarm}",
    "releases": "/compliance/releases",
    "releases without any": "/compliance/releases?q=nobody",
    "release": "/compliance/releases/{answer}",
    "versions of rules": "/compliance/policies",
    "version of a rule": "/compliance/policies/{dataset}/2",
    "approvals": "/compliance/approvals",
    "approval": "/compliance/approvals/{question}",
    "budgets by party": "/compliance/budgets",
    "incidents": "/compliance/incidents",
    "incident": "/compliance/incidents/{incident}",
    "a new incident": "/compliance/incidents/new",
    "what an incident concerns": "/compliance/incidents/{incident}/scope",
    "requests to erase": "/compliance/erasures",
    "requests to erase without any": "/compliance/erasures?state=erased&dataset=none",
    "request to erase": "/compliance/erasures/{erasure}",
    "request to erase that waits": "/compliance/erasures/{erasure_waits}",
    "acts": "/compliance/acts",
    "acts without any": "/compliance/acts?kind=workspace_shredded",
    "what ends next": "/compliance/retention",
    "evidence": "/compliance/evidence",
    "look up": "/compliance/lookup",
    "purposes and notices": "/compliance/purposes",
    "notice": "/compliance/notices/marketing/2",
    "epochs": "/compliance/epochs",
    "epoch": "/compliance/epochs/{dataset}/1",
    "record of processing": "/compliance/processing",
    "deeds of two people": "/compliance/two-people",
    "deed of two people": "/compliance/two-people/{ask}",
}
OTHERS = {
    "operator.operator": ("/", "/reviews", "/reviews/{private}", "/earnings", "/team", "/notices"),
    "operator.officer": (
        "/compliance/overview",
        "/compliance/events",
        "/compliance/events/{event}",
        "/compliance/alarms",
        "/compliance/alarms/{alarm_room}",
        "/compliance/two-people/{ask}",
        "/compliance/incidents",
        "/compliance/incidents/{incident_room}",
        "/compliance/incidents/{incident_room}/scope",
        "/compliance/erasures",
        "/compliance/erasures/{erasure}",
        "/compliance/acts",
        "/compliance/retention",
        "/compliance/evidence",
    ),
    "advertiser.officer": (
        "/compliance/overview",
        "/compliance/erasures",
        "/compliance/acts",
        "/compliance/retention",
    ),
    "rival.officer": ("/compliance/erasures", "/compliance/acts", "/compliance/retention"),
    "advertiser.owner": ("/", "/clients", "/webhooks", "/keys", "/four-eyes", "/team", "/notices"),
}
"""What organisations of other kinds open."""
ENTRANCE = {
    "sign in": "/sign-in",
    "forgotten": "/forgotten",
    "invitation": "/invitation/{invitation}",
    "reset": "/reset/{reset}",
    "first run": "/welcome/{welcome}",
    "a dead link": "/reset/no-such-link",
}
# One pair shows most of what breaks; the others with the long runs.
SETTINGS = [
    ("ru", "dark"),
    pytest.param("en", "light", marks=pytest.mark.slow),
    pytest.param("en", "dark", marks=pytest.mark.slow),
    pytest.param("ru", "light", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def places(cabinet: Cabinet) -> dict[str, str]:
    """What addresses hold: ids, and links that nobody has used."""
    room = cabinet.room
    with room.db.transaction() as tx:
        invited = room.access.users.invite(
            tx, organisation_id=cabinet.stage.provider.organisation_id, email="new@example.org", role="viewer"
        )
        reset = room.signin.links.reset(tx, cabinet.people["provider.viewer"].user.id)
        welcome = room.signin.links.first_run(tx)
    links = {"invitation": invited.invitation, "reset": reset.token, "welcome": welcome.token}
    own = {"client": cabinet.made["client.provider"], "hook": cabinet.made["hook.provider"]}
    own["incident_room"] = cabinet.made["incident.operator"]
    return cabinet.made | own | links


@pytest.mark.parametrize(("language", "theme"), SETTINGS)
def test_pages_of_the_cabinet(
    cabinet: Cabinet, visit: Visit, places: dict[str, str], language: str, theme: str
) -> None:
    visitor = visit()
    visitor.enter(cabinet.anna)
    visitor.prefer(language, theme)
    found = {}
    for name, path in (PAGES | (FURTHER if (language, theme) not in SETTINGS else {})).items():
        visitor.go(path.format(**places))
        root = visitor.page.locator("html")
        expect(root).to_have_attribute("lang", language)
        expect(root).to_have_attribute("data-bs-theme", theme)
        assert visitor.page.locator("h1").count() == 1
        found[name] = visitor.faults()
    assert {name: faults for name, faults in found.items() if faults} == {}


@pytest.mark.slow
@pytest.mark.parametrize("who", OTHERS)
@pytest.mark.parametrize(("language", "theme"), [("en", "light"), ("ru", "dark")])
def test_pages_of_organisations_of_other_kinds(
    cabinet: Cabinet, visit: Visit, places: dict[str, str], who: str, language: str, theme: str
) -> None:
    visitor = visit()
    visitor.enter(cabinet.people[who])
    visitor.prefer(language, theme)
    found = {}
    for path in OTHERS[who]:
        visitor.go(path.format(**places))
        expect(visitor.page.locator("html")).to_have_attribute("lang", language)
        assert visitor.page.locator("h1").count() == 1
        found[path] = visitor.faults()
    assert {path: faults for path, faults in found.items() if faults} == {}


@pytest.mark.parametrize(("language", "theme"), SETTINGS)
def test_pages_of_the_entrance(
    cabinet: Cabinet, visit: Visit, places: dict[str, str], language: str, theme: str
) -> None:
    visitor = visit()
    visitor.prefer(language, theme)
    found = {}
    for name, path in ENTRANCE.items():
        visitor.go(path.format(**places))
        expect(visitor.page.locator("html")).to_have_attribute("lang", language)
        found[name] = visitor.faults()
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_a_fault_would_be_found(cabinet: Cabinet, visit: Visit) -> None:
    visitor = visit()
    visitor.go("/sign-in")
    assert visitor.faults() == []
    visitor.page.evaluate(
        "document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=x><p style=\"color:red\">x</p>');"
        "console.error('a complaint')"
    )
    found = " ".join(visitor.faults())
    assert "image-alt" in found
    assert "style-src" in found
    assert "a complaint" in found


@pytest.mark.slow
def test_no_further_page_is_wider_than_a_phone(
    cabinet: Cabinet, visit: Visit, places: dict[str, str]
) -> None:
    visitor = visit(viewport=PHONE)
    visitor.prefer("ru")
    visitor.enter(cabinet.anna)
    for path in FURTHER.values():
        visitor.go(path.format(**places))
        assert visitor.sideways() == 0, path


@pytest.mark.parametrize("language", [pytest.param("en", marks=pytest.mark.slow), "ru"])
def test_nothing_is_wider_than_a_phone(
    cabinet: Cabinet, visit: Visit, places: dict[str, str], language: str
) -> None:
    visitor = visit(viewport=PHONE)
    visitor.prefer(language)
    sideways = {}
    for name, path in ENTRANCE.items():
        visitor.go(path.format(**places))
        sideways[name] = visitor.sideways()
    visitor.enter(cabinet.anna)
    for name, path in PAGES.items():
        visitor.go(path.format(**places))
        sideways[name] = visitor.sideways()
    assert {name: pixels for name, pixels in sideways.items() if pixels} == {}
    visitor.go("/")
    visitor.page.locator("summary", has_text="Menu" if language == "en" else "Меню").click()
    expect(
        visitor.page.get_by_role("link", name="Datasets" if language == "en" else "Наборы данных").last
    ).to_be_visible()
    assert visitor.faults() == []
    visitor.page.keyboard.press("Escape")
    expect(visitor.page.locator("details.menu")).not_to_have_attribute("open", "")


def test_the_browsers_language_counts_until_one_is_chosen(cabinet: Cabinet, visit: Visit) -> None:
    visitor = visit(locale="ru-RU")
    visitor.go("/sign-in")
    expect(visitor.page.locator("h1")).to_have_text("Войти")
    visitor.page.get_by_role("button", name="English").click()
    expect(visitor.page.locator("h1")).to_have_text("Sign in")
    visitor.go("/sign-in")
    expect(visitor.page.locator("h1")).to_have_text("Sign in")


def test_a_theme_follows_the_system_unless_one_is_chosen(cabinet: Cabinet, visit: Visit) -> None:
    visitor = visit(color_scheme="dark")
    visitor.go("/sign-in")
    root = visitor.page.locator("html")
    expect(root).to_have_attribute("data-bs-theme", "dark")
    visitor.page.get_by_role("button", name="Light").click()
    expect(root).to_have_attribute("data-bs-theme", "light")
    assert visitor.faults() == []


def test_a_first_page_is_small(cabinet: Cabinet, visit: Visit) -> None:
    visitor = visit()
    visitor.enter(cabinet.anna)
    sizes: list[int] = []
    visitor.page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    visitor.go("/")
    visitor.page.wait_for_load_state("networkidle")
    assert len(sizes) >= 5
    assert sum(sizes) < 200_000


def test_money_numbers_and_days_are_written_as_the_language_has_them(
    cabinet: Cabinet, visit: Visit, places: dict[str, str]
) -> None:
    visitor = visit()
    visitor.enter(cabinet.anna)
    for language, people, day in (("en", "3,000", "22 Nov 2026"), ("ru", "3\u00a0000", "22 нояб. 2026")):
        visitor.prefer(language)
        visitor.go("/datasets/{dataset}".format(**places))
        main = visitor.page.locator("main")
        expect(main).to_contain_text(people)
        expect(main).to_contain_text(day)
