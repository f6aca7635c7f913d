"""Taking again from a mirror what a restored database has forgotten: by the services that took it the first time."""

from dataclasses import dataclass

from sqlalchemy import select

from cleanroom.consent.mirror import Mirror, Sheet
from cleanroom.consent.mirrored import MirroredChanges, opt_out_of
from cleanroom.consent.models import ConsentEpochRow
from cleanroom.consent.optout_models import OptOutRow
from cleanroom.datasets.models import DatasetRow
from cleanroom.rights.asking import KIND as ERASURE
from cleanroom.room import Room
from cleanroom.workspaces.models import WorkspaceRow
from crypto.small_age import SmallAgeError

_OPT_OUT = "oo_"


@dataclass(frozen=True)
class Replayed:
    """What was taken again.

    Attributes:
        batches: how many.
        unopened: organisations of which some batch is encrypted to workspaces alone that the backup does not have.
    """

    batches: int = 0
    unopened: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Folder:
    """What may have a folder in the mirror: a dataset, or an organisation with all its datasets.

    Attributes:
        id: of either.
        organisation_id: whose.
        identities: of the workspaces that it concerns.
    """

    id: str
    organisation_id: str
    identities: tuple[str, ...]


def replay(room: Room, mirror: Mirror) -> Replayed:
    """Take every batch again that the database does not know; each in a transaction of its own.

    Changes merge by their instants and entries of lists stand beside each other, so no order between folders matters.

    Args:
        room: open.
        mirror: of this room.

    Raises:
        MirrorError: a batch is damaged.
    """
    with room.db.reading() as tx:
        known = {*tx.session.scalars(select(ConsentEpochRow.id)), *tx.session.scalars(select(OptOutRow.id))}
    batches, unopened = 0, set[str]()
    for folder in _folders(room):
        for batch_id in mirror.batches(folder.id):
            if batch_id in known:
                continue
            try:
                sheet = mirror.sheet(folder.id, batch_id, identities=folder.identities)
            except SmallAgeError:
                unopened.add(folder.organisation_id)
                continue
            _take(room, folder, batch_id, sheet)
            batches += 1
    return Replayed(batches, frozenset(unopened))


def _folders(room: Room) -> tuple[_Folder, ...]:
    with room.db.reading() as tx:
        workspaces = tx.session.execute(
            select(WorkspaceRow.id, WorkspaceRow.organisation_id)
            .where(WorkspaceRow.destroyed_at.is_(None))
            .order_by(WorkspaceRow.id)
        ).all()
        owners = {row.id: row.organisation_id for row in workspaces}
        identities = {one: room.workspaces.secrets(tx, one).age_identity for one in owners}
        datasets = tx.session.execute(
            select(DatasetRow.id, DatasetRow.workspace_id)
            .where(DatasetRow.deleted_at.is_(None))
            .order_by(DatasetRow.id)
        ).all()
    folders = [
        _Folder(row.id, owners[row.workspace_id], (identities[row.workspace_id],))
        for row in datasets
        if row.workspace_id in owners
    ]
    for organisation_id in dict.fromkeys(owners.values()):
        own = tuple(identities[one] for one, owner in owners.items() if owner == organisation_id)
        folders.append(_Folder(organisation_id, organisation_id, own))
    return tuple(folders)


def _take(room: Room, folder: _Folder, batch_id: str, sheet: Sheet) -> None:
    if batch_id.startswith(_OPT_OUT):
        asked = opt_out_of(sheet)
        room.opt_outs.accept(asked, organisation_id=folder.organisation_id, opt_out_id=batch_id)
        return
    batch = MirroredChanges.from_sheet(sheet)
    if batch.kind == ERASURE:
        room.rights.erasures.ask_again(folder.id, batch, batch_id=batch_id)
    else:
        room.consents.change(folder.id, batch.changes, kind=batch.kind, batch_id=batch_id)
