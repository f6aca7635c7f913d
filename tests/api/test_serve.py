"""`cleanroom serve` in a process of its own, over real HTTP."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from advertiser_api import serving
from cleanroom.bootstrap import RoomExistsError, RoomMissingError, init_room, open_room
from cleanroom.cli.main import main
from cleanroom.cli.serve import ExposedError, serve
from cleanroom.release import mechanism
from cleanroom.settings import load_settings
from tests.api.world import World

RUN = "from cleanroom.cli.main import main; main()"
Serve = Callable[..., tuple[subprocess.Popen[str], str, list[str]]]


def begin(home: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", RUN, "serve", "--home", str(home), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def served() -> Iterator[Serve]:
    """Starts a server at a free port and waits until it says where it answers."""
    begun: list[subprocess.Popen[str]] = []

    def start(home: Path, *arguments: str) -> tuple[subprocess.Popen[str], str, list[str]]:
        process = begin(home, "--port", "0", "--no-with-worker", "--processes", "1", *arguments)
        begun.append(process)
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"Answering at (\S+)", line):
                return process, found[1], said
        raise AssertionError((said, process.communicate()[1]))

    yield start
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_an_empty_home_becomes_a_room_once(tmp_path: Path, served: Serve) -> None:
    home = tmp_path / "home"
    process, address, said = served(home)
    assert httpx.get(address + "/healthz").json() == {"status": "ok"}
    assert httpx.get(address + "/readyz").status_code == 200
    assert httpx.get(address + "/v1/me").status_code == 401
    assert str(home / "keys") in "".join(said)
    assert (home / "keys").stat().st_mode & 0o777 == 0o700
    keyring = (home / "keys" / "keyring.json").read_bytes()
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0
    process, address, said = served(home)
    assert "Made a new room" not in "".join(said)
    assert httpx.get(address + "/readyz").status_code == 200
    assert (home / "keys" / "keyring.json").read_bytes() == keyring
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 0


@pytest.mark.slow
def test_the_first_run_is_offered_until_somebody_can_sign_in(tmp_path: Path, served: Serve) -> None:
    home, links = tmp_path / "home", []
    for _ in range(2):
        process, address, said = served(home)
        found = re.search(r"Begin here, once, within a day: (\S+)", "".join(said))
        assert found is not None
        links.append(found[1])
        assert httpx.get(address + "/healthz").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    process, address, said = served(home)
    newest = "".join(said).split("within a day: ")[1].split()[0]
    path = newest.removeprefix(address)
    with httpx.Client(base_url=address, follow_redirects=True) as browser:
        assert browser.get("/").status_code == 401
        assert browser.get("/welcome/" + links[0].rpartition("/")[2]).status_code == 410
        page = browser.get(path)
        assert page.status_code == 200
        token = re.search(r'name="form_token" value="(\w+)"', page.text)
        assert token is not None
        typed = {
            "form_token": token[1],
            "organisation": "Shop",
            "kind": "provider",
            "email": "ann@example.org",
            "password": "seven quiet herons wade",
            "password_again": "seven quiet herons wade",
        }
        let_in = browser.post(path, data=typed, headers={"Origin": address})
        assert let_in.url.path == "/account/second-factor"
        assert "Shop" in browser.get("/").text
        assert browser.get(path).status_code == 410
        # The API is where it was.
        assert browser.get("/v1/me").status_code == 401
        assert browser.get("/openapi.json").status_code == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0
    _, address, said = served(home)
    assert httpx.get(address + "/healthz").status_code == 200
    assert "Begin here" not in "".join(said)


def test_no_question_waits_for_libraries_to_load(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_handler: None)
    done: list[str] = []
    monkeypatch.setattr(mechanism, "warm_up", lambda: done.append("warmed up"))
    monkeypatch.setattr(uvicorn.Server, "run", lambda _self, sockets: done.append("answering"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving.serve(world.stage.room, listening)
    assert done == ["warmed up", "answering"]


def test_metrics_stand_at_a_port_of_their_own(tmp_path: Path, served: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    _, address, _ = served(tmp_path / "home", "--metrics-port", str(port))
    httpx.get(address + "/healthz")
    assert httpx.get(address + "/metrics").status_code == 404
    shown = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert 'cleanroom_http_requests_total{method="GET",route="/healthz",status="200"} 1.0' in shown


def test_a_request_under_way_is_finished(tmp_path: Path, served: Serve) -> None:
    process, address, _ = served(tmp_path / "home")
    assert httpx.get(address + "/healthz").status_code == 200
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as slow:
        slow.sendall(
            b"POST /v1/keys HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{"
        )
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        slow.sendall(b"}")
        assert slow.recv(100).startswith(b"HTTP/1.1 401")
    assert process.wait(120) == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "room.example.org"])
def test_nobody_is_let_in_from_outside_without_tls(tmp_path: Path, host: str) -> None:
    with pytest.raises(ExposedError, match="in the open"):
        serve(home=tmp_path / "home", host=host)
    assert not (tmp_path / "home").exists()


def test_a_home_whose_disk_is_missing_gets_no_new_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEANROOM_HOME", str(tmp_path / "unmounted"))
    with pytest.raises(RoomMissingError):
        serve(port=0)
    assert not (tmp_path / "unmounted").exists()
    other = tmp_path / "other"
    (other / "objects").mkdir(parents=True)
    with pytest.raises(RoomMissingError):
        serve(home=other, port=0)
    assert [entry.name for entry in other.iterdir()] == ["objects"]


def test_a_room_whose_making_was_broken_off_is_made(tmp_path: Path, served: Serve) -> None:
    home = tmp_path / "home"
    (home / "keys").mkdir(parents=True, mode=0o700)
    (home / "making-room").touch()
    _, address, _ = served(home)
    assert httpx.get(address + "/readyz").status_code == 200
    assert not (home / "making-room").exists()


def test_a_database_that_another_room_uses_is_left_alone(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'shared.sqlite3'}"
    first, second = (
        load_settings({"CLEANROOM_DATABASE_URL": database}, home=tmp_path / name) for name in ("one", "two")
    )
    init_room(first).close()
    with pytest.raises(RoomExistsError, match="another room"):
        init_room(second)
    open_room(first).close()


def test_a_port_in_use_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as left:
        main(["serve", "--home", str(tmp_path / "home"), "--port", str(taken.getsockname()[1])])
    assert left.value.code == 3
    assert "[cli.port_taken]" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


def test_the_command_is_known_without_the_web_framework() -> None:
    code = "import sys; import cleanroom.cli.serve; sys.exit('fastapi' in sys.modules or 'uvicorn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, env=dict(os.environ)).returncode == 0
