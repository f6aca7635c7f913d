"""The opt-out oracle: withdraw the target, and watch whether anything shows that the room knew them."""

import json

from sqlalchemy import select

from cleanroom.analyses.types import Outcome
from cleanroom.consent import binding
from cleanroom.consent.service import Consents
from cleanroom.release.models import StoredAnswer
from tests.attacks.footprint import files, footprint
from tests.attacks.test_refusals_tell_nothing import without_ids
from tests.rooms import KNOWN, STRANGERS, client_row, clients

MATCHED, ABSENT = 0, 7_654_321
ASKED = {"precision": "rough"}


def quote(stage, grant):
    """What an estimate says, which is free and so would be the best oracle."""
    return stage.room.analyses.estimate(
        stage.question(**ASKED), grant_id=grant.id, asker_id=stage.advertiser.organisation_id, sizes=(100,)
    )


def watch(stage, number: int) -> dict[str, object]:
    """Ask, withdraw one person, ask again; everything that the attacker can see or time on the way."""
    grant = stage.grant("S")
    first = stage.ask(grant, **ASKED)
    events = len(stage.events())
    with footprint(stage.room) as seen:
        outcome = stage.withdraw(number)
        quoted = quote(stage, grant)
        stored = stage.ask(grant, **ASKED, as_of=first.as_of)
        fresh = stage.ask(grant, **ASKED)
        requoted = quote(stage, grant)
        again = stage.ask(grant, **ASKED)
    with stage.room.db.reading() as tx:
        epoch = stage.room.consents.epoch(tx, stage.dataset_id)
    told = [
        without_ids(json.dumps({**event, "salt": "", "body": {**event["body"], "figures": ""}}))
        for event in stage.events()[events:]
    ]
    return {
        "outcome": outcome,
        "epoch": epoch,
        "quoted": (quoted, requoted),
        "stored": (stored.outcome, stored.figures == first.figures, stored.consent_epoch),
        "fresh": (fresh.outcome, fresh.charged_micro, fresh.consent_epoch, fresh.mechanism),
        "again": (again.outcome, again.figures == fresh.figures),
        # A thousand people, and a threshold eleven sigma below them.
        "flags": [[figure.suppressed for figure in answer.figures] for answer in (stored, fresh, again)],
        "left": stage.left(grant),
        "log": told,
        "done": [without_ids(item) for item in seen],
    }


def test_a_person_who_matches_and_one_who_is_not_there_are_withdrawn_alike(make_room):
    matched, absent = watch(make_room(), MATCHED), watch(make_room(), ABSENT)

    assert matched == absent
    assert matched["epoch"] == 1
    assert matched["stored"] == (Outcome.STORED, True, 0)
    assert matched["fresh"][:3] == (Outcome.RELEASED, 100, 1)
    assert matched["again"] == (Outcome.STORED, True)


def test_a_person_in_the_dataset_and_not_in_the_base_is_withdrawn_alike(make_room):
    # Their withdrawal touches no answer: marking "answers that it touches" would tell.
    assert watch(make_room(), 2_000) == watch(make_room(), MATCHED)


def test_two_rooms_that_differ_only_in_whether_the_person_matches_are_alike(make_room):
    # The same dataset and two bases of one size: the person is in one, and somebody unknown in the other's place.
    other = [client_row(number) for number in (*range(1, KNOWN), *range(1_000_000, 1_000_001 + STRANGERS))]
    assert len(other) == len(clients())

    assert watch(make_room(), MATCHED) == watch(make_room(base_rows=other), MATCHED)


def test_an_epoch_for_those_alone_who_are_found_would_give_the_bit_away(make_room, monkeypatch):
    store = Consents._store_withdrawals

    def planted(self, tx, dataset, segment, at, *, submitted, **options):
        # With the found persons' other keys it has more records than were submitted.
        if len(segment) == submitted:
            return self.epoch(tx, dataset.id)
        return store(self, tx, dataset, segment, at, submitted=submitted, **options)

    monkeypatch.setattr(Consents, "_store_withdrawals", planted)

    matched, absent = watch(make_room(), MATCHED), watch(make_room(), ABSENT)

    assert (matched["epoch"], absent["epoch"]) == (1, 0)
    assert matched["left"] != absent["left"]


def test_work_that_is_done_for_the_found_alone_would_show_in_what_is_done(make_room, monkeypatch):
    store = Consents._store_withdrawals

    def planted(self, tx, dataset, segment, at, *, submitted, **options):
        """Look up the answers that this withdrawal touches, only to mark them; nothing of it is shown to anyone."""
        if len(segment) > submitted:
            tx.session.scalars(select(StoredAnswer.analysis_id)).all()
        return store(self, tx, dataset, segment, at, submitted=submitted, **options)

    monkeypatch.setattr(Consents, "_store_withdrawals", planted)

    matched, absent = watch(make_room(), MATCHED), watch(make_room(), ABSENT)

    assert matched.pop("done") != absent.pop("done")
    assert matched == absent


def test_columns_that_are_read_for_the_found_alone_would_show_in_what_is_done(make_room, monkeypatch):
    holders = binding.holders

    def planted(reader, column, tokens):
        """Leave a key alone that no withdrawal is about, which looks like thrift."""
        return holders(reader, column, tokens) if tokens.size else iter(())

    monkeypatch.setattr(binding, "holders", planted)

    matched, absent = watch(make_room(), MATCHED), watch(make_room(), ABSENT)

    assert len(files(matched["done"])) > len(files(absent["done"]))
