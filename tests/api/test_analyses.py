"""Questions over HTTP: estimated, asked, followed, read and proven; and who may."""

from base64 import b64encode
from typing import Any

import httpx
import pytest

from cleanroom.client import Recipient, prepare, verify_receipt
from cleanroom.worker.pieces import Counting, Loading
from tests.api.matrix import analysis_id, entitlement_id
from tests.api.world import World
from tests.market import YOUNG, Market
from tests.rooms import BASE_HEADER, PURPOSE, clients

BUYER = "advertiser.owner"


@pytest.fixture
def market(world: World) -> Market:
    return Market(world.stage)


def body(world: World, entitlement: str, **changed: Any) -> dict[str, Any]:
    wanted = {
        "entitlement_id": entitlement,
        "base_id": world.stage.base_id,
        "purpose": PURPOSE,
        "segments": {"young": YOUNG},
        "labels": False,
        "per_key": False,
    }
    return {**wanted, **changed}


def ask(world: World, entitlement: str, who: str = BUYER, **changed: Any) -> httpx.Response:
    # Ids are in the order of their milliseconds.
    world.stage.clock.move(milliseconds=1)
    return world.call(who, "POST", "/v1/analyses", body(world, entitlement, **changed))


def work(world: World) -> None:
    counting = Counting(world.stage.room, _raise)
    while counting():
        pass
    counting.close()


def _raise(_event: str, error: Exception) -> None:
    raise error


def upload(world: World, base_id: str, rows: list[str]) -> str:
    """Bring a base as a client does: prepared and sealed here, sent in two pieces."""
    stage, party = world.stage, world.stage.advertiser
    desk = stage.home.parent / "desk"
    desk.mkdir()
    (desk / "base.csv").write_text("\n".join((BASE_HEADER, *rows)) + "\n", encoding="utf-8")
    with stage.room.db.reading() as tx:
        schema = stage.room.datasets.dataset(tx, base_id).schema
    package = prepare(
        desk / "base.csv",
        schema=schema,
        recipient=Recipient(party.workspace_id, base_id, party.recipient),
        signer=party.signer,
        out_dir=desk,
        clock=stage.clock,
    )
    payload = package.package_path.read_bytes()
    manifest = b64encode(package.manifest_path.read_bytes()).decode()
    tus = {"Tus-Resumable": "1.0.0"}
    made = world.call(
        BUYER,
        "POST",
        "/v1/uploads",
        headers={
            **tus,
            "Upload-Length": str(len(payload)),
            "Upload-Metadata": f"manifest {manifest},publish {b64encode(b'auto').decode()}",
        },
    )
    assert made.status_code == 201, made.text
    path, half = made.headers["Location"], len(payload) // 2
    for start, part in ((0, payload[:half]), (half, payload[half:])):
        sent = world.http.patch(
            path,
            content=part,
            headers={
                **tus,
                "Authorization": f"Bearer {world.token(BUYER)}",
                "Content-Type": "application/offset+octet-stream",
                "Upload-Offset": str(start),
            },
        )
        assert sent.status_code == 204, sent.text
    return path


