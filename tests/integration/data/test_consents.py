"""Consent inside the join: states, expiry, withdrawals that hold in later versions, epochs that tell nothing."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from cleanroom.consent.errors import ChangeError
from cleanroom.consent.types import Withdrawal
from cleanroom.datasets.types import Role

SCHEMA = """\
person_id: {column: id}
match_keys:
  email: {column: email}
  phone: {column: phone, default_region: RU}
lawful_basis: consent
consent:
  advertising: {column: ads, granted: ["yes"], pending: [sent], withdrawn: [stop], expired: [old], collected_at: seen}
  research: {column: lab, granted: ["yes"], expires_at: until}
"""
HEADER = "id,email,phone,ads,seen,lab,until"
FILE = f"""\
{HEADER}
a,a@example.org,+79161112201,yes,2026-01-01T00:00:00Z,yes,2026-11-22
b,b@example.org,+79161112202,yes,2026-01-01T00:00:00Z,yes,2026-11-30
c,c@example.org,+79161112203,yes,2026-01-01T00:00:00Z,yes,
d,d@example.org,,sent,,no,
e,e@example.org,,stop,,no,
f,f@example.org,,old,,no,
g,g@example.org,,whatever,,no,
"""
CLIENTS = "mail\n" + "".join(f"{name}@example.org\n" for name in "abcdefg")
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)


def email(*names: str) -> bytes:
    return b"".join(hashlib.sha256(f"{name}@example.org".encode()).digest() for name in names)


def phone(number: str) -> bytes:
    return hashlib.sha256(number.encode()).digest()


@pytest.fixture
def sides(room):
    dataset = room.register(SCHEMA)
    version = room.load(dataset, FILE)
    shop = room.register("match_keys: {email: {column: mail}}", party="shop", kind="base")
    return room, dataset, version, room.load(shop, CLIENTS, party="shop")


def test_only_granted_consents_of_the_purpose_count(sides):
    room, _, version, base = sides
    assert room.count(version, base).overlap == 3
    assert room.count(version, base, purpose="research").overlap == 3
    assert room.count(version, base, purpose="credit scoring").overlap == 0


def test_the_last_day_of_validity_counts_and_the_next_does_not(sides):
    room, _, version, base = sides
    for day, expected in ((22, 3), (23, 2), (30, 2)):
        at = datetime(2026, 11, day, 23, 59, tzinfo=UTC)
        assert room.count(version, base, purpose="research", at=at).overlap == expected
    assert room.count(version, base, purpose="research", at=datetime(2026, 12, 1, tzinfo=UTC)).overlap == 1


def test_a_withdrawal_counts_from_the_next_epoch_and_the_earlier_one_can_still_be_seen(sides):
    room, dataset, version, base = sides
    outcome = room.consents.withdraw(dataset, [Withdrawal("email/room", email("a", "nobody"), "advertising")])
    assert (outcome.epoch, outcome.applied, outcome.not_applied, outcome.submitted) == (
        1,
        ("email/room",),
        (),
        2,
    )
    assert room.count(version, base).overlap == 2
    assert room.count(version, base, epoch=0).overlap == 3
    assert room.count(version, base, purpose="research").overlap == 3


def test_a_withdrawal_for_all_purposes_binds_to_all_keys_of_the_person_and_to_later_versions(sides):
    room, dataset, _, base = sides
    room.consents.withdraw(dataset, [Withdrawal("phone/room", phone("+79161112202"))])
    # The next file knows b by its e-mail alone, and under another person_id.
    moved = FILE.replace("b,b@example.org,+79161112202", "z,b@example.org,")
    later = room.load(dataset, moved)
    assert room.count(later, base).overlap == 2
    assert room.count(later, base, purpose="research").overlap == 2
    # And by person_id alone, with keys that nobody has seen.
    renamed = FILE.replace("b,b@example.org,+79161112202", "b,g@example.org,").replace("g,g@", "h,h@")
    last = room.load(dataset, renamed)
    assert room.count(last, base).overlap == 2


def test_somebody_who_is_not_there_yet_is_remembered(sides):
    room, dataset, _, _ = sides
    room.consents.withdraw(dataset, [Withdrawal("email/room", email("new"))])
    later = room.load(dataset, FILE.replace("c@example.org", "new@example.org"))
    shop = room.register("match_keys: {email: {column: mail}}", party="shop", kind="base")
    wider = room.load(shop, CLIENTS + "new@example.org\n", party="shop")
    assert room.count(later, wider).overlap == 2


def test_consent_collected_after_a_withdrawal_counts_again(sides):
    room, dataset, version, base = sides
    room.consents.withdraw(dataset, [Withdrawal("email/room", email("a", "b"))], at=FEBRUARY)
    assert room.count(version, base).overlap == 1
    later = room.load(dataset, FILE.replace("+79161112201,yes,2026-01", "+79161112201,yes,2026-03"))
    assert room.count(later, base).overlap == 2
    # Without a column of evidence nothing is evidence.
    assert room.count(later, base, purpose="research").overlap == 1


def test_the_latest_of_two_withdrawals_counts(sides):
    room, dataset, _, base = sides
    later = room.load(dataset, FILE.replace("+79161112201,yes,2026-01", "+79161112201,yes,2026-03"))
    for at in (datetime(2026, 4, 1, tzinfo=UTC), FEBRUARY):
        room.consents.withdraw(dataset, [Withdrawal("email/room", email("a"))], at=at)
    assert room.count(later, base).overlap == 2


def test_a_junk_value_of_somebody_found_withdraws_nobody_else(room):
    dataset = room.register(SCHEMA)
    shared = "".join(f"p{at},u{at}@example.org,+79990001122,yes,,yes,\n" for at in range(6))
    version = room.load(dataset, f"{HEADER}\n{shared}")
    shop = room.register("match_keys: {email: {column: mail}}", party="shop", kind="base")
    base = room.load(shop, "mail\n" + "".join(f"u{at}@example.org\n" for at in range(6)), party="shop")
    room.consents.withdraw(dataset, [Withdrawal("email/room", email("u0"))])
    assert room.count(version, base).overlap == 5


def test_a_profile_that_the_dataset_lacks_is_answered_not_applied(sides):
    room, dataset, version, base = sides
    outcome = room.consents.withdraw(dataset, [Withdrawal("email/tiktok", email("a"))])
    assert (outcome.applied, outcome.not_applied, outcome.epoch) == ((), ("email/tiktok",), 0)
    assert room.count(version, base).overlap == 3


def test_a_withdrawal_before_the_first_version_is_remembered(room):
    dataset = room.register(SCHEMA)
    assert room.consents.withdraw(dataset, [Withdrawal("email/room", email("a"))]).epoch == 1
    version = room.load(dataset, FILE)
    shop = room.register("match_keys: {email: {column: mail}}", party="shop", kind="base")
    assert room.count(version, room.load(shop, CLIENTS, party="shop")).overlap == 2


def test_a_withdrawal_cannot_lie_in_the_future(sides):
    room, dataset, version, base = sides
    room.consents.withdraw(
        dataset, [Withdrawal("email/room", email("a"))], at=room.clock.instant + timedelta(days=400)
    )
    assert room.count(version, base).overlap == 2


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Withdrawal("email/room", b"short"), "32 bytes"),
        (Withdrawal("email/room", bytes(32), "sports"), r"Use one of: \*, advertising, research"),
        (Withdrawal("email/room", bytes(32 * 3)), "at most 2 identifiers"),
    ],
)
def test_bad_withdrawals_are_refused_with_the_limit(sides, monkeypatch, request_, message):
    room, dataset, _, _ = sides
    monkeypatch.setattr("cleanroom.consent.submitting.MAX_BATCH", 2)
    with pytest.raises(ChangeError, match=message):
        room.consents.withdraw(dataset, [request_])


def test_a_day_begins_a_new_epoch_whether_or_not_anybody_expired(sides):
    room, dataset, _, _ = sides

    def advance() -> int:
        with room.db.transaction() as tx:
            return room.consents.advance(tx, dataset)

    assert advance() == 0
    room.clock.instant += timedelta(days=400)
    assert [advance(), advance()] == [1, 1]
    room.clock.instant += timedelta(days=1)
    assert advance() == 2


def test_without_last_days_of_validity_days_begin_no_epoch(room):
    dataset = room.register("match_keys: {email: {column: e}}\nconsent: {ads: {column: c, granted: [y]}}")
    room.load(dataset, "e,c\na@example.org,y\n")
    room.clock.instant += timedelta(days=2)
    with room.db.transaction() as tx:
        assert room.consents.advance(tx, dataset) == 0


def test_rotating_the_token_key_changes_every_token_and_no_count(any_room):
    room = any_room
    dataset = room.register(SCHEMA)
    version = room.load(dataset, FILE)
    shared = "".join(f"p{at},u{at}@example.org,+79990001122,yes,,yes,\n" for at in range(6))
    second = room.load(dataset, FILE + shared)
    shop = room.register(
        "match_keys: {email: {column: mail}, phone: {column: tel, default_region: RU}}",
        party="shop",
        kind="base",
    )
    base = room.load(
        shop, "mail,tel\na@example.org,\n,+79161112202\n,+79990001122\nu0@example.org,\n", party="shop"
    )
    room.consents.withdraw(dataset, [Withdrawal("email/room", email("b"))])

    def tokens(role: Role, column: int) -> list[int]:
        with room.db.reading() as tx:
            return room.datasets.reader(tx, second).read(role, column, "<u8").tolist()

    before = [tokens(role, 0) for role in (Role.KEY_HI, Role.KEY_LO, Role.PERSON_HI)]
    for party in ("provider", "shop"):
        assert room.rotation.rotate_token_key(room.party(party).workspace_id) == 2
    after = [tokens(role, 0) for role in (Role.KEY_HI, Role.KEY_LO, Role.PERSON_HI)]
    assert all(set(a).isdisjoint(b) for a, b in zip(before, after, strict=True))
    assert after[0] == sorted(after[0])
    assert room.count(second, base).overlap == 2
    assert room.count(second, base, epoch=0).overlap == 3
    assert room.version(version).token_key_version == room.version(second).token_key_version == 2
    room.consents.withdraw(dataset, [Withdrawal("email/room", email("a"))])
    assert room.count(second, base).overlap == 1
    third = room.load(dataset, FILE + shared)
    assert room.count(third, base).overlap == 1


def test_rotating_the_kek_leaves_everything_readable_and_every_root_as_it_was(room):
    dataset = room.register(SCHEMA)
    version = room.load(dataset, FILE)
    shop = room.register("match_keys: {email: {column: mail}}", party="shop", kind="base")
    base = room.load(shop, CLIENTS, party="shop")
    room.consents.withdraw(dataset, [Withdrawal("email/room", email("b"))])
    root = room.version(version).files_root
    old = room.keys.kek_ids()
    room.rotation.rotate_kek(room.party("provider").workspace_id)
    assert len(set(room.keys.kek_ids()) & set(old)) == 1
    assert room.count(version, base).overlap == 2
    assert room.version(version).files_root == root
