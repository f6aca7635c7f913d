"""How a request to erase came in: what the mirror keeps of it, so that it can be taken again under its own name."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cleanroom.clock import rfc3339
from cleanroom.consent.changes import ChangeState
from cleanroom.consent.errors import MirrorError
from cleanroom.consent.mirrored import MirroredChanges
from cleanroom.consent.types import Change
from cleanroom.datasets.types import DatasetKind
from cleanroom.rights.types import ErasureReason, Identifier

KIND = "erasure"


@dataclass(frozen=True)
class Asking:
    """A request with who made it and when.

    Attributes:
        erasure_id: `er_...`.
        at: when it came in.
        by: the user or client who asked.
        organisation_id: the dataset's owner.
        kind: dataset or base.
        identifiers: of the person.
        reason: why it is asked.
        reference: of the case.
        commitment: hex; the salt under it stays with the asker, and is in no mirror.
    """

    erasure_id: str
    at: datetime
    by: str
    organisation_id: str
    kind: DatasetKind
    identifiers: tuple[Identifier, ...]
    reason: ErasureReason
    reference: str
    commitment: str

    @property
    def changes(self) -> tuple[Change, ...]:
        """What becomes of the person's consents."""
        return tuple(
            Change(one.key, one.digest, state, at=self.at)
            for one in self.identifiers
            for state in (ChangeState.WITHDRAWN, ChangeState.ERASED)
        )

    def beside(self) -> Mapping[str, Any]:
        """Write what its changes do not say."""
        return {
            "erasure_id": self.erasure_id,
            "at": rfc3339(self.at),
            "by": self.by,
            "organisation_id": self.organisation_id,
            "kind": self.kind.value,
            "reason": self.reason.value,
            "reference": self.reference,
            "commitment": self.commitment,
        }

    @classmethod
    def read(cls, batch: MirroredChanges) -> "Asking":
        """Read a request from the mirror; raises MirrorError."""
        said = batch.beside
        try:
            return cls(
                erasure_id=str(said["erasure_id"]),
                at=datetime.fromisoformat(said["at"]),
                by=str(said["by"]),
                organisation_id=str(said["organisation_id"]),
                kind=DatasetKind(said["kind"]),
                identifiers=tuple(
                    Identifier(one.key, one.digests)
                    for one in batch.changes
                    if one.state is ChangeState.ERASED
                ),
                reason=ErasureReason(said["reason"]),
                reference=str(said["reference"]),
                commitment=str(said["commitment"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise MirrorError(
                "A mirrored request to erase is of another form.",
                remedy="Reconcile with the version of the room that wrote it.",
            ) from error
