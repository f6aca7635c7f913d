"""The sealed entries of opt-out lists, of whole workspaces: what a dataset is given, now and when it comes later.

Entries are tokens under keys of the workspace's own, one for each kind of identifier, so a dataset that does not exist
yet can be given them under its own keys: no digest is kept, and none is needed again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from cleanroom.clock import Clock
from cleanroom.consent.bars import BAR_DTYPE, Bars, lifts
from cleanroom.consent.optout_keys import columns_of, list_key
from cleanroom.consent.optout_models import OptOutListRow, OptOutOutcomeRow, OptOutRow
from cleanroom.consent.optout_types import Named, OptOutAction, OptOutKind
from cleanroom.datasets.files import Place, PlaceReader, PlaceWriter, files_root
from cleanroom.datasets.tokens import halves_of, token_halves, token_key, tokens_of
from cleanroom.datasets.types import Dataset, Role, SealedFile
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id
from cleanroom.schema.model import Schema
from cleanroom.storage import ObjectStore
from cleanroom.workspaces.service import Workspaces
from cleanroom.workspaces.types import WorkspaceKeys
from crypto.tokens import retokenise

ENTRY_DTYPE = np.dtype([("number", "<u8"), ("key", "<u2"), ("hi", "<u8"), ("lo", "<u8")])
"""One entry, or of a batch that lifts some: the entry that it ends."""
Entries = NDArray[np.void]
BATCH_SHIFT = 32
"""An entry's number: its batch's in the workspace, and its own place in the batch."""


@dataclass(frozen=True)
class Batch:
    """A batch of entries in one workspace.

    Attributes:
        opt_out_id: `oo_...`.
        kind: what its people want.
        action: whether they go on the list or leave it.
        dataset_id: the dataset that the list is for alone; None for all.
        keys: names of keys, by the position that entries name.
        reader: of the entries.
    """

    opt_out_id: str
    kind: OptOutKind
    action: OptOutAction
    dataset_id: str | None
    keys: tuple[str, ...]
    reader: PlaceReader

    def entries(self) -> Entries:
        """Read them."""
        entries: Entries = self.reader.read(Role.OPT_OUT_LIST, 0, ENTRY_DTYPE)
        return entries


@dataclass(frozen=True)
class ListFiles:
    """Writes and finds them."""

    workspaces: Workspaces
    store: ObjectStore
    clock: Clock

    def next_number(self, tx: Transaction, workspace_id: str) -> int:
        """Return the number of the next batch in a workspace."""
        newest = select(func.max(OptOutListRow.number)).where(OptOutListRow.workspace_id == workspace_id)
        return (tx.session.scalar(newest) or 0) + 1

    def write(
        self,
        tx: Transaction,
        opt_out_id: str,
        workspace_id: str,
        entries: Entries,
        *,
        keys: Sequence[str],
        number: int,
        token_version: int,
    ) -> dict[str, str]:
        """Seal a batch; returns what the log has to state, by the list's id.

        Args:
            tx: the caller's transaction, which holds the workspace.
            opt_out_id: of which batch.
            workspace_id: where.
            entries: under the token secret of the version.
            keys: names of keys, by the position that entries name.
            number: of the batch in the workspace.
            token_version: of the workspace's token secret.
        """
        list_id = new_id("ol", self.clock.now())
        kek = self.workspaces.kek(tx, workspace_id)
        with PlaceWriter(self.store, list_place(workspace_id, list_id), kek=kek, clock=self.clock) as writer:
            writer.write(Role.OPT_OUT_LIST, 0, entries)
        file = writer.files[0]
        row = OptOutListRow(
            id=list_id,
            opt_out_id=opt_out_id,
            workspace_id=workspace_id,
            number=number,
            keys=list(keys),
            token_key_version=token_version,
            file_id=file.file_id,
            ciphertext_sha256=file.ciphertext_sha256,
            object_key=file.object_key,
        )
        tx.session.add(row)
        tx.session.flush()
        return {list_id: files_root([list_file(row)])}

    def batches(
        self, tx: Transaction, workspace_id: str, *, dataset_id: str | None = None, pending: bool = False
    ) -> tuple[Batch, ...]:
        """Return batches of a workspace, the oldest first; readers may outlive the transaction.

        Args:
            tx: any transaction.
            workspace_id: where.
            dataset_id: those that concern this dataset alone; None for all of the workspace.
            pending: of those, what the dataset was not given yet.
        """
        rows = (
            select(OptOutListRow, OptOutRow)
            .join(OptOutRow, OptOutRow.id == OptOutListRow.opt_out_id)
            .where(OptOutListRow.workspace_id == workspace_id)
            .order_by(OptOutListRow.number)
        )
        if dataset_id is not None:
            rows = rows.where((OptOutRow.dataset_id.is_(None)) | (OptOutRow.dataset_id == dataset_id))
        if pending:
            given = select(OptOutOutcomeRow.opt_out_id).where(OptOutOutcomeRow.dataset_id == dataset_id)
            rows = rows.where(OptOutRow.id.not_in(given))
        found = tx.session.execute(rows).all()
        if not found:
            return ()
        kek = self.workspaces.kek(tx, workspace_id)
        return tuple(
            Batch(
                opt_out_id=opt_out.id,
                kind=OptOutKind(opt_out.kind),
                action=OptOutAction(opt_out.action),
                dataset_id=opt_out.dataset_id,
                keys=tuple(row.keys),
                reader=PlaceReader(self.store, list_place(workspace_id, row.id), [list_file(row)], kek=kek),
            )
            for row, opt_out in found
        )


def entered(named: Sequence[Named], *, workspace_id: str, keys: WorkspaceKeys, number: int) -> Entries:
    """Tokenise a batch for the list of a workspace, its entries numbered.

    Args:
        named: who.
        workspace_id: where.
        keys: of the workspace.
        number: of the batch.
    """
    parts = [np.empty(0, ENTRY_DTYPE)]
    for position, one in enumerate(named):
        halves = token_halves(one.digests, key=_key(keys, workspace_id, list_key(one.name)))
        part = np.empty(len(halves), ENTRY_DTYPE)
        part["key"], part["hi"], part["lo"] = position, halves[:, 0], halves[:, 1]
        parts.append(part)
    entries = np.concatenate(parts)
    entries["number"] = (number << BATCH_SHIFT) + np.arange(entries.size, dtype=np.uint64)
    return entries


def still_listed(wanted: Entries, names: Sequence[str], batches: Sequence[Batch]) -> Entries:
    """Find the entries that some identifiers have on a list, and that nobody has lifted.

    Args:
        wanted: identifiers, as a batch would enter them.
        names: of their keys, by position.
        batches: of the list, the oldest first.

    Returns:
        Those entries, each with its own number and the wanted identifier's key.
    """
    found, lifted = [np.empty(0, ENTRY_DTYPE)], [np.empty(0, np.uint64)]
    for batch in batches:
        entries = batch.entries()
        if batch.action is OptOutAction.LIFT:
            lifted.append(entries["number"])
            continue
        for position, name in enumerate(batch.keys):
            own = entries[entries["key"] == position]
            for at in (at for at, asked in enumerate(names) if list_key(asked) == list_key(name)):
                hit = own[np.isin(_tokens(own), _tokens(wanted[wanted["key"] == at]))]
                hit["key"] = at
                found.append(hit)
    entries = np.concatenate(found)
    return entries[~np.isin(entries["number"], np.concatenate(lifted))]


def translated(
    entries: Entries, names: Sequence[str], action: OptOutAction, dataset: Dataset, keys: WorkspaceKeys
) -> Bars:
    """Give a batch to a dataset: under its own keys, each entry once for every key that is comparable.

    Args:
        entries: of the batch.
        names: of their keys, by position.
        action: whether they go on the list or leave it.
        dataset: which.
        keys: of its workspace.
    """
    if action is OptOutAction.LIFT:
        return lifts(np.unique(entries["number"]))
    own_names = dataset.schema.key_names
    parts = [np.empty(0, BAR_DTYPE)]
    for position, name in enumerate(names):
        own = entries[entries["key"] == position]
        for column in columns_of(dataset.schema, name):
            moved = retokenise(
                tokens_of(own["hi"], own["lo"]),
                old_key=_key(keys, dataset.workspace_id, list_key(name)),
                new_key=_key(keys, dataset.workspace_id, own_names[column]),
            )
            halves = halves_of(moved)
            part = np.zeros(own.size, BAR_DTYPE)
            part["number"], part["key"] = own["number"], column
            part["hi"], part["lo"] = halves[:, 0], halves[:, 1]
            parts.append(part)
    return np.concatenate(parts)


def applies(schema: Schema, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tell which kinds of identifier a dataset can find people by, and which not."""
    fits: Mapping[str, bool] = {name: bool(columns_of(schema, name)) for name in names}
    return tuple(one for one in fits if fits[one]), tuple(one for one in fits if not fits[one])


def list_file(row: OptOutListRow) -> SealedFile:
    """Return the sealed entries of a batch, as SQL names the file; its size is not kept."""
    return SealedFile(
        id=row.object_key.rpartition("/")[2],
        role=Role.OPT_OUT_LIST,
        column=0,
        file_id=row.file_id,
        bytes=0,
        ciphertext_sha256=row.ciphertext_sha256,
        object_key=row.object_key,
    )


def list_place(workspace_id: str, list_id: str) -> Place:
    """Return where a list belongs: to no dataset, so the workspace stands in its place."""
    return Place(workspace_id, workspace_id, list_id)


def _key(keys: WorkspaceKeys, workspace_id: str, name: str) -> bytes:
    return token_key(keys.token_secret, workspace_id=workspace_id, version=keys.token_version, key=name)


def _tokens(entries: Entries) -> NDArray[np.void]:
    pairs = np.empty(entries.size, np.dtype([("hi", "<u8"), ("lo", "<u8")]))
    pairs["hi"], pairs["lo"] = entries["hi"], entries["lo"]
    plain: NDArray[np.void] = pairs.view("V16")
    return plain
