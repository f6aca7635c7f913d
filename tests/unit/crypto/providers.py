"""Every key provider behind one handle, for tests of what all of them promise."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from crypto.keys import KeyProvider

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Bench:
    """A key service that is there.

    Attributes:
        name: of the kind.
        keys: a provider over it.
        reopen: makes another one, as another process would.
        code: Python that makes `keys` in a process of its own.
        destroys_at_once: whether what was destroyed is gone, and not only on its way.
        environ: of such a process.
    """

    name: str
    keys: KeyProvider
    reopen: Callable[[], KeyProvider]
    code: str
    destroys_at_once: bool = True
    environ: dict[str, str] = field(default_factory=dict)

    def elsewhere(self, body: str) -> "subprocess.Popen[bytes]":
        """Run Python in another process, where `keys` is a provider over the same service."""
        return subprocess.Popen([sys.executable, "-c", f"{self.code}\n{body}"], cwd=ROOT, env=self.environ)
