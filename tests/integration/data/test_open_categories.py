"""Open categories: values that nobody declared travel sealed, survive deltas and rotations, and leave with people."""

import random
from dataclasses import replace

import numpy as np
import pytest

from cleanroom.datasets.dictionary import read_dictionary
from cleanroom.datasets.types import Role
from cleanroom.ingestion import value_codes
from cleanroom.ingestion.errors import PayloadError
from cleanroom.schema.batch import BatchHeader, BatchTrailer, BatchWriter
from cleanroom.schema.codec import schema_from_yaml
from cleanroom.schema.errors import SpecialCategoryError
from cleanroom.schema.layout import layout, reasons
from cleanroom.schema.open_values import to_fixed
from crypto.package import PackageWriter, sign_manifest

SCHEMA = """\
person_id: {column: id}
match_keys: {email: {column: email}}
attributes:
  age: {type: integer, kind: descriptive, bands: [18]}
  town: {type: category, kind: descriptive, open: true}
  device: {type: category, kind: descriptive, open: true, max_bytes: 24}
consent:
  advertising: {column: ads, granted: ["yes"]}
"""
HEADER = "id,email,age,town,device,ads"
TOWN, DEVICE = 1, 2


def row(person: int, town: str, device: str = "Nokia 3310") -> str:
    return f"p{person},u{person}@example.org,30,{town},{device},yes"


