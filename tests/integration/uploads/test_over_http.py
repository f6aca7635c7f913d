"""The protocol over a real server: tus 1.0, its refusals, and what clients that go away leave behind."""

import hashlib
import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusUploadFailed

from advertiser_api.v1 import uploads as router_module
from cleanroom.uploads import appending as appending_module
from cleanroom.uploads.types import UploadStatus
from tests.integration.uploads.serve import served
from tests.packages import Package, look, on_disk, real, signed
from tests.rooms import Stage, clients

PAYLOAD = bytes(range(256)) * 40
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}
SCOPES = "bases:write"


def b64(data: bytes) -> str:
    return b64encode(data).decode()


@dataclass
class Desk:
    """A client of the advertiser."""

    stage: Stage
    address: str
    http: httpx.Client

    def create(
        self, package: Package, headers: dict[str, str] | None = None, **metadata: bytes
    ) -> httpx.Response:
        pairs = {"manifest": package.manifest, **metadata}
        return self.http.post(
            "/v1/uploads",
            headers={
                **TUS,
                "Upload-Length": str(len(package.payload)),
                "Upload-Metadata": ",".join(f"{name} {b64(value)}" for name, value in pairs.items()),
                **(headers or {}),
            },
        )

    def begun(self, payload: bytes = PAYLOAD) -> str:
        """Announce an upload; returns its path."""
        answer = self.create(signed(self.stage, payload))
        assert answer.status_code == 201, answer.text
        return answer.headers["location"]

    def patch(self, path: str, data: bytes, at: int, **headers: str) -> httpx.Response:
        return self.http.patch(path, content=data, headers={**BYTES, "Upload-Offset": str(at), **headers})

    def offset(self, path: str) -> int:
        return int(self.http.head(path, headers=TUS).headers["upload-offset"])


def authorization(stage: Stage, scopes: str = SCOPES) -> dict[str, str]:
    return {"Authorization": f"Bearer {stage.advertiser.organisation_id} {scopes}"}


def opened(stage: Stage) -> Iterator[Desk]:
    with (
        served(stage.room) as address,
        httpx.Client(base_url=address, headers=authorization(stage), timeout=60) as http,
    ):
        yield Desk(stage, address, http)


@pytest.fixture
def any_desk(stage):
    yield from opened(stage)


@pytest.fixture
def desk(make_room):
    yield from opened(make_room())


def upload_id(path: str) -> str:
    return path.rpartition("/")[2]


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert answer.headers["cache-control"] == "no-store"
    if answer.request.method != "HEAD":
        assert answer.json()["code"] == code


def test_the_whole_way(any_desk):
    stage, http = any_desk.stage, any_desk.http
    answer = any_desk.create(signed(stage, PAYLOAD))
    assert answer.status_code == 201
    assert answer.headers["tus-resumable"] == "1.0.0"
    path = answer.headers["location"]
    assert re.fullmatch(r"/v1/uploads/up_[0-9a-f]{32}", path)
    head = http.head(path, headers=TUS)
    assert head.status_code == 204
    assert (head.headers["upload-offset"], head.headers["upload-length"]) == ("0", str(len(PAYLOAD)))
    assert head.headers["cache-control"] == "no-store"
    expires = parsedate_to_datetime(head.headers["upload-expires"])
    assert expires == look(stage, upload_id(path)).expires_at.replace(microsecond=0)
    answer = any_desk.patch(path, PAYLOAD[:500], 0)
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "500")
    assert "upload-expires" in answer.headers
    answer = any_desk.patch(path, PAYLOAD[500:], 500)
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(len(PAYLOAD)))
    assert "upload-expires" not in answer.headers
    status = http.get(path)
    assert status.status_code == 200
    body = status.json()
    assert body["state"] == "received"
    assert (body["offset"], body["length"], body["version_id"]) == (len(PAYLOAD), len(PAYLOAD), None)
    assert on_disk(stage, upload_id(path)) == PAYLOAD
    answer = http.delete(path, headers=TUS)
    assert (answer.status_code, answer.content) == (204, b"")
    refused(http.head(path, headers=TUS), 410, "uploads.gone")
    refused(any_desk.patch(path, b"x", 0), 410, "uploads.gone")
    refused(http.delete(path, headers=TUS), 410, "uploads.gone")
    assert http.get(path).json()["state"] == "terminated"


def test_the_server_tells_what_it_can_do(desk):
    answer = desk.http.options("/v1/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-extension"] == "creation,termination,checksum,expiration"
    assert answer.headers["tus-max-size"] == str(64 << 30)
    assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256"


