from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.client.attributes import encode_attribute, encode_consent, encode_instants, encode_last_days
from cleanroom.schema.codec import schema_from_yaml
from cleanroom.schema.errors import SpecialCategoryError
from cleanroom.schema.model import NULL_DATE, NULL_INT, Attribute, Consent


def attribute(body: str) -> Attribute:
    return schema_from_yaml(f"match_keys: {{email: {{column: e}}}}\nattributes: {{a: {{{body}}}}}").attribute(
        "a"
    )


def encoded(body: str, *texts: str | None) -> tuple[list[Any], list[bool]]:
    result = encode_attribute(pl.Series(texts, dtype=pl.String), attribute(body))
    return result.array.tolist(), result.bad.tolist()


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("1", 100), ("-0.5", -50), ("+7", 700), ("1.500", 150), ("007", 700), ("5.", 500), ("-0", 0), ("0.05", 5),
        ("9999999999999.99", 999_999_999_999_999), ("00000000000000000001.10", 110),
        ("1.505", None), ("1.2.3", None), ("", None), ("-", None), (".", None),
        ("1e5", None), (".5", None), ("-.5", None),
        (".-5", None), ("1.-5", None),
        ("99999999999999", None), ("abc", None), ("1,5", None), ("--5", None), ("٣", None),
    ],
)  # fmt: skip
def test_decimals_are_stored_exactly_or_not_at_all(text: str, stored: int | None) -> None:
    assert encoded("type: decimal", text) == ([NULL_INT if stored is None else stored], [stored is None])


@given(st.integers(-(10**15) + 1, 10**15 - 1), st.integers(0, 9))
def test_every_decimal_comes_back(stored: int, scale: int) -> None:
    text = f"{abs(stored):0{scale + 1}d}"
    text = ("-" if stored < 0 else "") + (f"{text[:-scale]}.{text[-scale:]}" if scale else text)
    assert encoded(f"type: decimal, scale: {scale}", text) == ([stored], [False])


def test_integers_may_have_been_widened_to_floats() -> None:
    assert encoded("type: integer", "18", "18.0", None, "18.5", "9" * 15, "9" * 16) == (
        [18, 18, NULL_INT, NULL_INT, 10**15 - 1, NULL_INT],
        [False, False, False, True, False, True],
    )


def test_a_decimal_comma_is_read_when_declared() -> None:
    assert encoded("type: decimal, decimal_mark: ','", "1,5", "1.5", "-2,50") == (
        [150, NULL_INT, -250],
        [False, True, False],
    )


def test_open_values_are_kept_as_text_in_one_form() -> None:
    assert open_values("max_bytes: 12", "Москва", "abc", None, "e\u0301", "\u00e9", "a b", "nb\u00a0sp") == [
        "Москва", "abc", "", "\u00e9", "\u00e9", "a b", "nb\u00a0sp",
    ]  # fmt: skip
    # What the schema or the room calls "no value" is none.
    assert open_values("null_values: ['?']", "?", "unknown", "other") == ["", "", "other"]
    assert open_values("", None) == [""]


@pytest.mark.parametrize(
    ("text", "bad", "too_long"),
    [
        ("x" * 16, False, False),
        ("x" * 17, False, True),
        ("ж" * 8, False, False),
        ("ж" * 9, False, True),
        ("a\0b", True, False),
        ("a\nb", True, False),
        ("a\x7fb", True, False),
        ("a\u2028b", True, False),
        ("a\u202eb", True, False),
        ("a\0" + "x" * 20, False, True),
    ],
)
def test_open_values_that_are_too_long_or_invisible_are_refused(text: str, bad: bool, too_long: bool) -> None:
    found = encode_attribute(pl.Series(["ok", text]), attribute("type: category, open: true, max_bytes: 16"))
    assert (found.bad.tolist(), found.too_long.tolist()) == ([False, bad], [False, too_long])
    assert found.array[1].any() == (not bad and not too_long)


def test_an_open_value_of_a_special_category_refuses_the_file_without_naming_the_value() -> None:
    with pytest.raises(SpecialCategoryError, match=r"open category a holds values.*refused") as caught:
        open_values("", "Audi", "Muslim")
    assert "muslim" not in str(caught.value).lower()


def open_values(options: str, *texts: str | None) -> list[str]:
    found = encode_attribute(
        pl.Series(texts, dtype=pl.String), attribute(f"type: category, open: true, {options}")
    )
    assert not found.bad.any()
    assert not found.too_long.any()
    return [bytes(row).rstrip(b"\0").decode() for row in found.array]


def test_categories_have_codes_other_and_null() -> None:
    body = "type: category, values: [Й, b], null_values: ['?']"
    assert encoded(body, "Й", "b", "c", None, "?", "и\u0306".upper(), "B")[0] == [1, 2, 3, 0, 0, 1, 3]


