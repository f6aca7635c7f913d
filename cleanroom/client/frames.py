"""Data frames of every kind as polars frames, with the columns that are needed and nothing else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from cleanroom.client.errors import FileError

_NUMBERS = "iufb"


def as_source(data: Any, columns: Sequence[str] | None = None) -> Path | pl.DataFrame:
    """Take whatever holds rows.

    Args:
        data: the path of a CSV or Parquet file; or a pandas or polars frame, or anything that speaks Arrow's
            PyCapsule interface.
        columns: those that will be read; a frame's others are left out where that saves a copy. None for all.

    Raises:
        FileError: it is none of these.
    """
    if isinstance(data, str | Path):
        return Path(data)
    if isinstance(data, pl.LazyFrame):
        data = data.collect()
    if isinstance(data, pl.DataFrame):
        return data
    if _is_pandas(data):
        return _from_pandas(data, columns)
    if hasattr(data, "__arrow_c_stream__"):
        return pl.DataFrame(data)
    raise FileError(
        "The data is neither a file nor a data frame.",
        remedy="Give a path, or a frame of pandas, polars or Arrow.",
    )


def _is_pandas(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "pandas" and hasattr(data, "columns")


def _from_pandas(frame: Any, columns: Sequence[str] | None) -> pl.DataFrame:
    wanted = [name for name in frame.columns if columns is None or str(name) in columns]
    # By column and without Arrow: pandas can do without pyarrow, and its columns may hold values of several types.
    return pl.DataFrame([_series(str(name), frame[name]) for name in wanted])


def _series(name: str, column: Any) -> pl.Series:
    kind = getattr(column.dtype, "kind", "O")
    if kind in _NUMBERS and type(column.dtype).__module__.partition(".")[0] == "numpy":
        return pl.Series(name, column.to_numpy(), nan_to_null=True)
    values = [None if missing else value for value, missing in zip(column, column.isna(), strict=True)]
    if kind == "M":
        return pl.Series(name, [None if value is None else value.to_pydatetime() for value in values])
    if all(isinstance(value, list | tuple) for value in values if value is not None):
        return pl.Series(name, values, strict=False)
    return pl.Series(name, [_text(value) for value in values], dtype=pl.String)


def _text(value: object) -> str | None:
    # Mixed columns hold whole numbers as floats when some are missing.
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return None if value is None else str(value)
