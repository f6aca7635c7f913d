"""Alarms over HTTP: one's own, in pages, acknowledged once; and from the SDK, the command line and a webhook."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from cleanroom import Client
from cleanroom.alarms.types import Whose
from cleanroom.cli.main import EXIT_KNOWN_ERROR, EXIT_NOT_FOUND
from cleanroom.client.remote.problems import Conflict, InvalidRequest, NotFound
from cleanroom.webhooks.models import WebhookDeliveryRow
from tests.api.matrix import alarm_id
from tests.api.sdk import Desk
from tests.api.test_sdk_commands import Run, desk, log_in, run
from tests.api.world import World

__all__ = ["desk", "run"]
NOTE = "A nightly job asked with last month's base."


def raise_some(world: World) -> None:
    """Alarms of the provider's, one for each of three datasets, and one of failed sign-ins of everybody's."""
    stage = world.stage
    with stage.room.db.transaction() as tx:
        for number in range(3):
            about = {"dataset_id": f"ds_{number:032x}", "advertiser_id": stage.advertiser.organisation_id}
            owner = stage.provider.organisation_id
            tx.audit("analyses.difference_alarm", subject_id="an_1", organisation_id=owner, body=about)
        whose = (stage.provider.organisation_id, stage.advertiser.organisation_id, None)
        for _ in range(stage.room.settings.alarms.sign_ins):
            for owner in whose:
                tx.audit("signin.failed", subject_id="us_1", organisation_id=owner, body={"step": "password"})
    stage.room.alarms.detecting.catch_up(stage.room.db)


def listed(world: World, who: str, query: str = "") -> list[dict[str, Any]]:
    answer = world.call(who, "GET", f"/v1/alarms{query}")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_alarms_are_ones_own_and_come_in_pages(world: World) -> None:
    raise_some(world)
    owner, buyer = (world.party(name).organisation_id for name in ("provider", "advertiser"))
    whole = listed(world, "provider.officer")
    assert [one["id"] for one in whole] == sorted((one["id"] for one in whole), reverse=True)
    assert {one["organisation_id"] for one in whole} == {owner}
    assert len(whole) == 4
    assert {one["organisation_id"] for one in listed(world, "advertiser.officer")} == {buyer}
    assert {one["organisation_id"] for one in listed(world, "operator.officer")} == {owner, buyer, None}
    paged, cursor = [], ""
    while True:
        page = world.call("provider.officer", "GET", f"/v1/alarms?limit=3{cursor}").json()
        paged += page["items"]
        # Those of the page before are none of the next one's business.
        world.call(
            "provider.officer", "POST", f"/v1/alarms/{page['items'][0]['id']}/acknowledge", {"note": NOTE}
        )
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert paged == whole
    by_dataset = {found["dataset_id"]: found["id"] for found in whole}
    one = world.call("provider.officer", "GET", f"/v1/alarms/{by_dataset[f'ds_{0:032x}']}").json()
    assert (one["kind"], one["party_id"], one["occurrences"]) == ("difference", buyer, 1)


def test_alarms_are_chosen_by_state_and_kind(world: World) -> None:
    raise_some(world)
    first = listed(world, "provider.officer")[0]["id"]
    done = world.call("provider.officer", "POST", f"/v1/alarms/{first}/acknowledge", {"note": NOTE})
    assert done.status_code == 200
    for query, count in (
        ("?state=open", 3),
        ("?state=acknowledged", 1),
        ("?kind=sign_in", 1),
        ("?kind=sign_in&kind=difference", 4),
        ("?kind=difference&state=open", 2 if done.json()["kind"] == "difference" else 3),
        ("?kind=bulk", 0),
    ):
        assert len(listed(world, "provider.officer", query)) == count, query
    for query in ("?state=seen", "?kind=nonsense", "?cursor=nonsense"):
        assert world.call("provider.officer", "GET", f"/v1/alarms{query}").status_code in (400, 422)


def test_an_alarm_is_acknowledged_once_by_those_whose_it_is(world: World) -> None:
    made = alarm_id(world)
    path = f"/v1/alarms/{made}/acknowledge"
    # What a page demands of whoever acknowledges.
    assert world.call("provider.policy_manager", "GET", f"/v1/alarms/{made}").status_code == 200
    assert world.call("provider.policy_manager", "POST", path, {"note": NOTE}).status_code == 403
    # An operator reads what is others'.
    assert world.call("operator.officer", "GET", f"/v1/alarms/{made}").status_code == 200
    for who in ("operator.officer", "advertiser.officer"):
        assert world.call(who, "POST", path, {"note": NOTE}).json()["code"] == "alarms.unknown"
    for note, status in (("", 422), ("x" * 501, 422), (" \n", 400), (None, 422)):
        assert world.call("provider.officer", "POST", path, {"note": note}).status_code == status
    first = world.call("provider.officer", "POST", path, {"note": f" {NOTE} "}, key="same")
    assert first.status_code == 200
    told = first.json()
    assert (told["state"], told["note"]) == ("acknowledged", NOTE)
    assert told["acknowledged_by"] == world.clients["provider.officer"].id
    again = world.call("provider.officer", "POST", path, {"note": f" {NOTE} "}, key="same")
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (told, "true")
    assert world.call("provider.officer", "POST", path, {"note": "else"}, key="same").status_code == 422
    late = world.call("provider.officer", "POST", path, {"note": NOTE}, key="other")
    assert (late.status_code, late.json()["code"]) == (409, "alarms.ended")
    assert len(world.stage.events("alarms.acknowledged")) == 1


def test_the_rooms_own_alarm_is_its_operators(world: World) -> None:
    raise_some(world)
    (own,) = [one for one in listed(world, "operator.officer") if one["organisation_id"] is None]
    path = f"/v1/alarms/{own['id']}"
    assert world.call("provider.officer", "GET", path).status_code == 404
    done = world.call("operator.officer", "POST", f"{path}/acknowledge", {"note": NOTE})
    assert (done.status_code, done.json()["state"]) == (200, "acknowledged")


def test_a_user_who_acknowledged_is_told_by_an_id_alone(world: World) -> None:
    made, stage = alarm_id(world), world.stage
    with stage.room.db.transaction() as tx:
        invited = stage.room.access.users.invite(
            tx, organisation_id=stage.provider.organisation_id, email="olga@example.org", role="officer"
        ).user
        whose = Whose(stage.provider.organisation_id)
        stage.room.alarms.acknowledge(tx, made, whose, by=invited.id, note=NOTE)
    answer = world.call("provider.officer", "GET", f"/v1/alarms/{made}")
    assert answer.json()["acknowledged_by"] == invited.id
    assert "olga" not in answer.text


def test_a_new_alarm_is_announced_to_those_whose_it_is_and_tells_nothing_of_people(world: World) -> None:
    room = world.stage.room
    hook = {"url": "https://hooks.example.org/in", "types": ["alarm.raised"]}
    ids = {}
    for party in ("provider", "advertiser", "rival_provider"):
        ids[party] = world.call(f"{party}.owner", "POST", "/v1/webhooks", hook).json()["id"]
    raise_some(world)
    room.webhooks.outbox.catch_up(room.db)
    with room.db.reading() as tx:
        rows = tx.session.execute(select(WebhookDeliveryRow.endpoint_id, WebhookDeliveryRow.body)).all()
    told: dict[str, list[dict[str, Any]]] = {name: [] for name in ids.values()}
    for endpoint_id, body in rows:
        told[endpoint_id].append(json.loads(body))
    assert told[ids["rival_provider"]] == []
    for party in ("provider", "advertiser"):
        known = {one["id"]: one for one in listed(world, f"{party}.officer")}
        assert len(told[ids[party]]) == len(known)
        for message in told[ids[party]]:
            assert message["type"] == "alarm.raised"
            one = known[message["data"]["alarm_id"]]
            assert message["data"] == {
                "alarm_id": one["id"],
                "kind": one["kind"],
                "raised_at": one["raised_at"],
            }


def test_the_sdk_and_the_commands_look_and_say_what_was_found(desk: Desk, run: Run) -> None:
    raise_some(desk.world)
    log_in(desk, run, "provider", role="owner")
    code, out, err = run("alarms", "list", "--profile", "provider")
    assert code == 0, err
    assert len(out.splitlines()) == 4
    code, out, _ = run("alarms", "list", "--kind", "sign_in", "--json", "--profile", "provider")
    (one,) = json.loads(out)
    saying = ("alarms", "acknowledge", one["id"], "--note", NOTE, "--profile", "provider")
    code, out, err = run(*saying, "--dry-run")
    assert (code, out) == (0, f"WOULD ACKNOWLEDGE {one['id']}\n"), err
    code, out, err = run(*saying)
    assert (code, out) == (0, f"ACKNOWLEDGED {one['id']}\n"), err
    code, _, err = run(*saying, "--dry-run")
    assert (code, "acknowledged before" in err) == (EXIT_KNOWN_ERROR, True)
    code, _, err = run(*saying)
    assert (code, "alarms.ended" in err) == (EXIT_KNOWN_ERROR, True)
    code, _, _ = run("alarms", "acknowledge", f"al_{'0' * 32}", "--note", NOTE, "--profile", "provider")
    assert code == EXIT_NOT_FOUND
    code, out, _ = run("alarms", "list", "--kind", "sign_in", "--profile", "provider")
    assert out == "There is none.\n"
    code, out, _ = run("alarms", "list", "--kind", "sign_in", "--all", "--profile", "provider")
    assert NOTE in out
    with Client(profile="provider") as room:
        assert room.alarms.get(one["id"])["note"] == NOTE
        assert len(room.alarms.list(state="open")) == 3
        assert [found["id"] for found in room.alarms.list(kinds=["sign_in", "bulk"])] == [one["id"]]
        with pytest.raises(Conflict):
            room.alarms.acknowledge(one["id"], note=NOTE)
        with pytest.raises(InvalidRequest):
            room.alarms.acknowledge(room.alarms.list(state="open")[0]["id"], note="")
        with pytest.raises(NotFound):
            room.alarms.get(f"al_{'0' * 32}")
