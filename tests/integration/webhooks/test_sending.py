"""Messages come through, signed; what fails is tried again, by one worker at a time, until it is given up."""

import json
import threading
from datetime import timedelta

import pytest

from cleanroom.client.webhooks import WebhookSignatureError, verify
from cleanroom.reconciling import reconcile_room
from cleanroom.webhooks.deliveries import LEASE, Attempt
from cleanroom.webhooks.errors import EndpointStateError, UnknownDeliveryError
from cleanroom.webhooks.models import WebhookEndpointRow
from cleanroom.webhooks.retrying import FAILING_FOR, MAX_ATTEMPTS
from cleanroom.webhooks.types import DeliveryState, DisabledFor, EndpointState, Failure
from tests.backups import Backup
from tests.integration.webhooks.receiver import receiving
from tests.integration.webhooks.scene import KilledError, Scene, killed

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")

MOMENT = timedelta(milliseconds=1)
"""The clock of tests moves a little with every look at it."""


def test_a_message_comes_signed_and_says_nothing_but_ids(scene: Scene) -> None:
    endpoint = scene.register(url=scene.receiver.url + "?token=hush")
    sent = scene.ping(endpoint)
    scene.work()
    (message,) = scene.receiver.messages
    assert message.path == "/in?token=hush"
    assert message.headers["host"] == f"127.0.0.1:{scene.receiver.port}"
    assert message.headers["content-type"] == "application/json"
    assert message.headers["webhook-id"] == sent.id
    assert scene.verified(message, endpoint) == {"webhook_id": endpoint.id}
    assert set(json.loads(message.body)) == {"v", "type", "timestamp", "data"}
    with pytest.raises(WebhookSignatureError):
        verify(scene.secrets[endpoint.id], message.headers, message.body + b" ")
    (delivery,) = scene.deliveries(endpoint)
    assert (delivery.state, delivery.status, delivery.attempts) == (DeliveryState.DELIVERED, 204, 1)
    assert delivery.next_attempt_at is None
    # Neither the secret nor the address's query is anywhere in clear but in the address itself.
    with scene.room.db.reading() as tx:
        row = tx.session.get_one(WebhookEndpointRow, endpoint.id)
        assert scene.secrets[endpoint.id][6:20].encode() not in row.secret
    assert "hush" not in json.dumps(scene.stage.events())


def test_a_worker_that_is_killed_before_it_could_note_it_sends_again_under_the_same_id(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = scene.register()
    scene.ping(endpoint)
    deliveries = type(scene.room.webhooks.deliveries)
    with monkeypatch.context() as patch:
        patch.setattr(deliveries, "record", killed)
        with pytest.raises(KilledError):
            scene.work()
    assert len(scene.receiver.messages) == 1
    # Until its lease has ended, nobody knows that it is dead.
    assert not scene.send()
    scene.stage.reopen()
    scene.stage.clock.move(seconds=LEASE.total_seconds())
    scene.work()
    first, second = scene.receiver.messages
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) > int(first.headers["webhook-timestamp"])
    assert scene.deliveries(endpoint)[0].attempts == 2
    scene.work()
    assert len(scene.receiver.messages) == 2


def test_two_workers_send_once_while_the_lease_holds(scene: Scene) -> None:
    endpoint = scene.register()
    scene.ping(endpoint)
    scene.receiver.gate.clear()
    first = threading.Thread(target=scene.send)
    first.start()
    scene.receiver.await_messages(1)
    # The first is waiting for its answer, without holding anybody up.
    assert not scene.send()
    with scene.room.db.transaction() as tx:
        assert scene.room.webhooks.deliveries.claim(tx, scene.receiver.ids) == ()
    scene.receiver.gate.set()
    first.join()
    assert len(scene.receiver.messages) == 1
    assert scene.deliveries(endpoint)[0].state is DeliveryState.DELIVERED


def test_workers_that_begin_at_the_same_moment_share_the_work(scene: Scene) -> None:
    endpoints = [scene.register(description=str(number)) for number in range(4)]
    for endpoint in endpoints:
        scene.ping(endpoint)
    barrier = threading.Barrier(3)

    def work() -> None:
        barrier.wait()
        while scene.send():
            pass

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(scene.receiver.ids) == sorted(scene.deliveries(one)[0].id for one in endpoints)


def test_a_worker_whose_lease_has_passed_to_another_changes_nothing(sqlite_scene: Scene) -> None:
    scene = sqlite_scene
    endpoint = scene.register()
    sent = scene.ping(endpoint)
    deliveries = scene.room.webhooks.deliveries
    with scene.room.db.transaction() as tx:
        (late,) = deliveries.claim(tx, [sent.id])
    scene.stage.clock.move(seconds=LEASE.total_seconds())
    with scene.room.db.transaction() as tx:
        (other,) = deliveries.claim(tx, [sent.id])
        deliveries.record(tx, late, Attempt(500, Failure.STATUS))
    assert scene.deliveries(endpoint)[0].status is None
    with scene.room.db.transaction() as tx:
        deliveries.record(tx, other, Attempt(200))
        deliveries.record(tx, late, Attempt(500, Failure.STATUS))
    assert scene.deliveries(endpoint)[0].status == 200


