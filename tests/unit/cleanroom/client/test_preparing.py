import gzip
import hashlib
import io
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from cleanroom.client import Recipient
from cleanroom.client.errors import FileError, PrepareError
from cleanroom.schema.batch import MAX_REJECTS
from cleanroom.schema.codec import schema_from_yaml
from cleanroom.schema.model import NULL_INT
from crypto.hash_profiles import MalformedDigestError, digest, hash_profile
from crypto.keys import public_key
from crypto.package import WrongRecipientError, check_ciphertext, recipient_key_id, verify_manifest

HEADER = "id,email,phone,phone2,age,city,ads\n"
GOOD = "7,Ivan.Petrov@GMail.com,8 (912) 345-67-89,,30,Москва,Yes\n"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROOM = hash_profile("room")


class FixedClock:
    def now(self) -> datetime:
        return NOW


def sha(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def test_a_row_arrives_hashed_and_coded(desk: Any) -> None:
    columns = desk.run(HEADER + GOOD).columns
    assert columns["row"].tolist() == [1]
    assert columns["person"][0].tobytes() == sha("7")
    assert columns["key:email/room"].shape == (1, 1, 32)
    assert columns["key:email/room"][0, 0].tobytes() == sha("ivanpetrov@gmail.com")
    assert columns["key:phone/room"][0, 0].tobytes() == sha("+79123456789")
    assert not columns["key:phone/room"][0, 1].any()
    assert columns["attr:age"].tolist() == [30]
    assert columns["attr:city"].tolist() == [1]
    assert columns["consent:advertising"].tolist() == [0]


def test_the_manifest_is_signed_and_tells_what_is_inside(desk: Any) -> None:
    prepared = desk.prepare(desk.write(HEADER + GOOD), clock=FixedClock(), valid_for=timedelta(days=2))
    manifest = verify_manifest(
        prepared.manifest_path.read_bytes(), public_keys={"ek_1": public_key(desk.signer.seed)}
    )
    check_ciphertext(prepared.package_path, manifest)
    assert manifest == prepared.manifest
    assert (manifest.workspace_id, manifest.dataset_id, manifest.rows, manifest.mode) == (
        "ws_1",
        "ds_1",
        1,
        "full",
    )
    assert manifest.recipient_key_id == recipient_key_id(desk.recipient.recipient)
    assert manifest.created_at == "2026-11-22T12:00:00.000000Z"
    assert manifest.expires_at == "2026-11-24T12:00:00.000000Z"
    assert desk.leftovers() == sorted([prepared.package_path.name, prepared.manifest_path.name])


def test_nothing_raw_is_in_the_package_files(desk: Any) -> None:
    prepared = desk.prepare(desk.write(HEADER + GOOD))
    stored = prepared.package_path.read_bytes() + prepared.manifest_path.read_bytes()
    for secret in (
        b"Petrov",
        b"79123456789",
        sha("+79123456789"),
        sha("+79123456789").hex().encode(),
        "Москва".encode(),
    ):
        assert secret not in stored


def test_bad_rows_are_left_out_with_number_and_reason(desk: Any) -> None:
    rows = [
        GOOD,
        ",a@b.ru,,,1,Казань,yes\n",
        "8,a@b.ru,,,x,Казань,yes\n",
        "9,nonsense,12,,1,Казань,yes\n",
        "10,a@b.ru\n",
        '11,a"@b.ru,,,,,\n',
        "12,nonsense,+79161234567,,,Пермь,stop\n",
    ]
    prepared = desk.prepare(desk.write(HEADER + "".join(rows)))
    assert prepared.rows == 2
    assert prepared.rows_read == 7
    assert prepared.rejects == [
        (2, "missing_person_id"),
        (3, "bad_value:age"),
        (4, "no_valid_key"),
        (5, "ragged_row"),
        (6, "broken_quotes"),
    ]
    assert prepared.rejected == dict.fromkeys((reason for _, reason in prepared.rejects), 1)
    assert prepared.invalid == {"email": 1}
    opened = desk.open(prepared)
    assert opened.columns["row"].tolist() == [1, 7]
    assert opened.columns["attr:age"].tolist() == [30, NULL_INT]
    assert opened.columns["attr:city"].tolist() == [1, 3]
    assert opened.columns["consent:advertising"].tolist() == [0, 4]
    assert opened.trailer.rejects == prepared.rejects


def test_a_row_with_several_faults_is_reported_once(desk: Any) -> None:
    prepared = desk.prepare(desk.write(HEADER + GOOD + ",nonsense,,,x,,\n"))
    assert prepared.rejects == [(2, "missing_person_id")]


def test_only_the_first_ten_thousand_rejects_are_listed_but_all_are_counted(desk: Any) -> None:
    prepared = desk.prepare(desk.write(HEADER + GOOD + "1,a@b.ru\n" * (MAX_REJECTS + 5)))
    assert len(prepared.rejects) == MAX_REJECTS
    assert prepared.rejected == {"ragged_row": MAX_REJECTS + 5}
    assert len(desk.open(prepared).trailer.rejects) == MAX_REJECTS


def test_known_junk_is_counted_and_kept(desk: Any) -> None:
    prepared = desk.prepare(desk.write(HEADER + "1,test@test.ru,+79999999999,,,,\n"))
    assert prepared.junk == {"email": 1, "phone": 1}
    assert prepared.rows == 1


def test_all_variants_are_derived_from_raw_values(desk: Any) -> None:
    schema = """
match_keys:
  email: {column: email, also_profiles: [uid2, meta]}
  phone: {column: phone, default_region: RU, also_profiles: [meta]}
"""
    columns = desk.run("email,phone\nA.b@googlemail.com,89123456789\n", schema).columns
    assert columns["key:email/room"][0, 0].tobytes() == sha("ab@googlemail.com")
    assert columns["key:email/uid2"][0, 0].tobytes() == sha("a.b@googlemail.com")
    assert columns["key:phone/meta"][0, 0].tobytes() == sha("79123456789")
    assert "person" not in columns


def test_hashed_keys_are_taken_in_their_profiles_form(desk: Any) -> None:
    schema = "match_keys: {email: {column: email, hash_profile: room, form: hashed}}"
    hexes = [sha("a@b.ru").hex(), sha("a@b.ru").hex().upper(), "00ff", ""]
    prepared = desk.prepare(desk.write("email,x\n" + "".join(f"{text},1\n" for text in hexes)), schema)
    assert prepared.rejects == [(2, "no_valid_key"), (3, "no_valid_key"), (4, "no_valid_key")]
    assert desk.open(prepared).columns["key:email/room"][0, 0].tobytes() == sha("a@b.ru")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (sha("x").hex().upper(), "characters outside 0-9a-f.*lower-case hex, 64"),
        (sha("x").hex()[:-1], "63 characters instead of 64"),
        (hashlib.md5(b"x").hexdigest(), "32 characters instead of 64.*legacy_md5"),
    ],
)
def test_a_hashed_column_of_another_form_is_refused_without_showing_it(
    desk: Any, text: str, message: str
) -> None:
    schema = "match_keys: {email: {column: email, form: hashed}}"
    with pytest.raises(MalformedDigestError, match=message) as caught:
        desk.run(f"email,x\n,0\n{text},1\n", schema)
    assert text not in str(caught.value)
    assert desk.leftovers() == []


