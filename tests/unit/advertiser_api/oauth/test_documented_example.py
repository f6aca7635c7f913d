"""The example of the reference is run as it stands there, but for the address, the id and the file's place."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from cleanroom.access.client_keys import generate_private_key, public_set
from tests.access_rooms import URL, AccessRoom, web

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "oauth.md"


def test_the_documented_example_gets_a_token(
    access_room: AccessRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    access_room.clock.instant = datetime.now(UTC)
    private = generate_private_key()
    path = tmp_path / "client.jwk"
    path.write_text(json.dumps(private))
    with access_room.room.db.transaction() as tx:
        client = access_room.room.access.clients.register(
            tx,
            organisation_id=access_room.party().id,
            name="n",
            role="owner",
            key_set=public_set(private),
        ).client
    monkeypatch.setattr(httpx, "post", web(access_room).post)
    code = (
        found.group(1)
        .replace("cl_...", client.id)
        .replace('open("client.jwk")', f"Path({str(path)!r}).open()")
    )
    code = code.replace("json.load(Path", "load(Path")
    assert URL in code

    def load(file: Any) -> Any:
        with file:
            return json.load(file)

    names: dict[str, Any] = {"Path": Path, "load": load}
    exec(compile(code, str(PAGE), "exec"), names)
    assert access_room.room.access.authenticate(names["token"]).client_id == client.id