def test_failures_are_tried_for_a_day_then_given_up_and_the_endpoint_is_failing(scene: Scene) -> None:
    endpoint = scene.register()
    scene.receiver.status = 500
    sent = scene.ping(endpoint)
    begun = scene.stage.clock.now()
    waits = []
    for attempt in range(1, MAX_ATTEMPTS + 1):
        scene.work()
        (delivery,) = scene.deliveries(endpoint)
        assert (delivery.attempts, delivery.status, delivery.failure) == (attempt, 500, Failure.STATUS)
        if attempt == MAX_ATTEMPTS:
            break
        assert delivery.state is DeliveryState.PENDING
        wait = delivery.next_attempt_at - scene.stage.clock.now()
        waits.append(wait)
        scene.stage.clock.move(seconds=wait.total_seconds() - 0.001)
        assert not scene.send()
        scene.stage.clock.move(seconds=0.001)
    assert all(0.75 <= wait / (timedelta(seconds=5) * 4**n) <= 1.25 for n, wait in enumerate(waits[:7]))
    assert timedelta(hours=18) < scene.stage.clock.now() - begun < timedelta(hours=33)
    assert set(scene.receiver.ids) == {sent.id}
    assert delivery.state is DeliveryState.GIVEN_UP
    assert scene.stage.clock.now() - scene.look(endpoint).failing_since < MOMENT
    assert [event["subject"] for event in scene.stage.events("webhooks.given_up")] == [endpoint.id]
    # It works again: all is well, and what was given up is sent when its owner asks for it.
    scene.receiver.status = 200
    with scene.room.db.transaction() as tx:
        scene.room.webhooks.deliveries.redeliver(
            tx, endpoint.id, sent.id, organisation_id=endpoint.organisation_id
        )
    scene.work()
    assert scene.deliveries(endpoint)[0].state is DeliveryState.DELIVERED
    assert scene.look(endpoint).failing_since is None


def test_an_endpoint_that_takes_nothing_for_days_is_disabled_and_others_are_told(sqlite_scene: Scene) -> None:
    scene = sqlite_scene
    endpoint = scene.register()
    with receiving() as healthy:
        watcher = scene.register(url=healthy.url, types=["webhook.disabled"])
        with scene.room.db.transaction() as tx:
            tx.session.get_one(WebhookEndpointRow, endpoint.id).failing_since = scene.stage.clock.now()
        scene.receiver.status = 503
        scene.stage.clock.move(seconds=FAILING_FOR.total_seconds() - 1)
        scene.ping(endpoint)
        scene.work()
        assert scene.look(endpoint).state is EndpointState.ACTIVE
        scene.stage.clock.move(seconds=10)
        scene.work()
        found = scene.look(endpoint)
        assert (found.state, found.disabled_for) == (EndpointState.DISABLED, DisabledFor.FAILING)
        scene.work()
        (told,) = healthy.messages
        assert scene.verified(told, watcher) == {"webhook_id": endpoint.id}
    with pytest.raises(EndpointStateError):
        scene.ping(endpoint)
    with pytest.raises(EndpointStateError):
        scene.change(endpoint, active=False)
    # Its owner takes it up again, and what waited goes out.
    came = len(scene.receiver.messages)
    scene.receiver.status = 200
    scene.stage.clock.move(seconds=3600)
    scene.work()
    assert len(scene.receiver.messages) == came
    found = scene.change(endpoint, active=True)
    assert (found.state, found.disabled_for, found.failing_since) == (EndpointState.ACTIVE, None, None)
    scene.work()
    assert len(scene.receiver.messages) == came + 1


def test_gone_disables_at_once(sqlite_scene: Scene) -> None:
    scene = sqlite_scene
    endpoint = scene.register()
    scene.receiver.status = 410
    scene.ping(endpoint)
    scene.work()
    assert scene.look(endpoint).disabled_for is DisabledFor.GONE
    assert scene.deliveries(endpoint)[0].state is DeliveryState.GIVEN_UP
    assert scene.stage.events("webhooks.disabled")[0]["body"] == {"why": "gone"}
    assert not scene.change(endpoint, active=True).disabled_for


def test_retry_after_is_heeded(sqlite_scene: Scene) -> None:
    scene = sqlite_scene
    endpoint = scene.register()
    scene.receiver.status, scene.receiver.answered_with = 429, {"Retry-After": "3600"}
    scene.ping(endpoint)
    scene.work()
    (delivery,) = scene.deliveries(endpoint)
    assert timedelta(0) <= scene.stage.clock.now() + timedelta(hours=1) - delivery.next_attempt_at < MOMENT


@pytest.mark.parametrize(
    "text",
    [
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2027 00:00:00 +99999999999999999999",
        "soon",
    ],
)
def test_a_retry_after_that_is_no_time_is_none(sqlite_scene: Scene, text: str) -> None:
    scene = sqlite_scene
    endpoint = scene.register()
    scene.receiver.status, scene.receiver.answered_with = 503, {"Retry-After": text}
    scene.ping(endpoint)
    scene.work()
    (delivery,) = scene.deliveries(endpoint)
    assert (delivery.status, delivery.failure) == (503, Failure.STATUS)
    assert delivery.next_attempt_at - scene.stage.clock.now() < timedelta(seconds=7)


