"""Opt-out lists: they hold over later loads and datasets, key changes and restores, and tell nobody who was found."""

import hashlib
import json
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select

from cleanroom.audit.models import AuditEvent
from cleanroom.consent.changes import ChangeState
from cleanroom.consent.errors import OptOutError
from cleanroom.consent.optout_records import owned_opt_out
from cleanroom.consent.optout_types import Named, OptOut, OptOutAction, OptOutKind, OptOutReason
from cleanroom.consent.optouts import OptOuts
from cleanroom.consent.published import published_opt_outs
from cleanroom.consent.taking import Taking
from cleanroom.consent.types import Change
from cleanroom.datasets.errors import DatasetNotFoundError

CONSENT = (
    'lawful_basis: consent\nconsent: {advertising: {column: ads, granted: ["yes"], collected_at: seen}}\n'
)
SCHEMA = (
    "person_id: {column: id}\nmatch_keys:\n  mail: {column: email, identifier: email}\n"
    "  phone: {column: phone, default_region: RU}\n" + CONSENT
)
HEADER = "id,email,phone,ads,seen"
LONG_AGO, LATER = "2026-01-01T00:00:00Z", "2026-11-22T11:00:00Z"


def row(number: int, *, key: str = "", mail: str = "", phone: str = "", seen: str = LONG_AGO) -> str:
    return (
        f"{key or f'p{number}'},{mail or f'u{number}@example.org'},{phone or f'+7916{number:07}'},yes,{seen}"
    )


def text(*rows: str) -> str:
    return "\n".join((HEADER, *rows)) + "\n"


PEOPLE = text(*(row(number) for number in range(20)))


def mails(*numbers: int, profile: str = "room") -> Named:
    digests = (hashlib.sha256(f"u{number}@example.org".encode()).digest() for number in numbers)
    return Named("email", profile, b"".join(digests))


def phones(*numbers: int, profile: str = "room") -> Named:
    plus = "" if profile in ("meta", "snap") else "+"
    digests = (hashlib.sha256(f"{plus}7916{number:07}".encode()).digest() for number in numbers)
    return Named("phone", profile, b"".join(digests))


@pytest.fixture
def lists(room):
    return Lists(room)


@pytest.fixture
def any_lists(any_room):
    return Lists(any_room)


class Lists:
    """Short names for what these tests do."""

    def __init__(self, room):
        self.room = room
        room.party("provider")
        self.opt_outs = OptOuts(
            db=room.db,
            workspaces=room.workspaces,
            datasets=room.datasets,
            consents=room.consents,
            clock=room.clock,
        )

    def take(
        self,
        *named: Named,
        kind: OptOutKind = OptOutKind.SUPPRESSION,
        action: OptOutAction = OptOutAction.ADD,
        dataset: str | None = None,
        party: str = "provider",
        purpose: str = "*",
    ):
        asked = OptOut(kind, action, tuple(named), OptOutReason.REQUEST, "case-7", dataset, purpose)
        return self.opt_outs.accept(asked, organisation_id=self.room.party(party).organisation_id)

    def lift(self, *named: Named, **options):
        return self.take(*named, action=OptOutAction.LIFT, **options)

    def dataset(self, content: str = PEOPLE, *, schema: str = SCHEMA) -> tuple[str, str]:
        dataset = self.room.register(schema)
        return dataset, self.room.load(dataset, content)

    def counted(self, version: str) -> int:
        with self.room.db.reading() as tx:
            dataset = self.room.datasets.version(tx, version).dataset_id
            epoch = self.room.consents.epoch(tx, dataset)
            view = self.room.consents.view(tx, version, purpose="advertising", epoch=epoch)
        return int(view.mask(self.room.clock.now()).sum())

    def epochs(self, *datasets: str) -> list[int]:
        with self.room.db.reading() as tx:
            return [self.room.consents.epoch(tx, dataset) for dataset in datasets]


