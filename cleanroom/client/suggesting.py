"""Proposes a schema for a file, on its owner's machine and from the file alone; people look it over."""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

import polars as pl

from cleanroom.client.errors import EmptyFileError, FileError
from cleanroom.client.readers import SEPARATORS
from cleanroom.client.text_source import utf8_blocks
from cleanroom.schema.categories import is_identifying_name, is_special_name, is_special_value
from cleanroom.schema.codec import DATE_FORMATS
from cleanroom.schema.naming import CONSENT_NAME, IDENTIFIER_NAMES, PERSON_NAME

SAMPLE_ROWS = 200_000
MOST_VALUES = 50
USUAL_SCALE = 2
LEAST_ROWS = 5
"""A value in fewer rows of the sample is not proposed: it may say too much about somebody."""
_SAMPLE_BLOCKS = 8
_MOSTLY = 0.9
_PARQUET_MAGIC = b"PAR1"

_CONTENTS = {
    "email": r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    "maid": r"^[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$",
    "phone": r"^\+?[\d\s()\-.]{10,20}$",
}
_GRANTED = ("yes", "true", "1", "granted", "y", "да", "opt-in", "optin")
_WITHDRAWN = ("withdrawn", "stop", "revoked", "отозвано")
_TRUTHS = ({"true", "false"}, {"yes", "no"}, {"0", "1"}, {"y", "n"})
_NAME = re.compile(r"[^\w]+")
_NUMBERS = (
    (r"^-?\d{1,15}$", ".", "integer"),
    (r"^-?\d{1,12}(\.\d{1,9})?$", ".", "decimal"),
    (r"^-?\d{1,12}(,\d{1,9})?$", ",", 'decimal, decimal_mark: ","'),
)


@dataclass(frozen=True)
class _Column:
    name: str
    values: pl.Series

    def share(self, pattern: str) -> float:
        return float(self.values.str.contains(pattern).mean() or 0.0)  # type: ignore[arg-type]

    def counts(self) -> list[tuple[str, int]]:
        found = self.values.value_counts(sort=True).head(5 * MOST_VALUES)
        # The same file gives the same proposal: equally frequent values go by name.
        return sorted(((str(value), int(count)) for value, count in found.iter_rows()), key=_by_frequency)


def suggest_schema(path: Path) -> str:
    """Propose a schema as commented YAML; `schema_from_yaml` reads it.

    Args:
        path: CSV or Parquet; at most the first 200,000 rows are looked at.

    Returns:
        The YAML. Columns that it leaves out are named in comments, with the reason.

    Raises:
        FileError: the file cannot be read, or no column can be a match key.
    """
    frame = _sample(path)
    columns = [_Column(name, frame[name].drop_nulls()) for name in frame.columns]
    keys: dict[str, list[str]] = {}
    person: str | None = None
    consent: list[str] = []
    attributes: list[str] = []
    left_out: list[str] = []
    for column in columns:
        kind = _identifier(column)
        if column.values.is_empty():
            left_out.append(f"# {_text(column.name)}: empty in the rows looked at")
        elif person is None and PERSON_NAME.match(column.name):
            person = column.name
        elif kind is not None:
            keys.setdefault(kind, []).append(column.name)
        elif CONSENT_NAME.search(column.name) and not consent:
            consent = _consent(column)
        else:
            lines, reason = _attribute(column)
            attributes += lines
            left_out += [f"# {_text(column.name)}: {reason}"] if reason else []
    if not keys:
        raise FileError(
            "No column looks like an e-mail, a phone or another identifier.",
            remedy="Write the schema by hand.",
        )
    return "\n".join(_written(person, keys, attributes, consent, left_out)) + "\n"


