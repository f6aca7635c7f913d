"""Policy documents as YAML and as plain data."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from policies.errors import PolicyFormatError
from policies.model import VERSION, PolicyDocument
from policies.rules import REGISTRY, Analyses, Attributes, Purposes
from policies.text import load_yaml, nfc

PRESETS = ("strict", "standard", "relaxed")


def policy_from_data(data: object) -> PolicyDocument:
    """Read a document from plain data: `v`, `name` and `rules`, a list of mappings with the tag under `rule`.

    Raises:
        PolicyFormatError: another version, an unknown tag or key, or a limit outside its range.
    """
    if not isinstance(data, Mapping) or not {"v", "name", "rules"} == set(data):
        raise PolicyFormatError(
            "A policy document has the keys v, name and rules.", remedy="Start from a preset."
        )
    if data["v"] != VERSION or isinstance(data["v"], bool):
        raise PolicyFormatError(
            f"This room reads policy documents of version {VERSION}.", remedy=f"Write `v: {VERSION}`."
        )
    name, rules = data["name"], data["rules"]
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise PolicyFormatError(
            "A policy's name is text of 1 to 200 characters.", remedy="Give it a name of that length."
        )
    if not isinstance(rules, list) or not all(isinstance(rule, Mapping) for rule in rules):
        raise PolicyFormatError(
            "`rules` is a list of mappings, each with its tag under `rule`.",
            remedy="Write every rule as `- {rule: <tag>, ...}`.",
        )
    return PolicyDocument(
        name=name,
        rules=tuple(
            REGISTRY.find(rule.get("rule")).from_data({key: rule[key] for key in rule if key != "rule"})
            for rule in rules
        ),
    )


def policy_to_data(document: PolicyDocument) -> dict[str, Any]:
    """Write a document as the plain data that `policy_from_data` reads; fit for canonical JSON."""
    return {
        "v": document.v,
        "name": document.name,
        "rules": [{"rule": rule.tag, **rule.to_data()} for rule in document.rules],
    }


def policy_from_yaml(text: str) -> PolicyDocument:
    """Read a document from YAML; raises PolicyFormatError, or DocumentError when it is not YAML."""
    return policy_from_data(load_yaml(text))


def policy_to_yaml(document: PolicyDocument) -> str:
    """Write a document as YAML, one rule after another, so that versions can be compared line by line."""
    written: str = yaml.safe_dump(policy_to_data(document), sort_keys=False, allow_unicode=True)
    return written


def load_preset(
    name: str, *, purposes: Sequence[str], attributes: Sequence[str] | str = "*", blocked: Sequence[str] = ()
) -> PolicyDocument:
    """Return a preset with the owner's own purposes and attributes filled in.

    Args:
        name: strict, standard or relaxed.
        purposes: which purposes the owner allows.
        attributes: which attributes may be filtered and broken down by, and added up where the preset allows
            statistics; "*" for all.
        blocked: attributes that may not be used at all.

    Raises:
        PolicyFormatError: there is no such preset, or no purpose is given.
    """
    if name not in PRESETS:
        raise PolicyFormatError("Unknown preset.", remedy=f"Use one of: {', '.join(PRESETS)}.")
    if not purposes:
        raise PolicyFormatError(
            "A policy without purposes refuses everything.", remedy="Name at least one purpose."
        )
    allowed = None if attributes == "*" else frozenset(nfc(name) for name in attributes)
    preset = _preset(name)
    return PolicyDocument(
        name=preset.name,
        rules=(
            Purposes(frozenset(nfc(purpose) for purpose in purposes)),
            Attributes(
                filter=allowed,
                breakdown=allowed,
                blocked=frozenset(nfc(name) for name in blocked),
                sum=allowed if _adds_up(preset) else frozenset(),
            ),
            *preset.rules,
        ),
    )


def _adds_up(preset: PolicyDocument) -> bool:
    return any(isinstance(rule, Analyses) and "statistics" in rule.allowed for rule in preset.rules)


@cache
def _preset(name: str) -> PolicyDocument:
    return policy_from_yaml(files("policies").joinpath("presets", f"{name}.yaml").read_text(encoding="utf-8"))
