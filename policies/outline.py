"""Questions that hardly differ: what an officer is told about, and nothing is decided by."""

from collections import Counter
from collections.abc import Iterator, Sequence

from policies.canonical_question import CanonicalQuestion
from policies.nodes import CAll, CHasAny, CLeaf, Node

MOST_PARTS = 1_000
"""Longer outlines are cut: an alarm that is missed among a thousand conditions is friction lost, and no more."""


def outline(question: CanonicalQuestion) -> tuple[str, ...]:
    """Take a question apart into its smallest pieces: ends of ranges, values, groups, breakdowns, sums.

    Args:
        question: in canonical form, so that the pieces do not depend on its spelling.
    """
    parts = [part for segment in question.segments for part in ("segment", *_parts(segment))]
    parts += [f"breakdown:{name}" for group in question.breakdowns for name in group]
    parts += [f"breakdown:{question.open_breakdown}"] if question.open_breakdown else []
    parts += [f"sum:{name}" for name in question.sums]
    parts += ["affinity"] if question.affinity else []
    return tuple(sorted(parts)[:MOST_PARTS])


def hardly_differ(one: Sequence[str], other: Sequence[str]) -> bool:
    """Tell whether two outlines differ by one piece that is added or gone, or by one end of a range that moved."""
    more, fewer = Counter(one) - Counter(other), Counter(other) - Counter(one)
    apart = [*more.elements(), *fewer.elements()]
    if len(apart) != 2:
        return len(apart) == 1
    moved = {part.rpartition(" ")[0] for part in apart}
    return len(more) == len(fewer) == 1 and len(moved) == 1 and next(iter(moved)).startswith("end ")


def _parts(node: Node) -> Iterator[str]:
    if isinstance(node, CHasAny):
        yield from (f"{'none' if node.negated else 'any'} {node.attribute} {code}" for code in node.codes)
    elif not isinstance(node, CLeaf):
        # A group of one kind adds no piece of its own: a condition more inside it is what counts.
        if not isinstance(node, CAll):
            yield "any"
        for item in node.items:
            yield from _parts(item)
    elif node.coded:
        yield from (f"value {node.attribute} {code}" for code in node.codes)
    else:
        for low, high in node.values.ranges:
            yield f"end {node.attribute} from {low}"
            yield f"end {node.attribute} to {high}"
        if node.values.null:
            yield f"null {node.attribute}"
