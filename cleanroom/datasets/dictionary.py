"""The sealed dictionary of an open category: the values of one version, whose codes stand in its column."""

from collections.abc import Sequence

from cleanroom.datasets.files import PlaceReader, PlaceWriter
from cleanroom.datasets.types import Role

_PADDING_BYTES = 1 << 16
"""A file's size stands in SQL and on the disk; in steps this large it does not tell how many values there are."""


def write_dictionary(writer: PlaceWriter, column: int, values: Sequence[bytes]) -> None:
    """Write the values of a version in the order of their codes, the first of which is 1.

    Args:
        writer: of the version.
        column: position of the attribute in the schema.
        values: UTF-8, each of 1 to 255 bytes.
    """
    # A length of zero ends the list; what follows it is padding.
    packed = b"".join(bytes([len(value)]) + value for value in values) + b"\0"
    writer.write(Role.DICTIONARY, column, packed + bytes(-len(packed) % _PADDING_BYTES))


def read_dictionary(reader: PlaceReader, column: int) -> list[bytes]:
    """Read what `write_dictionary` wrote."""
    packed = reader.read_bytes(Role.DICTIONARY, column)
    values, at = [], 0
    while size := packed[at]:
        values.append(packed[at + 1 : at + 1 + size])
        at += 1 + size
    return values