def _written(
    person: str | None,
    keys: dict[str, list[str]],
    attributes: list[str],
    consent: list[str],
    left_out: list[str],
) -> Iterator[str]:
    yield "# Proposed from the file. Look over every line: what a column means, only its owner knows."
    if person is not None:
        yield "# CHECK: rows with the same value here are one person."
        yield f"person_id: {{column: {_text(person)}}}"
    yield "match_keys:"
    for kind, names in keys.items():
        listed = ", ".join(map(_text, names))
        region = ", default_region: RU" if kind == "phone" else ""
        if region:
            yield "  # CHECK: the country of numbers that are written without one."
        yield f"  {kind}: {{columns: [{listed}]{region}}}"
    if attributes:
        yield "attributes:"
        yield "  # CHECK: remove what buyers do not need; rare values become `other`."
        yield from attributes
    yield "# CHECK: why you may process these data."
    yield "lawful_basis: consent"
    if consent:
        yield from consent
    else:
        yield "# CHECK: no column looks like a consent. A base needs none; of a dataset nobody is counted without:"
        yield "# consent:"
        yield '#   advertising: {column: ads, granted: ["yes"], withdrawn: ["stop"]}'
    if left_out:
        yield "# Left out:"
        yield from left_out


def _identifier(column: _Column) -> str | None:
    for kind in ("email", "maid"):
        if column.share(_CONTENTS[kind]) >= _MOSTLY:
            return kind
    if IDENTIFIER_NAMES["phone"].search(column.name) and column.share(_CONTENTS["phone"]) > 0.5:
        return "phone"
    return next(
        (kind for kind in ("cookie", "loyalty_id") if IDENTIFIER_NAMES[kind].search(column.name)), None
    )


def _consent(column: _Column) -> list[str]:
    found = [value for value, _ in column.counts()]
    granted = [value for value in found if value.lower() in _GRANTED]
    withdrawn = [value for value in found if value.lower() in _WITHDRAWN]
    listed = f"granted: [{', '.join(map(_text, granted))}]"
    if withdrawn:
        listed += f", withdrawn: [{', '.join(map(_text, withdrawn))}]"
    return [
        "consent:",
        "  # CHECK: the purpose, and which values mean a consent; all others are a denial.",
        f"  advertising: {{column: {_text(column.name)}, {listed}}}",
    ]


def _attribute(column: _Column) -> tuple[list[str], str]:
    """Return the lines of an attribute, or why there is none."""
    if is_special_name(column.name):
        return [], "a special category of personal data is refused"
    if is_identifying_name(column.name):
        return [], "it identifies a person directly"
    counts = column.counts()
    if _is_numbering(column):
        return [], "a number of its own in every row: it identifies a person"
    typed = _type(column, counts)
    if typed is None:
        return [], "too many different values; `{type: category, open: true}` keeps them as they come"
    if any(is_special_value(value) for value, _ in counts[:MOST_VALUES]):
        return [], "its values are a special category of personal data, which is refused"
    name = _NAME.sub("_", column.name).strip("_") or "attribute"
    where = "" if name == column.name else f", column: {_text(column.name)}"
    return [f"  {_text(name)}: {{type: {typed}{where}}}"], ""


def _is_numbering(column: _Column) -> bool:
    whole = column.share(r"^\d{1,18}$") == 1.0
    return whole and len(column.values) >= LEAST_ROWS and column.values.n_unique() == len(column.values)


def _type(column: _Column, counts: list[tuple[str, int]]) -> str | None:
    distinct = {value.lower() for value, _ in counts}
    if len(distinct) == 2 and distinct in _TRUTHS:
        return "boolean"
    if (form := _date_format(column)) is not None:
        return f"date, date_format: {_text(form)}"
    if (number := next((one for one in _NUMBERS if column.share(one[0]) == 1.0), None)) is not None:
        return _number(column, *number[1:])
    common = [value for value, count in counts if count >= LEAST_ROWS and "|" not in value]
    if any("|" in value for value, _ in counts):
        return _set(counts)
    if not common or len(common) > MOST_VALUES or sum(n for _, n in counts) < _MOSTLY * len(column.values):
        return None
    return f"category, values: [{', '.join(map(_text, common))}]"


