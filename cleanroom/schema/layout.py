"""Which columns a prepared payload has, derived from the schema alone, so that both sides agree."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cleanroom.schema.model import Attribute, AttributeType, Schema
from crypto.limits import DIGEST_BYTES

Mode = Literal["full", "delta"]
_SMALL_CODES = 253


@dataclass(frozen=True)
class ColumnSpec:
    """One column of a payload.

    Attributes:
        name: such as `row`, `person`, `key:email/room`, `attr:age`, `consent:advertising`, `label`.
        dtype: a little-endian numpy type: `u1 <u2 <i4 <i8 <u8`.
        width: items per row.
    """

    name: str
    dtype: str
    width: int = 1

    @property
    def row_bytes(self) -> int:
        """Return the bytes of one row in this column."""
        return np.dtype(self.dtype).itemsize * self.width

    def shape(self, rows: int) -> tuple[int, ...]:
        """Return the array's shape: (rows, columns of the key, 32), for sets (rows, words), else (rows,)."""
        if self.name.startswith("key:"):
            return (rows, self.width // DIGEST_BYTES, DIGEST_BYTES)
        if self.width > 1 or (self.dtype == "<u8" and self.name.startswith("attr:")):
            return (rows, self.width)
        return (rows,)


def layout(schema: Schema, mode: Mode = "full") -> tuple[ColumnSpec, ...]:
    """Return the columns of a payload of this schema, in their order.

    Args:
        schema: of the file.
        mode: `delta` adds `op` (0 upsert, 1 delete).
    """
    columns = [ColumnSpec("row", "<u8")]
    if schema.person_id:
        columns.append(ColumnSpec("person", "u1", DIGEST_BYTES))
    if mode == "delta":
        columns.append(ColumnSpec("op", "u1"))
    columns += [
        ColumnSpec(f"key:{name}", "u1", DIGEST_BYTES * len(key.columns))
        for key in schema.match_keys
        for name in key.qualified_names
    ]
    columns += [attribute_column(attribute) for attribute in schema.attributes]
    for consent in schema.consents:
        columns.append(ColumnSpec(f"consent:{consent.purpose}", "u1"))
        if consent.collected_at:
            columns.append(ColumnSpec(f"consent_at:{consent.purpose}", "<i8"))
        if consent.expires_at:
            columns.append(ColumnSpec(f"consent_until:{consent.purpose}", "<i4"))
    if schema.label:
        columns.append(ColumnSpec("label", "u1"))
    return tuple(columns)


def attribute_column(attribute: Attribute) -> ColumnSpec:
    """Return the column of one attribute.

    Category and boolean: codes, 0 = no value, then the declared values, then "other" (categories only).
    Open category: the value itself in UTF-8, filled up with zeros; all zero = no value.
    Integer and decimal: stored units, NULL_INT = no value. Date: days since 1970-01-01, NULL_DATE = no
    value. Set: bit words, bit i-1 is the i-th declared value and the bit after the last is "other"; no bit
    is no value.
    """
    name = f"attr:{attribute.name}"
    if attribute.type in (AttributeType.INTEGER, AttributeType.DECIMAL):
        return ColumnSpec(name, "<i8")
    if attribute.type is AttributeType.DATE:
        return ColumnSpec(name, "<i4")
    if attribute.type is AttributeType.SET:
        return ColumnSpec(name, "<u8", (len(attribute.values) + 1 + 63) // 64)
    if attribute.open:
        return ColumnSpec(name, "u1", attribute.max_bytes)
    return ColumnSpec(name, "u1" if len(attribute.values) <= _SMALL_CODES else "<u2")


def stored_column(attribute: Attribute) -> ColumnSpec:
    """Return the column that a version keeps: as in the payload, but of an open category the version's codes.

    Code 0 is no value; code n is the n-th value of the version's own sealed dictionary.
    """
    return ColumnSpec(f"attr:{attribute.name}", "<u4") if attribute.open else attribute_column(attribute)


def reasons(schema: Schema) -> tuple[str, ...]:
    """Return every reason for which a row of this schema can be rejected; a reason's index is its code.

    Reasons name columns of the schema, never content. When several apply, the first one is reported.
    """
    found = ["ragged_row", "broken_quotes", "unknown_op", "missing_person_id", "unknown_label"]
    for attribute in schema.attributes:
        found.append(f"bad_value:{attribute.name}")
        if attribute.open:
            found.append(f"too_long:{attribute.name}")
        if attribute.type is AttributeType.SET:
            found.append(f"too_many_values:{attribute.name}")
    for consent in schema.consents:
        if consent.collected_at or consent.expires_at:
            found.append(f"bad_consent_date:{consent.purpose}")
    return (*found, "no_valid_key")
