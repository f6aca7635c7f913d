"""Who opens which page, whose ids nobody else meets, and forms that are not the room's own; without a browser."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import Response
from fastapi.routing import APIRoute

from cleanroom.access.scopes import ROLES
from cleanroom.accounts.types import OrganisationKind
from provider_portal.app import ROUTERS
from provider_portal.security import Cookies, form_token
from tests.people_rooms import PASSWORD, Person, person
from tests.portal.world import Cabinet

EVERYBODY = frozenset(
    f"{kind}.{role}"
    for kind in ("provider", "operator", "advertiser")
    for role in ROLES[OrganisationKind(kind)]
)
PROVIDERS = frozenset(who for who in EVERYBODY if who.startswith("provider."))
DATA = PROVIDERS - {"provider.finance"}
DECIDES = frozenset({"provider.owner", "provider.policy_manager"})
LEADS = frozenset({"provider.owner", "operator.operator", "advertiser.owner"})
# What is open, with what is typed; an expected status other than the usual ones stands beside it.
PAGES: dict[str, frozenset[str]] = {
    "GET /": EVERYBODY,
    "GET /datasets": DATA,
    "GET /datasets/{dataset_id}": DATA,
    "GET /datasets/{dataset_id}/versions/{version_id}": DATA,
    "GET /requests": PROVIDERS,
    "GET /requests/{request_id}": PROVIDERS,
    "POST /requests/{request_id}/approve": DECIDES,
    "POST /requests/{request_id}/reject": DECIDES,
    "GET /team": LEADS,
    "POST /team/invite": LEADS,
    "POST /team/{user_id}/invite-again": LEADS,
    "POST /team/{user_id}/reset": LEADS,
    "POST /team/{user_id}/role": LEADS,
    "POST /team/{user_id}/disable": LEADS,
    "GET /account": EVERYBODY,
    "POST /account/password": EVERYBODY,
    "POST /account/sessions/{session_id}/end": EVERYBODY,
    "POST /account/sessions/end-others": EVERYBODY,
    "GET /account/second-factor": EVERYBODY,
    "POST /account/second-factor/begin": EVERYBODY,
    "POST /account/second-factor/confirm": EVERYBODY,
    "POST /account/second-factor/codes": EVERYBODY,
    "POST /account/second-factor/remove": EVERYBODY,
    "POST /sign-out": EVERYBODY,
}
PUBLIC = {
    "GET /sign-in",
    "POST /sign-in",
    "POST /sign-in/code",
    "GET /forgotten",
    "GET /invitation/{token}",
    "POST /invitation/{token}",
    "GET /reset/{token}",
    "POST /reset/{token}",
    "GET /welcome/{token}",
    "POST /welcome/{token}",
    "POST /preferences",
}
FORM = {"cleanroom-form": "a browser's own"}
TOKEN = form_token("a browser's own")


class Client:
    """Calls pages as somebody, with forms as the pages send them."""

    def __init__(self, cabinet: Cabinet, who: Person | None = None) -> None:
        cookies = dict(FORM)
        if who is not None:
            cookies["cleanroom"] = who.enter().token
        self.url = cabinet.url
        self.http = httpx.Client(base_url=cabinet.url, cookies=cookies)

    def __call__(
        self, what: str, form: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        method, path = what.split(" ")
        if method == "GET":
            return self.http.get(path, headers=headers)
        sent = {"form_token": TOKEN} | (form or {})
        return self.http.post(path, data=sent, headers={"Origin": self.url} | (headers or {}))


@pytest.fixture
def client(cabinet: Cabinet) -> Iterator[Any]:
    opened: list[Client] = []

    def make(who: str | Person | None = None) -> Client:
        opened.append(Client(cabinet, cabinet.people[who] if isinstance(who, str) else who))
        return opened[-1]

    yield make
    for one in opened:
        one.http.close()


def routes() -> dict[str, APIRoute]:
    return {
        f"{method} {route.path}": route
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }


def guards(dependant: Any) -> list[Any]:
    found = [call.needs for call in [dependant.call] if hasattr(call, "needs")]
    for inner in dependant.dependencies:
        found += guards(inner)
    return found


def test_every_route_names_whom_it_is_for() -> None:
    known = routes()
    assert set(known) == set(PAGES) | PUBLIC
    for name, route in known.items():
        assert bool(guards(route.dependant)) is (name not in PUBLIC), name
        assert (route.name == "public") is (name in PUBLIC), name


def place(cabinet: Cabinet, what: str, **ids: str) -> str:
    usual = {
        "dataset_id": cabinet.made["dataset"],
        "version_id": cabinet.made["version"],
        "request_id": cabinet.made["waiting"],
        "user_id": "us_none",
        "session_id": "ses_none",
    }
    return what.format(**usual | ids)


@pytest.mark.parametrize("who", sorted(EVERYBODY))
def test_a_role_opens_its_pages_and_no_other(cabinet: Cabinet, client: Any, who: str) -> None:
    call = client(who)
    for what, allowed in PAGES.items():
        if what == "POST /sign-out":
            continue
        answer = call(place(cabinet, what))
        assert (answer.status_code != 403) is (who in allowed), (what, answer.status_code)
        assert answer.status_code < 500, what
        if what.startswith("GET") and who in allowed:
            assert answer.status_code == 200, what
            # The navigation shows what opens, and nothing else.
            for path in ("/datasets", "/requests", "/team"):
                assert (f'href="{path}"' in answer.text) is (who in PAGES[f"GET {path}"]), (what, path)
    assert call("POST /sign-out").status_code == 303
    assert call("GET /").status_code == 401


def test_nobody_opens_nothing(cabinet: Cabinet, client: Any) -> None:
    call = client()
    for what in PAGES:
        answer = call(place(cabinet, what))
        assert answer.status_code == 401, what
        assert 'name="password"' in answer.text


def test_a_stranger_meets_nothing_of_others(cabinet: Cabinet, client: Any) -> None:
    call, owner = client("rival.owner"), client("provider.owner")
    watched = person(cabinet.room, cabinet.stage.provider.organisation_id, "viewer", "watched@example.org")
    watched.enter()
    colleague = watched.user.id
    with cabinet.room.db.reading() as tx:
        session = cabinet.room.signin.sessions.of(tx, colleague)[0].id
    ids = {"user_id": colleague, "session_id": session}
    missing = {
        "dataset_id": "ds_0",
        "version_id": "dv_0",
        "request_id": "erq_0",
        "user_id": "us_0",
        "session_id": "ses_0",
    }
    tried = 0
    for what in PAGES:
        if "{" not in what:
            continue
        form = {"reason": "no", "role": "viewer"}
        theirs, none = call(place(cabinet, what, **ids), form), call(place(cabinet, what, **missing), form)
        assert (theirs.status_code, none.status_code) == (404, 404), what
        assert re.sub(r"req_\w+", "", theirs.text).replace(
            place(cabinet, what, **ids).split(" ")[1], ""
        ) == re.sub(r"req_\w+", "", none.text).replace(place(cabinet, what, **missing).split(" ")[1], ""), (
            what
        )
        tried += 1
    assert tried == 10
    assert owner(place(cabinet, "GET /requests/{request_id}")).status_code == 200
    with cabinet.room.db.reading() as tx:
        assert cabinet.room.access.users.user(tx, colleague).disabled_at is None
        assert [one.id for one in cabinet.room.signin.sessions.of(tx, colleague)].count(session) == 1


def test_a_buyer_is_no_provider_even_of_its_own_request(cabinet: Cabinet, client: Any) -> None:
    for role in ROLES[OrganisationKind.ADVERTISER]:
        assert client(f"advertiser.{role}")(place(cabinet, "GET /requests/{request_id}")).status_code == 403


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ({"Origin": "https://evil.example"}, {}),
        ({"Origin": "null"}, {}),
        ({"Origin": "http://localhost:1"}, {}),
        ({}, {"form_token": ""}),
        ({}, {"form_token": form_token("another browser's")}),
    ],
)
def test_a_foreign_form_is_refused_and_changes_nothing(
    cabinet: Cabinet, client: Any, headers: dict[str, str], form: dict[str, str]
) -> None:
    call = client("provider.owner")
    before = len(cabinet.stage.events())
    for what in ("POST /team/invite", "POST /sign-out", "POST /preferences", "POST /sign-in"):
        answer = call(
            what, {"email": "x@example.org", "role": "viewer", "password": PASSWORD} | form, headers
        )
        assert answer.status_code == 403, what
    assert call("GET /").status_code == 200
    assert len(cabinet.stage.events()) == before


def test_a_form_without_any_origin_needs_the_browsers_word(cabinet: Cabinet) -> None:
    for headers, status in (
        ({}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
    ):
        answer = httpx.post(
            cabinet.url + "/preferences", data={"form_token": TOKEN}, cookies=FORM, headers=headers
        )
        assert answer.status_code == status, headers


def test_pages_ignore_bearers_and_the_api_ignores_cookies(cabinet: Cabinet, client: Any) -> None:
    room, organisation_id = cabinet.room, cabinet.stage.provider.organisation_id
    with room.db.transaction() as tx:
        program = room.access.clients.register(tx, organisation_id=organisation_id, name="p", role="owner")
    bearer = {"Authorization": f"Bearer {room.access.issue_token(program.client).value}"}
    assert httpx.get(cabinet.url + "/v1/me", headers=bearer).status_code == 200
    assert httpx.get(cabinet.url + "/datasets", headers=bearer).status_code == 401
    call = client("provider.owner")
    assert call("GET /datasets").status_code == 200
    assert call("GET /v1/me").status_code == 401
    assert call("GET /v1/no/such").headers["content-type"] == "application/problem+json"
    token = call.http.cookies["cleanroom"]
    as_bearer = {"Authorization": f"Bearer {token}"}
    assert httpx.get(cabinet.url + "/v1/me", headers=as_bearer).status_code == 401


def test_every_answer_protects(cabinet: Cabinet, client: Any) -> None:
    call = client("provider.owner")
    styles = re.search(r'href="(/static/[^"]+cabinet\.css)"', call("GET /").text)
    assert styles is not None
    for path in ("/", "/sign-in", "/no/such", styles[1], "/static/0/none.css"):
        answer = call(f"GET {path}")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        kept = "immutable" in answer.headers["cache-control"]
        assert kept is (path == styles[1]), path
        assert kept or answer.headers["cache-control"] == "no-store"


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(cabinet: Cabinet, client: Any) -> None:
    call = client()
    owner = cabinet.people["provider.viewer"].user.email
    answer = call("POST /sign-in", {"email": owner, "password": PASSWORD})
    assert answer.status_code == 303
    kept = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("cleanroom="))
    assert "HttpOnly" in kept
    assert "SameSite=lax" in kept
    assert "Path=/" in kept
    assert "Max-Age" not in kept
    assert "Domain" not in kept


def test_signing_in_anew_ends_the_session_before(cabinet: Cabinet, client: Any) -> None:
    call = client("provider.viewer")
    before = call.http.cookies["cleanroom"]
    viewer = cabinet.people["provider.viewer"].user.email
    answer = call("POST /sign-in", {"email": viewer, "password": PASSWORD})
    assert answer.status_code == 303
    assert answer.cookies["cleanroom"] != before
    assert cabinet.room.signin.member(before) is None
    assert cabinet.room.signin.member(answer.cookies["cleanroom"]) is not None


def test_with_tls_no_other_host_can_set_a_cookie() -> None:
    cookies, response = Cookies(https=True), Response()
    cookies.set(response, "cleanroom", "secret")
    kept = response.headers["set-cookie"]
    assert kept.startswith("__Host-cleanroom=secret")
    assert "Secure" in kept
    cookies.drop(response, "cleanroom")
    dropped = response.headers.getlist("set-cookie")[-1]
    assert dropped.startswith('__Host-cleanroom=""')
    assert "Secure" in dropped


@pytest.mark.parametrize(
    ("wanted", "leads"),
    [
        ("/requests?state=pending", "/requests?state=pending"),
        ("//evil.example/x", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\nX: y", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_signing_in_leads_into_the_room_alone(cabinet: Cabinet, client: Any, wanted: str, leads: str) -> None:
    viewer = cabinet.people["provider.viewer"].user.email
    answer = client()("POST /sign-in", {"email": viewer, "password": PASSWORD, "next": wanted})
    assert (answer.status_code, answer.headers["location"]) == (303, leads)


def test_bad_requests_are_answered_and_not_logged(cabinet: Cabinet, client: Any) -> None:
    call = client("provider.owner")
    assert call("GET /datasets?page=99999999&sort=x&order=y&show=z").status_code == 200
    assert call("GET /requests?state=x&page=-1&q=%25_%5C").status_code == 200
    assert call("POST /requests/erq_1/reject", {"reason": "x" * 70_000}).status_code == 413
    answer = call.http.post("/team/invite", json={"email": "x"}, headers={"Origin": cabinet.url})
    assert answer.status_code == 415
    assert call.http.put("/team", headers={"Origin": cabinet.url}).status_code == 405
    assert call.http.post("/team", headers={"Origin": cabinet.url}).status_code == 405
    lines = cabinet.log.getvalue()
    for secret in (PASSWORD, call.http.cookies["cleanroom"], TOKEN, "provider.example.org"):
        assert secret not in lines


def test_a_role_that_is_taken_away_counts_at_once(cabinet: Cabinet, client: Any) -> None:
    organisation_id = cabinet.stage.provider.organisation_id
    who = person(cabinet.room, organisation_id, "policy_manager", "passing@example.org")
    call = client(who)
    assert "Approve" in call(place(cabinet, "GET /requests/{request_id}")).text
    with cabinet.room.db.transaction() as tx:
        cabinet.room.access.users.change_role(tx, who.user.id, "viewer")
    assert "Approve" not in call(place(cabinet, "GET /requests/{request_id}")).text
    assert call(place(cabinet, "POST /requests/{request_id}/approve")).status_code == 403


def test_nothing_of_a_request_is_sent_by_itself_after_signing_in(cabinet: Cabinet, client: Any) -> None:
    call = client()
    late = call(place(cabinet, "POST /requests/{request_id}/reject"), {"reason": "not <now>"})
    assert late.status_code == 401
    kept = re.search(r'name="kept" value="([^"]*)"', late.text)
    assert kept is not None
    assert "form_token" not in kept[1]
    password = call("POST /account/password", {"password": "p w", "new_password": "n w"})
    assert "p w" not in password.text
    assert "n w" not in password.text
