"""Every route of the API as a line of data: whom it is for, how it is called, and what somebody else is told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cleanroom.access import scopes
from cleanroom.accounts.types import OrganisationKind
from policies.codec import load_preset, policy_to_data
from tests.api import shop
from tests.api.test_routes import BASE, SCHEMA, new_key
from tests.api.world import World
from tests.market import Market

Made = Callable[[World], str]
ADVERTISER, AGENCY, PROVIDER, OPERATOR = (
    OrganisationKind.ADVERTISER,
    OrganisationKind.AGENCY,
    OrganisationKind.PROVIDER,
    OrganisationKind.OPERATOR,
)
BUYERS = frozenset({ADVERTISER, AGENCY})
PARTIES = BUYERS | {PROVIDER}
EVERYONE = PARTIES | {OPERATOR}


@dataclass(frozen=True)
class Route:
    """One route.

    Attributes:
        method: of HTTP.
        path: the template; its placeholders are filled by `ids`.
        scope: what a caller needs; None when every client may call it.
        kinds: of organisations that may; others that have the scope are told it is not there.
        ids: what the placeholders stand for: things of the party that may, made anew for each call.
        body: sent as JSON.
        ok: the status for those who may.
        owned: whether it names a thing of one party, so that a rival is told that it is not there.
    """

    method: str
    path: str
    scope: str | None = None
    kinds: frozenset[OrganisationKind] = EVERYONE
    ids: dict[str, Made] = field(default_factory=dict)
    body: Callable[[], Any] = lambda: None
    ok: int = 200
    owned: bool = False

    @property
    def name(self) -> str:
        return f"{self.method} {self.path.partition('?')[0]}"

    def address(self, world: World) -> str:
        return self.path.format(**{name: make(world) for name, make in self.ids.items()})


def base_id(world: World) -> str:
    return str(world.call("advertiser.owner", "POST", "/v1/bases", BASE).json()["id"])


def dataset_id(world: World) -> str:
    body = {"name": "spare", "schema": {**SCHEMA, "label": None}}
    del body["schema"]["label"]  # type: ignore[attr-defined]
    return str(world.call("provider.owner", "POST", "/v1/datasets", body).json()["id"])


def key_id(world: World) -> str:
    made = world.call("advertiser.owner", "POST", "/v1/keys", {"public_key": new_key()})
    return str(made.json()["id"])


def mandate_id(world: World) -> str:
    # The agency that the world starts with keeps its own.
    body = {"agency_id": world.party("rival_agency").organisation_id}
    made = world.call("advertiser.owner", "POST", "/v1/mandates", body).json()
    if "id" in made:
        return str(made["id"])
    listed = world.call("advertiser.owner", "GET", "/v1/mandates").json()["items"]
    return str(
        next(one["id"] for one in listed if one["agency_id"] == body["agency_id"] and not one["revoked_at"])
    )


def webhook_id(world: World) -> str:
    """A webhook of the advertiser's; made anew once it was deleted."""
    for one in world.call("advertiser.owner", "GET", "/v1/webhooks").json()["items"]:
        if one["description"] == "spare":
            return str(one["id"])
    return str(world.call("advertiser.owner", "POST", "/v1/webhooks", new_webhook()).json()["id"])


def delivery_id(world: World) -> str:
    sent = world.call("advertiser.owner", "POST", f"/v1/webhooks/{webhook_id(world)}/ping")
    return str(sent.json()["id"])


def new_webhook() -> dict[str, Any]:
    return {
        "url": "https://hooks.example.org/in",
        "types": ["analysis.answered"],
        "description": "spare",
    }


def loaded_base(world: World) -> str:
    return world.stage.base_id


def loaded_dataset(world: World) -> str:
    return world.stage.dataset_id


def base_version(world: World) -> str:
    with world.stage.room.db.reading() as tx:
        return world.stage.room.datasets.current(tx, world.stage.base_id).id


