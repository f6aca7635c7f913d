"""Reading one stored record, which may be anything once somebody has edited it."""

import json
from collections.abc import Mapping

FILES_ROOT_FIELD = "files_root"
FILES_ROOTS_FIELD = "files_roots"
_DATASET_PREFIX, _DATASET_FIELD = "ds_", "dataset_id"
_MAX_ID = 40


def dataset_of(subject_id: object, body: object) -> str | None:
    """Return the id of the dataset (or base) that an event is about, by its subject or its body; None for no one's."""
    stated = body.get(_DATASET_FIELD) if isinstance(body, Mapping) else None
    for one in (subject_id, stated):
        if isinstance(one, str) and one.startswith(_DATASET_PREFIX) and len(one) <= _MAX_ID:
            return one
    return None


def record_fault(
    record: bytes, *, columns: Mapping[str, object], recorded_at: str, dataset_id: object
) -> tuple[str, dict[str, str]]:
    """Compare a record with the columns that repeat parts of it.

    Args:
        record: canonical JSON, or what is left of it.
        columns: the stored columns by the record's names for them.
        recorded_at: the stored instant as RFC 3339.
        dataset_id: the stored column that is made of subject and body.

    Returns:
        What is wrong, empty when nothing is; and the hashes over lists of sealed files that it states, by subject.
    """
    try:
        content = json.loads(record)
    except (ValueError, RecursionError):
        return "the record is not JSON", {}
    if not isinstance(content, dict):
        return "the record is not an object", {}
    for name, value in columns.items():
        if content.get(name) != value:
            return f"the column of its {name} differs from the record", {}
    if content.get("at") != recorded_at:
        return "the column of its instant differs from the record", {}
    if dataset_of(content.get("subject"), content.get("body")) != dataset_id:
        return "the column of its dataset differs from the record", {}
    return "", _stated_roots(content)


def _stated_roots(content: Mapping[str, object]) -> dict[str, str]:
    body = content.get("body")
    if not isinstance(body, dict):
        return {}
    # One event may replace the files of many versions at once.
    many = body.get(FILES_ROOTS_FIELD)
    stated = dict(many) if isinstance(many, dict) else {}
    if FILES_ROOT_FIELD in body:
        stated[str(content.get("subject"))] = body[FILES_ROOT_FIELD]
    return {subject: root for subject, root in stated.items() if isinstance(root, str)}
