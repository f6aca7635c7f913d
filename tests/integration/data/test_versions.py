"""Merging, deltas, spilling, junk lists, publication: what a version holds and when it becomes current."""

import random
from collections import defaultdict

import numpy as np
import pytest

from cleanroom.datasets.errors import DatasetSchemaError, VersionNotFoundError, VersionStatusError
from cleanroom.datasets.holders import read_holders
from cleanroom.datasets.numbers import as_kind
from cleanroom.datasets.types import Role, VersionStatus
from cleanroom.ingestion.errors import JunkError, ManifestMismatchError, PackageUsedError, StaleVersionError

SCHEMA = """\
person_id: {column: id}
match_keys:
  email: {column: email}
  phone: {columns: [phone, phone2], default_region: RU}
attributes:
  age: {type: integer, kind: descriptive, bands: [18, 25, 35]}
  spend: {type: decimal, kind: behavioural, clamp: [0, 1000], aggregate: sum}
  likes: {type: set, kind: behavioural, values: [tea, cats], max_values: 2}
  since: {type: date, kind: behavioural}
lawful_basis: consent
consent:
  advertising: {column: ads, granted: ["yes"], pending: [sent], collected_at: seen, expires_at: until}
"""
HEADER = "id,email,phone,phone2,age,spend,likes,since,ads,seen,until"
DELTA_HEADER = f"_op,{HEADER}"


def row_of(rng: random.Random, person: int) -> str:
    def number() -> str:
        return f"+7916{rng.randrange(300):07d}" if rng.random() < 0.6 else ""

    return ",".join(
        [
            f"p{person}",
            f"u{rng.randrange(400)}@example.org",
            number(),
            number(),
            str(rng.randrange(80)) if rng.random() < 0.8 else "",
            f"{rng.randrange(99)}.{rng.randrange(100):02d}" if rng.random() < 0.8 else "",
            rng.choice(["", "tea", "tea|cats", "dogs"]),
            rng.choice(["", "2026-01-05"]),
            rng.choice(["yes", "yes", "no", "sent"]),
            rng.choice(["", "2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z"]),
            rng.choice(["", "2027-01-01", "2028-01-01"]),
        ]
    )


def contents(room, version_id: str) -> dict[bytes, object]:
    """Everything a version says about each person, whatever the order of persons."""
    with room.db.reading() as tx:
        reader = room.datasets.reader(tx, version_id)
        schema = room.datasets.dataset(tx, room.datasets.version(tx, version_id).dataset_id).schema
    ids = list(zip(reader.read(Role.PERSON_HI, 0, "<u8"), reader.read(Role.PERSON_LO, 0, "<u8"), strict=True))
    keys: dict[int, set] = defaultdict(set)
    for column, name in enumerate(schema.key_names):
        hi, lo = (reader.read(role, column, "<u8") for role in (Role.KEY_HI, Role.KEY_LO))
        assert (hi[1:] >= hi[:-1]).all()
        for first, second, person in zip(hi, lo, read_holders(reader, column, 0, hi.size), strict=True):
            assert (name, first, second) not in keys[person]
            keys[person].add((name, first, second))
    columns = [
        reader.read(Role.ATTRIBUTE, 2, "<u8")
        if kind == "<u8"
        else as_kind(reader.read_numbers(Role.ATTRIBUTE, column, kind, len(ids)), np.dtype(kind))
        for column, kind in enumerate(("<i8", "<i8", "<u8", "<i4"))
    ]
    columns += [
        reader.read(role, 0, kind)
        for role, kind in ((Role.CONSENT_STATE, "u1"), (Role.CONSENT_AT, "<i8"), (Role.CONSENT_UNTIL, "<i4"))
    ]
    assert len(set(ids)) == len(ids)
    return {
        token: (frozenset(keys[at]), tuple(int(column[at]) for column in columns))
        for at, token in enumerate(ids)
    }


