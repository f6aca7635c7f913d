"""Phone numbers of a whole column, by libphonenumber's own patterns and polars' engine for them.

Only what these patterns decide beyond doubt is decided here: the number follows its country's code or the
default region's national prefix, no other prefix could be meant, and the first region that could own it takes
it. Everything else, and every number that is not valid, is left to libphonenumber itself.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import phonenumbers
import polars as pl

from crypto.normalise import MAX_PHONE_CHARACTERS

# A number begins at the first plus or digit; a semicolon could name its country before that.
_START = r"[+\uff0b\d]"
_BEFORE = r"^[^+\uff0b\d;]+"
# Digits with the marks that libphonenumber skips: blanks, brackets, dots, dashes.
_MARKS = "[ \u00a0().\u2010-\u2015-]"
_WRITTEN = rf"^\+?(?:{_MARKS}*[0-9])+{_MARKS}*$"
# Patterns are long; few numbers are faster one by one.
_FEWEST = 16
_NEVER = "[^\\s\\S]"
_TYPES = (
    "mobile",
    "fixed_line",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)


@dataclass(frozen=True)
class _Numbers:
    """Numbers of one kind: their pattern, and their lengths when the pattern alone does not say."""

    pattern: str
    lengths: tuple[int, ...]

    def has(self, numbers: pl.Series) -> pl.Series:
        found = numbers.str.contains(self.pattern)
        return found & numbers.str.len_bytes().is_in(list(self.lengths)) if self.lengths else found


@dataclass(frozen=True)
class _Region:
    """What libphonenumber knows about a region.

    Attributes:
        code: country code.
        leading: how its national numbers begin, where it shares its code with others.
        every: all its numbers.
        kinds: mobile, fixed and the others; a number is valid when it is also one of these.
        strips: what may be taken off the beginning of a national number.
        abroad: how numbers of other countries are dialled.
        dials_abroad: that prefix, when there is but one.
        prefix: the national prefix, when it is simply put before the number.
        transforms: whether more happens to a national number than losing a prefix.
    """

    code: str
    leading: str | None
    every: _Numbers
    kinds: tuple[_Numbers, ...]
    strips: str
    abroad: str
    dials_abroad: str | None
    prefix: str | None
    transforms: bool

    def has(self, numbers: pl.Series) -> pl.Series:
        """Tell which national numbers are valid here."""
        return self.every.has(numbers) & self._some_kind(numbers)

    def _some_kind(self, numbers: pl.Series) -> pl.Series:
        found = self.kinds[0].has(numbers)
        for kind in self.kinds[1:]:
            if found.all():
                break
            found |= kind.has(numbers)
        return found


@dataclass(frozen=True)
class Phones:
    """A column of phone numbers, as far as patterns decide.

    Attributes:
        numbers: in E.164 with the `+`; null where there is none.
        open: positions of values that libphonenumber has to be asked about.
    """

    numbers: pl.Series
    open: pl.Series


def e164_column(values: pl.Series, *, default_region: str | None) -> Phones:
    """Normalise phone numbers.

    Args:
        values: text without blanks around it; null where there is none.
        default_region: of numbers without a country.
    """
    mobiles = _usual_mobiles(default_region)
    if mobiles is None:
        done = pl.repeat(None, values.len(), dtype=pl.String, eager=True)
    else:
        code, pattern, digits = mobiles
        v, usual = pl.col("v"), values.str.contains(pattern)
        if usual.all() and values.str.starts_with("+").all():
            return Phones(values, pl.Series(dtype=pl.UInt32))
        written = pl.when("usual").then(pl.lit(f"+{code}") + v.str.tail(digits))
        done = pl.DataFrame({"v": values, "usual": usual}).select(written).to_series()
    rest = (done.is_null() & values.is_not_null()).arg_true()
    if not rest.len():
        return Phones(done, rest)
    others = _by_patterns(values.gather(rest), default_region)
    return Phones(done.scatter(rest, others.numbers), rest.gather(others.open))


@lru_cache(maxsize=256)
def _usual_mobiles(name: str | None) -> tuple[str, str, int] | None:
    # One expression for what most files hold: mobile numbers of one length, without marks.
    metadata, region = _metadata(name), _region(name)
    if metadata is None or region is None or region.prefix is None or metadata.mobile is None:
        return None
    lengths = metadata.mobile.possible_length or metadata.general_desc.possible_length
    if len(lengths) != 1 or not metadata.mobile.national_number_pattern:
        return None
    number = _pattern(metadata.mobile.national_number_pattern)
    return region.code, rf"^(?:\+{region.code}|{region.prefix})?(?:{number})$", lengths[0]


def _by_patterns(values: pl.Series, default_region: str | None) -> Phones:
    v, number = pl.col("v"), pl.col("number")
    numbers = (
        values.to_frame("v")
        .with_row_index()
        .filter(v.str.len_bytes() <= MAX_PHONE_CHARACTERS)
        .with_columns(v.str.replace(_BEFORE, ""))
        .filter(v.str.contains(_WRITTEN))
        .select("index", number=v.str.replace_all(_MARKS, ""))
    )
    plus, national = number.str.starts_with("+"), []
    abroad, with_country = plus, number.str.slice(1)
    region = _region(default_region)
    if region is not None and not region.transforms:
        home = ~plus & ~number.str.contains(region.abroad)
        national = [_national(numbers.filter(home), region)]
        if region.dials_abroad:
            abroad = plus | number.str.starts_with(region.dials_abroad)
            dialled = number.str.slice(len(region.dials_abroad))
            with_country = pl.when(plus).then(with_country).otherwise(dialled)
    parts = [_international(numbers.filter(abroad).with_columns(with_country)), *national]
    found = pl.repeat(None, values.len(), dtype=pl.String, eager=True)
    still_open = values.str.contains(_START).to_numpy().copy()
    for (code,), group in pl.concat(parts).group_by("code"):
        if group.height >= _FEWEST:
            clear, valid = _owned(str(code), group["number"])
            owned = group.filter(valid)
            found = found.scatter(owned["index"], f"+{code}" + owned["number"])
            still_open[group.filter(clear)["index"].to_numpy()] = False
    return Phones(found, pl.Series(np.flatnonzero(still_open)))


def _international(numbers: pl.DataFrame) -> pl.DataFrame:
    # Country codes are prefix-free, so three digits tell them.
    code = pl.col("number").str.head(3).replace_strict(_codes_by_head(), default=None, return_dtype=pl.String)
    return (
        numbers.with_columns(code=code)
        .drop_nulls("code")
        .with_columns(pl.col("number").str.slice(pl.col("code").str.len_bytes().cast(pl.Int64)))
    )


def _national(numbers: pl.DataFrame, region: _Region) -> pl.DataFrame:
    number, every = pl.col("number"), region.every.pattern
    with_code, after_code = number.str.starts_with(region.code), number.str.slice(len(region.code))
    with_prefix, after_prefix = number.str.contains(region.strips), number.str.replace(region.strips, "")
    bare = pl.when(with_code).then(after_code).when(with_prefix).then(after_prefix).otherwise(number)
    # Code or prefix are such only where the number is none of the region's with it (and is one without the code).
    doubtful = (with_code | with_prefix) & number.str.contains(every)
    doubtful |= (with_code & ~after_code.str.contains(every)) | bare.str.contains(region.strips)
    return numbers.filter(~doubtful).with_columns(bare, code=pl.lit(region.code))


def _owned(code: str, numbers: pl.Series) -> tuple[pl.Series, pl.Series]:
    # As libphonenumber looks for the region of a number: by its first digits where the region has such, else
    # by all of its patterns. Prefixes come off by the rules of the main region, so none may be there.
    regions = [_region(name) for name in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(code)]]
    main = regions[0]
    valid = pl.repeat(False, numbers.len(), eager=True)
    if main is None:
        return valid, valid
    clear = ~numbers.str.contains(main.strips)
    left = clear
    for region in regions:
        if region is None or not left.any():
            break
        mine = numbers.str.contains(region.leading) if region.leading else region.has(numbers)
        valid |= left & (region.has(numbers) if region.leading else mine)
        left &= ~mine
    return clear, valid


@lru_cache(maxsize=1)
def _codes_by_head() -> dict[str, str]:
    codes = {
        str(code) for code, names in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items() if names != ("001",)
    }
    heads = (str(head) for head in range(100, 1000))
    return {head: head[:size] for head in heads for size in (1, 2, 3) if head[:size] in codes}


def _metadata(name: str | None) -> Any:
    return phonenumbers.PhoneMetadata.metadata_for_region(name, None) if name else None


@lru_cache(maxsize=512)
def _region(name: str | None) -> _Region | None:
    metadata = _metadata(name)
    if metadata is None:
        return None
    kinds = dict.fromkeys(
        _Numbers(_whole(desc), tuple(desc.possible_length))
        for desc in (getattr(metadata, kind) for kind in _TYPES)
        if desc is not None and desc.national_number_pattern
    )
    prefix, abroad = metadata.national_prefix or "", metadata.international_prefix or ""
    transforms = bool(metadata.national_prefix_transform_rule)
    simple = metadata.national_prefix_for_parsing in (None, prefix) and not transforms
    return _Region(
        code=str(metadata.country_code),
        leading=f"^(?:{_pattern(metadata.leading_digits)})" if metadata.leading_digits else None,
        every=_Numbers(_whole(metadata.general_desc), tuple(metadata.general_desc.possible_length)),
        kinds=tuple(kinds),
        strips=_beginning(metadata.national_prefix_for_parsing),
        abroad=_beginning(metadata.international_prefix),
        dials_abroad=abroad if abroad.isdigit() else None,
        prefix=prefix if simple else None,
        transforms=transforms,
    )


def _whole(desc: Any) -> str:
    return f"^(?:{_pattern(desc.national_number_pattern)})$"


def _beginning(pattern: str | None) -> str:
    return f"^(?:{_pattern(pattern)})" if pattern else _NEVER


def _pattern(pattern: str) -> str:
    # ASCII digits only, and no groups: polars' engine need not remember them.
    return re.sub(r"\((?!\?)", "(?:", re.sub(r"\s", "", pattern).replace(r"\d", "[0-9]"))
