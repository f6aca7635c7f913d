"""Whatever is committed is announced once, to those whom it concerns, and not before it may be known."""

import contextlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from cleanroom.accounts.types import AgencyAction, MandateLimits, OrganisationKind
from cleanroom.analyses.types import Analysis, State
from cleanroom.db.database import Transaction
from cleanroom.uploads.types import UploadStatus
from cleanroom.webhooks.endpoints import MAX_ENDPOINTS, Endpoints
from cleanroom.webhooks.errors import (
    EndpointFormError,
    TooManyEndpointsError,
    UnknownDeliveryError,
    UnknownEndpointError,
)
from cleanroom.webhooks.models import WebhookDeliveryRow, WebhookEndpointRow, WebhookStateRow
from cleanroom.webhooks.outbox import KEPT
from cleanroom.webhooks.types import Endpoint, EndpointState, EventType
from cleanroom.worker.pieces import Chores, Counting, Loading
from tests.integration.webhooks.receiver import Message, receiving
from tests.integration.webhooks.scene import Scene
from tests.market import Market
from tests.packages import Package, announce, look, real, send, signed
from tests.rooms import Party, Stage, clients


class BrokenError(Exception):
    pass


def count(stage: Stage) -> None:
    def report(event: str, error: Exception) -> None:
        raise AssertionError(event) from error

    counting = Counting(stage.room, report)
    while counting():
        pass
    counting.close()


def ask(stage: Stage, grant, **changed) -> str:
    with stage.room.db.transaction() as tx:
        return stage.room.analyses.begin(
            tx, stage.question(**changed), grant_id=grant.id, asker_id=stage.advertiser.organisation_id
        ).analysis.id


def broken(scene: Scene, work: Callable[[Transaction], object]) -> None:
    """Do something in a transaction that does not come to its end."""
    with contextlib.suppress(BrokenError), scene.room.db.transaction() as tx:
        work(tx)
        raise BrokenError


def analysis(scene: Scene, analysis_id: str) -> Analysis:
    with scene.room.db.reading() as tx:
        return scene.room.analyses.reading.analysis(tx, analysis_id, organisation_id=scene.advertiser)


def test_a_counted_answer_is_announced_at_the_instant_that_it_is_released(scene: Scene) -> None:
    endpoint = scene.register()
    analysis_id = ask(scene.stage, scene.stage.grant())
    count(scene.stage)
    scene.stage.clock.move(milliseconds=700)
    scene.work()
    shown = analysis(scene, analysis_id)
    assert shown.state is State.RELEASED
    (message,) = scene.receiver.messages
    assert told_at(message) == (EventType.ANALYSIS_ANSWERED, shown.shown_at)
    assert scene.verified(message, endpoint) == {
        "analysis_id": analysis_id,
        "advertiser_id": scene.advertiser,
        "agency_id": None,
    }


def told_at(message: Message) -> tuple[str, datetime]:
    """The type and the instant of a message; its id begins with the same (RFC 9562), and not with its making."""
    plain = json.loads(message.body)
    at = datetime.fromisoformat(plain["timestamp"])
    assert int(message.headers["webhook-id"][4:16], 16) == int(at.timestamp() * 1000)
    return plain["type"], at


def test_what_has_ended_before_its_tick_is_neither_sent_nor_listed_before_it(scene: Scene) -> None:
    stage, endpoint = scene.stage, scene.register()
    analysis_id = ask(stage, stage.grant())
    stage.clock.move(milliseconds=100)
    with stage.room.db.transaction() as tx:
        stage.room.analyses.cancel(tx, analysis_id, organisation_id=scene.advertiser)
    scene.work()
    assert analysis(scene, analysis_id).state is State.CANCELLING
    assert scene.receiver.messages == []
    assert scene.deliveries(endpoint) == []
    with scene.room.db.reading() as tx:
        delivery_id = tx.session.query(WebhookDeliveryRow).one().id
    with scene.room.db.transaction() as tx, pytest.raises(UnknownDeliveryError):
        scene.room.webhooks.deliveries.redeliver(
            tx, endpoint.id, delivery_id, organisation_id=scene.advertiser
        )
    stage.clock.instant = analysis(scene, analysis_id).look_at
    scene.work()
    (message,) = scene.receiver.messages
    assert told_at(message) == (EventType.ANALYSIS_CANCELLED, analysis(scene, analysis_id).shown_at)


