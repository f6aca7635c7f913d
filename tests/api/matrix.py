"""Every route of the API as a line of data: whom it is for, how it is called, and what somebody else is told."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from cleanroom.access import scopes
from cleanroom.accounts.types import OrganisationKind
from cleanroom.alarms.reading import newest_alarms
from cleanroom.alarms.types import AlarmState, Whose
from cleanroom.consent.checks import require_confirmation
from cleanroom.incidents.types import Duty
from policies.codec import load_preset, policy_to_data
from tests.api import shop
from tests.api.test_routes import BASE, SCHEMA, new_key
from tests.api.world import World
from tests.market import Market
from tests.rights_rooms import hasten

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
        also: another scope that it takes, which every role with the first one has.
        template: the path with all its placeholders, where `path` has filled some in.
    """

    method: str
    path: str
    scope: str | None = None
    kinds: frozenset[OrganisationKind] = EVERYONE
    ids: dict[str, Made] = field(default_factory=dict)
    body: Callable[[], Any] = lambda: None
    ok: int = 200
    owned: bool = False
    also: str | None = None
    template: str | None = None

    @property
    def name(self) -> str:
        return f"{self.method} {(self.template or self.path).partition('?')[0]}"

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


PROVIDER_ID: list[str] = []
"""Of the world that the last call was made in."""


def new_incident() -> dict[str, Any]:
    return {
        "kind": "disclosure",
        "severity": "high",
        "title": "a disk was lost",
        "text": "A disk with objects was lost.",
        "discovered_at": "2026-11-20T12:00:00Z",
        "scope": {"since": "2026-01-01T00:00:00Z"},
    }


def incident_id(world: World) -> str:
    """An incident of the provider's."""
    return str(world.call("provider.owner", "POST", "/v1/incidents", new_incident()).json()["id"])


def seen_to(world: World) -> str:
    """One of which it is entered that nobody has to be told."""
    made = incident_id(world)
    for duty in Duty:
        body = {"duty": duty.value, "state": "not_due", "text": "a drill"}
        world.call("provider.owner", "POST", f"/v1/incidents/{made}/duties", body)
    return made


def operators_incident(world: World) -> str:
    """An incident of the operator's, about everything."""
    PROVIDER_ID[:] = [world.stage.provider.organisation_id]
    return str(world.call("operator.operator", "POST", "/v1/incidents", new_incident()).json()["id"])


def doubted(world: World) -> str:
    """The dataset, as if a backup of the room had been put back."""
    stage = world.stage
    with stage.room.db.transaction() as tx:
        require_confirmation(
            tx,
            stage.dataset_id,
            organisation_id=stage.provider.organisation_id,
            since=stage.clock.now(),
            now=stage.clock.now(),
        )
    return stage.dataset_id


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


def new_erasure() -> dict[str, Any]:
    """A request of its own each time."""
    return {
        "identifiers": [{"key": "email/room", "sha256": secrets.token_hex(32)}],
        "reason": "objection",
        "salt": secrets.token_hex(32),
    }


def erasure_id(world: World) -> str:
    """A request over the provider's dataset, done, so that it has a certificate; one for each world."""
    return _erased(world, "provider", "datasets", world.stage.dataset_id)


def base_erasure_id(world: World) -> str:
    return _erased(world, "advertiser", "bases", world.stage.base_id)


def _erased(world: World, party: str, tables: str, table_id: str) -> str:
    if tables not in world.known:
        made = world.call(f"{party}.owner", "POST", f"/v1/{tables}/{table_id}/erasures", new_erasure())
        world.known[tables] = str(made.json()["id"])
        compactions = world.stage.room.rights.compactions
        with world.stage.room.db.transaction() as tx:
            hasten(tx, table_id, world.stage.room.clock)
        while compactions.work():
            pass
    return world.known[tables]


def act_id(world: World) -> str:
    """The act of that."""
    erasure_id(world)
    world.stage.room.rights.acts.catch_up()
    return str(world.call("provider.owner", "GET", "/v1/acts").json()["items"][0]["id"])


def new_base() -> dict[str, Any]:
    return BASE


def new_dataset() -> dict[str, Any]:
    return {"name": "new", "schema": {name: part for name, part in SCHEMA.items() if name != "label"}}