def test_a_request_without_the_protocols_version_is_not_processed(desk):
    path = desk.begun()
    for method in ("POST", "HEAD", "PATCH", "DELETE"):
        for headers in ({}, {"Tus-Resumable": "0.2.2"}):
            target = "/v1/uploads" if method == "POST" else path
            answer = desk.http.request(method, target, headers={**headers, "Upload-Offset": "0"})
            refused(answer, 412, "uploads.tus_version")
            assert answer.headers["tus-version"] == "1.0.0"
    assert desk.offset(path) == 0


@pytest.mark.parametrize(
    "content_type", [None, "application/octet-stream", "application/offset+octet-streams"]
)
def test_bytes_under_another_content_type_are_refused(desk, content_type):
    path = desk.begun()
    headers = {**TUS, "Upload-Offset": "0"} | ({"Content-Type": content_type} if content_type else {})
    refused(desk.http.patch(path, content=PAYLOAD, headers=headers), 415, "uploads.content_type")
    assert desk.offset(path) == 0


@pytest.mark.parametrize("value", [None, "", "-1", "1.5", "ten", "1" * 17, "٣"])
def test_an_offset_that_is_no_number_is_refused(desk, value):
    path = desk.begun()
    headers = [*BYTES.items()] + ([("Upload-Offset", value)] if value is not None else [])
    encoded = [(name.encode(), text.encode()) for name, text in headers]
    refused(desk.http.patch(path, content=b"x", headers=encoded), 400, "uploads.tus_header")


def test_bytes_for_another_place_are_refused(desk):
    path = desk.begun()
    assert desk.patch(path, PAYLOAD[:10], 0).status_code == 204
    for at in (0, 9, 11):
        refused(desk.patch(path, PAYLOAD[at:], at), 409, "uploads.offset")
    assert desk.offset(path) == 10


def test_more_than_was_signed_is_refused_with_and_without_a_length(desk):
    path = desk.begun()
    refused(desk.patch(path, PAYLOAD + b"x", 0), 413, "uploads.too_large")

    def pieces():
        yield PAYLOAD
        yield b"x"

    answer = desk.http.patch(path, content=pieces(), headers={**BYTES, "Upload-Offset": "0"})
    refused(answer, 413, "uploads.too_large")


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_false_checksum_is_refused_and_a_true_one_taken(any_desk, algorithm):
    path = any_desk.begun()
    digest = b64(hashlib.new(algorithm, PAYLOAD).digest())
    answer = any_desk.patch(path, b"\1" + PAYLOAD[1:], 0, **{"Upload-Checksum": f"{algorithm} {digest}"})
    refused(answer, 460, "uploads.checksum")
    assert any_desk.offset(path) == 0
    answer = any_desk.patch(path, PAYLOAD, 0, **{"Upload-Checksum": f"{algorithm} {digest}"})
    assert (answer.status_code, any_desk.offset(path)) == (204, len(PAYLOAD))


@pytest.mark.parametrize(
    "value",
    [
        "md5 " + b64(hashlib.md5(PAYLOAD).digest()),
        "sha256",
        "sha256 !",
        "sha256 " + b64(hashlib.sha1(PAYLOAD).digest()),
        "",
    ],
)
def test_a_checksum_that_cannot_be_checked_is_refused(desk, value):
    path = desk.begun()
    refused(desk.patch(path, PAYLOAD, 0, **{"Upload-Checksum": value}), 400, "uploads.tus_header")
    assert desk.offset(path) == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Upload-Length": ""},
        {"Upload-Length": "-5"},
        {"Upload-Defer-Length": "1"},
        {"Upload-Metadata": ""},
        {"Upload-Metadata": "manifest"},
        {"Upload-Metadata": "manifest %%%"},
        {"Upload-Metadata": "filename " + b64(b"people.csv")},
        {"Upload-Metadata": "manifest YQ==,manifest YQ=="},
        {"Upload-Metadata": "manifest YQ==,publish " + b64(b"maybe")},
    ],
)
def test_an_announcement_that_is_malformed_is_refused(desk, headers):
    refused(desk.create(signed(desk.stage, PAYLOAD), headers), 400, "uploads.tus_header")


def test_what_the_domain_refuses_is_refused_here(desk, monkeypatch):
    stage = desk.stage
    answer = desk.create(signed(stage, PAYLOAD), {"Upload-Length": "7"})
    refused(answer, 400, "uploads.length")
    refused(desk.create(signed(stage, PAYLOAD, dataset_id="ds_1")), 404, "datasets.not_found")
    refused(desk.create(Package(b"{}", PAYLOAD)), 400, "crypto.manifest_format")
    monkeypatch.setattr(stage.room.uploads, "limits", replace(stage.room.uploads.limits, max_bytes=10))
    refused(desk.create(signed(stage, PAYLOAD)), 413, "uploads.too_large")


