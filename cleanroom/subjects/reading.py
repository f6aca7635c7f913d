"""What one version has about those who hold an identifier."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.types import DatasetVersion, Role
from cleanroom.schema.model import NULL_DATE, NULL_INT, ConsentState, Schema
from cleanroom.subjects.attributes import values_of_person
from cleanroom.subjects.finding import MOST_PEOPLE, Holders
from cleanroom.subjects.types import HeldConsent, HeldPerson, HeldVersion

_DAY = date(1970, 1, 1)
_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Found:
    """Holders of an identifier in a version, and what to read of them.

    Attributes:
        reader: of the version.
        schema: of the dataset.
        version: which.
        holders: who.
        masks: by purpose, who is counted now; none for a version that is not the published one.
        with_attributes: whether attributes are read too.
        tells: whether the holders are told of, and not only counted.
    """

    reader: PlaceReader
    schema: Schema
    version: DatasetVersion
    holders: Holders
    masks: Mapping[str, NDArray[np.bool_]]
    with_attributes: bool
    tells: bool


def held_version(found: Found) -> HeldVersion:
    """Read it."""
    version = found.version
    told = found.holders.people[:MOST_PEOPLE] if found.tells else ()
    return HeldVersion(
        version_id=version.id,
        number=version.number,
        status=version.status.value,
        published_at=version.published_at,
        people=len(found.holders.people),
        junk=found.holders.junk,
        persons=tuple(_person(found, person) for person in told),
    )


def _person(found: Found, person: int) -> HeldPerson:
    attributes = None
    if found.with_attributes:
        attributes = values_of_person(found.reader, found.schema, person, persons=found.version.persons)
    columns = range(len(found.schema.consents))
    return HeldPerson(tuple(_consent(found, column, person) for column in columns), attributes)


def _consent(found: Found, column: int, person: int) -> HeldConsent:
    consent, reader = found.schema.consents[column], found.reader

    def read(role: Role, dtype: str) -> int:
        return int(reader.read_rows(role, column, dtype, person, person + 1)[0])

    collected = read(Role.CONSENT_AT, "<i8") if consent.collected_at else NULL_INT
    until = read(Role.CONSENT_UNTIL, "<i4") if consent.expires_at else NULL_DATE
    mask = found.masks.get(consent.purpose)
    return HeldConsent(
        purpose=consent.purpose,
        state=ConsentState(read(Role.CONSENT_STATE, "u1")).name.lower(),
        collected_at=None if collected == NULL_INT else _INSTANT + timedelta(microseconds=collected),
        until=None if until == NULL_DATE else _DAY + timedelta(days=until),
        counted=None if mask is None else bool(mask[person]),
    )
