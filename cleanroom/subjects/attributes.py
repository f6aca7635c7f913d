"""One person's values of a version, read from its sealed columns and written as their owner would."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanroom.datasets.dictionary import read_dictionary
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.types import Role
from cleanroom.schema.layout import stored_column
from cleanroom.schema.model import OTHER, Attribute, AttributeType, Schema, shown

_NUMBERS = (AttributeType.INTEGER, AttributeType.DECIMAL, AttributeType.DATE)


def values_of_person(reader: PlaceReader, schema: Schema, person: int, *, persons: int) -> dict[str, Any]:
    """Read all attributes of a person.

    Args:
        reader: of the version.
        schema: of the dataset.
        person: by position.
        persons: how many the version has.

    Returns:
        By name: a text, a truth value, a list of texts, or None where nothing is known. Numbers are texts, exact.
    """
    return {
        attribute.name: _value(reader, index, attribute, person, persons)
        for index, attribute in enumerate(schema.attributes)
    }


def _value(reader: PlaceReader, index: int, attribute: Attribute, person: int, persons: int) -> Any:
    spec = stored_column(attribute)
    if attribute.type in _NUMBERS:
        kind = reader.number_kind(Role.ATTRIBUTE, index, spec.dtype, persons)
        (number,) = reader.read_rows(Role.ATTRIBUTE, index, kind, person, person + 1)
        return None if number == np.iinfo(kind).min else shown(attribute, int(number))
    start, stop = person * spec.width, (person + 1) * spec.width
    stored = reader.read_rows(Role.ATTRIBUTE, index, spec.dtype, start, stop)
    if attribute.type is AttributeType.SET:
        return _members(stored, attribute)
    code = int(stored[0])
    if code == 0:
        return None
    if attribute.type is AttributeType.BOOLEAN:
        return code == 2
    if attribute.open:
        return read_dictionary(reader, index)[code - 1].decode()
    return (*attribute.values, OTHER)[code - 1]


def _members(words: NDArray[np.uint64], attribute: Attribute) -> list[str]:
    bits = np.unpackbits(words.astype("<u8").view(np.uint8), bitorder="little")
    names = (*attribute.values, OTHER)
    return [names[position] for position in np.flatnonzero(bits[: len(names)]).tolist()]