def test_a_delta_carries_operations_and_deletions_need_only_the_person(desk: Any) -> None:
    rows = "1,a@b.ru,,,30,,yes,add\n2,,,,,,,DELETE\n3,a@b.ru,,,,,,replace\n"
    rows += "4,a@b.ru,,,,,,drop\n,,,,,,,delete\n5,,,,,,,add\n"
    prepared = desk.prepare(
        desk.write(HEADER.strip() + ",_op\n" + rows), mode="delta", expected_version_id="dv_1"
    )
    assert prepared.manifest.mode == "delta"
    assert prepared.manifest.expected_version_id == "dv_1"
    assert desk.open(prepared).columns["op"].tolist() == [0, 1, 0]
    assert prepared.rejects == [(4, "unknown_op"), (5, "missing_person_id"), (6, "no_valid_key")]


def test_a_delta_without_operations_replaces(desk: Any) -> None:
    assert desk.run(HEADER + GOOD, mode="delta").columns["op"].tolist() == [0]


def test_a_delta_needs_a_person_id(desk: Any) -> None:
    with pytest.raises(PrepareError, match=r"person_id.*full load"):
        desk.run("email\na@b.ru\n", "match_keys: {email: {column: email}}", mode="delta")


def test_labels_must_be_declared(desk: Any) -> None:
    schema = "match_keys: {email: {column: email}}\nlabel: {column: s, values: [vip, lapsed]}"
    opened = desk.run("email,s\na@b.ru,lapsed\nb@b.ru,gone\nc@b.ru,\nd@b.ru, vip \n", schema)
    assert opened.columns["label"].tolist() == [2, 1]
    assert opened.trailer.rejects == [(2, "unknown_label"), (3, "unknown_label")]


