"""A dataset as its owner describes it: who is a person, match keys, attributes, consents, labels."""

import hashlib
from dataclasses import dataclass, fields
from datetime import date, timedelta
from enum import IntEnum, StrEnum
from itertools import pairwise
from typing import Any, Literal

from cleanroom.canonical import canonical_json
from cleanroom.schema.errors import UnknownAttributeError

NULL_INT = -(2**63)
NULL_DATE = -(2**31)
OTHER = "other"
UNKNOWN = "unknown"
MAX_OPEN_BYTES = 64
MAX_OPEN_VALUES = 1_000_000
"""How many distinct values of an open category one load may bring, those of the version it changes included."""
_EPOCH = date(1970, 1, 1)


class AttributeType(StrEnum):
    """How a value is read and compared."""

    INTEGER = "integer"
    DECIMAL = "decimal"
    CATEGORY = "category"
    BOOLEAN = "boolean"
    DATE = "date"
    SET = "set"


class Kind(StrEnum):
    """What an attribute tells about a person; what identifies one is a match key, never an attribute."""

    DESCRIPTIVE = "descriptive"
    BEHAVIOURAL = "behavioural"
    QUALITATIVE = "qualitative"


class Origin(StrEnum):
    """Whether the person gave the value or it was observed."""

    DIRECT = "direct"
    INDIRECT = "indirect"


class Sensitivity(StrEnum):
    """How carefully an attribute is treated; `special` is refused."""

    NORMAL = "normal"
    SENSITIVE = "sensitive"
    SPECIAL = "special"


class ConsentState(IntEnum):
    """The state of one consent; of two records of a person the higher, stricter one wins."""

    GRANTED = 0
    PENDING = 1
    EXPIRED = 2
    DENIED = 3
    WITHDRAWN = 4


@dataclass(frozen=True)
class Attribute:
    """A column about a person.

    Attributes:
        name: how questions call it.
        column: the column of the file.
        type: how values are read.
        kind: what it tells about a person.
        origin: given by the person or observed.
        sensitivity: never `special` in a valid schema.
        values: declared values of a category or a set, in the order of their codes (the first is 1).
        bands: lower edges of the half-open groups, ascending, in stored units.
        clamp: bounds for sums, in stored units.
        unit: what a number counts, for people to read.
        scale: digits after the point; a stored unit is 10**-scale.
        aggregate: what several rows of one person do: the last wins, or they add up.
        max_values: how many values one person's set may have.
        separator: what stands between the values of a set.
        null_values: texts that mean "not known", besides the empty one.
        decimal_mark: `.` or `,`.
        date_format: how dates are written in the file.
        open: a category whose values nobody declared: they are kept as they come, sealed with the data.
        max_bytes: how long such a value may be, in UTF-8.
    """

    name: str
    column: str
    type: AttributeType
    kind: Kind
    origin: Origin = Origin.INDIRECT
    sensitivity: Sensitivity = Sensitivity.NORMAL
    values: tuple[str, ...] = ()
    bands: tuple[int, ...] = ()
    clamp: tuple[int, int] | None = None
    unit: str | None = None
    scale: int = 0
    aggregate: Literal["last", "sum"] = "last"
    max_values: int = 1
    separator: str = "|"
    null_values: tuple[str, ...] = ()
    decimal_mark: Literal[".", ","] = "."
    date_format: str = "%Y-%m-%d"
    open: bool = False
    max_bytes: int = MAX_OPEN_BYTES


@dataclass(frozen=True)
class MatchKey:
    """An identifier by which people of two files meet.

    Attributes:
        name: how the key is called; shares per key go in the schema's order.
        columns: the columns it may stand in; a person may have a value in each.
        identifier: what kind of identifier it is.
        hash_profile: how it is, or was, normalised and hashed.
        form: whether the file holds raw values or digests.
        default_region: the country of phone numbers written without one.
        also_profiles: further variants to derive from raw values.
        legacy_md5: the owner's word that an MD5-based profile is wanted.
    """

    name: str
    columns: tuple[str, ...]
    identifier: Literal["email", "phone", "maid", "cookie", "loyalty_id"]
    hash_profile: str = "room"
    form: Literal["raw", "hashed"] = "raw"
    default_region: str | None = None
    also_profiles: tuple[str, ...] = ()
    legacy_md5: bool = False

    @property
    def profiles(self) -> tuple[str, ...]:
        """Return every profile this key is matched in, the declared one first."""
        return (self.hash_profile, *self.also_profiles)

    @property
    def qualified_names(self) -> tuple[str, ...]:
        """Return the names of the key in the room: `<name>/<profile>`."""
        return tuple(f"{self.name}/{profile}" for profile in self.profiles)


@dataclass(frozen=True)
class Consent:
    """How one column tells a person's consent to one purpose; unlisted values are a denial.

    Attributes:
        purpose: what the consent is for.
        column: where it stands.
        granted: values that mean consent; compared without case.
        denied: values that mean no.
        pending: values that mean "asked, not confirmed".
        withdrawn: values that mean "taken back".
        expired: values that mean "ran out".
        collected_at: the column with the instant of collection.
        expires_at: the column with the last day of validity.
    """

    purpose: str
    column: str
    granted: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    collected_at: str | None = None
    expires_at: str | None = None

    def states(self) -> dict[str, ConsentState]:
        """Return the state of every listed value, values in lower case."""
        return {value.lower(): state for state in ConsentState for value in getattr(self, state.name.lower())}


