"""Webhooks over HTTP and from the SDK: secrets once, agencies for a client, messages that verify."""

import asyncio
import os
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from cleanroom.access.models import IdempotencyRow
from cleanroom.client.remote.problems import Conflict, InvalidRequest, NotFound
from cleanroom.webhooks.endpoints import MAX_ENDPOINTS
from cleanroom.worker.pieces import Chores
from tests.api.conftest import MakeWorld
from tests.api.matrix import new_webhook
from tests.api.sdk import Desk
from tests.api.world import World
from tests.integration.webhooks.receiver import Receiver, receiving
from tests.integration.webhooks.scene import announcing

LOOPBACK = (ip_network("127.0.0.0/8"),)


def test_a_secret_is_answered_once_and_never_stored_in_clear(world: World) -> None:
    asked = {"who": "advertiser.owner", "method": "POST", "path": "/v1/webhooks", "body": new_webhook()}
    first = world.call(**asked, key="same")
    assert first.status_code == 201
    secret = first.json()["secret"]
    assert secret.startswith("whsec_")
    again = world.call(**asked, key="same")
    assert again.json() == first.json() | {"secret": None}
    assert again.headers["Idempotency-Replayed"] == "true"
    path = f"/v1/webhooks/{first.json()['id']}"
    assert "secret" not in world.call("advertiser.owner", "GET", path).json()
    rotated = world.call("advertiser.owner", "POST", f"{path}/secret", {}, key="turn")
    assert rotated.json()["secret"] not in (None, secret)
    assert rotated.json()["old_secret_until"]
    assert world.call("advertiser.owner", "POST", f"{path}/secret", {}, key="turn").json()["secret"] is None
    with world.stage.room.db.reading() as tx:
        kept = b"".join(tx.session.scalars(select(IdempotencyRow.body)))
    for one in (secret, rotated.json()["secret"]):
        assert one.encode() not in kept
        assert one not in world.log.getvalue()


def test_what_cannot_be_used_is_refused_with_a_remedy(world: World) -> None:
    for changed, code in (
        ({"url": "https://169.254.169.254/latest/meta-data"}, "webhooks.bad_address"),
        ({"url": "http://hooks.example.org/"}, "webhooks.bad_address"),
        ({"types": ["analysis.counted"]}, "api.invalid"),
        ({"types": []}, "api.invalid"),
        ({"secret": "mine"}, "api.invalid"),
    ):
        answer = world.call("advertiser.owner", "POST", "/v1/webhooks", new_webhook() | changed)
        assert (answer.status_code, answer.json()["code"]) == (400 if "url" in changed else 422, code)
    path = (
        f"/v1/webhooks/{world.call('advertiser.owner', 'POST', '/v1/webhooks', new_webhook()).json()['id']}"
    )
    assert world.call("advertiser.owner", "PATCH", path, {"state": "disabled"}).status_code == 422
    assert world.call("advertiser.owner", "PATCH", path, {"state": "paused"}).json()["state"] == "paused"
    for action in ("ping", f"deliveries/msg_{'0' * 32}/redeliver"):
        assert world.call("advertiser.owner", "POST", f"{path}/{action}").json()["code"] == "webhooks.state"
    for _ in range(MAX_ENDPOINTS - 1):
        world.call("advertiser.owner", "POST", "/v1/webhooks", new_webhook())
    full = world.call("advertiser.owner", "POST", "/v1/webhooks", new_webhook())
    assert (full.status_code, full.json()["code"]) == (409, "webhooks.too_many")


def test_an_agency_has_webhooks_for_a_client_and_for_all(world: World) -> None:
    client = world.party("advertiser").organisation_id
    named = world.call("agency.owner", "POST", "/v1/webhooks", new_webhook()).json()
    assert named["advertiser_id"] == client
    headers = {"Authorization": f"Bearer {world.token('agency.owner')}"}

    def own(method: str, path: str, **given: object) -> httpx.Response:
        return world.http.request(method, path, headers=headers | {"Idempotency-Key": "1"}, **given)

    whole = own("POST", "/v1/webhooks", json=new_webhook()).json()
    assert whole["advertiser_id"] is None
    listed = own("GET", "/v1/webhooks").json()["items"]
    assert {one["id"] for one in listed} == {named["id"], whole["id"]}
    listed = world.call("agency.owner", "GET", "/v1/webhooks").json()["items"]
    assert [one["id"] for one in listed] == [named["id"]]
    assert world.call("agency.owner", "GET", f"/v1/webhooks/{whole['id']}").status_code == 404
    stranger = {"Cleanroom-Advertiser": world.party("rival_advertiser").organisation_id}
    answer = world.call("agency.owner", "POST", "/v1/webhooks", new_webhook(), headers=stranger)
    assert answer.json()["code"] == "access.unknown_advertiser"
    # What an agency does for it is no business of the client's.
    assert world.call("advertiser.owner", "GET", f"/v1/webhooks/{named['id']}").status_code == 404


