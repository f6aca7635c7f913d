"""The marketplace over HTTP: from an offer to the end of an entitlement, and the books of both sides."""

import csv
import io

import pytest

from cleanroom.access.scopes import LISTINGS_WRITE, REQUESTS_WRITE, ROLES
from tests.api import shop
from tests.api.test_matrix import CALLERS
from tests.api.test_routes import NOBODY
from tests.api.world import KINDS, World
from tests.rooms import PURPOSE


def test_from_an_offer_to_the_end_of_an_entitlement(world: World) -> None:
    listing = shop.live(world)
    found = world.call("advertiser.viewer", "GET", "/v1/listings?q=ёлки&attribute=age").json()["items"]
    assert [one["id"] for one in found] == [listing]
    assert found[0]["content"]["plans"] == [shop.PLAN]
    assert found[0]["provider"]["name"] == "provider"
    assert found[0]["version"]["written_by"] is None
    request = shop.asked(world, listing=listing, size="M", note="for the autumn").json()
    assert (request["state"], request["entitlement"]) == ("pending", None)
    path = f"/v1/entitlement-requests/{request['id']}"
    assert world.call("advertiser.viewer", "GET", path).json()["impact"] is None
    waiting = world.call("provider.viewer", "GET", "/v1/entitlement-requests?state=pending").json()["items"]
    assert [one["advertiser"]["name"] for one in waiting] == ["advertiser"]
    impact = world.call("provider.viewer", "GET", path).json()["impact"]
    assert {one["kind"]: one["left_after_micro"] for one in impact["accounts"]} == {
        "total": 950_000 - 20_000,
        "advertiser": 95_000 - 20_000,
    }
    given = world.call("provider.policy_manager", "POST", path + "/approve")
    assert given.status_code == 200, given.text
    assert world.call("provider.owner", "POST", path + "/approve").json() == given.json()
    entitlement = given.json()
    assert world.call("advertiser.viewer", "GET", "/v1/entitlements").json()["items"] == [entitlement]
    assert (entitlement["state"], entitlement["plan"]) == ("active", shop.PLAN)
    ended = world.call(
        "provider.policy_manager",
        "POST",
        f"/v1/entitlements/{entitlement['id']}/revoke",
        {"reason": "the contract ended"},
    ).json()
    assert (ended["state"], ended["end_reason"]) == ("revoked", "the contract ended")
    seen = world.call("advertiser.viewer", "GET", f"/v1/entitlements/{entitlement['id']}").json()
    assert seen["state"] == "revoked"


def test_whoever_left_offers_nothing_and_what_was_bought_of_it_has_ended(world: World) -> None:
    listing, entitlement = shop.live(world), shop.bought(world)
    with world.stage.room.db.transaction() as tx:
        world.stage.room.offboarding.leave(tx, world.stage.provider.organisation_id)
    assert world.call("advertiser.buyer", "GET", "/v1/listings").json()["items"] == []
    refused = shop.asked(world, listing=listing, kinds=["match_test"], size="S")
    assert (refused.status_code, refused.json()["code"]) == (404, "marketplace.unknown_listing")
    seen = world.call("advertiser.viewer", "GET", f"/v1/entitlements/{entitlement}").json()
    assert (seen["state"], seen["end_reason"]) == ("revoked", "A party to it has left the room.")


