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
    "requests": "/requests",
    "request": "/requests/{waiting}",
    "team": "/team",
    "account": "/account",
    "second factor": "/account/second-factor",
    "nothing": "/no/such/page",
}
ENTRANCE = {
    "sign in": "/sign-in",
    "forgotten": "/forgotten",
    "invitation": "/invitation/{invitation}",
    "reset": "/reset/{reset}",
    "first run": "/welcome/{welcome}",
    "a dead link": "/reset/no-such-link",
}
# Each language and each theme once; the other two pairs with the long runs.
SETTINGS = [
    ("en", "light"),
    ("ru", "dark"),
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
    return cabinet.made | links


@pytest.mark.parametrize(("language", "theme"), SETTINGS)
def test_pages_of_the_cabinet(
    cabinet: Cabinet, visit: Visit, places: dict[str, str], language: str, theme: str
) -> None:
    visitor = visit()
    visitor.enter(cabinet.anna)
    visitor.prefer(language, theme)
    found = {}
    for name, path in PAGES.items():
        visitor.go(path.format(**places))
        root = visitor.page.locator("html")
        expect(root).to_have_attribute("lang", language)
        expect(root).to_have_attribute("data-bs-theme", theme)
        assert visitor.page.locator("h1").count() == 1
        found[name] = visitor.faults()
    assert {name: faults for name, faults in found.items() if faults} == {}


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


@pytest.mark.parametrize("language", ["en", "ru"])
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
