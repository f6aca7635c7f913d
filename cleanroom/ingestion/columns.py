"""The columns of a bucket of persons, and of a bucket of a key's values, ready to be written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanroom.datasets.junk import JUNK_DTYPE
from cleanroom.datasets.numbers import as_kind
from cleanroom.datasets.tokens import starts_of, tokens_of
from cleanroom.datasets.types import MAX_HOLDERS, Role
from cleanroom.ingestion.merging import sort_order
from cleanroom.ingestion.records import NOBODY, RecordLayout
from cleanroom.ingestion.spool import Records, pick
from cleanroom.ingestion.value_codes import Codes
from cleanroom.schema.model import AttributeType, ConsentState
from crypto.limits import TOKEN_BYTES


@dataclass(frozen=True)
class PersonColumns:
    """A bucket of persons in their final order.

    Attributes:
        columns: what to write where.
        fill: persons with a value, by attribute.
        consent: persons by state, by purpose.
    """

    columns: list[tuple[Role, int, NDArray[Any]]]
    fill: Mapping[str, int]
    consent: Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Holders:
    """A bucket of a key's values, sorted by token.

    Attributes:
        hi: first half of each token.
        lo: second half.
        person: who holds it, by position in the version.
        distinct: how many different tokens.
        over_shared: records of `JUNK_DTYPE`: tokens with too many holders.
        pairs: each distinct token with the lowest label of its holders, 0 without labels; if asked for.
    """

    hi: NDArray[np.uint64]
    lo: NDArray[np.uint64]
    person: NDArray[np.uint32]
    distinct: int
    over_shared: Records
    pairs: bytes


def person_columns(
    persons: Records,
    layout: RecordLayout,
    final: Mapping[int, Codes],
    kinds: Mapping[int, np.dtype[Any]],
    first: int,
    *,
    position: NDArray[np.uint32],
    labels: NDArray[np.uint8],
) -> PersonColumns:
    """Order a bucket of persons by primary token, and take them apart into columns.

    Args:
        persons: of `layout.person_dtype`, or with narrower numbers.
        layout: of the dataset's schema.
        final: the final code of each code, by position of the open category.
        kinds: the type to keep numbers in, by position of the attribute.
        first: the bucket's first position in the version.
        position: takes each person's position, by number of arrival.
        labels: takes each person's label, by position; empty without labels.
    """
    persons = pick(persons, sort_order(persons["primary"]))
    end = first + persons.size
    position[persons["seq"]] = np.arange(first, end, dtype=np.uint32)
    columns: list[tuple[Role, int, NDArray[Any]]] = []
    fill, states_of = {}, {}

    def add(role: Role, column: int, name: str) -> NDArray[Any]:
        values = np.ascontiguousarray(persons[name])
        columns.append((role, column, values))
        return values

    if layout.person:
        add(Role.PERSON_HI, 0, "person_hi")
        add(Role.PERSON_LO, 0, "person_lo")
    for index, attribute in enumerate(layout.attributes):
        values = np.ascontiguousarray(persons[f"a{index}"])
        if attribute.open:
            values = final[index][values]
        elif index in kinds:
            values = as_kind(values, kinds[index])
        columns.append((Role.ATTRIBUTE, index, values))
        fill[attribute.name] = filled(attribute.type, values)
    for index, consent in enumerate(layout.consents):
        states = add(Role.CONSENT_STATE, index, f"c{index}")
        states_of[consent.purpose] = np.bincount(states, minlength=len(ConsentState))
        if consent.has_at:
            add(Role.CONSENT_AT, index, f"ca{index}")
        if consent.has_until:
            add(Role.CONSENT_UNTIL, index, f"cu{index}")
    if layout.label:
        labels[first:end] = add(Role.LABEL, 0, "label")
    return PersonColumns(columns, fill, states_of)


def holders_of(
    values: Records, index: int, *, position: NDArray[np.uint32], labels: NDArray[np.uint8], paired: bool
) -> Holders:
    """Sort a bucket of a key's values.

    Args:
        values: of `VALUE_DTYPE`.
        index: position of the key.
        position: of each row's person, by number of arrival; `NOBODY` where the row does not count.
        labels: of each person, by position; empty without labels.
        paired: whether to make `pairs`.
    """
    holders_by_arrival = position.take(np.ascontiguousarray(values["seq"]))
    hi, lo = values["hi"], values["lo"]
    gone = holders_by_arrival == NOBODY
    if gone.any():
        kept = np.flatnonzero(~gone)
        hi, lo, holders_by_arrival = hi.take(kept), lo.take(kept), holders_by_arrival.take(kept)
    hi, lo, person = sort_values(hi, lo, holders_by_arrival)
    starts = starts_of(hi, lo) if (hi[1:] == hi[:-1]).any() else np.arange(hi.size)
    holders = np.diff(starts, append=hi.size)
    over = np.flatnonzero(holders > MAX_HOLDERS)
    found = np.empty(over.size, JUNK_DTYPE)
    found["key"], found["hi"], found["lo"] = index, hi[starts[over]], lo[starts[over]]
    found["holders"] = holders[over]
    pairs = _pairs(hi, lo, person, starts, labels) if paired else b""
    return Holders(hi, lo, person, starts.size, found, pairs)


def sort_values(
    hi: NDArray[np.uint64], lo: NDArray[np.uint64], person: NDArray[np.uint32]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint32]]:
    """Sort the holders of a key's values by token; a person that holds a value twice holds it once."""
    hi, lo = np.ascontiguousarray(hi), np.ascontiguousarray(lo)
    order = sort_order(hi, lo)
    hi, lo, person = hi.take(order), lo.take(order), person.take(order)
    same = hi[1:] == hi[:-1]
    if not same.any():
        return hi, lo, person
    same &= lo[1:] == lo[:-1]
    shared = np.zeros(hi.size, np.bool_)
    shared[1:] |= same
    shared[:-1] |= same
    at = np.flatnonzero(shared)
    person[at] = person[at][np.lexsort((person[at], lo[at], hi[at]))]
    once = np.ones(hi.size, np.bool_)
    once[1:] = ~(same & (person[1:] == person[:-1]))
    return hi[once], lo[once], person[once]


def _pairs(
    hi: NDArray[np.uint64],
    lo: NDArray[np.uint64],
    person: NDArray[np.uint32],
    starts: NDArray[np.int64],
    labels: NDArray[np.uint8],
) -> bytes:
    """Put token and label side by side, so that the buckets leave no trace in a fingerprint."""
    pairs = np.zeros((starts.size, TOKEN_BYTES + 1), np.uint8)
    tokens = np.frombuffer(tokens_of(hi[starts], lo[starts]), np.uint8)
    pairs[:, :TOKEN_BYTES] = tokens.reshape(-1, TOKEN_BYTES)
    if labels.size:
        pairs[:, TOKEN_BYTES] = np.minimum.reduceat(labels[person], starts)
    return pairs.tobytes()


def filled(kind: AttributeType, values: NDArray[Any]) -> int:
    """Return how many persons have a value of an attribute, as a version stores it."""
    if kind is AttributeType.SET:
        return int(values.any(axis=1).sum())
    # The smallest number is "no value", be it a signed one or a code.
    null = np.iinfo(values.dtype).min
    return int((values != null).sum())