def test_every_end_of_a_question_is_announced_as_its_row_says(sqlite_scene: Scene) -> None:
    scene, stage = sqlite_scene, sqlite_scene.stage
    scene.register()
    grant = stage.grant()
    for _ in range(3):
        stage.ask(grant)
    cancelled = ask(stage, grant, labels=True)
    with stage.room.db.transaction() as tx:
        stage.room.analyses.cancel(tx, cancelled, organisation_id=scene.advertiser)
    lost = ask(stage, grant, per_key=True)
    stage.room.analyses.queue.recover(queued=True)
    stage.stop()
    stage.ask(grant, labels=True, per_key=True)
    stage.clock.move(seconds=60)
    # One by one: stored answers stand side by side in the log.
    with stage.room.db.transaction() as tx:
        while stage.room.webhooks.outbox.announce(tx, limit=1):
            pass
    scene.work()
    told = [json.loads(message.body) for message in scene.receiver.messages]
    by_type = {one["type"]: one["data"]["analysis_id"] for one in told}
    assert sorted(one["type"] for one in told) == [
        *["analysis.answered"] * 3,
        *("analysis.cancelled", "analysis.failed", "analysis.refused"),
    ]
    assert (by_type["analysis.cancelled"], by_type["analysis.failed"]) == (cancelled, lost)


def test_what_is_rolled_back_is_not_announced_and_a_crash_while_reading_the_log_loses_nothing(
    scene: Scene,
) -> None:
    market = Market(scene.stage)
    scene.register(scene.stage.provider)

    def asked(tx: Transaction) -> None:
        tx.audit("marketplace.request_requested", subject_id="erq_" + "0" * 32)

    def announced(tx: Transaction) -> None:
        assert outbox.announce(tx) == 2
        assert tx.session.query(WebhookDeliveryRow).count() == 2

    broken(scene, asked)
    bought = market.bought()
    # The worker dies with the deliveries made and nothing committed.
    outbox = scene.room.webhooks.outbox
    broken(scene, announced)
    with scene.room.db.transaction() as tx:
        # However small the batches are.
        read = [outbox.announce(tx, limit=1) for _ in range(3)]
    assert read == [1, 1, 0]
    scene.work()
    scene.work()
    told = [json.loads(message.body) for message in scene.receiver.messages]
    assert sorted(one["type"] for one in told) == ["request.approved", "request.created"]
    approved = next(one for one in told if one["type"] == "request.approved")
    assert approved["data"]["entitlement_id"] == bought.id
    assert len(set(scene.receiver.ids)) == 2


def test_both_sides_of_a_deal_are_told_and_strangers_are_not(scene: Scene) -> None:
    stage, market = scene.stage, Market(scene.stage)
    agency, stranger = stage.party("agency", "agency"), stage.party("stranger")
    mandate(stage, agency)
    with receiving() as elsewhere:
        scene.register(stranger, url=elsewhere.url)
        scene.register(stage.party("other", "provider"), url=elsewhere.url)
        for party in (stage.provider, stage.advertiser, agency):
            scene.register(party)
        revoked = market.bought(agency=agency.organisation_id, size="S")
        expired = market.bought(days=1, size="S")
        with scene.room.db.transaction() as tx:
            scene.room.marketplace.entitlements.revoke(
                tx, revoked.id, organisation_id=market.provider, reason="the contract ended"
            )
        stage.clock.move(days=2)
        scene.work()
        scene.work()
        assert elsewhere.messages == []
    told = [json.loads(message.body) for message in scene.receiver.messages]
    ended = {one["data"]["entitlement_id"]: one["type"] for one in told if one["type"].startswith("ent")}
    assert ended == {revoked.id: "entitlement.revoked", expired.id: "entitlement.expired"}
    assert [one["type"] for one in told].count("entitlement.revoked") == 3
    assert [one["type"] for one in told].count("entitlement.expired") == 2
    assert all("reason" not in one["data"] for one in told)


