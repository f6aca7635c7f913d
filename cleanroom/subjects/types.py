"""What a room knows of one person, as values for the owner of the data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from cleanroom.consent.optout_types import Named, OptOutKind, OptOutReason


@dataclass(frozen=True)
class Lookup:
    """Whom somebody looks for, and why.

    Attributes:
        dataset_id: where.
        named: one identifier.
        reason: why.
        reference: the number of the case in the owner's own books, at most 64 letters, digits and `._/#-`; empty when
            there is none.
        asked_by: the person or client that asks.
    """

    dataset_id: str
    named: Named = field(repr=False)
    reason: OptOutReason
    reference: str
    asked_by: str


@dataclass(frozen=True)
class HeldConsent:
    """A consent as a version has it, whatever came later.

    Attributes:
        purpose: what it is for.
        state: such as `granted`.
        collected_at: evidence; None when the file has none.
        until: the last day on which it holds; None for no end.
        counted: whether the person is counted for it now; None in a version that is not the published one.
    """

    purpose: str
    state: str
    collected_at: datetime | None
    until: date | None
    counted: bool | None


@dataclass(frozen=True)
class HeldPerson:
    """A person who holds the identifier in a version.

    Attributes:
        consents: in the order of the schema.
        attributes: by name; read for an export alone.
    """

    consents: tuple[HeldConsent, ...]
    attributes: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class HeldVersion:
    """A version that holds somebody with the identifier.

    Attributes:
        version_id: which.
        number: of the version.
        status: published, retired, ...
        published_at: when.
        people: how many hold it; 0 when it is on the version's junk list, and names nobody.
        junk: whether it is.
        persons: they, at most `MOST_PEOPLE`; none in an export, in a version that is not the published one, of a
            dataset without person_id: they may be others.
    """

    version_id: str
    number: int
    status: str
    published_at: datetime | None
    people: int
    junk: bool
    persons: tuple[HeldPerson, ...]


@dataclass(frozen=True)
class HeldChange:
    """A change of consent that names somebody with the identifier.

    Attributes:
        epoch: that it counts from.
        at: when it happened; of a grant, when it was collected.
        state: such as `withdrawn`.
        purpose: which; `*` for all.
        until: the last day on which a grant holds.
        named_by: `identifier`, the one that is looked for; `person_id`; or `other`, another one that the person holds.
        terms: of the record, as they were kept.
    """

    epoch: int
    at: datetime
    state: str
    purpose: str
    until: date | None
    named_by: str
    terms: Mapping[str, Any] | None


@dataclass(frozen=True)
class HeldEntry:
    """An entry of an opt-out list that names somebody with the identifier.

    Attributes:
        opt_out_id: the batch that brought it.
        kind: suppression or restriction.
        accepted_at: since when.
        lifted_at: when it ended; None while it holds.
        everywhere: whether the list is for all datasets, or for this one alone.
        applies: whether this dataset can find people by what the entry names.
    """

    opt_out_id: str
    kind: OptOutKind
    accepted_at: datetime
    lifted_at: datetime | None
    everywhere: bool
    applies: bool


@dataclass(frozen=True)
class UsedIn:
    """An answer that was computed over a version that holds the person, whether they were counted or not.

    Attributes:
        analysis_id: names its receipt.
        released_at: when.
        version_id: which version.
        purpose: what for.
        epoch: the consent epoch that it honours.
    """

    analysis_id: str
    released_at: datetime
    version_id: str
    purpose: str
    epoch: int


@dataclass(frozen=True)
class Subject:
    """What a dataset holds about an identifier.

    Attributes:
        dataset_id: where.
        commitment: hex; what the log has instead of the identifier.
        salt: hex, of the commitment; the room forgets it, so whoever may have to prove who was looked up keeps it.
        asked_at: when.
        key: identifier and profile that were looked for.
        keys: of the dataset, in which it was looked for; none when it lacks the profile.
        versions: that hold somebody with it, the newest first.
        changes: the oldest first.
        entries: of opt-out lists, the oldest first.
        releases: the newest first, at most `MOST_RELEASES`.
        releases_in_all: how many there are.
    """

    dataset_id: str
    commitment: str
    salt: str
    asked_at: datetime
    key: str
    keys: tuple[str, ...]
    versions: tuple[HeldVersion, ...]
    changes: tuple[HeldChange, ...]
    entries: tuple[HeldEntry, ...]
    releases: tuple[UsedIn, ...]
    releases_in_all: int
