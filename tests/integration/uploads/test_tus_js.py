"""tus-js-client, which browsers and Node use, sends packages in pieces, stops, resumes, checks and ends them."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from advertiser_api.app import create_app
from cleanroom.room import Room
from cleanroom.uploads.types import UploadStatus
from tests.packages import Package, look, on_disk, real, signed
from tests.rooms import Stage, clients

SCRIPTS = Path(__file__).with_name("tus_js")
CHUNK = 64 * 1024


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script beside the pinned library, installed into a folder that goes."""
    if not (shutil.which("node") and shutil.which("npm")):
        if os.environ.get("CI") == "true":
            pytest.fail("node and npm are missing: install Node 18 or newer, as CI has to try tus-js-client.")
        pytest.skip("node and npm are missing: install Node 18 or newer")
    folder = tmp_path_factory.mktemp("tus-js")
    for name in ("package.json", "package-lock.json", "interop.mjs"):
        shutil.copy(SCRIPTS / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "interop.mjs"


@contextmanager
def served(room: Room) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener, Path(os.devnull).open("w") as log:
        server = uvicorn.Server(uvicorn.Config(create_app(room, log=log), log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def written(package: Package, folder: Path) -> dict[str, object]:
    folder.mkdir()
    (folder / "manifest").write_bytes(package.manifest)
    (folder / "payload").write_bytes(package.payload)
    return {
        "manifest": str(folder / "manifest"),
        "payload": str(folder / "payload"),
        "length": len(package.payload),
    }


def token_of(stage: Stage) -> str:
    with stage.room.db.transaction() as tx:
        client = stage.room.access.clients.register(
            tx, organisation_id=stage.advertiser.organisation_id, name="browser", role="owner"
        ).client
    return stage.room.access.issue_token(client).value


@pytest.mark.slow
def test_tus_js_client_sends_stops_resumes_checks_and_ends(
    program: Path, stage: Stage, tmp_path: Path
) -> None:
    payloads = {name: os.urandom(5 * CHUNK + 17) for name in ("checked", "terminated", "streamed")}
    packages = {name: signed(stage, payload) for name, payload in payloads.items()}
    packages["resumed"] = real(stage, clients(6000, 0), tmp_path / "desk")
    with served(stage.room) as address:
        given = {
            "endpoint": f"{address}/v1/uploads",
            "token": token_of(stage),
            "chunk": CHUNK,
            "storage": str(tmp_path / "urls.json"),
            "packages": {name: written(package, tmp_path / name) for name, package in packages.items()},
        }
        done = subprocess.run(
            ["node", program],
            cwd=program.parent,
            input=json.dumps(given),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    saw = json.loads(done.stdout)

    def arrived(url: str) -> bytes | None:
        assert url.startswith(f"{address}/v1/uploads/up_")
        return on_disk(stage, url.rpartition("/")[2])

    resumed = saw["resumed"]
    assert (resumed["stopped"]["end"], resumed["stopped"]["accepted"]) == ("stopped", 2 * CHUNK)
    assert len(packages["resumed"].payload) > 3 * CHUNK
    assert resumed["done"]["end"] == "done"
    assert resumed["previous"] == resumed["stopped"]["url"] == resumed["done"]["url"]
    assert arrived(resumed["done"]["url"]) == packages["resumed"].payload

    checked = saw["checked"]
    assert (checked["refused"]["end"], checked["refused"]["chunks"]) == (460, 1)
    assert (checked["done"]["end"], checked["done"]["chunks"]) == ("done", 5)
    assert arrived(checked["done"]["url"]) == payloads["checked"]

    terminated = saw["terminated"]
    assert (terminated["stopped"]["end"], terminated["again"]["end"]) == ("stopped", 410)
    upload_id = terminated["stopped"]["url"].rpartition("/")[2]
    assert look(stage, upload_id).status is UploadStatus.TERMINATED
    assert on_disk(stage, upload_id) is None

    assert saw["streamed"]["done"]["end"] == "done"
    assert arrived(saw["streamed"]["done"]["url"]) == payloads["streamed"]

    # What was stopped and resumed is what its owner prepared: it loads.
    loaded = stage.room.uploads.ingest(resumed["done"]["url"].rpartition("/")[2])
    assert (loaded.status, loaded.rows_done) == (UploadStatus.LOADED, 6000)