def dataset_version(world: World) -> str:
    with world.stage.room.db.reading() as tx:
        return world.stage.room.datasets.current(tx, world.stage.dataset_id).id


def entitlement_id(world: World) -> str:
    """An entitlement of the advertiser through its agency, so that both see it; one for each world."""
    if "entitlement" not in world.known:
        bought = Market(world.stage).bought(size="M", agency=world.party("agency").organisation_id)
        world.known |= {"entitlement": bought.id, "grant": bought.grant_id}
    return world.known["entitlement"]


def analysis_id(world: World) -> str:
    """A question that was answered, asked by the agency for the advertiser."""
    if "analysis" not in world.known:
        entitlement_id(world)
        answer = world.stage.room.analyses.ask(
            world.stage.question(),
            grant_id=world.known["grant"],
            asker_id=world.party("agency").organisation_id,
        )
        world.known["analysis"] = answer.analysis_id
    return world.known["analysis"]


def new_base() -> dict[str, Any]:
    return BASE


def new_dataset() -> dict[str, Any]:
    return {"name": "new", "schema": {name: part for name, part in SCHEMA.items() if name != "label"}}


_BASE = {"base_id": loaded_base}
_BASE_VERSION = _BASE | {"version_id": base_version}
_ANALYSIS = {"analysis_id": analysis_id}
_DATASET = {"dataset_id": loaded_dataset}
_DATASET_VERSION = _DATASET | {"version_id": dataset_version}
_READ_BASES = {"scope": scopes.BASES_READ, "kinds": BUYERS}
_WRITE_BASES = {"scope": scopes.BASES_WRITE, "kinds": BUYERS}
_PROVIDERS = frozenset({PROVIDER})
_WRITE_LISTINGS = {"scope": scopes.LISTINGS_WRITE, "kinds": _PROVIDERS, "owned": True}
_REQUEST, _ENTITLEMENT = {"request_id": shop.request_id}, {"entitlement_id": shop.entitlement_id}
_DECIDE = {"scope": scopes.REQUESTS_DECIDE, "kinds": _PROVIDERS, "ids": _REQUEST, "owned": True}
_READ_SHOP = {"scope": scopes.ENTITLEMENTS_READ, "kinds": PARTIES}
_MONTH = {"month": lambda _world: "2026-11"}
_WEBHOOK = {
    "scope": scopes.WEBHOOKS_WRITE,
    "kinds": frozenset({ADVERTISER}),
    "ids": {"webhook_id": webhook_id},
    "owned": True,
}
_RULES = {"scope": scopes.POLICIES_WRITE, "kinds": _PROVIDERS, "ids": _DATASET, "owned": True}

