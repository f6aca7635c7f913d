"""The opt-out oracle: withdraw the target, and watch whether anything shows that the room knew them."""

import hashlib
import json
from dataclasses import replace
from datetime import date

from sqlalchemy import select

from cleanroom.analyses.types import Outcome
from cleanroom.consent import bars, found, laid, padding
from cleanroom.consent.changes import ChangeState
from cleanroom.consent.models import ConsentEpochRow, ConsentFileRow
from cleanroom.consent.optout_models import BarSegmentRow
from cleanroom.consent.optout_types import (
    DatasetOutcome,
    Named,
    OptOut,
    OptOutAction,
    OptOutKind,
    OptOutReason,
)
from cleanroom.consent.optouts import OptOuts
from cleanroom.consent.taking import Taking
from cleanroom.consent.types import Change
from cleanroom.release.models import StoredAnswer
from tests.attacks.footprint import files, footprint
from tests.attacks.test_refusals_tell_nothing import without_ids
from tests.rights_rooms import compact, erase
from tests.rooms import (
    DATASET_HEADER,
    DATASET_SCHEMA,
    KNOWN,
    STRANGERS,
    Stage,
    client_row,
    clients,
    email,
    people,
)

MATCHED, ABSENT = 0, 7_654_321
ASKED = {"precision": "rough"}


def quote(stage, grant):
    """What an estimate says, which is free and so would be the best oracle."""
    return stage.room.analyses.estimate(
        stage.question(**ASKED), grant_id=grant.id, asker_id=stage.advertiser.organisation_id, sizes=(100,)
    )


def suppress(stage, number: int):
    """Put a person on the suppression list of all datasets, and take somebody else off it."""
    answers = []
    for action, who in ((OptOutAction.ADD, number), (OptOutAction.LIFT, number + 1)):
        digest = hashlib.sha256(email(who).encode()).digest()
        named = (Named("email", "room", digest),)
        asked = OptOut(OptOutKind.SUPPRESSION, action, named, OptOutReason.REQUEST)
        outcome = stage.room.opt_outs.accept(asked, organisation_id=stage.provider.organisation_id)
        answers.append(replace(outcome, id=""))
    return answers


def sizes(stage) -> dict[str, object]:
    """How large everything about consents is, in SQL and on disk, and what else the rows say: ids apart."""
    with stage.room.db.reading() as tx:
        epochs = tx.session.scalars(
            select(ConsentEpochRow)
            .where(ConsentEpochRow.dataset_id == stage.dataset_id)
            .order_by(ConsentEpochRow.epoch)
        ).all()
        numbers = {row.id: row.epoch for row in epochs}
        beside = [
            (numbers[row.epoch_id], row.role, row.column, row.bytes, row.object_key)
            for row in tx.session.scalars(select(ConsentFileRow)).all()
            if row.epoch_id in numbers
        ]
        bars = [
            (row.epoch, row.object_key)
            for row in tx.session.scalars(select(BarSegmentRow).order_by(BarSegmentRow.epoch)).all()
        ]

    def on_disk(key: str | None) -> int | None:
        return None if key is None else stage.room.store.path(key).stat().st_size

    return {
        "epochs": [
            (row.epoch, row.kind, row.submitted, row.has_ends, row.overlay_is_full, on_disk(row.object_key))
            for row in epochs
        ],
        "beside": sorted((*told, on_disk(key)) for *told, key in beside),
        "bars": [(epoch, on_disk(key)) for epoch, key in bars],
    }


def watch(stage, number: int, opt_out=Stage.withdraw) -> dict[str, object]:
    """Ask, let one person opt out, ask again; everything that the attacker can see or time on the way."""
    grant = stage.grant("S")
    first = stage.ask(grant, **ASKED)
    events = len(stage.events())
    with footprint(stage.room) as seen:
        outcome = opt_out(stage, number)
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
        "sizes": sizes(stage),
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
    store = Taking.record

    def planted(self, tx, dataset, kind, at, batch, *, submitted, **options):
        # With the found persons' other keys it has more records than were submitted.
        if len(batch.changes) == submitted:
            return self._epochs.newest(tx, dataset.id)
        return store(self, tx, dataset, kind, at, batch, submitted=submitted, **options)

    monkeypatch.setattr(Taking, "record", planted)

    matched, absent = watch(make_room(), MATCHED), watch(make_room(), ABSENT)

    assert (matched["epoch"], absent["epoch"]) == (1, 0)
    assert matched["left"] != absent["left"]


def test_work_that_is_done_for_the_found_alone_would_show_in_what_is_done(make_room, monkeypatch):
    store = Taking.record

    def planted(self, tx, dataset, kind, at, batch, *, submitted, **options):
        """Look up the answers that this withdrawal touches, only to mark them; nothing of it is shown to anyone."""
        if len(batch.changes) > submitted:
            tx.session.scalars(select(StoredAnswer.analysis_id)).all()
        return store(self, tx, dataset, kind, at, batch, submitted=submitted, **options)

    monkeypatch.setattr(Taking, "record", planted)

    matched, absent = watch(make_room(), MATCHED), watch(make_room(), ABSENT)

    assert matched.pop("done") != absent.pop("done")
    assert matched == absent


