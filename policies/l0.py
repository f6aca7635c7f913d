"""How many cells one person can touch: read off the question, never off the data."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod

from policies.attributes import AttributeInfo
from policies.canonical_question import CanonicalQuestion
from policies.nodes import CAll, CAny, CLeaf, Node
from policies.values import ValueSet, intersection, union

Projection = Mapping[str, ValueSet]
Masks = Mapping[str, int]

# Trying every group is quadratic, and would hold up other askers; a group missed only adds noise.
_GROUPS_TRIED = 64
_EFFORT = 1 << 33
"""Digits compared in all, for the same reason; a second or less."""


def l0(
    question: CanonicalQuestion,
    attributes: Mapping[str, AttributeInfo],
    *,
    labels: int,
    match_keys: int,
) -> int:
    """Return the worst-case number of cells that one person can touch.

    Args:
        question: in canonical form.
        attributes: the dataset's attributes, by name.
        labels: how many labels the base declares; labelled cells are disjoint.
        match_keys: how many match keys are used; a person counts at its first hit, so their cells are
            disjoint.

    Returns:
        1 for the overlap, 1 each for labels and for several keys, the segments in groups of pairwise
        disjoint ones, each breakdown; 1 for a breakdown over unknown keys, as a person has one value; size,
        segments and breakdowns of the dataset's side again for affinity indices; and overlap, segments and
        breakdowns again for each attribute that is added up, where one person moves a cell by at most the
        attribute's `largest`.
    """
    side = side_l0(question, attributes)
    cells = side + (question.labels and labels > 0) + (question.per_key and match_keys > 1)
    cells += question.open_breakdown is not None
    return int(cells + side * (question.affinity + len(question.sums)))


def side_l0(question: CanonicalQuestion, attributes: Mapping[str, AttributeInfo]) -> int:
    """Return how many cells one person can touch among a total, its segments and its breakdowns."""
    segments = len(disjoint_groups(question.segments, attributes))
    return (
        1 + segments + sum(prod(attributes[name].touched for name in group) for group in question.breakdowns)
    )


def disjoint_groups(
    nodes: Sequence[Node], attributes: Mapping[str, AttributeInfo]
) -> tuple[tuple[int, ...], ...]:
    """Put conditions into groups of pairwise disjoint ones, greedily; a person is in at most one of each.

    Returns:
        The groups, as indices into `nodes`. Conditions that hold for nobody are in no group.
    """
    found = [(index, projection(node, attributes)) for index, node in enumerate(nodes)]
    shapes = [(index, shape) for index, shape in found if shape is not None]
    groups: list[_Group] = []
    effort = _EFFORT
    for (index, _), masks in zip(shapes, _masks([shape for _, shape in shapes]), strict=True):
        for group in groups[:_GROUPS_TRIED]:
            apart, used = group.apart_from_all(masks, effort)
            effort -= used
            if apart:
                group.add(index, masks)
                break
        else:
            groups.append(_Group([index], [masks], dict(masks)))
    return tuple(tuple(group.members) for group in groups)


def projection(node: Node, attributes: Mapping[str, AttributeInfo]) -> Projection | None:
    """Return, per attribute, values outside which the condition cannot hold; None when it holds for nobody.

    It may be too wide (then disjointness is not seen and more noise is added), never too narrow.
    """
    if isinstance(node, CLeaf):
        return {node.attribute: node.values}
    if isinstance(node, CAll):
        return _all(node, attributes)
    if isinstance(node, CAny):
        shapes = [shape for item in node.items if (shape := projection(item, attributes)) is not None]
        if not shapes:
            return None
        shared = reduce(lambda names, shape: names & shape.keys(), shapes[1:], set(shapes[0]))
        return {name: union([shape[name] for shape in shapes]) for name in shared}
    return {}


def _all(node: CAll, attributes: Mapping[str, AttributeInfo]) -> Projection | None:
    found: dict[str, list[ValueSet]] = {}
    for item in node.items:
        shape = projection(item, attributes)
        if shape is None:
            return None
        for name, values in shape.items():
            found.setdefault(name, []).append(values)
    joined = {name: intersection(values, attributes[name].domain) for name, values in found.items()}
    return None if any(values.empty for values in joined.values()) else joined


def _masks(shapes: Sequence[Projection]) -> list[Masks]:
    """Write value sets as binary numbers, a digit for each stretch of values that no set divides.

    Two sets have a value in common if their numbers have a digit in common.
    """
    ends: dict[str, set[int]] = defaultdict(set)
    for shape in shapes:
        for name, values in shape.items():
            ends[name].update(end for low, high in values.ranges for end in (low, high + 1))
    # The digit before the first end is left to "no value".
    digits = {name: {end: at for at, end in enumerate(sorted(found), 1)} for name, found in ends.items()}
    return [{name: _mask(values, digits[name]) for name, values in shape.items()} for shape in shapes]


def _mask(values: ValueSet, digits: Mapping[int, int]) -> int:
    # Digit by digit: to add up numbers of that length would take a step for each digit of each range.
    size = digits[values.ranges[-1][1] + 1] if values.ranges else 1
    written = bytearray(b"0") * size
    for low, high in values.ranges:
        first, end = digits[low], digits[high + 1]
        written[size - end : size - first] = b"1" * (end - first)
    return int(written, 2) | int(values.null)


@dataclass
class _Group:
    """Conditions that are pairwise disjoint.

    Attributes:
        members: their indices.
        masks: of each.
        joined: of the attributes that every member names, what any of them takes.
    """

    members: list[int]
    masks: list[Masks]
    joined: dict[str, int]

    def add(self, index: int, masks: Masks) -> None:
        self.members.append(index)
        self.masks.append(masks)
        self.joined = {name: mask | masks[name] for name, mask in self.joined.items() if name in masks}

    def apart_from_all(self, one: Masks, effort: int) -> tuple[bool, int]:
        """Tell whether a condition is disjoint from every member, and how many digits were compared for that.

        With no effort left, those that take a look at every member count as not disjoint.
        """
        # Most often one attribute parts it from all of them at once.
        if any(name in one and not mask & one[name] for name, mask in self.joined.items()):
            return True, 0
        used = 0
        for other in self.masks:
            if used >= effort:
                return False, used
            for name, mask in one.items():
                used += mask.bit_length()
                # Where an attribute is not named, any value is possible.
                if not mask & other.get(name, mask):
                    break
            else:
                return False, used
        return True, used
