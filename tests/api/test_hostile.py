"""Hostile parties: what they tried that once worked, or nearly did."""

import pytest

from tests.api.test_analyses import body
from tests.api.world import World
from tests.market import MONTHLY, Market

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
