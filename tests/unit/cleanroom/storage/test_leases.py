"""One piece of work, one worker."""

import pytest

from cleanroom.storage.errors import LeaseTakenError
from cleanroom.storage.leases import Leases


@pytest.fixture
def leases(tmp_path):
    return Leases(tmp_path / "leases")


def test_work_that_somebody_does_is_not_begun_again(leases):
    begun = []
    with leases.hold("dv_1"), pytest.raises(LeaseTakenError, match="running already") as caught:  # noqa: SIM117
        with leases.hold("dv_1"):
            begun.append("twice")
    assert not begun
    assert caught.value.remedy


def test_a_lease_is_free_again_after_the_work_and_others_are_free_meanwhile(leases, tmp_path):
    with leases.hold("dv_1"):
        with leases.try_hold("dv_1") as taken, leases.try_hold("dv_2") as other:
            assert (taken, other) == (False, True)
        assert [path.name for path in (tmp_path / "leases").iterdir()] == ["dv_1.lock"]
    with leases.hold("dv_1"):
        pass
    assert list((tmp_path / "leases").iterdir()) == []