@pytest.mark.parametrize("declared", [3, 24, 25, 300])
def test_codes_do_not_depend_on_how_many_values_are_declared(declared: int) -> None:
    values = ["Й", "b", *(f"v{number}" for number in range(declared - 2))]
    texts = ["b", None, "Й", "И\u0306", "nope", "", "B", values[-1]]
    body = f"type: category, values: [{', '.join(values)}]"
    other = declared + 1
    assert encoded(body, *texts)[0] == [2, 0, 1, 1, other, other, other, declared]


@given(st.lists(st.none() | st.integers(-(10**15), 10**15).map(str) | st.sampled_from(["+5", "007", "-0"])))
def test_a_number_reads_alike_whatever_stands_beside_it(texts: list[str | None]) -> None:
    for body in ("type: integer", "type: decimal, scale: 3"):
        alone = encoded(body, *texts)
        beside = encoded(body, *texts, "5.0")
        assert (beside[0][:-1], beside[1][:-1]) == alone


def test_booleans_have_two_codes() -> None:
    assert encoded("type: boolean", "TRUE", "да", "0", "No", None, "maybe") == (
        [2, 2, 1, 1, 0, 0],
        [False] * 5 + [True],
    )


def test_dates_are_days() -> None:
    assert encoded("type: date", "1970-01-02", "1969-12-31T23:00:00", "2026-02-30", None, "02.01.1970") == (
        [1, -1, NULL_DATE, NULL_DATE, NULL_DATE],
        [False, False, True, False, True],
    )
    assert encoded("type: date, date_format: '%d.%m.%Y'", "02.01.1970")[0] == [1]


def test_sets_are_bits_with_other_after_the_last() -> None:
    values = ", ".join(f"v{i}" for i in range(64))
    body = f"type: set, values: [{values}], max_values: 3"
    result = encode_attribute(
        pl.Series(["v0| v2 |v2", "v63|nope", None, "||", "v0|v1|v2|v3"]), attribute(body)
    )
    assert result.array.tolist() == [[0b101, 0], [2**63, 1], [0, 0], [0, 0], [0b1111, 0]]
    assert result.too_many is not None
    assert result.too_many.tolist() == [False, False, False, False, True]


def test_a_column_without_any_value_is_null_throughout() -> None:
    for body in (
        "type: integer",
        "type: decimal",
        "type: boolean",
        "type: date",
        "type: category, values: [a]",
    ):
        assert encoded(body, None, None)[1] == [False, False]
    assert encoded("type: set, values: [a], max_values: 1", None)[0] == [[0]]


def test_only_listed_consents_count() -> None:
    consent = Consent(
        "ads", "c", granted=("Да",), pending=("sent",), expired=("old",), withdrawn=("stop",), denied=("no",)
    )
    texts = ["да", "SENT", "old", "no", "stop", "perhaps", None]
    assert encode_consent(pl.Series(texts), consent).tolist() == [0, 1, 2, 3, 4, 3, 3]


def test_consent_words_are_read_in_any_case_however_many_there_are() -> None:
    words = tuple(f"Yes{number}" for number in range(30))
    texts = [text for word in words for text in (word, word.lower(), word.upper(), word + "!")]
    for granted in (words, words[:3]):
        codes = encode_consent(pl.Series(texts), Consent("ads", "c", granted=granted)).tolist()
        assert codes == [0 if text.lower() in {word.lower() for word in granted} else 3 for text in texts]


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01Z", 10**6),
        ("1970-01-01 00:01", 60 * 10**6),
        ("1970-01-01T03:00:00+03:00", 0),
        ("1969-12-31T21:30:00.25-0230", 250_000),
        ("1970-01-01T00:00:00.1234567Z", 123_456),
        ("1970-01-32", None),
        ("1970-01-01T24:00", None),
        ("yesterday", None),
    ],
)
def test_instants_are_microseconds_in_utc(text: str, microseconds: int | None) -> None:
    result = encode_instants(pl.Series([text]))
    assert result.array.tolist() == [NULL_INT if microseconds is None else microseconds]
    assert result.bad.tolist() == [microseconds is None]


def test_last_days_are_iso_dates() -> None:
    assert encode_last_days(pl.Series(["1970-01-11", None])).array.tolist() == [10, NULL_DATE]


@given(st.lists(st.text(max_size=12) | st.from_regex(r"[+-]?\d{1,4}[.,]?\d{0,3}"), min_size=1, max_size=6))
def test_no_text_whatsoever_breaks_an_encoder(texts: list[str]) -> None:
    for body in (
        "type: integer",
        "type: decimal",
        "type: boolean",
        "type: date",
        "type: category, values: [a]",
    ):
        assert len(encoded(body, *texts)[1]) == len(texts)
    encoded("type: set, values: [a], max_values: 1", *texts)
    assert encode_instants(pl.Series(texts)).bad.size == len(texts)
