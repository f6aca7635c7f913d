"""The benchmark of appending runs, checks the order that it promises, and says how many there were."""

from pathlib import Path

import pytest

from benchmarks import append

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("events", [1, 3])
def test_eight_processes_append_in_order(postgresql_url: str, tmp_path: Path, events: int) -> None:
    found = append.measure(postgresql_url, tmp_path, writers=8, seconds=2, events=events)
    assert found["events"] == found["events_per_commit"] * (found["events"] // events) > 100
    assert found["writers"] == 8


def test_a_lost_event_is_seen(postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(append, "range", lambda *given: range(*given[:-1], given[-1] + 1), raising=False)
    with pytest.raises(append.OutOfOrderError):
        append.measure(postgresql_url, tmp_path, writers=1, seconds=0.2, events=1)
