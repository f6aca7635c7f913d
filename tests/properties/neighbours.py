"""Two files that differ in all rows of one person, taken through the real parts to the cells that the gate gets.

Validation, token keys, merging of rows, sorted columns, consents, the junk list, the base under the dataset's keys, the
engine. Junk and opt-out lists are held fixed, as the definition of neighbouring data says: what was submitted, and what
an earlier version added. What the file itself adds to them is made from each of the two anew. How many others share the
person's key values does not matter here; the pool of values is so small that many do.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from cleanroom.analyses.cells import Layout, exact_cells
from cleanroom.consent import binding
from cleanroom.consent.changes import (
    EVERY_PURPOSE,
    PERSON,
    ChangeRows,
    ChangeState,
    microseconds,
    no_changes,
)
from cleanroom.consent.view import ConsentView
from cleanroom.datasets.junk import JUNK_DTYPE
from cleanroom.datasets.numbers import stored_kind
from cleanroom.datasets.tokens import PERSON_KEY, token_halves
from cleanroom.datasets.types import Role
from cleanroom.ingestion.assembly import Assembly
from cleanroom.ingestion.frames import FrameReader
from cleanroom.ingestion.records import RecordLayout
from cleanroom.matching.local import LocalEngine
from cleanroom.matching.types import Plan
from cleanroom.matching.views import TokenKeys, base_view, dataset_view, info_of, junk_of, shared_keys
from cleanroom.release.types import Cell
from cleanroom.schema.batch import PreparedBatch
from cleanroom.schema.codec import schema_from_yaml
from cleanroom.schema.model import NULL_DATE, NULL_INT, Schema, cell_labels
from policies.canonical_question import canonical_question
from policies.l0 import l0
from policies.question import Question

DATASET = schema_from_yaml("""\
person_id: {column: id}
match_keys:
  email: {column: email}
  phone: {columns: [phone, phone2], default_region: RU}
attributes:
  age: {type: integer, bands: [2, 4], clamp: [1, 3]}
  spend: {type: decimal, bands: [10], aggregate: sum, clamp: [-10, 4]}
  city: {type: category, values: [a, b]}
  paid: {type: boolean}
  joined: {type: date, bands: [2026-01-01]}
  likes: {type: set, values: [x, y, z], separator: "|", max_values: 2}
lawful_basis: consent
consent:
  ads: {column: ads, granted: ["yes"], collected_at: seen, expires_at: until}
""")
BASE = schema_from_yaml("""\
match_keys:
  phone: {columns: [phone, phone2], default_region: RU}
  email: {column: email}
label: {column: status, values: [vip, active, lapsed]}
""")
INFOS = {attribute.name: info_of(attribute) for attribute in DATASET.attributes}
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = (NOW.date() - datetime(1970, 1, 1, tzinfo=UTC).date()).days
LOADED = microseconds(NOW) - 6
POOL = 8
TOKENS = {
    side: TokenKeys(bytes([number]) * 32, workspace_id=f"ws_{number:032x}", version=1)
    for number, side in enumerate(("dataset", "base"), 1)
}
ENGINE = LocalEngine()


@dataclass(frozen=True)
class Opened:
    """A column as a sealed file shows it."""

    content: bytes
    chunk_bytes: int = 64

    @property
    def plaintext_size(self) -> int:
        return len(self.content)

    def read_range(self, offset: int, length: int, out: np.ndarray | None = None) -> np.ndarray:
        found = np.frombuffer(self.content, np.uint8, length, offset) if length else np.empty(0, np.uint8)
        if out is None:
            return found.copy()
        out[:length] = found
        return out[:length]


class Files:
    """A version's columns, in memory instead of sealed files."""

    def __init__(self) -> None:
        self._parts: dict[tuple[Role, int], list[bytes]] = {}

    def write(self, role: Role, column: int, data: Any) -> None:
        self._parts.setdefault((role, column), []).append(np.ascontiguousarray(data).tobytes())

    def has(self, role: Role, column: int = 0) -> bool:
        return (role, column) in self._parts

    def read(self, role: Role, column: int, dtype: Any) -> Any:
        # Nobody at all leaves columns without a single part.
        return np.frombuffer(b"".join(self._parts.get((role, column), [])), dtype).copy()

    def read_rows(self, role: Role, column: int, dtype: Any, start: int, stop: int) -> Any:
        return self.read(role, column, dtype)[start:stop]

    @contextmanager
    def opened(self, role: Role, column: int) -> Iterator[Opened]:
        yield Opened(self.read_bytes(role, column))

    def size(self, role: Role, column: int) -> int:
        return len(self.read_bytes(role, column))

    def read_bytes(self, role: Role, column: int = 0) -> bytes:
        return self.read(role, column, np.uint8).tobytes()

    def number_kind(self, role: Role, column: int, dtype: Any, items: int) -> np.dtype[Any]:
        return stored_kind(self.size(role, column), items, dtype)

    def read_numbers(self, role: Role, column: int, dtype: Any, items: int) -> Any:
        return self.read(role, column, self.number_kind(role, column, dtype, items))