ROUTES: tuple[Route, ...] = (
    Route("GET", "/v1/me"),
    Route("GET", "/v1/keys", scopes.KEYS_WRITE, PARTIES),
    Route("POST", "/v1/keys", scopes.KEYS_WRITE, PARTIES, body=lambda: {"public_key": new_key()}, ok=201),
    Route("DELETE", "/v1/keys/{key_id}", scopes.KEYS_WRITE, BUYERS, {"key_id": key_id}, ok=204, owned=True),
    Route("GET", "/v1/mandates"),
    Route(
        "DELETE",
        "/v1/mandates/{mandate_id}",
        scopes.MANDATES_WRITE,
        frozenset({ADVERTISER}),
        {"mandate_id": mandate_id},
        ok=204,
        owned=True,
    ),
    Route("GET", "/v1/bases", **_READ_BASES),
    Route("POST", "/v1/bases", **_WRITE_BASES, body=new_base, ok=201),
    Route("GET", "/v1/bases/{base_id}", **_READ_BASES, ids=_BASE, owned=True),
    Route("DELETE", "/v1/bases/{base_id}", **_WRITE_BASES, ids={"base_id": base_id}, ok=204, owned=True),
    Route("GET", "/v1/bases/{base_id}/versions", **_READ_BASES, ids=_BASE, owned=True),
    Route(
        "GET",
        "/v1/bases/{base_id}/versions/{version_id}/report",
        **_READ_BASES,
        ids=_BASE_VERSION,
        owned=True,
    ),
    Route(
        "POST",
        "/v1/bases/{base_id}/versions/{version_id}/publish",
        **_WRITE_BASES,
        ids=_BASE_VERSION,
        owned=True,
    ),
    Route("GET", "/v1/datasets", scopes.DATASETS_READ, _PROVIDERS),
    Route("POST", "/v1/datasets", scopes.DATASETS_WRITE, _PROVIDERS, body=new_dataset, ok=201),
    Route("GET", "/v1/datasets/{dataset_id}", scopes.DATASETS_READ, _PROVIDERS, _DATASET, owned=True),
    Route(
        "DELETE",
        "/v1/datasets/{dataset_id}",
        scopes.DATASETS_WRITE,
        _PROVIDERS,
        {"dataset_id": dataset_id},
        ok=204,
        owned=True,
    ),
    Route(
        "GET", "/v1/datasets/{dataset_id}/versions", scopes.DATASETS_READ, _PROVIDERS, _DATASET, owned=True
    ),
    Route(
        "GET",
        "/v1/datasets/{dataset_id}/versions/{version_id}/report",
        scopes.DATASETS_READ,
        _PROVIDERS,
        _DATASET_VERSION,
        owned=True,
    ),
    Route(
        "POST",
        "/v1/datasets/{dataset_id}/versions/{version_id}/publish",
        scopes.DATASETS_WRITE,
        _PROVIDERS,
        _DATASET_VERSION,
        owned=True,
    ),
    Route("GET", "/v1/datasets/{dataset_id}/policy", scopes.DATASETS_READ, _PROVIDERS, _DATASET, owned=True),
    Route(
        "PUT",
        "/v1/datasets/{dataset_id}/policy",
        **_RULES,
        body=lambda: {"document": policy_to_data(load_preset("strict", purposes=["measurement"]))},
    ),
    Route("POST", "/v1/datasets/{dataset_id}/stop", **_RULES),
    Route("POST", "/v1/datasets/{dataset_id}/resume", **_RULES),
    Route("GET", "/v1/listings", scopes.CATALOGUE_READ),
    Route("GET", "/v1/listings/{listing_id}", scopes.CATALOGUE_READ, ids={"listing_id": shop.listing_id}),
    Route(
        "POST",
        "/v1/listings/{listing_id}/versions",
        **_WRITE_LISTINGS,
        ids={"listing_id": shop.draft_id},
        body=lambda: {"content": shop.offered()},
        ok=201,
    ),
    Route(
        "POST",
        "/v1/listings/{listing_id}/state",
        **_WRITE_LISTINGS,
        ids={"listing_id": shop.draft_id},
        body=lambda: {"to": "review"},
    ),
    Route("GET", "/v1/reviews", scopes.OPERATE, frozenset({OPERATOR})),
    Route(
        "POST",
        "/v1/reviews/{listing_id}",
        scopes.OPERATE,
        frozenset({OPERATOR}),
        {"listing_id": shop.in_review},
        lambda: {"to": "live"},
    ),
    Route("GET", "/v1/entitlement-requests", **_READ_SHOP),
    Route("GET", "/v1/entitlement-requests/{request_id}", **_READ_SHOP, ids=_REQUEST, owned=True),
    Route("POST", "/v1/entitlement-requests/{request_id}/approve", **_DECIDE),
    Route(
        "POST", "/v1/entitlement-requests/{request_id}/reject", **_DECIDE, body=lambda: {"reason": "too long"}
    ),
    Route(
        "POST",
        "/v1/entitlement-requests/{request_id}/withdraw",
        scopes.REQUESTS_WRITE,
        BUYERS,
        _REQUEST,
        owned=True,
    ),
    Route("GET", "/v1/entitlements", **_READ_SHOP),
    Route("GET", "/v1/entitlements/{entitlement_id}", **_READ_SHOP, ids=_ENTITLEMENT, owned=True),
    Route(
        "POST",
        "/v1/entitlements/{entitlement_id}/revoke",
        scopes.ENTITLEMENTS_REVOKE,
        _PROVIDERS,
        _ENTITLEMENT,
        lambda: {"reason": "the contract ended"},
        owned=True,
    ),
    Route("GET", "/v1/usage?month=2026-11", scopes.USAGE_READ, BUYERS),
    Route("GET", "/v1/statements", scopes.STATEMENTS_READ),
    Route("GET", "/v1/statements/{month}", scopes.STATEMENTS_READ, ids=_MONTH),
    Route(
        "GET",
        "/v1/statements/{month}.{form}",
        scopes.STATEMENTS_READ,
        ids=_MONTH | {"form": lambda _world: "csv"},
    ),
    Route("GET", "/v1/analyses", scopes.ANALYSES_READ, BUYERS),
    Route("GET", "/v1/analyses/{analysis_id}", scopes.ANALYSES_READ, BUYERS, _ANALYSIS, owned=True),
    Route("GET", "/v1/analyses/{analysis_id}/result", scopes.ANALYSES_READ, BUYERS, _ANALYSIS, owned=True),
    Route("GET", "/v1/analyses/{analysis_id}/receipt", scopes.ANALYSES_READ, BUYERS, _ANALYSIS, owned=True),
    Route("GET", "/v1/budgets", scopes.BUDGETS_READ, PARTIES),
    Route(
        "GET",
        "/v1/budgets/{entitlement_id}",
        scopes.BUDGETS_READ,
        PARTIES,
        {"entitlement_id": entitlement_id},
        owned=True,
    ),
    Route("GET", "/v1/events", scopes.EVENTS_READ),
    Route(
        "GET",
        "/v1/events/{index}/proof",
        scopes.EVENTS_READ,
        frozenset({OPERATOR}),
        {"index": lambda _world: "0"},
        owned=True,
    ),
    Route("GET", "/v1/checkpoint", scopes.EVENTS_READ),
    Route("GET", "/v1/webhooks", scopes.WEBHOOKS_WRITE, PARTIES),
    Route("POST", "/v1/webhooks", scopes.WEBHOOKS_WRITE, PARTIES, body=new_webhook, ok=201),
    Route("GET", "/v1/webhooks/{webhook_id}", **_WEBHOOK),
    Route("PATCH", "/v1/webhooks/{webhook_id}", **_WEBHOOK, body=lambda: {"state": "active"}),
    Route("DELETE", "/v1/webhooks/{webhook_id}", **_WEBHOOK, ok=204),
    Route("POST", "/v1/webhooks/{webhook_id}/secret", **_WEBHOOK, body=lambda: {"overlap_hours": 1}, ok=201),
    Route("POST", "/v1/webhooks/{webhook_id}/ping", **_WEBHOOK, ok=202),
    Route("GET", "/v1/webhooks/{webhook_id}/deliveries", **_WEBHOOK),
    Route(
        "POST",
        "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
        **_WEBHOOK | {"ids": {"webhook_id": webhook_id, "delivery_id": delivery_id}},
        ok=202,
    ),
)

ALONE = {
    "POST /v1/mandates",
    "POST /v1/listings",
    "POST /v1/entitlement-requests",
    "POST /v1/estimates",
    "POST /v1/analyses",
    "POST /v1/analyses/{analysis_id}/cancel",
    "OPTIONS /v1/uploads",
    "POST /v1/uploads",
    "GET /v1/uploads/{upload_id}",
    "PATCH /v1/uploads/{upload_id}",
    "DELETE /v1/uploads/{upload_id}",
}
"""Routes tested elsewhere: their second call is in conflict with the first, or they need more than a line of data."""
