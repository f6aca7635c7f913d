"""What consents and lists say about somebody, from the sealed segments of a dataset."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from cleanroom.consent.bar_segments import read_bars
from cleanroom.consent.changes import EVERY_PURPOSE, NO_DETAIL, PERSON, ChangeState
from cleanroom.consent.epochs import Segment
from cleanroom.consent.list_files import BATCH_SHIFT, Batch, Entries
from cleanroom.consent.optout_keys import list_key
from cleanroom.consent.optout_models import OptOutListRow, OptOutRow
from cleanroom.consent.optout_types import OptOutAction, OptOutKind
from cleanroom.consent.terms import read_terms
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.types import Role
from cleanroom.db.database import Transaction
from cleanroom.schema.model import NULL_DATE, Schema
from cleanroom.subjects.finding import Token
from cleanroom.subjects.types import HeldChange, HeldEntry

_DAY = date(1970, 1, 1)
_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)
_NAMED_BY = ("identifier", "person_id", "other")


def changes_of(
    segments: Sequence[Segment], wanted: frozenset[Token], tokens: frozenset[Token], schema: Schema
) -> tuple[HeldChange, ...]:
    """Return the changes that name somebody, each once, the oldest first.

    Args:
        segments: of the dataset.
        wanted: the identifier that is looked for.
        tokens: of all values that its holders hold in the published version, and of all its holders' person_id.
        schema: of the dataset.
    """
    found: dict[tuple[int, ...], int] = {}
    terms: dict[int, PlaceReader] = {segment.epoch: segment.reader for segment in segments}
    for segment in segments:
        rows = segment.read()
        for at in np.flatnonzero(_naming(rows, wanted | tokens)).tolist():
            row = rows[at]
            token = int(row["key"]), int(row["hi"])
            named_by = 0 if token in wanted else 1 if token[0] == PERSON else 2
            key = tuple(int(row[name]) for name in ("epoch", "at", "state", "purpose", "until", "detail"))
            found[key] = min(named_by, found.get(key, named_by))
    purposes = [consent.purpose for consent in schema.consents]
    return tuple(
        HeldChange(
            epoch=epoch,
            at=_INSTANT + timedelta(microseconds=at),
            state=ChangeState(state).name.lower(),
            purpose="*" if purpose == EVERY_PURPOSE else purposes[purpose],
            until=None if until == NULL_DATE else _DAY + timedelta(days=until),
            named_by=_NAMED_BY[named_by],
            terms=_terms(terms.get(epoch), detail),
        )
        for (epoch, at, state, purpose, until, detail), named_by in sorted(found.items())
    )


def entries_of(
    tx: Transaction,
    workspace_id: str,
    *,
    bars: Iterable[PlaceReader],
    batches: Sequence[Batch],
    listed: Mapping[str, frozenset[int]],
    tokens: frozenset[Token],
    dataset_id: str,
) -> tuple[HeldEntry, ...]:
    """Return the entries of lists that name somebody, the oldest first.

    Args:
        tx: any transaction.
        workspace_id: where.
        bars: sealed, of the dataset.
        batches: of the workspace's lists.
        listed: the identifier under the keys of lists: first halves by the name of the list key.
        tokens: the identifier, and those by which its holders are named now, under the keys of the dataset.
        dataset_id: which.
    """
    applied: set[int] = set()
    for segment in bars:
        rows = read_bars(segment)
        naming = _naming(rows, tokens) & (rows["lifted"] == 0)
        applied.update(rows["number"][naming].tolist())
    numbers, lifted = set(applied), dict[int, str]()
    for batch in batches:
        if batch.dataset_id not in (None, dataset_id):
            continue
        entries = batch.entries()
        if batch.action is OptOutAction.LIFT:
            lifted |= dict.fromkeys(entries["number"].tolist(), batch.opt_out_id)
        else:
            numbers.update(_listed_in(batch, entries, listed))
    rows_of = (
        select(OptOutListRow.number, OptOutRow)
        .join(OptOutRow, OptOutRow.id == OptOutListRow.opt_out_id)
        .where(OptOutListRow.workspace_id == workspace_id)
    )
    known = {int(number): row for number, row in tx.session.execute(rows_of).all()}
    accepted = {row.id: row.accepted_at for row in known.values()}
    return tuple(
        HeldEntry(
            opt_out_id=row.id,
            kind=OptOutKind(row.kind),
            accepted_at=row.accepted_at,
            lifted_at=accepted[lifted[number]] if number in lifted else None,
            everywhere=row.dataset_id is None,
            applies=number in applied,
        )
        for number in sorted(numbers)
        for row in (known[number >> BATCH_SHIFT],)
    )


def _listed_in(batch: Batch, entries: Entries, listed: Mapping[str, frozenset[int]]) -> list[int]:
    found: list[int] = []
    for position, name in enumerate(batch.keys):
        own = entries[entries["key"] == position]
        wanted = np.array(sorted(listed.get(list_key(name), ())), np.uint64)
        found += own["number"][np.isin(own["hi"], wanted)].tolist()
    return found


def _naming(rows: NDArray[np.void], tokens: frozenset[Token]) -> NDArray[np.bool_]:
    naming = np.zeros(rows.size, np.bool_)
    for column in {column for column, _ in tokens}:
        own = np.array(sorted(hi for key, hi in tokens if key == column), np.uint64)
        naming |= (rows["key"] == column) & np.isin(rows["hi"], own)
    return naming


def _terms(reader: PlaceReader | None, detail: int) -> Mapping[str, object] | None:
    if reader is None or detail == NO_DETAIL or not reader.has(Role.CONSENT_TERMS):
        return None
    kept = read_terms(reader.read_bytes(Role.CONSENT_TERMS))[detail].to_dict()
    # Of a request that waits: what confirms it is nobody's to read.
    return {name: value for name, value in kept.items() if name != "confirm_sha256"}
