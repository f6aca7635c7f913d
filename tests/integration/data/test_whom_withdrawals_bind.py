"""A withdrawal binds to the person alone: nobody else goes with it, and the person does not come back by a new id."""

import hashlib
from datetime import timedelta

import pytest

from cleanroom.consent import taking
from cleanroom.consent.types import Withdrawal

CONSENT = 'lawful_basis: consent\nconsent: {advertising: {column: ads, granted: ["yes"]}}\n'
KEYS = "match_keys:\n  email: {column: email}\n  phone: {columns: [phone, phone2], default_region: RU}\n"
SCHEMA = "person_id: {column: id}\n" + KEYS + CONSENT
HEADER = "id,email,phone,phone2,ads"
SHARED = "+79990001122"


def row(number: int, *, key: str | None = None, email: str | None = None, phones: str = "") -> str:
    """One person by number: the id, an e-mail, and up to two phones."""
    one, _, two = (phones or phone(number)).partition(" ")
    return f"{key or f'p{number}'},{email or f'u{number}@example.org'},{one},{two},yes"


def phone(number: int) -> str:
    return f"+7916{number:07}"


def by_email(*numbers: int) -> list[Withdrawal]:
    texts = (f"u{number}@example.org".encode() for number in numbers)
    return [Withdrawal("email/room", b"".join(hashlib.sha256(text).digest() for text in texts))]


def by_phone(number: str) -> list[Withdrawal]:
    return [Withdrawal("phone/room", hashlib.sha256(number.encode()).digest())]


def text(*rows: str) -> str:
    return "\n".join((HEADER, *rows)) + "\n"


@pytest.fixture
def counted(room):
    """A function that counts who may still be counted in a version."""

    def count(version: str, *, schema: str = SCHEMA) -> int:
        with room.db.reading() as tx:
            dataset = room.datasets.version(tx, version).dataset_id
            epoch = room.consents.epoch(tx, dataset)
            view = room.consents.view(tx, version, purpose="advertising", epoch=epoch)
        return int(view.mask(room.clock.now()).sum())

    return count


def test_somebody_who_shares_phones_withdraws_alone_however_many_share_them(room, counted):
    dataset = room.register(SCHEMA)
    households = [row(number, phones=phone(number // 4)) for number in range(8)]
    version = room.load(dataset, text(*households, row(99, phones=f"{phone(0)} {phone(1)}")))
    room.consents.withdraw(dataset, by_email(99))
    assert counted(version) == 8


def test_whoever_holds_the_submitted_identifier_is_withdrawn_and_nobody_through_their_other_keys(
    room, counted
):
    dataset = room.register(SCHEMA)
    # 0 and 1 share the submitted phone; 1 and 2 share another one.
    rows = [row(0, phones=phone(0)), row(1, phones=f"{phone(0)} {phone(1)}"), row(2, phones=phone(1))]
    version = room.load(dataset, text(*rows))
    room.consents.withdraw(dataset, by_phone(phone(0)))
    assert counted(version) == 1


def test_without_person_id_only_values_that_nobody_else_holds_are_added(room, counted):
    schema = KEYS + CONSENT
    dataset = room.register(schema)
    rows = [row(0, phones=f"{phone(0)} {phone(1)}"), row(1, phones=phone(1)), row(2)]
    version = room.load(dataset, text(*rows))
    room.consents.withdraw(dataset, by_email(0))
    assert counted(version) == 2
    # By the phone that was its own it is known again; by the shared one nobody is.
    moved = [row(0, email="new@example.org", phones=phone(0)), row(1, phones=phone(1)), row(2)]
    assert counted(room.load(dataset, text(*moved))) == 2
    gone = [row(1, phones=phone(1)), row(2)]
    assert counted(room.load(dataset, text(*gone))) == 2


@pytest.mark.parametrize("early", [False, True])
def test_a_value_on_the_junk_list_names_nobody(room, counted, early):
    dataset = room.register(SCHEMA)
    rows = text(*(row(number, phones=SHARED) for number in range(6)), row(7))
    if early:
        room.consents.withdraw(dataset, by_phone(SHARED))
    version = room.load(dataset, rows)
    room.consents.withdraw(dataset, by_phone(SHARED))
    assert counted(version) == 7


def test_a_person_registered_anew_with_the_phone_of_its_own_stays_withdrawn(room, counted):
    dataset = room.register(SCHEMA)
    room.load(dataset, text(row(0), row(1)))
    room.consents.withdraw(dataset, by_email(0))
    again = row(0, key="new", email="new@example.org")
    assert counted(room.load(dataset, text(again, row(1)))) == 1
    # And it is bound under that id too: not one of the first identifiers is left.
    last = row(0, key="new", email="third@example.org", phones=phone(500))
    assert counted(room.load(dataset, text(last, row(1)))) == 1


def test_whoever_comes_with_a_value_that_the_person_alone_held_is_withdrawn_until_a_later_consent(
    room, counted
):
    dated = SCHEMA.replace('granted: ["yes"]', 'granted: ["yes"], collected_at: seen')
    dataset = room.register(dated)

    def versions_text(*rows: str, seen: str = "2026-01-01T00:00:00Z") -> str:
        return text(*(f"{each},{seen}" for each in rows)).replace("ads\n", "ads,seen\n")

    room.load(dataset, versions_text(row(0), row(1), row(2)))
    room.consents.withdraw(dataset, by_email(0))
    # The number passed on: its next holder cannot be told from the person under another id.
    passed = [row(0, phones=phone(500)), row(1, phones=phone(0)), row(2)]
    assert counted(room.load(dataset, versions_text(*passed))) == 1
    room.clock.instant += timedelta(days=1)
    asked_again = room.clock.now().isoformat().replace("+00:00", "Z")
    fresh = versions_text(*passed, seen=asked_again)
    assert counted(room.load(dataset, fresh)) == 3


def test_a_withdrawal_before_the_person_came_binds_to_the_person_when_a_version_is_published(room, counted):
    dataset = room.register(SCHEMA)
    room.load(dataset, text(row(1)))
    room.consents.withdraw(dataset, by_email(7))
    assert counted(room.load(dataset, text(row(1), row(7)))) == 1
    changed = row(7, email="changed@example.org", phones=phone(500))
    assert counted(room.load(dataset, text(row(1), changed))) == 1


def test_a_version_published_while_people_are_looked_for_is_looked_through_too(room, counted, monkeypatch):
    dataset = room.register(SCHEMA)
    room.load(dataset, text(row(1)))
    late = room.ingest(room.prepare(dataset, text(row(1), row(7))))
    bound = taking.bound

    def publish_first(reader, segment, **options):
        monkeypatch.setattr(taking, "bound", bound)
        with room.db.transaction() as tx:
            room.ingestion.publish(tx, late)
        return bound(reader, segment, **options)

    monkeypatch.setattr(taking, "bound", publish_first)
    room.consents.withdraw(dataset, by_email(7))
    changed = row(7, email="changed@example.org", phones=phone(500))
    assert counted(room.load(dataset, text(row(1), changed))) == 1


def test_publishing_begins_an_epoch_whether_or_not_anybody_is_bound(room):
    epochs = []
    for number in (7, 8):
        dataset = room.register(SCHEMA)
        room.load(dataset, text(row(1)))
        room.consents.withdraw(dataset, by_email(7))
        room.load(dataset, text(row(1), row(number)))
        with room.db.reading() as tx:
            epochs.append(room.consents.epoch(tx, dataset))
    assert epochs == [2, 2]
