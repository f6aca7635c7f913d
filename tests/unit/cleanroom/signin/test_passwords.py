"""Which passwords are taken, and how they are kept."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest
from argon2 import PasswordHasher

from cleanroom.signin import passwords
from cleanroom.signin.common import common_passwords
from cleanroom.signin.errors import PasswordError
from cleanroom.signin.passwords import (
    MAX_CHARACTERS,
    hash_password,
    outdated,
    require_good,
    verify_password,
)

EMAIL = "maria.petrova@example.org"


@pytest.mark.parametrize(
    "password",
    [
        "",
        "eleven char",
        "x" * (MAX_CHARACTERS + 1),
        "Password1234",
        "123456789012",
        "correct horse battery staple",
        "aaaaaaaaaaaaaaaaaa",
        "abababababababab",
        "Пароль Пароль",
        "maria.petrova@example.org",
        "MariaPetrova1!",
        "petrova-maria-1",
    ],
)
def test_what_would_be_guessed_is_refused(password: str) -> None:
    with pytest.raises(PasswordError) as refused:
        require_good(password, email=EMAIL)
    assert refused.value.remedy
    assert not password or password not in str(refused.value)


@pytest.mark.parametrize(
    "password", ["seven quiet herons wade", "тихо плывут баржи", "Tr0ub4dor&3-xkcd", "🦩" * 3 + "нет пароля"]
)
def test_what_would_not_is_taken(password: str) -> None:
    require_good(password, email=EMAIL)


def test_a_hash_is_argon2id_with_a_salt_of_its_own() -> None:
    first, second = hash_password("seven quiet herons"), hash_password("seven quiet herons")
    assert first != second
    assert first.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert verify_password(first, "seven quiet herons")
    assert not verify_password(first, "seven quiet heron")
    assert not outdated(first)
    assert outdated(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x"))


def test_the_same_letters_may_be_typed_in_another_way() -> None:
    assert verify_password(hash_password("café au lait noir"), "cafe\u0301 au lait noir")


def test_nobody_has_a_password() -> None:
    assert not verify_password(None, "nobody has this password")
    assert not verify_password("damaged", "seven quiet herons")
    assert not verify_password(hash_password("x" * MAX_CHARACTERS), "x" * (MAX_CHARACTERS + 1))


def test_the_common_ones_are_in_the_form_they_are_looked_up_in() -> None:
    assert len(common_passwords()) > 100
    assert all(word == word.casefold() and word.isalnum() for word in common_passwords())


def test_many_guesses_at_once_take_no_more_than_four_times_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running, most, guard = 0, 0, Lock()

    class Hasher:
        def verify(self, *_given: str) -> None:
            nonlocal running, most
            with guard:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            with guard:
                running -= 1

    monkeypatch.setattr(passwords, "_HASHER", Hasher())
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(lambda number: verify_password("hash", f"guess {number}"), range(32)))
    assert most == 4
