"""A room whose keys people open together: it starts sealed, says so, takes shares, and works."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from cleanroom.bootstrap import init_room, open_room
from cleanroom.cli.main import EXIT_KNOWN_ERROR, main
from cleanroom.settings import load_settings
from cleanroom.unsealing import (
    Gathering,
    NobodyGathersError,
    ShareRefusedError,
    ask_root,
    ask_standing,
    gathering,
    give_share,
    tell_root,
)
from cleanroom.worker.process import opened_when_unsealed
from crypto.key_file import LocalKeyFile, read_seal
from crypto.key_file_format import Lock
from crypto.shares import KeysSealedError, Seal, Share, ShareError, split_root
from tests.rooms import MakeRoom, Stage

RUN = "from cleanroom.cli.main import main; main()"
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sealed(tmp_path: Path) -> tuple[Path, bytes, Seal, tuple[Share, ...]]:
    """A folder of keys, its root, its seal, and five shares of which three open it."""
    keys = LocalKeyFile.create(tmp_path / "keys" / "keyring.json")
    root = os.urandom(32)
    seal, shares = split_root(root, shares=5, threshold=3)
    keys.relock(Lock(seal, root))
    return tmp_path / "keys", root, seal, shares


def test_shares_are_taken_one_by_one_and_the_last_one_opens(
    sealed: tuple[Path, bytes, Seal, tuple[Share, ...]],
) -> None:
    folder, root, seal, shares = sealed
    with pytest.raises(NobodyGathersError):
        ask_standing(folder)
    assert ask_root(folder, seal) is None
    with gathering(folder) as gathered:
        assert gathered is not None
        assert stat.S_IMODE((folder / "unseal.sock").stat().st_mode) == 0o600
        assert (ask_standing(folder).sealed, ask_standing(folder).need) == (True, 3)
        for have, share in enumerate(shares[1:3], 1):
            standing = give_share(folder, share.text())
            assert (standing.sealed, standing.have) == (True, have)
        with pytest.raises(ShareRefusedError, match="given already"):
            give_share(folder, shares[1].text())
        _, others = split_root(root, shares=5, threshold=3)
        with pytest.raises(ShareRefusedError, match="another split"):
            give_share(folder, others[0].text())
        with pytest.raises(ShareRefusedError, match="mistyped"):
            give_share(folder, shares[0].text()[:-1])
        # None of these cost the shares that were good.
        assert ask_standing(folder).have == 2
        assert ask_root(folder, seal) is None
        assert not give_share(folder, shares[4].text()).sealed
        assert ask_root(folder, seal) == root
        with gathering(folder) as second:
            assert second is None
        assert ask_root(folder, seal) == root
    with pytest.raises(NobodyGathersError):
        ask_standing(folder)
    assert not (folder / "unseal.sock").exists()


def test_a_home_without_keys_takes_no_shares(tmp_path: Path) -> None:
    with pytest.raises(NobodyGathersError, match="takes shares"):
        ask_standing(tmp_path / "keys")


def test_a_wrong_share_costs_all_of_them_and_is_not_named(
    sealed: tuple[Path, bytes, Seal, tuple[Share, ...]],
) -> None:
    folder, root, seal, shares = sealed
    gathered = Gathering(folder / "keyring.json")
    wrong = Share(seal.id, 1, os.urandom(16))
    gathered.give(wrong.text())
    gathered.give(shares[1].text())
    with pytest.raises(ShareError, match="which of them is wrong cannot be told") as caught:
        gathered.give(shares[2].text())
    assert "1" not in caught.value.message
    assert gathered.standing().have == 0
    for share in shares[:3]:
        gathered.give(share.text())
    assert gathered.root(seal.id) == root


def test_shares_wait_a_quarter_of_an_hour_and_not_beyond_a_new_split(
    sealed: tuple[Path, bytes, Seal, tuple[Share, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, root, _, shares = sealed
    gathered = Gathering(folder / "keyring.json")
    gathered.give(shares[0].text())
    later = time.monotonic() + 899
    monkeypatch.setattr("cleanroom.unsealing.monotonic", lambda: later)
    assert gathered.give(shares[1].text()).have == 2
    later += 2
    assert gathered.standing().have == 0
    gathered.give(shares[0].text())
    again, fresh = split_root(root, shares=3, threshold=2)
    LocalKeyFile.open(folder / "keyring.json", root_of=lambda _seal: root).relock(Lock(again, root))
    assert gathered.standing().have == 0
    gathered.give(fresh[0].text())
    assert not gathered.give(fresh[2].text()).sealed


def test_nonsense_at_the_socket_does_no_harm_and_a_killed_ones_socket_is_no_hindrance(
    sealed: tuple[Path, bytes, Seal, tuple[Share, ...]],
) -> None:
    folder, root, seal, _ = sealed
    (folder / "unseal.sock").write_bytes(b"")
    with gathering(folder):
        for nonsense in (
            b"",
            b"\n",
            b"{}\n",
            b"[]\n",
            b'{"do":"root","id":"zz"}\n',
            b'{"do":"keep"}\n',
            b"x" * 9000,
        ):
            with socket.socket(socket.AF_UNIX) as calling:
                calling.settimeout(5)
                calling.connect(f"/proc/self/fd/{os.open(folder, os.O_RDONLY)}/unseal.sock")
                calling.sendall(nonsense)
                calling.shutdown(socket.SHUT_WR)
                with suppress(ConnectionResetError):
                    assert calling.recv(100) == b""
        assert tell_root(folder, seal, root)
        (folder / "keyring.json").chmod(0o644)
        with pytest.raises(ShareRefusedError, match="chmod 600"):
            ask_standing(folder)
        (folder / "keyring.json").chmod(0o600)
        assert ask_root(folder, seal) == root


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def shares_of(text: str) -> list[str]:
    return re.findall(r"^SHARE \d+ (\S+)$", text, re.MULTILINE)


def test_a_split_leaves_a_working_room_working_and_a_new_split_makes_the_old_shares_worthless(
    make_room: MakeRoom, call: Call
) -> None:
    stage: Stage = make_room()
    keys_dir, home = stage.room.settings.keys_dir, ("--home", str(stage.home))
    numbers = ("--shares", "3", "--threshold", "2")
    grant = stage.grant()
    failures: list[BaseException] = []
    asked, ending = 0, Event()

    def ask() -> None:
        nonlocal asked
        try:
            while not ending.is_set():
                young = {"attribute": "age", "op": "<", "value": 19 + asked}
                assert stage.ask(grant, segments={"s": young}, precision="rough").figures
                asked += 1
        except BaseException as error:  # noqa: BLE001 - told in the main thread
            failures.append(error)

    with gathering(keys_dir):
        asking = Thread(target=ask)
        asking.start()
        code, said, _ = call("keys", "split", *numbers, "--yes", *home)
        again = call("keys", "split", *numbers, "--yes", *home)[1]
        enough = asked + 2
        while asked < enough and not failures:
            ending.wait(0.02)
        ending.set()
        asking.join()
        assert failures == []
        assert code == 0
        assert "SEALED 2 of 3" in said
        old, new = shares_of(said), shares_of(again)
        assert len(old) == len(new) == 3
        with pytest.raises(ShareRefusedError, match="another split"):
            give_share(keys_dir, old[0])
    kinds = [event["body"]["threshold"] for event in stage.events("room.keys_split")]
    assert kinds == [2, 2]
    assert not any(share in json.dumps(stage.events()) for share in (*old, *new))
    # Whoever is started now waits for people.
    with pytest.raises(KeysSealedError):
        open_room(stage.room.settings)
    assert call("org", "list", *home)[0] == EXIT_KNOWN_ERROR
    with gathering(keys_dir):
        for share in new[1:]:
            give_share(keys_dir, share)
        open_room(stage.room.settings).close()
        assert call("keys", "unsplit", *home)[0] == 0
    open_room(stage.room.settings).close()
    assert [event["kind"] for event in stage.events("room.keys_unsplit")] == ["room.keys_unsplit"]


def test_what_nobody_confirms_changes_nothing(
    tmp_path: Path, make_room: MakeRoom, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make_room()
    home = ("--home", str(stage.home))
    before = (stage.room.settings.keys_dir / "keyring.json").read_bytes()
    monkeypatch.setattr("typer.confirm", lambda *_words, **_options: False)
    assert call("keys", "split", "--shares", "3", "--threshold", "2", *home)[0] == EXIT_KNOWN_ERROR
    assert call("keys", "split", "--shares", "3", "--threshold", "1", "--yes", *home)[0] == EXIT_KNOWN_ERROR
    out = tmp_path / "out"
    out.mkdir()
    (out / "share-2.txt").write_text("somebody's")
    assert call("keys", "split", "--shares", "3", "--threshold", "2", "--yes", "--out", str(out), *home)[
        0
    ] == (EXIT_KNOWN_ERROR)
    assert [path.name for path in out.iterdir()] == ["share-2.txt"]
    assert (stage.room.settings.keys_dir / "keyring.json").read_bytes() == before


def test_a_worker_waits_for_people(make_room: MakeRoom, call: Call) -> None:
    stage = make_room()
    stage.room.close()
    said = call("keys", "split", "--shares", "2", "--threshold", "2", "--yes", "--home", str(stage.home))
    assert "No server of the room runs" in said[2]
    ending, found = Event(), []

    def wait() -> None:
        room = opened_when_unsealed(stage.room.settings, ending)
        found.append(room is not None)
        if room is not None:
            room.close()

    waiting = Thread(target=wait)
    with gathering(stage.room.settings.keys_dir):
        waiting.start()
        time.sleep(0.3)
        assert found == []
        for share in shares_of(said[1]):
            give_share(stage.room.settings.keys_dir, share)
        waiting.join(120)
    assert found == [True]
    ending.set()
    assert opened_when_unsealed(stage.room.settings, ending) is None


@pytest.fixture
def begun() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def eventually(look: Callable[[], bool]) -> bool:
    for _ in range(300):
        if look():
            return True
        time.sleep(0.1)
    return False


def status(address: str, path: str) -> int:
    try:
        return httpx.get(address + path, timeout=5).status_code
    except httpx.TransportError:
        return 0


@pytest.mark.slow
def test_a_server_that_is_started_sealed_says_so_until_people_have_opened_it(
    tmp_path: Path, call: Call, begun: list[subprocess.Popen[str]]
) -> None:
    home = tmp_path / ("long" * 20) / ("home" * 20)
    home.parent.mkdir()
    settings = load_settings({}, home=home)
    init_room(settings).close()
    out = tmp_path / "out"
    out.mkdir()
    words = (
        "keys",
        "split",
        "--shares",
        "5",
        "--threshold",
        "3",
        "--yes",
        "--out",
        str(out),
        "--home",
        str(home),
    )
    assert call(*words)[0] == 0
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-W", "error", "-c", RUN, "serve", "--home", str(home), "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--processes", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    begun.append(process)
    assert eventually(lambda: status(address, "/readyz") == 503)
    assert httpx.get(address + "/readyz").json() == {"status": "sealed"}
    assert httpx.get(address + "/healthz").status_code == 200
    for path in ("/", "/v1/me", "/openapi.json"):
        assert httpx.post(address + path, content=b"x" * 100).json()["code"] == "crypto.keys_sealed"
    # One person after the other, each in a session of their own.
    for number, expected in ((4, "SEALED 1 of 3"), (2, "SEALED 2 of 3"), (5, "UNSEALED")):
        code, said, _ = call("unseal", "--share-file", str(out / f"share-{number}.txt"), "--home", str(home))
        assert (code, expected in said) == (0, True), said
    assert eventually(lambda: status(address, "/readyz") == 200)
    assert httpx.get(address + "/v1/me").status_code == 401
    # Both processes that answer, the worker, and commands on the machine.
    assert eventually((home / "worker.heartbeat").exists)
    assert {status(address, "/readyz") for _ in range(20)} == {200}
    assert call("org", "add", "Shop", "--kind", "provider", "--home", str(home))[0] == 0
    assert "UNSEALED" in call("unseal", "--home", str(home))[1]
    process.send_signal(signal.SIGTERM)
    assert process.wait(40) == 0
    assert read_seal(settings.keys_dir / "keyring.json") is not None
    for path in (path for path in home.rglob("*") if path.is_file()):
        held = path.read_bytes()
        assert not any(share.read_bytes().strip() in held for share in out.iterdir()), path
    code, _, told = call("unseal", "--home", str(home))
    assert (code, "cleanroom serve" in told) == (EXIT_KNOWN_ERROR, True)
