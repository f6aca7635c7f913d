"""Several processes that answer for one room, over real HTTP."""

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

RUN = "from cleanroom.cli.main import main; main()"
PROCESSES = 2
LIMIT = 40


def eventually(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


def children(pid: int) -> list[int]:
    """The processes that were started by this one; those that wait to be buried are not among them."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,stat=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    lines = (line.split() for line in listed.stdout.splitlines())
    return [int(found) for found, state in lines if not state.startswith("Z")]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Server:
    """`cleanroom serve` with several processes."""

    def __init__(self, home: Path) -> None:
        self.directory = home.parent
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.metrics = f"http://127.0.0.1:{free.getsockname()[1]}/metrics"
        port = self.metrics.split(":")[2].split("/")[0]
        options = ["--processes", str(PROCESSES), "--port", "0", "--metrics-port", port, "--no-with-worker"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, "serve", "--home", str(home), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "CLEANROOM_RATE_PER_MINUTE": str(LIMIT), "TMPDIR": str(self.directory)},
        )
        assert self.process.stdout is not None
        said = (re.search(r"Answering at (\S+)", line) for line in self.process.stdout)
        self.address = next(found[1] for found in said if found)

    def statuses(self, path: str, count: int) -> list[int]:
        """Call over connections of their own, which the processes share out among them."""
        return [httpx.get(self.address + path).status_code for _ in range(count)]

    def answering(self) -> set[int]:
        """The processes that have answered something, by the files in which they count."""
        files = self.directory.glob("cleanroom-*/metrics/*.db")
        return {int(file.stem.rpartition("_")[2]) for file in files}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "home")
    yield made
    if made.process.poll() is None:
        made.process.kill()
    made.process.communicate()


def test_they_answer_count_and_end_together(server: Server, tmp_path: Path) -> None:
    pid = server.process.pid
    assert eventually(lambda: len(children(pid)) == PROCESSES - 1)
    # Probes are not limited: all of them come to answer some.
    probes = 0
    while len(server.answering()) < PROCESSES and probes < 400:
        assert set(server.statuses("/healthz", 20)) == {200}
        probes += 20
    assert server.answering() == {pid, *children(pid)}
    # Without a token: by the caller's address, whichever process is asked.
    assert sorted(server.statuses("/v1/me", LIMIT + 15)) == [401] * LIMIT + [429] * 15
    shown = httpx.get(server.metrics).text
    counted = re.search(r'requests_total\{method="GET",route="/healthz",status="200"\} (\S+)', shown)
    assert counted is not None
    assert float(counted[1]) == probes
    assert "cleanroom_webhook_deliveries" in shown

    killed = children(pid)[0]
    os.kill(killed, signal.SIGKILL)
    assert eventually(lambda: killed not in children(pid) and len(children(pid)) == PROCESSES - 1)
    assert set(server.statuses("/healthz", 20)) == {200}

    beside = children(pid)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) == 0
    assert not any(runs(each) for each in beside)
    assert list(tmp_path.glob("cleanroom-*")) == []


@pytest.mark.slow
def test_they_do_not_outlive_the_first(server: Server) -> None:
    pid = server.process.pid
    assert eventually(lambda: len(children(pid)) == PROCESSES - 1)
    assert eventually(lambda: set(server.statuses("/healthz", 5)) == {200})
    beside = children(pid)
    server.process.kill()
    server.process.wait(120)
    assert eventually(lambda: not any(runs(each) for each in beside))
