"""Codes as RFC 6238 has them, good once and near their time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import cryptography_vectors
import pytest

from cleanroom.signin.totp import (
    STEP_SECONDS,
    as_text,
    code_at,
    enrolment_uri,
    matching_step,
    new_secret,
    step_of,
)

NOW = datetime(2026, 11, 22, 12, 0, 7, tzinfo=UTC)
SECRET = b"12345678901234567890"


def vectors() -> list[tuple[int, str, str]]:
    text = (Path(cryptography_vectors.__file__).parent / "twofactor" / "rfc-6238.txt").read_text()
    found, current = [], {}
    for line in text.splitlines():
        name, _, value = line.partition(" = ")
        current[name] = value
        if name == "SECRET":
            found.append((int(current["TIME"]), current["MODE"], current["TOTP"]))
    return [(at, mode, code) for at, mode, code in found if mode == "SHA1"]


def test_the_published_vectors_hold() -> None:
    assert len(vectors()) == 6
    for at, _, code in vectors():
        # The RFC shows eight digits; six are the last six of them.
        assert code_at(SECRET, step_of(datetime.fromtimestamp(at, UTC))) == code[-6:]


@pytest.mark.parametrize(("steps", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_is_good_near_its_time(steps: int, good: bool) -> None:
    code = code_at(SECRET, step_of(NOW) + steps)
    assert (matching_step(SECRET, code, now=NOW, after=0) is not None) is good


def test_a_code_is_good_once_and_none_before_it_after_it() -> None:
    used = matching_step(SECRET, code_at(SECRET, step_of(NOW)), now=NOW, after=0)
    assert used == step_of(NOW)
    for steps in (-1, 0):
        assert matching_step(SECRET, code_at(SECRET, used + steps), now=NOW, after=used) is None
    later = NOW + timedelta(seconds=STEP_SECONDS)
    assert matching_step(SECRET, code_at(SECRET, used + 1), now=later, after=used) == used + 1


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "１２３４５６", "-12345", "0" * 5_000])
def test_what_is_no_code_is_none(typed: str) -> None:
    assert matching_step(SECRET, typed, now=NOW, after=0) is None


def test_a_code_may_be_typed_in_two_groups() -> None:
    code = code_at(SECRET, step_of(NOW))
    assert matching_step(SECRET, f" {code[:3]} {code[3:]} ", now=NOW, after=0) is not None


def test_secrets_are_random_and_can_be_scanned() -> None:
    assert new_secret() != new_secret()
    assert len(new_secret()) == 20
    assert as_text(SECRET) == "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    uri = enrolment_uri(SECRET, account="a&b@example.org", issuer="Cleanroom, the room")
    assert uri == (
        "otpauth://totp/Cleanroom%2C%20the%20room%3Aa%26b@example.org"
        "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Cleanroom%2C%20the%20room"
    )
