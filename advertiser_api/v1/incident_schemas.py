"""What requests about incidents bring, and what answers tell."""

from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, Field

from advertiser_api.schemas import Given, Id, Instant, Shown, in_range
from cleanroom.incidents.service import MAX_TEXT, MAX_TITLE
from cleanroom.incidents.types import (
    Duty,
    DutyState,
    EntryKind,
    IncidentKind,
    IncidentState,
    Scope,
    Severity,
)

Text = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_TEXT,
        description="about the incident; name no people",
        examples=["A disk with a copy of the objects was lost on a train."],
    ),
]
Moment = Annotated[AwareDatetime, AfterValidator(in_range), Field(examples=["2026-11-30T12:00:00Z"])]


class ScopeGiven(Given):
    """Which data and time an incident is about; everything named must hold."""

    workspace_id: Id | None = None
    dataset_id: Id | None = None
    version_from: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    version_to: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    since: Moment | None = None
    until: Moment | None = None
    signer_key_id: Annotated[str | None, Field(max_length=80)] = None
    client_id: Id | None = None

    def scope(self) -> Scope:
        """Return it as a value."""
        return Scope(**self.model_dump())


class NewIncident(Given):
    """An incident to enter."""

    kind: IncidentKind
    severity: Severity
    title: Annotated[str, Field(min_length=1, max_length=MAX_TITLE, examples=["A disk was lost"])]
    text: Text
    discovered_at: Annotated[Moment, Field(description="all terms run from here")]
    scope: ScopeGiven | None = None


class Note(Given):
    """Something that became known."""

    text: Text
    shown: Annotated[bool, Field(description="whether those see it with whom the incident is shared")] = False


class DutyEnd(Given):
    """What became of a duty."""

    duty: Duty
    state: Annotated[DutyState, Field(description="done or not_due", examples=["done"])]
    text: Text
    at: Annotated[Moment | None, Field(description="when the authority was told; now when left out")] = None


class Sharing(Given):
    """With whom to share."""

    organisation_ids: Annotated[list[Id], Field(min_length=1, max_length=1_000)]


class Closing(Given):
    """How it ended."""

    text: Text


class DeadlineOut(Shown):
    """A duty."""

    duty: Duty
    due_at: Instant
    state: DutyState
    ended_at: Instant | None
    left_seconds: Annotated[int, Field(description="negative when it is late; 0 when it has ended")]


class IncidentOut(Shown):
    """An incident, as the caller may see it."""

    id: Id
    organisation_id: Id
    own: Annotated[bool, Field(description="whether it stands in the caller's own register")]
    kind: IncidentKind
    severity: Severity
    state: IncidentState
    title: str
    discovered_at: Instant
    opened_at: Instant
    closed_at: Instant | None
    scope: Annotated[
        dict[str, Any] | None, Field(examples=[{"dataset_id": "ds_0193f0c2a1b27d3e8f4a5b6c7d8e9f01"}])
    ]
    deadlines: list[DeadlineOut]


class EntryOut(Shown):
    """An entry."""

    number: int
    kind: EntryKind
    at: Instant
    by: str
    text: str
    salt: Annotated[str, Field(description="hex; SHA-256 over its bytes and the text is what the log states")]
    text_sha256: str
    shown: bool
    facts: dict[str, Any]


class NamedOut(Shown):
    """Something that is affected."""

    id: Id
    name: str
    organisation_id: Id
    kind: str


class VersionOut(Shown):
    """A version that is affected."""

    id: Id
    dataset_id: Id
    number: int
    published_at: Instant | None


class RightOut(Shown):
    """A right to use affected data."""

    id: Id
    dataset_id: Id
    advertiser_id: Id
    agency_id: Id | None
    valid_from: Instant
    expires_at: Instant
    state: str


class AffectedOut(Shown):
    """What the incident's scope comes to, as far as the caller may see it."""

    datasets: list[NamedOut]
    versions: list[VersionOut]
    entitlements: list[RightOut]
    organisations: list[NamedOut]
    releases: Annotated[int, Field(description="answers that left the room")]
    first_release_at: Instant | None
    last_release_at: Instant | None


class ReleaseOut(Shown):
    """An answer that left the room."""

    analysis_id: Id
    index: Annotated[int, Field(description="of its record in the log, which the receipt proves")]
    dataset_id: Id
    version_id: Id | None
    base_id: Annotated[Id | None, Field(description="null to the data's owner, who sees who asked")]
    base_version_id: Id | None
    advertiser_id: Id
    agency_id: Id | None
    kind: str
    asked_at: Instant