def test_a_suppression_counts_at_once_in_every_dataset_found_or_not(any_lists):
    one, first = any_lists.dataset()
    two, second = any_lists.dataset(text(row(3), row(90)))
    outcome = any_lists.take(mails(3, 4, 777))
    assert (any_lists.counted(first), any_lists.counted(second)) == (18, 1)
    assert any_lists.epochs(one, two) == [1, 1]
    assert outcome.submitted == 3
    assert {each.epoch for each in outcome.datasets.values()} == {1}
    # Nobody of it is in either: an epoch all the same.
    any_lists.take(mails(888))
    assert any_lists.epochs(one, two) == [2, 2]


def test_it_holds_over_later_loads_whatever_consent_and_identifiers_they_bring(lists):
    dataset, _ = lists.dataset()
    lists.take(mails(3))
    newer = text(*(row(number, seen=LATER) for number in range(20)))
    assert lists.counted(lists.room.load(dataset, newer)) == 19
    # The same person by another e-mail; by a new id too, with the phone that only this person held.
    moved = [row(number, mail="new@example.org" if number == 3 else "") for number in range(20)]
    assert lists.counted(lists.room.load(dataset, text(*moved))) == 19
    back = [
        row(3, key="x3", mail="newer@example.org") if number == 3 else row(number) for number in range(20)
    ]
    assert lists.counted(lists.room.load(dataset, text(*back))) == 19


def test_somebody_who_is_not_found_is_remembered_for_later_loads_and_datasets(any_lists):
    dataset, _ = any_lists.dataset()
    outcome = any_lists.take(mails(50), phones(51))
    assert any_lists.counted(any_lists.room.load(dataset, text(row(50), row(51), row(52)))) == 1
    later, version = any_lists.dataset(text(row(50), row(51), row(52), row(53)))
    assert any_lists.counted(version) == 2
    with any_lists.room.db.reading() as tx:
        organisation = any_lists.room.party("provider").organisation_id
        known = owned_opt_out(tx, outcome.id, organisation_id=organisation)
    assert known.datasets[later].applied == ("email/room", "phone/room")


def test_what_a_dataset_lacks_is_answered_and_applies_to_one_that_has_it(lists):
    dataset, version = lists.dataset()
    outcome = lists.take(mails(3, profile="uid2"), phones(4))
    told = outcome.datasets[dataset]
    assert (told.applied, told.not_applied, told.epoch) == (("phone/room",), ("email/uid2",), 1)
    assert lists.counted(version) == 19
    nothing = lists.take(mails(5, profile="tiktok")).datasets[dataset]
    assert (nothing.applied, nothing.not_applied, nothing.epoch) == ((), ("email/tiktok",), None)
    assert lists.epochs(dataset) == [1]
    wider = SCHEMA.replace("identifier: email}", "identifier: email, also_profiles: [uid2]}")
    _, second = lists.dataset(schema=wider)
    assert lists.counted(second) == 18


@pytest.mark.parametrize(("profile", "applied"), [("uid2", True), ("google", True), ("meta", False)])
def test_profiles_that_hash_alike_are_one(lists, profile, applied):
    dataset, version = lists.dataset()
    outcome = lists.take(phones(4, profile=profile))
    assert bool(outcome.datasets[dataset].applied) is applied
    assert lists.counted(version) == 20 - applied
    lists.lift(phones(4, profile="pair"))
    assert lists.counted(version) == 20


def test_a_list_of_one_dataset_leaves_the_others_alone(lists):
    dataset, version = lists.dataset()
    _, other = lists.dataset()
    lists.take(mails(3), dataset=dataset)
    assert (lists.counted(version), lists.counted(other)) == (19, 20)
    # Lifted from the list of all datasets it stays on its own.
    lists.lift(mails(3))
    assert lists.counted(version) == 19
    lists.lift(mails(3), dataset=dataset)
    assert lists.counted(version) == 20