def test_names_of_files_are_not_kept(desk):
    package = signed(desk.stage, PAYLOAD)
    path = desk.create(package, filename=b"our clients.csv", filetype=b"text/csv").headers["location"]
    assert "clients" not in desk.http.get(path).text
    for file in desk.stage.home.rglob("*"):
        assert not file.is_file() or b"our clients" not in file.read_bytes(), file.name


def test_strangers_and_unknown_ids_get_the_same_answer(desk):
    path = desk.begun()
    other = desk.stage.party("other").organisation_id
    stranger = {"Authorization": f"Bearer {other} bases:write datasets:write"}
    unknown = "/v1/uploads/up_" + "0" * 32
    for method, extra in (
        ("GET", {}),
        ("HEAD", TUS),
        ("PATCH", {**BYTES, "Upload-Offset": "0"}),
        ("DELETE", TUS),
    ):
        answers = [
            desk.http.request(method, target, headers={**extra, **stranger})
            for target in (path, unknown, "/v1/uploads/up_%00", "/v1/uploads/..%2f..%2froom")
        ]
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.content for answer in answers[:3]}) == 1
    assert look(desk.stage, upload_id(path)).status is UploadStatus.RECEIVING


def test_a_token_needs_the_scope_of_the_table(desk):
    path = desk.begun()
    for scopes in ("none", "datasets:write bases:reading", "bases:read"):
        headers = authorization(desk.stage, scopes)
        refused(desk.create(signed(desk.stage, PAYLOAD), headers), 403, "uploads.scope")
        refused(desk.http.head(path, headers={**TUS, **headers}), 403, "uploads.scope")
        refused(desk.patch(path, PAYLOAD, 0, **headers), 403, "uploads.scope")
        refused(desk.http.delete(path, headers={**TUS, **headers}), 403, "uploads.scope")
        assert desk.http.get(path, headers=headers).status_code == (200 if scopes == "bases:read" else 403)
    assert len(desk.stage.events("uploads.created")) == 1


def test_nobody_gets_by_without_a_token(desk):
    path = desk.begun()
    for method, target in (
        ("OPTIONS", "/v1/uploads"),
        ("POST", "/v1/uploads"),
        *((method, path) for method in ("GET", "HEAD", "PATCH", "DELETE")),
    ):
        headers = {**BYTES, "Upload-Offset": "0", "Authorization": ""}
        assert desk.http.request(method, target, headers=headers).status_code == 401, method


def raw_patch(desk: Desk, path: str, body: bytes, *, length: int) -> socket.socket:
    """Begin a PATCH and send only a part of its body."""
    place = urlsplit(desk.address)
    connection = socket.create_connection((place.hostname, place.port))
    lines = [f"PATCH {path} HTTP/1.1", f"Host: {place.netloc}", f"Content-Length: {length}"]
    for name, value in {**BYTES, **authorization(desk.stage), "Upload-Offset": "0"}.items():
        lines.append(f"{name}: {value}")
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    return connection


def until(reached) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_client_that_goes_away_leaves_what_arrived(any_desk):
    payload = os.urandom(3 << 20)
    path = any_desk.begun(payload)
    connection = raw_patch(any_desk, path, payload[: 5 << 19], length=len(payload))
    until(lambda: len(on_disk(any_desk.stage, upload_id(path)) or b"") >= 2 << 20)
    # Too few for the offset to move while the request runs.
    assert any_desk.offset(path) == 0
    connection.close()
    until(lambda: any_desk.offset(path) > 0)
    at = any_desk.offset(path)
    assert 2 << 20 <= at <= 5 << 19
    until(lambda: any_desk.patch(path, payload[at:], at).status_code == 204)
    assert on_disk(any_desk.stage, upload_id(path)) == payload


def test_a_client_that_falls_silent_does_not_keep_the_upload_for_ever(desk, monkeypatch):
    monkeypatch.setattr(router_module, "IDLE_SECONDS", 0.2)
    path = desk.begun()
    with raw_patch(desk, path, PAYLOAD[:700], length=len(PAYLOAD)) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")
    assert desk.offset(path) == 700
    assert desk.patch(path, PAYLOAD[700:], 700).status_code == 204


