"""The cabinet's first pages in a room that is full, beside the same pages in a small one; `python -m benchmarks.pages`.

Over HTTP from `cleanroom serve` in a process of its own, as a browser loads a page when it has kept nothing; the style
sheets and scripts, which browsers keep for a year, are counted in bytes and not in time. The small room has one of
everything: what is compared is whether a page takes longer because more is stored.
"""

import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from benchmarks.crowd import crowd
from benchmarks.harness import OURS, RUNS, Side, arguments, compared, in_turns, new_room, show
from benchmarks.over_http import make_buyer, served
from benchmarks.questions import ask, question, twelve
from benchmarks.synthetic import PURPOSE, base_numbers, make_deal
from cleanroom.datasets.models import DatasetRow
from cleanroom.marketplace.models import EntitlementRow, ListingRow
from cleanroom.marketplace.types import Ask
from cleanroom.room import Room
from provider_portal.ui import PLACES

PEOPLE, WANTED = 4_000, 2_000
SMALL = "small room"
LISTS = ("/requests?sort=buyer", "/requests?state=pending", "/datasets?sort=persons", "/clients?sort=name")
PASSWORD = "seven quiet herons wade"
LEFT_OUT = {
    OURS: ("what a browser does with a page, and files that it keeps",),
    SMALL: ("everything but one of each",),
}


def furnish(room: Room, directory: Path) -> str:
    """Make one of everything that pages show; returns the token of an owner who is signed in."""
    deal = make_deal(room, provider_rows=PEOPLE, base_rows=WANTED, directory=directory)
    make_buyer(room, deal, base_numbers(PEOPLE, WANTED), directory=directory)
    owner, market = deal.provider.organisation_id, room.marketplace
    with room.db.transaction() as tx:
        bought = tx.session.scalars(select(EntitlementRow)).one()
        listing_id = tx.session.scalars(select(ListingRow.id)).one()
        base_id = tx.session.scalars(
            select(DatasetRow.id).where(DatasetRow.kind == "base").order_by(DatasetRow.id.desc())
        ).first()
        again = Ask("free", frozenset({PURPOSE}), frozenset({"profile"}), "L", 30)
        market.requests.ask(
            tx, listing_id, again, advertiser_id=bought.advertiser_id, agency_id=None, by="buyer"
        )
        asking = {
            "dataset_id": deal.dataset.id,
            "base_id": str(base_id),
            "grant_id": bought.grant_id,
            "asker_id": bought.advertiser_id,
        }
        invited = room.access.users.invite(tx, organisation_id=owner, email="owner@example.org", role="owner")
        room.access.clients.register(tx, organisation_id=owner, name="nightly", role="data_manager")
    ask(room, asking, question(asking, twelve(0)))
    with room.db.transaction() as tx:
        market.usage.mint_all(tx)
    return room.signin.accept(invited.invitation, PASSWORD, agent="benchmark").token


def measure(datasets: int, *, requests: int, runs: int = RUNS) -> dict[str, Any]:
    """Load every first page and some lists, in the full room and in the small one.

    Args:
        datasets: in the full room.
        requests: in the full room; as many questions and charges.
        runs: how many times each page is loaded.
    """
    with tempfile.TemporaryDirectory() as place:
        homes, tokens = {}, {}
        for name in (OURS, SMALL):
            directory = Path(place) / name.replace(" ", "-")
            directory.mkdir()
            with new_room(directory) as room:
                tokens[name] = furnish(room, directory)
                if name == OURS:
                    written = crowd(room, datasets=datasets, requests=requests)
                    paths = [*_places(room, tokens[name]), *LISTS]
                homes[name] = room.settings.home
        pace = {"CLEANROOM_RATE_PER_MINUTE": "1000000"}
        with (
            served(homes[OURS], "--no-with-worker", **pace) as (full, _),
            served(homes[SMALL], "--no-with-worker", **pace) as (small, _),
            httpx.Client(base_url=full, cookies={"cleanroom": tokens[OURS]}, timeout=120) as one,
            httpx.Client(base_url=small, cookies={"cleanroom": tokens[SMALL]}, timeout=120) as other,
        ):
            took: dict[str, list[float]] = {path: [] for path in paths}

            def load(browser: httpx.Client, *, kept: bool) -> None:
                for path in paths:
                    began = time.perf_counter()
                    browser.get(path).raise_for_status()
                    if kept:
                        took[path].append(time.perf_counter() - began)

            sides = [
                Side(OURS, lambda _run: load(one, kept=True), LEFT_OUT[OURS]),
                Side(SMALL, lambda _run: load(other, kept=False), LEFT_OUT[SMALL]),
            ]
            seconds = in_turns(sides, runs=runs)
            sent = {path: _sent(one, path) for path in paths}
    # The first load of each warmed up.
    medians = {path: statistics.median(times[1:]) for path, times in took.items()}
    return compared(
        "pages",
        sides,
        seconds,
        written=written,
        page_s=medians,
        slowest_s=max(medians.values()),
        sent_bytes=sent,
        most_bytes=max(sent.values()),
    )


def _places(room: Room, token: str) -> list[str]:
    member = room.signin.member(token)
    assert member is not None
    return [place.path for place in PLACES if place.open_to(member)]


def _sent(browser: httpx.Client, path: str) -> int:
    page = browser.get(path)
    files = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    return page.num_bytes_downloaded + sum(browser.get(file).num_bytes_downloaded for file in files)


def main() -> None:
    """Measure and print."""
    parser = arguments(
        "pages",
        __doc__,
        datasets=(1_000, "datasets of the provider"),
        requests=(100_000, "requests, questions and charges"),
        runs=(RUNS, "how many times each page is loaded"),
    )
    options = parser.parse_args()
    found = measure(options.datasets, requests=options.requests, runs=options.runs)
    show(found, as_json=options.json)
    if not options.json:
        for path, seconds in found["page_s"].items():
            print(f"{path:32} {seconds * 1e3:7.1f} ms  {found['sent_bytes'][path]:>9,} bytes at first")


if __name__ == "__main__":
    main()
