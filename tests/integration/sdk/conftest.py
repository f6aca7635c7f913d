"""A room on either database, called by the SDK alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.sdk import Desk
from tests.api.world import world_of
from tests.rooms import Stage


@pytest.fixture
def desk(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    for name in ("CLEANROOM_CONFIG_DIR", "CLEANROOM_STATE_DIR"):
        monkeypatch.setenv(name, "")
    for name in ("CLEANROOM_URL", "CLEANROOM_CLIENT_ID", "CLEANROOM_CLIENT_SECRET", "CLEANROOM_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    stage.party("agency", "agency")
    stage.party("operator", "operator")
    stage.party("rival", "advertiser")
    world = world_of(stage, {}, release_tick_ms=0)
    yield Desk(world, tmp_path / "machine")
    world.http.close()