def test_an_agency_asks_for_the_advertiser_that_it_names_and_sees_that_one_only(world: World) -> None:
    nameless = {"Cleanroom-Advertiser": ""}
    assert world.call("agency.viewer", "GET", "/v1/listings", headers=nameless).status_code == 400
    entitlement = shop.entitlement_id(world)
    seen = world.call("agency.viewer", "GET", "/v1/entitlements").json()["items"]
    assert [one["id"] for one in seen] == [entitlement]
    assert seen[0]["agency"]["name"] == "agency"
    assert seen[0]["advertiser"]["id"] == world.party("advertiser").organisation_id
    other = world.party("rival_advertiser").organisation_id
    body = {"agency_id": world.party("agency").organisation_id}
    assert world.call("rival_advertiser.owner", "POST", "/v1/mandates", body).status_code == 201
    for path in ("/v1/entitlements", "/v1/entitlement-requests", "/v1/statements", "/v1/usage?month=2026-11"):
        answer = world.call("agency.viewer", "GET", path, headers={"Cleanroom-Advertiser": other})
        assert answer.json()["items"] == [], path
    for path in (
        f"/v1/entitlements/{entitlement}",
        f"/v1/entitlement-requests/{seen[0]['request_id']}",
    ):
        answer = world.call("agency.viewer", "GET", path, headers={"Cleanroom-Advertiser": other})
        assert answer.status_code == 404, path
    withdraw = f"/v1/entitlement-requests/{shop.request_id(world)}/withdraw"
    elsewhere = world.call("agency.buyer", "POST", withdraw, headers={"Cleanroom-Advertiser": other})
    assert elsewhere.status_code == 404
    assert world.call("agency.buyer", "POST", withdraw).json()["state"] == "withdrawn"


def test_what_the_budget_refuses_is_a_conflict_with_reasons_and_what_would_fit(world: World) -> None:
    shop.bought(world, size="M")
    path = f"/v1/entitlement-requests/{shop.asked(world, size='L').json()['id']}"
    refused = world.call("provider.owner", "POST", path + "/approve", key="first")
    assert (refused.status_code, refused.headers["content-type"]) == (409, "application/problem+json")
    problem = refused.json()
    assert problem["code"] == "api.refused"
    [reason] = problem["reasons"]
    assert reason["rule"] == "budget_advertiser"
    assert reason["nearest"] == {"size": "M"}
    # The log keeps it, and so does the key.
    assert len(world.stage.events("marketplace.request_refused_by_rule")) == 1
    again = world.call("provider.owner", "POST", path + "/approve", key="first")
    assert (again.status_code, again.json()) == (409, problem)
    assert again.headers["content-type"] == "application/problem+json"
    assert len(world.stage.events("marketplace.request_refused_by_rule")) == 1
    assert world.call("advertiser.viewer", "GET", path).json()["state"] == "pending"


def test_match_tests_are_approved_by_the_listings_terms(world: World) -> None:
    made = shop.asked(world, kinds=["match_test"]).json()
    assert (made["state"], made["decided_by_terms"]) == ("approved", True)
    path = f"/v1/entitlements/{made['entitlement']['id']}"
    assert world.call("advertiser.viewer", "GET", path).json() == made["entitlement"]


def test_drafts_and_private_offers_are_not_there_for_others(world: World) -> None:
    named = world.party("advertiser").organisation_id
    hidden = shop.draft(world)
    private = shop.live(world, plans=[{**shop.PLAN, "offered_to": [named]}])
    for who, listing, status in (
        ("advertiser.viewer", hidden, 404),
        ("rival_provider.viewer", hidden, 404),
        ("provider.viewer", hidden, 200),
        ("advertiser.viewer", private, 200),
        ("agency.viewer", private, 200),
        ("rival_advertiser.viewer", private, 404),
        ("rival_provider.viewer", private, 404),
    ):
        assert world.call(who, "GET", f"/v1/listings/{listing}").status_code == status, (who, listing)
    seen = world.call("advertiser.viewer", "GET", f"/v1/listings/{private}").json()
    assert seen["content"]["plans"][0]["offered_to"] == []
    own = world.call("provider.viewer", "GET", f"/v1/listings/{private}").json()
    assert own["content"]["plans"][0]["offered_to"] == [named]
    assert own["version"]["written_by"] == world.clients["provider.data_manager"].id
    preview = world.call("provider.viewer", "GET", f"/v1/listings/{private}?preview=true").json()
    assert (preview["content"]["plans"], preview["version"]["written_by"]) == ([], None)
    mine = world.call("provider.viewer", "GET", "/v1/listings?mine=true&limit=1").json()
    assert [one["id"] for one in mine["items"]] == [hidden]
    rest = world.call("provider.viewer", "GET", f"/v1/listings?mine=true&cursor={mine['next_cursor']}").json()
    assert [one["id"] for one in rest["items"]] == [private]
    assert world.call("rival_provider.viewer", "GET", "/v1/listings?mine=true").json()["items"] == []


