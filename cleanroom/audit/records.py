"""Reading one stored record, which may be anything once somebody has edited it."""

import json
from collections.abc import Mapping

FILES_ROOT_FIELD = "files_root"


def record_fault(record: bytes, *, columns: Mapping[str, object], recorded_at: str) -> tuple[str, str | None]:
    """Compare a record with the columns that repeat parts of it.

    Args:
        record: canonical JSON, or what is left of it.
        columns: the stored columns by the record's names for them.
        recorded_at: the stored instant as RFC 3339.

    Returns:
        What is wrong, empty when nothing is; and the hash over a list of sealed files, if it states one.
    """
    try:
        content = json.loads(record)
    except (ValueError, RecursionError):
        return "the record is not JSON", None
    if not isinstance(content, dict):
        return "the record is not an object", None
    for name, value in columns.items():
        if content.get(name) != value:
            return f"the column of its {name} differs from the record", None
    if content.get("at") != recorded_at:
        return "the column of its instant differs from the record", None
    body = content.get("body")
    stated = body.get(FILES_ROOT_FIELD) if isinstance(body, dict) else None
    return "", stated if isinstance(stated, str) else None
