from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from cleanroom.client.errors import EmptyFileError, FileError, MissingColumnError
from cleanroom.client.frames import as_source
from cleanroom.client.lazy_rows import read_frame

WHOLE = [79161234567, 79161234568]


class Capsule:
    """Speaks Arrow's PyCapsule interface, and nothing else."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


def texts(data: Any, column: str = "phone") -> list[str | None]:
    source = as_source(data, [column])
    assert isinstance(source, pl.DataFrame)
    return [text for batch in read_frame(source, required=[column]) for text in batch.frame[column]]


@pytest.mark.parametrize(
    "data",
    [
        pl.DataFrame({"phone": WHOLE}),
        pl.LazyFrame({"phone": WHOLE}),
        Capsule(pl.DataFrame({"phone": WHOLE})),
        pd.DataFrame({"phone": WHOLE}),
        pd.DataFrame({"phone": [float(number) for number in WHOLE]}),
        pd.DataFrame({"phone": pd.array(WHOLE, dtype="Int64")}),
        pd.DataFrame({"phone": [WHOLE[0], str(WHOLE[1])]}),
        pd.DataFrame({"phone": pd.Categorical([str(number) for number in WHOLE])}),
    ],
)
def test_every_frame_gives_the_same_text(data: Any) -> None:
    assert texts(data) == [str(number) for number in WHOLE]


def test_missing_values_of_pandas_are_empty() -> None:
    assert texts(pd.DataFrame({"phone": [79161234567.0, None]})) == ["79161234567", None]
    assert texts(pd.DataFrame({"phone": [" a ", None]})) == ["a", None]
    when = pd.DataFrame({"phone": [datetime(2026, 1, 2), None]})
    assert texts(when) == ["2026-01-02T00:00:00.000000", None]


def test_columns_that_are_not_needed_are_not_taken() -> None:
    source = as_source(pd.DataFrame({"phone": ["1"], "name": ["x"]}), ["phone"])
    assert isinstance(source, pl.DataFrame)
    assert source.columns == ["phone"]


def test_what_is_no_data_is_told() -> None:
    with pytest.raises(FileError, match="neither"):
        as_source([1, 2])
    assert as_source("x.csv") == Path("x.csv")
    with pytest.raises(MissingColumnError):
        texts(pl.DataFrame({"mail": ["x"]}))
    with pytest.raises(EmptyFileError):
        texts(pl.DataFrame({"phone": []}, schema={"phone": pl.String}))