def test_a_new_wording_waits_for_review_while_buyers_see_the_old_one(world: World) -> None:
    listing = shop.live(world)
    path = f"/v1/listings/{listing}"
    title = {"ru": "Новое", "en": "Renewed"}
    made = world.call(
        "provider.data_manager", "POST", path + "/versions", {"content": shop.offered(title=title)}
    )
    assert (made.status_code, made.json()["version"]["number"], made.json()["live_number"]) == (201, 2, 1)
    world.call("provider.data_manager", "POST", path + "/state", {"to": "review"})
    own_word = world.call("provider.data_manager", "POST", path + "/state", {"to": "live"})
    assert (own_word.status_code, own_word.json()["code"]) == (409, "marketplace.listing_state")
    assert world.call("advertiser.viewer", "GET", path).json()["content"]["title"] != title
    [waiting] = world.call("operator.operator", "GET", "/v1/reviews").json()["items"]
    assert waiting["id"] == listing
    world.call("operator.operator", "POST", f"/v1/reviews/{listing}", {"to": "live"})
    assert world.call("advertiser.viewer", "GET", path).json()["content"]["title"] == title


@pytest.mark.parametrize(
    ("plan", "pointer"),
    [
        ({"parts": [{"type": "flat", "price": {"minor": 1, "currency": "USD"}}]}, "/content/plans/0"),
        ({"parts": [shop.PLAN["parts"][2]] * 2}, "/content/plans/0"),
        ({"parts": [{"type": "tip", "price": {"minor": 1, "currency": "RUB"}}]}, "/content/plans/0/parts/0"),
        ({"vat_bp": 10_001}, "/content/plans/0/vat_bp"),
    ],
)
def test_a_plan_that_is_none_is_refused_where_it_is_wrong(shared: World, plan, pointer) -> None:
    body = {
        "dataset_id": shared.stage.dataset_id,
        "content": shop.offered(plans=[{**shop.PLAN, **plan}]),
    }
    answer = shared.call("provider.owner", "POST", "/v1/listings", body)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


def test_every_role_may_offer_and_ask_as_its_scopes_say(shared: World) -> None:
    listing = {"dataset_id": shared.stage.dataset_id, "content": shop.offered()}
    for party, role in CALLERS:
        kind = KINDS[party]
        offers = shared.call(f"{party}.{role}", "POST", "/v1/listings", listing)
        assert offers.status_code == (201 if LISTINGS_WRITE in ROLES[kind][role] else 403), (party, role)
        asks = shop.asked(shared, who=f"{party}.{role}")
        assert asks.status_code == (201 if REQUESTS_WRITE in ROLES[kind][role] else 403), (party, role)
    foreign = shared.call("rival_provider.owner", "POST", "/v1/listings", listing)
    missing = shared.call(
        "rival_provider.owner", "POST", "/v1/listings", {**listing, "dataset_id": "ds_" + "f" * 32}
    )
    assert foreign.status_code == missing.status_code == 404
    assert {**foreign.json(), "instance": ""} == {**missing.json(), "instance": ""}
    assert shop.asked(shared, listing="lst_" + NOBODY[4:]).status_code == 404


