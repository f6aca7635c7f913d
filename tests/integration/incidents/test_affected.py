"""What a scope comes to: data, answers that left the room, rights and parties, each as far as it is one's own."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from cleanroom.access.scopes import CATALOGUE_READ
from cleanroom.incidents.errors import IncidentScopeError
from cleanroom.incidents.types import Scope
from tests.integration.incidents.conftest import Scene
from tests.rooms import DATASET_HEADER, people

# Each takes a second, and most of what breaks shows on one database.
pytestmark = pytest.mark.slow_on("postgresql")


def scoped(scene: Scene, who: str = "operator", **named: Any) -> str:
    return scene.open(who, scope=Scope(**named))


def ids(found: Any) -> list[str]:
    return [one.id for one in found]


def test_a_dataset_leads_to_its_versions_answers_rights_and_parties(scene: Scene) -> None:
    entitlement = scene.market.bought(size="M")
    answer = scene.market.question(entitlement)
    scene.market.question(entitlement)
    incident_id = scoped(scene, dataset_id=scene.stage.dataset_id)

    found = scene.affected(incident_id, "operator")

    assert ids(found.datasets) == [scene.stage.dataset_id]
    assert [one.number for one in found.versions] == [1]
    assert ids(found.entitlements) == [entitlement.id]
    assert ids(found.organisations) == sorted([scene.own("provider"), scene.own("advertiser")])
    # The second was the same answer again, which the party had already.
    assert found.releases == 1
    (release,) = scene.released(incident_id, "operator")
    assert (release.analysis_id, release.advertiser_id) == (answer.analysis_id, scene.own("advertiser"))
    assert release.version_id == found.versions[0].id
    assert found.first_release_at == found.last_release_at == release.asked_at
    # It is where the receipt says.
    events = scene.stage.events()
    assert events[release.index]["subject"] == release.analysis_id


def test_versions_and_times_narrow_it(scene: Scene) -> None:
    entitlement = scene.market.bought(size="M")
    first = scene.market.question(entitlement)
    scene.stage.clock.move(days=1)
    between = scene.stage.clock.now()
    scene.stage.clock.move(days=1)
    scene.stage.load(scene.stage.dataset_id, DATASET_HEADER, people(2_900))
    second = scene.market.question(entitlement)

    def answers(**named: Any) -> list[str]:
        incident_id = scoped(scene, dataset_id=scene.stage.dataset_id, **named)
        assert scene.affected(incident_id, "operator").releases == len(
            scene.released(incident_id, "operator")
        )
        return [one.analysis_id for one in scene.released(incident_id, "operator")]

    assert answers() == [first.analysis_id, second.analysis_id]
    assert answers(version_from=2) == answers(since=between) == [second.analysis_id]
    assert answers(version_to=1) == answers(until=between) == [first.analysis_id]
    assert answers(version_from=3) == []
    by_version = scoped(scene, dataset_id=scene.stage.dataset_id, version_from=2)
    assert [one.number for one in scene.affected(by_version, "operator").versions] == [2]
    both = scoped(scene, dataset_id=scene.stage.dataset_id)
    assert [one.analysis_id for one in scene.released(both, "operator", offset=1, limit=1)] == [
        second.analysis_id
    ]


def test_keys_workspaces_clients_and_times_alone_are_scopes_too(scene: Scene) -> None:
    answer = scene.market.question(scene.market.bought(size="M"))
    stage = scene.stage
    with stage.room.db.transaction() as tx:
        client = stage.room.access.clients.register(
            tx,
            organisation_id=scene.own("advertiser"),
            name="program",
            scopes=[CATALOGUE_READ],
        ).client

    def seen(**named: Any) -> tuple[list[str], int]:
        found = scene.affected(scoped(scene, **named), "operator")
        return ids(found.datasets), found.releases

    assert seen(workspace_id=stage.provider.workspace_id) == ([stage.dataset_id], 1)
    assert seen(signer_key_id=stage.provider.signer.key_id) == ([stage.dataset_id], 1)
    assert seen(workspace_id=stage.advertiser.workspace_id) == ([stage.base_id], 1)
    assert seen(client_id=client.id) == ([stage.base_id], 1)
    assert seen(since=stage.clock.now() - timedelta(days=400)) == (
        sorted([stage.dataset_id, stage.base_id]),
        1,
    )
    assert seen(since=stage.clock.now())[1] == 0
    assert answer.analysis_id


def test_each_sees_its_own_part(scene: Scene) -> None:
    scene.market.question(scene.market.bought(size="M"))
    other = scene.stage.party("other provider", "provider")
    incident_id = scoped(scene, since=datetime.fromisoformat("2020-01-01T00:00:00+00:00"))
    owners = ids(scene.affected(incident_id, "operator").organisations)
    scene.act("share", incident_id, owners, who="operator")

    mine, theirs = (scene.affected(incident_id, who) for who in ("provider", "advertiser"))

    assert ids(mine.datasets) == [scene.stage.dataset_id]
    assert ids(theirs.datasets) == [scene.stage.base_id]
    assert (mine.releases, theirs.releases) == (1, 1)
    (seen,), (asked) = scene.released(incident_id, "provider"), scene.released(incident_id, "advertiser")
    assert (seen.base_id, [one.base_id for one in asked]) == (None, [scene.stage.base_id])
    assert other.organisation_id not in owners


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"dataset_id": "ds_" + "0" * 32},
        {"version_from": 1},
        {
            "since": datetime.fromisoformat("2026-01-02T00:00:00+00:00"),
            "until": datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
        },
    ],
)
def test_a_scope_names_something_that_is_there(scene: Scene, named: dict[str, Any]) -> None:
    with pytest.raises(IncidentScopeError):
        scoped(scene, **named)


def test_a_provider_scopes_nothing_of_others(scene: Scene) -> None:
    for named in (
        {"dataset_id": scene.stage.base_id},
        {"workspace_id": scene.stage.advertiser.workspace_id},
        {"signer_key_id": scene.stage.advertiser.signer.key_id},
    ):
        with pytest.raises(IncidentScopeError):
            scoped(scene, "provider", **named)
    assert scoped(scene, "provider", dataset_id=scene.stage.dataset_id)
