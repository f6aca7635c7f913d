"""A marketplace behind the API of a world: offers as requests write them, and things made once for all callers."""

from typing import Any

from tests.api.world import World
from tests.market import MONTHLY, offer
from tests.rooms import PURPOSE

RUB = {"currency": "RUB"}
PLAN = {
    "key": "monthly",
    "currency": "RUB",
    "vat_bp": 2000,
    "parts": [
        {"type": "cpm", "price": {"minor": 150_000, **RUB}, "counted": "overlap"},
        {"type": "question", "price": {"minor": 5_000, **RUB}, "free": 1, "cap": {"minor": 8_000, **RUB}},
        {"type": "flat", "price": {"minor": 1_000_000, **RUB}},
        {"type": "minimum", "price": {"minor": 1_050_000, **RUB}},
    ],
    "offered_to": [],
}
"""`tests.market.MONTHLY`, as requests write it."""
assert MONTHLY["cpm_minor"] == PLAN["parts"][0]["price"]["minor"]  # type: ignore[index]


def offered(**changed: Any) -> dict[str, Any]:
    """A listing's content as a request writes it."""
    return offer(**{"plans": [PLAN], **changed})


def draft(world: World, **changed: Any) -> str:
    # Another test of a shared world may have set another one.
    world.stage.rule()
    world.stage.clock.move(milliseconds=1)
    body = {"dataset_id": world.stage.dataset_id, "content": offered(**changed)}
    made = world.call("provider.data_manager", "POST", "/v1/listings", body)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def live(world: World, **changed: Any) -> str:
    listing_id = draft(world, **changed)
    for to, by in (("review", "data_manager"), ("live", "owner")):
        moved = world.call(f"provider.{by}", "POST", f"/v1/listings/{listing_id}/state", {"to": to})
        assert moved.status_code == 200, moved.text
    return listing_id


def asked(world: World, *, who: str = "advertiser.buyer", listing: str | None = None, **changed: Any) -> Any:
    """Ask for a listing; gives the answer."""
    world.stage.rule()
    wanted = {
        "listing_id": listing or once(world, "listing", live),
        "plan_key": "monthly",
        "purposes": [PURPOSE],
        "kinds": ["match_test", "overlap", "profile"],
        "size": "S",
        "days": 90,
        **changed,
    }
    return world.call(who, "POST", "/v1/entitlement-requests", wanted)


def once(world: World, name: str, make: Any) -> Any:
    """Make a thing of a world the first time that it is asked for."""
    if name not in world.made:
        world.made[name] = make(world)
    return world.made[name]


def bought(world: World, **changed: Any) -> str:
    request = asked(world, **changed).json()
    path = f"/v1/entitlement-requests/{request['id']}/approve"
    given = world.call("provider.policy_manager", "POST", path)
    assert given.status_code == 200, given.text
    return str(given.json()["id"])


def listing_id(world: World) -> str:
    return str(once(world, "listing", live))


def draft_id(world: World) -> str:
    return draft(world)


def in_review(world: World) -> str:
    listing_id = draft(world)
    world.call("provider.data_manager", "POST", f"/v1/listings/{listing_id}/state", {"to": "review"})
    return listing_id


def request_id(world: World) -> str:
    """Of the agency for the advertiser, so that all three are parties to it."""
    return str(asked(world, who="agency.buyer").json()["id"])


def entitlement_id(world: World) -> str:
    """Likewise; made once, as each takes of the budget."""
    return str(once(world, "entitlement", lambda world: bought(world, who="agency.buyer")))
