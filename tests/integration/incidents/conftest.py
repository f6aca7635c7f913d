"""The usual room on either database, with a purchase, an answer, and an operator."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from cleanroom.incidents.types import Incident, IncidentKind, Severity
from tests.integration.conftest import postgresql_copy, postgresql_template, stage
from tests.market import Market
from tests.rooms import Stage, make_room, sqlite_template

__all__ = ["make_room", "postgresql_copy", "postgresql_template", "sqlite_template", "stage"]


@dataclass
class Scene:
    """Short names for what these tests do most."""

    stage: Stage
    market: Market = field(init=False)

    def __post_init__(self) -> None:
        self.stage.party("operator", "operator")
        self.market = Market(self.stage)

    @property
    def incidents(self) -> Any:
        return self.stage.room.incidents

    def own(self, name: str) -> str:
        return self.stage.parties[name].organisation_id

    def open(self, who: str = "provider", *, ago: float = 1.0, **changed: Any) -> str:
        asked: dict[str, Any] = {
            "kind": IncidentKind.DISCLOSURE,
            "severity": Severity.HIGH,
            "title": "a disk was lost",
            "text": "A disk with a copy of the objects was lost on a train.",
            "discovered_at": self.stage.clock.now() - timedelta(hours=ago),
            "by": "us_1",
        } | changed
        # Ids carry the milliseconds, and stand for the order of opening.
        self.stage.clock.move(milliseconds=1)
        with self.stage.room.db.transaction() as tx:
            return str(self.incidents.open(tx, self.own(who), **asked))

    def act(self, what: str, incident_id: str, *given: Any, who: str = "provider", **options: Any) -> Any:
        with self.stage.room.db.transaction() as tx:
            act = getattr(self.incidents, what)
            return act(tx, incident_id, *given, organisation_id=self.own(who), by="us_1", **options)

    def look(self, incident_id: str, who: str = "provider") -> Incident:
        with self.stage.room.db.reading() as tx:
            found: Incident = self.incidents.register.incident(tx, incident_id, organisation_id=self.own(who))
            return found

    def entries(self, incident_id: str, who: str = "provider") -> Any:
        with self.stage.room.db.reading() as tx:
            found, total = self.incidents.register.entries(tx, self.look(incident_id, who))
            assert total == len(found)
            return found

    def affected(self, incident_id: str, who: str = "provider") -> Any:
        with self.stage.room.db.reading() as tx:
            return self.incidents.affected(tx, incident_id, organisation_id=self.own(who))

    def released(self, incident_id: str, who: str = "provider", **options: Any) -> Any:
        with self.stage.room.db.reading() as tx:
            return self.incidents.released(tx, incident_id, organisation_id=self.own(who), **options)


@pytest.fixture
def scene(stage: Stage) -> Scene:
    """The room; every test runs on SQLite and on PostgreSQL."""
    return Scene(stage)
