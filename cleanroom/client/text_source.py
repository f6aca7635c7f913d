"""A text file as UTF-8 blocks in flat memory: gzip or plain, UTF-8 or Windows-1251."""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

import numpy as np
import polars as pl

from cleanroom.client.errors import DamagedFileError, FileError, NulBytesError, WrongEncodingError

BLOCK_BYTES = 8 * 2**20
_GZIP_MAGIC = b"\x1f\x8b"
_SAVE_AS_CSV = "Save it as a CSV file in UTF-8."
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def utf8_blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield the text of a file as UTF-8, without a byte order mark; characters may be split between blocks.

    Args:
        file: at its beginning; it is read block by block.

    Raises:
        NulBytesError: a NUL byte, so not text.
        WrongEncodingError: UTF-16, or neither UTF-8 nor Windows-1251.
        DamagedFileError: truncated or damaged gzip.
    """
    encoding = _Encoding()
    first = True
    for raw in _raw_blocks(file):
        block = raw
        if first:
            if block.startswith(_UTF_16_MARKS):
                raise WrongEncodingError("The file is UTF-16.", remedy=_SAVE_AS_CSV)
            if block.startswith(b"PK\x03\x04"):
                raise FileError("The file is a zip archive or a workbook, not text.", remedy=_SAVE_AS_CSV)
            block, first = block.removeprefix(codecs.BOM_UTF8), False
        if b"\0" in block:
            raise NulBytesError("The file holds NUL bytes, so it is not text.", remedy=_SAVE_AS_CSV)
        yield encoding.to_utf8(block)
    encoding.finish()


def _raw_blocks(file: BinaryIO) -> Iterator[bytes]:
    packed = file.read(2) == _GZIP_MAGIC
    file.seek(0)
    source = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
    try:
        while block := source.read(BLOCK_BYTES):
            yield block
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise DamagedFileError(
            "The gzip file is truncated or damaged.", remedy="Compress it again."
        ) from None


class _Encoding:
    """Decides at the first byte outside ASCII, and stays with the decision."""

    def __init__(self) -> None:
        self._cp1251 = False
        self._pending = b""
        self._seen_utf8 = False

    def to_utf8(self, block: bytes) -> bytes:
        if self._cp1251:
            return self._from_cp1251(block)
        if block.isascii() and not self._pending:
            return block
        text = self._pending + block if self._pending else block
        begun = _begun_character(text)
        if not _is_utf8(text[:-begun] if begun else text):
            if self._seen_utf8 or not looks_like_cp1251(block):
                raise self._refusal()
            self._cp1251 = True
            return self._from_cp1251(block)
        self._pending = text[-begun:] if begun else b""
        self._seen_utf8 = True
        return block

    def finish(self) -> None:
        if self._pending:
            raise self._refusal()

    def _from_cp1251(self, block: bytes) -> bytes:
        try:
            return block.decode("cp1251").encode()
        except UnicodeDecodeError:
            raise self._refusal() from None

    def _refusal(self) -> WrongEncodingError:
        return WrongEncodingError("The file is neither UTF-8 nor Windows-1251.", remedy=_SAVE_AS_CSV)


def looks_like_cp1251(block: bytes) -> bool:
    """Tell whether bytes that are not UTF-8 read as Russian words in Windows-1251.

    Latin-1 has single accented letters between ASCII ones, DOS code pages use other byte ranges, and in
    KOI8-R words would begin small and go on in capitals.
    """
    codes = np.frombuffer(block, dtype=np.uint8)
    small = ((codes >= 0xE0) & (codes <= 0xFF)) | (codes == 0xB8)
    capital = ((codes >= 0xC0) & (codes <= 0xDF)) | (codes == 0xA8)
    letter = small | capital
    if letter.sum() < 0.8 * (codes >= 0x80).sum():
        return False
    latin = ((codes | 0x20) >= ord("a")) & ((codes | 0x20) <= ord("z"))
    inside = (letter[1:] & letter[:-1]).sum()
    beside = (letter[1:] & latin[:-1]).sum() + (latin[1:] & letter[:-1]).sum()
    return bool(inside > beside and (small[:-1] & capital[1:]).sum() <= (capital[:-1] & small[1:]).sum())


def _begun_character(text: bytes) -> int:
    """Return how many bytes at the end are the beginning of a character whose rest may follow."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for count in range(1, min(len(text), 3) + 1):
        if text[-count] >= 0xC0:
            try:
                decoder.decode(text[-count:])
            except UnicodeDecodeError:
                return 0
            return count if decoder.getstate()[0] else 0
    return 0


def _is_utf8(text: bytes) -> bool:
    # Several times as fast as decoding to a str that nobody needs.
    try:
        pl.Series([text], dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.ComputeError:
        return False
    return True
