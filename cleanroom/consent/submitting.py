"""A submitted batch: checked, and its digests turned into tokens of the workspace."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np

from cleanroom.consent.changes import (
    EVERY_PURPOSE,
    NO_DETAIL,
    PERSON,
    ChangeRows,
    ChangeState,
    microseconds,
    no_changes,
)
from cleanroom.consent.errors import ChangeError
from cleanroom.consent.terms import Terms, written
from cleanroom.consent.types import ALL_PURPOSES, Change
from cleanroom.datasets.tokens import PERSON_KEY, token_halves, token_key
from cleanroom.datasets.types import Dataset
from cleanroom.schema.model import NULL_DATE, Schema
from cleanroom.workspaces.types import WorkspaceKeys
from crypto.limits import DIGEST_BYTES

MAX_BATCH = 1_000_000
_FIRST_DAY = date(1970, 1, 1)


@dataclass(frozen=True)
class Submitted:
    """A batch as it is recorded.

    Attributes:
        rows: by token.
        lines: terms, each once; a record's `detail` is a position here.
        applied: keys that the dataset has.
        not_applied: keys that it lacks.
        latest: the instant of the newest change.
    """

    rows: ChangeRows
    lines: tuple[Terms, ...]
    applied: tuple[str, ...]
    not_applied: tuple[str, ...]
    latest: datetime

    @property
    def terms(self) -> bytes:
        """Return the terms as they are stored."""
        return written(self.lines)

    @property
    def count(self) -> int:
        """Return how many identifiers were taken."""
        return int(self.rows.size)


def key_names(schema: Schema) -> tuple[str, ...]:
    """Return the names under which people can be named: every match key, and person_id where it is declared."""
    return (*schema.key_names, *((PERSON_KEY,) if schema.person_id else ()))


def check(schema: Schema, changes: Sequence[Change], now: datetime) -> None:
    """Refuse a batch that is not written as this room takes it; what the dataset holds is not asked.

    Raises:
        ChangeError: see `Consents.change`.
    """
    purposes = [consent.purpose for consent in schema.consents]
    for change in changes:
        count = len(change.digests) // DIGEST_BYTES
        if change.purpose != ALL_PURPOSES and change.purpose not in purposes:
            raise ChangeError(
                "The dataset has no consent for this purpose.",
                remedy=f"Use one of: {', '.join([ALL_PURPOSES, *purposes])}.",
            )
        if change.purpose == ALL_PURPOSES and change.state is ChangeState.GRANTED:
            raise ChangeError("A consent is given to one purpose.", remedy="Send a record for each purpose.")
        if len(change.digests) % DIGEST_BYTES:
            raise ChangeError(
                f"A digest has {DIGEST_BYTES} bytes.", remedy="Send SHA-256 digests, as raw bytes."
            )
        if change.at is not None and change.at > now and change.state is ChangeState.GRANTED:
            raise ChangeError(
                "A consent cannot have been collected later than now.", remedy="Correct its instant."
            )
        if len(change.terms) not in {0, 1, count}:
            raise ChangeError("Terms are given once, or for each digest.", remedy="Correct their number.")
    if sum(len(change.digests) // DIGEST_BYTES for change in changes) > MAX_BATCH:
        raise ChangeError(f"A batch has at most {MAX_BATCH} identifiers.", remedy="Send several batches.")


def submitted_rows(
    dataset: Dataset, changes: Sequence[Change], keys: WorkspaceKeys, now: datetime
) -> Submitted:
    """Tokenise a checked batch.

    Args:
        dataset: whose people it names.
        changes: the batch.
        keys: of the dataset's workspace.
        now: when it came in.
    """
    schema = dataset.schema
    names, purposes = schema.key_names, [consent.purpose for consent in schema.consents]
    token_keys = {
        name: token_key(
            keys.token_secret, workspace_id=dataset.workspace_id, version=keys.token_version, key=name
        )
        for name in key_names(schema)
    }
    lines: dict[Terms, int] = {}
    parts, latest = [no_changes()], None
    for change in changes:
        if change.key not in token_keys:
            continue
        at = min(change.at or now, now)
        latest = max(latest or at, at)
        halves = token_halves(change.digests, key=token_keys[change.key])
        part = no_changes(len(halves))
        part["key"] = PERSON if change.key == PERSON_KEY else names.index(change.key)
        every = change.purpose == ALL_PURPOSES
        part["purpose"] = EVERY_PURPOSE if every else purposes.index(change.purpose)
        part["state"], part["at"], part["submitted"] = change.state, microseconds(at), True
        part["until"] = NULL_DATE if change.until is None else (change.until - _FIRST_DAY).days
        part["hi"], part["lo"] = halves[:, 0], halves[:, 1]
        part["detail"] = [lines.setdefault(terms, len(lines)) for terms in change.terms] or NO_DETAIL
        parts.append(part)
    known = dict.fromkeys(change.key for change in changes)
    return Submitted(
        rows=np.concatenate(parts),
        lines=tuple(lines),
        applied=tuple(key for key in known if key in token_keys),
        not_applied=tuple(key for key in known if key not in token_keys),
        latest=(latest or now).astimezone(UTC),
    )
