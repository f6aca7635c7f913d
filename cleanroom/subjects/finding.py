"""Who holds an identifier in a version, and every token by which that person can be named."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cleanroom.consent.changes import PERSON
from cleanroom.consent.found import holders, key_columns, values_of
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.junk import JUNK_DTYPE
from cleanroom.datasets.types import Role
from cleanroom.subjects.errors import AmbiguousSubjectError

MOST_PEOPLE = 20
Token = tuple[int, int]
"""The position of a key, or `PERSON`; and the first half of a value."""


@dataclass(frozen=True)
class Holders:
    """Who holds an identifier in one version.

    Attributes:
        people: by position, ascending; none when the value is on the version's junk list.
        junk: whether it is.
        tokens: of all values that they hold, those that they share with others included.
    """

    people: tuple[int, ...]
    junk: bool
    tokens: frozenset[Token]

    @property
    def person_ids(self) -> frozenset[Token]:
        """Their tokens of person_id, which stay theirs in every version; none when the schema has no person_id."""
        return frozenset(token for token in self.tokens if token[0] == PERSON)


def require_one(found: Sequence[Holders]) -> None:
    """Refuse when an identifier is not one person's in all versions: a phone may be another's than before.

    Args:
        found: who holds it in each.

    Raises:
        AmbiguousSubjectError: several people hold it in a version, or another person than in another version.
    """
    persons = {person for holders in found for person in holders.person_ids}
    if len(persons) > 1 or any(len(holders.people) > 1 for holders in found):
        raise AmbiguousSubjectError(
            "Several people hold this identifier, or held it in an earlier version.",
            remedy="Name the person by another identifier, or by person_id.",
        )


def find_holders(reader: PlaceReader, wanted: frozenset[Token], *, persons: int) -> Holders:
    """Look through a version.

    Args:
        reader: of the version.
        wanted: the identifier, in every key of the dataset that it may stand in.
        persons: how many the version has.
    """
    junk = reader.read(Role.JUNK, 0, JUNK_DTYPE) if reader.has(Role.JUNK) else np.empty(0, JUNK_DTYPE)
    listed = frozenset(zip(junk["key"].tolist(), junk["hi"].tolist(), strict=True))
    people: set[int] = set()
    for column in {column for column, _ in wanted - listed}:
        tokens = np.array(sorted(hi for key, hi in wanted - listed if key == column), np.uint64)
        for who, _ in holders(reader, column, tokens):
            people.update(who.tolist())
    mask = np.zeros(persons, np.bool_)
    mask[sorted(people)] = True
    return Holders(
        tuple(sorted(people)), bool(wanted & listed), _tokens(reader, mask) if people else frozenset()
    )


def _tokens(reader: PlaceReader, mask: NDArray[np.bool_]) -> frozenset[Token]:
    found: set[Token] = set()
    for column in (PERSON, *key_columns(reader)):
        for _, hi, _ in values_of(reader, column, mask):
            found.update((column, value) for value in hi.tolist())
    return frozenset(found)