def test_whoever_is_listed_twice_stays_until_both_entries_are_lifted(lists):
    dataset, version = lists.dataset()
    lists.take(mails(3))
    lists.take(phones(3))
    lists.take(mails(3), kind=OptOutKind.RESTRICTION)
    lists.lift(mails(3))
    assert lists.counted(version) == 19
    lists.lift(phones(3))
    assert lists.counted(version) == 19
    lists.lift(mails(3), kind=OptOutKind.RESTRICTION)
    assert lists.counted(version) == 20
    assert lists.epochs(dataset) == [6]


@pytest.mark.parametrize("kind", [OptOutKind.SUPPRESSION, OptOutKind.RESTRICTION])
def test_an_entry_holds_whatever_is_agreed_until_it_is_lifted(lists, kind):
    dataset, version = lists.dataset()
    lists.take(mails(3), kind=kind)
    lists.room.clock.instant += timedelta(days=2)
    digest = mails(3).digests
    lists.room.consents.change(dataset, [Change("mail/room", digest, ChangeState.GRANTED, "advertising")])
    assert lists.counted(version) == 19
    later = lists.room.load(dataset, PEOPLE)
    assert lists.counted(later) == 19
    lists.lift(mails(3), kind=kind)
    assert lists.counted(later) == 20


def test_a_lifted_entry_no_longer_holds_by_what_was_bound_to_it(lists):
    dataset, _ = lists.dataset()
    lists.take(mails(3))
    moved = [row(number, mail="new@example.org" if number == 3 else "") for number in range(20)]
    version = lists.room.load(dataset, text(*moved))
    assert lists.counted(version) == 19
    lists.lift(mails(3))
    assert lists.counted(version) == 20
    assert lists.counted(lists.room.load(dataset, PEOPLE)) == 20


def test_nobody_goes_with_a_housemate(lists):
    shared = text(*(row(number, phone="+79160000000") for number in range(4)), row(9))
    _, version = lists.dataset(shared)
    lists.take(mails(2))
    assert lists.counted(version) == 4


def test_token_key_rotation_carries_lists_and_bars(any_lists):
    dataset, version = any_lists.dataset()
    any_lists.take(mails(3, 60), phones(4))
    workspace = any_lists.room.party("provider").workspace_id
    any_lists.room.rotation.rotate_token_key(workspace)
    assert any_lists.counted(version) == 18
    assert any_lists.counted(any_lists.room.load(dataset, text(row(3), row(4), row(5), row(60)))) == 1
    _, later = any_lists.dataset(text(row(3), row(60), row(61)))
    assert any_lists.counted(later) == 1
    any_lists.lift(mails(3))
    assert any_lists.counted(later) == 2
    any_lists.room.rotation.rotate_kek(workspace)
    assert any_lists.counted(later) == 2


def test_the_log_states_every_sealed_file(lists):
    dataset, _ = lists.dataset()
    lists.take(mails(3))
    lists.room.load(dataset, PEOPLE)
    lists.room.rotation.rotate_token_key(lists.room.party("provider").workspace_id)
    stated = stated_roots(lists.room)
    with lists.room.db.reading() as tx:
        published = list(published_opt_outs(tx))
    assert len(published) == 3
    assert all(stated[one.subject_id] == one.files_root for one in published)


def stated_roots(room) -> dict[str, str]:
    roots = {}
    with room.db.reading() as tx:
        for record in tx.session.scalars(select(AuditEvent.record).order_by(AuditEvent.index)):
            event = json.loads(record)
            roots |= event["body"].get("files_roots", {})
            if "files_root" in event["body"]:
                roots[event["subject"]] = event["body"]["files_root"]
    return roots