def registered(world: World) -> str:
    """A provider's purpose and the notice that asks for it; one of each for a world."""
    if "notice" not in world.known:
        for path, body in (("/v1/purposes", new_purpose("advertising")), ("/v1/notices", new_notice())):
            assert world.call("provider.owner", "POST", path, body).status_code == 201
        world.known["notice"] = "letter"
    return world.known["notice"]


def consenting(world: World) -> str:
    """The provider's dataset, whose people can be asked."""
    registered(world)
    return loaded_dataset(world)


def asked(world: World) -> str:
    """The same, with somebody asked just now."""
    path = f"/v1/datasets/{consenting(world)}/consent-requests"
    made = world.call("provider.owner", "POST", path, new_requests()).json()
    _TOKENS.append(made["tokens"][0])
    return loaded_dataset(world)


def opt_out_id(world: World) -> str:
    return str(world.call("provider.owner", "POST", "/v1/opt-outs", new_opt_out()).json()["id"])


def with_epoch(world: World) -> str:
    opt_out_id(world)
    return loaded_dataset(world)


def new_opt_out() -> dict[str, Any]:
    named = [{"identifier": "email", "profile": "room", "digests": ["a" * 64]}]
    return {"kind": "suppression", "named": named, "reason": "request"}


def new_lookup() -> dict[str, Any]:
    return {"identifier": "email", "digest": "a" * 64, "reason": "request", "reference": "CASE-1"}


def new_purpose(code: str | None = None) -> dict[str, Any]:
    return {
        "code": code or f"purpose {next(_NUMBERS)}",
        "title_en": "Advertising",
        "title_ru": "Реклама",
        "kind": "advertising",
    }


def new_notice() -> dict[str, Any]:
    return {
        "code": "letter",
        "text_ru": f"Согласен, номер {next(_NUMBERS)}",
        "purposes": ["advertising"],
        "separate_document": True,
    }


def new_records() -> dict[str, Any]:
    return {"records": [{"key": "email/room", "digest": "0" * 64, "purpose": "*", "state": "withdrawn"}]}


def new_requests() -> dict[str, Any]:
    record = {"key": "email/room", "digest": "1" * 64, "purpose": "advertising", "notice": "letter"}
    return {"records": [record]}


def alarm_id(world: World) -> str:
    """An alarm of the provider's that nobody has acknowledged."""
    stage = world.stage
    owner = stage.provider.organisation_id
    with stage.room.db.transaction() as tx:
        about = {"dataset_id": stage.dataset_id, "advertiser_id": stage.advertiser.organisation_id}
        tx.audit("analyses.difference_alarm", subject_id="an_1", organisation_id=owner, body=about)
    stage.room.alarms.detecting.catch_up(stage.room.db)
    with stage.room.db.reading() as tx:
        (found,) = newest_alarms(tx, Whose(owner), state=AlarmState.OPEN, limit=1)
    return found.id


