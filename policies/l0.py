"""How many cells one person can touch: read off the question, never off the data."""

from collections.abc import Mapping, Sequence
from functools import reduce
from math import prod

from policies.attributes import AttributeInfo
from policies.canonical_question import CanonicalQuestion
from policies.nodes import CAll, CAny, CLeaf, Node
from policies.values import ValueSet, intersection, union

Projection = Mapping[str, ValueSet]

# Trying every group is quadratic, and would hold up other askers; a group missed only adds noise.
_GROUPS_TRIED = 64


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
    groups: list[tuple[list[int], list[Projection]]] = []
    for index, node in enumerate(nodes):
        shape = projection(node, attributes)
        if shape is None:
            continue
        for members, shapes in groups[:_GROUPS_TRIED]:
            if all(_apart(shape, other) for other in shapes):
                members.append(index)
                shapes.append(shape)
                break
        else:
            groups.append(([index], [shape]))
    return tuple(tuple(members) for members, _ in groups)


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


def _apart(one: Projection, other: Projection) -> bool:
    small, large = (one, other) if len(one) <= len(other) else (other, one)
    return any(name in large and _exclusive(values, large[name]) for name, values in small.items())


def _exclusive(one: ValueSet, other: ValueSet) -> bool:
    if one.null and other.null:
        return False
    i = j = 0
    while i < len(one.ranges) and j < len(other.ranges):
        (low, high), (first, last) = one.ranges[i], other.ranges[j]
        if low <= last and first <= high:
            return False
        if high < last:
            i += 1
        else:
            j += 1
    return True