@pytest.mark.parametrize(
    "named",
    [
        (),
        (Named("email", "room", b""),),
        (Named("email", "room", b"x"),),
        (Named("maid", "uid2", bytes(32)),),
        (Named("email", "nobody", bytes(32)),),
        (Named("passport", "room", bytes(32)),),
    ],
)
def test_what_is_not_written_as_it_should_be_is_refused(lists, named: Sequence[Named]):
    with pytest.raises(OptOutError):
        lists.take(*named)


def test_somebody_elses_dataset_is_not_there(lists):
    dataset, version = lists.dataset()
    with pytest.raises(DatasetNotFoundError):
        lists.take(mails(3), dataset=dataset, party="shop")
    assert lists.take(mails(3), party="shop").datasets == {}
    assert lists.counted(version) == 20


def test_a_withdrawal_everywhere_is_taken_by_all_datasets_or_by_none(any_lists, monkeypatch):
    one, first = any_lists.dataset()
    other = SCHEMA.replace("  phone: {column: phone, default_region: RU}\n", "").replace(
        "advertising:", "research:"
    )
    two, _ = any_lists.dataset(schema=other)
    outcome = any_lists.take(mails(3), phones(4), kind=OptOutKind.WITHDRAWAL)
    assert any_lists.counted(first) == 18
    assert outcome.datasets[two].applied == ("email/room",)
    assert outcome.datasets[two].not_applied == ("phone/room",)
    assert any_lists.epochs(one, two) == [1, 1]
    take, taken = Taking.take, []

    def breaks(self, tx, prepared, **options):
        taken.append(prepared.dataset.id)
        if len(taken) == 2:
            raise RuntimeError("killed")
        return take(self, tx, prepared, **options)

    monkeypatch.setattr(Taking, "take", breaks)
    with pytest.raises(RuntimeError):
        any_lists.take(mails(5), kind=OptOutKind.WITHDRAWAL)
    assert sorted(taken) == sorted([one, two])
    assert any_lists.epochs(one, two) == [1, 1]
    assert any_lists.counted(first) == 18


def test_a_purpose_is_withdrawn_where_it_is_asked_for(lists):
    one, first = lists.dataset()
    two, _ = lists.dataset(schema=SCHEMA.replace("advertising:", "research:"))
    outcome = lists.take(mails(3), kind=OptOutKind.WITHDRAWAL, purpose="advertising")
    assert (outcome.datasets[one].epoch, outcome.datasets[two].epoch) == (1, None)
    assert outcome.datasets[two].not_applied == ("email/room",)
    assert lists.counted(first) == 19
    with pytest.raises(OptOutError):
        lists.take(mails(3), kind=OptOutKind.WITHDRAWAL, purpose="credit scoring")
    with pytest.raises(OptOutError):
        lists.lift(mails(3), kind=OptOutKind.WITHDRAWAL)


def test_later_consent_ends_a_withdrawal_and_not_a_suppression(lists):
    _, first = lists.dataset()
    two, _ = lists.dataset()
    lists.take(mails(3), kind=OptOutKind.WITHDRAWAL)
    lists.take(mails(4))
    lists.room.clock.instant += timedelta(days=2)
    newer = text(*(row(number, seen="2026-11-23T00:00:00Z") for number in range(20)))
    assert lists.counted(first) == 18
    assert lists.counted(lists.room.load(two, newer)) == 19


def test_a_version_that_is_published_meanwhile_is_reached_too(lists, monkeypatch):
    dataset, _ = lists.dataset()
    package = lists.room.prepare(dataset, text(row(3), row(8)))
    version = lists.room.ingest(package)
    found, published = OptOuts._found, []

    def publishing(self, tx, asked, organisation_id):
        made = found(self, tx, asked, organisation_id)
        if not published:
            published.append(version)
            with lists.room.db.transaction() as other:
                lists.room.ingestion.publish(other, version)
        return made

    monkeypatch.setattr(OptOuts, "_found", publishing)
    outcome = lists.take(mails(3))
    assert lists.counted(version) == 1
    assert outcome.datasets[dataset].epoch == 1
