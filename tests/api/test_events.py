"""Everybody reads their own part of the log, and can prove it offline."""

import base64
import json

from crypto import merkle
from crypto.checkpoint import open_note
from tests.api.world import World


def test_events_are_ones_own_and_come_in_pages(shared: World) -> None:
    own = shared.party("advertiser").organisation_id
    whole = shared.call("advertiser.owner", "GET", "/v1/events?limit=200").json()["items"]
    assert len(whole) > 5
    assert {json.loads(one["record"])["organisation"] for one in whole} == {own}
    paged, cursor = [], ""
    while True:
        page = shared.call("advertiser.owner", "GET", f"/v1/events?limit=2{cursor}").json()
        paged += page["items"]
        assert len(page["items"]) <= 2
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert paged == whole


def test_the_operators_officer_sees_all(shared: World) -> None:
    items = shared.call("operator.officer", "GET", "/v1/events?limit=200").json()["items"]
    assert [one["index"] for one in items] == list(range(len(items)))
    assert {json.loads(one["record"])["organisation"] for one in items} >= {
        None,
        shared.party("advertiser").organisation_id,
        shared.party("provider").organisation_id,
    }


def test_events_of_some_kinds_can_be_asked_for(shared: World) -> None:
    path = "/v1/events?kind=accounts.key_enrolled&kind=workspaces.created"
    items = shared.call("advertiser.owner", "GET", path).json()["items"]
    assert sorted({json.loads(one["record"])["kind"] for one in items}) == [
        "accounts.key_enrolled",
        "workspaces.created",
    ]


def test_a_proof_leads_from_the_record_to_the_signed_head(shared: World) -> None:
    key = shared.call("advertiser.owner", "GET", "/v1/checkpoint").json()["verifier_key"]
    for event in shared.call("advertiser.owner", "GET", "/v1/events").json()["items"]:
        proof = shared.call("advertiser.owner", "GET", f"/v1/events/{event['index']}/proof").json()
        assert proof["record"] == event["record"]
        checkpoint = open_note(proof["checkpoint"], key)
        assert checkpoint.size == proof["size"]
        merkle.verify_inclusion(
            merkle.leaf_hash(proof["record"].encode()),
            event["index"],
            checkpoint.size,
            [base64.b64decode(node) for node in proof["proof"]],
            checkpoint.root,
        )


def test_a_foreign_event_is_not_proven(shared: World) -> None:
    own = shared.call("advertiser.owner", "GET", "/v1/events").json()["items"][0]["index"]
    assert shared.call("provider.owner", "GET", f"/v1/events/{own}/proof").status_code == 404
    assert shared.call("provider.owner", "GET", "/v1/events/0/proof").status_code == 404
    assert shared.call("operator.officer", "GET", f"/v1/events/{own}/proof").status_code == 200
