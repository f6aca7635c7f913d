"""A policy that forgets says so in every receipt."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from policies.codec import load_preset
from policies.rules import Budget
from tests.rooms import PURPOSE, Stage


@pytest.mark.parametrize("window_days", [None, 90])
def test_a_receipt_states_the_window(make_room: Callable[..., Stage], window_days: int | None) -> None:
    stage = make_room()
    preset = load_preset("standard", purposes=[PURPOSE])
    rules = (
        replace(rule, window_days=window_days) if isinstance(rule, Budget) else rule for rule in preset.rules
    )
    if window_days is not None:
        stage.rule(replace(preset, rules=tuple(rules)))
    grant = stage.grant("M")

    answer = stage.ask(grant)

    budget = json.loads(answer.receipt.read_bytes())["record"]["body"]["budget"]
    assert budget == {
        "left_before_micro": 20_000,
        "left_after_micro": answer.left_micro,
        "left_before_delta_pico": 200_000,
        "left_after_delta_pico": 200_000,
        "window_days": window_days,
    }