def file_of(rows: list[str], header: str = HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


def values(room, version_id: str, column: int = TOWN) -> dict[int, str | None]:
    """Each person's value, by its token."""
    with room.db.reading() as tx:
        reader = room.datasets.reader(tx, version_id)
    names = [None, *(value.decode() for value in read_dictionary(reader, column))]
    codes = reader.read(Role.ATTRIBUTE, column, "<u4")
    tokens = reader.read(Role.PERSON_HI, 0, "<u8")
    return {int(token): names[code] for token, code in zip(tokens, codes, strict=True)}


def kept(room, version_id: str, column: int = TOWN) -> list[str]:
    with room.db.reading() as tx:
        return [value.decode() for value in read_dictionary(room.datasets.reader(tx, version_id), column)]


@pytest.mark.parametrize("seed", range(3))
def test_a_delta_equals_a_full_load_of_the_edited_file(room, seed):
    rng = random.Random(seed)
    towns = ["", *(f"Город {number}" for number in range(300))]
    dataset = room.register(SCHEMA)
    before = {
        person: row(person, rng.choice(towns), f"d{rng.randrange(9)}")
        for person in rng.sample(range(900), 500)
    }
    first = room.load(dataset, file_of(list(before.values())))
    changed = {
        person: row(person, rng.choice([*towns, f"new {seed}"])) for person in rng.sample(range(900), 200)
    }
    gone = set(rng.sample(sorted(set(before) - set(changed)), 100))
    delta = [f"add,{line}" for line in changed.values()] + [f"delete,p{person},,,,," for person in gone]
    second = room.load(dataset, file_of(delta, f"_op,{HEADER}"), mode="delta", expected_version_id=first)
    after = {person: line for person, line in (before | changed).items() if person not in gone}
    third = room.load(dataset, file_of(list(after.values())))

    for column in (TOWN, DEVICE):
        assert values(room, second, column) == values(room, third, column)
        assert kept(room, second, column) == kept(room, third, column)
    expected = {line.split(",")[3] for line in after.values()} - {""}
    assert kept(room, third) == sorted(expected, key=str.encode)
    assert sorted(filter(None, values(room, third).values())) == sorted(
        town for line in after.values() if (town := line.split(",")[3])
    )


def test_a_value_leaves_with_the_last_person_who_had_it(room):
    dataset = room.register(SCHEMA)
    first = room.load(dataset, file_of([row(1, "Верхоянск"), row(2, "Омск"), row(3, "Омск")]))
    assert kept(room, first) == ["Верхоянск", "Омск"]
    second = room.load(
        dataset, file_of(["delete,p1,,,,,"], f"_op,{HEADER}"), mode="delta", expected_version_id=first
    )
    assert kept(room, second) == ["Омск"]
    assert set(values(room, second).values()) == {"Омск"}


def test_the_last_row_of_a_person_decides_and_rejected_rows_leave_no_value(room):
    dataset = room.register(SCHEMA)
    lines = [
        row(1, "Тверь"),
        row(1, "Пермь"),
        row(2, "ж" * 33),
        row(3, "Псков", "x" * 25),
        "p4,not an address,30,Сочи,phone,yes",
        row(5, ""),
        row(6, "unknown"),
    ]
    version = room.load(dataset, file_of(lines))
    assert kept(room, version) == ["Пермь"]
    assert sorted(map(str, values(room, version).values())) == ["None", "None", "Пермь"]
    report = room.report(version)
    assert report.rejected == {"too_long:town": 1, "too_long:device": 1, "no_valid_key": 1}
    assert (report.fill["town"], report.distinct_values) == (1, {"town": 1, "device": 1})


def test_values_survive_the_rotation_of_both_keys(room):
    dataset = room.register(SCHEMA)
    version = room.load(dataset, file_of([row(n, f"Город {n % 7}") for n in range(50)]))
    before = sorted(values(room, version).values())
    workspace = room.party("provider").workspace_id
    room.rotation.rotate_token_key(workspace)
    room.rotation.rotate_kek(workspace)
    assert sorted(values(room, version).values()) == before
    assert len(kept(room, version)) == 7


def test_spilling_changes_no_value(room):
    dataset = room.register(SCHEMA)
    text = file_of([row(n, f"Город {n * 7 % 1_000}", f"d{n % 90}") for n in range(4_000)])
    at_once = room.load(dataset, text)
    object.__setattr__(room.ingestion, "_memory_bytes", 1 << 18)
    spilled = room.load(dataset, text)
    assert values(room, spilled) == values(room, at_once)
    assert values(room, spilled, DEVICE) == values(room, at_once, DEVICE)


def test_a_version_without_anybody_has_an_empty_dictionary(room):
    dataset = room.register(SCHEMA)
    first = room.load(dataset, file_of([row(1, "Омск")]))
    second = room.load(
        dataset, file_of(["delete,p1,,,,,"], f"_op,{HEADER}"), mode="delta", expected_version_id=first
    )
    assert (kept(room, second), values(room, second)) == ([], {})


def test_the_size_of_a_dictionary_does_not_tell_how_many_values_it_holds(room):
    dataset = room.register(SCHEMA)
    sizes = set()
    for count in (1, 2, 500):
        version = room.load(dataset, file_of([row(n, f"Город {n}") for n in range(count)]))
        with room.db.reading() as tx:
            sizes |= {file.bytes for file in room.datasets.files(tx, version) if file.role is Role.DICTIONARY}
    assert sizes == {1 << 16}


def test_more_distinct_values_than_the_limit_are_refused_with_the_limit_and_a_remedy(room, monkeypatch):
    monkeypatch.setattr(value_codes, "MAX_OPEN_VALUES", 20)
    dataset = room.register(SCHEMA)
    # The limit is one for all open categories: 19 towns and a device are as many as may come.
    room.load(dataset, file_of([row(n, f"town {n}") for n in range(19)]))
    before = room.objects()
    package = room.prepare(dataset, file_of([row(n, f"secret-town-{n}") for n in range(20)]))
    with pytest.raises(PayloadError, match=r"more than 20 distinct values.*coarser") as caught:
        room.ingest(package)
    assert "secret" not in str(caught.value)
    assert room.objects() == before


def ingest_forged(room, dataset: str, raw: list[bytes]) -> str:
    """Load what a client that checks nothing would write."""
    schema = schema_from_yaml(SCHEMA)
    columns = {spec.name: np.zeros(spec.shape(len(raw)), spec.dtype) for spec in layout(schema)}
    columns["row"] = np.arange(1, len(raw) + 1, dtype="<u8")
    columns["person"][:, 0] = columns["key:email/room"][:, 0, 0] = columns["row"]
    for at, value in enumerate(raw):
        columns["attr:town"][at, : len(value)] = list(value)
    own, honest = room.party("provider"), room.prepare(dataset, file_of([row(1, "x")]))
    path = honest.package_path.with_name("forged.age")
    with PackageWriter(path, own.recipient) as package:
        writer = BatchWriter(package, BatchHeader(schema.sha256(), "full", layout(schema), reasons(schema)))
        writer.write(columns)
        writer.finish(BatchTrailer(len(raw), len(raw), {}, {}, {}, []))
    manifest = replace(
        honest.manifest,
        rows=len(raw),
        ciphertext_sha256=package.result.sha256,
        ciphertext_bytes=package.result.size,
    )
    return room.ingestion.ingest(sign_manifest(manifest, own.signer.seed), path)


def test_what_a_client_should_have_left_out_is_left_out_here(room):
    dataset = room.register(SCHEMA)
    good = [b"plain", "Омск".encode(), b"", b"x" * 64]
    bad = [b"nul\0inside", b"\0after", b"\xff\xfe broken", b"line\nbreak", b" blank ", b"unknown"]
    version = ingest_forged(room, dataset, [*good, *bad, "e\u0301".encode()])
    assert kept(room, version) == ["plain", "x" * 64, "Омск"]
    assert room.report(version).rejected == {"bad_value:town": 7}
    assert room.version(version).persons == 4

    with pytest.raises(SpecialCategoryError, match="open category town"):
        ingest_forged(room, dataset, [b"plain", b"Muslim"])


def test_values_that_fall_together_when_folded_are_told_apart(monkeypatch):
    monkeypatch.setattr(value_codes, "_MIX", np.uint64(0))
    texts = [b"one", b"two", b"one", b"", b"three"]
    codes = value_codes.ValueCodes("town").encode(to_fixed(texts, 64)).tolist()
    assert codes[3] == 0
    assert codes[0] == codes[2]
    assert len(set(codes)) == 4
