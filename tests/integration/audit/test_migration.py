"""Events that were there before know their dataset after the migration, and still refuse to be changed."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from cleanroom.db import migrate
from cleanroom.db.database import open_engine

BEFORE, AFTER = "0013", "0018"


@pytest.fixture
def empty(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def test_old_events_are_found_by_their_dataset(empty: Engine) -> None:
    migrate.upgrade(empty, BEFORE)
    bodies = [("ds_1", b"{}"), ("dv_1", b'{"dataset_id":"ds_2"}'), ("us_1", b'{"dataset_id":7}')]
    add = text(
        'INSERT INTO audit_events ("index", recorded_at, kind, subject_id, record, leaf_hash) '
        "VALUES (:at, :now, 'a.kind', :subject, :record, :leaf)"
    )
    with empty.begin() as connection:
        for at, (subject, body) in enumerate(bodies):
            values = {"at": at, "subject": subject, "record": b'{"body":' + body + b"}", "leaf": b"x" * 32}
            connection.execute(add, values | {"now": datetime(2026, 11, 30, tzinfo=UTC)})
    migrate.upgrade(empty, AFTER)
    with empty.connect() as connection:
        found = connection.execute(text('SELECT dataset_id FROM audit_events ORDER BY "index"')).scalars()
        assert list(found) == ["ds_1", "ds_2", None]
    for change in ("UPDATE audit_events SET kind = 'b.kind'", "DELETE FROM audit_events"):
        with empty.begin() as connection, pytest.raises(DBAPIError, match="append-only"):
            connection.execute(text(change))
    migrate.downgrade(empty, BEFORE)
    migrate.upgrade(empty)
