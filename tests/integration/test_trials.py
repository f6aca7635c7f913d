"""Trials by the red team: who may ask, one at a time, what is taken for a verdict, and a worker that dies."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import Any

import pytest

from cleanroom.rules.errors import (
    NotYourDatasetError,
    TooManyTrialsError,
    TrialReportError,
    UnknownTrialError,
    UntestedPolicyError,
    UntriableError,
)
from cleanroom.rules.trials import MOST_STARTS, SILENT_SECONDS, read_report
from cleanroom.rules.types import TrialState, policy_sha256
from cleanroom.worker.trials import Trying, redteam_command
from policies.codec import load_preset, policy_from_yaml
from policies.model import PolicyDocument
from policies.rules import BaseFloor
from tests.rooms import PURPOSE, Stage
from tests.trials import report

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")

STANDARD = load_preset("standard", purposes=[PURPOSE])


def wide(floor: int = 1) -> PolicyDocument:
    """Wider than every preset."""
    rules = (rule for rule in STANDARD.rules if not isinstance(rule, BaseFloor))
    return PolicyDocument(f"wide {floor}", (*rules, BaseFloor(floor)))


WIDE = wide()


def ask(stage: Stage, document: PolicyDocument = WIDE):
    with stage.room.db.transaction() as tx:
        return stage.room.trials.ask(
            tx, stage.dataset_id, document, organisation_id=stage.provider.organisation_id, by="us_1"
        )


def take(stage: Stage):
    with stage.room.db.transaction() as tx:
        return stage.room.trials.take(tx)


def finish(stage: Stage, taken, found: bytes) -> None:
    with stage.room.db.transaction() as tx:
        stage.room.trials.finish(tx, taken[0].id, taken[1], found)


def seen(stage: Stage, trial_id: str):
    with stage.room.db.reading() as tx:
        return stage.room.trials.trial(
            tx, trial_id, dataset_id=stage.dataset_id, organisation_id=stage.provider.organisation_id
        )


def publish(stage: Stage, document: PolicyDocument = WIDE):
    with stage.room.db.transaction() as tx:
        return stage.room.rules.set_policy(
            tx, stage.dataset_id, document, organisation_id=stage.provider.organisation_id
        )


def test_a_verdict_of_the_rooms_own_red_team_opens_the_way(stage: Stage) -> None:
    with pytest.raises(UntestedPolicyError):
        publish(stage)
    asked = ask(stage)
    assert (asked.state, asked.asked_by) == (TrialState.WAITING, "us_1")
    taken = take(stage)
    assert taken is not None
    assert take(stage) is None
    with stage.room.db.transaction() as tx:
        assert stage.room.trials.beat(tx, asked.id, taken[1], percent=40)
    assert (seen(stage, asked.id).state, seen(stage, asked.id).percent) == (TrialState.RUNNING, 40)
    with pytest.raises(UntestedPolicyError):
        publish(stage)
    finish(stage, taken, report(WIDE))

    done = seen(stage, asked.id)
    assert (done.state, done.percent) == (TrialState.DONE, 100)
    assert done.verdict is not None
    assert done.verdict.resists
    assert [attack.name for attack in done.attacks] == ["padding"]
    version = publish(stage)
    assert (version.preset, version.report_sha256) == (None, done.verdict.report_sha256)
    (set_event,) = [e for e in stage.events("rules.policy_set") if e["body"]["number"] == version.number]
    assert set_event["body"]["redteam"]["report_sha256"] == done.verdict.report_sha256
    kinds = [event["kind"] for event in stage.events("rules.trial_asked", "rules.trial_done")]
    assert kinds == ["rules.trial_asked", "rules.trial_done"]


def test_a_verdict_counts_for_its_document_and_its_dataset_alone(stage: Stage) -> None:
    ask(stage)
    finish(stage, take(stage), report(WIDE))
    with pytest.raises(UntestedPolicyError):
        publish(stage, wide(2))
    other = stage.register("dataset", "match_keys: {email: {column: e}}\nlawful_basis: contract\n")
    with stage.room.db.transaction() as tx, pytest.raises(UntestedPolicyError):
        stage.room.rules.set_policy(tx, other, WIDE, organisation_id=stage.provider.organisation_id)


@pytest.mark.parametrize(
    "found", [report(WIDE, grade="falls"), report(WIDE, conclusive=False), report(WIDE, attacks=[])]
)
def test_a_policy_that_falls_or_leaves_it_open_stays_refused(stage: Stage, found: bytes) -> None:
    asked = ask(stage)
    finish(stage, take(stage), found)
    verdict = seen(stage, asked.id).verdict
    assert verdict is not None
    assert not verdict.resists
    with pytest.raises(UntestedPolicyError):
        publish(stage)


@pytest.mark.parametrize(
    "found",
    [
        b"",
        b"{}",
        b"\xff",
        b"[]",
        report(wide(2)),
        report(WIDE, v=2),
        report(WIDE, plant="noise_off"),
        report(WIDE, grade="superb"),
        # A grade that its own attacks contradict.
        report(WIDE).replace(b'"verdict": "resists"', b'"verdict": "falls"'),
        b" " * (1 << 20) + report(WIDE),
    ],
)
def test_what_is_no_report_on_the_document_is_none(found: bytes) -> None:
    with pytest.raises(TrialReportError):
        read_report(found, sha256=policy_sha256(WIDE))


def test_the_same_document_is_attacked_once_and_few_wait_at_a_time(stage: Stage) -> None:
    first = ask(stage)
    assert ask(stage).id == first.id
    for floor in (2, 3):
        ask(stage, wide(floor))
    with pytest.raises(TooManyTrialsError):
        ask(stage, wide(4))
    finish(stage, take(stage), report(WIDE))
    assert ask(stage).id == first.id
    ask(stage, wide(4))


def test_nothing_to_attack_is_not_attacked_and_foreign_datasets_are_not_there(stage: Stage) -> None:
    with pytest.raises(UntriableError):
        ask(stage, PolicyDocument("no rules", ()))
    with pytest.raises(UntriableError):
        ask(stage, load_preset("standard", purposes=["x"]).__class__("none", STANDARD.rules[1:]))
    rival = stage.party("rival", "provider")
    with stage.room.db.transaction() as tx, pytest.raises(NotYourDatasetError):
        stage.room.trials.ask(tx, stage.dataset_id, WIDE, organisation_id=rival.organisation_id)
    asked = ask(stage)
    with stage.room.db.reading() as tx, pytest.raises(UnknownTrialError):
        stage.room.trials.trial(
            tx, asked.id, dataset_id=stage.dataset_id, organisation_id=rival.organisation_id
        )


def test_several_workers_take_one_trial_at_a_time(stage: Stage) -> None:
    for floor in (1, 2, 3):
        ask(stage, wide(floor))
    ready = Barrier(4)

    def reach(_: int) -> Any:
        ready.wait()
        return take(stage)

    with ThreadPoolExecutor(4) as pool:
        taken = [one for one in pool.map(reach, range(4)) if one is not None]
    assert len(taken) == 1


def test_a_lost_worker_hands_over_and_can_end_nothing_any_more(stage: Stage) -> None:
    asked = ask(stage)
    lost = take(stage)
    stage.clock.move(seconds=SILENT_SECONDS + 1)
    taken = take(stage)
    assert taken[0].id == lost[0].id
    assert taken[1] != lost[1]
    with stage.room.db.transaction() as tx:
        assert not stage.room.trials.beat(tx, asked.id, lost[1], percent=99)
    finish(stage, lost, report(WIDE, grade="falls"))
    assert seen(stage, asked.id).state is TrialState.RUNNING
    with stage.room.db.transaction() as tx:
        stage.room.trials.put_back(tx, asked.id, taken[1])
    for _ in range(MOST_STARTS):
        taken = take(stage)
        assert (taken is None) is (seen(stage, asked.id).state is TrialState.FAILED)
        stage.clock.move(seconds=SILENT_SECONDS + 1)
    assert take(stage) is None
    given_up = seen(stage, asked.id)
    assert (given_up.state, given_up.failure) == (TrialState.FAILED, "worker_lost")
    assert len(stage.events("rules.trial_failed")) == 1
    # It can be asked for again.
    assert ask(stage).id != asked.id


def script(tmp_path: Path, body: str) -> Any:
    """A stand-in for the attacks, which take minutes; the command itself is tried with the long runs."""
    path = tmp_path / "attack.py"
    path.write_text("import os, sys, time, pathlib\npolicy, out = map(pathlib.Path, sys.argv[1:])\n" + body)
    return lambda policy, out: (sys.executable, str(path), str(policy), str(out))


WRITES = """
out.mkdir()
(out / "redteam.json").write_bytes({report!r})
print(50, file=sys.stderr, flush=True)
sys.exit({code})
"""


@pytest.mark.parametrize(("grade", "code"), [("resists", 0), ("falls", 1)])
def test_the_worker_attacks_and_writes_down_what_it_found(
    make_room: Any, tmp_path: Path, grade: str, code: int
) -> None:
    stage = make_room()
    assert Trying(stage.room, Event())() is False
    asked = ask(stage)
    body = WRITES.format(report=report(WIDE, grade=grade), code=code)
    assert Trying(stage.room, Event(), script(tmp_path, body))() is True
    done = seen(stage, asked.id)
    assert done.state is TrialState.DONE
    assert done.verdict is not None
    assert (done.verdict.grade, done.verdict.resists) == (grade, grade == "resists")
    assert Trying(stage.room, Event())() is False


def test_the_attackers_see_nothing_of_the_room(make_room: Any, tmp_path: Path, monkeypatch: Any) -> None:
    stage = make_room()
    monkeypatch.setenv("CLEANROOM_DATABASE_URL", "a secret")
    monkeypatch.setenv("ANY_OTHER_SECRET", "too")
    left, score = tmp_path / "seen.json", tmp_path / "score"
    ask(stage)
    body = (
        "import json\n"
        f"pathlib.Path({str(left)!r}).write_text(json.dumps([dict(os.environ), policy.read_text(), os.getcwd(),"
        " os.nice(0)]))\n"
        "time.sleep(1)\n"
        f"pathlib.Path({str(score)!r}).write_text(pathlib.Path('/proc/self/oom_score_adj').read_text())\n"
    )
    Trying(stage.room, Event(), script(tmp_path, body))()
    environment, text, directory, niceness = json.loads(left.read_text())
    assert not {name for name in environment if "SECRET" in name or name.startswith("CLEANROOM")}
    assert policy_from_yaml(text) == WIDE
    assert str(stage.home) not in directory
    assert not Path(directory).exists()
    assert niceness >= 10
    # Where memory runs out, it goes before the database and the room.
    assert score.read_text().strip() == "1000"
    # Whatever it leaves goes with the directory, also when it is killed.
    assert environment["TMPDIR"] == directory


@pytest.mark.parametrize(
    ("body", "seconds", "failure"),
    [
        ("sys.exit(3)", 60.0, "attack_failed"),
        ("sys.exit(0)", 60.0, "rules.trial_report"),
        ("time.sleep(60)", 0.5, "too_long"),
        # A policy may want bases of a thousand million people; the machine has others to serve.
        ("try:\n bytearray(12 << 30)\nexcept MemoryError:\n sys.exit(3)", 60.0, "attack_failed"),
        ("file = open('large', 'wb')\nfile.truncate(3 << 30)\ntime.sleep(60)", 60.0, "too_large"),
    ],
)
def test_attacks_that_come_to_nothing_are_given_up(
    make_room: Any, tmp_path: Path, body: str, seconds: float, failure: str
) -> None:
    stage = make_room()
    asked = ask(stage)
    Trying(stage.room, Event(), script(tmp_path, body), seconds)()
    given_up = seen(stage, asked.id)
    assert (given_up.state, given_up.failure) == (TrialState.FAILED, failure)


def test_a_worker_that_is_told_to_end_puts_its_trial_back(make_room: Any, tmp_path: Path) -> None:
    stage = make_room()
    asked = ask(stage)
    ending = Event()
    trying = Thread(target=Trying(stage.room, ending, script(tmp_path, "time.sleep(60)")))
    trying.start()
    deadline = time.monotonic() + 120
    while seen(stage, asked.id).state is not TrialState.RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ending.set()
    trying.join(120)
    assert not trying.is_alive()
    assert seen(stage, asked.id).state is TrialState.WAITING


@pytest.mark.slow
def test_the_command_itself_comes_to_a_verdict(make_room: Any) -> None:
    stage = make_room()
    asked = ask(stage, STANDARD)
    # As the worker runs it, with fewer games: what it finds is then not conclusive, and opens no way.
    trying = Trying(stage.room, Event(), lambda policy, out: (*redteam_command(policy, out), "--games", "40"))
    assert trying() is True
    done = seen(stage, asked.id)
    assert (done.state, done.failure) == (TrialState.DONE, None)
    assert len(done.attacks) == 14
    assert done.verdict is not None
    assert done.verdict.resists is False