def test_from_an_upload_to_a_receipt(world: World, market: Market) -> None:
    entitlement = market.bought().id
    schema = {
        "match_keys": {"email": {"column": "email"}, "phone": {"column": "phone", "default_region": "RU"}},
        "label": {"column": "status", "values": ["vip", "active", "lapsed"]},
        "lawful_basis": "consent",
    }
    made = world.call(BUYER, "POST", "/v1/bases", {"name": "mine", "schema": schema})
    assert made.status_code == 201, made.text
    base_id = made.json()["id"]
    path = upload(world, base_id, clients(900, 100))
    assert Loading(world.stage.room)()
    status = world.call(BUYER, "GET", path).json()
    if status["state"] == "awaiting_junk":
        version = f"/v1/bases/{base_id}/versions/{status['version_id']}/publish"
        assert world.call(BUYER, "POST", version, {"over_shared": "junk"}).status_code == 200
    else:
        assert status["state"] == "published", status

    asked = body(world, entitlement, base_id=base_id)
    estimate = world.call(
        BUYER, "POST", "/v1/estimates", {**asked, "sizes": [500], "expected_sizes": {"overlap": 800}}
    )
    assert estimate.status_code == 200, estimate.text
    told = estimate.json()
    assert (told["outcome"], told["quote"]["maximum"]["currency"]) == ("released", "RUB")
    assert told["quote"]["prices"][0]["size"] == 500
    assert told["figures"][0]["expected"]["size"] == 800

    first = world.call(BUYER, "POST", "/v1/analyses", asked, key="once")
    assert first.status_code == 202, first.text
    analysis = first.json()
    assert (analysis["state"], analysis["result"], analysis["entitlement_id"]) == (
        "running",
        None,
        entitlement,
    )
    assert analysis["charged_micro"] == told["charged_micro"] > 0
    repeated = world.call(BUYER, "POST", "/v1/analyses", asked, key="once")
    assert (repeated.content, repeated.headers["Idempotency-Replayed"]) == (first.content, "true")

    address = f"/v1/analyses/{analysis['id']}"
    early = world.call(BUYER, "GET", address)
    assert (early.json()["state"], early.json()["receipt"]) == ("running", None)
    assert int(early.headers["Retry-After"]) >= 1
    for hidden in ("result", "receipt"):
        answer = world.call(BUYER, "GET", f"{address}/{hidden}")
        assert (answer.status_code, answer.json()["code"]) == (409, "analyses.not_ready")
        assert int(answer.headers["Retry-After"]) >= 1
    work(world)
    shown = world.call(BUYER, "GET", address).json()
    assert (shown["state"], shown["progress"]) == ("released", 1.0)
    result = world.call(BUYER, "GET", f"{address}/result").json()
    assert [figure["name"] for figure in result["figures"]] == ["overlap", "segment:young"]
    assert result["budget"]["charged_micro"] == analysis["charged_micro"]
    assert result["mechanism"]["rho_micro"] == analysis["charged_micro"]
    assert result["budget"]["questions_left"] >= 1
    overlap = result["figures"][0]
    assert overlap["interval95"][0] <= overlap["value"] <= overlap["interval95"][1]

    receipt = world.call(BUYER, "GET", result["receipt"])
    proven = verify_receipt(receipt.content, verifier_key=world.stage.room.audit.verifier_key)
    figures = {one["name"]: one["value"] for one in proven.record["body"]["figures"]}
    assert figures == {one["name"]: one["value"] for one in result["figures"]}

    budget = world.call(BUYER, "GET", f"/v1/budgets/{entitlement}").json()
    assert budget["spent_micro"] == analysis["charged_micro"]
    assert budget["left_micro"] == result["budget"]["left_micro"]
    assert [level["precision"] for level in budget["levels"]] == ["rough", "normal", "fine"]


def test_the_same_question_again_and_a_refused_one_are_answered_at_once(world: World, market: Market) -> None:
    entitlement = market.bought().id
    first = ask(world, entitlement)
    work(world)
    again = ask(world, entitlement)
    assert (first.status_code, again.status_code) == (202, 201)
    stored = again.json()
    assert (stored["state"], stored["charged_micro"]) == ("stored", 0)
    result = world.call(BUYER, "GET", f"/v1/analyses/{stored['id']}/result").json()
    assert {**result, "budget": None} == {**stored["result"], "budget": None}
    refused = ask(world, entitlement, purpose="research")
    assert refused.status_code == 201
    reasons = refused.json()["result"]["reasons"]
    assert reasons
    assert all(set(reason) == {"rule", "message", "limit", "asked", "nearest"} for reason in reasons)
    read = world.call(BUYER, "GET", f"/v1/analyses/{refused.json()['id']}/result").json()
    assert read == refused.json()["result"]
    assert world.call(BUYER, "GET", read["receipt"]).status_code == 200
    listed = world.call(BUYER, "GET", "/v1/analyses?limit=2").json()
    assert [one["state"] for one in listed["items"]] == ["refused", "stored"]
    rest = world.call(BUYER, "GET", f"/v1/analyses?cursor={listed['next_cursor']}").json()
    assert [one["id"] for one in rest["items"]] == [first.json()["id"]]


