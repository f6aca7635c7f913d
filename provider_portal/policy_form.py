"""A policy as the fields of a form, and back; which fields there are is said by the rule language itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import yaml

from policies.codec import policy_from_data
from policies.combine import combine
from policies.described import DESCRIBED, NEEDED, Form, Key
from policies.errors import PolicyError
from policies.model import VERSION, PolicyDocument
from policies.rules import REGISTRY
from policies.text import load_yaml

NAME = "name"
ON = "on"
MORE = ".more"
ALL = ".all"


@dataclass(frozen=True)
class FormFault:
    """One thing that is wrong with a form.

    Attributes:
        field: which field, or the tag of the rule when it is about several.
        code: of the error; empty for a number that is none, or out of its range.
        message: of the error, in the domain's words; empty for a number.
        low: the smallest number.
        high: the largest number.
    """

    field: str
    code: str = ""
    message: str = ""
    low: int = 0
    high: int = 0


@dataclass(frozen=True)
class ReadForm:
    """What a form says.

    Attributes:
        document: the policy; None when anything is wrong.
        faults: what is wrong, in the order of the form.
    """

    document: PolicyDocument | None
    faults: tuple[FormFault, ...]

    def of(self, field: str) -> FormFault | None:
        """Return what is wrong with a field."""
        return next((fault for fault in self.faults if fault.field == field), None)


def fields_of(document: PolicyDocument) -> dict[str, str]:
    """Write a policy as fields; rules of one tag are joined to the strictest first."""
    fields = {NAME: document.name}
    for rule in combine([document]).values():
        data = rule.to_data()
        if not DESCRIBED[rule.tag]:
            fields[rule.tag] = ON
        for key in DESCRIBED[rule.tag]:
            if data.get(key.name) is not None:
                fields |= _WRITE[key.form](f"{rule.tag}.{key.name}", data[key.name])
    # A form without these rules says that everybody may ask.
    for tag in ("buyers", "sectors"):
        if not any(field.startswith(f"{tag}.") for field in fields):
            fields[f"{tag}.allowed{ALL}"] = ON
    return fields


def read_form(form: Mapping[str, str]) -> ReadForm:
    """Read a policy from fields."""
    faults: list[FormFault] = []
    rules: list[dict[str, Any]] = []
    name = form.get(NAME, "").strip()
    if not 0 < len(name) <= 200:
        faults.append(FormFault(NAME, code="policies.format", message="A name has 1 to 200 characters."))
    for tag, keys in DESCRIBED.items():
        data: dict[str, Any] = {}
        for key in keys:
            value = _READ[key.form](form, f"{tag}.{key.name}", key)
            if isinstance(value, FormFault):
                faults.append(value)
            elif value is not None:
                data[key.name] = value
        if not _present(tag, data, form) or any(fault.field.startswith(f"{tag}.") for fault in faults):
            continue
        try:
            REGISTRY.find(tag).from_data(data)
        except PolicyError as error:
            faults.append(FormFault(tag, error.code, error.message))
            continue
        rules.append({"rule": tag, **data})
    if faults:
        return ReadForm(None, tuple(faults))
    return ReadForm(policy_from_data({"v": VERSION, "name": name, "rules": rules}), ())


def names_in(fields: Mapping[str, str], field: str) -> list[str]:
    """Return the names that are ticked under a field, in their order."""
    return sorted(name.removeprefix(f"{field}:") for name in fields if name.startswith(f"{field}:"))


def _present(tag: str, data: Mapping[str, Any], form: Mapping[str, str]) -> bool:
    if tag in NEEDED:
        return True
    if not DESCRIBED[tag]:
        return form.get(tag) == ON
    if tag in ("buyers", "sectors"):
        return data.get("allowed") != "*" or bool(data.get("blocked"))
    if any(key.needed for key in DESCRIBED[tag]):
        return all(key.name in data for key in DESCRIBED[tag] if key.needed)
    return bool(data)


def _write_plain(field: str, value: Any) -> dict[str, str]:
    return {field: str(value).removesuffix("T00:00:00Z")}


def _write_names(field: str, value: Any) -> dict[str, str]:
    return {f"{field}{ALL}": ON} if value == "*" else {f"{field}:{name}": ON for name in value}


def _write_numbers(field: str, value: Any) -> dict[str, str]:
    return {f"{field}:{name}": str(number) for name, number in value.items()}


def _write_tree(field: str, value: Any) -> dict[str, str]:
    written: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=None)
    return {field: written.strip()}


def _read_number(form: Mapping[str, str], field: str, key: Key) -> Any:
    text = "".join(form.get(field, "").split()).replace("\u2212", "-")
    if not text:
        return FormFault(field, low=key.low, high=key.high) if key.needed and _asked(field) else None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 16):
        return FormFault(field, low=key.low, high=key.high)
    number = int(text)
    return number if key.low <= number <= key.high else FormFault(field, low=key.low, high=key.high)


def _asked(field: str) -> bool:
    """Tell whether a field belongs to a rule that every document has."""
    return field.partition(".")[0] in NEEDED


def _read_numbers(form: Mapping[str, str], field: str, key: Key) -> Any:
    one = Key(key.name, Form.NUMBER, key.low, key.high)
    found = {name: _read_number(form, f"{field}:{name}", one) for name in key.options}
    wrong = next((value for value in found.values() if isinstance(value, FormFault)), None)
    return wrong or {name: number for name, number in found.items() if number is not None} or None


def _read_names(form: Mapping[str, str], field: str, key: Key) -> Any:
    if key.form is Form.NAMES_OR_ALL and form.get(f"{field}{ALL}") == ON:
        return "*"
    more = form.get(f"{field}{MORE}", "").replace("\n", ",").split(",")
    return sorted({*names_in(form, field), *(name.strip() for name in more if name.strip())})


def _read_text(form: Mapping[str, str], field: str, _key: Key) -> Any:
    return form.get(field, "").strip() or None


def _read_tree(form: Mapping[str, str], field: str, _key: Key) -> Any:
    text = form.get(field, "").strip()
    if not text:
        return None
    try:
        return load_yaml(text)
    except PolicyError as error:
        return FormFault(field, error.code, error.message)


_WRITE: Mapping[Form, Callable[[str, Any], dict[str, str]]] = MappingProxyType(
    {
        Form.NUMBER: _write_plain,
        Form.CHOICE: _write_plain,
        Form.TEXT: _write_plain,
        Form.INSTANT: _write_plain,
        Form.NAMES: _write_names,
        Form.NAMES_OR_ALL: _write_names,
        Form.NUMBERS: _write_numbers,
        Form.TREE: _write_tree,
    }
)
_READ: Mapping[Form, Callable[[Mapping[str, str], str, Key], Any]] = MappingProxyType(
    {
        Form.NUMBER: _read_number,
        Form.CHOICE: _read_text,
        Form.TEXT: _read_text,
        Form.INSTANT: _read_text,
        Form.NAMES: _read_names,
        Form.NAMES_OR_ALL: _read_names,
        Form.NUMBERS: _read_numbers,
        Form.TREE: _read_tree,
    }
)