def mandate(stage: Stage, agency, advertiser=None, **limits) -> str:
    with stage.room.db.transaction() as tx:
        return stage.room.accounts.grant_mandate(
            tx,
            agency_id=agency.organisation_id,
            advertiser_id=(advertiser or stage.advertiser).organisation_id,
            limits=MandateLimits(**limits),
        ).id


def test_an_agency_is_not_told_of_what_its_client_asks_after_it(sqlite_scene: Scene) -> None:
    scene, market = sqlite_scene, Market(sqlite_scene.stage)
    agency = scene.stage.party("agency", "agency")
    given = mandate(scene.stage, agency)
    entitlement = market.bought(agency=agency.organisation_id)
    scene.register(agency)
    market.question(entitlement, asker=agency)
    scene.work()
    told = len(scene.receiver.messages)
    assert told
    with scene.stage.room.db.transaction() as tx:
        scene.stage.room.accounts.revoke_mandate(tx, given)
    scene.stage.clock.move(days=10)
    market.question(entitlement, precision="rough")
    scene.work()
    assert len(scene.receiver.messages) == told


def test_an_agency_listens_for_one_client_while_its_mandate_lets_it(scene: Scene) -> None:
    stage = scene.stage
    agency, other = stage.party("agency", OrganisationKind.AGENCY), stage.party("other client")
    first = mandate(stage, agency)
    mandate(stage, agency, other)
    for client in (stage.advertiser, other):
        scene.register(agency, advertiser_id=client.organisation_id, types=["upload.rejected"])
    upload(stage, b"not a package")
    scene.work()
    assert scene.types() == ["upload.rejected"]
    with stage.room.db.transaction() as tx:
        stage.room.accounts.revoke_mandate(tx, first, advertiser_id=scene.advertiser)
    upload(stage, b"nor this one")
    scene.work()
    mandate(stage, agency, actions=frozenset({AgencyAction.ASK}))
    upload(stage, b"nor that one")
    scene.work()
    assert len(scene.receiver.messages) == 1


def upload(stage: Stage, payload: bytes) -> None:
    """One that ingestion refuses."""
    arrived(stage, signed(stage, payload))
    load(stage)


def arrived(stage: Stage, package: Package, **wishes) -> str:
    upload_id = announce(stage, package, **wishes).id
    send(stage, upload_id, package.payload, 0)
    return upload_id


def load(stage: Stage) -> None:
    while Loading(stage.room)():
        pass


def test_uploads_are_announced_as_they_end(sqlite_scene: Scene, tmp_path: Path) -> None:
    scene, stage = sqlite_scene, sqlite_scene.stage
    endpoint = scene.register()
    upload_id = arrived(stage, real(stage, clients(40, 0), tmp_path / "desk"), publish=True)
    load(stage)
    done = look(stage, upload_id)
    assert done.status is UploadStatus.PUBLISHED
    scene.work()
    assert sorted(scene.types()) == ["upload.loaded", "upload.published"]
    for message in scene.receiver.messages:
        told = scene.verified(message, endpoint)
        assert told == {"upload_id": upload_id, "dataset_id": stage.base_id, "version_id": done.version_id}


def test_only_what_comes_after_an_endpoint_and_of_its_types_is_announced(sqlite_scene: Scene) -> None:
    scene, stage = sqlite_scene, sqlite_scene.stage
    grant = stage.grant()
    stage.ask(grant)
    # Without any endpoint the log is not read at all.
    Chores(stage.room)()
    with stage.room.db.reading() as tx:
        assert tx.session.query(WebhookStateRow).count() == 0
    early = scene.register(types=["analysis.answered"])
    stage.ask(grant)
    late = scene.register(types=["analysis.answered", "analysis.refused"])
    deaf = scene.register(types=["upload.loaded"])
    stage.stop()
    stage.ask(grant)
    scene.work()
    assert [len(scene.deliveries(one)) for one in (early, late, deaf)] == [1, 1, 0]
    assert [one.type for one in scene.deliveries(late)] == ["analysis.refused"]