def test_one_that_waits_can_be_cancelled(world: World, market: Market) -> None:
    analysis = ask(world, market.bought().id).json()
    address = f"/v1/analyses/{analysis['id']}"
    assert world.call(BUYER, "POST", f"{address}/cancel").json()["state"] == "cancelling"
    work(world)
    world.stage.clock.move(seconds=10)
    assert world.call(BUYER, "GET", address).json()["state"] == "cancelled"
    answer = world.call(BUYER, "GET", f"{address}/result")
    assert (answer.status_code, answer.json()["code"]) == (409, "analyses.no_result")
    again = world.call(BUYER, "POST", f"{address}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "analyses.ended")


def test_only_buyers_ask_and_only_of_what_is_theirs(world: World) -> None:
    entitlement, answered = entitlement_id(world), analysis_id(world)
    routes = (
        ("/v1/estimates", body(world, entitlement)),
        ("/v1/analyses", body(world, entitlement)),
        (f"/v1/analyses/{answered}/cancel", None),
    )
    for path, content in routes:
        assert world.call("advertiser.viewer", "POST", path, content).status_code == 403
        assert world.call("provider.owner", "POST", path, content).status_code == 403
        for rival in ("rival_advertiser.owner", "rival_agency.owner"):
            found = world.call(rival, "POST", path, content)
            unknown = world.call(rival, "POST", path.replace(answered, "an_" + "0" * 32), _unknown(content))
            assert found.status_code == unknown.status_code == 404, found.text
            assert {**found.json(), "instance": ""} == {**unknown.json(), "instance": ""}
    assert world.call("agency.analyst", "POST", "/v1/estimates", body(world, entitlement)).status_code == 200


def _unknown(content: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if content is None else {**content, "entitlement_id": "ent_" + "0" * 32}


def test_a_mandates_cap_holds_when_an_agency_asks_with_what_is_under_way(
    world: World, market: Market
) -> None:
    given = world.call("advertiser.owner", "GET", "/v1/mandates").json()["items"]
    assert world.call("advertiser.owner", "DELETE", f"/v1/mandates/{given[0]['id']}").status_code == 204
    agency = world.party("agency").organisation_id
    cap = {"agency_id": agency, "cap": {"minor": 2_200_000, "currency": "RUB"}}
    assert world.call("advertiser.owner", "POST", "/v1/mandates", cap).status_code == 201
    entitlement = market.bought(agency=agency)

    def asked(age: int) -> httpx.Response:
        segments = {"young": {"attribute": "age", "op": "<", "value": age}}
        return ask(world, entitlement.id, "agency.analyst", segments=segments)

    # Of the cap 10,000.00 RUB are the month's flat price.
    # Each may cost as much as 1,500 people do, 2,250.00 RUB: the sixth would not fit.
    assert [asked(age).status_code for age in range(20, 25)] == [202] * 5
    room = world.stage.room
    with room.db.reading() as tx:
        before = room.grants.status(tx, entitlement.grant_id).spent_micro
    refused = asked(25)
    assert (refused.status_code, refused.json()["code"]) == (403, "marketplace.money_cap")
    with room.db.reading() as tx:
        assert room.grants.status(tx, entitlement.grant_id).spent_micro == before > 0
    # Answered, they came to less than the most that they could have cost.
    work(world)
    world.stage.clock.move(minutes=5)
    assert asked(25).status_code == 202
    # What is stored costs nothing, whatever is left.
    assert asked(20).status_code == 201
    late = [asked(age).status_code for age in range(26, 40)]
    assert late[-1] == 403
    # The cap binds the agency: the advertiser may ask the same itself, and it counts towards what is spent.
    own = ask(world, entitlement.id, segments={"young": {"attribute": "age", "op": "<", "value": 39}})
    assert own.status_code == 202


def test_a_question_that_cannot_be_understood_says_why(world: World, market: Market) -> None:
    entitlement = market.bought().id
    answer = ask(world, entitlement, segments={"x": {"attribute": "shoe", "op": "==", "value": 1}})
    assert (answer.status_code, answer.json()["code"]) == (400, "policies.question")
    assert ask(world, entitlement, segments=[]).status_code == 422
    assert ask(world, entitlement, surprise=1).status_code == 422


def test_an_upload_is_its_owners(world: World) -> None:
    path = upload(world, world.stage.base_id, clients(200, 10))
    assert world.call("agency.analyst", "GET", path).status_code == 200
    for rival in ("rival_advertiser.owner", "rival_agency.owner", "provider.owner"):
        for method in ("GET", "DELETE"):
            answer = world.call(rival, method, path, headers={"Tus-Resumable": "1.0.0"})
            assert answer.status_code == 404, (rival, answer.text)
    assert world.call(None, "GET", path).status_code == 401
    assert (
        world.call("advertiser.viewer", "DELETE", path, headers={"Tus-Resumable": "1.0.0"}).status_code == 403
    )
    found = world.call(BUYER, "OPTIONS", "/v1/uploads")
    assert found.headers["Tus-Version"] == "1.0.0"


def test_no_answer_is_shown_in_a_log(world: World, market: Market) -> None:
    ask(world, market.bought().id)
    work(world)
    text = world.log.getvalue()
    assert market.stage.base_id not in text
    assert PURPOSE not in text


@pytest.mark.parametrize("first", ["application/json", "application/json; charset=utf-8"])
def test_a_question_is_the_same_whichever_way_it_is_read(world: World, market: Market, first: str) -> None:
    entitlement = market.bought().id
    asked = body(world, entitlement)
    assert world.call(BUYER, "POST", "/v1/analyses", asked).status_code == 202
    work(world)
    ways = [first, {"application/json": "application/json; charset=utf-8"}.get(first, "application/json")]

    def send(way: str, key: str, question: object, **headers: str) -> httpx.Response:
        return world.call(
            BUYER, "POST", "/v1/analyses", question, key=key, headers={"Content-Type": way, **headers}
        )

    answers = [send(way, "once", asked) for way in ways]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["result"]["outcome"] == "stored"
    assert answers[0].content == answers[1].content
    assert [answer.headers.get("Idempotency-Replayed") for answer in answers] == [None, "true"]
    own = ("id", "asked_at", "shown_at", "receipt", "result")
    told = [send(way, f"new {number}", asked).json() for number, way in enumerate(ways)]
    assert told[0]["id"] != told[1]["id"]
    assert told[0]["result"]["figures"] == told[1]["result"]["figures"]
    assert [{name: each[name] for name in each if name not in own} for each in told] == [
        {name: told[0][name] for name in told[0] if name not in own}
    ] * 2
    for headers, question, status, code in (
        ({"Authorization": "Bearer x"}, asked, 401, "access.invalid_token"),
        # Who calls is looked at before what it says.
        ({"Authorization": "Bearer x"}, {"purpose": 1}, 401, "access.invalid_token"),
        ({"Idempotency-Key": ""}, asked, 400, "access.idempotency_key_missing"),
        ({"Cleanroom-Advertiser": "org_" + "0" * 32}, asked, 404, "access.unknown_advertiser"),
        ({}, {**asked, "unknown": 1}, 422, "api.invalid"),
        ({}, {**asked, "entitlement_id": "ent_" + "0" * 32}, 404, "marketplace.unknown_entitlement"),
    ):
        for way in ways:
            answer = send(way, f"{way} {status} {code}", question, **headers)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
