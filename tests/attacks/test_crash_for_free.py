"""Crash or cancel a question after it was counted, and hope to have it for nothing."""

import pytest

from cleanroom.matching.local import LocalEngine
from cleanroom.redteam.plants import planted


class Cancelled(BaseException):
    """The client went away, or the process was killed."""


def crash(stage, grant, monkeypatch) -> None:
    count = LocalEngine.count

    def killed(self, *args):
        count(self, *args)
        raise Cancelled

    with monkeypatch.context() as patch:
        patch.setattr(LocalEngine, "count", killed)
        with pytest.raises(Cancelled):
            stage.ask(grant, precision="rough")
    stage.reopen()


def test_crashing_questions_spend_the_grant_to_its_end(make_room, monkeypatch):
    stage = make_room()
    grant = stage.grant("S")

    for _ in range(20):
        crash(stage, grant, monkeypatch)

    assert stage.left(grant) == 0
    refused = stage.ask(grant, precision="rough")
    assert [reason.rule for reason in refused.reasons] == ["budget_left"]
    assert len(stage.events("analyses.lost")) == 20
    # And nothing returns when the grant ends.
    stage.clock.move(days=31)
    with stage.room.db.transaction() as tx:
        (ended,) = stage.room.grants.expire(tx)
    assert ended.spent_micro == 2_000


def test_a_charge_that_waits_for_the_release_would_make_crashes_free(make_room, monkeypatch):
    with planted("settle_at_release"):
        stage = make_room()
        grant = stage.grant("S")

        for _ in range(3):
            crash(stage, grant, monkeypatch)

        assert stage.left(grant) == 2_000
        stage.ask(grant, precision="rough")
        assert stage.left(grant) == 1_900
