"""Refusals as an oracle: rooms that differ in the provider's people alone refuse in the same words, by the same work.

Time is not measured, as a stopwatch would forgive what a busy machine hides. What could be timed is compared instead:
every SQL statement and every sealed file, in order.
"""

import contextlib
import json
import re
from dataclasses import replace

from cleanroom.analyses.facts import FactFinder
from cleanroom.analyses.types import Outcome
from cleanroom.errors import CleanroomError
from cleanroom.matching.types import Plan
from policies.codec import load_preset
from policies.errors import PolicyError
from tests.attacks.footprint import files, footprint
from tests.rooms import PURPOSE, clients, people, person

AGE = {"attribute": "age", "op": "<", "value": 30}
REFUSED = (
    {"purpose": "research"},
    {"purpose": "resale"},
    {"half_width": 1},
    {"precision": "fine"},
    {"kind": "profile", "breakdowns": [["likes"]]},
    {"segments": {"s": {"attribute": "likes", "op": "has_any", "value": ["sport"]}}, "precision": "rough"},
    {"segments": {"s": {"attribute": "sex", "op": "==", "value": "no such literal"}}, "precision": "fine"},
)
IMPOSSIBLE = (
    {"segments": {"s": {"attribute": "nobody", "op": "==", "value": 1}}},
    {"segments": {"s": {"attribute": "age", "op": "has_any", "value": [1]}}},
    {"segments": {"s": {"attribute": "age", "op": "==", "value": "text"}}},
)


def without_ids(text: str) -> str:
    """Leave out what differs between any two rooms: ids, hashes, times, salts, signatures."""
    text = re.sub(r"\b[a-z]{2,4}_[0-9a-f]{32}\b", "ID", text)
    text = re.sub(r"\b[0-9a-f]{64}\b", "HASH", text)
    return re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME", text)


def refusals(stage) -> list[str]:
    """Everything that an asker gets, and everything that the log says, for questions that are refused."""
    stage.rule(load_preset("standard", purposes=[PURPOSE], blocked=["likes"]))
    grant = stage.grant("S")
    base_id = stage.base_id
    told = []
    small = stage.base(clients(10, 5))
    for base, asked in [(base_id, item) for item in REFUSED] + [(small, {"precision": "rough"})]:
        stage.base_id = base
        answer = stage.ask(grant, **asked)
        assert answer.outcome is Outcome.REFUSED
        told.append(repr((answer.reasons, answer.missing, answer.charged_micro, answer.left_micro)))
        told.append(json.dumps(json.loads(answer.receipt.read_bytes())["record"]["body"], sort_keys=True))
    stage.base_id = base_id
    for asked in IMPOSSIBLE:
        try:
            stage.ask(grant, **asked)
        except (CleanroomError, PolicyError) as error:
            told.append(f"{error.code} {error} {getattr(error, 'remedy', '')}")
    stage.stop()
    told.append(repr(stage.ask(grant, segments={"s": AGE}, precision="rough").reasons))
    assert len(told) == 2 * 8 + 3 + 1
    return [without_ids(text) for text in told]


def rooms(make_room):
    """The usual provider; one that knows nobody of the base; and one of twelve people."""
    yield make_room()
    yield make_room(rows=[person(number) for number in range(500_000, 503_000)])
    yield make_room(rows=people(12))


def test_rooms_that_differ_in_the_providers_people_refuse_in_the_same_words(make_room):
    usual, strangers, few = map(refusals, rooms(make_room))

    assert usual == strangers == few


def refused_work(stage) -> list[list[str]]:
    """What a room does for each question that it refuses, and for an estimate of it."""
    stage.rule(load_preset("standard", purposes=[PURPOSE], blocked=["likes"]))
    grant = stage.grant("S")
    asker_id = stage.advertiser.organisation_id
    done = []
    for asked in REFUSED:
        with footprint(stage.room) as seen:
            assert stage.ask(grant, **asked).outcome is Outcome.REFUSED
        done.append(seen)
        with footprint(stage.room) as seen:
            told = stage.room.analyses.estimate(stage.question(**asked), grant_id=grant.id, asker_id=asker_id)
            assert told.outcome is Outcome.REFUSED
        done.append(seen)
    for asked in IMPOSSIBLE:
        with footprint(stage.room) as seen, contextlib.suppress(CleanroomError, PolicyError):
            stage.ask(grant, **asked)
        done.append(seen)
    return [[without_ids(item) for item in seen] for seen in done]


def test_rooms_that_differ_in_the_providers_people_do_the_same_to_refuse(make_room):
    usual, strangers, few = map(refused_work, rooms(make_room))

    assert usual == strangers == few
    assert len(usual) == 2 * len(REFUSED) + len(IMPOSSIBLE)
    # No file of anybody's is opened, so nothing of it can depend on what the files hold.
    assert not any(files(seen) for seen in usual)
    assert all(len(seen) > 5 for seen in usual)


def test_no_file_is_opened_before_the_decision_is_committed_and_none_for_an_estimate(make_room):
    for stage in rooms(make_room):
        grant = stage.grant("S")
        with footprint(stage.room) as estimated:
            stage.room.analyses.estimate(
                stage.question(), grant_id=grant.id, asker_id=stage.advertiser.organisation_id
            )
        with footprint(stage.room) as asked:
            stage.ask(grant)
        assert files(estimated) == []
        assert "COMMIT" not in estimated
        decided = asked.index("COMMIT")
        assert files(asked[:decided]) == []
        assert files(asked[decided:]) != []


def test_a_look_at_the_data_before_deciding_would_show_in_what_is_done(make_room, monkeypatch):
    find = FactFinder.find

    def planted(self, tx, question, **asked):
        """Look early whether there is anybody to count, whatever the policy says, and keep it to oneself."""
        facts = find(self, tx, question, **asked)
        stage.room.consents.view(tx, facts.version.id, purpose=PURPOSE, epoch=facts.epoch).mask(facts.at)
        return facts

    monkeypatch.setattr(FactFinder, "find", planted)
    stage = make_room()

    assert all(files(seen) for seen in refused_work(stage))


def test_a_floor_on_matched_people_would_tell_how_many_there_are(make_room, monkeypatch):
    find = FactFinder.find

    def planted(self, tx, question, **asked):
        """Hold the base floor against the exact overlap, which looks prudent."""
        facts = find(self, tx, question, **asked)
        match = stage.room.matching.open(
            tx,
            dataset_version_id=facts.version.id,
            base_version_id=facts.base_version.id,
            purpose=PURPOSE,
            epoch=facts.epoch,
        )
        matched = match.count(Plan(PURPOSE, facts.keys), at=facts.at).overlap
        return replace(facts, base_version=replace(facts.base_version, persons=matched))

    monkeypatch.setattr(FactFinder, "find", planted)
    told = []
    for stage in rooms(make_room):
        told.append(refusals(stage))

    assert told[0] != told[1]
    assert told[1] != told[2]
