"""What a browser prepares is what the program prepares: identifiers, values, malformed files, whole packages."""

import base64
import csv
import gzip
import hashlib
import io
import json
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleanroom.client import Recipient, Signer, prepare
from cleanroom.client.errors import FileError, PrepareError
from cleanroom.schema.batch import BatchReader
from cleanroom.schema.categories import special_value_keys
from cleanroom.schema.codec import schema_from_yaml, schema_to_dict
from crypto import normalise
from crypto.hash_profiles import HASH_PROFILES, digest
from crypto.keys import generate_signing_key
from crypto.package import generate_identity, open_payload
from provider_portal.ui import static_files
from tests.portal.awkward import SCHEMA, awkward_file, ragged_file
from tests.portal.conftest import Visit
from tests.portal.world import Cabinet, Visitor

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "normalisation"
KEYS_ONLY = "match_keys: {email: {column: email}}\nattributes: {o: {type: category, open: true}}\n"
_PREPARE = """async ([url, text, order]) => {
  const { prepare } = await import(url);
  const parts = [];
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  try {
    const made = await prepare(new Blob([bytes]), order, { write: (part) => parts.push(part.slice()) });
    const whole = new Uint8Array(await new Blob(parts).arrayBuffer());
    let out = "";
    for (let at = 0; at < whole.length; at += 30000) out += String.fromCharCode(...whole.subarray(at, at + 30000));
    return { made, payload: btoa(out) };
  } catch (error) {
    return { code: error.code ?? (error.special ? "special" : String(error)) };
  }
}"""
_DIGESTS = """async ([url, cases]) => {
  const { hashNormalised, hex, normalise } = await import(url);
  return cases.map(([profile, identifier, text, region]) => {
    const plain = normalise(profile, identifier, text, region);
    return plain === null ? [null, null] : [plain, hex(hashNormalised(profile, plain))];
  });
}"""

Found = tuple[Any, dict[str, Any], Any]


@pytest.fixture
def page(cabinet: Cabinet, visit: Visit) -> Visitor:
    visitor = visit()
    visitor.go("/sign-in")
    return visitor


def opened(path: Path, identity: str) -> Found:
    text = io.BytesIO()
    with open_payload(path, identity) as payload:
        while part := payload.read(1 << 20):
            text.write(part)
    text.seek(0)
    reader = BatchReader(text)
    frames = list(reader)
    columns = {
        spec.name: np.concatenate([frame.columns[spec.name] for frame in frames])
        for spec in reader.header.columns
    }
    return reader.header, columns, reader.trailer


def both(
    visitor: Visitor, folder: Path, schema_text: str, content: bytes, mode: Any = "full"
) -> tuple[Any, Any]:
    """Prepare a file with the program and in the browser; of a refusal its kind."""
    identity, recipient = generate_identity()
    schema = schema_from_yaml(schema_text)
    source = folder / "file.csv"
    source.write_bytes(content)
    order = {
        "schema": schema_to_dict(schema),
        "schema_sha256": schema.sha256(),
        "recipient": recipient,
        "mode": mode,
        "specials": sorted(special_value_keys()),
    }
    url = static_files().url("wizard/package.js")
    found = visitor.page.evaluate(_PREPARE, [url, base64.b64encode(content).decode(), order])
    browser: Any = found.get("code")
    if browser is None:
        sealed = folder / "browser.age"
        sealed.write_bytes(base64.b64decode(found["payload"]))
        assert hashlib.sha256(sealed.read_bytes()).hexdigest() == found["made"]["ciphertext_sha256"]
        assert sealed.stat().st_size == found["made"]["ciphertext_bytes"]
        browser = opened(sealed, identity)
    try:
        package = prepare(
            source,
            schema=schema,
            recipient=Recipient("ws_1", "ds_1", recipient),
            signer=Signer("ek_1", generate_signing_key()),
            out_dir=folder,
            mode=mode,
            expected_version_id=None if mode == "full" else "dv_1",
        )
    except (FileError, PrepareError) as error:
        return error.code, browser
    return opened(package.package_path, identity), browser


