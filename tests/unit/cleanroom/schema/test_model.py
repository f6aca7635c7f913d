import pytest

from cleanroom.schema.codec import schema_from_yaml
from cleanroom.schema.errors import UnknownAttributeError
from cleanroom.schema.layout import ColumnSpec, layout, reasons, stored_column
from cleanroom.schema.model import Attribute, band_labels, cell_labels

KEYS = "match_keys: {email: {column: e}, phone: {columns: [p, q], also_profiles: [meta]}}\n"


def attribute(body: str) -> Attribute:
    return schema_from_yaml(KEYS + f"attributes: {{a: {{{body}}}}}").attribute("a")


@pytest.mark.parametrize(
    ("body", "labels"),
    [
        ("type: integer, bands: [18, 25, 35, 45, 60]", ("<18", "18-24", "25-34", "35-44", "45-59", "60+")),
        ("type: integer, bands: [0, 1, 3]", ("<0", "0", "1-2", "3+")),
        ("type: decimal, bands: [-0.5, 100, 200.5]", ("<-0.5", "-0.5-99.99", "100-200.49", "200.5+")),
        (
            "type: date, bands: [2024-01-01, 2024-07-01]",
            ("<2024-01-01", "2024-01-01..2024-06-30", "2024-07-01+"),
        ),
        ("type: integer", ()),
        ("type: category, open: true", ()),
    ],
)
def test_bands_are_half_open_and_named_by_what_they_hold(body: str, labels: tuple[str, ...]) -> None:
    assert band_labels(attribute(body)) == labels


@pytest.mark.parametrize(
    ("body", "cells"),
    [
        ("type: category, values: [M, F]", ("M", "F", "other", "unknown")),
        ("type: set, values: [x], max_values: 1", ("x", "other", "unknown")),
        ("type: boolean", ("false", "true", "unknown")),
        ("type: integer, bands: [18]", ("<18", "18+", "unknown")),
        ("type: integer", ()),
    ],
)
def test_cells_end_with_unknown(body: str, cells: tuple[str, ...]) -> None:
    assert cell_labels(attribute(body)) == cells


def test_an_unknown_attribute_is_answered_with_those_that_exist() -> None:
    schema = schema_from_yaml(KEYS + "attributes: {age: {type: integer}}")
    with pytest.raises(UnknownAttributeError, match="Declared attributes: age"):
        schema.attribute("agee")


def test_kind_tells_bases_from_datasets() -> None:
    assert schema_from_yaml(KEYS).kind == "base"
    assert (
        schema_from_yaml(KEYS + "label: {column: s, values: [vip]}\nattributes: {a: {type: integer}}").kind
        == "base"
    )
    assert schema_from_yaml(KEYS + "attributes: {a: {type: integer}}").kind == "dataset"


def test_columns_are_listed_once_each() -> None:
    text = "person_id: id\nlabel: {column: s, values: [x]}\n"
    text += "attributes: {a: {type: integer}, b: {type: integer, column: a}}\n"
    text += "consent: {ads: {column: c, granted: [1], collected_at: at, expires_at: till}}\n"
    assert schema_from_yaml(KEYS + text).columns() == ("id", "e", "p", "q", "a", "c", "at", "till", "s")


def test_layout_follows_the_schema() -> None:
    values = ", ".join(f"v{i}" for i in range(254))
    text = (
        "person_id: id\nlabel: {column: s, values: [x]}\nattributes:\n"
        "  n: {type: integer}\n  m: {type: decimal}\n  d: {type: date}\n  b: {type: boolean}\n"
        f"  wide: {{type: category, values: [{values}]}}\n  narrow: {{type: category, values: [x]}}\n"
        "  few: {type: set, values: [x], max_values: 1}\n"
        f"  many: {{type: set, values: [{values}], max_values: 2}}\n"
        "  town: {type: category, open: true}\n  code: {type: category, open: true, max_bytes: 8}\n"
        "consent: {ads: {column: c, granted: [1], collected_at: at, expires_at: till}}\n"
    )
    schema = schema_from_yaml(KEYS + text)
    assert [(c.name, c.dtype, c.width) for c in layout(schema, "delta")] == [
        ("row", "<u8", 1),
        ("person", "u1", 32),
        ("op", "u1", 1),
        ("key:email/room", "u1", 32),
        ("key:phone/room", "u1", 64),
        ("key:phone/meta", "u1", 64),
        ("attr:n", "<i8", 1),
        ("attr:m", "<i8", 1),
        ("attr:d", "<i4", 1),
        ("attr:b", "u1", 1),
        ("attr:wide", "<u2", 1),
        ("attr:narrow", "u1", 1),
        ("attr:few", "<u8", 1),
        ("attr:many", "<u8", 4),
        ("attr:town", "u1", 64),
        ("attr:code", "u1", 8),
        ("consent:ads", "u1", 1),
        ("consent_at:ads", "<i8", 1),
        ("consent_until:ads", "<i4", 1),
        ("label", "u1", 1),
    ]
    assert stored_column(schema.attribute("town")) == ColumnSpec("attr:town", "<u4")
    assert stored_column(schema.attribute("n")) == ColumnSpec("attr:n", "<i8")
    assert "op" not in [c.name for c in layout(schema)]
    assert ColumnSpec("attr:few", "<u8").shape(3) == (3, 1)
    assert ColumnSpec("key:phone/room", "u1", 64).shape(3) == (3, 2, 32)
    assert ColumnSpec("row", "<u8").shape(3) == (3,)


def test_reasons_name_columns_of_the_schema() -> None:
    schema = schema_from_yaml(
        KEYS
        + "attributes: {t: {type: set, values: [x], max_values: 1}, o: {type: category, open: true}}\n"
        + "consent: {ads: {column: c, granted: [1], expires_at: x}}"
    )
    assert reasons(schema)[5:] == (
        "bad_value:t",
        "too_many_values:t",
        "bad_value:o",
        "too_long:o",
        "bad_consent_date:ads",
        "no_valid_key",
    )