@dataclass(frozen=True)
class Row:
    """One row of a file; 0 stands for a missing value everywhere."""

    person: int
    email: int = 0
    phone: int = 0
    phone2: int = 0
    age: int | None = None
    spend: int | None = None
    city: int = 0
    paid: int = 0
    joined: int | None = None
    likes: int = 0
    consent: int = 0
    seen: int | None = None
    until: int | None = None
    label: int = 1


@dataclass(frozen=True)
class World:
    """Everything but the one person: other people, the base, and what is held fixed."""

    others: tuple[tuple[Row, ...], ...]
    base: tuple[Row, ...]
    junk: frozenset[tuple[int, int]]
    withdrawn: frozenset[tuple[int, int]]
    question: Question
    # How far all people's keys lay off in the version in which the withdrawals were taken; None: in this one.
    shift: int | None = None
    # Who had another id then.
    renamed: frozenset[int] = frozenset()
    # Which values a later consent came in for.
    agreed: frozenset[tuple[int, int]] = frozenset()


def digest(text: str) -> np.ndarray:
    return np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)


def digests(kind: str, values: list[int]) -> np.ndarray:
    return np.stack([digest(f"{kind}{value}") if value else np.zeros(32, np.uint8) for value in values])


def write_version(schema: Schema, rows: list[Row], tokens: TokenKeys) -> tuple[Files, int]:
    """Load rows as ingestion does; returns the columns and the number of persons."""
    layout = RecordLayout.of(schema)
    made = Assembly(layout, rows=len(rows), memory_bytes=1 << 26, spill=None)
    if rows:
        person_key = tokens.of(PERSON_KEY) if layout.person else None
        reader = FrameReader(
            layout, keys={name: tokens.of(name) for name in layout.key_names}, person_key=person_key
        )
        made.add(reader.rows(PreparedBatch(len(rows), columns_of(layout, rows))))
    files = Files()
    return files, made.write(files).persons


def columns_of(layout: RecordLayout, rows: list[Row]) -> dict[str, np.ndarray]:
    count = len(rows)
    columns: dict[str, np.ndarray] = {
        "row": np.arange(1, count + 1, dtype=np.uint64),
        "key:email/room": digests("email", [row.email for row in rows]).reshape(count, 1, 32),
        "key:phone/room": np.stack(
            [digests("phone", [row.phone for row in rows]), digests("phone", [row.phone2 for row in rows])],
            axis=1,
        ),
        "label": np.array([row.label for row in rows], np.uint8),
    }
    if layout.person:
        columns["person"] = digests("person", [row.person for row in rows])

    def numbers(name: str, null: int, dtype: Any) -> np.ndarray:
        values = [getattr(row, name) for row in rows]
        return np.array([null if value is None else value for value in values], dtype)

    columns["attr:age"] = numbers("age", NULL_INT, np.int64)
    columns["attr:spend"] = numbers("spend", NULL_INT, np.int64)
    columns["attr:city"] = numbers("city", 0, np.uint8)
    columns["attr:paid"] = numbers("paid", 0, np.uint8)
    columns["attr:joined"] = numbers("joined", NULL_DATE, np.int32)
    columns["attr:likes"] = numbers("likes", 0, np.uint64).reshape(count, 1)
    columns["consent:ads"] = numbers("consent", 0, np.uint8)
    columns["consent_at:ads"] = numbers("seen", NULL_INT, np.int64)
    columns["consent_until:ads"] = numbers("until", NULL_DATE, np.int32)
    return columns


@cache
def half(kind: str, value: int) -> tuple[int, int]:
    """Both halves of a value's token in the dataset's workspace."""
    name = PERSON_KEY if kind == "person" else f"{kind}/room"
    hi, lo = token_halves(digest(f"{kind}{value}").reshape(1, 32), key=TOKENS["dataset"].of(name))[0]
    return int(hi), int(lo)


