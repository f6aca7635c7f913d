"""Selling in a real browser: from a draft to a live listing, offers that strangers do not see, prices, statements."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from cleanroom.marketplace.catalogue import Search
from cleanroom.marketplace.months import Month
from cleanroom.marketplace.simulating import Supposed, simulate
from cleanroom.marketplace.statement_files.types import MEDIA_TYPES, Format
from cleanroom.papers.text import Language
from provider_portal.i18n import Writing, translations
from provider_portal.wording import WORDS
from tests.market import Market, words
from tests.people_rooms import Person
from tests.portal.conftest import Visit
from tests.portal.test_access import Client
from tests.portal.world import Cabinet, Visitor, private_draft

LANGUAGES = ["en", pytest.param("ru", marks=pytest.mark.slow)]


@pytest.fixture
def market(cabinet: Cabinet) -> Market:
    """The served room's market; its first listing is there already."""
    made = Market.__new__(Market)
    made.stage = cabinet.stage
    with cabinet.room.db.reading() as tx:
        made.listing = made.services.listings.listing(
            tx, cabinet.made["listing"], organisation_id=made.provider
        )
    return made


@pytest.fixture
def client(cabinet: Cabinet) -> Iterator[Callable[[str], Client]]:
    opened: list[Client] = []

    def make(who: str) -> Client:
        opened.append(Client(cabinet, cabinet.people[who]))
        return opened[-1]

    yield make
    for one in opened:
        one.http.close()


def bearer(cabinet: Cabinet, organisation_id: str) -> dict[str, str]:
    access = cabinet.room.access
    with cabinet.room.db.transaction() as tx:
        program = access.clients.register(tx, organisation_id=organisation_id, name="p", role="owner")
    return {"Authorization": f"Bearer {access.issue_token(program.client).value}"}


def entered(cabinet: Cabinet, visit: Visit, who: Person, language: str = "en") -> Visitor:
    visitor = visit()
    visitor.enter(who)
    visitor.prefer(language)
    return visitor


