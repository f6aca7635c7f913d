"""A room that answers over HTTP, as its operator starts it, and a caller that asks it at a steady rate."""

import json
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from benchmarks.harness import in_own_process
from benchmarks.questions import GROUPED, twelve
from benchmarks.rate import at_a_rate
from benchmarks.synthetic import BASE, PURPOSE, Deal, load
from cleanroom.accounts.types import OrganisationKind
from cleanroom.demo.parties import sign_up
from cleanroom.marketplace.content import ListingContent, content_from_data
from cleanroom.marketplace.types import Ask, Entitlement
from cleanroom.room import Room

CONNECTIONS = 16
PATIENCE_SECONDS = 60
_STARTING_SECONDS = 6.0
_JSON = {"Content-Type": "application/json"}


class UnexpectedAnswerError(Exception):
    """The room did not answer as the benchmark needs it to."""


class Caller:
    """Sends requests over connections that stay open, one for each thread."""

    def __init__(self, address: str, token: str = "") -> None:
        self._host = urlsplit(address).netloc
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._own = threading.local()
        self._opened: list[HTTPConnection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for connection in self._opened:
            connection.close()

    def __call__(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send a request; returns the answer's status and body."""
        if not hasattr(self._own, "connection"):
            self._own.connection = HTTPConnection(self._host, timeout=PATIENCE_SECONDS)
            self._opened.append(self._own.connection)
        connection: HTTPConnection = self._own.connection
        connection.request(method, path, body, {**self._headers, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def ask(self, body: bytes) -> tuple[int, bytes]:
        """Ask a question, once under a key of its own, as clients do."""
        return self("POST", "/v1/analyses", body, {**_JSON, "Idempotency-Key": str(uuid.uuid4())})


@contextmanager
def served(home: Path, *options: str, **settings: str) -> Iterator[tuple[str, int]]:
    """Run `cleanroom serve --home`, its worker beside it; gives its address and its process.

    Args:
        home: of a room.
        options: of the command, such as `--no-with-worker`.
        settings: variables of the environment, such as `CLEANROOM_RATE_PER_MINUTE`.
    """
    run = "from cleanroom.cli.main import main; main()"
    command = [sys.executable, "-c", run, "serve", "--home", str(home), "--port", "0", *options]
    with (home / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, **settings}
        )
        try:
            assert server.stdout is not None
            said = (re.search(r"Answering at (\S+)", line) for line in server.stdout)
            found = next(filter(None, said), None)
            if found is None:
                raise UnexpectedAnswerError(f"The server ended with {server.wait()}; see {log.name}.")
            yield found[1], server.pid
        finally:
            server.terminate()
            server.communicate()


@dataclass(frozen=True)
class Buyer:
    """An advertiser that has bought, and what its programs need to know.

    Attributes:
        basic: the credential of its client, as HTTP's Basic scheme writes it.
        asked: the question of `twelve(0)`, as a request writes it.
    """

    basic: str
    asked: Mapping[str, Any]


def make_buyer(room: Room, deal: Deal, base: range, *, directory: Path) -> Buyer:
    """Let a second advertiser come to a deal's dataset by way of the marketplace.

    Args:
        room: where the deal was made.
        deal: whose provider lists its dataset.
        base: who is in the buyer's base.
        directory: has room for its package.
    """
    party = sign_up(room, OrganisationKind.ADVERTISER, "buyer")
    table = load(room, party, BASE, base, directory=directory)
    market, owner = room.marketplace, deal.provider.organisation_id
    wanted = Ask("free", frozenset({PURPOSE}), frozenset({"profile"}), "L", 30)
    with room.db.transaction() as tx:
        listing = market.listings.create(
            tx, organisation_id=owner, dataset_id=deal.dataset.id, content=_offer(), by="writer"
        )
        for state in ("review", "live"):
            market.listings.move(tx, listing.id, state, organisation_id=owner, by=state)
        asked = market.requests.ask(
            tx, listing.id, wanted, advertiser_id=party.organisation_id, agency_id=None, by="buyer"
        )
        bought = market.requests.approve(tx, asked.request.id, organisation_id=owner, by="approver")
        client = room.access.clients.register(
            tx, organisation_id=party.organisation_id, name="load", role="analyst"
        )
    if not isinstance(bought, Entitlement):
        raise UnexpectedAnswerError(f"The deal came to nothing: {bought}")
    return Buyer(
        b64encode(f"{client.client.id}:{client.secret}".encode()).decode(),
        {
            "entitlement_id": bought.id,
            "base_id": table.id,
            "purpose": PURPOSE,
            "kind": "profile",
            "segments": {name: dict(one.condition) for name, one in twelve(0).items()},
            "breakdowns": [list(GROUPED)],
        },
    )


def _offer() -> ListingContent:
    words = {"ru": "Покупатели", "en": "Shoppers"}
    return content_from_data(
        {
            "title": words,
            "text": words,
            "attributes": list(GROUPED),
            "plans": [{"key": "free", "currency": "RUB", "flat_minor": 0}],
            "terms": {"purposes": [PURPOSE], "kinds": ["profile"], "sizes": ["L"], "days": 30},
        }
    )


def stored_over_http(home: Path, buyer: Buyer, *, per_second: float, seconds: float) -> dict[str, Any]:
    """Serve a room, let its worker answer a question, and ask it again and again from another process.

    Args:
        home: the room's, made and filled.
        buyer: of its listing.
        per_second: how many stored answers are asked for.
        seconds: for how long.
    """
    # No caller is held back: twice what it sends in a minute.
    limit = str(max(1_000, int(per_second * 120)))
    with served(home, CLEANROOM_RATE_PER_MINUTE=limit) as (address, _):
        token, body = _token(address, buyer), json.dumps(dict(buyer.asked))
        with Caller(address, token) as call:
            _answer_first(call, body.encode())
        found: dict[str, Any] = in_own_process(
            keep_asking, address=address, token=token, body=body, per_second=per_second, seconds=seconds
        )
    return found


def keep_asking(address: str, token: str, body: str, per_second: float, seconds: float) -> dict[str, float]:
    """Ask for a stored answer at a steady rate; every answer is looked at."""
    asked = body.encode()

    def ask() -> None:
        status, answer = call.ask(asked)
        if status != 201 or b'"outcome":"stored"' not in answer:
            raise UnexpectedAnswerError(f"{status}: {answer[:300]!r}")

    with Caller(address, token) as call:
        # Not measured: what is loaded at the first use, and the server's other processes while they start.
        at_a_rate(ask, per_second=per_second, seconds=min(_STARTING_SECONDS, seconds), workers=CONNECTIONS)
        return at_a_rate(ask, per_second=per_second, seconds=seconds, workers=CONNECTIONS)


def _token(address: str, buyer: Buyer) -> str:
    form = {"Authorization": f"Basic {buyer.basic}", "Content-Type": "application/x-www-form-urlencoded"}
    with Caller(address) as call:
        status, answer = call("POST", "/oauth/token", b"grant_type=client_credentials", form)
    if status != 200:
        raise UnexpectedAnswerError(f"No token: {status}")
    token: str = json.loads(answer)["access_token"]
    return token


def _answer_first(call: Caller, body: bytes) -> None:
    status, answer = call.ask(body)
    late = time.monotonic() + PATIENCE_SECONDS
    while status == 202 and time.monotonic() < late:
        # A worker counts; nothing is timed here.
        time.sleep(0.1)
        seen, shown = call("GET", f"/v1/analyses/{json.loads(answer)['id']}")
        if seen == 200 and json.loads(shown)["state"] == "released":
            return
    if status != 201:
        raise UnexpectedAnswerError(f"The question was not answered: {status} {answer[:300]!r}")