@pytest.mark.parametrize("seed", range(4))
def test_a_delta_equals_a_full_load_of_the_edited_file(room, seed):
    rng = random.Random(seed)
    first = [row_of(rng, rng.randrange(120)) for _ in range(200)]
    changes = [(rng.choice(["add", "replace", "delete"]), row_of(rng, rng.randrange(160))) for _ in range(80)]
    edited = list(first)
    for at, (op, row) in enumerate(changes):
        person = row.split(",")[0]
        touched_before = any(other.split(",")[0] == person for _, other in changes[:at])
        if op == "delete" or not touched_before:
            edited = [other for other in edited if other.split(",")[0] != person]
        if op != "delete":
            edited.append(row)
    dataset = room.register(SCHEMA)
    base = room.load(dataset, "\n".join([HEADER, *first]) + "\n")
    delta = "\n".join([DELTA_HEADER, *(f"{op},{row}" for op, row in changes)]) + "\n"
    changed = room.load(dataset, delta, mode="delta", expected_version_id=base)
    whole = room.load(dataset, "\n".join([HEADER, *edited]) + "\n")
    assert contents(room, changed) == contents(room, whole)
    assert room.version(changed).previous_version_id == base


def test_spilling_changes_nothing(room, monkeypatch):
    rng = random.Random(7)
    text = "\n".join([HEADER, *(row_of(rng, rng.randrange(2_000)) for _ in range(3_000))]) + "\n"
    dataset = room.register(SCHEMA)
    in_memory = room.load(dataset, text)
    runs = []
    monkeypatch.setattr(room.ingestion, "_memory_bytes", 200_000)
    write = type(room.store).create

    def counting(store, key, **options):
        runs.append(key)
        return write(store, key, **options)

    monkeypatch.setattr(type(room.store), "create", counting)
    spilled = room.load(dataset, text)
    with room.db.reading() as tx:
        files = {file.object_key for file in room.datasets.files(tx, spilled)}
    assert len(runs) > len(files) + 5
    assert contents(room, spilled) == contents(room, in_memory)
    assert {key for key in room.objects() if spilled in key} == files


def test_rows_of_one_person_merge(room):
    rows = [
        "a,one@example.org,,,20,1.50,tea,,yes,2026-01-01T00:00:00Z,2027-01-01",
        "a,two@example.org,,,,2.25,cats,2026-01-05,yes,2026-02-01T00:00:00Z,",
        "b,three@example.org,,,30,,,,yes,2026-01-01T00:00:00Z,",
        "b,three@example.org,,,31,,,,no,,",
    ]
    people = contents(room, room.load(room.register(SCHEMA), "\n".join([HEADER, *rows]) + "\n"))
    found = sorted(people.values(), key=lambda item: len(item[0]))
    null, null_day = -(2**63), -(2**31)
    assert found[0][1] == (31, null, 0, null_day, 3, null, null_day)
    assert len(found[1][0]) == 2
    # 375 kopecks, "cats" of the last row, GRANTED since February, until the first day of 2027.
    assert found[1][1] == (null, 375, 2, 20458, 0, 1769904000000000, 20819)


def test_a_value_with_six_holders_waits_for_the_junk_list_and_then_matches_nobody(room):
    people = (
        "\n".join([HEADER, *(f"p{at},u{at}@example.org,+79990001122,,,,,,yes,," for at in range(6))]) + "\n"
    )
    dataset = room.register(SCHEMA)
    version = room.ingest(room.prepare(dataset, people))
    assert room.version(version).status is VersionStatus.AWAITING_JUNK
    report = room.report(version)
    assert [(item.key, item.holders) for item in report.over_shared] == [("phone/room", 6)]
    with pytest.raises(VersionStatusError, match="Resolve the junk list"), room.db.transaction() as tx:
        room.ingestion.publish(tx, version)
    with pytest.raises(JunkError, match="handles"), room.db.transaction() as tx:
        room.junk.resolve_junk(tx, version, refs=["shared-2"])
    with room.db.transaction() as tx:
        assert room.junk.resolve_junk(tx, version, refs=[report.over_shared[0].ref]) == 0
        room.ingestion.publish(tx, version)
    with room.db.reading() as tx:
        assert set(room.objects()) == {file.object_key for file in room.datasets.files(tx, version)}
    with pytest.raises(VersionStatusError, match="does not wait"), room.db.transaction() as tx:
        room.junk.resolve_junk(tx, version)
    shop = room.register("match_keys: {phone: {column: tel, default_region: RU}}", party="shop", kind="base")
    base = room.load(shop, "tel\n+79990001122\n", party="shop")
    assert room.count(version, base).overlap == 0
    # The list is the dataset's: the next load need not be asked again.
    again = room.ingest(room.prepare(dataset, people))
    assert room.version(again).status is VersionStatus.LOADED


