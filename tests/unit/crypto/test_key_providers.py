"""What every key provider promises: the local file, a PKCS#11 token, AWS KMS."""

import os
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from crypto.errors import KeyDestroyedError, UnknownKeyError, UnwrapError
from crypto.key_file import LocalKeyFile
from crypto.key_file_format import KeyFileError
from crypto.key_services import KeyServiceRefusedError
from crypto.keys import BoundKek
from crypto.kms_keys import KmsKeys, KmsPlace
from crypto.limits import MAX_WRAPPED_KEY_BYTES
from crypto.pkcs11_keys import Pkcs11Keys
from tests.aws import ENVIRON as AWS
from tests.softhsm import PIN, SoftHsm
from tests.unit.crypto.providers import Bench


@pytest.fixture(autouse=True)
def few_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING")


@pytest.fixture
def private(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(params=["local", "pkcs11", "kms"])
def bench(request: pytest.FixtureRequest, private: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made: Bench = globals()[f"_{request.param}"](request, private, monkeypatch)
    return made


def _local(_request: pytest.FixtureRequest, private: Path, _patch: pytest.MonkeyPatch) -> Bench:
    path = private / "kek.json"
    keys = LocalKeyFile.create(path)
    code = (
        "from pathlib import Path; from crypto.key_file import LocalKeyFile\n"
        f"keys = LocalKeyFile.open(Path({str(path)!r}))"
    )
    return Bench("local", keys, lambda: LocalKeyFile.open(path), code)


def _pkcs11(request: pytest.FixtureRequest, private: Path, _patch: pytest.MonkeyPatch) -> Bench:
    softhsm: SoftHsm = request.getfixturevalue("softhsm")
    place = request.getfixturevalue("token")
    destroyed = private / "destroyed"
    code = (
        "from pathlib import Path; from crypto.pkcs11_keys import Pkcs11Keys\n"
        "from crypto.pkcs11_module import TokenPlace\n"
        f"place = TokenPlace(Path({str(place.module)!r}), {place.label!r})\n"
        f"keys = Pkcs11Keys.open(place, {PIN!r}, destroyed=Path({str(destroyed)!r}))"
    )
    environ = {**os.environ, "SOFTHSM2_CONF": str(softhsm.conf)}
    return Bench(
        "pkcs11",
        Pkcs11Keys.open(place, PIN, destroyed=destroyed),
        lambda: Pkcs11Keys.open(place, PIN, destroyed=destroyed),
        code,
        environ=environ,
    )


def _kms(request: pytest.FixtureRequest, private: Path, patch: pytest.MonkeyPatch) -> Bench:
    endpoint = request.getfixturevalue("kms_endpoint")
    alias, destroyed = f"cleanroom/{secrets.token_hex(8)}", private / "destroyed"
    place = KmsPlace("eu-central-1", alias, endpoint)
    code = (
        "from pathlib import Path; from crypto.kms_keys import KmsKeys, KmsPlace\n"
        f"place = KmsPlace('eu-central-1', {alias!r}, {endpoint!r})\n"
        f"keys = KmsKeys.open(place, destroyed=Path({str(destroyed)!r}))"
    )
    environ = {**os.environ, **AWS}
    return Bench(
        "kms",
        KmsKeys.open(place, destroyed=destroyed),
        lambda: KmsKeys.open(place, destroyed=destroyed),
        code,
        environ=environ,
    )


def test_a_key_comes_back_under_its_own_key_and_context(bench: Bench) -> None:
    kek = BoundKek(bench.keys, bench.keys.create_kek("one"))
    for key in (b"k", os.urandom(32), os.urandom(4096)):
        wrapped = kek.wrap(key, context=b"place")
        assert key == b"k" or key not in wrapped
        assert kek.unwrap(wrapped, context=b"place") == key
        assert kek.wrap(key, context=b"place") != wrapped
    assert len(kek.wrap(os.urandom(32), context=b"place" * 30)) <= MAX_WRAPPED_KEY_BYTES


def test_every_change_to_a_wrapped_key_or_its_context_is_refused(bench: Bench) -> None:
    kek, other = (BoundKek(bench.keys, bench.keys.create_kek(label)) for label in "ab")
    wrapped = kek.wrap(bytes(32), context=b"place")
    # All bytes where calls are cheap.
    step = 23 if bench.name == "kms" else 1
    for position in range(0, len(wrapped), step):
        changed = bytearray(wrapped)
        changed[position] ^= 1
        # What stands for AWS tells a damaged name of a key inside from other damage.
        with pytest.raises((UnwrapError, KeyServiceRefusedError) if bench.name == "kms" else UnwrapError):
            kek.unwrap(bytes(changed), context=b"place")
        with pytest.raises(UnwrapError):
            kek.unwrap(wrapped[:position], context=b"place")
    for attempt in (
        lambda: kek.unwrap(wrapped, context=b"plac"),
        lambda: kek.unwrap(wrapped, context=b""),
        lambda: other.unwrap(wrapped, context=b"place"),
        lambda: kek.unwrap(b"", context=b"place"),
        lambda: kek.unwrap(b"\x09" + wrapped[1:], context=b"place"),
    ):
        with pytest.raises(UnwrapError):
            attempt()
    assert kek.unwrap(wrapped, context=b"place") == bytes(32)


@pytest.mark.parametrize("size", [0, 4097])
def test_what_is_too_short_or_long_to_be_a_key_is_refused(bench: Bench, size: int) -> None:
    kek_id = bench.keys.create_kek("one")
    with pytest.raises(KeyFileError, match="1 to 4096"):
        bench.keys.wrap(kek_id, bytes(size), context=b"")


def test_a_label_has_a_limit(bench: Bench) -> None:
    with pytest.raises(KeyFileError, match="255"):
        bench.keys.create_kek("я" * 128)
    assert bench.keys.kek_ids() == ()


def test_rewrapping_moves_a_key_to_another_key(bench: Bench) -> None:
    keys = bench.keys
    old, new, third = (keys.create_kek(label) for label in ("old", "new", "third"))
    wrapped = keys.wrap(old, b"secret", context=b"c")
    moved = keys.rewrap(old, new, wrapped, context=b"c")
    for attempt in (
        lambda: keys.rewrap(old, new, moved, context=b"c"),
        lambda: keys.rewrap(third, new, wrapped, context=b"c"),
        lambda: keys.rewrap(old, new, wrapped, context=b"d"),
        lambda: keys.unwrap(old, moved, context=b"c"),
    ):
        with pytest.raises(UnwrapError):
            attempt()
    keys.destroy(old)
    assert keys.unwrap(new, moved, context=b"c") == b"secret"
    assert keys.kek_ids() == (new, third)
    for attempt in (
        lambda: keys.rewrap(old, new, wrapped, context=b"c"),
        lambda: keys.rewrap(new, old, moved, context=b"c"),
    ):
        with pytest.raises(KeyDestroyedError):
            attempt()


def test_a_destroyed_key_opens_nothing_and_says_so_to_everybody(bench: Bench) -> None:
    keys, other = bench.keys, bench.reopen()
    kek_id = keys.create_kek("one")
    wrapped = other.wrap(kek_id, bytes(32), context=b"")
    keys.destroy(kek_id)
    keys.destroy(kek_id)
    other.destroy(kek_id)
    for holder in (keys, other, bench.reopen()):
        with pytest.raises(KeyDestroyedError):
            holder.unwrap(kek_id, wrapped, context=b"")
        with pytest.raises(KeyDestroyedError):
            holder.wrap(kek_id, bytes(32), context=b"")
        assert holder.kek_ids() == ()


@pytest.mark.slow_on("kms")
def test_unknown_keys_are_refused_and_never_look_destroyed(bench: Bench) -> None:
    known = bench.keys.create_kek("one")
    unknown = known[:-4] + ("0000" if known[-4:] != "0000" else "1111")
    attempts = (
        lambda: bench.keys.unwrap(unknown, bench.keys.wrap(known, b"k", context=b""), context=b""),
        lambda: bench.keys.wrap(unknown, bytes(32), context=b""),
        lambda: bench.keys.destroy(unknown),
    )
    for attempt in attempts:
        with pytest.raises(UnknownKeyError):
            attempt()


@pytest.mark.slow_on("kms")
def test_keys_are_listed_oldest_first_and_outlive_whoever_made_them(bench: Bench) -> None:
    made = []
    for label in "abc":
        made.append(bench.keys.create_kek(label))
        # Ids know the millisecond of a key's birth.
        time.sleep(0.002)
    again = bench.reopen()
    assert again.kek_ids() == tuple(made)
    wrapped = bench.keys.wrap(made[1], b"secret", context=b"c")
    assert again.unwrap(made[1], wrapped, context=b"c") == b"secret"
    again.check()


@pytest.mark.slow_on("kms")
def test_a_process_of_its_own_opens_what_this_one_wrapped(bench: Bench) -> None:
    kek_id = bench.keys.create_kek("one")
    wrapped = bench.keys.wrap(kek_id, b"secret", context=b"c")
    body = f"assert keys.unwrap({kek_id!r}, {wrapped!r}, context=b'c') == b'secret'\nkeys.destroy({kek_id!r})"
    assert bench.elsewhere(body).wait() == 0
    with pytest.raises(KeyDestroyedError):
        bench.keys.unwrap(kek_id, wrapped, context=b"c")


@pytest.mark.slow_on("kms")
def test_threads_and_processes_that_work_at_once_lose_nothing(bench: Bench) -> None:
    shared = bench.keys.create_kek("shared")
    workers = [bench.elsewhere("for _ in range(5): keys.create_kek('theirs')") for _ in range(2)]

    def work(number: int) -> str:
        kek_id = bench.keys.create_kek(f"of {number}")
        for _ in range(5):
            secret = os.urandom(32)
            assert (
                bench.keys.unwrap(shared, bench.keys.wrap(shared, secret, context=b""), context=b"") == secret
            )
            moved = bench.keys.rewrap(
                shared, kek_id, bench.keys.wrap(shared, secret, context=b"x"), context=b"x"
            )
            assert bench.keys.unwrap(kek_id, moved, context=b"x") == secret
        bench.keys.destroy(kek_id)
        return kek_id

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(work, range(8)))
    assert [worker.wait() for worker in workers] == [0, 0]
    assert len(set(made)) == 8
    assert len(bench.keys.kek_ids()) == 11
    assert not set(made) & set(bench.keys.kek_ids())


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_keeps_its_own_way_to_the_keys(bench: Bench) -> None:
    kek_id = bench.keys.create_kek("one")
    wrapped = bench.keys.wrap(kek_id, b"secret", context=b"c")
    child = os.fork()
    if child == 0:
        fine = False
        try:
            fine = bench.keys.unwrap(kek_id, wrapped, context=b"c") == b"secret"
            fine = fine and bench.keys.create_kek("a child's") in bench.keys.kek_ids()
        finally:
            os._exit(0 if fine else 1)
    assert bench.keys.unwrap(kek_id, wrapped, context=b"c") == b"secret"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(bench.keys.kek_ids()) == 2
    assert bench.keys.unwrap(kek_id, wrapped, context=b"c") == b"secret"