def button(page: Page, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_listing_goes_live_by_two_people(
    cabinet: Cabinet, visit: Visit, market: Market, language: str
) -> None:
    t = translations(language).ugettext
    writer = entered(cabinet, visit, cabinet.people["provider.data_manager"], language)
    page = writer.page
    writer.go("/listings")
    page.get_by_role("link", name=t("New listing")).click()
    button(page, t("Continue")).click()
    title = f"Young people {language}"
    page.locator("[id='title.en']").fill(title)
    page.locator("[id='text.en']").fill("Receipts of two years,\nwith consent.")
    button(page, t("Add a segment")).click()
    # Another row, and everything that was typed.
    expect(page.locator("[id='title.en']")).to_have_value(title)
    page.locator("[id='segments.0.key']").fill("young")
    page.locator("[id='segments.0.ru']").fill("Молодые")
    page.locator("[id='segments.0.en']").fill("The young")
    page.locator("[id='segments.0.condition']").fill("age < 30")
    for name in ("attribute:age", "purpose:advertising", "kind:overlap"):
        page.locator(f"[name='{name}']").check()
    page.locator("[id='plans.0.question']").fill("75 roubles")
    button(page, t("Save as a draft")).last.click()
    expect(page.get_by_role("alert")).to_contain_text(t("Per question"))
    price = "75.50" if language == "en" else "75,50"
    page.locator("[id='plans.0.question']").fill(price)
    button(page, t("Save as a draft")).last.click()
    expect(page.get_by_role("alert")).to_contain_text(t("Title in Russian"))
    expect(page.locator("[id='segments.0.condition']")).to_have_value("age < 30")
    expect(page.locator("[id='plans.0.question']")).to_have_value(price)
    expect(page.locator("[name='kind:overlap']")).to_be_checked()
    page.locator("[id='title.ru']").fill("Молодые люди")
    button(page, t("Save as a draft")).last.click()
    expect(page.get_by_role("status")).to_contain_text(
        t("The listing is saved as a draft. Send it to review when it is ready.")
    )
    assert writer.faults() == []
    address = page.url.split("?")[0].removeprefix(cabinet.url)
    page.get_by_role("link", name=t("Send to review")).click()
    button(page, t("Send to review")).click()
    expect(page.get_by_role("status")).to_have_text(t("Sent to review."))
    # Whoever wrote it is told who is needed, and has no such button.
    expect(page.locator("main")).to_contain_text(t(WORDS["barrier"]["second"]))
    expect(page.get_by_role("link", name=t("Let it go live"))).to_have_count(0)
    assert writer.go(f"{address}/move/live") == 409

    second = entered(cabinet, visit, cabinet.anna, language)
    second.go(address)
    second.page.get_by_role("link", name=t("Let it go live")).click()
    button(second.page, t("Let it go live")).click()
    expect(second.page.get_by_role("status")).to_have_text(t("The listing is live: buyers see it."))
    with cabinet.room.db.reading() as tx:
        (found,) = market.services.catalogue.search(tx, Search(text=title), buyers=[market.advertiser])
    assert found.version.content.title.en == title
    assert found.version.content.plans[0].question_minor == 7_550
    assert found.version.content.plans[0].vat_bp == 2_000


def with_lines(text: str) -> str:
    return " ".join(text.split())


def test_a_preview_is_what_the_catalogue_has(cabinet: Cabinet, visit: Visit, market: Market) -> None:
    special = {"key": "special", "currency": "RUB", "cpm_minor": 100_000, "offered_to": [market.advertiser]}
    public = {"key": "public", "currency": "RUB", "cpm_minor": 150_000}
    made = market.live(title=words("Только тут", "Only here"), plans=[public, special])
    visitor = entered(cabinet, visit, cabinet.anna)
    offer = visitor.page.locator(".offer")
    visitor.go(f"/listings/{made.id}/preview?wording=live")
    expect(offer.locator("h2")).to_have_text("Only here")
    expect(offer.locator("h4")).to_have_text(["public"])
    assert market.advertiser not in visitor.page.locator(".shopfront").inner_html()
    visitor.go(f"/listings/{made.id}/preview")
    anybody = offer.inner_text()
    visitor.page.get_by_label("Buyer", exact=True).select_option(market.advertiser)
    button(visitor.page, "Show").click()
    expect(offer.locator("h4")).to_have_text(["public", "special"])
    assert offer.inner_text() != anybody
    with cabinet.room.db.reading() as tx:
        seen = market.services.catalogue.listing(tx, made.id, buyers=[market.advertiser])
    text = with_lines(offer.inner_text())
    writing = Writing("en", market.services.usage.zone)
    for plan in seen.version.content.plans:
        assert with_lines(writing.amount(plan.cpm_minor, plan.currency)) in text
        assert with_lines(writing.amount(plan.cpm_minor * 10, plan.currency)) in text
    assert visitor.faults() == []


def test_a_private_offer_is_nobody_elses_business(
    cabinet: Cabinet, client: Callable[[str], Client], market: Market
) -> None:
    stranger = market.stage.parties.get("stranger") or market.stage.party("stranger")
    manager, owner = client("provider.data_manager"), client("provider.owner")
    dataset_id = cabinet.made["dataset"]
    form = manager(f"GET /listings/new?dataset={dataset_id}").text
    assert f"buyer:{market.advertiser}" in form
    assert stranger.organisation_id not in form
    assert ">stranger<" not in form
    typed = {
        "dataset": dataset_id,
        "title.ru": "Частное",
        "title.en": "Private",
        "purpose:advertising": "on",
        "kind:overlap": "on",
        "size:S": "on",
        "days": "30",
        "plans": "1",
        "plans.0.key": "special",
        "plans.0.currency": "RUB",
        "plans.0.flat": "1000",
        "plans.0.others": "stranger",
    }
    refused = manager("POST /listings/new", typed)
    assert refused.status_code == 400
    assert "org_" in refused.text
    # Whether an organisation exists is not told: one that does not is taken like any other.
    answers = [
        manager("POST /listings/new", typed | {"plans.0.others": one}).status_code
        for one in (stranger.organisation_id, "org_nobody")
    ]
    assert answers == [303, 303]
    made = manager(
        "POST /listings/new", typed | {"plans.0.others": "", f"plans.0.buyer:{market.advertiser}": "on"}
    )
    address = made.headers["location"].split("?")[0]
    assert manager(f"POST {address}/move/review").status_code == 303
    assert manager(f"POST {address}/move/live").status_code == 409
    assert owner(f"POST {address}/move/live").status_code == 303
    listing_id = address.rsplit("/", 1)[1]
    url = f"{cabinet.url}/v1/listings"
    theirs = bearer(cabinet, stranger.organisation_id)
    own = bearer(cabinet, market.advertiser)
    assert httpx.get(f"{url}/{listing_id}", headers=own).status_code == 200
    assert listing_id in httpx.get(f"{url}?q=private", headers=own).text
    assert market.advertiser not in httpx.get(f"{url}/{listing_id}", headers=own).text
    hidden, none = (
        httpx.get(f"{url}/{one}", headers=theirs) for one in (listing_id, listing_id[:-6] + "000000")
    )
    assert (hidden.status_code, none.status_code) == (404, 404)
    assert hidden.json()["detail"] == none.json()["detail"]
    assert listing_id not in httpx.get(f"{url}?q=private", headers=theirs).text


def test_a_listing_is_paused_with_the_keyboard_alone(cabinet: Cabinet, visit: Visit, market: Market) -> None:
    made = market.live(title=words("Клавиши", "Keys"))
    visitor = entered(cabinet, visit, cabinet.anna)
    page, keys = visitor.page, visitor.page.keyboard
    visitor.go(f"/listings/{made.id}")

    def reach(name: str) -> None:
        for _ in range(60):
            keys.press("Tab")
            if page.evaluate("document.activeElement.textContent.trim()") == name:
                with page.expect_navigation():
                    keys.press("Enter")
                return
        raise AssertionError(name)

    reach("Pause")
    expect(page.locator("h1")).to_have_text("Pause: Keys")
    reach("Pause")
    expect(page.get_by_role("status")).to_contain_text("The listing is paused")
    reach("Offer it again")
    reach("Let it go live")
    expect(page.get_by_role("status")).to_contain_text("The listing is live")
    with cabinet.room.db.reading() as tx:
        assert market.services.catalogue.listing(tx, made.id, buyers=[market.advertiser]).id == made.id


def test_the_simulator_shows_what_the_pricing_code_says(
    cabinet: Cabinet, client: Callable[[str], Client], market: Market
) -> None:
    supposed = Supposed(questions=7, people=4_321, months=5, segments=2)
    plan = market.listing.version.content.plans[0]
    told = simulate(plan, supposed, fee_bp=cabinet.room.settings.operator_fee_bp)
    writing = Writing("en", market.services.usage.zone)
    call = client("provider.finance")
    address = (
        f"GET /listings/{market.listing.id}/prices?plan=monthly&questions=7&people=4321&months=5&segments=2"
    )
    text = call(address).text
    amounts = [told.month_net, told.month_gross, told.month_share, told.month_share * 5, told.month_net * 5]
    for amount in amounts:
        assert writing.money(amount) in text
    for wrong in ("questions=x", "months=0", "people=99999999999", "questions=10001", "segments=-1"):
        assert call(f"GET /listings/{market.listing.id}/prices?{wrong}").status_code == 400


def test_the_operator_reviews(cabinet: Cabinet, client: Callable[[str], Client], market: Market) -> None:
    drafts = [private_draft(market, "us_1") for _ in range(2)]
    waiting = [one.id for one in drafts]
    call = client("operator.operator")
    queue = call("GET /reviews").text
    assert all(f"/reviews/{one}" in queue for one in waiting)
    assert call(f"POST /reviews/{waiting[0]}", {"to": "retired"}).status_code == 400
    assert call(f"POST /reviews/{market.listing.id}", {"to": "live"}).status_code == 404
    # What was written after the operator looked does not go live unseen.
    unseen = {"to": "live", "version": market.listing.version.id}
    assert call(f"POST /reviews/{waiting[0]}", unseen).status_code == 409
    assert f'name="version" value="{drafts[0].version.id}"' in call(f"GET /reviews/{waiting[0]}").text
    for one, to in zip(waiting, ("live", "draft"), strict=True):
        assert call(f"POST /reviews/{one}", {"to": to}).headers["location"] == f"/reviews?done={to}"
        assert call(f"GET /reviews/{one}").status_code == 404
        with cabinet.room.db.reading() as tx:
            made = market.services.listings.listing(tx, one, organisation_id=market.provider)
        assert made.state == to


def test_a_sample_is_released_once_and_shown(
    cabinet: Cabinet, client: Callable[[str], Client], market: Market
) -> None:
    call = client("provider.policy_manager")
    address = f"/listings/{market.listing.id}/sample/advertising"
    assert "charged to the privacy budget of every buyer" in call(f"GET {address}").text
    before = len(cabinet.stage.events("grants.public_release_charged"))
    assert [call(f"POST {address}").status_code for _ in range(2)] == [303, 303]
    assert len(cabinet.stage.events("grants.public_release_charged")) == before + 1
    assert call(f"POST /listings/{market.listing.id}/sample/research").status_code == 404
    preview = call(f"GET /listings/{market.listing.id}/preview").text
    with cabinet.room.db.reading() as tx:
        seen = market.services.catalogue.listing(tx, market.listing.id, buyers=[])
    value = seen.sizes["advertising"].value
    assert f"about {Writing('en', market.services.usage.zone).number(value)} people" in preview


def test_statements_are_the_services_own_bytes(
    cabinet: Cabinet, visit: Visit, client: Callable[[str], Client], market: Market
) -> None:
    # The last test of the room: its clock goes on to the next month.
    market.next_month()
    market.mint()
    call, operator = client("provider.finance"), client("operator.operator")
    files, month = market.services.statement_files, Month(2026, 11)
    operators = cabinet.people["operator.operator"].user.organisation_id
    for caller, who, forms in ((call, market.provider, tuple(Format)), (operator, operators, (Format.CSV,))):
        with cabinet.room.db.reading() as tx:
            document = files.document(tx, who, month)
        assert document.statement.complete
        for form, language in product(forms, Language):
            expected = files.write(document, form, language)
            answer = caller(f"GET /earnings/2026-11.{form}?lang={language}")
            assert answer.content == expected.content, (form, language)
            assert answer.headers["content-type"] == MEDIA_TYPES[form]
            assert answer.headers["content-disposition"] == f'attachment; filename="{expected.name}"'
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
    for wrong in ("2026-11.exe", "2026-13.csv", "2026-11.csv?lang=de", "x.pdf"):
        assert call(f"GET /earnings/{wrong}").status_code == 404
    assert client("provider.finance")("GET /datasets").status_code == 403
    visitor = entered(cabinet, visit, cabinet.people["provider.finance"])
    visitor.go("/earnings")
    page = visitor.page
    assert visitor.faults() == []
    page.get_by_role("link", name="November 2026", exact=True).click()
    expect(page.locator("h1")).to_have_text("Statement: November 2026")
    assert visitor.faults() == []
    with page.expect_download() as download:
        page.locator("a[href='/earnings/2026-11.pdf?lang=ru']").click()
    assert download.value.suggested_filename == f"statement-2026-11-{market.provider}-ru.pdf"
