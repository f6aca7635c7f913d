"""Everything that an append stores, in one statement: each round trip to the server keeps all other writers waiting."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text

_EVENT_COLUMNS = {
    "index": "bigint",
    "recorded_at": "timestamptz",
    "kind": "text",
    "organisation_id": "text",
    "subject_id": "text",
    "dataset_id": "text",
    "record": "bytea",
    "leaf_hash": "bytea",
}
_NODE_COLUMNS = {"closed_by": "bigint", "level": "integer", "hash": "bytea"}


def _insert(table: str, columns: Mapping[str, str]) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    arrays = ", ".join(f"CAST(:{table}_{name} AS {kind}[])" for name, kind in columns.items())
    return f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays})"  # noqa: S608 - names of this file


ADD_ALL = text(
    f"WITH events AS ({_insert('audit_events', _EVENT_COLUMNS)}), "  # noqa: S608 - as above
    f"nodes AS ({_insert('audit_nodes', _NODE_COLUMNS)}), "
    "kept AS (INSERT INTO audit_checkpoints (size, note) "
    "SELECT CAST(:size AS bigint), CAST(:note AS text) WHERE CAST(:keep AS boolean)) "
    "UPDATE audit_head SET size = :size, note = :note, peaks = :peaks"
)
"""For PostgreSQL, and a log that has a head."""


def add_all_values(
    events: Sequence[Mapping[str, Any]],
    nodes: Sequence[Mapping[str, Any]],
    head: Mapping[str, Any],
    *,
    keep: bool,
) -> dict[str, Any]:
    """Lay out the values of `ADD_ALL`.

    Args:
        events: rows of events.
        nodes: rows of nodes.
        head: size, note and peaks of the new head.
        keep: whether the head is kept as a checkpoint too.
    """
    values: dict[str, Any] = {
        f"audit_events_{name}": [row[name] for row in events] for name in _EVENT_COLUMNS
    }
    values |= {f"audit_nodes_{name}": [row[name] for row in nodes] for name in _NODE_COLUMNS}
    return values | dict(head) | {"keep": keep}
