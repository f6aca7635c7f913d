"""Rooms in which something happens while a question is counted, or at midnight."""

from collections.abc import Callable
from typing import Any

import pytest

from cleanroom.matching.local import LocalEngine
from tests.rooms import DATASET_HEADER, DATASET_SCHEMA, people

OnCount = Callable[[Callable[[], None]], list[int]]


@pytest.fixture
def while_counting(monkeypatch: pytest.MonkeyPatch) -> OnCount:
    """Let something happen between the two transactions, each time that the engine counts."""

    def hook(action: Callable[[], None]) -> list[int]:
        counts: list[int] = []
        count = LocalEngine.count

        def counting(self: LocalEngine, *args: Any) -> Any:
            counts.append(len(counts) + 1)
            exact = count(self, *args)
            action()
            return exact

        monkeypatch.setattr(LocalEngine, "count", counting)
        return counts

    return hook


@pytest.fixture
def expiring(make_room):
    """A dataset in which every second consent to research ends with the day, and the other with the next."""
    stage = make_room()
    mapping = '{column: lab, granted: ["yes"]}'
    schema = DATASET_SCHEMA.replace(mapping, mapping.replace("]}", "], expires_at: until}"))
    rows = [f"{row},2026-11-{22 + number % 2}" for number, row in enumerate(people(1_000))]
    stage.dataset_id = stage.dataset(rows, schema=schema, header=f"{DATASET_HEADER},until")
    stage.rule()
    return stage
