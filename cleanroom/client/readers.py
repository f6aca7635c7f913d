"""Rows of a CSV or Parquet file as batches of text columns, in bounded memory."""

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import polars as pl

from cleanroom.client.errors import (
    DamagedFileError,
    EmptyFileError,
    FileError,
    RaggedFileError,
    UnclosedQuoteError,
)
from cleanroom.client.lazy_rows import BATCH_ROWS, RowBatch, as_text, batches, chosen, trimmed
from cleanroom.client.records import check_records, find_records, line_too_long
from cleanroom.client.text_source import utf8_blocks
from crypto.limits import MAX_LINE_BYTES

SEPARATORS = (",", ";", "\t")
MAX_FILE_COLUMNS = 16_384
_PARQUET_MAGIC = b"PAR1"
_CORRECT_HEADER = "Correct the header line."


def read_rows(
    path: Path,
    *,
    required: Sequence[str],
    optional: Sequence[str] = (),
    list_separators: Mapping[str, str] | None = None,
) -> Iterator[RowBatch]:
    """Read the columns that a schema names; the file's other columns are not read.

    CSV files may be separated by comma, semicolon or tab, packed with gzip, in UTF-8 or Windows-1251.

    Args:
        path: of the file.
        required: columns the file must have.
        optional: columns that are read when the file has them.
        list_separators: what joins the values of a Parquet list, by column.

    Raises:
        FileError: the file is refused as a whole; subclasses say why.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError:
        raise FileError("The file cannot be opened.", remedy="Check its path and permissions.") from None
    if not magic:
        raise EmptyFileError("The file is empty.", remedy="It needs a header and at least one data row.")
    if magic == _PARQUET_MAGIC:
        yield from _read_parquet(path, required, optional, list_separators or {})
    else:
        with path.open("rb") as file:
            yield from _read_csv(file, path.stat().st_size, required, optional)


class _CsvTable:
    """The header of a CSV file and how to cut the wanted columns out of its records."""

    def __init__(self, header: bytes, required: Sequence[str], optional: Sequence[str]) -> None:
        line = header.decode().rstrip("\r\n")
        try:
            splits = {one: next(csv.reader([line], delimiter=one), []) for one in SEPARATORS}
        except csv.Error:
            raise FileError("The header cannot be read as CSV.", remedy=_CORRECT_HEADER) from None
        # The separator that shows most of the wanted columns; of equals the one with most columns.
        self.separator = max(
            SEPARATORS,
            key=lambda one: (len(set(required) & {name.strip() for name in splits[one]}), len(splits[one])),
        )
        names = splits[self.separator]
        self.fields = len(names)
        if self.fields > MAX_FILE_COLUMNS:
            raise FileError(f"The file has over {MAX_FILE_COLUMNS} columns.", remedy="Leave some out.")
        self._positions = chosen(names, required, optional)

    def frame(self, text: bytes, rows: int, plain: Collection[int]) -> pl.DataFrame:
        """Parse records that are known to have the right number of fields.

        Args:
            text: the records.
            rows: how many.
            plain: places of the fields that need no trimming.
        """
        frame = pl.read_csv(
            text,
            has_header=False,
            separator=self.separator,
            schema=dict.fromkeys(map(str, range(self.fields)), pl.String),
            columns=sorted(self._positions.values()),
            infer_schema=False,
        )
        if frame.height != rows:
            raise DamagedFileError(
                "The file's quotes are ambiguous.", remedy="Write it with a standard CSV library."
            )
        named = frame.select(pl.col(str(index)).alias(name) for name, index in self._positions.items())
        return trimmed(named, [name for name, index in self._positions.items() if index in plain])


def _read_csv(
    file: BinaryIO, size: int, required: Sequence[str], optional: Sequence[str]
) -> Iterator[RowBatch]:
    table: _CsvTable | None = None
    pending, next_row = b"", 1
    for block in _with_end(utf8_blocks(file)):
        data = pending + block if block else pending + b"\n"
        if not block and not pending:
            break
        records = find_records(data, separator=table.separator if table else None)
        if table is None and records.end:
            header_end = int(records.marks[0]) + 1
            if header_end > MAX_LINE_BYTES:
                raise line_too_long(0)
            table = _CsvTable(data[:header_end], required, optional)
            data = data[header_end:]
            records = find_records(data, separator=table.separator)
        if len(data) - records.end > MAX_LINE_BYTES:
            raise line_too_long(next_row + records.last.size if table else 0)
        pending = data[records.end :]
        if table is not None and records.end:
            checked = check_records(
                data, records, separator=table.separator, fields=table.fields, first_row=next_row
            )
            if checked.ragged and not checked.rows.size and next_row == 1:
                raise RaggedFileError(
                    f"The header has {table.fields} columns, but no data row has as many.",
                    remedy=_CORRECT_HEADER,
                )
            frame = (
                table.frame(checked.text, checked.rows.size, checked.plain)
                if checked.rows.size
                else _empty(required, optional)
            )
            bad = [(row, "ragged_row") for row in checked.ragged] + [
                (row, "broken_quotes") for row in checked.broken
            ]
            share = min(file.tell() / size, 1.0)
            yield RowBatch(frame, checked.rows, sorted(bad), share)
            next_row = checked.next_row
    if pending.strip(b"\r\n"):
        raise UnclosedQuoteError(
            f"A quote opened in data row {next_row} is never closed.", remedy="Close it, or write it doubled."
        )
    if table is None or next_row == 1:
        raise EmptyFileError(
            "The file has no data row.", remedy="It needs a header and at least one data row."
        )


def _with_end(blocks: Iterator[bytes]) -> Iterator[bytes]:
    yield from blocks
    yield b""


def _empty(required: Sequence[str], optional: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(schema=dict.fromkeys((*required, *optional), pl.String))


def _read_parquet(
    path: Path, required: Sequence[str], optional: Sequence[str], separators: Mapping[str, str]
) -> Iterator[RowBatch]:
    try:
        lazy = pl.scan_parquet(path)
        text = as_text(lazy.collect_schema(), required, optional, separators)
        total = lazy.select(pl.len()).collect().item()
        frames = (
            part
            for frame in lazy.select(text).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)
            for part in frame.iter_slices(BATCH_ROWS)
        )
        yield from batches(frames, total=total, what="Parquet file")
    except pl.exceptions.PolarsError:
        raise DamagedFileError(
            "The Parquet file is truncated or damaged.", remedy="Write it again."
        ) from None