def test_columns_that_are_read_for_the_found_alone_would_show_in_what_is_done(make_room, monkeypatch):
    holders = found.holders

    def planted(reader, column, tokens):
        """Leave a key alone that no withdrawal is about, which looks like thrift."""
        return holders(reader, column, tokens) if tokens.size else iter(())

    monkeypatch.setattr(found, "holders", planted)

    matched, absent = watch(make_room(), MATCHED), watch(make_room(), ABSENT)

    assert len(files(matched["done"])) > len(files(absent["done"]))


def test_a_person_who_matches_and_one_who_is_not_there_are_suppressed_alike(make_room):
    matched, absent = watch(make_room(), MATCHED, suppress), watch(make_room(), ABSENT, suppress)

    assert matched == absent
    assert matched["epoch"] == 2
    assert matched["fresh"][:3] == (Outcome.RELEASED, 100, 2)


def test_a_list_that_begins_epochs_for_the_found_alone_would_give_the_bit_away(make_room, monkeypatch):
    give = OptOuts._give

    def planted(self, tx, asked, dataset, made, at, one):
        # With the found persons' other keys there are more records than were submitted.
        if made.size <= 1:
            return DatasetOutcome(None, ("email/room",), ()), {}
        return give(self, tx, asked, dataset, made, at, one)

    monkeypatch.setattr(OptOuts, "_give", planted)

    matched, absent = watch(make_room(), MATCHED, suppress), watch(make_room(), ABSENT, suppress)

    assert (matched["epoch"], absent["epoch"]) == (1, 0)
    assert matched["left"] != absent["left"]


def test_columns_that_a_list_reads_for_the_found_alone_would_show_in_what_is_done(make_room, monkeypatch):
    holders = bars.holders

    def planted(reader, column, tokens):
        """Leave a key alone that no entry is about, which looks like thrift."""
        return holders(reader, column, tokens) if tokens.size else iter(())

    monkeypatch.setattr(bars, "holders", planted)

    matched, absent = watch(make_room(), MATCHED, suppress), watch(make_room(), ABSENT, suppress)

    assert len(files(matched["done"])) > len(files(absent["done"]))


def say(stage, number: int) -> dict[str, list[object]]:
    """Say things of one person, suppress, bind and erase them, and rotate; sizes after each step."""
    digest = hashlib.sha256(email(number).encode()).digest()
    seen: dict[str, list[object]] = {"epochs": [], "beside": [], "bars": []}

    def look() -> None:
        for what, told in sizes(stage).items():
            seen[what].append(told)

    for change in (
        Change("email/room", digest, ChangeState.GRANTED, "advertising", until=date(2031, 1, 1)),
        Change("email/room", digest, ChangeState.WITHDRAWN),
        Change("email/room", digest, ChangeState.DENIED),
    ):
        stage.clock.move(seconds=1)
        stage.room.consents.change(stage.dataset_id, [change])
        look()
    suppress(stage, number)
    look()
    with stage.room.db.transaction() as tx:
        stage.room.datasets.lock(tx, stage.dataset_id)
        stage.room.consents.bind(tx, stage.room.datasets.current(tx, stage.dataset_id).id)
    look()
    erase(stage, number)
    look()
    compact(stage)
    look()
    stage.room.rotation.rotate_token_key(stage.provider.workspace_id)
    look()
    return seen


def test_what_is_kept_is_as_large_for_the_found_as_for_the_absent(make_room):
    matched, absent = say(make_room(), MATCHED), say(make_room(), ABSENT)

    assert matched == absent
    with_ends = [has_ends for _, _, _, has_ends, *_ in matched["epochs"][-1]]
    assert with_ends == [True, *[False] * (len(with_ends) - 1)]
    assert matched["beside"][0]
    assert matched["bars"][-1]


def test_a_binding_does_not_say_that_whoever_has_an_end_came(make_room):
    stage = make_room()
    ends = []
    for number in (MATCHED, ABSENT):
        dataset_id = stage.register("dataset", DATASET_SCHEMA)
        digest = hashlib.sha256(email(number).encode()).digest()
        until = Change("email/room", digest, ChangeState.GRANTED, "advertising", until=date(2031, 1, 1))
        stage.room.consents.change(dataset_id, [until])
        stage.load(dataset_id, DATASET_HEADER, people(30))
        with stage.room.db.reading() as tx:
            rows = select(ConsentEpochRow).where(ConsentEpochRow.dataset_id == dataset_id)
            ends.append([(row.kind, row.has_ends) for row in tx.session.scalars(rows)])

    assert ends[0] == ends[1] == [("change", True), ("binding", False)]


def test_files_as_large_as_what_they_hold_would_give_the_bit_away(make_room, monkeypatch):
    for module in (laid, padding):
        monkeypatch.setattr(module, "padded_bytes", lambda held, _usual: held)

    matched, absent = say(make_room(), MATCHED), say(make_room(), ABSENT)

    for what in ("epochs", "beside", "bars"):
        assert matched[what] != absent[what]
