"""What the uploads slice gives to others."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cleanroom.datasets.types import DatasetKind
from cleanroom.uploads.errors import UploadGoneError


class UploadStatus(StrEnum):
    """The life of an upload."""

    RECEIVING = "receiving"
    RECEIVED = "received"
    INGESTING = "ingesting"
    LOADED = "loaded"
    AWAITING_JUNK = "awaiting_junk"
    PUBLISHED = "published"
    FAILED = "failed"
    TERMINATED = "terminated"
    EXPIRED = "expired"


OPEN = (UploadStatus.RECEIVING, UploadStatus.RECEIVED, UploadStatus.INGESTING)
"""Whose package may still become a version."""


@dataclass(frozen=True)
class Upload:
    """One upload, as its owner may see it.

    Attributes:
        id: `up_...`.
        organisation_id: whose it is.
        workspace_id: where its package belongs.
        dataset_id: what its package loads.
        kind: of that table: a dataset or a base.
        package_id: the package; it becomes a version once.
        length: bytes of the whole payload.
        offset: how many of them are safely on disk.
        status: where it is in its life; once there is a version, what became of that.
        publish: whether the version is published at once when nothing waits for the junk list.
        version_id: the version that it became.
        failure: why it failed, or why its version could not be published at once, as a code.
        rows_done: rows of the package that ingestion has been through, in steps of a twentieth.
        rows_total: rows of the package; 0 until ingestion has begun.
        created_at: when it was announced.
        expires_at: when it is given up, unless all bytes are there.
        received_at: when the last byte was there.
        finished_at: when it had become a version, or had ended without.
    """

    id: str
    organisation_id: str
    workspace_id: str
    dataset_id: str
    kind: DatasetKind
    package_id: str
    length: int
    offset: int
    status: UploadStatus
    publish: bool
    version_id: str | None
    failure: str | None
    rows_done: int
    rows_total: int
    created_at: datetime
    expires_at: datetime
    received_at: datetime | None
    finished_at: datetime | None

    def require_resumable(self) -> None:
        """Check that its bytes are there; raises UploadGoneError when it ended before it was complete.

        One that failed in ingestion was received: its client must not send it all again.
        """
        ended = self.status in (UploadStatus.TERMINATED, UploadStatus.EXPIRED)
        if ended or (self.status is UploadStatus.FAILED and self.offset < self.length):
            raise UploadGoneError(
                f"The upload is {self.status}; its bytes are gone.", remedy="Begin a new one."
            )


@dataclass(frozen=True)
class Limits:
    """What the operator allows.

    Attributes:
        max_bytes: of one upload.
        days: from its creation to its expiry.
        open_uploads: of one organisation, that are not loaded yet.
    """

    max_bytes: int
    days: int
    open_uploads: int


CHECKSUM_BYTES = {"sha1": 20, "sha256": 32}
"""SHA-1 because the protocol demands it: it finds what was damaged on the way; the signed manifest protects."""


@dataclass(frozen=True)
class Checksum:
    """What the bytes of one append must hash to.

    Attributes:
        algorithm: one of `CHECKSUM_BYTES`.
        digest: as many bytes as stand there.
    """

    algorithm: str
    digest: bytes


@dataclass(frozen=True)
class Swept:
    """What a clean-up did.

    Attributes:
        expired: ids of the uploads given up.
        removed: how many files went that no upload needs.
    """

    expired: tuple[str, ...]
    removed: int
