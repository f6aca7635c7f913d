"""What requests about opt-outs and subjects bring, and answers tell."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from advertiser_api.schemas import Given, Id, Instant, Shown
from cleanroom.consent.errors import OptOutError
from cleanroom.consent.optout_types import (
    Named,
    OptOut,
    OptOutAction,
    OptOutKind,
    OptOutOutcome,
    OptOutReason,
)
from cleanroom.subjects.propagation_types import Propagation
from cleanroom.subjects.types import Subject
from crypto.hash_profiles import hash_profile, parse_hashed

MAX_IDENTIFIERS = 10_000
_DIGEST = Annotated[str, Field(min_length=32, max_length=64)]
EXAMPLE = "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514"
Identifier = Literal["email", "phone", "maid", "cookie", "loyalty_id"]
Profile = Annotated[
    str, Field(pattern=r"^[a-z0-9]{1,20}$", description="how it was hashed", examples=["room", "uid2"])
]
Reference = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9._/-]{0,80}$",
        description="of the case in your own books; the log keeps it, so nothing of a person",
        examples=["CASE-2026-117"],
    ),
]

CaseNumber = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9._/#-]{0,64}$",
        description="the number of the case in your own books; the log keeps it, so nothing of a person",
        examples=["CASE-2026-117"],
    ),
]


class NamedIn(Given):
    """People, by digests of one kind of identifier."""

    identifier: Identifier
    profile: Profile = "room"
    digests: Annotated[
        list[_DIGEST],
        Field(
            min_length=1,
            max_length=MAX_IDENTIFIERS,
            description="as the profile writes them",
            examples=[[EXAMPLE]],
        ),
    ]

    def named(self) -> Named:
        """Read them; raises MalformedDigestError."""
        profile = hash_profile(self.profile)
        return Named(
            self.identifier, self.profile, b"".join(parse_hashed(profile, text) for text in self.digests)
        )


class NewOptOut(Given):
    """A batch of opt-outs; it counts as a whole, from the next analysis on."""

    kind: OptOutKind
    action: Annotated[OptOutAction, Field(description="lift takes people off a list")] = OptOutAction.ADD
    dataset_id: Annotated[
        Id | None, Field(description="one dataset alone; all that there are and will be, when not given")
    ] = None
    purpose: Annotated[
        str, Field(min_length=1, max_length=64, description="of a withdrawal; `*` for all")
    ] = "*"
    named: Annotated[list[NamedIn], Field(min_length=1, max_length=40)]
    reason: OptOutReason
    reference: Reference = ""

    def opt_out(self) -> OptOut:
        """Return it for the domain; raises OptOutError when it names too many."""
        if sum(len(one.digests) for one in self.named) > MAX_IDENTIFIERS:
            raise OptOutError(
                f"A request has at most {MAX_IDENTIFIERS} identifiers.", remedy="Send several requests."
            )
        return OptOut(
            kind=self.kind,
            action=self.action,
            named=tuple(one.named() for one in self.named),
            reason=self.reason,
            reference=self.reference,
            dataset_id=self.dataset_id,
            purpose=self.purpose,
        )


class DatasetOutcomeOut(Shown):
    """What one dataset did with a batch; never who was found."""

    dataset_id: Id
    epoch: Annotated[int | None, Field(description="that it began; null when the dataset lacks all keys")]
    applied: list[str]
    not_applied: Annotated[list[str], Field(description="by these nobody is kept out of this dataset")]


class OptOutOut(Shown):
    """A batch of opt-outs, and what each dataset did with it."""

    id: Id
    kind: OptOutKind
    action: OptOutAction
    dataset_id: Id | None
    reason: OptOutReason
    reference: str
    submitted: int
    accepted_at: Instant
    datasets: list[DatasetOutcomeOut]

    @classmethod
    def of(cls, outcome: OptOutOutcome) -> "OptOutOut":
        """Write an outcome."""
        return cls(
            id=outcome.id,
            kind=outcome.kind,
            action=outcome.action,
            dataset_id=outcome.dataset_id,
            reason=outcome.reason,
            reference=outcome.reference,
            submitted=outcome.submitted,
            accepted_at=outcome.accepted_at,
            datasets=[
                DatasetOutcomeOut(
                    dataset_id=dataset_id,
                    epoch=one.epoch,
                    applied=list(one.applied),
                    not_applied=list(one.not_applied),
                )
                for dataset_id, one in outcome.datasets.items()
            ],
        )


class AnsweredOut(Shown):
    """A released answer, with its place in the log."""

    analysis_id: Id
    index: int
    released_at: Instant
    epoch: int


class InFlightOut(Shown):
    """A question that was asked before the epoch began and ended after it, or is under way."""

    analysis_id: Id
    outcome: str
    asked_at: Instant
    ended_at: Instant | None


class ReappliedOut(Shown):
    """A version that was published since, and the epoch that bound earlier changes to its people."""

    version_id: Id
    number: int
    published_at: Instant
    epoch: int | None


class ToldOut(Shown):
    """A listener, and when it was told."""

    organisation_id: Id
    state: str
    attempts: int
    told_at: Instant | None


class PropagationOut(Shown):
    """How a consent epoch took effect; to be checked against the log."""

    dataset_id: Id
    epoch: int
    kind: str
    accepted_at: Instant
    index: Annotated[int, Field(description="of the event that began it")]
    submitted: int
    first_under_it: Annotated[AnsweredOut | None, Field(description="the first answer that honours it")]
    released_since: int
    released_against_it: Annotated[list[AnsweredOut], Field(description="there must be none")]
    in_flight: list[InFlightOut]
    stale_answers: Annotated[int, Field(description="stored answers that are given as of their date only")]
    versions: list[ReappliedOut]
    told: Annotated[list[ToldOut], Field(description="deliveries of the last week")]
    activations: Annotated[int, Field(description="audiences handed out: the room hands out none")]
    log_size: int
    checkpoint: str

    @classmethod
    def of(cls, made: Propagation) -> "PropagationOut":
        """Write a report."""
        return cls.model_validate(made, from_attributes=True)


class PropagationsOut(Shown):
    """How a batch took effect, dataset by dataset."""

    items: list[PropagationOut]


class EpochOut(Shown):
    """A consent epoch of a dataset."""

    epoch: int
    kind: str
    began_at: Instant
    submitted: int


class AskedLookup(Given):
    """Whom you look for, and why; the log keeps both, the identifier as a salted commitment."""

    identifier: Annotated[
        Literal["email", "phone", "maid", "cookie", "loyalty_id", "person_id"],
        Field(description="`person_id` goes with the profile `sha256`"),
    ]
    profile: Profile = "room"
    digest: Annotated[_DIGEST, Field(description="as the profile writes it", examples=[EXAMPLE])]
    reason: OptOutReason
    reference: CaseNumber = ""

    def named(self) -> Named:
        """Read it; raises MalformedDigestError."""
        text_form = "room" if self.identifier == "person_id" else self.profile
        return Named(self.identifier, self.profile, parse_hashed(hash_profile(text_form), self.digest))


class HeldConsentOut(Shown):
    """A consent as a version has it."""

    purpose: str
    state: str
    collected_at: Instant | None
    until: date | None
    counted: Annotated[bool | None, Field(description="whether the person is counted now")]


class HeldPersonOut(Shown):
    """A person who holds the identifier."""

    consents: list[HeldConsentOut]


class HeldVersionOut(Shown):
    """A version that holds somebody with the identifier."""

    version_id: Id
    number: int
    status: str
    published_at: Instant | None
    people: int
    junk: Annotated[bool, Field(description="on the version's junk list: it names nobody")]
    persons: list[HeldPersonOut]


class HeldChangeOut(Shown):
    """A change of consent."""

    epoch: int
    at: Instant
    state: str
    purpose: str
    until: date | None
    named_by: Literal["identifier", "person_id", "other"]
    terms: dict[str, Any] | None


class HeldEntryOut(Shown):
    """An entry of an opt-out list."""

    opt_out_id: Id
    kind: OptOutKind
    accepted_at: Instant
    lifted_at: Instant | None
    everywhere: bool
    applies: Annotated[bool, Field(description="whether this dataset can find people by it")]


class UsedInOut(Shown):
    """An answer over a version that holds the person, whether they were counted in it or not."""

    analysis_id: Id
    released_at: Instant
    version_id: Id
    purpose: str
    epoch: int


class SubjectOut(Shown):
    """What a dataset holds about an identifier; empty when it holds nothing."""

    dataset_id: Id
    commitment: Annotated[str, Field(description="what the log has instead of the identifier")]
    salt: Annotated[str, Field(description="keep it, if you may have to prove whom you looked up")]
    asked_at: Instant
    key: str
    keys: list[str]
    versions: list[HeldVersionOut]
    changes: list[HeldChangeOut]
    entries: list[HeldEntryOut]
    releases: list[UsedInOut]
    releases_in_all: int

    @classmethod
    def of(cls, subject: Subject) -> "SubjectOut":
        """Write what was found."""
        return cls.model_validate(subject, from_attributes=True)


class ExportOut(Shown):
    """Everything about one person, to be handed to them."""

    document: Annotated[dict[str, Any], Field(description="JSON in the words of the W3C DPV")]