def test_consent_dates_are_read_or_reject_the_row(desk: Any) -> None:
    schema = "match_keys: {email: {column: e}}\n"
    schema += "consent: {ads: {column: c, granted: [1], collected_at: at, expires_at: till}}"
    opened = desk.run(
        "e,c,at,till\na@b.ru,1,1970-01-02T03:00:00+03:00,1970-01-11\nb@b.ru,1,,\nc@b.ru,1,soon,\nd@b.ru,1,,x\n",
        schema,
    )
    assert opened.columns["consent_at:ads"].tolist() == [86_400 * 10**6, NULL_INT]
    assert opened.columns["consent_until:ads"].tolist() == [10, -(2**31)]
    assert opened.trailer.rejects == [(3, "bad_consent_date:ads"), (4, "bad_consent_date:ads")]


def test_a_set_with_more_values_than_declared_rejects_the_row(desk: Any) -> None:
    schema = (
        "match_keys: {email: {column: e}}\nattributes: {tags: {type: set, values: [a, b], max_values: 1}}"
    )
    opened = desk.run("e,tags\na@b.ru,b\nb@b.ru,a|b\n", schema)
    assert opened.columns["attr:tags"].tolist() == [[2]]
    assert opened.trailer.rejects == [(2, "too_many_values:tags")]


def test_a_file_without_a_usable_row_is_refused_and_leaves_nothing(desk: Any) -> None:
    with pytest.raises(
        PrepareError, match=r"None of the 2 rows can be prepared: no_valid_key 2.*Correct"
    ) as caught:
        desk.run(HEADER + "1,petrov,,,,,\n2,,,,,,\n")
    assert "petrov" not in str(caught.value)
    assert desk.leftovers() == []


def test_a_broken_file_leaves_no_package(desk: Any) -> None:
    whole = gzip.compress((HEADER + GOOD * 300_000).encode())
    with pytest.raises(FileError, match="gzip"):
        desk.prepare(desk.write(whole[:-100]))
    assert desk.leftovers() == []


def test_a_profile_that_the_room_does_not_accept_is_refused(desk: Any) -> None:
    picky = Recipient("ws_1", "ds_1", desk.recipient.recipient, accepted_profiles=("uid2",))
    with pytest.raises(PrepareError, match=r"profiles room.*accepts uid2"):
        desk.run(HEADER + GOOD, recipient=picky)


def test_a_recipient_that_is_no_key_is_refused(desk: Any) -> None:
    with pytest.raises(WrongRecipientError, match="age1"):
        desk.run(HEADER + GOOD, recipient=Recipient("ws_1", "ds_1", "age1nonsense"))


def test_recipients_travel_as_json_and_seeds_are_never_shown(desk: Any) -> None:
    recipient = Recipient("ws_1", "ds_1", "age1x", ("room", "uid2"))
    assert Recipient.from_json(recipient.to_json()) == recipient
    for bad in (
        b"",
        b"[]",
        b"{}",
        recipient.to_json().replace(b'"v":1', b'"v":2'),
        recipient.to_json().replace(b'"ws_1"', b"1"),
    ):
        with pytest.raises(PrepareError, match=r"recipient file.*again"):
            Recipient.from_json(bad)
    assert "seed" not in repr(desk.signer)


