"""Withdrawals name people by digests, in the keys of their schema."""

import hashlib
from pathlib import Path

import polars as pl
import pytest

from cleanroom.demo.withdrawals import from_base, made_up
from cleanroom.schema.codec import schema_from_yaml


def matched(people: int, *, shared: int = 0) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "customer_id": [str(i) for i in range(people)],
            "email": [f"p{i}@mail.ru" if i % 2 else None for i in range(people)],
            "phone": [f"7900000{i:04}" for i in range(people)],
            "shared": [i < shared for i in range(people)],
        }
    )


def count(requests: tuple) -> int:
    return sum(len(request.digests) // 32 for request in requests)


def test_a_quarter_withdraws_and_never_more_than_a_thousand() -> None:
    assert count(made_up(matched(400))) == 100
    assert count(made_up(matched(9_000))) == 1_000
    assert made_up(matched(3)) == ()


def test_people_who_share_an_identifier_stay_so_that_nobody_else_is_withdrawn() -> None:
    assert count(made_up(matched(400, shared=370))) == 30


def test_each_person_is_named_by_the_address_or_else_by_the_phone() -> None:
    by_key = {request.key: request.digests for request in made_up(matched(8, shared=2))}
    assert by_key == {
        "phone/room": hashlib.sha256(b"+79000000002").digest(),
        "email/room": hashlib.sha256(b"p5@mail.ru").digest(),
    }


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.csv"
    hashed = hashlib.sha256(b"x").hexdigest()
    path.write_text("e_mail,h\n" + f"A@mail.ru,{hashed}\nbroken,\n" + "b@mail.ru,\n" * 98, encoding="utf-8")
    return path


def test_the_first_tenth_of_a_base_is_named_in_all_its_keys(base: Path) -> None:
    schema = schema_from_yaml(
        "match_keys:\n"
        "  email: {column: e_mail, hash_profile: room, form: raw}\n"
        "  loyalty_id: {column: h, hash_profile: room, form: hashed}\n"
        "lawful_basis: consent\n"
    )
    by_key = {request.key: request.digests for request in from_base(base, schema, persons=40)}
    first, second = (hashlib.sha256(text).digest() for text in (b"a@mail.ru", b"b@mail.ru"))
    assert by_key == {"email/room": first + second + second, "loyalty_id/room": hashlib.sha256(b"x").digest()}