def test_what_waits_for_a_paused_endpoint_is_sent_when_it_goes_on_within_a_week(sqlite_scene: Scene) -> None:
    scene, stage = sqlite_scene, sqlite_scene.stage
    endpoint, grant = scene.register(), stage.grant()
    assert scene.change(endpoint, active=False).state is EndpointState.PAUSED
    stage.ask(grant)
    scene.work()
    assert scene.receiver.messages == []
    scene.change(endpoint, active=True)
    scene.work()
    assert scene.types() == ["analysis.answered"]
    scene.change(endpoint, active=False)
    stage.ask(grant)
    scene.work()
    stage.clock.move(seconds=KEPT.total_seconds() + 60)
    with stage.room.db.transaction() as tx:
        stage.room.webhooks.outbox.sweep(tx)
    assert scene.deliveries(endpoint) == []


def test_an_organisation_that_leaves_is_told_nothing_more(scene: Scene) -> None:
    stage = scene.stage
    agency = stage.party("agency", "agency")
    mandate(stage, agency)
    mine = scene.register()
    about = scene.register(agency, advertiser_id=scene.advertiser)
    kept = scene.register(agency)
    scene.ping(mine)
    with stage.room.db.transaction() as tx:
        left = stage.room.offboarding.leave(tx, scene.advertiser)
    assert set(left.webhooks) == {mine.id, about.id}
    scene.work()
    assert scene.receiver.messages == []
    with stage.room.db.reading() as tx:
        assert [row.id for row in tx.session.query(WebhookEndpointRow)] == [kept.id]
    assert len(stage.events("webhooks.deleted")) == 2


def test_an_endpoint_goes_with_all_that_waits_for_it(sqlite_scene: Scene) -> None:
    scene = sqlite_scene
    endpoint, other = scene.register(), scene.register(scene.stage.provider)
    scene.ping(endpoint)
    endpoints: Endpoints = scene.room.webhooks.endpoints
    with scene.room.db.transaction() as tx, pytest.raises(UnknownEndpointError):
        endpoints.delete(tx, other.id, organisation_id=scene.advertiser)
    with scene.room.db.transaction() as tx:
        endpoints.delete(tx, endpoint.id, organisation_id=scene.advertiser)
    scene.work()
    assert scene.receiver.messages == []
    with pytest.raises(UnknownEndpointError):
        scene.look(endpoint)


def test_every_change_of_an_endpoint_is_in_the_log_without_its_address(sqlite_scene: Scene) -> None:
    scene = sqlite_scene
    endpoint = scene.register()
    scene.change(endpoint, url=endpoint.url + "/secret-path")
    scene.change(endpoint, url=endpoint.url + "/secret-path")
    scene.change(endpoint, types=["upload.loaded"], description="new")
    events = scene.stage.events("webhooks.created", "webhooks.changed")
    assert [event["kind"] for event in events] == ["webhooks.created", *["webhooks.changed"] * 2]
    assert [event["body"].get("url_changed") for event in events] == [None, True, False]
    assert "secret-path" not in json.dumps(events)


def test_limits(sqlite_scene: Scene) -> None:
    scene = sqlite_scene
    for types in ([], ["analysis.counted"]):
        with pytest.raises(EndpointFormError):
            scene.register(types=types)
    with pytest.raises(EndpointFormError):
        scene.register(description="x" * 201)
    for _ in range(MAX_ENDPOINTS):
        scene.register()
    with pytest.raises(TooManyEndpointsError):
        scene.register()


def test_one_key_seals_all_secrets_and_goes_with_a_transaction_that_does(sqlite_scene: Scene) -> None:
    scene = sqlite_scene
    before = scene.room.keys.kek_ids()
    create = scene.room.webhooks.endpoints.create
    given = {"organisation_id": scene.advertiser, "url": scene.receiver.url, "types": ["upload.loaded"]}
    broken(scene, lambda tx: create(tx, **given))
    assert scene.room.keys.kek_ids() == before
    scene.register()
    scene.register()
    assert len(scene.room.keys.kek_ids()) == len(before) + 1


