"""Making, opening, re-keying and destroying workspaces."""

import secrets

from sqlalchemy import func, select

from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id, uuid_of
from cleanroom.workspaces.errors import (
    NoRotationError,
    UnknownPopulationError,
    UnknownSecretError,
    UnknownWorkspaceError,
    WorkspaceDestroyedError,
    WorkspaceNameError,
)
from cleanroom.workspaces.models import TOKEN, PopulationRow, WorkspaceRow, WorkspaceSecretRow
from cleanroom.workspaces.rows import population_of, workspace_of
from cleanroom.workspaces.types import EitherKek, KekRotation, Population, Workspace, WorkspaceKeys
from cleanroom.wrapping import destroy_retired, make_kek, retire_kek
from crypto.keys import BoundKek, KeyProvider, WrapKey
from crypto.package import generate_identity

MAX_NAME_LENGTH = 200
_SECRET_BYTES = 32
_AGE_IDENTITY, _FINGERPRINT = "age_identity", "fingerprint"
# Fixed-width numbers, not names: a joined text could be read in two ways.
_PURPOSE_NUMBERS = {TOKEN: 1, _AGE_IDENTITY: 2, _FINGERPRINT: 3}


class Workspaces:
    """The service of the workspaces slice."""

    def __init__(self, keys: KeyProvider, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def create_population(self, tx: Transaction, *, organisation_id: str, name: str) -> Population:
        """Register people who share one privacy account, for datasets about truly different people."""
        now = self._clock.now()
        row = PopulationRow(
            id=new_id("pop", now), organisation_id=organisation_id, name=_name(name), created_at=now
        )
        tx.session.add(row)
        tx.session.flush()
        tx.audit(
            "workspaces.population_created",
            subject_id=row.id,
            organisation_id=organisation_id,
            body={"name": row.name},
        )
        return population_of(row)

    def population(self, tx: Transaction, population_id: str) -> Population:
        """Return a population; raises UnknownPopulationError."""
        row = tx.session.get(PopulationRow, population_id)
        if row is None:
            raise UnknownPopulationError("There is no population with this id.", remedy="Register it first.")
        return population_of(row)

    def create_workspace(
        self, tx: Transaction, *, organisation_id: str, name: str, population_id: str | None = None
    ) -> Workspace:
        """Make a workspace with keys of its own.

        Args:
            tx: the caller's transaction; if it is rolled back, the new key-encryption key is destroyed.
            organisation_id: whose workspace it is.
            name: 1 to 200 characters.
            population_id: a population of the same organisation, when other workspaces are about the same
                people; by default the workspace gets its own.

        Returns:
            The workspace.

        Raises:
            WorkspaceNameError: the name is empty or too long.
            UnknownPopulationError: the population is not the organisation's.
        """
        title = _name(name)
        if population_id is None:
            population = self.create_population(tx, organisation_id=organisation_id, name=title)
        else:
            population = self.population(tx, population_id)
            if population.organisation_id != organisation_id:
                raise UnknownPopulationError(
                    "The organisation has no population with this id.", remedy="Use one of its own."
                )
        now = self._clock.now()
        workspace_id = new_id("ws", now)
        identity, recipient = generate_identity()
        kek = BoundKek(self._keys, make_kek(tx, self._keys, workspace_id))
        row = WorkspaceRow(
            id=workspace_id,
            organisation_id=organisation_id,
            population_id=population.id,
            name=title,
            kek_id=kek.kek_id,
            next_kek_id=None,
            token_key_version=1,
            recipient=recipient,
            created_at=now,
            destroyed_at=None,
        )
        tx.session.add(row)
        tx.session.flush()
        for purpose, secret in (
            (TOKEN, secrets.token_bytes(_SECRET_BYTES)),
            (_AGE_IDENTITY, identity.encode("ascii")),
            (_FINGERPRINT, secrets.token_bytes(_SECRET_BYTES)),
        ):
            _store(tx, kek, workspace_id=workspace_id, purpose=purpose, version=1, secret=secret)
        tx.audit(
            "workspaces.created",
            subject_id=workspace_id,
            organisation_id=organisation_id,
            body={
                "name": title,
                "population_id": population.id,
                "kek_id": kek.kek_id,
                "recipient": recipient,
            },
        )
        return workspace_of(row)

    def workspace(self, tx: Transaction, workspace_id: str) -> Workspace:
        """Return a workspace; raises UnknownWorkspaceError."""
        held: Workspace | None = tx.held.get(("workspace", workspace_id))
        return workspace_of(_row(tx, workspace_id)) if held is None else held

    def lock(self, tx: Transaction, workspace_id: str, *, shared: bool = False) -> None:
        """Hold a workspace until the transaction ends; whoever holds datasets of it too takes those first.

        Args:
            tx: a writing transaction.
            workspace_id: which; one that does not exist locks nothing.
            shared: others may hold it shared too; whoever changes it holds it alone.
        """
        row = select(WorkspaceRow).where(WorkspaceRow.id == workspace_id)
        locked = row.with_for_update(read=shared, key_share=not shared)
        tx.session.scalar(locked.execution_options(populate_existing=True))

    def recipient(self, tx: Transaction, workspace_id: str) -> str:
        """Return the public age recipient that uploads to the workspace are encrypted to."""
        return _row(tx, workspace_id).recipient

    def secrets(self, tx: Transaction, workspace_id: str) -> WorkspaceKeys:
        """Unwrap a workspace's keys for one piece of work.

        Raises:
            UnknownWorkspaceError: there is no such workspace.
            WorkspaceDestroyedError: its keys were destroyed.
        """
        row = _living(tx, workspace_id)
        kek = BoundKek(self._keys, row.kek_id)
        version = row.token_key_version
        return WorkspaceKeys(
            token_secret=_open(tx, kek, workspace_id=row.id, purpose=TOKEN, version=version),
            token_version=version,
            age_identity=_open(tx, kek, workspace_id=row.id, purpose=_AGE_IDENTITY, version=1).decode(
                "ascii"
            ),
            fingerprint_key=_open(tx, kek, workspace_id=row.id, purpose=_FINGERPRINT, version=1),
            kek=self._kek(row),
        )

    def require_living(self, tx: Transaction, workspace_id: str) -> None:
        """Raise as `secrets` does where a workspace's keys were destroyed, and unwrap nothing."""
        _living(tx, workspace_id)

    def kek(self, tx: Transaction, workspace_id: str) -> WrapKey:
        """Return the key that opens a workspace's files, without unwrapping its secrets; raises as `secrets`."""
        return self._kek(_living(tx, workspace_id))

    def token_secret(self, tx: Transaction, workspace_id: str, version: int) -> bytes:
        """Unwrap the token secret of one version; a rotation needs the old one and the new one together."""
        row = _living(tx, workspace_id)
        kek = BoundKek(self._keys, row.kek_id)
        return _open(tx, kek, workspace_id=row.id, purpose=TOKEN, version=version)

    def add_token_secret(self, tx: Transaction, workspace_id: str) -> int:
        """Make the next token secret without using it yet.

        Returns:
            Its version; `switch_token_secret` puts it in use once every file is re-tokenised under it.
        """
        row = _living(tx, workspace_id)
        newest = select(func.max(WorkspaceSecretRow.version)).where(
            WorkspaceSecretRow.workspace_id == row.id, WorkspaceSecretRow.purpose == TOKEN
        )
        version = (tx.session.scalar(newest) or 0) + 1
        kek = BoundKek(self._keys, row.kek_id)
        fresh = secrets.token_bytes(_SECRET_BYTES)
        _store(tx, kek, workspace_id=row.id, purpose=TOKEN, version=version, secret=fresh)
        tx.audit(
            "workspaces.token_secret_added",
            subject_id=row.id,
            organisation_id=row.organisation_id,
            body={"version": version},
        )
        return version

    def switch_token_secret(self, tx: Transaction, workspace_id: str, version: int) -> None:
        """Put a token secret in use and remove the one used before.

        Args:
            tx: the transaction that also switches every dataset version to files of the new secret.
            workspace_id: the workspace.
            version: what `add_token_secret` returned.

        Raises:
            UnknownSecretError: the version does not exist.
        """
        row = _living(tx, workspace_id)
        _secret(tx, workspace_id=row.id, purpose=TOKEN, version=version)
        old = row.token_key_version
        if old == version:
            return
        row.token_key_version = version
        retired = _secret(tx, workspace_id=row.id, purpose=TOKEN, version=old)
        retired.wrapped = b""
        retired.retired_at = self._clock.now()
        tx.session.flush()
        tx.audit(
            "workspaces.token_secret_switched",
            subject_id=row.id,
            organisation_id=row.organisation_id,
            body={"from_version": old, "to_version": version},
        )

    def begin_kek_rotation(self, tx: Transaction, workspace_id: str) -> KekRotation:
        """Make the key-encryption key that is to replace a workspace's.

        Commit, move every sealed file of the workspace with `crypto.sealed.rewrap`, finish. Once this is
        committed, files under either key can be read and new ones stand under the new key. No ingestion that
        began earlier may still be running: its files stand under the old key. After a crash, begin again: the
        rotation under way is continued.

        Args:
            tx: the caller's transaction; if it is rolled back, the new key is destroyed.
            workspace_id: the workspace.

        Returns:
            The ids of the keys that files move from and to.
        """
        row = _living(tx, workspace_id)
        if row.next_kek_id is None:
            row.next_kek_id = make_kek(tx, self._keys, row.id)
            tx.session.flush()
            tx.audit(
                "workspaces.kek_rotation_begun",
                subject_id=row.id,
                organisation_id=row.organisation_id,
                body={"old_kek_id": row.kek_id, "new_kek_id": row.next_kek_id},
            )
        return KekRotation(old_kek_id=row.kek_id, new_kek_id=row.next_kek_id)

    def finish_kek_rotation(self, tx: Transaction, workspace_id: str) -> None:
        """Move the workspace's own secrets to the new key; the old key is destroyed after the commit.

        Args:
            tx: the caller's transaction.
            workspace_id: a workspace all of whose sealed files have moved.

        Raises:
            NoRotationError: no rotation is under way.
        """
        row = _living(tx, workspace_id)
        old, new = row.kek_id, row.next_kek_id
        if new is None:
            raise NoRotationError(
                "No key rotation of this workspace is under way.", remedy="Begin one first."
            )
        rows = select(WorkspaceSecretRow).where(
            WorkspaceSecretRow.workspace_id == row.id, WorkspaceSecretRow.retired_at.is_(None)
        )
        for secret in tx.session.scalars(rows):
            context = _context(row.id, secret.purpose, secret.version)
            secret.wrapped = self._keys.rewrap(old, new, secret.wrapped, context=context)
        row.kek_id, row.next_kek_id = new, None
        self._retire_kek(tx, row, old)
        tx.audit(
            "workspaces.kek_rotated",
            subject_id=row.id,
            organisation_id=row.organisation_id,
            body={"old_kek_id": old, "new_kek_id": new},
        )

    def destroy(self, tx: Transaction, workspace_id: str) -> None:
        """Shred a workspace: its key-encryption key is destroyed when the transaction has committed.

        Everything sealed in it becomes unreadable, copies included, except by backups of the key file.
        """
        row = _living(tx, workspace_id)
        row.destroyed_at = self._clock.now()
        rows = select(WorkspaceSecretRow).where(WorkspaceSecretRow.workspace_id == row.id)
        for secret in tx.session.scalars(rows):
            secret.wrapped = b""
        for kek_id in filter(None, (row.kek_id, row.next_kek_id)):
            self._retire_kek(tx, row, kek_id)
        tx.audit(
            "workspaces.destroyed",
            subject_id=row.id,
            organisation_id=row.organisation_id,
            body={"kek_id": row.kek_id},
        )

    def living_of(self, tx: Transaction, organisation_id: str) -> tuple[Workspace, ...]:
        """List the workspaces of an organisation that are not destroyed, oldest first."""
        living = select(WorkspaceRow).where(WorkspaceRow.destroyed_at.is_(None)).order_by(WorkspaceRow.id)
        rows = tx.session.scalars(living.where(WorkspaceRow.organisation_id == organisation_id))
        return tuple(workspace_of(row) for row in rows)

    def recover(self, tx: Transaction) -> tuple[str, ...]:
        """Destroy retired keys that a crash just after the commit left behind; for the room's start.

        Returns:
            The ids of the keys destroyed.
        """
        return destroy_retired(tx, self._keys)

    def _kek(self, row: WorkspaceRow) -> WrapKey:
        kek = BoundKek(self._keys, row.kek_id)
        return kek if row.next_kek_id is None else EitherKek(BoundKek(self._keys, row.next_kek_id), kek)

    def _retire_kek(self, tx: Transaction, row: WorkspaceRow, kek_id: str) -> None:
        retire_kek(tx, self._keys, kek_id, now=self._clock.now(), workspace_id=row.id)


def _name(name: str) -> str:
    text = name.strip()
    if not 0 < len(text) <= MAX_NAME_LENGTH:
        raise WorkspaceNameError(
            f"A name has 1 to {MAX_NAME_LENGTH} characters.", remedy="Give it a name of that length."
        )
    return text


def _row(tx: Transaction, workspace_id: str) -> WorkspaceRow:
    row = tx.session.get(WorkspaceRow, workspace_id)
    if row is None:
        raise UnknownWorkspaceError("There is no workspace with this id.", remedy="Make it first.")
    return row


def _living(tx: Transaction, workspace_id: str) -> WorkspaceRow:
    row = _row(tx, workspace_id)
    if row.destroyed_at is not None:
        raise WorkspaceDestroyedError(
            "The workspace's keys were destroyed; nothing in it can be read.", remedy="Make a new workspace."
        )
    return row


def _context(workspace_id: str, purpose: str, version: int) -> bytes:
    label = b"cleanroom/workspace-secret/v1\n"
    return (
        label + uuid_of(workspace_id).bytes + bytes([_PURPOSE_NUMBERS[purpose]]) + version.to_bytes(4, "big")
    )


def _store(
    tx: Transaction, kek: BoundKek, *, workspace_id: str, purpose: str, version: int, secret: bytes
) -> None:
    wrapped = kek.wrap(secret, context=_context(workspace_id, purpose, version))
    tx.session.add(
        WorkspaceSecretRow(
            workspace_id=workspace_id, purpose=purpose, version=version, wrapped=wrapped, retired_at=None
        )
    )
    tx.session.flush()


def _secret(tx: Transaction, *, workspace_id: str, purpose: str, version: int) -> WorkspaceSecretRow:
    row = tx.session.get(WorkspaceSecretRow, (workspace_id, purpose, version))
    if row is None or row.retired_at is not None:
        raise UnknownSecretError(
            f"The workspace has no {purpose} secret of version {version}.", remedy="Use the version in use."
        )
    return row


def _open(tx: Transaction, kek: BoundKek, *, workspace_id: str, purpose: str, version: int) -> bytes:
    row = _secret(tx, workspace_id=workspace_id, purpose=purpose, version=version)
    return kek.unwrap(row.wrapped, context=_context(workspace_id, purpose, version))
