"""Whoever may read incidents is told of a term that ends, and of an incident that the operator shares."""

from typing import Any

from cleanroom.incidents.types import Scope
from cleanroom.notices.types import MAILED, NoticeType
from cleanroom.worker.pieces import Chores
from tests.integration.incidents.conftest import Scene
from tests.people_rooms import Person, person, quick_hashes
from tests.rooms import MakeRoom

__all__ = ["quick_hashes"]
_OURS = {NoticeType.INCIDENT_DEADLINE, NoticeType.INCIDENT_SHARED}


def told(scene: Scene, who: Person) -> list[tuple[NoticeType, dict[str, Any]]]:
    room = scene.stage.room
    with room.db.reading() as tx:
        page, _ = room.notices.reading.page(tx, who.member(), offset=0, limit=50)
    return [(one.type, dict(one.data)) for one in page if one.type in _OURS]


def test_terms_and_shared_incidents_make_notices(make_room: MakeRoom, quick_hashes: None) -> None:
    scene = Scene(make_room())
    room, clock = scene.stage.room, scene.stage.clock
    officer, viewer, operator = (
        person(room, scene.own(party), role, f"{role}@example.org")
        for party, role in (("provider", "officer"), ("provider", "viewer"), ("operator", "operator"))
    )
    incident_id = scene.open("operator", ago=0, scope=Scope(dataset_id=scene.stage.dataset_id))
    scene.act("share", incident_id, [scene.own("provider")], who="operator")
    clock.move(hours=19)

    Chores(room)()
    room.notices.outbox.catch_up(room.db)

    assert told(scene, officer) == [(NoticeType.INCIDENT_SHARED, {"incident_id": incident_id})]
    assert told(scene, viewer) == []
    near = {"incident_id": incident_id, "duty": "ru_notice", "when": "near"}
    assert told(scene, operator) == [(NoticeType.INCIDENT_DEADLINE, near)]
    assert _OURS <= MAILED
