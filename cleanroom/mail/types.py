"""Letters as values."""

from dataclasses import dataclass, field
from enum import StrEnum


class MailKind(StrEnum):
    """What a letter is for."""

    INVITATION = "invitation"
    RESET = "reset"
    FORGOTTEN = "forgotten"
    NOTICE = "notice"


class MailState(StrEnum):
    """What has become of a letter."""

    PENDING = "pending"
    SENT = "sent"
    GIVEN_UP = "given_up"
    DROPPED = "dropped"


class MailFailure(StrEnum):
    """Why an attempt failed; what a relay said beyond this is not kept, as it may quote addresses."""

    UNREACHABLE = "unreachable"
    TLS = "tls"
    LOGIN = "login"
    LATER = "later"
    REFUSED = "refused"


@dataclass(frozen=True)
class Letter:
    """What a person reads.

    Attributes:
        subject: one line.
        paragraphs: text.
        link: where to go on; it may let its reader in.
        button: the link's words.
        language: of the text.
    """

    subject: str
    paragraphs: tuple[str, ...]
    link: str = field(repr=False)
    button: str
    language: str
