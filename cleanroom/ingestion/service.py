"""Taking packages in: verify, load, enter the version, publish."""

import contextlib
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select

from cleanroom.accounts.service import Accounts
from cleanroom.clock import Clock
from cleanroom.consent.service import Consents
from cleanroom.datasets.errors import DatasetNotFoundError, VersionNotFoundError, VersionStatusError
from cleanroom.datasets.files import Place, files_root
from cleanroom.datasets.models import DatasetRow, DatasetVersionRow, PackageRow
from cleanroom.datasets.rows import add_files
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import Dataset, VersionStatus
from cleanroom.db.database import Database, Transaction
from cleanroom.errors import KNOWN_ERRORS
from cleanroom.ids import new_id
from cleanroom.ingestion.errors import ManifestMismatchError, PackageUsedError, StaleVersionError
from cleanroom.ingestion.loading import Earlier, Load, Loaded, Progress
from cleanroom.ingestion.recovery import Recovery
from cleanroom.storage import ObjectStore
from cleanroom.storage.leases import Leases
from cleanroom.workspaces.service import Workspaces
from crypto.package import Manifest, check_ciphertext, read_manifest, recipient_key_id, verify_manifest

DEFAULT_MEMORY_BYTES = 1 << 30


class Ingestion:
    """The service of the ingestion slice; `ingest` and `recover` open their own transactions."""

    def __init__(
        self,
        *,
        db: Database,
        accounts: Accounts,
        workspaces: Workspaces,
        datasets: Datasets,
        consents: Consents,
        store: ObjectStore,
        leases: Leases,
        clock: Clock,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
    ) -> None:
        """Prepare.

        Args:
            db: where versions are entered.
            accounts: knows the enrolled signing keys.
            workspaces: holds the keys.
            datasets: the catalogue.
            consents: binds withdrawals to the people of a version that is published.
            store: where sealed files go.
            leases: tell running loads from crashed ones.
            clock: tells the time.
            memory_bytes: how much memory rows in flight may take.
        """
        self._db = db
        self._accounts = accounts
        self._workspaces = workspaces
        self._datasets = datasets
        self._consents = consents
        self._store = store
        self._leases = leases
        self._clock = clock
        self._memory_bytes = memory_bytes
        self._recovery = Recovery(db, workspaces, datasets, store, leases, clock)

    def ingest(self, manifest: bytes, payload: Path, *, progress: Progress | None = None) -> str:
        """Load a package into a new version; it is not yet published.

        Killed at any point it leaves nothing half-published: SQL learns of the files in one transaction at
        the end, and the package stays unused until then, so the same call can be repeated.

        Args:
            manifest: the signed manifest file.
            payload: the encrypted payload file.
            progress: called with rows done and rows in all.

        Returns:
            The version's id; its status is `loaded`, or `awaiting_junk` when key values are over-shared.

        Raises:
            CryptoError: signature, hash or encryption do not hold.
            ManifestMismatchError: the package is not for this dataset, schema, key, version or moment.
            PackageUsedError: it became a version before.
            PayloadError: the payload is not what it claims to be.
        """
        with self._db.reading() as tx:
            checked = self.check_manifest(tx, manifest)
        check_ciphertext(payload, checked)
        version_id = new_id("dv", self._clock.now())
        with self._leases.hold(version_id):
            with self._db.transaction() as tx:
                dataset, load = self._begin(tx, checked, version_id, payload)
            try:
                loaded = load.run(self._store, self._clock, progress or (lambda _done, _total: None))
                with self._db.transaction() as tx:
                    self._complete(tx, dataset, checked, version_id, loaded)
            except BaseException as error:
                # The first failure is the one to tell; what cannot be cleaned up now, `recover` cleans up.
                with contextlib.suppress(Exception):
                    self._recovery.fail(version_id, load.place, _failure_code(error))
                raise
        return version_id

    def check_manifest(self, tx: Transaction, data: bytes, *, organisation_id: str | None = None) -> Manifest:
        """Check all that a manifest can tell without its payload; `ingest` begins with the same checks.

        Args:
            tx: reads.
            data: the signed manifest file.
            organisation_id: on whose behalf it is handed in, if that is known; the dataset of another one is answered
                as a dataset that does not exist.

        Returns:
            The manifest, signed by an enrolled key of the dataset's owner and fit to be loaded now.

        Raises:
            CryptoError: it is malformed, or its signature does not hold.
            DatasetNotFoundError: there is no such dataset.
            ManifestMismatchError: the package is not for this dataset, schema, key, version or moment.
            PackageUsedError: it became a version before.
        """
        unverified, _ = read_manifest(data)
        dataset = self._datasets.living(tx, unverified.dataset_id)
        workspace = self._workspaces.workspace(tx, dataset.workspace_id)
        if organisation_id not in (None, workspace.organisation_id):
            raise DatasetNotFoundError("There is no dataset with this id.", remedy="Register it first.")
        keys = self._accounts.enrolled_keys(tx, workspace.organisation_id)
        manifest = verify_manifest(data, public_keys=keys)
        if manifest.workspace_id != workspace.id:
            raise ManifestMismatchError(
                "The manifest names another workspace than its dataset's.",
                remedy="Prepare the file for this one.",
            )
        if manifest.recipient_key_id != recipient_key_id(workspace.recipient):
            raise ManifestMismatchError(
                "The package is encrypted to another workspace's key.",
                remedy="Use this workspace's recipient.",
            )
        if manifest.schema_sha256 != dataset.schema_sha256:
            raise ManifestMismatchError(
                "The file was prepared with another schema than the dataset's.",
                remedy="Use the registered schema.",
            )
        if self._clock.now() >= datetime.fromisoformat(manifest.expires_at):
            raise ManifestMismatchError("The package has expired.", remedy="Prepare the file again.")
        _require_unused(tx, manifest)
        _require_expected(dataset.current_version_id, manifest)
        return manifest

    def entered(self, tx: Transaction, manifest: Manifest) -> str | None:
        """Return the version that a package became, whoever loaded it; None while it is unused."""
        package = tx.session.get(PackageRow, manifest.package_id)
        if package is None or (package.dataset_id, package.ciphertext_sha256) != (
            manifest.dataset_id,
            manifest.ciphertext_sha256,
        ):
            return None
        return package.version_id

    def publish(self, tx: Transaction, version_id: str) -> None:
        """Make a version the current one, in this one transaction; publishing it again changes nothing.

        Raises:
            VersionStatusError: it is not loaded, or over-shared values wait for the junk list.
            StaleVersionError: it is older than the current version, or a delta of another one.
        """
        # The dataset first: of two that publish at once, the second then sees what the first has published.
        self._datasets.lock(tx, _locked(tx, version_id, hold=False).dataset_id)
        version = _locked(tx, version_id)
        if version.status == VersionStatus.PUBLISHED:
            return
        if version.status == VersionStatus.AWAITING_JUNK:
            raise VersionStatusError(
                f"{version.over_shared} key values have too many holders.",
                remedy="Resolve the junk list first.",
            )
        if version.status != VersionStatus.LOADED:
            raise VersionStatusError(
                f"A version that is {version.status} cannot be published.",
                remedy="Publish one that is loaded, or load the file again.",
            )
        dataset = tx.session.get_one(DatasetRow, version.dataset_id)
        self._require_fresh(tx, dataset, version)
        self._consents.bind(tx, version_id)
        now = self._clock.now()
        if dataset.current_version_id is not None:
            tx.session.get_one(
                DatasetVersionRow, dataset.current_version_id
            ).status = VersionStatus.RETIRED.value
        version.status, version.published_at = VersionStatus.PUBLISHED.value, now
        version.files_root = files_root(self._datasets.files(tx, version_id))
        dataset.current_version_id = version_id
        tx.session.flush()
        tx.audit(
            "ingestion.published",
            subject_id=version_id,
            organisation_id=self._owner(tx, dataset.workspace_id),
            body={"dataset_id": dataset.id, "number": version.number, "files_root": version.files_root},
        )

    def recover(self) -> tuple[str, ...]:
        """Clean up after crashes, at the room's start: loads that nobody runs any more fail, their files go.

        Returns:
            The ids of the versions marked as failed.
        """
        return self._recovery.run()

    def _begin(
        self, tx: Transaction, manifest: Manifest, version_id: str, payload: Path
    ) -> tuple[Dataset, Load]:
        # The dataset's row is locked, so that two loads of it cannot take the same number.
        self._datasets.lock(tx, manifest.dataset_id)
        dataset = self._datasets.living(tx, manifest.dataset_id)
        _require_unused(tx, manifest)
        _require_expected(dataset.current_version_id, manifest)
        keys = self._workspaces.secrets(tx, dataset.workspace_id)
        newest = select(func.max(DatasetVersionRow.number)).where(DatasetVersionRow.dataset_id == dataset.id)
        earlier = None
        if dataset.current_version_id is not None:
            current = self._datasets.version(tx, dataset.current_version_id)
            reader = self._datasets.reader(tx, current.id)
            earlier = Earlier(reader, current.persons, rows=manifest.mode == "delta")
        row = DatasetVersionRow(
            id=version_id,
            dataset_id=dataset.id,
            number=(tx.session.scalar(newest) or 0) + 1,
            status=VersionStatus.LOADING.value,
            mode=manifest.mode,
            previous_version_id=dataset.current_version_id,
            package_id=manifest.package_id,
            token_key_version=keys.token_version,
            created_at=self._clock.now(),
        )
        tx.session.add(row)
        tx.session.flush()
        tx.audit(
            "ingestion.begun",
            subject_id=version_id,
            organisation_id=self._owner(tx, dataset.workspace_id),
            body={
                "dataset_id": dataset.id,
                "number": row.number,
                "mode": manifest.mode,
                "package_id": manifest.package_id,
                "ciphertext_sha256": manifest.ciphertext_sha256,
            },
        )
        place = Place(dataset.workspace_id, dataset.id, version_id)
        return dataset, Load(dataset, place, keys, manifest, payload, earlier, self._memory_bytes)

    def _complete(
        self, tx: Transaction, dataset: Dataset, manifest: Manifest, version_id: str, loaded: Loaded
    ) -> None:
        self._datasets.lock(tx, dataset.id)
        version = _locked(tx, version_id)
        _require_unused(tx, manifest)
        if manifest.signer_key_id not in self._accounts.enrolled_keys(
            tx, self._owner(tx, dataset.workspace_id)
        ):
            raise ManifestMismatchError(
                "The key that signed the manifest was revoked during the load.",
                remedy="Prepare the package with an enrolled one.",
            )
        keys = self._workspaces.secrets(tx, dataset.workspace_id)
        if keys.token_version != version.token_key_version:
            raise StaleVersionError(
                "The token key was rotated during the load.", remedy="Load the package again."
            )
        report = loaded.report
        waiting = report.over_shared_total
        version.status = (VersionStatus.AWAITING_JUNK if waiting else VersionStatus.LOADED).value
        version.rows, version.persons = report.rows_accepted, report.persons
        version.rejected, version.over_shared = sum(report.rejected.values()), waiting
        version.fingerprint = loaded.fingerprint
        version.files_root = files_root(loaded.files)
        version.loaded_at = self._clock.now()
        add_files(tx, version_id, loaded.files)
        tx.session.add(
            PackageRow(
                package_id=manifest.package_id,
                version_id=version_id,
                dataset_id=dataset.id,
                signer_key_id=manifest.signer_key_id,
                ciphertext_sha256=manifest.ciphertext_sha256,
                used_at=self._clock.now(),
            )
        )
        tx.session.flush()
        tx.audit(
            "ingestion.loaded",
            subject_id=version_id,
            organisation_id=self._owner(tx, dataset.workspace_id),
            body={
                "dataset_id": dataset.id,
                "package_id": manifest.package_id,
                "rows": version.rows,
                "rejected": version.rejected,
                "over_shared": waiting,
                "files_root": version.files_root,
            },
        )

    def _require_fresh(self, tx: Transaction, dataset: DatasetRow, version: DatasetVersionRow) -> None:
        if version.mode == "delta" and version.previous_version_id != dataset.current_version_id:
            raise StaleVersionError(
                "Another version was published since this delta was loaded.",
                remedy="Prepare it against that one.",
            )
        if dataset.current_version_id is None:
            return
        current = tx.session.get_one(DatasetVersionRow, dataset.current_version_id)
        if current.number > version.number:
            raise StaleVersionError("A newer version is published already.", remedy="Load the file again.")

    def _owner(self, tx: Transaction, workspace_id: str) -> str:
        return self._workspaces.workspace(tx, workspace_id).organisation_id


def _locked(tx: Transaction, version_id: str, *, hold: bool = True) -> DatasetVersionRow:
    version = tx.session.get(DatasetVersionRow, version_id, with_for_update=hold or None)
    if version is None:
        raise VersionNotFoundError(
            "There is no version with this id.", remedy="List the versions of its dataset."
        )
    return version


def _require_unused(tx: Transaction, manifest: Manifest) -> None:
    if tx.session.get(PackageRow, manifest.package_id) is not None:
        raise PackageUsedError(
            "This package was loaded before.", remedy="Prepare a new one to load the file again."
        )


def _require_expected(current: str | None, manifest: Manifest) -> None:
    expected = manifest.expected_version_id
    if manifest.mode == "delta" and expected is None:
        raise ManifestMismatchError(
            "A delta names the version that it changes.", remedy="Set expected_version_id."
        )
    if expected is not None and expected != current:
        raise ManifestMismatchError(
            "The package expects another version to be the published one.",
            remedy="Prepare it against the current one.",
        )


def _failure_code(error: BaseException) -> str:
    return (
        str(getattr(error, "code", ""))
        if isinstance(error, KNOWN_ERRORS)
        else f"ingestion.{type(error).__name__}"
    )
