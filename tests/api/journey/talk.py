"""What the two sides of the journey share: how they tell the test what they saw, and how they wait."""

import contextlib
import io
import json
import os
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from cleanroom.cli.main import main

TITLE = "Shoppers"
PURPOSE = "advertising"
PATIENCE_SECONDS = 90.0


def say(step: str, **facts: Any) -> None:
    """Tell the test what was reached."""
    sys.stdout.write(json.dumps({"step": step, **facts}) + "\n")
    sys.stdout.flush()


def hear(word: str) -> None:
    """Wait until the test says a word."""
    heard = sys.stdin.readline().strip()
    if heard != word:
        raise AssertionError(f"heard {heard!r} instead of {word!r}")


def until(look: Callable[[], Any]) -> Any:
    """Look again and again until there is something; returns it."""
    late = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < late:
        if seen := look():
            return seen
        time.sleep(0.1)
    raise AssertionError(f"nothing came within {PATIENCE_SECONDS} seconds")


def cleanroom(*arguments: str) -> Any:
    """Run a command of `cleanroom` with --json; returns what it printed."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        try:
            main([*arguments, "--json"])
        except SystemExit as end:
            if end.code:
                raise AssertionError((arguments[:2], end.code, shown.getvalue())) from None
    return json.loads(shown.getvalue())


class Plain:
    """The interface without the SDK: a token by client secret, and JSON."""

    def __init__(self, client_id: str, secret: str) -> None:
        self._http = httpx.Client(base_url=os.environ["ROOM_URL"], timeout=60)
        answer = self._http.post(
            "/oauth/token", data={"grant_type": "client_credentials"}, auth=(client_id, secret)
        )
        assert answer.status_code == 200, answer.text
        self.authorization = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send a request as it is."""
        headers = {**self.authorization, **more.pop("headers", {})}
        return self._http.request(method, path, headers=headers, **more)

    def get(self, path: str) -> Any:
        """Read something."""
        answer = self.send("GET", path)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    def post(self, path: str, body: object = None) -> Any:
        """Do something, once."""
        answer = self.send("POST", path, json=body, headers={"Idempotency-Key": str(uuid.uuid4())})
        assert answer.status_code in (200, 201, 202), (path, answer.text)
        return answer.json()

    def file(self, path: str, to: Path) -> Path:
        """Save something."""
        answer = self.send("GET", path)
        assert answer.status_code == 200, (path, answer.text)
        to.write_bytes(answer.content)
        return to
