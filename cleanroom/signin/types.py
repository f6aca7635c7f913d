"""Members, sessions and outcomes of signing in, as values."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cleanroom.access.types import User
from cleanroom.accounts.types import OrganisationKind


class Stage(StrEnum):
    """How far a session's owner has come: past the password alone, or in."""

    SECOND_FACTOR = "second_factor"
    OPEN = "open"


class LinkKind(StrEnum):
    """What a one-time link lets its bearer do."""

    RESET = "reset"
    # A reset too, which whoever knows an address can have sent there; it replaces none that was handed over.
    FORGOTTEN = "forgotten"
    FIRST_RUN = "first_run"


class EndReason(StrEnum):
    """Why a session ended before its time."""

    SIGNED_OUT = "signed_out"
    REVOKED = "revoked"
    ROTATED = "rotated"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a reason's name
    EXPIRED = "expired"


@dataclass(frozen=True)
class Member:
    """Who is signed in.

    Attributes:
        session_id: `ses_...`.
        user_id: `us_...`.
        email: of the person.
        organisation_id: for whom.
        organisation: its name.
        kind: of the organisation.
        role: of the person.
        scopes: what the role may do, now.
        language: that the person chose; None for none.
        second_factor: whether signing in takes one.
        entered_at: when the person signed in.
        has_password: whether there is one; without it an identity provider is the only way in.
        must_enrol: whether the organisation or the room requires a second factor that the person has not set up.
    """

    session_id: str
    user_id: str
    email: str
    organisation_id: str
    organisation: str
    kind: OrganisationKind
    role: str
    scopes: frozenset[str]
    language: str | None
    second_factor: bool
    entered_at: datetime
    has_password: bool
    must_enrol: bool

    def may(self, scope: str) -> bool:
        """Tell whether the person's role carries a scope."""
        return scope in self.scopes


@dataclass(frozen=True)
class Session:
    """One place where a person is signed in.

    Attributes:
        id: `ses_...`.
        agent: browser and system in a few words, as the surface named them.
        created_at: since when.
        seen_at: last used, to the minute.
        expires_at: when it ends at the latest.
    """

    id: str
    agent: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Entered:
    """Somebody is in.

    Attributes:
        token: of the session, a secret that only the browser keeps.
        user_id: who.
        organisation_id: for whom.
        expires_at: when the session ends at the latest.
        device: a secret that the browser keeps for long, by which it is known again; it lets nobody in.
    """

    token: str = field(repr=False)
    user_id: str
    organisation_id: str
    expires_at: datetime
    device: str = field(repr=False)


@dataclass(frozen=True)
class SecondStep:
    """The password was right, and a second factor is missing.

    Attributes:
        token: of a session that opens nothing but the second step.
        expires_at: until when the second step may be taken.
    """

    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class Refused:
    """Nobody was let in; why not is not told, except how long to wait.

    Attributes:
        wait_seconds: until another attempt is looked at; 0 when the next one is.
    """

    wait_seconds: int = 0


@dataclass(frozen=True)
class NewLink:
    """A one-time link's secret, shown this once.

    Attributes:
        token: what the link carries.
        expires_at: when it ends.
    """

    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class Invited:
    """Whom an invitation or a reset is for.

    Attributes:
        user: as it stands.
        organisation: the name of the organisation.
    """

    user: User
    organisation: str


@dataclass(frozen=True)
class Enrolment:
    """A second factor that is being set up: it counts once a code has confirmed it.

    Attributes:
        secret: base32, for those who type it.
        uri: for those who scan it.
    """

    secret: str = field(repr=False)
    uri: str = field(repr=False)


@dataclass(frozen=True)
class Standing:
    """How a user stands, for those who administer users.

    Attributes:
        user: the record.
        joined: whether an invitation was accepted.
        second_factor: whether signing in takes one.
        last_seen_at: when a session of the person was last used, to the minute; None for never, or long ago.
    """

    user: User
    joined: bool
    second_factor: bool
    last_seen_at: datetime | None


class Way(StrEnum):
    """What somebody goes to an identity provider for."""

    SIGN_IN = "sign_in"
    INVITATION = "invitation"
    CONNECT = "connect"


@dataclass(frozen=True)
class Departure:
    """Somebody is to go to an identity provider.

    Attributes:
        address: where to.
        browser: a secret that only this browser keeps until it comes back.
        expires_at: until when it may come back.
    """

    address: str
    browser: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class Arrival:
    """Somebody has come back from an identity provider.

    Attributes:
        way: what for.
        entered: who is in, or owes the second step; None when a way to sign in was connected.
        next_path: where the person wanted to go.
        kept: a form that came too late, as the surface wrote it down.
    """

    way: Way
    entered: Entered | SecondStep | None
    next_path: str
    kept: str = field(repr=False)


@dataclass(frozen=True)
class Connected:
    """An identity provider, and whether a person is connected to it.

    Attributes:
        name: of the provider.
        title: for people.
        bound_at: since when; None when the person is not.
    """

    name: str
    title: str
    bound_at: datetime | None
