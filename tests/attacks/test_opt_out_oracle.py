"""The opt-out oracle: withdraw the target, and watch whether anything shows that the room knew them."""

import json

from cleanroom.analyses.types import Outcome
from cleanroom.consent.service import Consents
from tests.attacks.test_refusals_tell_nothing import without_ids

MATCHED, ABSENT = 0, 7_654_321


def watch(stage, number: int) -> dict[str, object]:
    """Ask, withdraw one person, ask again; everything that the attacker can see on the way."""
    grant = stage.grant("S")
    first = stage.ask(grant, precision="rough")
    events = len(stage.events())
    outcome = stage.withdraw(number)
    stored = stage.ask(grant, precision="rough", as_of=first.as_of)
    fresh = stage.ask(grant, precision="rough")
    again = stage.ask(grant, precision="rough")
    with stage.room.db.reading() as tx:
        epoch = stage.room.consents.epoch(tx, stage.dataset_id)
    told = [
        without_ids(json.dumps({**event, "salt": "", "body": {**event["body"], "figures": ""}}))
        for event in stage.events()[events:]
    ]
    return {
        "outcome": outcome,
        "epoch": epoch,
        "stored": (stored.outcome, stored.figures == first.figures, stored.consent_epoch),
        "fresh": (fresh.outcome, fresh.charged_micro, fresh.consent_epoch, fresh.mechanism),
        "again": (again.outcome, again.figures == fresh.figures),
        "left": stage.left(grant),
        "log": told,
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