def _number(column: _Column, mark: str, kind: str) -> str | None:
    bands, places = _bands(column, mark), _places(column, mark)
    # Three digits after every comma may as well be thousands.
    if not bands or (mark == "," and places == {3}):
        return None
    scale = f", scale: {max(places)}" if kind.startswith("decimal") and max(places) > USUAL_SCALE else ""
    return f"{kind}{scale}, bands: [{', '.join(bands)}]"


def _places(column: _Column, mark: str) -> set[int]:
    """Return how many digits stand after the mark, where there is one; {0} if nowhere."""
    after = column.values.str.split_exact(mark, 1).struct.field("field_1").drop_nulls()
    return set(after.str.len_chars().unique().to_list()) or {0}


def _set(counts: list[tuple[str, int]]) -> str | None:
    members: dict[str, int] = {}
    for value, count in counts:
        for member in value.split("|"):
            members[member.strip()] = members.get(member.strip(), 0) + count
    common = [member for member, count in members.items() if member and count >= LEAST_ROWS]
    if not common or len(common) > MOST_VALUES:
        return None
    most = min(len(common), max(value.count("|") + 1 for value, _ in counts))
    return f"set, values: [{', '.join(map(_text, common))}], max_values: {most}"


def _date_format(column: _Column) -> str | None:
    first = column.values.head(200).to_list()
    for form in DATE_FORMATS:
        try:
            years = [datetime.strptime(value, form).year for value in first]  # noqa: DTZ007 - days have no zone
        except ValueError:
            continue
        if all(1900 <= year <= 2100 for year in years):
            return form
    return None


def _bands(column: _Column, mark: str) -> list[str]:
    """Cut a number into about five groups of like size, at round edges."""
    numbers = column.values.str.replace(mark, ".", literal=True).cast(pl.Float64)
    edges = sorted({_rounded(float(numbers.quantile(part) or 0.0)) for part in (0.2, 0.4, 0.6, 0.8)})
    lowest = float(numbers.min() or 0.0)  # type: ignore[arg-type]
    return [f"{edge:g}" if edge % 1 else str(int(edge)) for edge in edges if edge > lowest]


def _rounded(number: float) -> float:
    size = 5 if abs(number) >= 20 else 1
    while abs(number) >= 40 * size:
        size *= 10
    return float(round(number / size) * size)


def _sample(path: Path) -> pl.DataFrame:
    try:
        with path.open("rb") as file:
            if file.read(4) == _PARQUET_MAGIC:
                frame = pl.scan_parquet(path).head(SAMPLE_ROWS).collect()
                plain = [name for name, dtype in frame.schema.items() if not dtype.is_nested()]
                return frame.select(pl.col(name).cast(pl.String, strict=False) for name in plain)
            file.seek(0)
            data = b"".join(islice(utf8_blocks(file), _SAMPLE_BLOCKS))
    except (OSError, pl.exceptions.PolarsError):
        raise FileError("The file cannot be read.", remedy="Check its path and content.") from None
    whole, newline, _ = data.rpartition(b"\n")
    header = (whole or data).split(b"\n", 1)[0].decode().rstrip("\r")
    separator = max(SEPARATORS, key=lambda one: len(next(csv.reader([header], delimiter=one), [])))
    try:
        frame = pl.read_csv(
            whole + newline or data,
            separator=separator,
            infer_schema=False,
            n_rows=SAMPLE_ROWS,
            truncate_ragged_lines=True,
        )
    except pl.exceptions.PolarsError:
        raise FileError("The file cannot be read as CSV.", remedy="Correct its header and quotes.") from None
    if not frame.height:
        raise EmptyFileError(
            "The file has no data row.", remedy="It needs a header and at least one data row."
        )
    text = pl.all().str.strip_chars()
    return frame.select(pl.when(text.str.len_bytes() > 0).then(text))


def _by_frequency(counted: tuple[str, int]) -> tuple[int, str]:
    return -counted[1], counted[0]


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
