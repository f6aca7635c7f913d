"""The question that is timed: a profile with 12 segments, its exact counts, and how a cube answers it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.synthetic import CITIES, PURPOSE, ROW_IS_PERSON, Deal
from cleanroom.analyses.types import Answer, Outcome
from cleanroom.matching.types import Plan
from cleanroom.matching.views import info_of
from cleanroom.room import Room
from policies.canonical_question import CanonicalQuestion, canonical_question
from policies.question import Question, question_from_dict

GROUPED = ("sex", "age", "city")
ATTRIBUTES = {attribute.name: info_of(attribute) for attribute in ROW_IS_PERSON.attributes}
AGES = 128
CUBE = (2, AGES, len(CITIES) + 1)
"""Matched persons by sex, year of age and city: all that the question asks follows from these cells."""
Cube: TypeAlias = NDArray[np.int64]
_sex, _age, _city = np.ogrid[1 : CUBE[0] + 1, 0:AGES, 1 : CUBE[2] + 1]


@dataclass(frozen=True)
class Segment:
    """A condition in the room's language, in SQL, and on the cells of a cube."""

    condition: Mapping[str, Any]
    sql: str
    cells: NDArray[np.bool_]


@dataclass(frozen=True)
class Counts:
    """Exact counts: the overlap, the segments in order, the cells row-major over sex, age band and city."""

    overlap: int
    segments: tuple[int, ...]
    cells: tuple[int, ...] = ()


def aged(low: int, high: int) -> Segment:
    """Return those of an age, both ends included."""
    condition = {"attribute": "age", "op": "between", "value": [low, high]}
    return Segment(condition, f"age BETWEEN {low} AND {high}", (_age >= low) & (_age <= high))


def of_sex(code: int) -> Segment:
    """Return one of the sexes; they are coded from 1."""
    return Segment({"attribute": "sex", "op": "==", "value": "FM"[code - 1]}, f"sex = {code}", _sex == code)


def near(first: int, cities: int = 3) -> Segment:
    """Return those of some cities in a row; they are coded from 1."""
    condition = {"attribute": "city", "op": "in", "value": list(CITIES[first : first + cities])}
    cells = (_city > first) & (_city <= first + cities)
    return Segment(condition, f"city BETWEEN {first + 1} AND {first + cities}", cells)


def both(one: Segment, other: Segment) -> Segment:
    """Return those whom both segments hold."""
    condition = {"all": [one.condition, other.condition]}
    return Segment(condition, f"({one.sql}) AND ({other.sql})", one.cells & other.cells)


def either(one: Segment, other: Segment) -> Segment:
    """Return those whom one segment holds, or both."""
    condition = {"any": [one.condition, other.condition]}
    return Segment(condition, f"({one.sql}) OR ({other.sql})", one.cells | other.cells)


def twelve(run: int) -> dict[str, Segment]:
    """Return the segments of a run; each run asks something new, or it would be given the stored answer."""
    found = {f"aged{low}": aged(low, high) for low, high in ((18, 24), (25, 34), (30, 44), (35, 59))}
    found["old"] = aged(40 + run, 99)
    found |= {"women": of_sex(1), "men": of_sex(2)}
    found |= {f"cities{first}": near(first) for first in (0, 3, 6)}
    found["young women"] = both(found["women"], found["aged25"])
    found["old or near"] = either(found["old"], found["cities0"])
    return found


def question(
    asking: Mapping[str, str], segments: Mapping[str, Segment], *, breakdown: bool = True, **more: Any
) -> Question:
    """Return a question.

    Args:
        asking: see `Deal.asking`.
        segments: by name.
        breakdown: ask for the profile by sex, age band and city.
        more: further keys of a question, such as `precision`.
    """
    plain: dict[str, Any] = {
        "kind": "profile" if breakdown else "overlap",
        "purpose": PURPOSE,
        "segments": {name: dict(one.condition) for name, one in segments.items()},
        **more,
    }
    if breakdown:
        plain["breakdowns"] = [list(GROUPED)]
    return question_from_dict(plain, dataset_id=asking["dataset_id"], base_id=asking["base_id"])


def ask(
    room: Room, asking: Mapping[str, str], asked: Question, *, expected: Outcome = Outcome.RELEASED
) -> Answer:
    """Ask as an advertiser does; what comes out is noised."""
    answer = room.analyses.ask(asked, grant_id=asking["grant_id"], asker_id=asking["asker_id"])
    if answer.outcome is not expected:
        raise SystemExit(f"The room answered: {answer.outcome}, {answer.reasons} {answer.missing}")
    return answer


def counter(
    room: Room, deal: Deal, asked: Question, *, base_version_id: str | None = None
) -> tuple[CanonicalQuestion, Callable[[], Any]]:
    """Return a question's canonical form, and what counts it exactly: the engine alone, which nobody can ask."""
    canonical = canonical_question(asked, ATTRIBUTES)
    with room.db.reading() as tx:
        match = room.matching.open(
            tx,
            dataset_version_id=deal.dataset.version_id,
            base_version_id=base_version_id or deal.base.version_id,
            purpose=PURPOSE,
            epoch=room.consents.epoch(tx, deal.dataset.id),
        )
    plan = Plan(PURPOSE, match.keys, canonical.segments, canonical.breakdowns)
    return canonical, lambda: match.count(plan, at=room.clock.now())


def exact(room: Room, deal: Deal, asked: Question) -> Counts:
    """Take a question's exact counts from the engine."""
    canonical, count = counter(room, deal, asked)
    found = count()
    counts = tuple(found.segments[canonical.segment_of[one.name]] for one in asked.segments)
    if not canonical.breakdowns:
        return Counts(found.overlap, counts)
    stored = canonical.breakdowns[0]
    table = found.breakdowns[0].reshape([ATTRIBUTES[name].cells for name in stored])
    table = table.transpose([stored.index(name) for name in GROUPED])
    return Counts(found.overlap, counts, tuple(table.ravel().tolist()))


def from_cube(cube: Cube, segments: Mapping[str, Segment]) -> Counts:
    """Answer the question out of a cube: a few thousand additions, whatever the number of people."""
    counted = tuple(int(cube[np.broadcast_to(one.cells, CUBE)].sum()) for one in segments.values())
    banded = np.zeros([ATTRIBUTES[name].cells for name in GROUPED], np.int64)
    bands = np.searchsorted(ATTRIBUTES["age"].bands, np.arange(AGES), side="right")
    # The room has cells for other and unknown values besides, in which nobody is.
    np.add.at(banded[: CUBE[0], :, : CUBE[2]], (slice(None), bands), cube)
    return Counts(int(cube.sum()), counted, tuple(banded.ravel().tolist()))