def fixed_lists(world: World) -> tuple[np.ndarray, ChangeRows]:
    """The junk list, and one batch of changes, both over values of either key."""
    kinds = ("email", "phone", "person")
    junk = np.array([(key, *half(kinds[key], value), 9) for key, value in sorted(world.junk)], JUNK_DTYPE)
    said = [(at, ChangeState.WITHDRAWN) for at in sorted(world.withdrawn)]
    said += [(at, ChangeState.GRANTED) for at in sorted(world.agreed)]
    changes = no_changes(len(said))
    for row, ((key, value), state) in zip(changes, said, strict=True):
        row["key"], row["state"] = PERSON if key == 2 else key, state
        row["purpose"] = 0 if state is ChangeState.GRANTED else EVERY_PURPOSE
        # A consent of some is newer than the withdrawal of others.
        row["at"] = microseconds(NOW) - (value % 3 + 4 if state is ChangeState.GRANTED else 5)
        row["hi"], row["lo"] = half(kinds[key], value)
    return junk, changes


def earlier_rows(world: World, rows: list[Row]) -> list[Row]:
    """The same people with other keys and ids, some of which others have by now."""

    def moved(value: int, row: Row) -> int:
        return (value - 1 + (world.shift or 0) * row.person) % POOL + 1 if value else 0

    return [
        replace(
            row,
            person=row.person % 7 + 1 if row.person in world.renamed else row.person,
            email=moved(row.email, row),
            phone=moved(row.phone, row),
            phone2=moved(row.phone2, row),
        )
        for row in rows
    ]


def with_bound(rows: list[Row], junk: np.ndarray, changes: ChangeRows) -> ChangeRows:
    """Add to the list what the room adds when it takes the batch, or publishes another version."""
    files, persons = write_version(DATASET, rows, TOKENS["dataset"])
    files.write(Role.JUNK, 0, junk)
    return np.concatenate([changes, binding.bound(files, changes, persons=persons)]) if persons else changes


def cells_of(world: World, rows: list[Row], *, earlier: list[Row] | None = None) -> list[Cell]:
    """Count a question over a file, as the service does between its two transactions.

    Args:
        world: what is held fixed.
        rows: of the file.
        earlier: of the file in which the changes were taken; none, when they were taken in this one.
    """
    files, persons = write_version(DATASET, rows, TOKENS["dataset"])
    own, _ = write_version(BASE, list(world.base), TOKENS["base"])
    junk, changes = fixed_lists(world)
    files.write(Role.JUNK, 0, junk)
    if earlier is not None:
        changes = with_bound(earlier, junk, changes)
    changes = with_bound(rows, junk, changes)
    consents = ConsentView(files, persons, DATASET.consents[0], 0, lambda: changes, loaded_at=LOADED)
    keys = shared_keys(DATASET, BASE)
    question = canonical_question(world.question, INFOS)
    plan = Plan(
        purpose="ads",
        keys=keys,
        segments=question.segments,
        breakdowns=question.breakdowns,
        labels=question.labels,
        per_key=question.per_key,
        dataset_side=question.affinity,
        sums=question.sums,
    )
    counts = ENGINE.count(
        dataset_view(files, DATASET, persons=persons, keys=keys, consented=consents.mask(NOW)),
        base_view(
            own,
            BASE,
            keys=keys,
            own=TOKENS["base"],
            other=TOKENS["dataset"],
            junk=junk_of(files, DATASET, keys),
        ),
        plan,
    )
    layout = Layout(
        question=question,
        keys=keys if question.per_key else (),
        labels=BASE.label.values if question.labels else (),
        cell_labels={attribute.name: cell_labels(attribute) for attribute in DATASET.attributes},
    )
    cells = exact_cells(layout, counts)
    assert {cell.name for cell in cells} == set(layout.asked_names())
    return cells


def stated_l0(question: Question) -> int:
    return l0(canonical_question(question, INFOS), INFOS, labels=3, match_keys=2)


def moves(more: list[Cell], fewer: list[Cell]) -> list[Fraction]:
    """How far each figure moved: a count in people, a sum in multiples of what one person may move it by."""
    return [
        Fraction(one.exact - other.exact, INFOS[one.attribute].largest if one.attribute else 1)
        for one, other in zip(more, fewer, strict=True)
    ]


def check(world: World, person: tuple[Row, ...], at: int) -> None:
    """The promise itself, for one pair of neighbours."""
    without = [row for rows in world.others for row in rows]
    # The person's rows stand anywhere among the others', first to last.
    with_person = without.copy()
    for index, row in enumerate(person):
        with_person.insert((at * (index + 1)) % (len(with_person) + 1), row)
    earlier = None if world.shift is None else earlier_rows(world, with_person)
    moved = moves(cells_of(world, with_person, earlier=earlier), cells_of(world, without, earlier=earlier))
    assert max(map(abs, moved)) <= 1, "one figure moved by more than 1"
    assert sum(move * move for move in moved) <= stated_l0(world.question), (
        "the figures together moved by more than stated"
    )
