"""Tokens, limits, headers, logs and counts: what holds for every request."""

import base64
import json
import os
import time

import pytest
from prometheus_client import generate_latest

from advertiser_api.health import HEARTBEAT_SECONDS
from advertiser_api.middleware import MAX_BODY_BYTES
from tests.api.conftest import MakeWorld
from tests.api.test_routes import BASE
from tests.api.world import World


def test_a_token_that_is_not_good_is_refused_by_the_book(shared: World) -> None:
    good = shared.token("advertiser.viewer")
    header, claims, signature = good.split(".")
    forged = json.loads(base64.urlsafe_b64decode(claims + "=="))
    forged["sub"] = forged["client_id"] = shared.clients["provider.owner"].id
    changed = base64.urlsafe_b64encode(json.dumps(forged).encode()).decode().rstrip("=")
    for bad in ("x", f"{header}.{changed}.{signature}", f"{header}.{claims}.", good + "A"):
        answer = shared.http.get("/v1/me", headers={"Authorization": f"Bearer {bad}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "access.invalid_token")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="cleanroom", error="invalid_token"'
        assert bad not in answer.text.replace('"x', "")


@pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
def test_only_bearer_tokens_count(shared: World, scheme: str) -> None:
    token = shared.token("advertiser.viewer")
    for headers in (
        {"Authorization": f"{scheme} {token}"},
        {"Cookie": f"access_token={token}; Authorization=Bearer {token}"},
    ):
        answer = shared.http.get("/v1/me", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "api.unauthenticated")


def test_a_token_in_the_address_is_refused_even_beside_a_good_one(shared: World) -> None:
    token = shared.token("advertiser.viewer")
    answer = shared.call("advertiser.viewer", "GET", f"/v1/me?access_token={token}")
    assert (answer.status_code, answer.json()["code"]) == (400, "api.token_in_query")
    assert token not in answer.text
    assert token not in shared.log.getvalue()


def test_a_client_has_its_minute_and_others_theirs(make_world: MakeWorld) -> None:
    world = make_world(rate_per_minute=3)
    answers = [world.call("advertiser.viewer", "GET", "/v1/me") for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert [one.headers["RateLimit-Remaining"] for one in answers] == ["2", "1", "0", "0"]
    assert {one.headers["RateLimit-Limit"] for one in answers} == {"3"}
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert int(answers[-1].headers["RateLimit-Reset"]) == int(answers[-1].headers["Retry-After"])
    assert answers[-1].json()["code"] == "api.rate_limited"
    assert world.call("advertiser.owner", "GET", "/v1/me").status_code == 200
    assert world.call("provider.viewer", "GET", "/v1/me").status_code == 200


def test_strangers_share_the_minute_of_their_address_however_they_come(make_world: MakeWorld) -> None:
    world = make_world(rate_per_minute=4)
    assert world.call(None, "GET", "/openapi.json").status_code == 200
    guess = {"Authorization": "Bearer guess"}
    # A token does not take what is public out of the count.
    assert world.http.get("/openapi.json", headers=guess).status_code == 200
    tried = [world.http.get("/v1/me", headers=guess).status_code for _ in range(4)]
    assert tried == [401, 401, 429, 429]
    assert world.call(None, "GET", "/v1/me").status_code == 429
    # Who is known is not held to what strangers did at the same address, and probes go on.
    assert world.call("advertiser.viewer", "GET", "/v1/me").status_code == 200
    assert [world.call(None, "GET", "/healthz").status_code for _ in range(9)] == [200] * 9


def test_a_body_has_a_limit_announced_or_not(shared: World) -> None:
    headers = {
        "Authorization": f"Bearer {shared.token('advertiser.owner')}",
        "Idempotency-Key": "big",
        "Content-Type": "application/json",
    }
    fits = json.dumps(BASE).encode().ljust(MAX_BODY_BYTES)
    assert shared.http.post("/v1/bases", content=fits, headers=headers).status_code == 201
    announced = shared.http.post("/v1/bases", content=fits + b" ", headers=headers)
    chunked = shared.http.post("/v1/bases", content=iter([fits, b" "]), headers=headers)
    for answer in (announced, chunked):
        assert (answer.status_code, answer.json()["code"]) == (413, "api.body_too_large")


def test_every_answer_protects_whoever_shows_it(shared: World) -> None:
    for path in ("/v1/me", "/healthz", "/nowhere"):
        headers = shared.call("advertiser.viewer", "GET", path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Strict-Transport-Security" not in headers
        assert headers["Request-Id"].startswith("req_")


def test_https_is_asked_for_where_it_is(make_world: MakeWorld) -> None:
    world = make_world(public_url="https://room.example.org")
    assert "max-age" in world.call(None, "GET", "/healthz").headers["Strict-Transport-Security"]


def test_the_log_names_the_caller_and_the_route_and_nothing_of_what_was_said(world: World) -> None:
    secret = "anna@example.org"
    world.call("advertiser.owner", "POST", "/v1/bases", BASE | {"name": secret}, key=f"key-{secret}")
    world.call("advertiser.owner", "GET", f"/v1/bases?cursor={secret}")
    world.call("advertiser.owner", "GET", f"/v1/bases/{secret}")
    world.call("advertiser.owner", secret.upper(), "/v1/bases")
    log = world.log.getvalue()
    for hidden in (secret, secret.upper(), world.token("advertiser.owner"), "Bearer", "match_keys"):
        assert hidden not in log
    first = world.lines()[0]
    assert first["route"] == "/v1/bases"
    assert (first["method"], first["status"]) == ("POST", 201)
    assert first["client_id"] == world.clients["advertiser.owner"].id
    assert first["organisation_id"] == world.party("advertiser").organisation_id
    assert [line["route"] for line in world.lines()][2] == "/v1/bases/{base_id}"


def test_counts_are_by_template(world: World) -> None:
    for _ in range(3):
        world.call("advertiser.viewer", "GET", f"/v1/bases/{world.stage.base_id}")
    world.call("advertiser.viewer", "GET", "/v1/nowhere/anna@example.org")
    shown = generate_latest(world.app.state.telemetry.registry).decode()
    line = 'cleanroom_http_requests_total{method="GET",route="/v1/bases/{base_id}",status="200"} 3.0'
    assert line in shown
    assert 'route="unmatched",status="404"' in shown
    assert "anna" not in shown
    assert world.stage.base_id not in shown


def test_the_room_is_ready_while_log_keys_and_worker_are(world: World) -> None:
    def ready() -> int:
        world.app.state.readiness._looked_at = float("-inf")
        return world.call(None, "GET", "/readyz").status_code

    assert ready() == 200
    heartbeat = world.stage.room.settings.heartbeat_path
    heartbeat.touch()
    assert ready() == 200
    silent = time.time() - HEARTBEAT_SECONDS - 5
    os.utime(heartbeat, (silent, silent))
    assert ready() == 503
    answer = world.call(None, "GET", "/readyz")
    assert "worker" not in answer.text
    assert any(line.get("error") == "WorkerSilentError" for line in world.lines())
    heartbeat.unlink()
    world.stage.room.db.engine.dispose()
    (world.stage.home / "room.sqlite3").rename(world.stage.home / "gone")
    assert ready() == 503
    assert world.call(None, "GET", "/healthz").status_code == 200
    (world.stage.home / "room.sqlite3").unlink(missing_ok=True)
    (world.stage.home / "gone").rename(world.stage.home / "room.sqlite3")
