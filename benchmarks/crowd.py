"""A room as it is after years: rows written straight into SQL, each a copy of one that the services made.

Nothing here goes through the services, so the log knows nothing of it: for measuring what pages read, and nothing else.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update

from cleanroom.access.models import ClientRow, ClientSecretRow
from cleanroom.analyses.models import AnalysisRow
from cleanroom.datasets.models import DatasetRow, DatasetVersionRow
from cleanroom.db.base import Base
from cleanroom.db.database import Transaction
from cleanroom.foureyes.models import FourEyesAskRow
from cleanroom.ids import new_id
from cleanroom.marketplace.models import EntitlementRequestRow, EntitlementRow, UsageRow
from cleanroom.rekeying.models import KeyRotationRow
from cleanroom.room import Room
from cleanroom.rules.models import PolicyRow
from cleanroom.webhooks.models import WebhookDeliveryRow

_PER_STATEMENT = 2_000
_STATES = ("rejected", "rejected", "rejected", "withdrawn", "pending")
_DATED = ("created_at", "requested_at", "asked_at", "at")
_SIZES = ("S", "M", "L")
Changes = Callable[[int, str], Mapping[str, Any]]


def crowd(room: Room, *, datasets: int = 1_000, requests: int = 100_000) -> dict[str, int]:
    """Fill a room in which there is one of each already.

    Args:
        room: with a published dataset, a pending request, an answered question that was charged, and a client that has
            a secret; rows of webhooks, of rotations and of what takes two people are copied where there are some.
        datasets: how many there are in the end, each with a version and a rule.
        requests: how many requests, questions and charges.

    Returns:
        How many rows were written, by table.
    """
    made: dict[str, int] = {}
    now = room.clock.now()
    with room.db.transaction() as tx:
        # What a version, a rule or a secret belongs to is there before it.
        names: list[str] = []

        def dataset(number: int, dataset_id: str) -> Mapping[str, Any]:
            names.append(dataset_id)
            return {"name": f"Dataset {number:05}", "current_version_id": _of("dv", dataset_id)}

        pattern = _one(tx, DatasetVersionRow, DatasetVersionRow.status == "published")
        source = tx.session.get_one(DatasetRow, pattern["dataset_id"])
        made |= _copies(tx, DatasetRow, "ds", datasets - 1, dataset, now, DatasetRow.id == source.id)
        for table, prefix in ((DatasetVersionRow, "dv"), (PolicyRow, "pol")):
            owned = iter(names)

            def belonging(_number: int, _id: str, owned: Iterator[str] = owned, prefix: str = prefix) -> Any:
                dataset_id = next(owned)
                own = {"package_id": _of("pkg", dataset_id)} if prefix == "dv" else {}
                return {"id": _of(prefix, dataset_id), "dataset_id": dataset_id, "number": 1, **own}

            made |= _copies(tx, table, prefix, len(names), belonging, now, table.dataset_id == source.id)
        made |= _copies(
            tx,
            EntitlementRequestRow,
            "erq",
            requests,
            lambda number, _id: {
                "state": _STATES[number % len(_STATES)],
                "size": _SIZES[number % len(_SIZES)],
                "days": 1 + number % 365,
            },
            now,
            EntitlementRequestRow.state == "pending",
        )
        analyses: list[str] = []

        def question(_number: int, analysis_id: str) -> Mapping[str, Any]:
            analyses.append(analysis_id)
            return {}

        made |= _copies(tx, AnalysisRow, "an", requests, question, now, AnalysisRow.status == "released")
        charged = iter(analyses)
        made |= _copies(
            tx,
            UsageRow,
            "ur",
            requests,
            lambda number, _id: {
                "analysis_id": next(charged),
                "event_index": 10**9 + number,
                "month": f"{now - timedelta(minutes=requests - number):%Y-%m}",
            },
            now,
        )
        # The charges are spread over months that it was good in.
        tx.session.execute(update(EntitlementRow).values(valid_from=now - timedelta(minutes=requests + 1)))
        clients: list[str] = []

        def client(number: int, client_id: str) -> Mapping[str, Any]:
            clients.append(client_id)
            return {"name": f"Client {number:05}"}

        holder = _one(tx, ClientSecretRow)["client_id"]
        made |= _copies(tx, ClientRow, "cl", datasets, client, now, ClientRow.id == holder)
        holders = iter(clients)
        made |= _copies(
            tx,
            ClientSecretRow,
            "cs",
            len(clients),
            lambda _number, _id: {"client_id": next(holders)},
            now,
            ClientSecretRow.client_id == holder,
        )
        made |= _copies(
            tx,
            WebhookDeliveryRow,
            "msg",
            datasets,
            lambda _number, _id: {"state": "delivered", "event_index": None},
            now,
        )
        ended = {"state": "done", "ended_at": now}
        made |= _copies(tx, KeyRotationRow, "kr", datasets, lambda *_: ended, now)
        made |= _copies(
            tx, FourEyesAskRow, "fe", datasets, lambda *_: {"state": "lapsed", "ended_at": now}, now
        )
    if room.db.engine.dialect.name == "postgresql":
        # As a database that has been there for a while has done by itself.
        with room.db.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")
    return made


def _one(tx: Transaction, table: type[Base], *wanted: Any) -> dict[str, Any]:
    row = tx.session.execute(select(table.__table__).where(*wanted).limit(1)).mappings().first()
    return dict(row) if row is not None else {}


def _copies(
    tx: Transaction,
    table: type[Base],
    prefix: str,
    count: int,
    changes: Changes,
    now: datetime,
    *wanted: Any,
) -> dict[str, int]:
    """Write copies of one row, older and older, with ids of their own."""
    pattern = _one(tx, table, *wanted)
    if not pattern:
        return {table.__tablename__: 0}
    for start in range(0, count, _PER_STATEMENT):
        rows = []
        for number in range(start, min(start + _PER_STATEMENT, count)):
            at = now - timedelta(minutes=count - number)
            row_id = new_id(prefix, at)
            dated = {name: at for name in _DATED if name in pattern}
            rows.append({**pattern, "id": row_id, **dated, **changes(number, row_id)})
        tx.session.execute(insert(table), rows)
    return {table.__tablename__: count}


def _of(prefix: str, dataset_id: str) -> str:
    return f"{prefix}_{dataset_id.partition('_')[2]}"
