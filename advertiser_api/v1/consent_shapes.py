"""What consent requests bring and answers tell: records, purposes, notices."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field

from advertiser_api.schemas import Given, Id, Instant, Shown, in_range
from cleanroom.consent.changes import ChangeState
from cleanroom.consent.recording import MAX_RECORDS, Record
from cleanroom.consent.register import MAX_TEXT_CHARACTERS, MAX_TITLE_CHARACTERS
from cleanroom.consent.registered import LegalBasis, NoticeVersion, Purpose, PurposeKind
from cleanroom.consent.signals.bits import MAX_CHARACTERS
from cleanroom.consent.terms import Terms
from cleanroom.consent.types import ChangeOutcome

State = Literal["granted", "denied", "pending", "withdrawn", "expired"]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Code = Annotated[str, Field(min_length=1, max_length=64, examples=["advertising"])]
When = Annotated[AwareDatetime, AfterValidator(in_range)]
EXAMPLE_DIGEST = "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514"


class RecordIn(Given):
    """One record of consent, by a hashed identifier."""

    key: Annotated[
        str,
        Field(
            min_length=1,
            max_length=100,
            description="The match key and its hash profile; `person_id/sha256` names by person_id.",
            examples=["email/room"],
        ),
    ]
    digest: Annotated[
        str, Field(pattern=r"^[0-9a-f]{64}$", description="hex SHA-256", examples=[EXAMPLE_DIGEST])
    ]
    purpose: Annotated[
        str, Field(min_length=1, max_length=64, description="`*` for all, unless it is a consent.")
    ]
    state: Annotated[
        State | None, Field(description="May be left out when a TCF or GPP string tells it.")
    ] = None
    at: Annotated[When | None, Field(description="When it came to be; now, when not given.")] = None
    until: Annotated[date | None, Field(description="The last day of a consent.")] = None
    notice: Annotated[Code | None, Field(description="The code of the notice that was shown.")] = None
    notice_version: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    notice_sha256: Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$")] = None
    language: Annotated[str | None, Field(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$", examples=["ru"])] = None
    recipients: Annotated[tuple[Text, ...], Field(max_length=50)] = ()
    method: Annotated[Text | None, Field(examples=["web_form"])] = None
    channel: Annotated[Text | None, Field(examples=["site"])] = None
    evidence: Annotated[
        Text | None, Field(description="Where the proof is kept; a reference, not the proof.")
    ] = None
    jurisdiction: Annotated[str | None, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$", examples=["RU"])] = None
    tcf: Annotated[str | None, Field(min_length=1, max_length=MAX_CHARACTERS)] = None
    gpp: Annotated[str | None, Field(min_length=1, max_length=MAX_CHARACTERS)] = None

    def record(self, *, state: ChangeState | None = None) -> Record:
        """Return it for the domain; a request for consent gives the state."""
        named = None if self.state is None else ChangeState[self.state.upper()]
        return Record(
            key=self.key,
            digest=bytes.fromhex(self.digest),
            purpose=self.purpose,
            state=state if state is not None else named,
            at=self.at,
            until=self.until,
            terms=Terms(
                recipients=self.recipients,
                notice=self.notice,
                notice_version=self.notice_version,
                notice_sha256=self.notice_sha256,
                language=self.language,
                method=self.method,
                channel=self.channel,
                evidence=self.evidence,
                jurisdiction=self.jurisdiction,
                tcf=self.tcf,
                gpp=self.gpp,
            ),
        )


class NewRecords(Given):
    """Some records; they count together, from the next analysis on."""

    records: Annotated[tuple[RecordIn, ...], Field(min_length=1, max_length=MAX_RECORDS)]


class NewRequests(Given):
    """Some requests for consent; each gets a token that confirms it."""

    records: Annotated[tuple[RecordIn, ...], Field(min_length=1, max_length=MAX_RECORDS)]
    confirm_within_hours: Annotated[int, Field(ge=1, le=24 * 90)] = 72


class Confirmation(Given):
    """A token that came back."""

    token: Annotated[str, Field(min_length=1, max_length=100)]


class TakenOut(Shown):
    """What was taken; never who was found."""

    applied: Annotated[list[str], Field(description="keys in which the dataset can find people")]
    not_applied: Annotated[list[str], Field(description="keys that the dataset lacks")]
    submitted: int
    epoch: Annotated[int, Field(description="the dataset's consent epoch now")]

    @classmethod
    def of(cls, outcome: ChangeOutcome) -> "TakenOut":
        """Write an outcome."""
        return cls(
            applied=list(outcome.applied),
            not_applied=list(outcome.not_applied),
            submitted=outcome.submitted,
            epoch=outcome.epoch,
        )


class AskedOut(TakenOut):
    """What was taken, and the tokens to be sent to whom it asks."""

    tokens: Annotated[
        list[str | None] | None,
        Field(
            description="In the order of the records, null where the dataset lacks the key. Told once: a repeated "
            "request gets null."
        ),
    ]


class ConfirmedOut(Shown):
    """The epoch from which the consent counts."""

    epoch: int


class NewPurpose(Given):
    """A purpose of processing."""

    code: Code
    title_en: Annotated[str, Field(min_length=1, max_length=MAX_TITLE_CHARACTERS)]
    title_ru: Annotated[str, Field(min_length=1, max_length=MAX_TITLE_CHARACTERS)]
    legal_basis: LegalBasis = LegalBasis.CONSENT
    kind: PurposeKind = PurposeKind.PROCESSING
    tcf_purposes: Annotated[tuple[int, ...], Field(max_length=24, examples=[[1, 3, 4]])] = ()


class PurposeOut(Shown):
    """A registered purpose."""

    id: Id
    code: str
    title_en: str
    title_ru: str
    legal_basis: LegalBasis
    kind: PurposeKind
    tcf_purposes: list[int]
    created_at: Instant

    @classmethod
    def of(cls, purpose: Purpose) -> "PurposeOut":
        """Write a purpose."""
        return cls(
            id=purpose.id,
            code=purpose.code,
            title_en=purpose.title_en,
            title_ru=purpose.title_ru,
            legal_basis=purpose.legal_basis,
            kind=purpose.kind,
            tcf_purposes=list(purpose.tcf_purposes),
            created_at=purpose.created_at,
        )


class NewNotice(Given):
    """The next version of a notice."""

    code: Code
    text_en: Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)] = ""
    text_ru: Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)] = ""
    purposes: Annotated[tuple[Code, ...], Field(min_length=1, max_length=100)]
    separate_document: bool
    valid_from: When | None = None


class NoticeOut(Shown):
    """One version of a notice."""

    id: Id
    code: str
    version: int
    text_en: str
    text_ru: str
    sha256: Annotated[str, Field(description='hex, of the canonical JSON {"en", "ru", "v": 1}')]
    purposes: list[str]
    separate_document: bool
    valid_from: Instant
    created_at: Instant

    @classmethod
    def of(cls, notice: NoticeVersion) -> "NoticeOut":
        """Write a version."""
        shown: dict[str, str | int | bool | datetime | list[str]] = {
            name: getattr(notice, name) for name in cls.model_fields if name != "purposes"
        }
        return cls.model_validate(shown | {"purposes": list(notice.purposes)})


class DifferenceOut(Shown):
    """How two versions differ."""

    lines: Annotated[list[str], Field(description="as `diff -u` shows it, English first")]
