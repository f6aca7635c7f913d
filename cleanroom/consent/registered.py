"""What is registered: purposes of processing, and versions of the texts that people are shown."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class LegalBasis(StrEnum):
    """Why data may be processed (GDPR, article 6; 152-FZ, article 6)."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    VITAL_INTERESTS = "vital_interests"
    PUBLIC_TASK = "public_task"
    LEGITIMATE_INTERESTS = "legitimate_interests"


class PurposeKind(StrEnum):
    """What a purpose is to the law: advertising needs a consent of its own (38-FZ, article 18)."""

    PROCESSING = "processing"
    ADVERTISING = "advertising"
    SERVICE = "service"


@dataclass(frozen=True)
class Purpose:
    """A registered purpose.

    Attributes:
        id: `pu_...`.
        code: as schemas and questions name it.
        title_en: for people.
        title_ru: for people.
        legal_basis: why data may be processed for it.
        kind: what it is to the law.
        tcf_purposes: numbers of IAB TCF purposes that must all be consented to; none, when a TCF string says nothing
            about it.
        created_at: when it was registered.
    """

    id: str
    code: str
    title_en: str
    title_ru: str
    legal_basis: LegalBasis
    kind: PurposeKind
    tcf_purposes: tuple[int, ...]
    created_at: datetime


@dataclass(frozen=True)
class NoticeVersion:
    """One version of a text that people are shown when they are asked.

    Attributes:
        id: `cn_...`.
        code: of the notice, for all its versions.
        version: from 1 on.
        text_en: the whole text; empty when it is not shown in English.
        text_ru: the same in Russian.
        sha256: hex, of the canonical JSON of both texts.
        purposes: codes of what it asks consent to.
        separate_document: whether it is apart from any other text (152-FZ, article 9).
        valid_from: from when on it is shown.
        created_at: when it was published here.
    """

    id: str
    code: str
    version: int
    text_en: str
    text_ru: str
    sha256: str
    purposes: tuple[str, ...]
    separate_document: bool
    valid_from: datetime
    created_at: datetime
