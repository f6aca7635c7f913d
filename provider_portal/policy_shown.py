"""Rules and their changes as pages show them: words for tags and keys, values as a person writes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from policies.combine import combine
from policies.described import DESCRIBED, Form
from policies.model import PolicyDocument
from provider_portal.i18n import N_, Writing
from provider_portal.wording import WORDS

_FORMS = {f"{tag}.{key.name}": key for tag, keys in DESCRIBED.items() for key in keys}
# Values of these keys are codes with words of their own.
_TABLES = {
    "analyses.allowed": "question",
    "approval.except": "question",
    "approval.of": "approval_of",
    "purposes.allowed": "purpose",
    "sectors.allowed": "sector",
    "sectors.blocked": "sector",
}


@dataclass(frozen=True)
class RuleShown:
    """One rule for people.

    Attributes:
        tag: of the rule.
        keys: labels and values; those that say nothing, or what is usual, are left out.
    """

    tag: str
    keys: tuple[tuple[str, str], ...]


def rules_shown(document: PolicyDocument, write: Writing) -> tuple[RuleShown, ...]:
    """Return a policy's rules in the order in which people meet them; rules of one tag are joined."""
    by_tag = {rule.tag: rule.to_data() for rule in combine([document]).values()}
    return tuple(
        RuleShown(
            tag,
            tuple(
                (
                    WORDS["rule_key"][f"{tag}.{key.name}"],
                    value_shown(tag, key.name, by_tag[tag][key.name], write),
                )
                for key in DESCRIBED[tag]
                if by_tag[tag].get(key.name) not in (None, [], {}, key.usual)
            ),
        )
        for tag in DESCRIBED
        if tag in by_tag
    )


def value_shown(
    tag: str, key: str, value: Any, write: Writing, names: Mapping[str, str] | None = None
) -> str:
    """Write one value of a rule.

    Args:
        tag: of the rule.
        key: which of its limits; empty when it has none.
        value: as plain data; None when the rule or the key is not there.
        write: the language.
        names: of organisations, by id.
    """
    field = f"{tag}.{key}"
    if value is None or value == "*":
        return "\u2014" if value is None else write.gettext(N_("all"))
    if isinstance(value, int):
        return (
            f"\u03c1 {write.number(value / 1_000_000)}" if key.endswith("_rho_micro") else write.number(value)
        )
    if isinstance(value, list | dict):
        return _several(field, value, write, names or {})
    return _word(field, str(value).removesuffix("T00:00:00Z"), write, names or {})


def _several(field: str, value: list[Any] | dict[str, Any], write: Writing, names: Mapping[str, str]) -> str:
    if isinstance(value, dict) and _FORMS[field].form is Form.NUMBERS:
        return ", ".join(
            f"{write.gettext(WORDS['output'][name])}: {write.number(number)}"
            for name, number in value.items()
        )
    if isinstance(value, dict) or _FORMS[field].form is Form.TREE:
        return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True)).strip()
    return ", ".join(_word(field, one, write, names) for one in value) or write.gettext(N_("none"))


def _word(field: str, code: str, write: Writing, names: Mapping[str, str]) -> str:
    table = _TABLES.get(field)
    known = WORDS[table].get(code) if table is not None else None
    return write.gettext(known) if known is not None else names.get(code, code)
