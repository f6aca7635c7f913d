"""What the dataset slice gives to others."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from cleanroom.schema.model import Schema

MAX_HOLDERS = 5
"""A key value held by more persons than this waits for the junk list."""


class DatasetKind(StrEnum):
    """Whose table it is: a provider's dataset, or an advertiser's base."""

    DATASET = "dataset"
    BASE = "base"


class VersionStatus(StrEnum):
    """The life of a version."""

    LOADING = "loading"
    AWAITING_JUNK = "awaiting_junk"
    LOADED = "loaded"
    PUBLISHED = "published"
    RETIRED = "retired"
    FAILED = "failed"
    DELETED = "deleted"


WITHOUT_FILES = (VersionStatus.LOADING, VersionStatus.FAILED, VersionStatus.DELETED)
"""Of these the catalogue names no file."""


class Role(IntEnum):
    """What a sealed file holds; the number stands in its authenticated context, so it never changes."""

    PERSON_HI = 1
    PERSON_LO = 2
    KEY_HI = 3
    KEY_LO = 4
    KEY_PERSON = 5
    ATTRIBUTE = 6
    CONSENT_STATE = 7
    CONSENT_AT = 8
    CONSENT_UNTIL = 9
    LABEL = 10
    REPORT = 11
    JUNK = 12
    SPOOL = 13
    WITHDRAWALS = 14
    DICTIONARY = 15
    CHANGES = 16
    CONSENT_TERMS = 17
    OVERLAY = 18
    # Of opt-outs: the bars of a dataset, and the entries of a list. Numbers between are for other slices.
    BARS = 24
    OPT_OUT_LIST = 25


@dataclass(frozen=True)
class Dataset:
    """A registered table.

    Attributes:
        id: `ds_...`.
        workspace_id: where it lives.
        kind: dataset or base.
        name: as shown to its owner.
        schema: what its owner declared.
        schema_sha256: hex, of the schema's canonical form.
        current_version_id: the published version; None before the first.
        created_at: when it was registered.
        deleted_at: when its files went for good; None while it lives.
    """

    id: str
    workspace_id: str
    kind: DatasetKind
    name: str
    schema: Schema
    schema_sha256: str
    current_version_id: str | None
    created_at: datetime
    deleted_at: datetime | None = None


@dataclass(frozen=True)
class DatasetVersion:
    """One immutable load.

    Attributes:
        id: `dv_...`.
        dataset_id: of which dataset.
        number: ascending; a failed load keeps its number.
        status: where it is in its life.
        mode: full or delta.
        previous_version_id: what a delta builds on.
        package_id: the upload package it came from.
        rows: rows taken from the package.
        persons: persons of the version.
        rejected: rows left out.
        over_shared: key values that wait for the junk list.
        token_key_version: the version of the workspace's token secret that its tokens stand under.
        fingerprint: of a base: keyed hash of its tokens and labels; equal content gives equal fingerprints.
        files_root: hex, over the list of its sealed files.
        failure: why the load failed, as a code.
        created_at: when the load began.
        loaded_at: when all files were written.
        published_at: when it became current.
    """

    id: str
    dataset_id: str
    number: int
    status: VersionStatus
    mode: str
    previous_version_id: str | None
    package_id: str
    rows: int
    persons: int
    rejected: int
    over_shared: int
    token_key_version: int
    fingerprint: bytes | None
    files_root: str | None
    failure: str | None
    created_at: datetime
    loaded_at: datetime | None
    published_at: datetime | None


@dataclass(frozen=True)
class SealedFile:
    """One sealed file of a version, as its catalogue names it.

    Attributes:
        id: `fl_...`.
        role: what it holds.
        column: which key, attribute or purpose, by position in the schema.
        file_id: hex, the write attempt that made it.
        bytes: of plaintext.
        ciphertext_sha256: hex, without the wrapped data key.
        object_key: where the store keeps it.
    """

    id: str
    role: Role
    column: int
    file_id: str
    bytes: int
    ciphertext_sha256: str
    object_key: str


@dataclass(frozen=True)
class OverShared:
    """A key value with more holders than `MAX_HOLDERS`.

    Attributes:
        ref: a handle within this version; it tells nothing about the value.
        key: the key's name in the room, such as `phone/room`.
        holders: how many persons hold it.
    """

    ref: str
    key: str
    holders: int


@dataclass(frozen=True)
class OwnerFigure:
    """An owner's quality report on its own file: the one kind of exact figures, and for nobody but the owner.

    Attributes:
        rows: rows read from the source file.
        rows_accepted: rows that became part of the version.
        persons: persons of the version.
        rejected: rows left out, by reason.
        rejected_rows: the first of them, as (row number, reason).
        invalid: single identifiers left out of rows that stayed, by key.
        known_junk: well-known junk identifiers, by key.
        fill: persons with a value, by attribute.
        distinct: distinct values, by key.
        over_shared: key values with too many holders, the most shared first.
        over_shared_total: how many there are; `over_shared` lists at most 10,000.
        consent: persons by state, by purpose.
        distinct_values: distinct values, by open category.
        erased: persons whose rows went since, as they were erased.
        came_back: of erased people, those whom this load brought again; their rows went too.
        outdated: persons whose rows went since, as their consents were collected too long ago.
    """

    rows: int
    rows_accepted: int
    persons: int
    rejected: Mapping[str, int]
    rejected_rows: tuple[tuple[int, str], ...]
    invalid: Mapping[str, int]
    known_junk: Mapping[str, int]
    fill: Mapping[str, int]
    distinct: Mapping[str, int]
    over_shared: tuple[OverShared, ...]
    over_shared_total: int
    consent: Mapping[str, Mapping[str, int]]
    distinct_values: Mapping[str, int] = field(default_factory=dict)
    erased: int = 0
    came_back: int = 0
    outdated: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Write the report as plain data."""
        return {"v": 1, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "OwnerFigure":
        """Read what `to_dict` wrote; fields of later formats are left out, and of earlier ones empty."""
        fields = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        fields["rejected_rows"] = tuple((int(row), str(reason)) for row, reason in data["rejected_rows"])
        fields["over_shared"] = tuple(OverShared(**item) for item in data["over_shared"])
        return cls(**fields)
