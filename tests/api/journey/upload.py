"""Sends a prepared package by tus, without the SDK; run again after it was killed, it goes on where the room stands.

With a number of bytes it stops there and waits, as a process does whose machine hangs.
"""

import base64
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.api.journey.talk import Plain, say, until

TUS = {"Tus-Resumable": "1.0.0"}
PIECE_BYTES = 4096


def main(package: Path, manifest: Path, stop_at: int | None) -> None:
    room = Plain(os.environ["SECRET_CLIENT"], os.environ["SECRET"])
    total = package.stat().st_size
    signed = base64.b64encode(manifest.read_bytes()).decode()
    auto = base64.b64encode(b"auto").decode()
    announced = room.send(
        "POST",
        "/v1/uploads",
        headers={
            **TUS,
            "Upload-Length": str(total),
            "Upload-Metadata": f"manifest {signed},publish {auto}",
            "Idempotency-Key": hashlib.sha256(manifest.read_bytes()).hexdigest(),
        },
    )
    if announced.status_code == 409:
        # It was announced before, and bytes of it are there.
        location = package.with_suffix(".location").read_text()
    else:
        assert announced.status_code == 201, announced.text
        location = announced.headers["Location"]
        package.with_suffix(".location").write_text(location)

    def stands() -> int:
        seen = room.send("HEAD", location, headers=TUS)
        assert seen.status_code == 204, seen
        return int(seen.headers["Upload-Offset"])

    # What the one before had sent counts as soon as the room has noticed that it is gone.
    offset = stands() if announced.status_code == 201 else until(stands)
    say("sending", offset=offset, of=total)
    headers = {**TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    sent = room.send("PATCH", location, headers=headers, content=_pieces(package, offset, stop_at))
    assert sent.status_code == 204, sent.text
    assert int(sent.headers["Upload-Offset"]) == total
    say("sent", location=location)


def _pieces(package: Path, offset: int, stop_at: int | None) -> Iterator[bytes]:
    with package.open("rb") as file:
        file.seek(offset)
        while piece := file.read(PIECE_BYTES):
            if stop_at is not None and file.tell() > stop_at:
                say("hanging", at=file.tell() - len(piece))
                time.sleep(600)
            yield piece


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None)
