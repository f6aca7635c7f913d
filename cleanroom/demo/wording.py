"""Questions in other words: the same question re-spelled, and what a refusal's nearest question changes."""

from collections.abc import Mapping
from typing import Any


def respell(condition: Mapping[str, Any]) -> dict[str, Any]:
    """Write a condition differently without changing whom it selects.

    Lists are reversed, `between` becomes two comparisons, one text becomes a list of one, and everything
    else is negated twice.
    """
    for word in ("all", "any"):
        if word in condition:
            return {word: [respell(item) for item in reversed(condition[word])]}
    if "not" in condition:
        return {"not": respell(condition["not"])}
    attribute, op, value = condition["attribute"], condition["op"], condition.get("value", ())
    if op == "between":
        low = {"attribute": attribute, "op": ">=", "value": value[0]}
        return {"all": [{"attribute": attribute, "op": "<=", "value": value[1]}, low]}
    if op == "==" and isinstance(value, str):
        return {"attribute": attribute, "op": "in", "value": [value]}
    if op in {"in", "has_any"}:
        return {"not": {"not": {**condition, "value": list(reversed(value))}}}
    return {"not": {"not": dict(condition)}}


def respell_question(question: Mapping[str, Any]) -> dict[str, Any]:
    """Re-spell every segment of a question and reverse their order; the names stay."""
    segments = {
        name: respell(condition) for name, condition in reversed(question.get("segments", {}).items())
    }
    return {**question, "segments": segments}


def changes(asked: Mapping[str, Any], nearest: Mapping[str, Any]) -> str:
    """Say in words how a refusal's nearest permitted question differs from the one that was asked.

    Args:
        asked: the question as plain data.
        nearest: of a reason: the `question`, and what else would have to change beside it.
    """
    facts = {key: value for key, value in nearest.items() if key != "question"}
    wanted = {**nearest.get("question", {}), **facts}
    said = [_change(key, asked.get(key), value) for key, value in wanted.items() if asked.get(key) != value]
    return "; ".join(said) or "the same question"


def _change(key: str, before: Any, after: Any) -> str:
    if key in {"segments", "breakdowns"}:
        return _fewer(key, before or (), after)
    if key in {"labels", "per_key", "affinity"}:
        return ("with " if after else "without ") + {"per_key": "shares per key"}.get(key, key)
    if isinstance(after, int):
        after = f"{after:,}"
    wordings = {
        "purpose": f"for the purpose {after}",
        "precision": f"at the precision {after}",
        "half_width": f"at ± {after} people",
        "kind": f"as a {str(after).replace('_', ' ')}",
        "base_persons": f"with a base of at least {after} persons",
        "not_before": f"not before {after}",
    }
    return wordings.get(key, f"with {key} {after}")


def _fewer(key: str, before: Any, after: Any) -> str:
    def told(item: Any) -> str:
        return item if isinstance(item, str) else " × ".join(item)

    left_out = [told(item) for item in before if item not in after]
    kept = [told(item) for item in after]
    if not kept:
        return f"without {key}"
    return f"without {', '.join(left_out)}" if left_out else f"with the {key} {', '.join(kept)}"
