"""One ingestion in a process of its own, which tells its peak memory; started by a test."""

import sys
from pathlib import Path

from cleanroom.bootstrap import open_room
from cleanroom.settings import Settings


def peak_bytes() -> int:
    """Return the most memory that this process ever held."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))


def main(home: str, database_url: str, memory_bytes: str, manifest: str, payload: str) -> None:
    """Ingest a package and write the peaks before and after it."""
    room = open_room(Settings(Path(home), database_url, "room.local/cleanroom", int(memory_bytes)))
    before = peak_bytes()
    room.ingestion.ingest(Path(manifest).read_bytes(), Path(payload))
    sys.stdout.write(f"{before} {peak_bytes()}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
