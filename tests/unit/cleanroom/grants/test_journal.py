"""The list of all budget given out survives crashes, and never has too little on it."""

from pathlib import Path

import pytest

from cleanroom.grants.journal import Allocation, Journal
from cleanroom.grants.types import Amount, Grant


def allocation(name: str) -> Allocation:
    return Allocation(name, "pop_1", (("total", ""), ("advertiser", "org_ä")), 7, 3)


def test_lines_come_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "list")
    assert journal.read() == ()
    for name in ("gr_1", "gr_2"):
        journal.add(allocation(name))
    assert journal.read() == (allocation("gr_1"), allocation("gr_2"))
    assert journal.read()[0].amount == Amount(7, 3)
    assert (tmp_path / "list").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_line_that_a_crash_cut_short_is_left_out_and_spoils_no_other(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "list"
    Journal(path).add(allocation("gr_1"))
    whole = path.read_bytes()
    Journal(path).add(allocation("gr_cut"))
    path.write_bytes(whole + path.read_bytes()[len(whole) :][:kept])

    Journal(path).add(allocation("gr_3"))

    names = [line.subject_id for line in Journal(path).read()]
    assert names in (["gr_1", "gr_3"], ["gr_1", "gr_cut", "gr_3"])
    assert len(names) == (3 if kept == -1 else 2)


def test_every_grant_and_public_release_is_listed_before_it_is_committed(room) -> None:
    grant = room.granted(0, "M", agency_id=room.agency)
    assert isinstance(grant, Grant)
    room.issue(0, "L")
    room.charge_public("dv_1/advertising", 500)
    room.charge_public("dv_2/advertising", 5_000)

    listed = room.journal.read()

    # What was refused is not on it.
    assert [line.subject_id for line in listed] == [grant.id, "dv_1/advertising"]
    assert listed[0].accounts == (
        ("total", ""),
        ("advertiser", room.buyers[0]),
        ("affiliates", "holding"),
        ("agency", room.agency),
    )
    assert (listed[0].amount, listed[1].accounts) == (grant.allocated, (("public", ""),))