def test_counts_are_shown_by_what_has_become_of_deliveries(world: World) -> None:
    made = world.call("advertiser.owner", "POST", "/v1/webhooks", new_webhook()).json()
    world.call("advertiser.owner", "POST", f"/v1/webhooks/{made['id']}/ping")
    registry = world.app.state.telemetry.registry
    name = "cleanroom_webhook_deliveries"
    counted = {
        state: registry.get_sample_value(name, {"state": state})
        for state in ("pending", "delivered", "given_up")
    }
    assert counted == {"pending": 1.0, "delivered": 0.0, "given_up": 0.0}


@pytest.fixture
def desk(make_world: MakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in [one for one in os.environ if one.startswith("CLEANROOM_")]:
        monkeypatch.delenv(name)
    for name in ("CLEANROOM_CONFIG_DIR", "CLEANROOM_STATE_DIR"):
        monkeypatch.setenv(name, "")
    return Desk(make_world(release_tick_ms=0, webhook_networks=LOOPBACK), tmp_path)


def work(desk: Desk) -> None:
    room = desk.world.stage.room
    Chores(room)()
    while announcing(room)():
        pass


def test_the_sdk_registers_looks_after_and_verifies(desk: Desk) -> None:
    desk.logged_in()
    with receiving() as receiver, desk.client() as room:
        made = room.webhooks.create(receiver.url, ["analysis.answered", "analysis.refused"])
        assert [one["id"] for one in room.webhooks.list()] == [made["id"]]
        bought = desk.market.bought()
        answer = desk.market.question(bought)
        work(desk)
        message = receiver.messages[-1]
        event = room.webhooks.verify(made["secret"], message.headers, message.body)
        assert event.type == "analysis.answered"
        assert room.result(event.data["analysis_id"]).figure("overlap").value == answer.figures[0].value
        (sent,) = room.webhooks.deliveries(made["id"])
        assert (sent["id"], sent["state"], sent["attempts"]) == (event.id, "delivered", 1)
        room.webhooks.redeliver(made["id"], event.id)
        work(desk)
        assert receiver.ids == [event.id] * 2
        assert room.webhooks.ping(made["id"])["type"] == "webhook.ping"
        turned = room.webhooks.rotate_secret(made["id"], overlap_hours=0)
        work(desk)
        message = receiver.messages[-1]
        assert room.webhooks.verify(turned["secret"], message.headers, message.body).type == "webhook.ping"
        assert room.webhooks.change(made["id"], state="paused")["state"] == "paused"
        with pytest.raises(Conflict):
            room.webhooks.ping(made["id"])
        with pytest.raises(InvalidRequest):
            room.webhooks.change(made["id"], url="https://10.0.0.1/")
        assert room.webhooks.get(made["id"])["url"] == receiver.url
        room.webhooks.delete(made["id"])
        with pytest.raises(NotFound):
            room.webhooks.get(made["id"])


def test_a_lost_answer_to_a_registration_costs_no_secret(desk: Desk) -> None:
    desk.logged_in()
    lost = []

    def lose(request: httpx.Request) -> None:
        if request.method == "POST" and request.url.path == "/v1/webhooks" and not lost:
            lost.append(request)
            raise httpx.ReadError("lost")

    with receiving() as receiver, desk.client(after=lose) as room:
        made = room.webhooks.create(receiver.url, ["analysis.answered"])
        room.webhooks.ping(made["id"])
        work(desk)
        (message,) = receiver.messages
        assert room.webhooks.verify(made["secret"], message.headers, message.body)
        assert len(room.webhooks.list()) == 1


def test_the_one_that_awaits_does_the_same(desk: Desk) -> None:
    desk.logged_in()

    async def register(receiver: Receiver) -> tuple[str, str]:
        async with desk.aclient() as room:
            made = await room.webhooks.create(receiver.url, ["upload.published"], description="a")
            await room.webhooks.ping(made["id"])
            assert [one["description"] for one in await room.webhooks.list()] == ["a"]
            await asyncio.to_thread(work, desk)
            message = receiver.messages[0]
            return room.webhooks.verify(made["secret"], message.headers, message.body).type, made["id"]

    with receiving() as receiver:
        assert asyncio.run(register(receiver))[0] == "webhook.ping"