def assert_same(program: Any, browser: Any) -> None:
    assert isinstance(program, tuple), program
    assert isinstance(browser, tuple), browser
    assert browser[0] == program[0]
    missing = set(program[1]["row"].tolist()) ^ set(browser[1]["row"].tolist())
    assert not missing, missing
    for name, expected in program[1].items():
        assert browser[1][name].shape == expected.shape, name
        differ = np.argwhere(browser[1][name] != expected)[:3].tolist()
        assert not differ, (name, [int(program[1]["row"][place[0]]) for place in differ])
    for name in ("rows_read", "rows_written", "rejected", "invalid", "junk", "rejects"):
        assert getattr(browser[2], name) == getattr(program[2], name), name


def compared(visitor: Visitor, cases: Sequence[tuple[str, str, str, str | None]]) -> int:
    """Normalise and hash in the browser and here; returns how many are identifiers at all."""
    url = static_files().url("wizard/profiles.js")
    found = visitor.page.evaluate(_DIGESTS, [url, list(cases)])
    good = 0
    for (profile, identifier, text, region), (plain, hashed) in zip(cases, found, strict=True):
        kind: Any = identifier
        expected = HASH_PROFILES[profile].normalise(kind, text, default_region=region)
        assert plain == expected, (profile, identifier, text, region)
        if expected is not None:
            raw = digest(HASH_PROFILES[profile], kind, text, default_region=region)
            assert raw is not None
            assert hashed == raw.hex()
            good += 1
    return good


def test_published_vectors_give_the_same_digests(page: Visitor) -> None:
    if os.environ.get("CI") != "true" and not FOLDER.is_dir():
        pytest.skip("the shared data folder is not here; it is required when CI=true")
    uid2 = json.loads((FOLDER / "uid2_normalization_vectors.json").read_text(encoding="utf-8"))
    emails = [case[0] for case in uid2["test_valid_email_normalization"]]
    emails += uid2["test_invalid_email_normalization"]
    phones = [case for name in uid2 if name.startswith("test_phone") for case in uid2[name] if case]
    with (FOLDER / "libphonenumber_examples.csv").open(encoding="utf-8", newline="") as file:
        numbers = list(csv.DictReader(file))
    profiles = [name for name in HASH_PROFILES if name != "room"]
    cases = [("room", "email", text, None) for text in emails]
    cases += [(name, "email", text, None) for name in profiles for text in emails]
    cases += [(name, "phone", text, "RU") for name in ("uid2", "meta", "room") for text in phones]
    for row in numbers:
        cases += [
            ("room", "phone", row["national"], row["region"]),
            ("meta", "phone", row["international"], None),
            ("uid2", "phone", row["e164"].replace("+", "00"), "GB"),
        ]
    assert len(cases) > 3_000
    assert compared(page, cases) > 2_000


def _written(text: str, how: int, rng: random.Random) -> str:
    ways: tuple[Callable[[str], str], ...] = (
        lambda one: one,
        lambda one: " ".join(one[at : at + 3] for at in range(0, len(one), 3)),
        lambda one: f"({one[:3]}) {one[3:]}",
        lambda one: f"{one} ext 12",
        lambda one: f"tel:{one}",
        lambda one: one[:-1],
        lambda one: f"8{one.lstrip('+')[1:]}",
        lambda one: one[:4] + str(rng.randrange(10)) + one[5:],
        lambda one: f"{one} дом",
    )
    return ways[how % len(ways)](text)


@pytest.mark.slow
def test_numbers_written_in_any_way_are_read_alike(page: Visitor) -> None:
    rng = random.Random(5)
    cases = []
    for number in range(1_500):
        digits = "".join(rng.choice("0123456789") for _ in range(rng.choice((7, 9, 10, 11))))
        text = _written(rng.choice(("+7", "8", "7", "", "+44", "0", "+1", "00")) + digits, number, rng)
        cases.append(("room", "phone", text, rng.choice(("RU", "US", "GB", "DE", "KZ", None))))
    assert compared(page, cases) > 100
    assert normalise.phone("1-800-FLOWERS", default_region="US") == "+18003569377"
    assert compared(page, [("room", "phone", "1-800-FLOWERS", "US")]) == 1


