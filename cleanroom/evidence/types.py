"""What a bundle is to hold, and what has become of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from cleanroom.clock import rfc3339
from cleanroom.evidence.errors import BundleFormError

FORMAT = "cleanroom-evidence/v1"
MACHINE = "machine"
"""Who asked, where somebody on the room's own machine did."""
MADE, READY, ASKED, FAILED, REMOVED = (
    f"evidence.bundle_{what}" for what in ("made", "ready", "asked", "failed", "removed")
)
_FIELDS = ("organisation_id", "dataset_id", "since", "until")


class BundleState(StrEnum):
    """How far a bundle is."""

    QUEUED = "queued"
    READY = "ready"
    FAILED = "failed"
    REMOVED = "removed"


@dataclass(frozen=True)
class Wanted:
    """Which events a bundle shows; all others are in it as hashes alone.

    Policies, consent epochs and keys that came before `since` are shown too: what came later went by them.

    Attributes:
        organisation_id: whose; None for everybody's.
        dataset_id: about this dataset or base; None for all. Events about keys are shown whatever they are about.
        since: recorded at this instant or later; None for from the beginning.
        until: recorded before this instant; None for up to the newest.
    """

    organisation_id: str | None = None
    dataset_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise BundleFormError("The time of a bundle ends before it begins.", remedy="Swap the two.")

    def as_data(self) -> dict[str, str | None]:
        """Lay it out as plain data."""
        return {
            "organisation_id": self.organisation_id,
            "dataset_id": self.dataset_id,
            "since": rfc3339(self.since) if self.since else None,
            "until": rfc3339(self.until) if self.until else None,
        }


def wanted_from_data(data: Mapping[str, Any]) -> Wanted:
    """Read what `Wanted.as_data` has laid out; raises BundleFormError when it is something else."""
    if set(data) - set(_FIELDS) or not all(isinstance(data.get(name), str | None) for name in _FIELDS):
        raise BundleFormError(
            "A bundle is narrowed by organisation, dataset and time alone.",
            remedy=f"Use these fields: {', '.join(_FIELDS)}.",
        )
    return Wanted(
        organisation_id=data.get("organisation_id") or None,
        dataset_id=data.get("dataset_id") or None,
        since=_instant(data.get("since")),
        until=_instant(data.get("until")),
    )


def _instant(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise BundleFormError(
            "An instant of a bundle is not RFC 3339 with a time zone.",
            remedy="Write such as 2026-11-01T00:00:00Z.",
        )
    return instant


@dataclass(frozen=True)
class Made:
    """A bundle that was written.

    Attributes:
        events: how many events it shows.
        size: how many the log held.
        manifest_sha256: of its manifest, hex, as the log states it.
        sha256: of the whole file, hex.
        bytes: of the whole file.
    """

    events: int
    size: int
    manifest_sha256: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Bundle:
    """A bundle that somebody asked for.

    Attributes:
        id: `eb_...`.
        state: how far it is.
        organisation_id: who asked for it.
        asked_by: id of the user.
        asked_at: when.
        wanted: what it is to show.
        progress: events that are written already.
        ended_at: when it was made, or failed; None while it waits.
        failure: why it failed, as a code; None when it did not.
        size: how many events the log held; None before it is made.
        events: how many it shows; None before it is made.
        bytes: of its file; None before it is made.
        sha256: of its file, hex; None before it is made.
    """

    id: str
    state: BundleState
    organisation_id: str
    asked_by: str
    asked_at: datetime
    wanted: Wanted
    progress: int
    ended_at: datetime | None
    failure: str | None
    size: int | None
    events: int | None
    bytes: int | None
    sha256: str | None
