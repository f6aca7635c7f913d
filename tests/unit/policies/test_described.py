"""What is said of the rule language against what the rules read, at every limit."""

from typing import Any

import pytest

from policies.described import DESCRIBED, NEEDED, Form, Key
from policies.errors import PolicyFormatError
from policies.rules import REGISTRY

# Beside the key that is tried, a rule may need others, and caps that are ordered.
_OTHERS: dict[str, dict[str, Any]] = {
    "budget": {
        "cap_rho_micro": 1,
        "agency_rho_micro": 1_000_000_000_000,
        "total_rho_micro": 1_000_000_000_000,
    },
    "minimum_audience": {"min": 0},
    "approval": {"of": "question"},
}
_NUMBERS = [
    (tag, key) for tag, keys in DESCRIBED.items() for key in keys if key.form in (Form.NUMBER, Form.NUMBERS)
]


def read(tag: str, key: Key, number: int) -> None:
    value: Any = number if key.form is Form.NUMBER else dict.fromkeys(key.options, number)
    data = {**_OTHERS.get(tag, {}), key.name: value}
    if tag == "budget":
        # The account's cap above stays above, whichever of them is tried.
        if key.name.endswith("_rho_micro"):
            data = dict.fromkeys(("cap_rho_micro", "agency_rho_micro", "total_rho_micro"), number)
        elif key.name == "cap_delta_pico":
            data |= {"agency_delta_pico": number, "total_delta_pico": number}
        elif key.name.endswith("_delta_pico"):
            data |= {"cap_delta_pico": 0, "agency_delta_pico": 0, "total_delta_pico": number} | {
                key.name: number
            }
            data["total_delta_pico"] = number
    REGISTRY.find(tag).from_data(data)


def test_every_rule_is_described() -> None:
    assert set(DESCRIBED) == set(REGISTRY.tags)
    assert set(NEEDED) <= set(DESCRIBED)


@pytest.mark.parametrize(("tag", "key"), _NUMBERS, ids=lambda one: getattr(one, "name", one))
def test_numbers_end_where_the_rules_end_them(tag: str, key: Key) -> None:
    read(tag, key, key.low)
    read(tag, key, key.high)
    for beyond in (key.low - 1, key.high + 1):
        with pytest.raises(PolicyFormatError):
            read(tag, key, beyond)


@pytest.mark.parametrize("tag", list(DESCRIBED))
def test_the_keys_are_those_that_the_rule_takes(tag: str) -> None:
    for key in DESCRIBED[tag]:
        with pytest.raises(
            PolicyFormatError, match=f"`{key.name}`|{key.name}|literals|segment|dates|kind of analysis"
        ):
            REGISTRY.find(tag).from_data({**_OTHERS.get(tag, {}), key.name: object()})
    with pytest.raises(PolicyFormatError, match="Unknown key 'nonsense'"):
        REGISTRY.find(tag).from_data({**_OTHERS.get(tag, {}), "nonsense": 1})


def test_options_are_all_that_may_be_named() -> None:
    tried = 0
    for tag, keys in DESCRIBED.items():
        for key in (one for one in keys if one.options and one.form is not Form.NUMBERS):
            for name in key.options:
                value: Any = name if key.form is Form.CHOICE else [name]
                REGISTRY.find(tag).from_data({**_OTHERS.get(tag, {}), key.name: value})
                tried += 1
            with pytest.raises(PolicyFormatError):
                REGISTRY.find(tag).from_data(
                    {
                        **_OTHERS.get(tag, {}),
                        key.name: "none such" if key.form is Form.CHOICE else ["none such"],
                    }
                )
    assert tried > 60