def test_five_holders_are_no_junk_and_a_base_never_waits(room):
    rows = (
        "\n".join([HEADER, *(f"p{at},u{at}@example.org,+79990001122,,,,,,yes,," for at in range(5))]) + "\n"
    )
    version = room.load(room.register(SCHEMA), rows)
    shop = room.register("match_keys: {phone: {column: tel, default_region: RU}}", party="shop", kind="base")
    base = room.ingest(room.prepare(shop, "tel\n" + "+79990001122\n" * 9, party="shop"))
    assert room.version(base).status is VersionStatus.LOADED
    assert room.version(base).persons == 9
    assert room.count(version, base).overlap == 5


def test_a_fingerprint_follows_the_content_alone(room):
    schema = "match_keys: {email: {column: mail}}\nlabel: {column: status, values: [vip, active]}"
    shop = room.register(schema, party="shop", kind="base")

    def fingerprint(*rows: str) -> bytes | None:
        return room.version(
            room.load(shop, "\n".join(["mail,status", *rows]) + "\n", party="shop")
        ).fingerprint

    first = fingerprint("a@example.org,vip", "b@example.org,active")
    assert first is not None
    assert fingerprint("b@example.org,active", "A@example.org ,active", "a@example.org,vip") == first
    assert fingerprint("a@example.org,active", "b@example.org,active") != first
    assert fingerprint("a@example.org,vip") != first
    other = room.register(schema, party="rival", kind="base")
    foreign = room.load(other, "mail,status\na@example.org,vip\nb@example.org,active\n", party="rival")
    assert room.version(foreign).fingerprint != first


def test_two_workspaces_tokens_of_one_person_differ(room):
    text = "mail\na@example.org\n"
    hi = []
    for party in ("shop", "rival"):
        base = room.register("match_keys: {email: {column: mail}}", party=party, kind="base")
        version = room.load(base, text, party=party)
        with room.db.reading() as tx:
            hi.append(int(room.datasets.reader(tx, version).read(Role.KEY_HI, 0, np.uint64)[0]))
    assert hi[0] != hi[1]


def test_publishing_retires_the_version_before_and_refuses_stale_ones(room):
    dataset = room.register(SCHEMA)
    text = f"{HEADER}\na,one@example.org,,,20,,,,yes,,\n"
    delta = f"{DELTA_HEADER}\nadd,b,two@example.org,,,20,,,,yes,,\n"
    with pytest.raises(VersionNotFoundError, match="no published version"), room.db.reading() as tx:
        room.datasets.current(tx, dataset)
    first = room.load(dataset, text)
    late = room.ingest(room.prepare(dataset, text))
    changed = room.ingest(room.prepare(dataset, delta, mode="delta", expected_version_id=first))
    newest = room.load(dataset, text)
    assert room.version(first).status is VersionStatus.RETIRED
    with room.db.transaction() as tx:
        room.ingestion.publish(tx, newest)  # again: nothing happens
        assert room.datasets.current(tx, dataset).id == newest
    for stale in (late, changed):
        with pytest.raises(StaleVersionError, match="published"), room.db.transaction() as tx:
            room.ingestion.publish(tx, stale)
    with pytest.raises(VersionStatusError, match="retired"), room.db.transaction() as tx:
        room.ingestion.publish(tx, first)
    with pytest.raises(ManifestMismatchError, match="another version"):
        room.ingest(room.prepare(dataset, delta, mode="delta", expected_version_id=first))


def test_a_package_is_used_once(room):
    dataset = room.register(SCHEMA)
    package = room.prepare(dataset, f"{HEADER}\na,one@example.org,,,20,,,,yes,,\n")
    room.ingest(package)
    with pytest.raises(PackageUsedError, match="loaded before"):
        room.ingest(package)


@pytest.mark.parametrize(
    ("schema", "kind", "message"),
    [
        (SCHEMA, "base", "match keys and a label only"),
        ("match_keys: {email: {column: e}}\nlabel: {column: l, values: [a]}", "dataset", "Only a base"),
        ("match_keys: {email: {column: e}}", "table", "kind is not known"),
    ],
)
def test_a_schema_must_fit_its_kind(room, schema, kind, message):
    with pytest.raises(DatasetSchemaError, match=message):
        room.register(schema, kind=kind)


def test_a_version_that_does_not_exist_is_not_found(room):
    with pytest.raises(VersionNotFoundError, match="no version") as caught, room.db.transaction() as tx:
        room.ingestion.publish(tx, "dv_none")
    assert caught.value.remedy
