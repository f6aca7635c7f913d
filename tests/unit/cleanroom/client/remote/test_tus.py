from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleanroom.client.remote.connection import Connection
from cleanroom.client.remote.credentials import ClientSecret
from cleanroom.client.remote.effects import Aside, Call, Pause, Reply
from cleanroom.client.remote.problems import Unreachable
from cleanroom.client.remote.store import Parcel, Store
from cleanroom.client.remote.tus import FAILURES, send_parcel


class Room:
    """Takes bytes, and loses requests or answers as it is told: `-` before the bytes, `+` after them."""

    def __init__(self, faults: str) -> None:
        self.received = b""
        self.faults: Iterator[str] = iter(faults)
        self.announced = 0

    def answer(self, call: Call) -> Reply:
        if call.path == "/oauth/token":
            return Reply(200, {}, b'{"access_token": "t", "expires_in": 600}')
        if call.method == "POST":
            self.announced += 1
            return Reply(201, {"location": "/v1/uploads/up_1"}, b"")
        if call.method == "HEAD":
            return Reply(204, {"upload-offset": str(len(self.received))}, b"")
        fault = next(self.faults, ".")
        if fault == "-":
            raise Unreachable("lost")
        assert int(call.headers["Upload-Offset"]) == len(self.received)
        self.received += call.content
        if fault == "+":
            raise Unreachable("lost")
        return Reply(204, {"upload-offset": str(len(self.received))}, b"")


def run(flow: Any, room: Room) -> Any:
    effect = next(flow)
    try:
        while True:
            try:
                given = None
                if isinstance(effect, Call):
                    given = room.answer(effect)
                elif isinstance(effect, Aside):
                    given = effect.work()
                else:
                    assert isinstance(effect, Pause)
            except Unreachable as error:
                effect = flow.throw(error)
            else:
                effect = flow.send(given)
    except StopIteration as end:
        return end.value


def parcel_of(folder: Path, content: bytes) -> tuple[Store, Parcel]:
    store = Store(folder, url="https://room", party="cl")
    with store.packing() as packing:
        for name, data in (("m", b"{}"), ("p", content)):
            (packing / name).write_bytes(data)
        return store, store.keep_parcel("d", table_id="ds", manifest=packing / "m", payload=packing / "p")


def connection() -> Connection:
    return Connection("https://room.example.org", ClientSecret("cl_1", "secret"))


@given(size=st.integers(0, 60), piece=st.integers(1, 17), faults=st.text("-+.", max_size=30))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_byte_arrives_once_whatever_breaks(tmp_path: Path, size: int, piece: int, faults: str) -> None:
    content = bytes(range(size))
    store, _ = parcel_of(tmp_path, content)
    room = Room(faults)
    for _ in range(30):
        parcel = store.parcel("d")
        assert parcel is not None
        try:
            run(
                send_parcel(
                    connection(), store, parcel, publish=True, sent=lambda *_: None, piece_bytes=piece
                ),
                room,
            )
            break
        except Unreachable:
            continue
    assert room.received == content
    assert room.announced == 1


def test_it_gives_up_and_keeps_the_package(tmp_path: Path) -> None:
    store, parcel = parcel_of(tmp_path, b"bytes")
    with pytest.raises(Unreachable):
        run(
            send_parcel(connection(), store, parcel, publish=True, sent=lambda *_: None),
            Room("-" * FAILURES),
        )
    kept = store.parcel("d")
    assert kept is not None
    assert kept.location == "/v1/uploads/up_1"
    assert kept.payload.read_bytes() == b"bytes"
