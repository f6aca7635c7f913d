"""Finds the records of a CSV block and which of them are malformed, by byte positions alone (RFC 4180)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cleanroom.client.errors import LineTooLongError
from crypto.limits import MAX_LINE_BYTES

_NEWLINE, _RETURN, _QUOTE = 10, 13, 34
_PIECE = 2**18
_BEYOND_ASCII = 0x80
_CYRILLIC = 0xD1  # or D0: the first byte of such a character in UTF-8; the second is its last
Positions = NDArray[np.int64]


def line_too_long(row: int) -> LineTooLongError:
    """Make the error for a record that passes the limit; row 0 is the header."""
    return LineTooLongError(
        f"{f'Data row {row}' if row else 'The header'} is longer than the limit of {MAX_LINE_BYTES} bytes.",
        remedy="Check that records end with line feeds and that every quote is closed.",
    )


@dataclass(frozen=True)
class Records:
    """The records of a block that begins at the start of one.

    Attributes:
        end: how many bytes belong to complete records; what follows is the beginning of another.
        marks: positions before `end` of the separators and line feeds that end a field.
        last: which of the marks end a record, by index.
        strays: positions before `end` of quotes that neither open nor close a field.
    """

    end: int
    marks: Positions
    last: Positions
    strays: Positions


def find_records(data: bytes, *, separator: str | None) -> Records:
    """Find the records; a separator or line feed inside quotes ends nothing.

    Args:
        data: begins where a record begins.
        separator: one ASCII character; None for the header, whose separator is not known yet.
    """
    codes = np.frombuffer(data, dtype=np.uint8)
    quoted = b'"' in data
    wanted = [_NEWLINE, *([ord(separator)] if separator else []), *([_QUOTE] if quoted else [])]
    marks = _positions(codes, wanted)
    kinds = codes.take(marks)
    strays: Positions = np.empty(0, dtype=np.int64)
    if quoted:
        is_quote = kinds == _QUOTE
        quotes = marks[is_quote]
        inside = (np.cumsum(is_quote) & 1).astype(bool)
        if separator is not None and _misplaced(codes, quotes, ord(separator)):
            quotes, strays = _resolved(data, quotes.tolist(), ord(separator))
            inside = np.searchsorted(quotes, marks) % 2 == 1
        outside = ~(inside | is_quote)
        marks, kinds = marks[outside], kinds[outside]
    last: Positions = np.flatnonzero(kinds == _NEWLINE)
    complete = int(last[-1]) + 1 if last.size else 0
    end = int(marks[complete - 1]) + 1 if complete else 0
    return Records(end=end, marks=marks[:complete], last=last, strays=strays[strays < end])


def _positions(codes: NDArray[np.uint8], wanted: list[int]) -> Positions:
    # In pieces that stay in the processor's cache.
    found = [np.empty(0, dtype=np.int64)]
    for start in range(0, codes.size, _PIECE):
        piece = codes[start : start + _PIECE]
        hits = piece == wanted[0]
        for code in wanted[1:]:
            hits |= piece == code
        at = np.flatnonzero(hits)
        at += start
        found.append(at)
    return np.concatenate(found)


@dataclass(frozen=True)
class Checked:
    """What the check of the records found.

    Attributes:
        text: the bytes of the good records.
        rows: their row numbers, 1-based in the file.
        ragged: row numbers with another number of fields.
        broken: row numbers with quotes inside a field that is not quoted.
        next_row: the number of the row that follows.
        plain: fields, by their place in a record, that are as they stand in every row: neither quotes nor
            blanks around them.
    """

    text: bytes
    rows: NDArray[np.uint64]
    ragged: list[int]
    broken: list[int]
    next_row: int
    plain: frozenset[int] = frozenset()


def check_records(data: bytes, records: Records, *, separator: str, fields: int, first_row: int) -> Checked:
    """Sort good records from bad ones; blank lines are no rows.

    Args:
        data: the block.
        records: what `find_records` found in it; at least one.
        separator: one ASCII character.
        fields: how many the header has.
        first_row: the number of the first record.

    Raises:
        LineTooLongError: a record passes the limit.
    """
    codes = np.frombuffer(data, dtype=np.uint8, count=records.end)
    ends = records.marks.take(records.last)
    if _regular(records, ends, fields):
        return Checked(
            text=data[: records.end],
            rows=np.arange(first_row, first_row + ends.size, dtype=np.uint64),
            ragged=[],
            broken=[],
            next_row=first_row + ends.size,
            plain=_plain(codes, records.marks, fields, ord(separator)),
        )
    starts = np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1] + 1))
    lengths = ends - starts
    blank = (lengths == 0) | ((lengths == 1) & (codes[starts] == _RETURN))
    numbers = first_row - 1 + np.cumsum(~blank)
    longest = int(np.argmax(lengths))
    if lengths[longest] > MAX_LINE_BYTES:
        raise line_too_long(int(numbers[longest]))
    broken = np.zeros(ends.size, dtype=bool)
    broken[np.searchsorted(ends, records.strays)] = True
    ragged = np.diff(records.last, prepend=-1) != fields
    ragged &= ~(blank | broken)
    good = ~(blank | broken | ragged)
    whole = bool(good.all())
    return Checked(
        text=data[: records.end] if whole else _kept(data, starts, ends, good),
        rows=numbers[good].astype(np.uint64),
        ragged=numbers[ragged].tolist(),
        broken=numbers[broken].tolist(),
        next_row=int(numbers[-1]) + 1,
        plain=_plain(codes, records.marks, fields, ord(separator)) if whole else frozenset(),
    )


def _regular(records: Records, ends: Positions, fields: int) -> bool:
    # What most blocks are. A line with a separator is not blank.
    sizes = np.diff(ends, prepend=-1)
    return bool(
        fields > 1
        and not records.strays.size
        and sizes.max() <= MAX_LINE_BYTES
        and (np.diff(records.last, prepend=-1) == fields).all()
    )


def _plain(codes: NDArray[np.uint8], marks: Positions, fields: int, separator: int) -> frozenset[int]:
    # By the bytes at both ends of each field: up to `"` lie the ASCII blanks and the quote; a character beyond
    # ASCII could be a blank too, unless it is Cyrillic. What is in doubt is not plain.
    first = np.append(codes[0], codes.take(marks[:-1] + 1))
    doubtful = _doubtful(first, separator, lambda at: first[at])
    doubtful |= _doubtful(codes.take(marks - 1), separator, lambda at: codes[marks[at] - 2])
    if not doubtful.any():
        return frozenset(range(fields))
    return frozenset(range(fields)).difference((np.flatnonzero(doubtful) % fields).tolist())


def _doubtful(
    edges: NDArray[np.uint8], separator: int, leads: Callable[[Positions], NDArray[np.uint8]]
) -> NDArray[np.bool_]:
    found = (edges <= _QUOTE) & (edges != _NEWLINE) & (edges != separator)
    beyond: Positions = np.flatnonzero(edges >= _BEYOND_ASCII)
    if beyond.size:
        found[beyond] = (leads(beyond) | 1) != _CYRILLIC
    return np.asarray(found)


def _misplaced(codes: NDArray[np.uint8], quotes: Positions, separator: int) -> bool:
    # Quotes may only open right after a separator or line, and close right before one; "" is an escaped one.
    opening, closing = quotes[0::2], quotes[1::2]
    before = np.where(opening == 0, _NEWLINE, codes[opening - 1])
    after = codes[np.minimum(closing + 1, codes.size - 1)]
    return not (
        np.isin(before, (separator, _NEWLINE, _QUOTE)).all()
        and np.isin(after, (separator, _NEWLINE, _RETURN, _QUOTE)).all()
    )


def _resolved(data: bytes, quotes: list[int], separator: int) -> tuple[Positions, Positions]:
    # One stray quote must not turn all that follows inside out, so quotes are followed one by one.
    edges, strays, opened = [], [], False
    at = 0
    while at < len(quotes):
        here = quotes[at]
        if opened:
            following = data[here + 1] if here + 1 < len(data) else _NEWLINE
            if following == _QUOTE:
                at += 2
                continue
            if following not in (separator, _NEWLINE, _RETURN):
                strays.append(here)
            edges.append(here)
            opened = False
        elif here == 0 or data[here - 1] in (separator, _NEWLINE):
            edges.append(here)
            opened = True
        else:
            strays.append(here)
        at += 1
    return np.array(edges, dtype=np.int64), np.array(strays, dtype=np.int64)


def _kept(data: bytes, starts: Positions, ends: Positions, good: NDArray[np.bool_]) -> bytes:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], good, [False])).astype(np.int8)))
    return b"".join(data[starts[first] : ends[stop - 1] + 1] for first, stop in edges.reshape(-1, 2).tolist())
