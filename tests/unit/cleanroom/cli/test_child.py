"""A process beside this one is started again when it dies, and never outlives it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cleanroom.cli.child import Child

SLEEP = "import time; time.sleep(60)"
UNTIL_ALONE = "import sys; sys.stdin.read(); open(sys.argv[1], 'w').close()"


def eventually(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + 120
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_that_dies_is_started_again_and_ends_with_the_block() -> None:
    with Child([sys.executable, "-c", SLEEP], pause_seconds=0.05) as child:
        first = child.pid
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: child.pid != first)
        second = child.pid
        assert runs(second)
    assert not runs(second)


def test_one_that_cannot_live_does_not_keep_the_machine_busy() -> None:
    with Child([sys.executable, "-c", "raise SystemExit(1)"], pause_seconds=60) as child:
        time.sleep(0.5)
        assert child.starts == 1


def test_it_can_tell_that_its_parent_is_gone(tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    code = (
        "import os, sys\n"
        "from cleanroom.cli.child import Child\n"
        f"Child([sys.executable, '-c', {UNTIL_ALONE!r}, {str(sign)!r}]).__enter__()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert eventually(sign.exists)
