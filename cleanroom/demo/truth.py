"""What a perfect observer of both plain files would count: the yardstick beside the demo's noisy figures.

Written apart from the room, straightforwardly, in polars on the plain text, with the room's documented
rules: a row without a valid key or with an unreadable value is out; a person is one customer_id, its
last row's values and all its rows' keys; the strictest consent wins; a key value held by more than five
persons is ignored; a person is matched when any own key is in the base, and counts at the first such key
and at the first declared label. It serves made-up files only: nobody in a real room can have this.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

_MOST_HOLDERS = 5
_GRANTED = ("yes", "confirmed")
_LABELS = ("vip", "active", "lapsed")
_DECLARED_BANDS = {
    "age": (18, 25, 35, 45, 60),
    "tenure_months": (6, 12, 24, 60),
    "churn_score": (20, 40, 60, 80),
}
_NUMBERS = {"age": pl.Int64, "tenure_months": pl.Int64, "spend": pl.Float64, "churn_score": pl.Int64}
_COMPARISONS: dict[str, Callable[[pl.Expr, Any], pl.Expr]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Truth:
    """Exact counts by the names of the released figures, and who is behind the overlap.

    Attributes:
        counts: persons by figure: `overlap`, `label:vip`, `key:email/room`, `segment:NAME`,
            `breakdown:sex=F,age=25-34`; and over everybody with consent, matched or not, `dataset`,
            `dataset:segment:NAME` and so on.
        matched: the matched persons with consent: `customer_id`, normalised `email` and `phone`, and whether
            one of their identifiers is `shared` with somebody else.
    """

    counts: Mapping[str, int]
    matched: pl.DataFrame


def true_counts(
    provider: Path,
    base: Path,
    *,
    segments: Mapping[str, Mapping[str, Any]],
    breakdowns: Sequence[Sequence[str]] = (),
    withdrawn: Sequence[str] = (),
) -> Truth:
    """Count in the plain files.

    Args:
        provider: the provider's CSV file, as `population` writes it.
        base: the advertiser's CSV file, as `population` writes it.
        segments: name to condition, as in the segments file.
        breakdowns: lists of attributes to count by; category and banded attributes.
        withdrawn: customer_ids whose consent has been withdrawn since.

    Returns:
        Exact counts and the matched persons.
    """
    rows = _provider_rows(provider)
    persons = _persons(rows, withdrawn)
    keys = _keys(rows)
    hits = _hits(_without_junk(keys), _base_keys(base))
    consented = persons.filter("consented").join(hits, on="customer_id", how="left")
    matched = consented.filter(pl.col("first_key").is_not_null())
    counts: dict[str, int] = {}
    for prefix, people in (("", matched), ("dataset:", consented)):
        counts[prefix + "overlap" if not prefix else "dataset"] = people.height
        for name, condition in segments.items():
            counts[f"{prefix}segment:{name}"] = people.select(_expression(condition).sum()).item()
        for attributes in breakdowns:
            for row in people.group_by([_cell(name).alias(name) for name in attributes]).len().iter_rows():
                cell = ",".join(f"{name}={value}" for name, value in zip(attributes, row[:-1], strict=True))
                counts[f"{prefix}breakdown:{cell}"] = row[-1]
    for key in ("email", "phone"):
        counts[f"key:{key}/room"] = matched.filter(first_key=key).height
    for place, label in enumerate(_LABELS):
        counts[f"label:{label}"] = matched.filter(first_label=place).height
    shared = pl.col("customer_id").is_in(_sharing(keys).implode()).alias("shared")
    return Truth(counts, matched.select("customer_id", "email", "phone", shared).sort("customer_id"))


def _provider_rows(path: Path) -> pl.DataFrame:
    frame = pl.read_csv(path, infer_schema=False).drop("full_name").with_row_index("row")
    numbers = _NUMBERS.items()
    readable = [
        pl.col(name).is_null() | pl.col(name).cast(kind, strict=False).is_not_null() for name, kind in numbers
    ]
    frame = frame.filter(pl.all_horizontal(readable), pl.col("customer_id").is_not_null())
    frame = frame.with_columns(_email("email"), _phone("phone"), _phone("phone2"))
    frame = frame.filter(~pl.all_horizontal(pl.col("email", "phone", "phone2").is_null()))
    return frame.with_columns(pl.col(name).cast(kind) for name, kind in numbers)


def _persons(rows: pl.DataFrame, withdrawn: Sequence[str]) -> pl.DataFrame:
    agreed = rows.group_by("customer_id").agg(consented=pl.col("ads_consent").is_in(_GRANTED).all())
    last = rows.sort("row").unique("customer_id", keep="last")
    gone = pl.col("customer_id").is_in(list(withdrawn))
    return last.join(agreed, on="customer_id").with_columns(pl.col("consented") & ~gone)


def _keys(rows: pl.DataFrame) -> pl.DataFrame:
    columns = {"email": "email", "phone": "phone", "phone2": "phone"}
    return pl.concat(
        rows.select("customer_id", key=pl.lit(key), value=column).drop_nulls()
        for column, key in columns.items()
    ).unique()


def _without_junk(keys: pl.DataFrame) -> pl.DataFrame:
    junk = keys.group_by("key", "value").len().filter(pl.col("len") > _MOST_HOLDERS)
    return keys.join(junk, on=("key", "value"), how="anti")


def _sharing(keys: pl.DataFrame) -> pl.Series:
    shared = keys.group_by("key", "value").len().filter(pl.col("len") > 1)
    return keys.join(shared, on=("key", "value"), how="semi")["customer_id"].unique()


def _base_keys(path: Path) -> pl.DataFrame:
    frame = pl.read_csv(path, separator=";", infer_schema=False).filter(pl.col("status").is_in(_LABELS))
    frame = frame.select(
        email=_email("e_mail"), phone=_phone("mobile"),
        label=pl.col("status").replace_strict(_LABELS, range(len(_LABELS)), return_dtype=pl.Int8),
    )  # fmt: skip
    return frame.unpivot(on=("email", "phone"), index="label", variable_name="key").drop_nulls("value")


def _hits(provider: pl.DataFrame, base: pl.DataFrame) -> pl.DataFrame:
    best = base.group_by("key", "value").agg(label=pl.col("label").min())
    joined = provider.join(best, on=("key", "value"))
    # "email" sorts before "phone", which is also the declared order of the keys.
    return joined.group_by("customer_id").agg(
        first_key=pl.col("key").min(), first_label=pl.col("label").min()
    )


def _email(column: str) -> pl.Expr:
    text = pl.col(column).str.strip_chars().str.to_lowercase()
    local, domain = text.str.extract(r"^([^@]+)@"), text.str.extract(r"@(.+)$")
    google = domain.is_in(["gmail.com", "googlemail.com"])
    folded = local.str.replace(r"\+.*$", "").str.replace_all(".", "", literal=True) + "@" + domain
    return pl.when(google).then(folded).otherwise(local + "@" + domain).alias(column)


def _phone(column: str) -> pl.Expr:
    digits = pl.col(column).str.replace_all(r"\D", "")
    return pl.when(digits.str.contains(r"^[78]\d{10}$")).then("7" + digits.str.slice(1)).alias(column)


def _cell(name: str) -> pl.Expr:
    bands = _DECLARED_BANDS.get(name)
    if bands is None:
        return pl.col(name).fill_null("unknown")
    labels = [
        f"<{bands[0]}",
        *(f"{low}-{high - 1}" for low, high in pairwise(bands)),
        f"{bands[-1]}+",
    ]
    place = pl.sum_horizontal((pl.col(name) >= edge).cast(pl.Int8) for edge in bands)
    return (
        pl.when(pl.col(name).is_not_null())
        .then(place.replace_strict(range(len(labels)), labels, return_dtype=pl.String))
        .otherwise(pl.lit("unknown"))
    )


def _expression(condition: Mapping[str, Any]) -> pl.Expr:
    if "all" in condition:
        return pl.all_horizontal([_expression(item) for item in condition["all"]])
    if "any" in condition:
        return pl.any_horizontal([_expression(item) for item in condition["any"]])
    if "not" in condition:
        return ~_expression(condition["not"])
    # A comparison with nothing is false, so its negation is true.
    return _leaf(pl.col(condition["attribute"]), condition["op"], condition.get("value")).fill_null(
        value=False
    )


def _leaf(column: pl.Expr, op: str, value: Any) -> pl.Expr:
    if op in _COMPARISONS:
        return _COMPARISONS[op](column, value)
    found: dict[str, Callable[[], pl.Expr]] = {
        "between": lambda: column.is_between(*value),
        "in": lambda: column.is_in(value),
        "not_in": lambda: ~column.is_in(value),
        "is_null": column.is_null,
        "not_null": column.is_not_null,
        "has_any": lambda: column.str.split("|").list.set_intersection(pl.lit(value)).list.len() > 0,
    }
    return found[op]()