def test_redirects_are_failures_and_nobody_goes_where_they_lead(sqlite_scene: Scene) -> None:
    scene = sqlite_scene
    with receiving() as inside:
        scene.receiver.status, scene.receiver.answered_with = 307, {"Location": inside.url}
        endpoint = scene.register()
        scene.ping(endpoint)
        scene.work()
        (delivery,) = scene.deliveries(endpoint)
        assert (delivery.status, delivery.failure) == (307, Failure.STATUS)
        assert inside.messages == []


def test_a_name_that_has_come_to_mean_a_private_address_is_not_called(
    sqlite_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = sqlite_scene
    endpoint = scene.register(url=f"https://hooks.example.org:{scene.receiver.port}/in")
    guard = scene.room.webhooks.sending.guard
    object.__setattr__(guard, "networks", ())
    object.__setattr__(guard, "resolve", lambda _host, _port: ["127.0.0.1"])
    scene.ping(endpoint)
    scene.work()
    (delivery,) = scene.deliveries(endpoint)
    assert (delivery.failure, delivery.status) == (Failure.ADDRESS, None)
    assert scene.receiver.messages == []


def test_an_answer_that_trickles_in_ends_with_the_attempt(sqlite_scene: Scene) -> None:
    scene = sqlite_scene
    endpoint = scene.register()
    scene.receiver.seconds_per_byte = 0.05
    object.__setattr__(scene.room.webhooks.sending, "seconds", 0.3)
    scene.ping(endpoint)
    scene.work()
    assert scene.deliveries(endpoint)[0].failure is Failure.TIMEOUT


def test_nobody_listens(sqlite_scene: Scene) -> None:
    scene = sqlite_scene
    with receiving() as closed:
        url = closed.url
    endpoint = scene.register(url=url)
    scene.ping(endpoint)
    scene.work()
    assert scene.deliveries(endpoint)[0].failure is Failure.UNREACHABLE


def test_secrets_overlap_and_the_old_one_goes(sqlite_scene: Scene) -> None:
    scene = sqlite_scene
    endpoint = scene.register()
    old = scene.secrets[endpoint.id]
    with scene.room.db.transaction() as tx:
        made = scene.room.webhooks.endpoints.rotate(tx, endpoint.id, organisation_id=scene.advertiser)
    assert made.secret != old
    assert made.secret not in repr(made)
    scene.ping(endpoint)
    scene.work()
    (message,) = scene.receiver.messages
    assert len(message.headers["webhook-signature"].split(" ")) == 2
    now = scene.stage.clock.now().timestamp()
    for secret in (old, made.secret):
        assert verify(secret, message.headers, message.body, now=now).type == "webhook.ping"
    scene.stage.clock.move(hours=24)
    scene.ping(endpoint)
    # Nobody has cleared the old one away yet, and still it does not sign.
    assert scene.send()
    message, now = scene.receiver.messages[-1], scene.stage.clock.now().timestamp()
    assert verify(made.secret, message.headers, message.body, now=now)
    with pytest.raises(WebhookSignatureError):
        verify(old, message.headers, message.body, now=now)
    with scene.room.db.transaction() as tx:
        scene.room.webhooks.outbox.sweep(tx)
        assert tx.session.get_one(WebhookEndpointRow, endpoint.id, populate_existing=True).old_secret is None


def test_a_secret_that_cannot_be_opened_sends_nothing_unsigned(sqlite_scene: Scene) -> None:
    scene = sqlite_scene
    endpoint = scene.register()
    with scene.room.db.transaction() as tx:
        tx.session.get_one(WebhookEndpointRow, endpoint.id).secret_version = 9
    scene.ping(endpoint)
    scene.work()
    assert scene.deliveries(endpoint)[0].failure is Failure.SECRET
    assert scene.receiver.messages == []


def test_only_what_is_an_endpoints_own_is_sent_again(sqlite_scene: Scene) -> None:
    scene = sqlite_scene
    endpoint, other = scene.register(), scene.register()
    sent = scene.ping(endpoint)
    for wanted in (sent.id, "msg_" + "0" * 32):
        with scene.room.db.transaction() as tx, pytest.raises(UnknownDeliveryError):
            scene.room.webhooks.deliveries.redeliver(tx, other.id, wanted, organisation_id=scene.advertiser)


def test_a_restored_room_sends_nothing_until_it_is_reconciled(sqlite_scene: Scene) -> None:
    scene = sqlite_scene
    endpoint = scene.register()
    sent = scene.ping(endpoint)
    backup = Backup(scene.stage)
    scene.work()
    scene.register()
    backup.put_back()
    scene.work()
    assert scene.receiver.ids == [sent.id]
    reconcile_room(scene.room)
    scene.work()
    # The database does not know that it was sent: its receiver does, by the id.
    assert scene.receiver.ids == [sent.id] * 2
