"""Tokens of SoftHSM for tests: Debian's package, installed when the tests run as root; never a test that is skipped."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from crypto.pkcs11_module import TokenPlace

PIN, SO_PIN = "a-pin-of-tests", "an-officers-pin"
_PLACES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
MISSING = (
    "SoftHSM was not found and could not be installed. Install it, such as Debian's package softhsm2, or name its "
    "module in SOFTHSM2_MODULE."
)


def _found() -> Path | None:
    named = os.environ.get("SOFTHSM2_MODULE")
    places = (named,) if named else _PLACES
    if shutil.which("softhsm2-util") is None:
        return None
    return next((Path(place) for place in places if place and Path(place).exists()), None)


def module() -> Path:
    """Return the module, installed if there is none; raises RuntimeError with what to do."""
    # Two processes of one test run must not install at once.
    with (Path(tempfile.gettempdir()) / f"cleanroom-softhsm-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path := _found():
            return path
        if os.geteuid() == 0 and shutil.which("apt-get"):
            for command in (
                ["update", "-qq"],
                ["install", "-y", "-qq", "--no-install-recommends", "softhsm2"],
            ):
                with suppress(OSError, subprocess.SubprocessError):
                    subprocess.run(["apt-get", *command], check=True, timeout=600, capture_output=True)
        if path := _found():
            return path
    raise RuntimeError(MISSING)


@dataclass(frozen=True)
class SoftHsm:
    """A folder of tokens; the module reads where it is when it is started."""

    folder: Path
    module: Path

    @property
    def conf(self) -> Path:
        return self.folder / "softhsm2.conf"

    @property
    def tokens(self) -> Path:
        return self.folder / "tokens"

    @classmethod
    def make(cls, folder: Path) -> "SoftHsm":
        made = cls(folder, module())
        made.tokens.mkdir(parents=True)
        made.conf.write_text(
            f"directories.tokendir = {made.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        return made

    def token(self, label: str) -> TokenPlace:
        """Make an empty token."""
        command = [
            "softhsm2-util",
            "--init-token",
            "--free",
            "--label",
            label,
            "--pin",
            PIN,
            "--so-pin",
            SO_PIN,
        ]
        environ = {**os.environ, "SOFTHSM2_CONF": str(self.conf)}
        subprocess.run(command, check=True, capture_output=True, env=environ, timeout=60)
        return TokenPlace(self.module, label)
