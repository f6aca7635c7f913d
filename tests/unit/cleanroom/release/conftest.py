"""The gate's tables, with the log around them."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from cleanroom.audit.log import AuditLog
from cleanroom.db.database import Database
from cleanroom.room import METADATA


class Steps:
    """A second passes at every look."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def now(self) -> datetime:
        self.instant += timedelta(seconds=1)
        return self.instant


@pytest.fixture
def clock() -> Steps:
    return Steps()


@pytest.fixture
def log(clock: Steps) -> AuditLog:
    return AuditLog(origin="room.test/cleanroom", seed=bytes(32), clock=clock)


@pytest.fixture
def db(sqlite_engine: Engine, log: AuditLog) -> Database:
    assert "stored_answers" in METADATA.tables
    return Database(sqlite_engine, log)
