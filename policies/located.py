"""Reading a policy's text for somebody who is still writing it: every fault at once, each at its line."""

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from policies.codec import policy_from_data
from policies.errors import PolicyError, PolicyFormatError
from policies.model import VERSION, PolicyDocument
from policies.rules import REGISTRY
from policies.text import DocumentError, load_yaml


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        line: where, 1 for the first.
        rule: the tag of the rule that it is in; empty outside every rule.
        code: of the error.
        message: what is wrong and the limit that was passed.
        remedy: what to do; empty when that goes without saying.
    """

    line: int
    rule: str
    code: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Located:
    """What a text says.

    Attributes:
        document: the policy; None when anything is wrong.
        faults: what is wrong, from top to bottom.
        lines: the first line of each rule, by its tag.
    """

    document: PolicyDocument | None
    faults: tuple[Fault, ...]
    lines: Mapping[str, int]


def read_located(text: str) -> Located:
    """Read a policy's YAML, and say of everything that is wrong where it stands."""
    try:
        data = load_yaml(text)
    except PolicyError as error:
        line = error.line if isinstance(error, DocumentError) and error.line else 1
        return Located(None, (_fault(line, "", error),), {})
    # Bounded by what was read above; only this tells where things stand.
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    keys = _children(root)
    faults: list[Fault] = []
    lines: dict[str, int] = {}
    listed = keys.get("rules")
    if isinstance(data, dict) and isinstance(listed, yaml.SequenceNode) and isinstance(data["rules"], list):
        for node, rule in zip(listed.value, data["rules"], strict=True):
            if not isinstance(rule, dict):
                continue
            tag = str(rule.get("rule"))
            lines.setdefault(tag, _line(node))
            try:
                REGISTRY.find(rule.get("rule")).from_data({key: rule[key] for key in rule if key != "rule"})
            except PolicyError as error:
                faults.append(_fault(_line_of(node, error), tag, error))
    if not faults:
        try:
            return Located(policy_from_data(data), (), lines)
        except PolicyFormatError as error:
            faults.append(_fault(_outer_line(keys, data), "", error))
    return Located(None, tuple(sorted(faults, key=lambda fault: fault.line)), lines)


def _fault(line: int, rule: str, error: PolicyError) -> Fault:
    return Fault(line, rule, error.code, error.message, error.remedy)


def _children(node: yaml.Node | None) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _line_of(node: yaml.Node, error: PolicyError) -> int:
    """Return the line of the key that an error is about, or the first one of its rule."""
    for key, value in _children(node).items():
        if f"`{key}`" in error.message or f"key {key!r}" in error.message or key == "rule" == _subject(error):
            return _line(value)
    return _line(node)


def _subject(error: PolicyError) -> str:
    return "rule" if error.message.startswith("Unknown rule") else ""


def _outer_line(keys: Mapping[str, yaml.Node], data: object) -> int:
    """Return the line of the part outside every rule that is wrong."""
    if not isinstance(data, dict):
        return 1
    unknown = [keys[key] for key in keys if key not in ("v", "name", "rules")]
    if unknown:
        return _line(unknown[0])
    for key, right in (("v", data.get("v") == VERSION), ("name", _named(data.get("name")))):
        if not right and key in keys:
            return _line(keys[key])
    return _line(keys["rules"]) if "rules" in keys else 1


def _named(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= 200