_TOKENS: list[str] = []
_NUMBERS = count()
_BASE = {"base_id": loaded_base}
_BASE_VERSION = _BASE | {"version_id": base_version}
_ANALYSIS = {"analysis_id": analysis_id}
_DATASET = {"dataset_id": loaded_dataset}
_DATASET_VERSION = _DATASET | {"version_id": dataset_version}
_READ_BASES = {"scope": scopes.BASES_READ, "kinds": BUYERS}
_WRITE_BASES = {"scope": scopes.BASES_WRITE, "kinds": BUYERS}
_PROVIDERS = frozenset({PROVIDER})
_ALARM = {"alarm_id": alarm_id}
_OPT_OUT = {"opt_out_id": opt_out_id}
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
_READ_CONSENTS = {"scope": scopes.CONSENTS_READ, "kinds": _PROVIDERS}
_WRITE_CONSENTS = {"scope": scopes.CONSENTS_WRITE, "kinds": _PROVIDERS}
_ERASURE = _DATASET | {"erasure_id": erasure_id}
_BASE_ERASURE = _BASE | {"erasure_id": base_erasure_id}
_READ_ERASURES = {"scope": scopes.CONSENTS_READ, "kinds": _PROVIDERS, "owned": True}
_ACT = {"scope": scopes.EVENTS_READ, "kinds": frozenset({PROVIDER, OPERATOR}), "owned": True}
_INCIDENT = {"kinds": _PROVIDERS, "ids": {"incident_id": incident_id}, "owned": True}
_SEE = {"scope": scopes.INCIDENTS_READ, **_INCIDENT}
_ENTER = {"scope": scopes.INCIDENTS_WRITE, **_INCIDENT}
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
    Route(
        "POST",
        "/v1/datasets/{dataset_id}/consents",
        **_WRITE_CONSENTS,
        ids=_DATASET,
        body=new_records,
        ok=201,
        owned=True,
    ),
    Route(
        "POST",
        "/v1/datasets/{dataset_id}/consent-requests",
        **_WRITE_CONSENTS,
        ids={"dataset_id": consenting},
        body=new_requests,
        ok=201,
        owned=True,
    ),
    Route(
        "POST",
        "/v1/datasets/{dataset_id}/consent-requests/confirm",
        **_WRITE_CONSENTS,
        ids={"dataset_id": asked},
        body=lambda: {"token": _TOKENS[-1]},
        owned=True,
    ),
    Route("POST", "/v1/opt-outs", **_WRITE_CONSENTS, body=new_opt_out, ok=201),
    Route("GET", "/v1/opt-outs", **_READ_CONSENTS),
    Route("GET", "/v1/opt-outs/{opt_out_id}", **_READ_CONSENTS, ids=_OPT_OUT, owned=True),
    Route("GET", "/v1/opt-outs/{opt_out_id}/propagation", **_READ_CONSENTS, ids=_OPT_OUT, owned=True),
    Route("GET", "/v1/datasets/{dataset_id}/consent-epochs", **_READ_CONSENTS, ids=_DATASET, owned=True),
    Route(
        "GET",
        "/v1/datasets/{dataset_id}/consent-epochs/1/propagation",
        **_READ_CONSENTS,
        ids={"dataset_id": with_epoch},
        owned=True,
        template="/v1/datasets/{dataset_id}/consent-epochs/{epoch}/propagation",
    ),
    Route(
        "POST",
        "/v1/datasets/{dataset_id}/subjects/lookup",
        **_READ_CONSENTS,
        ids=_DATASET,
        body=new_lookup,
        owned=True,
    ),
    Route(
        "POST",
        "/v1/datasets/{dataset_id}/subjects/export",
        **_WRITE_CONSENTS,
        also=scopes.DATASETS_READ,
        ids=_DATASET,
        body=new_lookup,
        owned=True,
    ),
    Route("GET", "/v1/purposes", **_READ_CONSENTS),
    Route("POST", "/v1/purposes", **_WRITE_CONSENTS, body=new_purpose, ok=201),
    Route("GET", "/v1/notices", **_READ_CONSENTS),
    Route("POST", "/v1/notices", **_WRITE_CONSENTS, ids={"": registered}, body=new_notice, ok=201),
    Route("GET", "/v1/notices/{code}", **_READ_CONSENTS, ids={"code": registered}, owned=True),
    Route(
        "GET",
        "/v1/notices/{code}/difference?older=1&newer=1",
        **_READ_CONSENTS,
        ids={"code": registered},
        owned=True,
    ),
    Route(
        "POST",
        "/v1/datasets/{dataset_id}/consents/confirm",
        scopes.CONSENTS_WRITE,
        _PROVIDERS,
        {"dataset_id": doubted},
        owned=True,
    ),
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
    Route(
        "POST",
        "/v1/datasets/{dataset_id}/erasures",
        scopes.CONSENTS_WRITE,
        _PROVIDERS,
        _DATASET,
        new_erasure,
        ok=201,
        owned=True,
    ),
    Route("GET", "/v1/datasets/{dataset_id}/erasures", **_READ_ERASURES, ids=_DATASET),
    Route("GET", "/v1/datasets/{dataset_id}/erasures/{erasure_id}", **_READ_ERASURES, ids=_ERASURE),
    Route(
        "GET", "/v1/datasets/{dataset_id}/erasures/{erasure_id}/certificate", **_READ_ERASURES, ids=_ERASURE
    ),
    Route(
        "GET", "/v1/datasets/{dataset_id}/compactions", scopes.DATASETS_READ, _PROVIDERS, _DATASET, owned=True
    ),
    Route(
        "GET", "/v1/datasets/{dataset_id}/retention", scopes.DATASETS_READ, _PROVIDERS, _DATASET, owned=True
    ),
    Route(
        "PUT",
        "/v1/datasets/{dataset_id}/retention",
        scopes.DATASETS_WRITE,
        _PROVIDERS,
        _DATASET,
        lambda: {"version_days": 900},
        owned=True,
    ),
    Route(
        "POST",
        "/v1/bases/{base_id}/erasures",
        **_WRITE_BASES,
        ids=_BASE,
        body=new_erasure,
        ok=201,
        owned=True,
    ),
    Route("GET", "/v1/bases/{base_id}/erasures", **_READ_BASES, ids=_BASE, owned=True),
    Route("GET", "/v1/bases/{base_id}/erasures/{erasure_id}", **_READ_BASES, ids=_BASE_ERASURE, owned=True),
    Route(
        "GET",
        "/v1/bases/{base_id}/erasures/{erasure_id}/certificate",
        **_READ_BASES,
        ids=_BASE_ERASURE,
        owned=True,
    ),
    Route("GET", "/v1/bases/{base_id}/retention", **_READ_BASES, ids=_BASE, owned=True),
    Route(
        "PUT",
        "/v1/bases/{base_id}/retention",
        **_WRITE_BASES,
        ids=_BASE,
        body=lambda: {"version_days": 900},
        owned=True,
    ),
    Route("GET", "/v1/acts", scopes.EVENTS_READ),
    Route("GET", "/v1/acts/{act_id}", **_ACT, ids={"act_id": act_id}),
    Route("GET", "/v1/acts/{act_id}.{form}", **_ACT, ids={"act_id": act_id, "form": lambda _world: "pdf"}),
    Route("GET", "/v1/processing-record", scopes.EVENTS_READ),
    Route(
        "GET",
        "/v1/processing-record.{form}",
        scopes.EVENTS_READ,
        ids={"form": lambda _world: "xlsx"},
    ),
    Route("GET", "/v1/alarms", scopes.EVENTS_READ),
    Route(
        "GET",
        "/v1/alarms/{alarm_id}",
        scopes.EVENTS_READ,
        frozenset({PROVIDER, OPERATOR}),
        _ALARM,
        owned=True,
    ),
    Route(
        "POST",
        "/v1/alarms/{alarm_id}/acknowledge",
        scopes.INCIDENTS_WRITE,
        _PROVIDERS,
        _ALARM,
        lambda: {"note": "a drill"},
        owned=True,
    ),
    Route("GET", "/v1/incidents", scopes.INCIDENTS_READ),
    Route("POST", "/v1/incidents", scopes.INCIDENTS_WRITE, body=new_incident, ok=201),
    Route("GET", "/v1/incidents/{incident_id}", **_SEE),
    Route("GET", "/v1/incidents/{incident_id}/entries", **_SEE),
    Route("GET", "/v1/incidents/{incident_id}/affected", **_SEE),
    Route("GET", "/v1/incidents/{incident_id}/releases", **_SEE),
    Route(
        "GET",
        "/v1/incidents/{incident_id}/report.{form}",
        **_SEE | {"ids": {"incident_id": incident_id, "form": lambda _world: "json"}},
    ),
    Route("POST", "/v1/incidents/{incident_id}/notes", **_ENTER, body=lambda: {"text": "more"}, ok=201),
    Route(
        "POST",
        "/v1/incidents/{incident_id}/duties",
        **_ENTER,
        body=lambda: {"duty": "eu_notice", "state": "done", "text": "told"},
        ok=201,
    ),
    Route(
        "PUT",
        "/v1/incidents/{incident_id}/scope",
        **_ENTER,
        body=lambda: {"since": "2026-02-01T00:00:00Z"},
    ),
    Route(
        "POST",
        "/v1/incidents/{incident_id}/close",
        **_ENTER | {"ids": {"incident_id": seen_to}},
        body=lambda: {"text": "over"},
        ok=201,
    ),
    Route(
        "POST",
        "/v1/incidents/{incident_id}/shares",
        scopes.INCIDENTS_WRITE,
        frozenset({OPERATOR}),
        {"incident_id": operators_incident},
        lambda: {"organisation_ids": [PROVIDER_ID[0]]},
        ok=201,
    ),
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
