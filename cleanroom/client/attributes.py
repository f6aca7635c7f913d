"""Attributes, consents and labels of a whole column at once, as the payload's codes and stored units."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cleanroom.schema.layout import attribute_column
from cleanroom.schema.model import (
    NULL_DATE,
    NULL_INT,
    UNKNOWN,
    Attribute,
    AttributeType,
    Consent,
    ConsentState,
)
from cleanroom.schema.open_values import is_open_value, refuse_special, to_fixed

Mask = NDArray[np.bool_]
_FALSE = ("false", "0", "no", "n", "f", "нет", "ложь")
_TRUE = ("true", "1", "yes", "y", "t", "да", "истина")
_DIGITS = 15
_COMPARED = 24
_UNSEEN = np.iinfo(np.uint16).max
_DATE_AND_TIME = r"^([0-9]{4}-[0-9][0-9]-[0-9][0-9])[T ][0-9]"
_INSTANT = (
    r"^(?<day>[0-9]{4}-[0-9][0-9]-[0-9][0-9])(?:[T ](?<hour>[01][0-9]|2[0-3]):(?<minute>[0-5][0-9])"
    r"(?::(?<second>[0-5][0-9])(?:[.,](?<fraction>[0-9]{1,9}))?)?(?<zone>Z|[+-][0-9][0-9]:?[0-9][0-9])?)?$"
)
_DAY_MICROSECONDS = 86_400 * 10**6


@dataclass(frozen=True)
class Encoded:
    """A column of the payload.

    Attributes:
        array: as the layout asks; null where the value is missing or bad.
        bad: rows whose value cannot be read.
        too_many: rows whose set has more values than the schema allows.
        too_long: rows whose value of an open category has more bytes than the schema allows.
    """

    array: NDArray[Any]
    bad: Mask
    too_many: Mask | None = None
    too_long: Mask | None = None


def encode_attribute(values: pl.Series, attribute: Attribute) -> Encoded:
    """Encode a column of text; null is "no value".

    Args:
        values: without blanks around them.
        attribute: what the schema says about them.
    """
    if attribute.null_values:
        values = (
            values.to_frame("v")
            .select(pl.when(~pl.col("v").is_in(list(attribute.null_values))).then("v"))
            .to_series()
        )
    if attribute.open:
        return _encode_open(values, attribute)
    if attribute.type is AttributeType.CATEGORY:
        codes = _codes(values, attribute.values)
        return Encoded(codes.astype(attribute_column(attribute).dtype), np.zeros(values.len(), dtype=bool))
    if attribute.type is AttributeType.BOOLEAN:
        return _encode_booleans(values)
    if attribute.type is AttributeType.DATE:
        return _encode_days(values, attribute.date_format)
    if attribute.type is AttributeType.SET:
        return _encode_sets(values, attribute)
    return _encode_numbers(values, scale=attribute.scale, mark=attribute.decimal_mark)


def encode_consent(values: pl.Series, consent: Consent) -> NDArray[np.uint8]:
    """Encode the states of one purpose; what is not listed, or missing, is DENIED."""
    table = {text: int(state) for text, state in consent.states().items()}
    denied = int(ConsentState.DENIED)
    return _lower_mapped(values, table, other=denied, missing=denied).astype(np.uint8)


def encode_instants(values: pl.Series) -> Encoded:
    """Encode ISO 8601 dates or instants as microseconds since 1970 in UTC; without a zone they are UTC."""
    parts = values.to_frame("v").select(pl.col("v").str.extract_groups(_INSTANT)).unnest("v")
    day = parts["day"].str.to_date("%Y-%m-%d", strict=False).to_physical().cast(pl.Int64)
    number = {name: parts[name].fill_null("0").cast(pl.Int64) for name in ("hour", "minute", "second")}
    fraction = parts["fraction"].fill_null("0").str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int64)
    zone = (
        parts["zone"]
        .fill_null("Z")
        .str.replace("Z", "+00:00", literal=True)
        .str.replace(":", "", literal=True)
    )
    sign = (zone.str.slice(0, 1) == "-").cast(pl.Int64) * -2 + 1
    offset = sign * (zone.str.slice(1, 2).cast(pl.Int64) * 60 + zone.str.slice(3, 2).cast(pl.Int64))
    seconds = number["hour"] * 3600 + (number["minute"] - offset) * 60 + number["second"]
    return _finished(day * _DAY_MICROSECONDS + seconds * 10**6 + fraction, values, NULL_INT, "<i8")


def encode_last_days(values: pl.Series) -> Encoded:
    """Encode ISO 8601 dates as days since 1970; of an instant the date counts."""
    return _encode_days(values, "%Y-%m-%d")


def encode_labels(values: pl.Series, declared: Sequence[str]) -> Encoded:
    """Encode the labels of a base; missing and undeclared ones are bad."""
    codes = _codes(values, declared)
    bad = (codes == 0) | (codes > len(declared))
    return Encoded(np.where(bad, 0, codes).astype(np.uint8), bad)


def _codes(values: pl.Series, declared: Sequence[str]) -> NDArray[np.uint16]:
    # 0 = missing, 1.. = declared, one more = other.
    other = len(declared) + 1
    table = {value: code for code, value in enumerate(declared, start=1)}
    codes = _mapped(values, table, other)
    strange = codes == other
    odd = values.filter(pl.Series(strange)).unique().to_list() if strange.any() else []
    spelled = {text: table[nfc] for text in odd if (nfc := unicodedata.normalize("NFC", text)) in table}
    return _mapped(values, table | spelled, other) if spelled else codes


def _mapped(values: pl.Series, table: dict[str, int], other: int, missing: int = 0) -> NDArray[np.uint16]:
    if len(table) > _COMPARED:
        codes = values.replace_strict(
            list(table), list(table.values()), default=other, return_dtype=pl.UInt16
        ).set(values.is_null(), missing)
    else:
        # A comparison with one text costs a fraction of looking it up.
        v, lit = pl.col("v"), partial(pl.lit, dtype=pl.UInt16)
        coded = lit(other)
        for text, code in reversed(table.items()):
            coded = pl.when(v == text).then(lit(code)).otherwise(coded)
        coded = pl.when(v.is_null()).then(lit(missing)).otherwise(coded)
        codes = values.to_frame("v").select(coded).to_series()
    return codes.to_numpy()


def _lower_mapped(
    values: pl.Series, table: dict[str, int], other: int, missing: int = 0
) -> NDArray[np.uint16]:
    lower = {text: code for text, code in table.items() if text == text.lower()}
    codes = _mapped(values, lower, _UNSEEN, missing)
    rest = np.flatnonzero(codes == _UNSEEN)
    if rest.size:
        codes = codes.copy()
        codes[rest] = _mapped(values.gather(rest).str.to_lowercase(), table, other, missing)
    return codes


def _encode_open(values: pl.Series, attribute: Attribute) -> Encoded:
    # Each distinct value is looked at once; there are few of them as a rule.
    width = attribute_column(attribute).width
    distinct = values.unique().drop_nulls()
    raw = [unicodedata.normalize("NFC", text).encode() for text in distinct.to_list()]
    long = np.array([len(value) > width for value in raw], dtype=bool)
    good = np.array([is_open_value(value) for value in raw], dtype=bool) & ~long
    bad = ~good & ~long & (np.array(raw, dtype=object) != UNKNOWN.encode())
    refuse_special(attribute.name, (value for value, fine in zip(raw, good, strict=True) if fine))
    # The last entry is "no value".
    table = to_fixed([*(value if fine else b"" for value, fine in zip(raw, good, strict=True)), b""], width)
    at = values.replace_strict(
        distinct, np.arange(len(raw)), default=len(raw), return_dtype=pl.Int64
    ).to_numpy()
    return Encoded(table[at], np.append(bad, False)[at], too_long=np.append(long, False)[at])


def _encode_booleans(values: pl.Series) -> Encoded:
    table = dict.fromkeys(_FALSE, 1) | dict.fromkeys(_TRUE, 2)
    codes = _lower_mapped(values, table, other=_UNSEEN)
    bad = codes == _UNSEEN
    return Encoded(np.where(bad, 0, codes).astype(np.uint8), bad)


def _encode_days(values: pl.Series, date_format: str) -> Encoded:
    text = values
    if date_format == "%Y-%m-%d":
        text = (
            values.to_frame("v")
            .select(pl.coalesce(pl.col("v").str.extract(_DATE_AND_TIME), pl.col("v")))
            .to_series()
        )
    days = text.str.to_date(date_format, strict=False, exact=True).to_physical()
    return _finished(days, values, NULL_DATE, "<i4")


def _encode_numbers(values: pl.Series, *, scale: int, mark: str) -> Encoded:
    whole = values.cast(pl.Int64, strict=False)
    if whole.null_count() == values.null_count() and _within(whole, 10 ** (_DIGITS - scale)):
        return _finished(whole * 10**scale, values, NULL_INT, "<i8")
    # Digits without the mark, moved by as many places as stood after it.
    places = values.str.find(mark, literal=True)
    places = (values.str.len_bytes() - places - 1).fill_null(0)
    digits = values.str.replace(mark, "", literal=True).cast(pl.Int64, strict=False)
    plain = digits.is_not_null() & (places <= scale) & ~values.str.contains(rf"^[+-]?[{mark}]")
    factors = pl.Series(10 ** np.maximum(scale - places.to_numpy().astype(np.int64), 0))
    moved = digits.set(digits.abs() >= 10**_DIGITS, None) * factors
    stored = moved.set(~plain | (moved.abs() >= 10**_DIGITS), None)
    rest = (stored.is_null() & values.is_not_null()).arg_true()
    if rest.len():
        stored = stored.scatter(rest, _odd_numbers(values.gather(rest), scale=scale, mark=mark))
    return _finished(stored, values, NULL_INT, "<i8")


def _within(numbers: pl.Series, limit: int) -> bool:
    least, most = numbers.min(), numbers.max()
    return least is None or (-limit < cast(int, least) and cast(int, most) < limit)


def _odd_numbers(values: pl.Series, *, scale: int, mark: str) -> pl.Series:
    # Digits beyond the scale may only be zeros: a number is stored exactly or not at all.
    point = "[.]" if mark == "." else ","
    pattern = rf"^([+-]?)0*([0-9]{{1,{_DIGITS - scale}}})(?:{point}([0-9]{{0,{scale}}})0*)?$"
    parts = values.to_frame("v").select(pl.col("v").str.extract_groups(pattern)).unnest("v")
    digits = parts["2"] + parts["3"].fill_null("").str.pad_end(scale, "0")
    return digits.cast(pl.Int64) * ((parts["1"] == "-").cast(pl.Int64) * -2 + 1)


def _encode_sets(values: pl.Series, attribute: Attribute) -> Encoded:
    rows = values.len()
    words = np.zeros((rows, attribute_column(attribute).width), dtype="<u8")
    pairs = (
        pl.DataFrame({"row": np.arange(rows), "v": values.str.split(attribute.separator)})
        .explode("v", empty_as_null=True, keep_nulls=True)
        .select("row", pl.col("v").str.strip_chars())
        .filter(pl.col("v").str.len_bytes() > 0)
    )
    bits = _codes(pairs["v"], attribute.values).astype(np.int64) - 1
    np.bitwise_or.at(
        words, (pairs["row"].to_numpy(), bits // 64), np.uint64(1) << (bits % 64).astype(np.uint64)
    )
    sizes = np.bitwise_count(words).sum(axis=1)
    return Encoded(words, np.zeros(rows, dtype=bool), sizes > attribute.max_values)


def _finished(stored: pl.Series, values: pl.Series, null: int, dtype: str) -> Encoded:
    if stored.null_count() == values.null_count():
        bad = np.zeros(values.len(), dtype=bool)
    else:
        bad = (stored.is_null() & values.is_not_null()).to_numpy()
    return Encoded(stored.fill_null(null).to_numpy().astype(dtype, copy=False), bad)
