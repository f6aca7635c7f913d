"""Nobody waits for the receiver of another, be it slow or odd; a worker that is told to end begins nothing."""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest

from cleanroom.webhooks.deliveries import AT_ONCE, LEASE, PER_ORGANISATION
from cleanroom.webhooks.models import WebhookDeliveryRow, WebhookEndpointRow
from cleanroom.webhooks.types import DeliveryState, Endpoint, Failure
from cleanroom.worker.pieces import Announcing
from cleanroom.worker.process import reporter
from tests.integration.webhooks.receiver import Receiver, receiving
from tests.integration.webhooks.scene import KilledError, Scene, killed, unforeseen

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")


class Ending(Event):
    """Tells when a worker has heard that it is to end."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = Event()

    def is_set(self) -> bool:
        told = super().is_set()
        if told:
            self.heard.set()
        return told


@contextmanager
def at_work(scene: Scene, ending: Event | None = None) -> Iterator[Future[bool]]:
    """A worker that sends what is due, while the receiver of the scene does not answer until its gate is set."""
    scene.receiver.gate.clear()
    with ThreadPoolExecutor(1) as worker:
        try:
            yield worker.submit(Announcing(scene.room, unforeseen, ending or Event()))
        finally:
            scene.receiver.gate.set()


@pytest.fixture
def quick() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def pinged(scene: Scene, number: int) -> list[Endpoint]:
    """Endpoints of the advertiser, each with a message that is due."""
    endpoints = [scene.register(description=str(one)) for one in range(number)]
    for endpoint in endpoints:
        scene.ping(endpoint)
    return endpoints


def states(scene: Scene, endpoints: list[Endpoint]) -> Counter[DeliveryState]:
    return Counter(scene.deliveries(each)[0].state for each in endpoints)


def test_while_receivers_are_slow_others_are_sent_what_becomes_due(scene: Scene, quick: Receiver) -> None:
    slow = pinged(scene, PER_ORGANISATION + 2)
    others = [scene.register(scene.stage.provider, url=quick.url) for _ in range(3)]
    ending = Ending()
    with at_work(scene, ending) as working:
        scene.receiver.await_messages(PER_ORGANISATION)
        for other in others[:2]:
            scene.ping(other)
            quick.await_messages(1)
        # Told to end, it finishes what is under way and begins nothing.
        ending.set()
        scene.ping(others[2])
        assert ending.heard.wait(60)
        scene.receiver.gate.set()
        assert working.result(60)
    assert states(scene, others) == {DeliveryState.DELIVERED: 2, DeliveryState.PENDING: 1}
    # What one organisation has under way counts: its other two waited, and took no more places.
    assert states(scene, slow) == {DeliveryState.DELIVERED: PER_ORGANISATION, DeliveryState.PENDING: 2}
    assert not Announcing(scene.room, unforeseen, ending)()
    scene.work()
    assert len(set(scene.receiver.ids)) == len(scene.receiver.ids) == len(slow)
    assert len(set(quick.ids)) == len(quick.ids) == len(others)


def test_a_place_that_frees_goes_to_whoever_has_least_under_way(sqlite_scene: Scene, quick: Receiver) -> None:
    scene = sqlite_scene
    older = pinged(scene, 2)
    other = scene.register(scene.stage.provider, url=quick.url)
    scene.stage.clock.move(seconds=1)
    scene.ping(other)
    # All places but one are taken: two of the older ones' organisation, the others by somebody else's.
    under_way = Counter({scene.stage.advertiser.organisation_id: 2, "org_else": AT_ONCE - 3})
    with scene.room.db.reading() as tx:
        (next_one,) = scene.room.webhooks.deliveries.due(tx, under_way)
        first, *_ = scene.room.webhooks.deliveries.due(tx, Counter())
    assert next_one == scene.deliveries(other)[0].id
    assert first == scene.deliveries(older[0])[0].id


def test_what_a_killed_worker_began_while_others_were_slow_is_sent_again(
    scene: Scene, quick: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    (slow,), other = pinged(scene, 1), scene.register(scene.stage.provider, url=quick.url)
    with monkeypatch.context() as patch, at_work(scene) as working:
        patch.setattr(type(scene.room.webhooks.deliveries), "record", killed)
        scene.receiver.await_messages(1)
        scene.ping(other)
        quick.await_messages(1)
        scene.receiver.gate.set()
        assert isinstance(working.exception(60), KilledError)
    assert not scene.send()
    scene.stage.clock.move(seconds=LEASE.total_seconds())
    scene.work()
    for receiver, endpoint in ((scene.receiver, slow), (quick, other)):
        (delivery,) = scene.deliveries(endpoint)
        assert (delivery.state, delivery.attempts) == (DeliveryState.DELIVERED, 2)
        assert receiver.ids == [delivery.id] * 2


def test_what_is_under_way_is_finished_and_noted_when_no_more_can_be_looked_for(
    sqlite_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = sqlite_scene
    slow = pinged(scene, 2)
    deliveries, looked, looks = type(scene.room.webhooks.deliveries), Event(), []
    due = deliveries.due

    def away(self: Any, tx: Any, under_way: Counter[str]) -> tuple[str, ...]:
        looks.append(under_way.total())
        if under_way:
            looked.set()
            raise ConnectionError
        return due(self, tx, under_way)

    monkeypatch.setattr(deliveries, "due", away)
    with at_work(scene) as working:
        assert looked.wait(60)
        scene.receiver.gate.set()
        assert isinstance(working.exception(60), ConnectionError)
    assert (looks, states(scene, slow)) == ([0, 2], {DeliveryState.DELIVERED: 2})


def test_what_nobody_foresaw_fails_one_delivery_and_holds_up_no_other(
    sqlite_scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = sqlite_scene
    odd, sound = scene.register(url=scene.receiver.url + "?odd"), scene.register(scene.stage.provider)
    guard = type(scene.room.webhooks.sending.guard)
    target = guard.target

    def broken(self: Any, url: str) -> Any:
        if url == odd.url:
            raise RecursionError(f"quotes {url}")
        return target(self, url)

    monkeypatch.setattr(guard, "target", broken)
    for each in (odd, sound):
        scene.ping(each)
    assert Announcing(scene.room, reporter(scene.stage.clock))()
    # The operator is told its kind, and nothing that it quotes.
    told = json.loads(capsys.readouterr().err)
    assert (told.pop("at")[:2], told) == (
        "20",
        {"event": "worker.webhook_failed", "code": "", "error": "RecursionError"},
    )
    (failed,), (sent,) = scene.deliveries(odd), scene.deliveries(sound)
    assert (failed.state, failed.failure, failed.attempts) == (
        DeliveryState.PENDING,
        Failure.UNREACHABLE,
        1,
    )
    assert sent.state is DeliveryState.DELIVERED


def test_an_organisation_has_a_few_places_and_those_under_way_count(scene: Scene) -> None:
    pinged(scene, 6)
    scene.ping(scene.register(scene.stage.provider))
    advertiser, provider = scene.advertiser, scene.stage.provider.organisation_id
    for under_way, expected in (
        ({}, {advertiser: 4, provider: 1}),
        ({advertiser: 3}, {advertiser: 1, provider: 1}),
        ({advertiser: 4, provider: 3}, {provider: 1}),
        ({"org_other": AT_ONCE - 2}, {advertiser: 1, provider: 1}),
        ({"org_other": AT_ONCE}, {}),
    ):
        assert whose_turn(scene, Counter(under_way)) == expected


def whose_turn(scene: Scene, under_way: Counter[str]) -> Counter[str]:
    with scene.room.db.reading() as tx:
        endpoints = [
            tx.session.get_one(WebhookDeliveryRow, one).endpoint_id
            for one in scene.room.webhooks.deliveries.due(tx, under_way)
        ]
        return Counter(tx.session.get_one(WebhookEndpointRow, one).organisation_id for one in endpoints)
