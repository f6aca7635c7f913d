"""Fifty spenders of one grant while a big question of the same grant counts, and is killed while it does."""

import json
import os
import random
import signal
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from benchmarks.synthetic import PURPOSE, Deal, make_deal
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.types import Outcome
from cleanroom.audit.models import AuditEvent
from cleanroom.audit.verify import verify_log
from cleanroom.bootstrap import init_room, open_room
from cleanroom.grants.models import LedgerRow
from cleanroom.grants.verifying import ledger_problems
from cleanroom.room import Room
from cleanroom.settings import load_settings
from tests.integration.spenders import DELTA_PER_RHO, Children, Order

PROCESSES, THREADS = 5, 10
SPENDERS = PROCESSES * THREADS
OVERLAP = {"purpose": PURPOSE, "precision": "rough", "labels": False, "per_key": False}


@pytest.mark.slow_on("postgresql")
def test_fifty_spenders_do_not_wait_for_a_question_that_counts_and_dies(
    tmp_path: Path, database_url: str
) -> None:
    # Stopped in the middle of counting, the question would keep for ever whatever it holds.
    spend_while_matching(
        tmp_path, database_url, provider_rows=1_000_000, base_rows=100_000, attempts=4, stopped=True
    )


@pytest.mark.slow
def test_fifty_spenders_do_not_wait_for_ten_million_people_being_matched(
    tmp_path: Path, database_url: str
) -> None:
    spend_while_matching(
        tmp_path, database_url, provider_rows=10_000_000, base_rows=1_000_000, attempts=12, stopped=False
    )


def spend_while_matching(
    tmp_path: Path, database_url: str, *, provider_rows: int, base_rows: int, attempts: int, stopped: bool
) -> None:
    settings = load_settings({"CLEANROOM_DATABASE_URL": database_url}, home=tmp_path / "home")
    room = init_room(settings)
    deal = make_deal(room, provider_rows=provider_rows, base_rows=base_rows, directory=tmp_path)
    with Children() as children:
        counting = children.start(
            _order(
                room,
                deal,
                tmp_path / "big",
                questions=[big_question()],
                amounts=[],
                counting="stopped" if stopped else "endless",
            )
        )
        until(lambda: _status(room, big=True) == [Outcome.RESERVED])
        if stopped:
            until(lambda: children.stopped(counting))
        orders = [_spending(room, deal, tmp_path, number, attempts) for number in range(PROCESSES)]
        spending = [children.start(order) for order in orders]
        # Nobody waits for the question: a third of everything is spent while it still counts.
        until(lambda: _spent(room, deal) > deal.grant.rho_micro // 3)
        open_room(settings).close()
        assert _status(room, big=True) == [Outcome.RESERVED], (
            "opening the room must not touch a living question"
        )
        assert children.running(counting)
        os.kill(counting, signal.SIGKILL)
        assert children.wait(counting) == -signal.SIGKILL
        # A writer that starved would have been given up by SQLite, and its process have failed.
        assert [children.wait(pid) for pid in spending] == [0] * PROCESSES
    entries = [entry for order in orders for entry in json.loads(Path(order.results).read_text("utf-8"))]

    assert len(entries) == PROCESSES * (1 + (THREADS - 1) * attempts)
    big_micro = _reserved(room, big=True)
    spent = _spent(room, deal)
    assert spent == big_micro + sum(entry["charged"] for entry in entries) == _reserved(room, big=False)
    reserving = sum(entry["charged"] for entry in entries if entry["left"] is not None)
    with room.db.reading() as tx:
        grant = room.grants.status(tx, deal.grant.id)
        moved = tx.session.scalar(select(func.sum(LedgerRow.delta_pico)).where(LedgerRow.kind == "reserved"))
    assert grant.spent_delta_pico == moved == reserving * DELTA_PER_RHO
    # The attempts together ask for more than there is; those refused would not have fitted.
    assert sum(entry["asked"] for entry in entries) + big_micro > deal.grant.rho_micro
    left = deal.grant.rho_micro - spent
    assert 0 <= left < min(entry["asked"] for entry in entries if entry["asked"] and not entry["charged"])
    seen = [entry["left"] for entry in entries if entry["left"] is not None]
    assert len(set(seen)) == len(seen)

    assert _status(room, big=True) == [Outcome.RESERVED]
    room.close()
    again = open_room(settings)
    assert _status(again, big=True) == [Outcome.LOST]
    assert _spent(again, deal) == spent
    with again.db.reading() as tx:
        lost = select(func.count()).where(AuditEvent.kind == "analyses.lost")
        assert tx.session.scalar(lost) == 1
    with again.db.reading() as tx:
        assert list(ledger_problems(tx)) == []
        assert again.audit.restored(tx) is None
    again.close()
    report = verify_log(database_url, verifier_key=settings.verifier_key_path.read_text("utf-8").strip())
    assert report.ok, report.problems


def big_question() -> dict[str, Any]:
    """Every kind of count over both sides, and hundreds of conditions, so that it outlasts the spenders' start."""
    names = ("sex", "age", "city")
    return {
        **OVERLAP,
        "kind": "profile",
        "affinity": True,
        "breakdowns": [list(group) for size in (1, 2, 3) for group in combinations(names, size)],
        "segments": {
            f"{low}-{high}": {"attribute": "age", "op": "between", "value": [low, high]}
            for low, high in list(combinations(range(14, 80), 2))[::3]
        },
    }


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def _order(
    room: Room,
    deal: Deal,
    results: Path,
    *,
    questions: list[dict[str, Any]],
    amounts: list[list[int]],
    counting: str = "",
) -> Order:
    return Order(
        home=str(room.settings.home),
        database_url=room.settings.database_url,
        grant_id=deal.grant.id,
        asker_id=deal.advertiser.organisation_id,
        base_id=deal.base.id,
        dataset_id=deal.dataset.id,
        questions=questions,
        amounts=amounts,
        results=str(results),
        counting=counting,
    )


def _spending(room: Room, deal: Deal, tmp_path: Path, number: int, attempts: int) -> Order:
    """One thread of each process asks a whole question, the others reserve more than their share."""
    rng = random.Random(number)
    share = deal.grant.rho_micro * 6 // 5 // (SPENDERS * attempts)
    amounts = [[rng.randrange(share, share * 2) for _ in range(attempts)] for _ in range(THREADS - 1)]
    question = {**OVERLAP, "segments": {"old": {"attribute": "age", "op": ">", "value": 20 + number}}}
    return _order(room, deal, tmp_path / f"spent{number}", questions=[question], amounts=amounts)


def _status(room: Room, *, big: bool) -> list[str]:
    with room.db.reading() as tx:
        rows = tx.session.execute(select(AnalysisRow.question, AnalysisRow.status)).all()
    return [status for question, status in rows if ("affinity" in question and question["affinity"]) == big]


def _spent(room: Room, deal: Deal) -> int:
    with room.db.reading() as tx:
        return room.grants.status(tx, deal.grant.id).spent_micro


def _reserved(room: Room, *, big: bool) -> int:
    rows = select(func.sum(LedgerRow.rho_micro)).where(LedgerRow.kind == "reserved")
    if big:
        rows = rows.where(
            LedgerRow.subject_id.in_(select(AnalysisRow.id).where(AnalysisRow.status == "reserved"))
        )
    with room.db.reading() as tx:
        return int(tx.session.scalar(rows) or 0)
