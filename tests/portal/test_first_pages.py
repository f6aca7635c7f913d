"""First pages of a room that is full: how much is sent, and how many statements of SQL it takes, whatever is stored."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event, func, select

from benchmarks.crowd import crowd
from cleanroom.datasets.models import DatasetRow
from cleanroom.marketplace.models import EntitlementRequestRow
from provider_portal.ui import PLACES
from tests.portal.world import Cabinet

pytestmark = pytest.mark.slow
MOST_BYTES, MOST_STATEMENTS = 200_000, 50
BESIDE = (
    "/account",
    "/webhooks",
    "/four-eyes/new",
    "/requests?sort=buyer&page=900",
    "/datasets?q=00&sort=persons",
    "/compliance/events?kind=rules.",
    "/compliance/policies?sort=dataset&page=40",
    "/compliance/releases?q=adv&page=900",
    "/compliance/approvals",
    "/compliance/two-people?state=waiting",
)


@contextmanager
def counted(cabinet: Cabinet) -> Iterator[list[str]]:
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    event.listen(cabinet.room.db.engine, "before_cursor_execute", note)
    yield said
    event.remove(cabinet.room.db.engine, "before_cursor_execute", note)


def first_page(cabinet: Cabinet, path: str) -> tuple[int, list[str]]:
    """Load a page as a browser does that has been nowhere; what it sends, and what the page says to SQL."""
    with httpx.Client(
        timeout=60, base_url=cabinet.url, cookies={"cleanroom": cabinet.anna.enter().token}
    ) as browser:
        with counted(cabinet) as said:
            answer = browser.get(path)
        assert answer.status_code == 200, path
        sent = answer.num_bytes_downloaded
        for kind, address in re.findall(r'(src|href)="(/static/[^"]+)"', answer.text):
            assert kind
            file = browser.get(address)
            assert file.status_code == 200
            assert "immutable" in file.headers["cache-control"]
            sent += file.num_bytes_downloaded
    return sent, said


def plans(said: list[str]) -> Counter[str]:
    return Counter(re.sub(r"\s+", " ", one)[:200] for one in said)


def test_first_pages_of_a_full_room_are_as_small_and_ask_as_little_as_those_of_an_empty_one(
    cabinet: Cabinet,
) -> None:
    paths = [place.path for place in PLACES if place.open_to(cabinet.anna.member())] + list(BESIDE)
    before = {path: first_page(cabinet, path) for path in paths if "?" not in path}
    made = crowd(cabinet.room)
    assert (made["datasets"], made["entitlement_requests"], made["analyses"]) == (999, 100_000, 100_000)
    assert min(made.values()) >= 999 or made["key_rotations"] == 0
    with cabinet.room.db.reading() as tx:
        assert tx.session.scalar(select(func.count()).select_from(DatasetRow)) > 1_000
        assert tx.session.scalar(select(func.count()).select_from(EntitlementRequestRow)) > 100_000
    for path in paths:
        sent, said = first_page(cabinet, path)
        assert sent < MOST_BYTES, (path, sent)
        assert len(said) <= MOST_STATEMENTS, (path, len(said), plans(said))
        if path in before:
            # The overview looks a few things up for each of its five newest datasets, and the record of processing for
            # each of its few tables; no list does for its twenty rows.
            few = {"/": 25, "/compliance/processing": 20}.get(path, 3)
            grown = len(said) - len(before[path][1])
            assert grown <= few, (path, grown, plans(said))


def test_what_is_sent_is_packed_once() -> None:
    from provider_portal.static_files import StaticFiles

    files = StaticFiles()
    assert Path(files.url("cabinet.css")).name == "cabinet.css"
    # What the wizard and the browser's uploads need is loaded on their pages alone.
    common = [one for name, one in files._files.items() if "/" not in name]
    assert 90_000 < sum(len(one.packed) for one in common) < 120_000
