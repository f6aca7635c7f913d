"""The fixed-width records that rows, persons and key values are on their way through the spools."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cleanroom.schema.layout import ColumnSpec, layout, stored_column
from cleanroom.schema.model import Attribute, Schema
from crypto.limits import DIGEST_BYTES

NOBODY = (1 << 32) - 1
"""Stands for the person of a row that does not count."""
OP_UPSERT, OP_DELETE, OP_EARLIER, OP_MERGED = 0, 1, 2, 3
"""What a row does; OP_EARLIER marks rows of the version that a delta builds on, OP_MERGED persons made of several."""

VALUE_DTYPE = np.dtype([("hi", "<u8"), ("lo", "<u8"), ("seq", "<u4")])
"""One holder of one key value: the token's halves and the person's number in order of arrival."""


@dataclass(frozen=True)
class KeyColumn:
    """A key of the room.

    Attributes:
        name: such as `email/room`.
        width: how many columns of the file it may stand in.
    """

    name: str
    width: int


@dataclass(frozen=True)
class ConsentColumn:
    """A purpose's columns.

    Attributes:
        purpose: what the consent is for.
        has_at: whether the instant of collection is recorded.
        has_until: whether the last day of validity is recorded.
    """

    purpose: str
    has_at: bool
    has_until: bool


@dataclass(frozen=True)
class RecordLayout:
    """Which fields records of a schema have; `a0` is the first attribute, `k0` the first key, and so on.

    Attributes:
        keys: in the schema's order, every profile of a key apart.
        attributes: in the schema's order.
        consents: in the schema's order.
        person: whether rows name their person.
        label: how many labels are declared; 0 without.
    """

    keys: tuple[KeyColumn, ...]
    attributes: tuple[Attribute, ...]
    consents: tuple[ConsentColumn, ...]
    person: bool
    label: int

    @classmethod
    def of(cls, schema: Schema) -> "RecordLayout":
        """Derive the layout from a schema."""
        specs = [spec for spec in layout(schema) if spec.name.startswith("key:")]
        return cls(
            keys=tuple(KeyColumn(spec.name[4:], spec.width // DIGEST_BYTES) for spec in specs),
            attributes=schema.attributes,
            consents=tuple(
                ConsentColumn(consent.purpose, bool(consent.collected_at), bool(consent.expires_at))
                for consent in schema.consents
            ),
            person=bool(schema.person_id),
            label=len(schema.label.values) if schema.label else 0,
        )

    @cached_property
    def key_names(self) -> tuple[str, ...]:
        """The keys' names in the room."""
        return tuple(key.name for key in self.keys)

    @cached_property
    def payload(self) -> tuple[tuple[str, str, int], ...]:
        """The fields that a person keeps: (name, dtype, width)."""
        fields: list[tuple[str, str, int]] = []
        if self.person:
            fields += [("person_hi", "<u8", 1), ("person_lo", "<u8", 1)]
        for index, attribute in enumerate(self.attributes):
            spec = stored_column(attribute)
            fields.append((f"a{index}", spec.dtype, spec.width))
        for index, consent in enumerate(self.consents):
            fields.append((f"c{index}", "u1", 1))
            if consent.has_at:
                fields.append((f"ca{index}", "<i8", 1))
            if consent.has_until:
                fields.append((f"cu{index}", "<i4", 1))
        if self.label:
            fields.append(("label", "u1", 1))
        return tuple(fields)

    @cached_property
    def row_dtype(self) -> np.dtype[Any]:
        """A row: what a person keeps, what the row does, and its tokens, all zero where missing."""
        keys = [(f"k{index}", "<u8", (key.width, 2)) for index, key in enumerate(self.keys)]
        return np.dtype([*self._payload_fields(), ("op", "u1"), *keys])

    @cached_property
    def person_dtype(self) -> np.dtype[Any]:
        """A person, or a row of one: what it keeps, what the row does, its number, its first key and that key's token.

        Rows are numbered in order of arrival; a person goes by the number of one of its rows.
        """
        place = [("seq", "<u4"), ("rank", "u1"), ("primary", "<u8")]
        return np.dtype([*self._payload_fields(), ("op", "u1"), *place])

    @cached_property
    def numbers(self) -> dict[int, np.dtype[Any]]:
        """The types of attributes that are signed numbers, by position; the smallest of a type is "no value"."""
        kinds = {index: np.dtype(stored_column(item).dtype) for index, item in enumerate(self.attributes)}
        return {index: kind for index, kind in kinds.items() if kind.kind == "i"}

    def narrow_dtype(self, kinds: Mapping[int, np.dtype[Any]]) -> np.dtype[Any]:
        """Return `person_dtype` with numbers of other types, by position of the attribute."""
        fields = {name: self.person_dtype[name] for name in self.person_dtype.names or ()}
        fields |= {f"a{index}": kind for index, kind in kinds.items()}
        return np.dtype(list(fields.items()))

    @cached_property
    def kept_bytes(self) -> int:
        """How many bytes a row and a person have in common; both begin with them."""
        return np.dtype([*self._payload_fields(), ("op", "u1")]).itemsize

    def _payload_fields(self) -> Sequence[tuple[Any, ...]]:
        # Sets keep their word axis even when one word is enough, so that one code serves all widths.
        sets = {f"a{index}" for index, item in enumerate(self.attributes) if item.type == "set"}
        return [
            (name, kind, (width,)) if name in sets else (name, kind) for name, kind, width in self.payload
        ]


def expected_columns(schema: Schema, mode: str) -> tuple[ColumnSpec, ...]:
    """Return the columns that a payload of the mode must have."""
    return layout(schema, "delta" if mode == "delta" else "full")
