"""Moving opt-outs to another token secret: the bars of datasets, and the lists that later datasets are given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from cleanroom.clock import Clock
from cleanroom.consent.bar_segments import segment_file, sizeless
from cleanroom.consent.bars import BAR_DTYPE
from cleanroom.consent.changes import PERSON
from cleanroom.consent.list_files import ENTRY_DTYPE, list_file, list_place
from cleanroom.consent.optout_keys import list_key
from cleanroom.consent.optout_models import BarSegmentRow, OptOutListRow
from cleanroom.consent.padding import PADDING
from cleanroom.datasets.files import Place, PlaceReader, PlaceWriter, files_root
from cleanroom.datasets.models import DatasetRow
from cleanroom.datasets.rows import whole_dataset
from cleanroom.datasets.tokens import PERSON_KEY
from cleanroom.datasets.types import Role, SealedFile
from cleanroom.db.database import Transaction
from cleanroom.storage import ObjectStore
from crypto.keys import WrapKey

Records = NDArray[np.void]
Rekey = Callable[[str, Records], Records]
"""Takes the name of a key and records with `hi` and `lo`; gives them under the new secret."""


@dataclass(frozen=True)
class MovedOptOut:
    """One sealed file of opt-outs that is to be moved.

    Attributes:
        place: where it belongs.
        file: as SQL names it.
        names: of the keys, by the position that records name.
        role: what it holds.
    """

    place: Place
    file: SealedFile
    names: Sequence[str]
    role: Role

    @property
    def files_root(self) -> str:
        """The hash over its list of files."""
        return files_root([self.file])


def to_be_moved(tx: Transaction, workspace_id: str) -> tuple[MovedOptOut, ...]:
    """List the sealed opt-outs of a workspace."""
    found = []
    bars = (
        select(BarSegmentRow, DatasetRow)
        .join(DatasetRow, DatasetRow.id == BarSegmentRow.dataset_id)
        .where(DatasetRow.workspace_id == workspace_id, BarSegmentRow.object_key.is_not(None))
        .order_by(BarSegmentRow.id)
    )
    for segment, dataset in tx.session.execute(bars).all():
        place = Place(workspace_id, segment.dataset_id, segment.id)
        names = whole_dataset(dataset).schema.key_names
        found.append(MovedOptOut(place, segment_file(segment), names, Role.BARS))
    lists = select(OptOutListRow).where(OptOutListRow.workspace_id == workspace_id)
    for row in tx.session.scalars(lists.order_by(OptOutListRow.id)).all():
        place = list_place(workspace_id, row.id)
        keys = [list_key(name) for name in row.keys]
        found.append(MovedOptOut(place, list_file(row), keys, Role.OPT_OUT_LIST))
    return tuple(found)


def roots_of(moved: Sequence[MovedOptOut]) -> dict[str, str | None]:
    """Return the hash over each list of files, by what it belongs to."""
    return {one.place.version_id: one.files_root for one in moved}


def move(
    moved: MovedOptOut, rekey: Rekey, store: ObjectStore, *, kek: WrapKey, clock: Clock
) -> list[SealedFile]:
    """Write a file again with its tokens under the new secret.

    Args:
        moved: which.
        rekey: moves tokens of one key.
        store: where files are.
        kek: opens and seals.
        clock: tells the time.

    Returns:
        The one file, which SQL does not know yet.
    """
    dtype = BAR_DTYPE if moved.role is Role.BARS else ENTRY_DTYPE
    reader = PlaceReader(store, moved.place, [moved.file], kek=kek)
    records = reader.read(moved.role, 0, dtype).copy()
    # The end of an entry names no token, and neither does what fills the file up.
    named = records["key"] != PADDING
    if moved.role is Role.BARS:
        named &= records["lifted"] == 0
    for column in np.unique(records["key"][named]).tolist():
        own = named & (records["key"] == column)
        records[own] = rekey(PERSON_KEY if column == PERSON else moved.names[column], records[own])
    with PlaceWriter(store, moved.place, kek=kek, clock=clock) as writer:
        writer.write(moved.role, 0, records)
    return [sizeless(file) for file in writer.files]


def switch(tx: Transaction, written: Mapping[str, SealedFile], token_version: int) -> list[str]:
    """Name the moved files in SQL.

    Args:
        tx: the transaction that switches the token secret.
        written: by the id of the segment or list.
        token_version: of the new secret.

    Returns:
        The object keys of the files that they replace.
    """
    replaced = []
    for row_id, file in written.items():
        segment = tx.session.get(BarSegmentRow, row_id)
        row = segment if segment is not None else tx.session.get_one(OptOutListRow, row_id)
        replaced.append(row.object_key or "")
        row.object_key, row.file_id = file.object_key, file.file_id
        row.ciphertext_sha256, row.token_key_version = file.ciphertext_sha256, token_version
    tx.session.flush()
    return replaced