def test_awkward_values_become_the_same_columns(page: Visitor, tmp_path: Path) -> None:
    assert_same(*both(page, tmp_path, SCHEMA, awkward_file(300)))


@pytest.mark.slow
def test_awkward_changes_become_the_same_columns(page: Visitor, tmp_path: Path) -> None:
    content = awkward_file()
    assert_same(*both(page, tmp_path, SCHEMA, content, "delta"))
    # Of a deletion nothing counts but who it is: what is kept of its other columns may differ.
    header, *rows = content.decode().splitlines()
    rng = random.Random(3)
    changed = [f"{header},_op", *(f"{row},{rng.choice(('add', 'REPLACE', 'x', ''))}" for row in rows)]
    assert_same(*both(page, tmp_path, SCHEMA, "\n".join(changed).encode(), "delta"))


def test_malformed_files_lose_the_same_rows(page: Visitor, tmp_path: Path) -> None:
    rng = random.Random(11)
    for _ in range(25):
        program, browser = both(page, tmp_path, KEYS_ONLY, ragged_file(rng))
        if isinstance(program, tuple):
            assert_same(program, browser)
        else:
            assert isinstance(browser, str)


REFUSED = [
    (b"", "client.empty_file", "empty"),
    (b"email,o\n", "client.empty_file", "no_rows"),
    (b"mail,o\na@b.org,x\n", "client.missing_column", "missing"),
    (b"email,email,o\na@b.org,a@b.org,x\n", "client.missing_column", "double"),
    (b'email,o\na@b.org,"x\n', "client.unclosed_quote", "unclosed"),
    (b"email,o\na@b.org,\0\n", "client.nul_bytes", "nul"),
    ("email,o\na@b.org,x\n".encode("utf-16"), "client.wrong_encoding", "encoding"),
    ("email,o\na@b.org,é\n".encode("latin-1"), "client.wrong_encoding", "encoding"),
    (b"PK\x03\x04email,o\n", "client.unreadable_file", "workbook"),
    (b"\x1f\x8bemail,o\n", "client.damaged_file", "damaged"),
    (b"email,o\nnobody,x\n", "client.prepare", "none"),
]


def test_what_is_no_such_file_is_refused_by_both(page: Visitor, tmp_path: Path) -> None:
    for content, code, word in REFUSED:
        assert both(page, tmp_path, KEYS_ONLY, content) == (code, word)


def test_what_an_open_category_must_not_hold_is_refused_in_the_browser(page: Visitor, tmp_path: Path) -> None:
    schema = schema_from_yaml(KEYS_ONLY)
    order = {
        "schema": schema_to_dict(schema),
        "schema_sha256": schema.sha256(),
        "recipient": generate_identity()[1],
        "mode": "full",
        "specials": sorted(special_value_keys()),
    }
    url = static_files().url("wizard/package.js")
    for value, code in (("Buddhist", "special"), ("Мусульманин", "special"), ("Budapest", None)):
        content = base64.b64encode(f"email,o\na@b.org,{value}\n".encode()).decode()
        assert page.page.evaluate(_PREPARE, [url, content, order]).get("code") == code
    order["schema_sha256"] = "0" * 64
    assert page.page.evaluate(_PREPARE, [url, content, order])["code"] == "schema"


@pytest.mark.parametrize("encoding", ["cp1251", "utf-8-sig", "gzip"])
def test_other_spellings_of_a_file_make_the_same_package(
    page: Visitor, tmp_path: Path, encoding: str
) -> None:
    rows = ["email;o", "почта@пример.рф;Москва", "a@b.org;Санкт-Петербург", '"x@y.org";"а ""б"";в"']
    text = "\r\n".join(rows)
    content = gzip.compress(text.encode()) if encoding == "gzip" else text.encode(encoding)
    assert_same(*both(page, tmp_path, KEYS_ONLY, content))
