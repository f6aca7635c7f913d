"""Opening the sealed files of two versions as what an engine works on."""

from functools import cache

import numpy as np

from cleanroom.datasets.dictionary import read_dictionary
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.junk import JUNK_DTYPE
from cleanroom.datasets.tokens import halves_of, starts_of, token_key, tokens_of
from cleanroom.datasets.types import Role
from cleanroom.matching.types import BaseKey, BaseView, Bools, Column, DatasetView, KeyIndex
from cleanroom.schema.layout import stored_column
from cleanroom.schema.model import UNKNOWN, Attribute, Schema
from crypto.tokens import retokenise
from policies.attributes import AttributeInfo


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
    reader: PlaceReader, schema: Schema, *, persons: int, keys: tuple[str, ...], consented: Bools
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
    positions = {attribute.name: index for index, attribute in enumerate(schema.attributes)}

    @cache
    def column(name: str) -> Column:
        attribute = schema.attributes[positions[name]]
        spec = stored_column(attribute)
        values = reader.read(Role.ATTRIBUTE, positions[name], spec.dtype)
        return Column(info_of(attribute), values.reshape(spec.shape(persons)))

    @cache
    def dictionary(name: str) -> list[str]:
        return [UNKNOWN, *(value.decode() for value in read_dictionary(reader, positions[name]))]

    indexes = {
        name: KeyIndex(
            hi=reader.read(Role.KEY_HI, names.index(name), "<u8"),
            person=reader.read(Role.KEY_PERSON, names.index(name), "<u4"),
        )
        for name in keys
    }
    return DatasetView(persons, indexes, consented, column, dictionary)


def base_view(
    reader: PlaceReader,
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
        Distinct tokens, sorted; a value that several rows hold has the first declared of their labels.
    """
    names = schema.key_names
    labels = reader.read(Role.LABEL, 0, np.uint8) if schema.label else None
    opened = {}
    for name in keys:
        index = names.index(name)
        hi, lo = (reader.read(role, index, "<u8") for role in (Role.KEY_HI, Role.KEY_LO))
        starts = starts_of(hi, lo)
        moved = retokenise(tokens_of(hi[starts], lo[starts]), old_key=own.of(name), new_key=other.of(name))
        mine = np.ascontiguousarray(halves_of(moved)[:, 0])
        kept = ~np.isin(mine, junk[name])
        if labels is None:
            opened[name] = BaseKey(np.sort(mine[kept]), None)
            continue
        order = np.argsort(mine)
        order = order[kept[order]]
        person = reader.read(Role.KEY_PERSON, index, "<u4")
        # Labels are stored from 1 in declared order, so the lowest number is the first declared.
        own_labels = np.minimum.reduceat(labels[person], starts) - 1 if starts.size else labels[:0]
        opened[name] = BaseKey(mine[order], own_labels[order])
    return BaseView(opened, len(schema.label.values) if schema.label else 0)


def junk_of(
    reader: PlaceReader, schema: Schema, keys: tuple[str, ...]
) -> dict[str, np.ndarray[tuple[int], np.dtype[np.uint64]]]:
    """Return the first halves of a version's junk values, by key."""
    junk = reader.read(Role.JUNK, 0, JUNK_DTYPE)
    names = schema.key_names
    return {name: junk["hi"][junk["key"] == names.index(name)] for name in keys}
