"""The canonical form of a question: one tree for all spellings, and maps back to what was asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

from policies.attributes import MAX_CLAMP, AttributeInfo, Declared
from policies.canonical import attribute_info, canonical_condition
from policies.condition import width_of
from policies.errors import QuestionError
from policies.nodes import Node, node_to_data
from policies.question import Question

MAX_CELLS = 100_000
_QUESTIONS = 64
_WIDEST = 4_096
"""A question with more nodes and listed values is not remembered: one may be large enough to fill a memory."""


@dataclass(frozen=True)
class AskedBreakdown:
    """Where an asked breakdown stands among the canonical ones.

    Attributes:
        attributes: in the asker's order.
        index: which canonical breakdown holds its cells.
    """

    attributes: tuple[str, ...]
    index: int


@dataclass(frozen=True)
class CanonicalQuestion:
    """What is counted, each thing once, in an order of its own.

    Attributes:
        kind: match_test, overlap, profile or statistics.
        segments: distinct conditions, by key; segment i is one cell.
        segment_of: for each of the asker's names, in the asker's order, the index of its condition.
        breakdowns: distinct groups, attributes by name, groups by their attributes.
        asked_breakdowns: in the asker's order.
        labels: count the base's labels.
        per_key: count by the key that matched.
        affinity: count segments and breakdowns in the whole dataset too.
        sums: attributes to add up, by name.
        open_breakdown: an open category to break the overlap down by, over unknown keys.
        tree: plain data for hashing: no names, no ids, no purpose and no precision (these are apart in a
            stored answer's key, or in the answer itself).
    """

    kind: str
    segments: tuple[Node, ...]
    segment_of: Mapping[str, int]
    breakdowns: tuple[tuple[str, ...], ...]
    asked_breakdowns: tuple[AskedBreakdown, ...]
    labels: bool
    per_key: bool
    affinity: bool
    sums: tuple[str, ...]
    tree: Mapping[str, Any]
    open_breakdown: str | None = None


def canonical_question(question: Question, attributes: Mapping[str, AttributeInfo]) -> CanonicalQuestion:
    """Bring a question to its canonical form.

    Args:
        question: as asked.
        attributes: the dataset's attributes that are offered, by name.

    Raises:
        QuestionError: an unknown attribute or operator, a literal of another type, a breakdown by an
            attribute without declared cells, an open category in a condition or crossed with others, a sum of
            an attribute without a declared clamp, or more than `MAX_CELLS` cells, repeated ones included.
    """
    if isinstance(attributes, Declared) and _width(question) <= _WIDEST:
        return _remembered(question, attributes)
    return _canonical(question, attributes)


def _canonical(question: Question, attributes: Mapping[str, AttributeInfo]) -> CanonicalQuestion:
    nodes = {
        segment.name: canonical_condition(segment.condition, attributes) for segment in question.segments
    }
    segments = sorted({node.key: node for node in nodes.values()}.values(), key=lambda node: node.key)
    position = {node.key: index for index, node in enumerate(segments)}
    open_breakdown = _open_breakdown(question, attributes)
    closed = [group for group in question.breakdowns if group != (open_breakdown,)]
    breakdowns = sorted({tuple(sorted(group)) for group in closed})
    sums = tuple(sorted(question.sums))
    _check_sums(sums, attributes)
    # In every spelling: each is an answer's figures once more, though they are counted once.
    _check_cells(closed, attributes, figures=1 + len(sums))
    place = {group: index for index, group in enumerate(breakdowns)}
    asked = tuple(AskedBreakdown(group, place[tuple(sorted(group))]) for group in closed)
    single = question.kind == "match_test"
    labels, per_key = question.labels and not single, question.per_key and not single
    tree = {
        "v": 1,
        "kind": question.kind,
        "segments": [node_to_data(node, attributes) for node in segments],
        "breakdowns": [list(group) for group in breakdowns],
        "labels": labels,
        "per_key": per_key,
        "affinity": question.affinity,
        "sums": list(sums),
        **({"open_breakdown": open_breakdown} if open_breakdown else {}),
    }
    return CanonicalQuestion(
        kind=question.kind,
        segments=tuple(segments),
        segment_of={name: position[node.key] for name, node in nodes.items()},
        breakdowns=tuple(breakdowns),
        asked_breakdowns=asked,
        labels=labels,
        per_key=per_key,
        affinity=question.affinity,
        sums=sums,
        tree=tree,
        open_breakdown=open_breakdown,
    )


def _width(question: Question) -> int:
    return sum(width_of(segment.condition) for segment in question.segments)


@lru_cache(maxsize=_QUESTIONS)
def _remembered(question: Question, attributes: Declared) -> CanonicalQuestion:
    # Both never change; a question comes again for its stored answer, and several rules look at it each time.
    return _canonical(question, attributes)


def _open_breakdown(question: Question, attributes: Mapping[str, AttributeInfo]) -> str | None:
    """Return the one open category that the question is broken down by, if there is one."""
    groups = {
        group for group in question.breakdowns if any(attribute_info(name, attributes).open for name in group)
    }
    if not groups:
        return None
    if len(groups) > 1 or any(len(group) > 1 for group in groups):
        raise QuestionError(
            "A question breaks down by one open category at most, and by it alone: its cells are not public.",
            remedy="Write it as a breakdown of its own, such as [city], and ask the rest in another question.",
        )
    return groups.pop()[0]


def _check_sums(sums: tuple[str, ...], attributes: Mapping[str, AttributeInfo]) -> None:
    for name in sums:
        info = attribute_info(name, attributes)
        if info.summable:
            continue
        if info.largest > MAX_CLAMP:
            raise QuestionError(
                f"{name!r} cannot be added up: its clamp passes {MAX_CLAMP} stored units.",
                remedy="Ask the owner for a narrower `clamp`, or for fewer digits after the point.",
            )
        raise QuestionError(
            f"{name!r} cannot be added up: it is no number with a declared `clamp`.",
            remedy="Ask the owner to declare `clamp`: the bounds of one person's total.",
        )


def _check_cells(
    breakdowns: Sequence[tuple[str, ...]], attributes: Mapping[str, AttributeInfo], *, figures: int
) -> None:
    cells = 0
    for group in breakdowns:
        for name in group:
            if not attribute_info(name, attributes).groupable:
                raise QuestionError(
                    f"{name!r} has no declared cells to break down by.",
                    remedy="Ask the owner to declare `bands` or `values`.",
                )
        cells += prod(attributes[name].cells for name in group) * figures
        if cells > MAX_CELLS:
            raise QuestionError(
                f"The breakdowns have more than {MAX_CELLS} cells.",
                remedy="Leave an attribute out, or ask twice.",
            )
