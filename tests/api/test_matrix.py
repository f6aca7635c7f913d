"""Every route says whom it is for, and means it: the census, and every route as every role and as a rival."""

from collections.abc import Iterator

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from advertiser_api.auth import acting, requires, scopes_of
from advertiser_api.public import is_public
from cleanroom.access.scopes import ROLES
from tests.api.matrix import AGENCY, ALONE, ROUTES, Route
from tests.api.world import KINDS, World

CALLERS = [
    (party, role)
    for party in ("provider", "advertiser", "agency", "operator")
    for role in ROLES[KINDS[party]]
]
RIVALS = {
    "provider": "rival_provider.owner",
    "advertiser": "rival_advertiser.owner",
    "agency": "rival_agency.owner",
}


def declared(app: FastAPI) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    """Every route of an application with the scopes it demands, None where nobody is asked."""
    for context in iter_route_contexts(app.routes):
        if context.path is None or is_public(context.path):
            continue
        route = context.original_route
        found = list(_scopes(route.dependant)) if isinstance(route, APIRoute) else []
        for method in sorted((context.methods or {"ANY"}) - {"HEAD"}):
            yield f"{method} {context.path}", max(found, key=len) if found else None


def _scopes(dependant: Dependant) -> Iterator[tuple[str, ...]]:
    for part in dependant.dependencies:
        if (scopes := scopes_of(part.call)) is not None:
            yield scopes
        yield from _scopes(part)


def test_every_route_asks_who_calls(shared: World) -> None:
    routes = dict(declared(shared.app))
    assert len(routes) > 20
    assert [name for name, scopes in routes.items() if scopes is None] == []


def test_the_census_sees_a_route_that_asks_nobody() -> None:
    planted = APIRouter(prefix="/v1/planted")
    planted.add_api_route("/open", lambda: {}, methods=["GET", "POST"])
    planted.add_api_route("/closed", lambda: {}, dependencies=[Depends(acting("bases:read"))])
    planted.add_api_route("/any", lambda: {}, dependencies=[Depends(requires())])
    app = FastAPI(docs_url=None, redoc_url=None)
    app.include_router(planted)
    app.add_route("/v1/plain", lambda request: None)  # type: ignore[arg-type, return-value]
    assert dict(declared(app)) == {
        "GET /v1/planted/open": None,
        "POST /v1/planted/open": None,
        "GET /v1/planted/closed": ("bases:read",),
        "GET /v1/planted/any": (),
        "GET /v1/plain": None,
    }


def test_every_route_stands_in_the_matrix_with_its_scope(shared: World) -> None:
    listed = {route.name: tuple(filter(None, (route.scope, route.also))) for route in ROUTES}
    found = dict(declared(shared.app))
    assert {name: scopes for name, scopes in found.items() if name not in ALONE} == listed
    assert set(found) >= ALONE


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_role_gets_what_it_may_and_nothing_else(shared: World, route: Route) -> None:
    for party, role in CALLERS:
        answer = shared.call(f"{party}.{role}", route.method, route.address(shared), route.body())
        kind = KINDS[party]
        if route.scope is not None and route.scope not in ROLES[kind][role]:
            expected = 403
        elif kind not in route.kinds:
            expected = 404
        else:
            expected = route.ok
        assert answer.status_code == expected, (party, role, answer.text)
        if expected == 403:
            assert answer.json()["code"] == "access.insufficient_scope"
            needed = " ".join(filter(None, (route.scope, route.also)))
            assert f'scope="{needed}"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_nobody_gets_anything(shared: World, route: Route) -> None:
    answer = shared.call(None, route.method, route.address(shared), route.body())
    assert (answer.status_code, answer.json()["code"]) == (401, "api.unauthenticated")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="cleanroom"'


@pytest.mark.parametrize("route", [one for one in ROUTES if one.owned], ids=lambda route: route.name)
def test_what_is_a_rivals_is_not_there(shared: World, route: Route) -> None:
    """A foreign thing is answered word for word like one that does not exist."""
    foreign = route.address(shared)
    unknown = foreign.replace("0", "f")
    if "{index}" in route.path:
        unknown = route.path.format(index=2**40)
    asked = 0
    for party, rival in RIVALS.items():
        if route.scope not in ROLES[KINDS[party]]["owner"]:
            continue
        headers = {}
        if KINDS[party] is AGENCY:
            headers = {"Cleanroom-Advertiser": _lent(shared)}
        found, missing = (
            shared.call(rival, route.method, path, route.body(), headers=headers)
            for path in (foreign, unknown)
        )
        assert found.status_code == missing.status_code == 404, (rival, found.text, missing.text)
        assert {**found.json(), "instance": ""} == {**missing.json(), "instance": ""}
        asked += 1
    assert asked


def _lent(world: World) -> str:
    """The rival agency acts for the rival advertiser."""
    lent = world.party("rival_advertiser").organisation_id
    body = {"agency_id": world.party("rival_agency").organisation_id}
    assert world.call("rival_advertiser.owner", "POST", "/v1/mandates", body).status_code in (201, 400)
    return lent
