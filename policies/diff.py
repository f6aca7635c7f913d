"""Two policies against each other: what changed, in which direction, and whether one permits no more."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from policies.codec import PRESETS, load_preset
from policies.combine import combine, missing_rules
from policies.errors import PolicyFormatError
from policies.model import PolicyDocument
from policies.rules import Purposes, Rule, Unsafe


class Direction(StrEnum):
    """Whether a change lets less out, or more; neither for what decides nothing, both for a bit of each."""

    STRICTER = "stricter"
    LOOSER = "looser"
    MIXED = "mixed"


@dataclass(frozen=True)
class Change:
    """One key of one rule that differs.

    Attributes:
        rule: the rule's tag.
        key: which of its limits; empty when the rule has none.
        before: its old value as plain data; None when the rule was not there.
        after: its new value; None when the rule is gone.
        direction: of this change alone.
    """

    rule: str
    key: str
    before: Any
    after: Any
    direction: Direction


def diff(old: PolicyDocument, new: PolicyDocument) -> tuple[Change, ...]:
    """Compare two documents by what they say, wherever they say it; rules of one tag are joined first.

    Returns:
        The changes, in the order of the new document's rules, then those of rules that are gone.
    """
    before, after = combine([old]), combine([new])
    changes: list[Change] = []
    for kind in dict.fromkeys([*after, *before]):
        if kind in before and kind in after:
            changes += _changed(before[kind], after[kind])
        else:
            changes += _appeared(kind, before.get(kind), after.get(kind))
    return tuple(changes)


def permits_no_more(one: PolicyDocument, other: PolicyDocument) -> bool:
    """Tell whether whatever the first document permits, the second permits too: joining it changes nothing."""
    alone, joined = _deciding(one), combine([one, other])
    return {kind: rule for kind, rule in joined.items() if rule.decides} == alone


def preset_above(document: PolicyDocument) -> str | None:
    """Return the strictest preset of which a document is a tightening; None when it is of none.

    A document that lacks a required rule refuses everything, and is a tightening of any.
    """
    if missing_rules(document):
        return PRESETS[0]
    purposes = combine([document])[Purposes]
    assert isinstance(purposes, Purposes)
    for name in PRESETS:
        preset = load_preset(name, purposes=sorted(purposes.allowed) or ["none"])
        if permits_no_more(document, preset):
            return name
    return None


def unsafe_reason(document: PolicyDocument) -> str | None:
    """Return why the owner publishes a policy that was not found to resist; None for any other policy."""
    rule = combine([document]).get(Unsafe)
    return rule.reason if isinstance(rule, Unsafe) else None


def with_unsafe_override(document: PolicyDocument, reason: str) -> PolicyDocument:
    """Return the document with the override named unsafe, which its version shows for as long as it is in force."""
    return PolicyDocument(document.name, (*document.rules, Unsafe(reason)), document.v)


def _deciding(document: PolicyDocument) -> dict[type[Rule], Rule]:
    return {kind: rule for kind, rule in combine([document]).items() if rule.decides}


def _appeared(kind: type[Rule], old: Rule | None, new: Rule | None) -> list[Change]:
    before, after = ({} if rule is None else rule.to_data() for rule in (old, new))
    direction = Direction.STRICTER if (new is not None) != (kind is Unsafe) else Direction.LOOSER
    keys = [*(after or before)] or [""]
    return [Change(kind.tag, key, before.get(key), after.get(key), direction) for key in keys]


def _changed(old: Rule, new: Rule) -> list[Change]:
    before, after = old.to_data(), new.to_data()
    keys = [key for key in dict.fromkeys([*after, *before]) if before.get(key) != after.get(key)]
    return [
        Change(old.tag, key, before.get(key), after.get(key), _direction(old, new, before, after, key))
        for key in keys
    ]


def _direction(
    old: Rule, new: Rule, before: Mapping[str, Any], after: Mapping[str, Any], key: str
) -> Direction:
    """Tell the direction of one key by changing it alone; of the whole rule when that makes no rule."""
    single = {name: value for name, value in before.items() if name != key}
    single |= {key: after[key]} if key in after else {}
    try:
        moved = type(old).from_data(single)
    except PolicyFormatError:
        moved = new
    met = old.meet(moved)
    if met not in (old, moved):
        return Direction.MIXED
    return Direction.STRICTER if met == moved else Direction.LOOSER
