"""What an owner approves: one exact question, or a template of it with the literals left out."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from policies.attributes import AttributeInfo
from policies.canonical_question import canonical_question
from policies.question import Question, question_to_dict

QUESTION, TEMPLATE = "question", "template"
_LITERALS = ("ranges", "in", "has_any", "has_none", "other")
_PRECISION = ("precision", "half_width", "percent", "expected")


def approval_subject(
    question: Question, attributes: Mapping[str, AttributeInfo], *, of: str
) -> dict[str, Any]:
    """Return what an owner is asked to approve, as plain data.

    Both name the purpose, as consents are given for one. An exact question names its base and its precision
    too, since both change what is learned; a template holds for every base and precision of the grant.

    Args:
        question: as asked.
        attributes: the dataset's attributes, by name.
        of: `question` or `template`.
    """
    tree = canonical_question(question, attributes).tree
    if of == TEMPLATE:
        return {"v": 1, "of": of, "purpose": question.purpose, "question": _without_literals(dict(tree))}
    asked = question_to_dict(question)
    precision = {key: asked[key] for key in _PRECISION if key in asked}
    return {
        "v": 1,
        "of": of,
        "purpose": question.purpose,
        "base_id": question.base_id,
        "precision": precision,
        "question": dict(tree),
    }


def approval_key(question: Question, attributes: Mapping[str, AttributeInfo], *, of: str) -> str:
    """Return the name of an approval's subject: the same for every spelling of a question; hex SHA-256."""
    return hashlib.sha256(_text(approval_subject(question, attributes, of=of)).encode()).hexdigest()


def _without_literals(node: Any) -> Any:
    """Leave the values of every leaf out, and order what was ordered by them."""
    if isinstance(node, dict):
        kept = {key: _without_literals(part) for key, part in node.items() if key not in _LITERALS}
        hit = next((key for key in ("has_any", "has_none") if key in node), None)
        return kept if hit is None else kept | {"op": hit}
    if isinstance(node, list):
        return sorted((_without_literals(part) for part in node), key=_text)
    return node


def _text(data: Any) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