def test_of_two_patches_at_once_one_is_told_to_wait(any_desk):
    payload = os.urandom(3 << 20)
    path = any_desk.begun(payload)
    with raw_patch(any_desk, path, payload[: 5 << 19], length=len(payload)) as connection:
        # Only then is it surely the first of the two.
        until(lambda: on_disk(any_desk.stage, upload_id(path)))
        refused(any_desk.patch(path, b"y" * 50, 0), 423, "uploads.busy")
        refused(any_desk.http.delete(path, headers=TUS), 423, "uploads.busy")
        connection.sendall(payload[5 << 19 :])
        assert connection.recv(4096).startswith(b"HTTP/1.1 204 ")
    assert on_disk(any_desk.stage, upload_id(path)) == payload


def test_many_patches_at_once_from_the_same_offset_one_wins(any_desk):
    path = any_desk.begun()
    codes = []

    def one(number: int) -> None:
        body = bytes([number]) * len(PAYLOAD)
        headers = {**BYTES, **authorization(any_desk.stage), "Upload-Offset": "0"}
        codes.append(
            (
                httpx.patch(any_desk.address + path, content=body, headers=headers, timeout=60).status_code,
                number,
            )
        )

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [number for code, number in codes if code == 204]
    assert len(winners) == 1
    assert {code for code, _ in codes} <= {204, 409, 423}
    assert on_disk(any_desk.stage, upload_id(path)) == bytes(winners) * len(PAYLOAD)


def test_tuspy_resumes_a_real_package_and_it_becomes_a_version(any_desk, tmp_path):
    stage = any_desk.stage
    package = real(stage, clients(3_000, 0), tmp_path / "desk")
    client = TusClient(any_desk.address + "/v1/uploads", headers=authorization(stage))
    # Text, as tuspy encodes it; a manifest file is JSON in ASCII.
    metadata = {"manifest": package.manifest.decode(), "publish": "auto"}
    chunk = len(package.payload) // 7
    # Streams, since tuspy never closes a file that it opens by its path.
    source = io.BytesIO(package.payload)
    first = client.uploader(file_stream=source, chunk_size=chunk, metadata=metadata, upload_checksum=True)
    first.upload(stop_at=3 * chunk)
    first.offset = 2 * chunk
    with pytest.raises(TusUploadFailed):
        first.upload_chunk()
    again = client.uploader(file_stream=source, chunk_size=chunk, url=first.url, upload_checksum=True)
    assert again.offset == 3 * chunk
    again.upload()
    assert on_disk(stage, upload_id(first.url)) == package.payload
    done = stage.room.uploads.ingest_next()
    assert done is not None
    assert done.status is UploadStatus.PUBLISHED
    body = any_desk.http.get(urlsplit(first.url).path).json()
    assert (body["state"], body["version_id"]) == ("published", done.version_id)
    assert body["progress"] == {"rows_done": 3000, "rows_total": 3000}


@pytest.fixture
def killable(stage):
    """A server in a process of its own; call it to start one, with what is left of the one before killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> tuple[subprocess.Popen[bytes], str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = stage.room.settings
        command = [sys.executable, str(Path(__file__).with_name("serve.py"))]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        process = subprocess.Popen(
            [*command, str(settings.home), settings.database_url, str(port)], env=environment
        )
        started.append(process)
        address = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            assert process.poll() is None
            try:
                return httpx.options(address + "/v1/uploads").status_code > 0
            except httpx.TransportError:
                return False

        until(answers)
        return process, address

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "stage", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)
def test_a_server_killed_in_the_middle_resumes_byte_for_byte(stage, killable):
    payload = os.urandom(40 << 20)
    process, address = killable()
    with httpx.Client(base_url=address, headers=authorization(stage), timeout=60) as http:
        path = Desk(stage, address, http).begun(payload)

    def slowly(begin: int):
        for at in range(begin, len(payload), 1 << 20):
            if at >= begin + (20 << 20):
                process.send_signal(signal.SIGKILL)
                process.wait()
            yield payload[at : at + (1 << 20)]

    with pytest.raises(httpx.TransportError):
        httpx.patch(
            address + path,
            content=slowly(0),
            headers={**BYTES, **authorization(stage), "Upload-Offset": "0"},
            timeout=60,
        )
    _, address = killable()
    with httpx.Client(base_url=address, headers=authorization(stage), timeout=60) as http:
        desk = Desk(stage, address, http)
        at = desk.offset(path)
        # At most what one step of the offset holds, and what was still on the wire, is sent again.
        assert appending_module.ADVANCE_BYTES <= at <= 20 << 20
        assert desk.patch(path, payload[at:], at).status_code == 204
    assert on_disk(stage, upload_id(path)) == payload
