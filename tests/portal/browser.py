"""A browser for tests: the machine's own, else Debian's, else Playwright's; never a test that is skipped."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Error, Playwright

# The shell has no windows of its own to draw, and takes about half the time.
NAMES = (
    "chromium-headless-shell",
    "chrome-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
)
# Without these the browser asks for updates and hosts of its own at every start.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MISSING = (
    "No browser was found and none could be installed. Install one that is called chromium or google-chrome, or run: "
    "python -m playwright install chromium"
)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two processes of one test run must not install at once."""
    with (Path(tempfile.gettempdir()) / f"cleanroom-browser-{os.getuid()}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def found() -> str | None:
    """Return a browser of the machine."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _run(*command: str) -> bool:
    try:
        subprocess.run(command, check=True, timeout=600, capture_output=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def browser_path() -> str | None:
    """Return a browser, installed if there is none; None for Playwright's own.

    Raises:
        RuntimeError: there is none, and none could be installed.
    """
    with _one_at_a_time():
        if path := found():
            return path
        if os.geteuid() == 0 and shutil.which("apt-get"):
            _run("apt-get", "update", "-qq")
            for package in ("chromium-headless-shell", "chromium"):
                if _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", package) and (
                    path := found()
                ):
                    return path
        if _run(sys.executable, "-m", "playwright", "install", "chromium"):
            return None
    raise RuntimeError(MISSING)


def launch(playwright: Playwright) -> Browser:
    """Start a browser; raises RuntimeError with what to do when that fails."""
    path = browser_path()
    try:
        return playwright.chromium.launch(executable_path=path, args=list(FLAGS))
    except Error as error:
        raise RuntimeError(
            f"{MISSING} ({path or 'Playwright'} does not start: {error.message[:500]})"
        ) from None