def test_progress_tells_rows_done_and_batches_keep_their_order(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleanroom.client.text_source.BLOCK_BYTES", 4096)
    seen: list[tuple[int, int]] = []
    content = "id,email\n" + "".join(f"{i},u{i}@b.ru\n" for i in range(2000))
    schema = "person_id: id\nmatch_keys: {email: {column: email}}"
    prepared = desk.prepare(
        desk.write(content), schema, progress=lambda done, total: seen.append((done, total))
    )
    opened = desk.open(prepared)
    assert opened.columns["row"].tolist() == list(range(1, 2001))
    assert opened.columns["key:email/room"][1234, 0].tobytes() == sha("u1234@b.ru")
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (2000, 2000)
    assert all(1900 < total < 2700 for _, total in seen)
    assert len(seen) > 3


def test_parquet_prepares_like_csv(desk: Any, tmp_path: Path) -> None:
    text = HEADER + GOOD + "8,b@b.ru,,79161234567,18,Пермь,no\n"
    frame = pl.read_csv(io.BytesIO(text.encode()), schema_overrides={"phone2": pl.Int64})
    frame.write_parquet(tmp_path / "f.parquet")
    from_csv = desk.run(text)
    from_parquet = desk.open(desk.prepare(tmp_path / "f.parquet"))
    assert from_csv.columns.keys() == from_parquet.columns.keys()
    for name, array in from_csv.columns.items():
        np.testing.assert_array_equal(array, from_parquet.columns[name], err_msg=name)


def test_the_total_of_a_parquet_file_is_known_from_the_start(
    desk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleanroom.client.readers.BATCH_ROWS", 40)
    pl.DataFrame({"email": [f"u{i}@b.ru" for i in range(100)]}).write_parquet(tmp_path / "f.parquet")
    seen: list[tuple[int, int]] = []
    desk.prepare(
        tmp_path / "f.parquet",
        "match_keys: {email: {column: email}}",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(40, 100), (80, 100), (100, 100)]


def test_two_spellings_of_one_person_meet(desk: Any) -> None:
    opened = desk.run(
        HEADER + "1,,+7 912 345-67-89,,,,\n2,,89123456789,,,,\n3,,9123456789,,,,\n4,,7-912-345-67-89,,,,\n"
    )
    assert {row.tobytes() for row in opened.columns["key:phone/room"][:, 0]} == {
        digest(ROOM, "phone", "+79123456789")
    }


LONG_LINE = """
import re, sys
from pathlib import Path
from cleanroom.client.errors import LineTooLongError
from cleanroom.client.readers import read_rows
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
try:
    list(read_rows(Path(sys.argv[1]), required=["a"]))
except LineTooLongError as error:
    print((peak() - before) // 1024, error)
"""


def refusal_of(path: Path) -> tuple[int, str]:
    """Return the megabytes that refusing the file cost a process of its own, and the message.

    The peak is the kernel's high-water mark of that process: `ru_maxrss` would start at this one's.
    """
    done = subprocess.run(
        [sys.executable, "-c", LONG_LINE, str(path)], capture_output=True, text=True, check=True
    )
    megabytes, message = done.stdout.split(" ", 1)
    return int(megabytes), message


@pytest.mark.parametrize("size", [96 * 2**20, pytest.param(2**30, marks=pytest.mark.slow)])
@pytest.mark.parametrize("packed", [False, True])
def test_an_enormous_line_is_refused_early_in_flat_memory(tmp_path: Path, size: int, packed: bool) -> None:
    path = tmp_path / "line.csv"
    with gzip.open(path, "wb", compresslevel=1) if packed else path.open("wb") as file:
        file.write(b"a,b\n1,2\n")
        for _ in range(size // 2**20):
            file.write(b"x" * 2**20)
    megabytes, message = refusal_of(path)
    assert megabytes < 64
    assert "Data row 2 is longer than the limit of 1048576 bytes" in message


def test_the_schema_of_the_package_is_the_one_prepared_with(desk: Any) -> None:
    schema = "match_keys: {email: {column: email}}"
    prepared = desk.prepare(desk.write("email\na@b.ru\n"), schema)
    assert prepared.manifest.schema_sha256 == schema_from_yaml(schema).sha256()
