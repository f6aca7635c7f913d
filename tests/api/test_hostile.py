"""Hostile parties: what they tried that once worked, or nearly did."""

from typing import Any

import pytest

from policies.codec import load_preset, policy_from_data, policy_to_data
from tests.api import shop
from tests.api.test_analyses import ask, body, work
from tests.api.world import World
from tests.market import MONTHLY, Market
from tests.rooms import PURPOSE

BUYER = "advertiser.owner"


@pytest.fixture
def market(world: World) -> Market:
    return Market(world.stage)


def test_a_private_offer_names_its_other_buyers_to_nobody(world: World, market: Market) -> None:
    rival = world.party("rival_advertiser").organisation_id
    private = market.live(plans=[MONTHLY | {"offered_to": [market.advertiser, rival]}])
    entitlement = market.bought(listing=private)
    estimate = world.call(BUYER, "POST", "/v1/estimates", body(world, entitlement.id))
    assert estimate.json()["quote"]["tariff"]["key"] == "monthly"
    assert rival not in estimate.text
    events = world.call(BUYER, "GET", "/v1/events?limit=200&kind=marketplace.entitlement_made")
    assert entitlement.id in events.text
    assert rival not in events.text


def test_an_agency_learns_nothing_of_what_is_asked_after_its_mandate(world: World, market: Market) -> None:
    agency = world.party("agency").organisation_id
    entitlement = market.bought(agency=agency).id
    assert ask(world, entitlement, who="agency.owner").status_code == 202
    work(world)
    (mandate,) = world.call(BUYER, "GET", "/v1/mandates").json()["items"]
    world.stage.clock.move(minutes=1)
    assert world.call(BUYER, "DELETE", f"/v1/mandates/{mandate['id']}").status_code == 204
    world.stage.clock.move(days=1)
    world.tokens.clear()
    late = ask(world, entitlement, segments={})
    work(world)
    assert len(world.call(BUYER, "GET", "/v1/usage?month=2026-11").json()["items"]) == 2
    everything = {"Authorization": f"Bearer {world.token('agency.owner')}"}
    listed = world.http.get("/v1/usage?month=2026-11", headers=everything)
    assert len(listed.json()["items"]) == 1, "its own books stay"
    assert late.json()["id"] not in listed.text
    statement = world.http.get("/v1/statements/2026-11", headers=everything).json()
    assert [line["day"] for line in statement["lines"] if line["questions"]] == ["2026-11-22"]


def test_figures_of_the_dataset_beside_a_withheld_overlap_are_paid(world: World, market: Market) -> None:
    strangers = world.stage.base([f"stranger{number}@example.org,,vip" for number in range(1_500)])
    entitlement = market.bought().id
    asked = ask(
        world,
        entitlement,
        base_id=strangers,
        kind="profile",
        breakdowns=[["sex"]],
        affinity=True,
        segments={},
    )
    again = ask(
        world,
        entitlement,
        base_id=strangers,
        kind="profile",
        breakdowns=[["age"]],
        affinity=True,
        segments={},
    )
    work(world)
    result: dict[str, Any] = world.call(BUYER, "GET", f"/v1/analyses/{asked.json()['id']}/result").json()
    shown = {figure["name"]: figure["value"] for figure in result["figures"]}
    assert shown["overlap"] is None
    assert shown["dataset"] is not None
    records = world.call(BUYER, "GET", "/v1/usage?month=2026-11").json()["items"]
    costs = {record["analysis_id"]: record["amount"]["minor"] for record in records}
    assert sorted(costs.values()) == [0, 5_000], "the first question of a month is free"
    assert again.json()["id"] in costs


def test_a_request_that_the_budget_refuses_does_not_tell_what_others_hold(world: World) -> None:
    listing = shop.live(world)
    data = policy_to_data(load_preset("standard", purposes=[PURPOSE, "research"]))
    (budget,) = (rule for rule in data["rules"] if rule["rule"] == "budget")
    budget |= {"total_rho_micro": 100_000, "agency_rho_micro": 100_000}
    world.stage.rule(policy_from_data(data))
    wanted = {"listing_id": listing, "plan_key": "monthly", "purposes": [PURPOSE], "days": 90}
    large = {**wanted, "kinds": ["overlap"], "size": "L"}
    theirs = world.call("rival_advertiser.owner", "POST", "/v1/entitlement-requests", large).json()
    approve = f"/v1/entitlement-requests/{theirs['id']}/approve"
    assert world.call("provider.owner", "POST", approve).status_code == 200
    small = {**wanted, "kinds": ["match_test"], "size": "S"}
    mine = world.call(BUYER, "POST", "/v1/entitlement-requests", small).json()
    assert (mine["state"], mine["entitlement"]) == ("pending", None)
    (reason,) = mine["reasons"]
    assert (reason["rule"], reason["limit"], reason["asked"]) == ("budget_total", "less than that", 2_000)
    assert " 0 micro-rho" not in reason["message"]
    # Its provider is told.
    impact = world.call("provider.owner", "GET", f"/v1/entitlement-requests/{mine['id']}").json()["impact"]
    assert {one["kind"]: one["left_micro"] for one in impact["accounts"]}["total"] == 0
