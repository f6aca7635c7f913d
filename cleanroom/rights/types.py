"""What the rights slice takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

MAX_IDENTIFIERS = 100
SALT_BYTES = 32


class ErasureReason(StrEnum):
    """Why somebody is to be erased; no free text, so that no name comes into the log."""

    CONSENT_WITHDRAWN = "consent_withdrawn"
    OBJECTION = "objection"
    NO_LONGER_NEEDED = "no_longer_needed"
    UNLAWFUL = "unlawful"
    LEGAL_OBLIGATION = "legal_obligation"


class ErasureState(StrEnum):
    """What has become of a request."""

    EXCLUDED = "excluded"
    ERASED = "erased"


class Why(StrEnum):
    """What a pass over a dataset's files is for."""

    ERASURE = "erasure"
    RETENTION = "retention"


class PassState(StrEnum):
    """What has become of a pass."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


OPEN = (PassState.WAITING, PassState.RUNNING)
"""States of passes that have not ended."""


@dataclass(frozen=True)
class Identifier:
    """One identifier of the person who is to be erased.

    Attributes:
        key: the match key and hash profile, such as `email/room`.
        digest: 32 bytes.
    """

    key: str
    digest: bytes


@dataclass(frozen=True)
class ErasureRequest:
    """One person's request; or the owner's own decision about one person.

    Attributes:
        identifiers: of one person, 1 to 100.
        reason: why.
        reference: the owner's own number of the case; letters, digits and `._/-` only.
        salt: 32 random bytes that the asker keeps: with them it can show which request was whose.
    """

    identifiers: tuple[Identifier, ...]
    reason: ErasureReason
    reference: str
    salt: bytes


@dataclass(frozen=True)
class Erasure:
    """A request that was taken.

    Attributes:
        id: `er_...`.
        dataset_id: of which dataset or base.
        organisation_id: whose.
        asked_by: the user or client who asked.
        asked_at: when; from then on nobody named by it is counted.
        reason: why.
        reference: the owner's own number of the case.
        commitment: hex; to whom it refers, for those alone who hold the salt and the identifiers.
        epoch: the consent epoch that began with it.
        state: excluded, or erased.
        compaction_id: the pass that erased; None before.
        erased_at: when its files were seen to be gone; None before.
        erase_by: when the pass begins at the latest; None once it is done.
    """

    id: str
    dataset_id: str
    organisation_id: str
    asked_by: str
    asked_at: datetime
    reason: ErasureReason
    reference: str
    commitment: str
    epoch: int
    state: ErasureState
    compaction_id: str | None
    erased_at: datetime | None
    erase_by: datetime | None = None


@dataclass(frozen=True)
class ErasureOutcome:
    """The answer to a request; it never tells who was found.

    Attributes:
        erasure: what was taken.
        applied: keys in which the dataset can find people.
        not_applied: keys that the dataset lacks.
    """

    erasure: Erasure
    applied: tuple[str, ...]
    not_applied: tuple[str, ...]


@dataclass(frozen=True)
class Compaction:
    """One pass over the files of a dataset.

    Attributes:
        id: `cp_...`.
        dataset_id: of which dataset or base.
        organisation_id: whose.
        why: erasure or retention.
        state: what has become of it.
        asked_at, due_at, started_at, ended_at: when; the latter two None before.
        done, total: how far it is, in rows and entries of keys.
        failure: code of the error that it met last.
        through_epoch: up to which consent epoch everybody erased is gone; None before.
        collected_before: of retention: whose newest consent is older goes.
    """

    id: str
    dataset_id: str
    organisation_id: str
    why: Why
    state: PassState
    asked_at: datetime
    due_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    done: int
    total: int
    failure: str | None
    through_epoch: int | None
    collected_before: datetime | None

    @property
    def percent(self) -> int:
        """How much is done; the last step is never taken for done before it is."""
        return min(99, 100 * self.done // self.total) if self.total else 0


@dataclass(frozen=True)
class RetentionRule:
    """How long data are kept; what is None does not end them.

    Attributes:
        version_days: days after which a version goes, since it was published, or loaded if it never was.
        retain_until: the last day on which any version is kept.
        collected_days: days after which a person's rows go, since the newest of the person's consents was collected.
        warn_days: how many days before a version goes its owner is told.
    """

    version_days: int | None = None
    retain_until: date | None = None
    collected_days: int | None = None
    warn_days: int = 14


@dataclass(frozen=True)
class Retention:
    """A rule as it is in force.

    Attributes:
        dataset_id: of which dataset or base.
        rule: what it says.
        set_by, set_at: who set it, and when.
        ends: by version, when it goes; of versions that have an end.
    """

    dataset_id: str
    rule: RetentionRule
    set_by: str
    set_at: datetime
    ends: Mapping[str, date]


class ActKind(StrEnum):
    """What was destroyed."""

    VERSION_DELETED = "version_deleted"
    DATASET_DELETED = "dataset_deleted"
    ROWS_ERASED = "rows_erased"
    WORKSPACE_SHREDDED = "workspace_shredded"


@dataclass(frozen=True)
class Act:
    """An act of destruction.

    Attributes:
        id: `ac_...`.
        organisation_id: whose data they were.
        number: counts the organisation's acts.
        kind: what was destroyed.
        subject_id: id of the version, the dataset, the pass or the workspace.
        event_index: of the log's event that destroyed it.
        destroyed_at: when.
        made_at: when the act was made.
        sha256: hex, of the document's canonical form; the log states it.
        document: all that it says.
    """

    id: str
    organisation_id: str
    number: int
    kind: ActKind
    subject_id: str
    event_index: int
    destroyed_at: datetime
    made_at: datetime
    sha256: str
    document: Mapping[str, Any]
