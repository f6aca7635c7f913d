"""The canonical form of a condition: one tree for all spellings of the same words.

The form is reached by pushing `not` into the leaves (two-valued logic, so De Morgan's laws hold exactly),
turning each leaf into a set of values, merging the leaves of one attribute inside a group, absorbing what
another item implies, and sorting. It does not prove equal whatever is logically equal (nothing quick can):
a question that is spelled apart by dummy conditions costs its own budget, which is what bounds averaging.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from policies.attributes import CODED_TYPES, AttributeInfo
from policies.condition import All, Condition, Leaf, Not
from policies.errors import QuestionError
from policies.nodes import EVERYONE, NOBODY, CAll, CAny, CHasAny, CLeaf, Node
from policies.values import ValueSet, has_any_codes, intersection, leaf_values, union

_MOST_COMPARED = 1_000_000
"""Pairs of groups; beyond, none is dropped: it would hold up other askers, and only costs a stored answer."""


def canonical_condition(condition: Condition, attributes: Mapping[str, AttributeInfo]) -> Node:
    """Bring a condition to its canonical form.

    Args:
        condition: as asked; at most 64 levels deep, which parsing has seen to.
        attributes: the attributes offered, by name.

    Returns:
        A tree that holds for exactly the same persons.

    Raises:
        QuestionError: an unknown attribute, an operator that its type does not offer, or a literal of
            another type.
    """
    return _build(condition, attributes, negate=False)


def attribute_info(name: str, attributes: Mapping[str, AttributeInfo]) -> AttributeInfo:
    """Return an attribute's declared shape.

    Raises:
        QuestionError: there is no such attribute; the message lists those offered.
    """
    if name in attributes:
        return attributes[name]
    offered = ", ".join(sorted(attributes)[:20]) + (", ..." if len(attributes) > 20 else "")
    raise QuestionError(f"Unknown attribute {name[:80]!r}.", remedy=f"Offered: {offered or 'none'}.")


def _build(condition: Condition, attributes: Mapping[str, AttributeInfo], *, negate: bool) -> Node:
    if isinstance(condition, Not):
        return _build(condition.item, attributes, negate=not negate)
    if isinstance(condition, Leaf):
        return _leaf(condition, attribute_info(condition.attribute, attributes), negate=negate)
    items = [_build(item, attributes, negate=negate) for item in condition.items]
    return _combine(items, attributes, every=isinstance(condition, All) != negate)


def _leaf(leaf: Leaf, info: AttributeInfo, *, negate: bool) -> Node:
    if info.open:
        raise QuestionError(
            f"{leaf.attribute!r} is an open category: its values are not public, so no condition reads them.",
            remedy="Break down by it alone, or ask the owner to declare `values`.",
        )
    if info.type == "set":
        codes, negated = has_any_codes(leaf, info)
        return _has_any(leaf.attribute, codes, negated=negated != negate)
    values = leaf_values(leaf, info)
    if negate:
        values = values.complement(info.domain)
    return _single(leaf.attribute, values, info)


def _single(attribute: str, values: ValueSet, info: AttributeInfo) -> Node:
    if values.empty:
        return NOBODY
    if values.null and values.ranges == (info.domain,):
        return EVERYONE
    return CLeaf(attribute, values, coded=info.type in CODED_TYPES)


def _has_any(attribute: str, codes: frozenset[int], *, negated: bool) -> Node:
    if not codes:
        return EVERYONE if negated else NOBODY
    return CHasAny(attribute, tuple(sorted(codes)), negated)


def _combine(items: Sequence[Node], attributes: Mapping[str, AttributeInfo], *, every: bool) -> Node:
    """Join canonical items by `all` (every) or `any` into one canonical node."""
    group: type[CAll | CAny] = CAll if every else CAny
    neutral, absorbing = (EVERYONE, NOBODY) if every else (NOBODY, EVERYONE)
    singles: dict[str, list[CLeaf]] = defaultdict(list)
    sets: dict[str, list[CHasAny]] = defaultdict(list)
    composites: dict[str, CAll | CAny] = {}
    for item in (part for node in items for part in (node.items if isinstance(node, group) else (node,))):
        if item == absorbing:
            return absorbing
        if isinstance(item, CLeaf):
            singles[item.attribute].append(item)
        elif isinstance(item, CHasAny):
            sets[item.attribute].append(item)
        else:
            composites[item.key] = item
    leaves: dict[str, CLeaf] = {}
    for name, found in singles.items():
        if len(found) == 1:
            leaves[name] = found[0]
            continue
        values = [leaf.values for leaf in found]
        merged = _single(
            name, intersection(values, attributes[name].domain) if every else union(values), attributes[name]
        )
        if merged == absorbing:
            return absorbing
        if isinstance(merged, CLeaf):
            leaves[name] = merged
    hits: list[CHasAny] = []
    for has_any in sets.values():
        joined = _merge_sets(has_any, every=every)
        if joined is None:
            return absorbing
        hits.extend(joined)
    kept = [*leaves.values(), *hits, *_absorb(list(composites.values()), leaves, hits, every=every)]
    if len(kept) == 1:
        return kept[0]
    return group(tuple(sorted(kept, key=lambda node: node.key))) if kept else neutral


def _merge_sets(found: Sequence[CHasAny], *, every: bool) -> list[CHasAny] | None:
    """Join the leaves of one set-valued attribute; None means nobody (`all`) or everyone (`any`)."""
    name = found[0].attribute
    # Under `any` the plain ones join into one, under `all` the negated ones do; the rest need not ask for
    # its codes.
    pooled = frozenset(code for node in found if node.negated == every for code in node.codes)
    apart = {frozenset(node.codes) - pooled for node in found if node.negated != every}
    if frozenset() in apart:
        return None
    minimal = _without_supersets({str(sorted(codes)): codes for codes in apart})
    kept = [CHasAny(name, tuple(sorted(apart_codes)), not every) for apart_codes in minimal.values()]
    return kept + ([CHasAny(name, tuple(sorted(pooled)), every)] if pooled else [])


def _absorb(
    composites: Sequence[CAll | CAny], leaves: Mapping[str, CLeaf], hits: Sequence[CHasAny], *, every: bool
) -> list[CAll | CAny]:
    """Drop the groups that a sibling makes redundant: a and (a or b) is a; a or (a and b) is a."""
    by_key = {node.key: node for node in composites if not _decided(node, leaves, hits, every=every)}
    minimal = _without_supersets(
        {key: frozenset(item.key for item in node.items) for key, node in by_key.items()}
    )
    return [by_key[key] for key in minimal]


def _decided(
    group: CAll | CAny, leaves: Mapping[str, CLeaf], hits: Sequence[CHasAny], *, every: bool
) -> bool:
    for item in group.items:
        if isinstance(item, CLeaf) and item.attribute in leaves:
            sibling = leaves[item.attribute].values
            # Under `all` the sibling must imply the item, under `any` the item must imply the sibling.
            if sibling.within(item.values) if every else item.values.within(sibling):
                return True
        elif isinstance(item, CHasAny) and any(
            _implies(hit, item) if every else _implies(item, hit) for hit in hits
        ):
            return True
    return False


def _implies(one: CHasAny, other: CHasAny) -> bool:
    if (one.attribute, one.negated) != (other.attribute, other.negated):
        return False
    narrow, wide = (other, one) if one.negated else (one, other)
    return set(narrow.codes) <= set(wide.codes)


def _without_supersets(sets: Mapping[str, frozenset[Any]]) -> dict[str, frozenset[Any]]:
    """Keep the sets that contain no other; each is compared only with those that hold its rarest element.

    Of too many, all are kept.
    """
    holders: dict[Any, list[str]] = defaultdict(list)
    for key, members in sets.items():
        for member in members:
            holders[member].append(key)
    rarest = {key: min((holders[member] for member in members), key=len) for key, members in sets.items()}
    if sum(map(len, rarest.values())) > _MOST_COMPARED:
        return dict(sets)
    dropped: set[str] = set()
    for key, members in sets.items():
        dropped.update(other for other in rarest[key] if other != key and sets[other] > members)
    return {key: members for key, members in sets.items() if key not in dropped}
