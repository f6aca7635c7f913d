"""Opening the sealed files of two versions as what an engine works on."""

from functools import cache

import numpy as np
import numpy.typing as npt

from cleanroom.datasets.dictionary import read_dictionary
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.holders import implied, read_holders
from cleanroom.datasets.junk import JUNK_DTYPE
from cleanroom.datasets.kept import KeptReader, Sliced, Stored, Values
from cleanroom.datasets.tokens import token_key
from cleanroom.datasets.types import Role
from cleanroom.matching.base import MovedKey
from cleanroom.matching.buckets import buckets_from_arrays, buckets_size, buckets_to_arrays, make_buckets
from cleanroom.matching.types import (
    BaseView,
    Bools,
    Buckets,
    DatasetView,
    KeyIndex,
    StoredColumn,
    StoredValues,
)
from cleanroom.schema.layout import stored_column
from cleanroom.schema.model import UNKNOWN, Attribute, Schema
from policies.attributes import NUMERIC_TYPES, AttributeInfo


class TokenKeys:
    """Derives the token keys of one workspace, on demand."""

    def __init__(self, secret: bytes, *, workspace_id: str, version: int) -> None:
        self._secret = secret
        self._workspace_id = workspace_id
        self._version = version

    def of(self, key: str) -> bytes:
        """Return the 32-byte key of a key of the room, such as `email/room`."""
        return token_key(self._secret, workspace_id=self._workspace_id, version=self._version, key=key)


def shared_keys(dataset: Schema, base: Schema) -> tuple[str, ...]:
    """Return the keys on which a dataset and a base can meet, in the dataset's declared order."""
    offered = set(base.key_names)
    return tuple(name for name in dataset.key_names if name in offered)


def info_of(attribute: Attribute) -> AttributeInfo:
    """Return what conditions, breakdowns and sums need to know about an attribute."""
    return AttributeInfo(
        type=attribute.type.value,
        values=attribute.values,
        bands=attribute.bands,
        scale=attribute.scale,
        max_values=attribute.max_values,
        clamp=attribute.clamp,
        open=attribute.open,
    )


def dataset_view(
    reader: PlaceReader | KeptReader, schema: Schema, *, persons: int, keys: tuple[str, ...], consented: Bools
) -> DatasetView:
    """Open a dataset's version.

    Args:
        reader: of its files.
        schema: of the dataset.
        persons: how many it has.
        keys: the indexes to open.
        consented: who may be counted.

    Returns:
        A view that reads an attribute's column when it is first asked for.
    """
    names = schema.key_names
    plain = reader.plain if isinstance(reader, KeptReader) else reader
    positions = {attribute.name: index for index, attribute in enumerate(schema.attributes)}

    @cache
    def column(name: str) -> StoredColumn:
        attribute = schema.attributes[positions[name]]
        spec = stored_column(attribute)
        values: StoredValues
        if attribute.type.value not in NUMERIC_TYPES:
            values = _column(reader, Role.ATTRIBUTE, positions[name], spec.dtype)
        elif isinstance(reader, KeptReader):
            values = reader.read_numbers(Role.ATTRIBUTE, positions[name], spec.dtype, persons, at_once=False)
        else:
            values = reader.read_numbers(Role.ATTRIBUTE, positions[name], spec.dtype, persons)
        return StoredColumn(info_of(attribute), values.reshape(spec.shape(persons)))

    @cache
    def dictionary(name: str) -> list[str]:
        return [UNKNOWN, *(value.decode() for value in read_dictionary(plain, positions[name]))]

    indexes = {name: _index(reader, names.index(name)) for name in keys}
    return DatasetView(persons, indexes, consented, column, dictionary)


def _column(
    reader: PlaceReader | KeptReader, role: Role, position: int, dtype: npt.DTypeLike
) -> Values | Stored:
    """Read a long column, which one question reads once from one end to the other."""
    if isinstance(reader, KeptReader):
        return reader.read(role, position, dtype, at_once=False)
    return reader.read(role, position, dtype)


def _index(reader: PlaceReader | KeptReader, position: int) -> KeyIndex:
    hi = _column(reader, Role.KEY_HI, position, "<u8")
    person = None if implied(reader, position) else _column(reader, Role.KEY_PERSON, position, "<u4")
    if not isinstance(reader, KeptReader) or not isinstance(hi, np.ndarray) or not hi.size:
        return KeyIndex(hi, person)

    def buckets() -> Buckets:
        made = reader.made(
            Role.KEY_HI,
            position,
            "buckets",
            buckets_size(hi.size),
            lambda _: buckets_to_arrays(make_buckets(hi)),
        )
        return buckets_from_arrays(made) if made else make_buckets(hi)

    return KeyIndex(hi, person, buckets)


def _base_holders(reader: PlaceReader | KeptReader, position: int) -> Sliced:
    if implied(reader, position):
        plain = reader.plain if isinstance(reader, KeptReader) else reader
        return read_holders(plain, position, 0, plain.size(Role.KEY_HI, position) // 8)
    return reader.read(Role.KEY_PERSON, position, "<u4")


def base_view(
    reader: PlaceReader | KeptReader,
    schema: Schema,
    *,
    keys: tuple[str, ...],
    own: TokenKeys,
    other: TokenKeys,
    junk: dict[str, np.ndarray[tuple[int], np.dtype[np.uint64]]],
) -> BaseView:
    """Open a base's version and turn its tokens, in memory, into the dataset's.

    Args:
        reader: of its files.
        schema: of the base.
        keys: the keys to open.
        own: token keys of the base's workspace.
        other: token keys of the dataset's workspace.
        junk: first halves of the dataset's junk values, by key; they are left out.

    Returns:
        A view that moves the tokens of a key when they are asked for, part by part.
    """
    names = schema.key_names
    labels = reader.read(Role.LABEL, 0, np.uint8)[:] if schema.label else None
    opened = {}
    for name in keys:
        index = names.index(name)
        opened[name] = MovedKey(
            hi=_column(reader, Role.KEY_HI, index, "<u8"),
            lo=_column(reader, Role.KEY_LO, index, "<u8"),
            old_key=own.of(name),
            new_key=other.of(name),
            junk=np.unique(junk[name]),
            person=_base_holders(reader, index) if schema.label else None,
            labels=labels,
        )
    return BaseView(opened, len(schema.label.values) if schema.label else 0)


def junk_of(
    reader: PlaceReader | KeptReader, schema: Schema, keys: tuple[str, ...]
) -> dict[str, np.ndarray[tuple[int], np.dtype[np.uint64]]]:
    """Return the first halves of a version's junk values, by key."""
    junk = reader.read(Role.JUNK, 0, JUNK_DTYPE)[:]
    names = schema.key_names
    return {name: junk["hi"][junk["key"] == names.index(name)] for name in keys}