def test_both_sides_see_the_money(world: World) -> None:
    entitlement = shop.bought(world, size="L")
    room = world.stage.room
    with room.db.reading() as tx:
        grant = room.marketplace.entitlements.entitlement(
            tx, entitlement, organisation_id=world.party("advertiser").organisation_id
        ).grant_id
    answer = room.analyses.ask(
        world.stage.question(),
        grant_id=grant,
        asker_id=world.party("advertiser").organisation_id,
    )
    [used] = world.call("advertiser.viewer", "GET", "/v1/usage?month=2026-11").json()["items"]
    assert (used["analysis_id"], used["outcome"]) == (answer.analysis_id, "released")
    assert used["amount"]["minor"] > 0
    assert world.call("provider.owner", "GET", "/v1/usage?month=2026-11").status_code == 404
    growing = world.call("provider.finance", "GET", "/v1/statements/2026-11").json()
    assert [line["position"] for line in growing["lines"]] == ["flat"]
    world.stage.clock.move(days=20)
    world.tokens.clear()
    months = world.call("advertiser.viewer", "GET", "/v1/statements").json()["items"]
    assert months == [{"id": "2026-11", "over": True}, {"id": "2026-12", "over": False}]
    buyer = world.call("advertiser.viewer", "GET", "/v1/statements/2026-11").json()
    provider = world.call("provider.finance", "GET", "/v1/statements/2026-11").json()
    assert buyer["complete"]
    assert provider["complete"]
    [paid], [earned] = buyer["totals"], provider["totals"]
    assert paid["gross"] == earned["gross"]
    assert (paid["fee"], paid["share"]) == (None, None)
    assert earned["fee"]["minor"] + earned["share"]["minor"] == earned["net"]["minor"]
    assert sum(line["amount"]["minor"] for line in buyer["lines"]) == paid["net"]["minor"]
    assert {line["people"] for line in provider["lines"]} == {0}
    # For those who are not party to it there is nothing in it.
    assert world.call("rival_advertiser.viewer", "GET", "/v1/statements/2026-11").json()["lines"] == []
    assert world.call("rival_provider.finance", "GET", "/v1/statements/2026-11").json()["lines"] == []


def test_statements_come_as_files(shared: World) -> None:
    shop.bought(shared, who="advertiser.buyer")
    statement = shared.call("advertiser.viewer", "GET", "/v1/statements/2026-11").json()
    for form, media, start in (
        ("csv", "text/csv; charset=utf-8", b"\xef\xbb\xbf"),
        ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b"PK"),
        ("pdf", "application/pdf", b"%PDF"),
    ):
        answer = shared.call("advertiser.viewer", "GET", f"/v1/statements/2026-11.{form}?lang=ru")
        assert (answer.status_code, answer.headers["content-type"]) == (200, media)
        assert answer.content.startswith(start)
        assert f"-ru.{form}" in answer.headers["content-disposition"]
    text = shared.call("advertiser.viewer", "GET", "/v1/statements/2026-11.csv").content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    gross = [row["Amount without VAT"] for row in rows if row["Position"] == "Total with VAT"]
    minor = statement["totals"][0]["gross"]["minor"]
    assert gross == [f"{minor // 100}.{minor % 100:02}"]
    for path in ("2026-13", "2026-11.doc", "11.pdf", "2026-1"):
        assert shared.call("advertiser.viewer", "GET", f"/v1/statements/{path}").status_code == 404


def test_a_request_is_made_once_under_its_key(world: World) -> None:
    body = {
        "listing_id": shop.listing_id(world),
        "plan_key": "monthly",
        "purposes": [PURPOSE],
        "kinds": ["overlap"],
        "size": "S",
        "days": 30,
    }
    first, second = (
        world.call("advertiser.buyer", "POST", "/v1/entitlement-requests", body, key="mine") for _ in range(2)
    )
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert len(world.call("advertiser.viewer", "GET", "/v1/entitlement-requests").json()["items"]) == 1


def test_the_longest_page_of_listings_can_be_had(shared: World) -> None:
    assert shared.call("advertiser.owner", "GET", "/v1/listings?limit=200").status_code == 200
