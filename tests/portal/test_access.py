"""Who opens which page, whose ids nobody else meets, and forms that are not the room's own; without a browser."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import Response
from fastapi.routing import APIRoute
from sqlalchemy import select

from cleanroom.access.scopes import ROLES
from cleanroom.accounts.types import OrganisationKind
from cleanroom.notices.models import NoticeRow
from cleanroom.rekeying.types import What
from provider_portal.app import ROUTERS
from provider_portal.security import Cookies, form_token
from provider_portal.static_files import StaticFiles
from provider_portal.ui import PLACES
from tests.people_rooms import PASSWORD, Person, person
from tests.portal.world import Cabinet

EVERYBODY = frozenset(
    f"{kind}.{role}"
    for kind in ("provider", "operator", "advertiser")
    for role in ROLES[OrganisationKind(kind)]
)
PROVIDERS = frozenset(who for who in EVERYBODY if who.startswith("provider."))
DATA = PROVIDERS - {"provider.finance"}
WRITES = frozenset({"provider.owner", "provider.data_manager"})
EARNS = PROVIDERS | {"operator.operator"}
REVIEWS = frozenset({"operator.operator"})
DECIDES = frozenset({"provider.owner", "provider.policy_manager"})
LEADS = frozenset({"provider.owner", "operator.operator", "advertiser.owner"})
OWNERS = frozenset({"provider.owner", "advertiser.owner"})
KEEPERS = OWNERS | {"provider.data_manager", "advertiser.analyst"}
TWO_PEOPLE = KEEPERS | {"provider.policy_manager"}
OVERSEES = LEADS | {"provider.policy_manager", "provider.officer", "operator.officer", "advertiser.officer"}
OWN_DATA = OVERSEES & PROVIDERS
CONSENTS = WRITES | {"provider.officer"}
ACTS = OVERSEES - {"provider.policy_manager"}
# What is open, with what is typed; an expected status other than the usual ones stands beside it.
PAGES: dict[str, frozenset[str]] = {
    "GET /": EVERYBODY,
    "GET /datasets": DATA,
    "GET /datasets/{dataset_id}": DATA,
    "GET /datasets/{dataset_id}/versions/{version_id}": DATA,
    "GET /listings": PROVIDERS,
    "GET /listings/new": WRITES,
    "POST /listings/new": WRITES,
    "GET /listings/{listing_id}": PROVIDERS,
    "GET /listings/{listing_id}/edit": WRITES,
    "POST /listings/{listing_id}/edit": WRITES,
    "GET /listings/{listing_id}/preview": PROVIDERS,
    "GET /listings/{listing_id}/prices": PROVIDERS,
    "GET /listings/{listing_id}/versions/{number}": PROVIDERS,
    "GET /listings/{listing_id}/move/{to}": WRITES,
    "POST /listings/{listing_id}/move/{to}": WRITES,
    "GET /listings/{listing_id}/sample/{purpose}": DECIDES,
    "POST /listings/{listing_id}/sample/{purpose}": DECIDES,
    "GET /usage": PROVIDERS,
    "GET /budgets": DATA,
    "GET /budgets/{dataset_id}": DATA,
    "GET /earnings": EARNS,
    "GET /earnings/{month}": EARNS,
    "GET /earnings/{month}.{form}": EARNS,
    "GET /reviews": REVIEWS,
    "GET /reviews/{listing_id}": REVIEWS,
    "POST /reviews/{listing_id}": REVIEWS,
    "GET /datasets/{dataset_id}/policy": DATA,
    "GET /datasets/{dataset_id}/policy/versions/{number}": DATA,
    "GET /datasets/{dataset_id}/policy/trials/{trial_id}": DATA,
    "GET /datasets/{dataset_id}/policy/edit": DECIDES,
    "POST /datasets/{dataset_id}/policy/edit": DECIDES,
    "POST /datasets/{dataset_id}/policy/preview": DECIDES,
    "POST /datasets/{dataset_id}/policy/publish": DECIDES,
    "POST /datasets/{dataset_id}/policy/trials": DECIDES,
    "GET /datasets/{dataset_id}/policy/stop": DECIDES,
    "POST /datasets/{dataset_id}/policy/stop": DECIDES,
    "POST /datasets/{dataset_id}/policy/resume": DECIDES,
    "GET /requests/questions": DATA,
    "GET /requests/questions/{approval_id}": DATA,
    "POST /requests/questions/{approval_id}/approve": DECIDES,
    "POST /requests/questions/{approval_id}/reject": DECIDES,
    "GET /datasets/new": WRITES,
    "POST /datasets/new": WRITES,
    "POST /datasets/new/suggest": WRITES,
    "POST /datasets/new/check": WRITES,
    "POST /datasets/new/schema.yaml": WRITES,
    "GET /datasets/{dataset_id}/schema.yaml": DATA,
    "GET /datasets/{dataset_id}/load": WRITES,
    "POST /datasets/{dataset_id}/load/key": WRITES,
    "GET /datasets/{dataset_id}/uploads/{upload_id}": DATA,
    "GET /datasets/{dataset_id}/versions/{version_id}/left-out.csv": DATA,
    "GET /datasets/{dataset_id}/versions/{version_id}/changes": DATA,
    "POST /datasets/{dataset_id}/versions/{version_id}/junk": WRITES,
    "POST /datasets/{dataset_id}/versions/{version_id}/publish": WRITES,
    "GET /datasets/{dataset_id}/versions/{version_id}/remove": WRITES,
    "POST /datasets/{dataset_id}/versions/{version_id}/remove": WRITES,
    "GET /datasets/{dataset_id}/delete": WRITES,
    "POST /datasets/{dataset_id}/delete": WRITES,
    "GET /requests": PROVIDERS,
    "GET /requests/{request_id}": PROVIDERS,
    "POST /requests/{request_id}/approve": DECIDES,
    "POST /requests/{request_id}/reject": DECIDES,
    "GET /notices": EVERYBODY,
    "POST /notices/read-all": EVERYBODY,
    "GET /notices/settings": EVERYBODY,
    "POST /notices/settings": EVERYBODY,
    "POST /notices/{notice_id}/read": EVERYBODY,
    "GET /team": LEADS,
    "POST /team/second-factor": LEADS,
    "POST /team/invite": LEADS,
    "POST /team/{user_id}/invite-again": LEADS,
    "POST /team/{user_id}/reset": LEADS,
    "POST /team/{user_id}/role": LEADS,
    "POST /team/{user_id}/disable": LEADS,
    "GET /clients": LEADS,
    "GET /clients/new": LEADS,
    "POST /clients/new": LEADS,
    "GET /clients/{client_id}": LEADS,
    "POST /clients/{client_id}/rotate": LEADS,
    "POST /clients/{client_id}/revoke": LEADS,
    "GET /webhooks": OWNERS,
    "POST /webhooks": OWNERS,
    "GET /webhooks/{endpoint_id}": OWNERS,
    "POST /webhooks/{endpoint_id}/rotate": OWNERS,
    "POST /webhooks/{endpoint_id}/test": OWNERS,
    "POST /webhooks/{endpoint_id}/switch": OWNERS,
    "POST /webhooks/{endpoint_id}/delete": OWNERS,
    "POST /webhooks/{endpoint_id}/deliveries/{delivery_id}/again": OWNERS,
    "GET /keys": KEEPERS,
    "POST /keys/{workspace_id}/rotate": KEEPERS,
    "POST /keys/rotations/{rotation_id}/withdraw": KEEPERS,
    "GET /four-eyes": TWO_PEOPLE,
    "GET /four-eyes/new": TWO_PEOPLE,
    "POST /four-eyes/new": TWO_PEOPLE,
    "GET /four-eyes/{ask_id}": TWO_PEOPLE,
    "POST /four-eyes/{ask_id}/confirm": TWO_PEOPLE,
    "POST /four-eyes/{ask_id}/reject": TWO_PEOPLE,
    "POST /four-eyes/{ask_id}/withdraw": TWO_PEOPLE,
    "GET /compliance/overview": OVERSEES,
    "GET /compliance/events": OVERSEES,
    "GET /compliance/events/checks": OVERSEES,
    "POST /compliance/events/checks": OVERSEES,
    "GET /compliance/events/{index}": OVERSEES,
    "GET /compliance/events/{index}/proof.json": OVERSEES,
    "GET /compliance/alarms": OVERSEES,
    "GET /compliance/alarms/{alarm_id}": OVERSEES,
    "POST /compliance/alarms/{alarm_id}/acknowledge": ACTS,
    "GET /compliance/releases": OWN_DATA,
    "GET /compliance/releases/{analysis_id}": OWN_DATA,
    "GET /compliance/policies": OWN_DATA,
    "GET /compliance/policies/{dataset_id}/{number}": OWN_DATA,
    "GET /compliance/approvals": OWN_DATA,
    "GET /compliance/approvals/{approval_id}": OWN_DATA,
    "GET /compliance/budgets": OWN_DATA,
    "GET /compliance/budgets/{dataset_id}": OWN_DATA,
    "GET /compliance/two-people": OVERSEES,
    "GET /compliance/two-people/{ask_id}": OVERSEES,
    "POST /compliance/two-people/{ask_id}/confirm": OVERSEES,
    "POST /compliance/two-people/{ask_id}/reject": OVERSEES,
    "POST /compliance/two-people/{ask_id}/withdraw": OVERSEES,
    "GET /compliance/incidents": ACTS,
    "GET /compliance/incidents/new": ACTS,
    "POST /compliance/incidents/new": ACTS,
    "GET /compliance/incidents/{incident_id}": ACTS,
    "POST /compliance/incidents/{incident_id}/note": ACTS,
    "POST /compliance/incidents/{incident_id}/duty": ACTS,
    "POST /compliance/incidents/{incident_id}/share": ACTS,
    "POST /compliance/incidents/{incident_id}/close": ACTS,
    "GET /compliance/incidents/{incident_id}/scope": ACTS,
    "POST /compliance/incidents/{incident_id}/scope": ACTS,
    "GET /compliance/incidents/{incident_id}/report.json": ACTS,
    "GET /compliance/incidents/{incident_id}/report.pdf": ACTS,
    "GET /compliance/lookup": CONSENTS,
    "POST /compliance/lookup": CONSENTS,
    "POST /compliance/lookup/export.json": CONSENTS,
    "GET /compliance/purposes": CONSENTS,
    "GET /compliance/notices/{code}/{version}": CONSENTS,
    "GET /compliance/epochs": CONSENTS,
    "GET /compliance/epochs/{dataset_id}/{epoch}": CONSENTS,
    "GET /compliance/processing": OVERSEES,
    "GET /compliance/processing/record.{form}": OVERSEES,
    "GET /compliance/erasures": OVERSEES,
    "GET /compliance/erasures/{erasure_id}": OVERSEES,
    "GET /compliance/erasures/{erasure_id}/certificate.json": OVERSEES,
    "GET /compliance/acts": OVERSEES,
    "GET /compliance/acts/{act_id}/act.pdf": OVERSEES,
    "GET /compliance/retention": OVERSEES,
    "GET /compliance/evidence": OVERSEES,
    "POST /compliance/evidence": OVERSEES,
    "GET /compliance/evidence/{bundle_id}/bundle.zip": OVERSEES,
    "GET /account": EVERYBODY,
    "POST /account/password": EVERYBODY,
    "POST /account/sessions/{session_id}/end": EVERYBODY,
    "POST /account/sessions/end-others": EVERYBODY,
    "GET /account/second-factor": EVERYBODY,
    "POST /account/second-factor/begin": EVERYBODY,
    "POST /account/second-factor/confirm": EVERYBODY,
    "POST /account/second-factor/codes": EVERYBODY,
    "POST /account/second-factor/remove": EVERYBODY,
    "POST /account/connect/{provider}": EVERYBODY,
    "POST /account/disconnect/{provider}": EVERYBODY,
    "POST /sign-out": EVERYBODY,
}
PUBLIC = {
    "GET /sign-in",
    "POST /sign-in",
    "POST /sign-in/code",
    "GET /forgotten",
    "POST /forgotten",
    "POST /sign-in/with/{provider}",
    "GET /sign-in/with/{provider}/back",
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
        self.http = httpx.Client(base_url=cabinet.url, cookies=cookies, timeout=60)

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


def place(cabinet: Cabinet, what: str, who: str = "provider", **ids: str) -> str:
    """Fill an address in: pages show what is the person's own organisation's, forms change nothing."""
    party, form = who.partition(".")[0], what.startswith("POST")
    usual = {
        "client_id": "cl_none" if form else cabinet.made[f"client.{party}"],
        "endpoint_id": "wh_none" if form else cabinet.made.get(f"hook.{party}", "wh_none"),
        "ask_id": "fe_none" if form else cabinet.made["ask.advertiser" if party == "advertiser" else "ask"],
        "delivery_id": "msg_none",
        "workspace_id": "ws_none",
        "rotation_id": "kr_none",
        "dataset_id": cabinet.made["dataset"],
        # What is removed must be no version that others look at.
        "version_id": cabinet.made["shared" if what.startswith("POST") and "remove" in what else "version"],
        "upload_id": cabinet.made["upload"],
        "request_id": cabinet.made["waiting"],
        "listing_id": cabinet.made["private" if "/reviews/" in what else "listing"],
        "number": "1",
        # What is live goes to paused, and not to draft: a form that is tried here changes nothing.
        "to": "paused" if what.startswith("GET") else "draft",
        "purpose": "advertising",
        "month": "2026-11",
        "form": "csv",
        "approval_id": cabinet.made["question"],
        "trial_id": cabinet.made["trial"],
        "user_id": "us_none",
        "notice_id": "nt_none",
        "provider": "none",
        "session_id": "ses_none",
        "index": cabinet.made["event.advertiser" if party == "advertiser" else "event"],
        "alarm_id": "al_none"
        if form
        else cabinet.made["alarm.advertiser" if party == "advertiser" else "alarm"],
        "analysis_id": cabinet.made["answer"],
        "incident_id": "in_none" if form else cabinet.made[f"incident.{party}"],
        "bundle_id": cabinet.made[f"bundle.{party}"],
        # An operator looks after the whole room.
        "erasure_id": cabinet.made["erasure.advertiser" if party == "advertiser" else "erasure"],
        "act_id": cabinet.made["act.advertiser" if party == "advertiser" else "act"],
        "code": "marketing",
        "version": "2",
        "epoch": "1",
    }
    return what.format(**usual | ids)


@pytest.mark.parametrize("who", sorted(EVERYBODY))
def test_a_role_opens_its_pages_and_no_other(cabinet: Cabinet, client: Any, who: str) -> None:
    call = client(who)
    for what, allowed in PAGES.items():
        if what == "POST /sign-out":
            continue
        answer = call(place(cabinet, what, who))
        assert (answer.status_code != 403) is (who in allowed), (what, answer.status_code)
        assert answer.status_code < 500, what
        if what.startswith("GET") and who in allowed:
            assert answer.status_code == 200, what
            if not answer.headers["content-type"].startswith("text/html"):
                continue
            # The navigation shows what opens, and nothing else.
            places = (
                "/datasets",
                "/listings",
                "/requests",
                "/usage",
                "/budgets",
                "/earnings",
                "/reviews",
                "/team",
                "/clients",
                "/keys",
                "/four-eyes",
                *(page.path for page in PLACES if page.path.startswith("/compliance/")),
            )
            for path in places if "html" in answer.headers["content-type"] else ():
                assert (f'<a href="{path}" >' in answer.text or f'<a href="{path}" aria' in answer.text) is (
                    who in PAGES[f"GET {path}"]
                ), (what, path)
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
    watched.sign_in()
    cabinet.room.notices.outbox.catch_up(cabinet.room.db)
    with cabinet.room.db.reading() as tx:
        mine = select(NoticeRow.id).where(NoticeRow.user_id == colleague)
        notice = tx.session.scalars(mine.limit(1)).one()
    with cabinet.room.db.transaction() as tx:
        rotation = cabinet.room.rekeying.ask(tx, cabinet.made["spare.provider"], What.TOKENS, by=colleague).id
    ids = {
        "notice_id": notice,
        "user_id": colleague,
        "session_id": session,
        "client_id": cabinet.made["client.provider"],
        "endpoint_id": cabinet.made["hook.provider"],
        "delivery_id": cabinet.made["delivery.provider"],
        "ask_id": cabinet.made["ask"],
        "alarm_id": cabinet.made["alarm"],
        "incident_id": cabinet.made["incident.provider"],
        "bundle_id": cabinet.made["bundle.provider"],
        "workspace_id": cabinet.made["spare.provider"],
        "rotation_id": rotation,
    }
    missing = {
        "client_id": "cl_0",
        "endpoint_id": "wh_0",
        "delivery_id": "msg_0",
        "ask_id": "fe_0",
        "workspace_id": "ws_0",
        "rotation_id": "kr_0",
        "dataset_id": "ds_0",
        "version_id": "dv_0",
        "upload_id": "up_0",
        "request_id": "erq_0",
        "listing_id": "lst_0",
        "approval_id": "apr_0",
        "trial_id": "try_0",
        "user_id": "us_0",
        "session_id": "ses_0",
        "notice_id": "nt_0",
        "alarm_id": "al_0",
        "analysis_id": "an_0",
        "incident_id": "in_0",
        "bundle_id": "eb_0",
        "erasure_id": "er_0",
        "act_id": "ac_0",
    }
    tried = 0
    for what, allowed in PAGES.items():
        # Names of identity providers are everybody's.
        if "_id}" not in what or allowed <= REVIEWS:
            continue
        form = {"reason": "no", "role": "viewer", "password": PASSWORD}
        theirs, none = call(place(cabinet, what, **ids), form), call(place(cabinet, what, **missing), form)
        assert (theirs.status_code, none.status_code) == (404, 404), what
        assert re.sub(r"req_\w+", "", theirs.text).replace(
            place(cabinet, what, **ids).split(" ")[1], ""
        ) == re.sub(r"req_\w+", "", none.text).replace(place(cabinet, what, **missing).split(" ")[1], ""), (
            what
        )
        tried += 1
    assert tried == 87
    index = cabinet.made["event"]
    for path in (f"/compliance/events/{index}", f"/compliance/events/{index}/proof.json"):
        assert call(f"GET {path}").status_code == 404
        assert owner(f"GET {path}").status_code == 200
    assert owner(place(cabinet, "GET /requests/{request_id}")).status_code == 200
    with cabinet.room.db.reading() as tx:
        assert cabinet.room.access.users.user(tx, colleague).disabled_at is None
        assert cabinet.room.access.clients.client(tx, ids["client_id"]).revoked_at is None
        assert cabinet.room.workspaces.workspace(tx, ids["workspace_id"]).destroyed_at is None
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


def test_a_form_that_grows_with_what_it_describes_may_be_long(cabinet: Cabinet, client: Any) -> None:
    call, long = (
        client("provider.owner"),
        {"dataset": cabinet.made["dataset"], "segments-0-condition": "x" * 70_000},
    )
    assert call("POST /team/invite", long).status_code == 413
    assert call("POST /listings/new", long).status_code == 400


def test_every_answer_protects(cabinet: Cabinet, client: Any) -> None:
    call = client("provider.owner")
    styles = re.search(r'href="(/static/[^"]+cabinet\.css)"', call("GET /").text)
    assert styles is not None
    for path in ("/", "/sign-in", "/no/such", styles[1], "/static/0/none.css"):
        answer = call(f"GET {path}")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "worker-src 'self'" in policy
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


def test_uploads_are_for_whoever_loads_data(cabinet: Cabinet, client: Any) -> None:
    path = f"/uploads/{cabinet.made['upload']}"
    tus = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream", "Upload-Offset": "7"}
    own = {"Origin": cabinet.url, "X-Form-Token": TOKEN}
    for who in EVERYBODY:
        http = client(who).http
        allowed = who in WRITES
        assert http.get(path).status_code == (200 if allowed else 403), who
        assert http.head(path, headers=tus).status_code == (204 if allowed else 403), who
        answer = http.patch(path, headers=tus | own, content=b"abc")
        assert answer.status_code == (409 if allowed else 403), who
        assert answer.headers.get("tus-resumable") == ("1.0.0" if allowed else None)
    assert client().http.get(path).status_code == 401
    stranger = client("rival.owner").http
    for method, more in (("GET", {}), ("HEAD", tus), ("PATCH", tus | own), ("DELETE", tus | own)):
        assert stranger.request(method, path, headers=more).status_code == 404, method
    with cabinet.room.db.reading() as tx:
        organisation_id = cabinet.stage.provider.organisation_id
        upload = cabinet.room.uploads.upload(tx, cabinet.made["upload"], organisation_id=organisation_id)
    assert (upload.offset, upload.status) == (0, "receiving")


def test_whoever_owes_a_second_factor_uploads_nothing(cabinet: Cabinet, client: Any) -> None:
    requirement, organisation_id = cabinet.room.signin.requirement, cabinet.stage.provider.organisation_id
    http, path = client("provider.owner").http, f"/uploads/{cabinet.made['upload']}"
    tus = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    own = {"Origin": cabinet.url, "X-Form-Token": TOKEN}
    with cabinet.room.db.transaction() as tx:
        requirement.set(tx, organisation_id, True, by="a test")
    try:
        assert http.get("/datasets").headers["location"] == "/account/second-factor"
        assert http.get(path).status_code == 403
        assert http.patch(path, headers=tus | own, content=b"abc").status_code == 403
        assert http.delete(path, headers=tus | own).status_code == 403
    finally:
        with cabinet.room.db.transaction() as tx:
            requirement.set(tx, organisation_id, False, by="a test")
    assert http.get(path).json()["offset"] == 0


def test_zero_bytes_are_refused_before_the_database_meets_them(cabinet: Cabinet, client: Any) -> None:
    call = client("provider.owner")
    # PostgreSQL would fail at each of these.
    for what in ("GET /datasets/%00", "GET /datasets?q=%00", "POST /team/%00/reset", "GET /reset/a%00b"):
        assert call(what).status_code == 400, what
    for form in ({"email": "a\x00@example.org"}, {"\x00": ""}):
        assert call("POST /sign-in", form).status_code == 400, form
        assert client()("POST /forgotten", form).status_code == 400, form


def test_a_token_of_any_letters_is_no_token(cabinet: Cabinet, client: Any) -> None:
    call = client("provider.owner")
    assert call("POST /preferences", {"form_token": "é"}).status_code == 403
    headers = {"X-Form-Token": "é".encode("latin-1"), "Origin": cabinet.url, "Tus-Resumable": "1.0.0"}
    assert call.http.post("/uploads", headers=headers).status_code == 403


@pytest.mark.parametrize("odd", ['["\\ud800"]', '{"a": "\\ud800"}', "[" * 15_000, '{"a":' * 3_000])
def test_json_that_cannot_be_written_again_is_none(cabinet: Cabinet, client: Any, odd: str) -> None:
    call = client("provider.owner")
    assert call("POST /datasets/new/suggest", {"columns": odd}).status_code == 400
    assert "error" in call("POST /datasets/new/check", {"schema": odd}).json()
    viewer = cabinet.people["provider.viewer"].user.email
    entered = client()("POST /sign-in", {"email": viewer, "password": PASSWORD, "kept": odd})
    # What was kept is lost; whoever has the password is in.
    assert entered.status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Form-Token": TOKEN, "Origin": "https://evil.example"},
        {"X-Form-Token": TOKEN},
        {"X-Form-Token": form_token("another browser's"), "Origin": "own"},
        {"Origin": "own"},
    ],
)
def test_no_other_site_can_upload_or_end_an_upload(
    cabinet: Cabinet, client: Any, headers: dict[str, str]
) -> None:
    http = client("provider.owner").http
    if headers.get("Origin") == "own":
        headers = headers | {"Origin": cabinet.url}
    sent = {"Tus-Resumable": "1.0.0", "Upload-Length": "1"} | headers
    for method, path in (("POST", "/uploads"), ("DELETE", f"/uploads/{cabinet.made['upload']}")):
        assert http.request(method, path, headers=sent).status_code == 403, method


def test_an_upload_may_be_larger_than_a_form_and_a_form_may_not(cabinet: Cabinet, client: Any) -> None:
    call = client("provider.data_manager")
    long = {"name": "x", "schema": "{" + " " * 200_000}
    assert call("POST /datasets/new/check", long).status_code == 200
    assert call("POST /team/invite", long).status_code == 413
    assert call("POST /datasets/new/check", {"schema": "x" * (5 << 20)}).status_code == 413
    headers = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
    headers |= {"Upload-Offset": "0", "Origin": cabinet.url, "X-Form-Token": TOKEN}
    path = f"/uploads/{cabinet.made['upload']}"
    # The room's own limit speaks: this package was announced with a thousand bytes.
    answer = call.http.patch(path, headers=headers, content=bytes(200_000))
    assert answer.json()["code"] == "uploads.too_large"
    assert call("POST /datasets/new/suggest", {"columns": "no list"}).status_code == 400
    suggested = call("POST /datasets/new/suggest", {"columns": '["email", "Religion"]'}).json()
    assert [one["role"] for one in suggested] == ["key", "left_out"]


def test_modules_of_a_folder_lie_side_by_side(cabinet: Cabinet) -> None:
    names = ("csv.js", "describe.js", "libraries.min.js", "load.js", "worker.js")
    urls = {name: StaticFiles().url(f"wizard/{name}") for name in names}
    assert len({url.rpartition("/")[0] for url in urls.values()}) == 1
    for url in urls.values():
        answer = httpx.get(cabinet.url + url)
        assert answer.headers["content-type"].startswith("text/javascript")
        assert "immutable" in answer.headers["cache-control"]
    assert httpx.get(cabinet.url + urls["csv.js"].replace("/static/", "/static/0")).status_code == 404
    assert httpx.get(cabinet.url + "/static/x/%2e%2e/LICENCES.md").status_code == 404