def test_two_first_endpoints_at_once_share_one_key_and_one_that_goes_holds_nobody_up(scene: Scene) -> None:
    before = scene.room.keys.kek_ids()
    barrier = threading.Barrier(2)

    def register(party: Party) -> Endpoint:
        barrier.wait()
        return scene.register(party)

    with ThreadPoolExecutor(2) as both:
        made = list(both.map(register, (scene.stage.advertiser, scene.stage.provider)))
    assert len(scene.room.keys.kek_ids()) == len(before) + 1
    for endpoint in made:
        scene.ping(endpoint)
    scene.work()
    assert len(scene.receiver.messages) == 2
    # The log is read and sent from while endpoints go; whoever comes second finds nothing left to do.
    grant = scene.stage.grant()
    for _ in range(4):
        going = scene.register()
        scene.stage.ask(grant)

        def delete(endpoint: Endpoint = going) -> None:
            barrier.wait()
            with scene.room.db.transaction() as tx:
                scene.room.webhooks.endpoints.delete(tx, endpoint.id, organisation_id=scene.advertiser)

        def work() -> None:
            barrier.wait()
            scene.work()

        with ThreadPoolExecutor(2) as both:
            for one in [both.submit(delete), both.submit(work)]:
                one.result()
        with pytest.raises(UnknownEndpointError):
            scene.look(going)
    assert len(scene.deliveries(made[0])) == 5


def test_both_sides_are_told_once_that_a_months_statements_are_ready(sqlite_scene: Scene) -> None:
    scene = sqlite_scene
    market = Market(scene.stage)
    provider, buyer = scene.register(scene.stage.provider), scene.register()
    market.question(market.bought())
    scene.work()
    assert "statement.ready" not in scene.types()
    market.next_month()
    for _ in range(2):
        scene.work()
    told = [message for message in scene.receiver.messages if b"statement.ready" in message.body]
    assert len(told) == 2
    for message in told:
        own = provider if scene.stage.provider.organisation_id.encode() in message.body else buyer
        data = scene.verified(message, own)
        assert data == {"organisation_id": own.organisation_id, "month": "2026-11"}


def test_a_consent_epoch_is_told_to_the_provider_and_to_holders_of_licences_without_counts(
    sqlite_scene: Scene,
) -> None:
    scene, stage = sqlite_scene, sqlite_scene.stage
    market = Market(stage)
    parties = {"held": None, "owned": stage.provider, "stranger": stage.party("somebody else")}
    for path, party in parties.items():
        scene.register(party, url=f"{scene.receiver.url}/{path}")
    stage.withdraw(1, 2, 3)
    scene.work()
    assert epochs_told(scene, "held") == []
    assert epochs_told(scene, "owned") == [{"dataset_id": stage.dataset_id, "epoch": "1"}]
    market.approve(market.ask(size="S"))
    stage.withdraw(7_654_321)
    scene.work()
    assert epochs_told(scene, "held") == [{"dataset_id": stage.dataset_id, "epoch": "2"}]
    assert len(epochs_told(scene, "owned")) == 2
    assert epochs_told(scene, "stranger") == []
    provider = stage.provider.organisation_id
    with scene.room.db.reading() as tx:
        made = scene.room.propagations.of_epoch(tx, stage.dataset_id, 2, organisation_id=provider)
    assert {(one.organisation_id, one.state, one.told_at is not None) for one in made.told} == {
        (provider, "delivered", True),
        (scene.advertiser, "delivered", True),
    }
    stage.clock.move(days=500)
    stage.withdraw(4)
    scene.work()
    assert len(epochs_told(scene, "held")) == 1


def test_an_agency_hears_of_epochs_for_the_client_that_buys_through_it_alone(sqlite_scene: Scene) -> None:
    scene, stage = sqlite_scene, sqlite_scene.stage
    agency, other = stage.party("agency", "agency"), stage.party("another client")
    market = Market(stage)
    for client in (stage.advertiser, other):
        mandate(stage, agency, client)
        scene.register(
            agency, url=f"{scene.receiver.url}/{client.organisation_id}", advertiser_id=client.organisation_id
        )
    market.approve(market.ask(size="S", agency=agency.organisation_id))
    stage.withdraw(1)
    scene.work()
    assert len(epochs_told(scene, stage.advertiser.organisation_id)) == 1
    assert epochs_told(scene, other.organisation_id) == []


def epochs_told(scene: Scene, path: str) -> list[dict[str, str]]:
    told = [json.loads(one.body) for one in scene.receiver.messages if one.path.endswith(f"/{path}")]
    return [one["data"] for one in told if one["type"] == EventType.CONSENT_EPOCH_BEGUN]
