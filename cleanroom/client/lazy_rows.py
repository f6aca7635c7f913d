"""Rows of typed columns, a data frame's or a Parquet file's, as batches of text columns."""

import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cleanroom.client.errors import ColumnTypeError, EmptyFileError, MissingColumnError

BATCH_ROWS = 131_072


@dataclass(frozen=True)
class RowBatch:
    """Some rows of the file, in order.

    Attributes:
        frame: the wanted columns as text, blanks around values removed, null for empty.
        rows: 1-based numbers of the rows in the file, the header not counted.
        rejected: rows that could not be read: number and reason.
        share: of the file that is read with these rows, up to 1.
    """

    frame: pl.DataFrame
    rows: NDArray[np.uint64]
    rejected: list[tuple[int, str]] = field(default_factory=list)
    share: float = 1.0


def trimmed(frame: pl.DataFrame, plain: Collection[str] = ()) -> pl.DataFrame:
    """Remove blanks around values, and make nulls of empty ones; columns known to be plain stay as they are."""
    text = pl.exclude(list(plain)).str.strip_chars()
    return (
        frame.with_columns(pl.when(text.str.len_bytes() > 0).then(text))
        if plain
        else frame.select(pl.when(text.str.len_bytes() > 0).then(text))
    )


def chosen(names: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> dict[str, int]:
    """Find the wanted columns among a file's: name to place.

    Raises:
        MissingColumnError: a required one is not there, or a wanted one is there twice.
    """
    clean = [unicodedata.normalize("NFC", name).strip() for name in names]
    missing = [name for name in required if name not in clean]
    if missing:
        raise MissingColumnError(
            f"The file lacks {len(missing)} of the schema's columns: {', '.join(missing[:20])}.",
            remedy='Correct the header or the schema, or name the column: on={"phone": "Mobile"}, --on phone=Mobile. '
            "CSV columns are separated by comma, semicolon or tab.",
        )
    wanted = [*required, *(name for name in optional if name in clean)]
    double = [name for name in wanted if clean.count(name) > 1]
    if double:
        raise MissingColumnError(
            f"The file has a column of the schema twice: {', '.join(double[:20])}.",
            remedy="Rename one of them.",
        )
    return {name: clean.index(name) for name in wanted}


def as_text(
    schema: pl.Schema, required: Sequence[str], optional: Sequence[str], separators: Mapping[str, str]
) -> list[pl.Expr]:
    """Write the wanted columns as the text that a CSV file would hold.

    Raises:
        MissingColumnError: see `chosen`.
        ColumnTypeError: a column is no plain value.
    """
    names = schema.names()
    return [
        _as_text(name, names[index], schema[names[index]], separators.get(name))
        for name, index in chosen(names, required, optional).items()
    ]


def read_frame(
    frame: pl.DataFrame,
    *,
    required: Sequence[str],
    optional: Sequence[str] = (),
    list_separators: Mapping[str, str] | None = None,
) -> Iterator[RowBatch]:
    """Read the columns that a schema names from a data frame, as `read_rows` reads them from a file.

    Raises:
        FileError: a column is missing or has no plain type, or there is no row; subclasses say which.
    """
    text = as_text(frame.schema, required, optional, list_separators or {})
    yield from batches(
        (part.select(text) for part in frame.iter_slices(BATCH_ROWS)), total=frame.height, what="data"
    )


def batches(frames: Iterator[pl.DataFrame], *, total: int, what: str) -> Iterator[RowBatch]:
    """Number the rows of frames of text; raises EmptyFileError when there is none."""
    next_row = 1
    for frame in frames:
        rows = np.arange(next_row, next_row + frame.height, dtype=np.uint64)
        next_row += frame.height
        if frame.height:
            yield RowBatch(trimmed(frame), rows, share=(next_row - 1) / total)
    if next_row == 1:
        raise EmptyFileError(f"The {what} has no data row.", remedy="It needs at least one.")


def _as_text(name: str, column: str, dtype: pl.DataType, separator: str | None) -> pl.Expr:
    value = pl.col(column)
    if isinstance(dtype, pl.List) and separator is not None:
        text = value.cast(pl.List(pl.String)).list.join(separator)
    elif dtype.is_float():
        # Whole numbers that were widened because some are missing.
        whole = (value == value.round()) & (value.abs() < 10**15)
        text = (
            pl.when(whole)
            .then(value.cast(pl.Int64, strict=False).cast(pl.String))
            .otherwise(value.cast(pl.String))
        )
    elif isinstance(dtype, pl.Datetime):
        utc = value.dt.convert_time_zone("UTC") if dtype.time_zone else value
        text = utc.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
    elif dtype.is_nested() or dtype in (pl.Binary, pl.Object):
        raise ColumnTypeError(
            f"Column {name} is not text, a number, a truth value, a date or a list.", remedy="Convert it."
        )
    else:
        text = value.cast(pl.String)
    return text.alias(name)
