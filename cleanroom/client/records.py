"""Finds the records of a CSV block and which of them are malformed, by byte positions alone (RFC 4180)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cleanroom.client.errors import LineTooLongError
from crypto.limits import MAX_LINE_BYTES

_NEWLINE, _RETURN, _QUOTE = 10, 13, 34
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
        newlines: the position of the line feed that ends each record.
        quotes: positions before `end` of the quotes that open and close fields, in turn.
        strays: positions before `end` of quotes that do neither.
    """

    end: int
    newlines: Positions
    quotes: Positions
    strays: Positions


def find_records(data: bytes, *, separator: str | None) -> Records:
    """Find the records; a line feed inside quotes does not end one.

    Args:
        data: begins where a record begins.
        separator: one ASCII character; None for the header, whose separator is not known yet.
    """
    codes = np.frombuffer(data, dtype=np.uint8)
    newlines: Positions = np.flatnonzero(codes == _NEWLINE)
    quotes: Positions = np.flatnonzero(codes == _QUOTE) if b'"' in data else np.empty(0, dtype=np.int64)
    strays: Positions = np.empty(0, dtype=np.int64)
    if separator is not None and quotes.size and _misplaced(codes, quotes, ord(separator)):
        quotes, strays = _resolved(data, quotes.tolist(), ord(separator))
    newlines = _outside(newlines, quotes)
    end = int(newlines[-1]) + 1 if newlines.size else 0
    return Records(end=end, newlines=newlines, quotes=quotes[quotes < end], strays=strays[strays < end])


def _outside(positions: Positions, quotes: Positions) -> Positions:
    if not quotes.size:
        return positions
    outside: Positions = positions[np.searchsorted(quotes, positions) % 2 == 0]
    return outside


@dataclass(frozen=True)
class Checked:
    """What the check of the records found.

    Attributes:
        text: the bytes of the good records.
        rows: their row numbers, 1-based in the file.
        ragged: row numbers with another number of fields.
        broken: row numbers with quotes inside a field that is not quoted.
        next_row: the number of the row that follows.
    """

    text: bytes
    rows: NDArray[np.uint64]
    ragged: list[int]
    broken: list[int]
    next_row: int


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
    ends = records.newlines
    starts = np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1] + 1))
    lengths = ends - starts
    blank = (lengths == 0) | ((lengths == 1) & (codes[starts] == _RETURN))
    numbers = first_row - 1 + np.cumsum(~blank)
    longest = int(np.argmax(lengths))
    if lengths[longest] > MAX_LINE_BYTES:
        raise line_too_long(int(numbers[longest]))
    broken = np.zeros(ends.size, dtype=bool)
    broken[np.searchsorted(ends, records.strays)] = True
    separators = _outside(np.flatnonzero(codes == ord(separator)), records.quotes)
    ragged = _wrong_counts(separators, starts, ends, fields - 1)
    ragged &= ~(blank | broken)
    good = ~(blank | broken | ragged)
    return Checked(
        text=data[: records.end] if good.all() else _kept(data, starts, ends, good),
        rows=numbers[good].astype(np.uint64),
        ragged=numbers[ragged].tolist(),
        broken=numbers[broken].tolist(),
        next_row=int(numbers[-1]) + 1,
    )


def _wrong_counts(
    separators: Positions, starts: Positions, ends: Positions, expected: int
) -> NDArray[np.bool_]:
    if expected and separators.size == expected * ends.size:
        # The usual case at a fraction of the cost: the n-th group of separators lies inside the n-th record.
        groups = separators.reshape(ends.size, expected)
        if (groups[:, 0] >= starts).all() and (groups[:, -1] < ends).all():
            return np.zeros(ends.size, dtype=bool)
    counts = np.diff(np.searchsorted(separators, ends), prepend=0)
    return np.asarray(counts != expected)


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