@dataclass(frozen=True)
class Label:
    """An advertiser's own marking of the rows of a base; every row bears one of the declared values."""

    column: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Schema:
    """The whole description of a file.

    Attributes:
        match_keys: in the order in which shares per key are counted.
        attributes: in the order of the file format.
        consents: one per purpose.
        person_id: the column that says which rows are one person; without it every row is a person.
        label: of a base.
        lawful_basis: why the owner may process the file.
    """

    match_keys: tuple[MatchKey, ...]
    attributes: tuple[Attribute, ...] = ()
    consents: tuple[Consent, ...] = ()
    person_id: str | None = None
    label: Label | None = None
    lawful_basis: str = "consent"

    @property
    def kind(self) -> Literal["base", "dataset"]:
        """Return `base` for a file of keys, labelled or not; `dataset` if it has attributes or consents."""
        return "base" if self.label or not (self.attributes or self.consents) else "dataset"

    @property
    def key_names(self) -> tuple[str, ...]:
        """Return the names of all keys in the room, every profile apart, in declared order."""
        return tuple(name for key in self.match_keys for name in key.qualified_names)

    def attribute(self, name: str) -> Attribute:
        """Return the attribute of that name.

        Raises:
            UnknownAttributeError: there is none; the message lists those that exist.
        """
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute
        offered = ", ".join(attribute.name for attribute in self.attributes) or "none"
        raise UnknownAttributeError(
            "The schema has no such attribute.", remedy=f"Declared attributes: {offered}."
        )

    def columns(self) -> tuple[str, ...]:
        """Return every column the file must have, each once."""
        wanted: dict[str, None] = {}
        if self.person_id:
            wanted[self.person_id] = None
        for key in self.match_keys:
            wanted.update(dict.fromkeys(key.columns))
        wanted.update(dict.fromkeys(attribute.column for attribute in self.attributes))
        for consent in self.consents:
            for column in (consent.column, consent.collected_at, consent.expires_at):
                if column:
                    wanted[column] = None
        if self.label:
            wanted[self.label.column] = None
        return tuple(wanted)

    def sha256(self) -> str:
        """Return the hex SHA-256 of the canonical form: equal schemas share it, whatever their spelling."""
        return hashlib.sha256(canonical_json(schema_to_dict(self))).hexdigest()


def band_labels(attribute: Attribute) -> tuple[str, ...]:
    """Name the half-open bands of a number or a date: `<18`, `18-24`, ..., `60+`; dates have `..` inside.

    Returns:
        One more label than there are edges; empty when no bands are declared.
    """
    edges = attribute.bands
    if not edges:
        return ()
    between = ".." if attribute.type is AttributeType.DATE else "-"
    inner = []
    for low, high in pairwise(edges):
        first, last = shown(attribute, low), shown(attribute, high - 1)
        inner.append(first if first == last else f"{first}{between}{last}")
    return (f"<{shown(attribute, edges[0])}", *inner, f"{shown(attribute, edges[-1])}+")


def cell_labels(attribute: Attribute) -> tuple[str, ...]:
    """Name the cells of a breakdown by this attribute, `unknown` (no value) last.

    Returns:
        Declared values and `other`, both truth values, or the bands; empty for a number or date without
        bands, which cannot be broken down, and for an open category, whose cells nobody knows beforehand.
    """
    if attribute.open:
        return ()
    if attribute.type in (AttributeType.CATEGORY, AttributeType.SET):
        return (*attribute.values, OTHER, UNKNOWN)
    if attribute.type is AttributeType.BOOLEAN:
        return ("false", "true", UNKNOWN)
    labels = band_labels(attribute)
    return (*labels, UNKNOWN) if labels else ()


def shown(attribute: Attribute, stored: int) -> str:
    """Write a stored number or day as its owner would: `18`, `99.99`, `2026-01-31`."""
    if attribute.type is AttributeType.DATE:
        return (_EPOCH + timedelta(days=stored)).isoformat()
    if not attribute.scale:
        return str(stored)
    whole, part = divmod(abs(stored), 10**attribute.scale)
    digits = f"{part:0{attribute.scale}d}".rstrip("0")
    return f"{'-' if stored < 0 else ''}{whole}{'.' if digits else ''}{digits}"


def schema_to_dict(schema: Schema) -> dict[str, Any]:
    """Write a schema as plain JSON without defaults, order kept in lists, so that hashes stay stable."""
    plain = _declared(schema)
    for one, attribute in zip(plain.get("attributes", []), schema.attributes, strict=True):
        for key in ("bands", "clamp"):
            if key in one:
                one[key] = [shown(attribute, stored) for stored in one[key]]
        if attribute.type is AttributeType.DECIMAL:
            # Read back without one, a decimal has two digits after the point.
            one["scale"] = attribute.scale
    return {"v": 1, **plain}


def _declared(thing: Any) -> Any:
    if isinstance(thing, tuple):
        return [_declared(item) for item in thing]
    if isinstance(thing, StrEnum):
        return thing.value
    if not hasattr(thing, "__dataclass_fields__"):
        return thing
    return {
        field.name: _declared(value)
        for field in fields(thing)
        if (value := getattr(thing, field.name)) != field.default
    }
