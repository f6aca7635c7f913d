"""A peopled room behind a real server, and a browser that notes whatever goes wrong in it."""

import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from advertiser_api.app import create_app
from advertiser_api.composing import Front
from cleanroom.access.scopes import ROLES
from cleanroom.accounts.types import OrganisationKind
from cleanroom.bootstrap import open_room
from provider_portal.app import create_portal
from tests.market import Market
from tests.people_rooms import Person, person
from tests.rooms import DATASET_HEADER, Stage
from tests.rooms import person as row

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
_WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation', event => window.violations.push(
  event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sourceFile + ':' + event.lineNumber));
"""


@dataclass
class Cabinet:
    """A served room: who can sign in, and what there is to look at."""

    stage: Stage
    url: str
    log: io.StringIO
    people: dict[str, Person] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)

    @property
    def room(self) -> Any:
        return self.stage.room

    @property
    def anna(self) -> Person:
        return self.people["provider.owner"]


def furnish(stage: Stage) -> tuple[dict[str, Person], dict[str, str]]:
    """Fill the usual room: people of every role, a listing, requests, an answer, a version with faults."""
    rival = stage.party("rival_provider", "provider")
    operator = stage.party("operator", "operator")
    owners = {
        "provider": stage.provider.organisation_id,
        "rival": rival.organisation_id,
        "operator": operator.organisation_id,
        "advertiser": stage.advertiser.organisation_id,
    }
    kinds = {"rival": "provider"}
    people = {}
    for name, organisation_id in owners.items():
        for role in ROLES[OrganisationKind(kinds.get(name, name))]:
            email = f"{role.replace('_', '-')}@{name}.example.org"
            people[f"{name}.{role}"] = person(stage.room, organisation_id, role, email)
    market = Market(stage)
    entitlement = market.bought()
    market.question(entitlement)
    market.mint()
    made = {
        "dataset": stage.dataset_id,
        "entitlement": entitlement.id,
        "waiting": market.ask(note="Мы хотим сравнить сезоны. <b>Спасибо!</b>").request.id,
        "to_reject": market.ask(days=30).request.id,
        "to_approve": market.ask(size="S", kinds=frozenset({"overlap"})).request.id,
    }
    with stage.room.db.reading() as tx:
        made["version"] = stage.room.datasets.current(tx, stage.dataset_id).id
    # A load with faults that nobody has published yet.
    bad = [row(number) for number in range(200)] + [
        "p900,not an address,,F,30,,yes,yes",
        "p901,a@b.org,,F,old,,yes,yes",
    ]
    made["faulty"] = stage.load(stage.dataset_id, DATASET_HEADER, bad, publish=False)
    return people, made


@contextmanager
def served(stage: Stage, **settings: Any) -> Iterator[Cabinet]:
    """Serve a stage at a free port of this machine, in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        stage.room.close()
        changed = replace(stage.room.settings, public_url=url, rate_per_minute=100_000, **settings)
        stage.room = open_room(changed, clock=stage.clock)
        log = io.StringIO()
        api = create_app(stage.room, log=log)
        front = Front(api, create_portal(stage.room, telemetry=api.state.telemetry))
        server = uvicorn.Server(
            uvicorn.Config(front, log_level="error", access_log=False, lifespan="off", server_header=False)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        try:
            yield Cabinet(stage, url, log)
        finally:
            server.should_exit = True
            thread.join(20)
            stage.room.close()


@dataclass
class Visitor:
    """A browser of its own, with what it complained about."""

    cabinet: Cabinet
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)

    def _note(self, message: ConsoleMessage) -> None:
        # A page that answers 401, 403 or 404 is noted as an error by the browser itself.
        if message.type in ("error", "warning") and "status of 4" not in message.text:
            self.complaints.append(message.text)

    def go(self, path: str) -> int:
        answer = self.page.goto(self.cabinet.url + path, wait_until="load")
        assert answer is not None
        return answer.status

    def enter(self, who: Person) -> None:
        """Sign somebody in without the pages."""
        self.context.add_cookies([{"name": "cleanroom", "value": who.enter().token, "url": self.cabinet.url}])

    def prefer(self, language: str, theme: str = "light") -> None:
        for name, value in (("cleanroom-language", language), ("cleanroom-theme", theme)):
            self.context.add_cookies([{"name": name, "value": value, "url": self.cabinet.url}])

    def sideways(self) -> int:
        """How many pixels the page is wider than the screen."""
        return int(
            self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        )

    def faults(self) -> list[str]:
        """What axe finds, what the policy blocked, and what stands in the console."""
        found = Axe().run(self.page)
        axe = [
            f"{fault['id']}: {node['html'][:160]} {node['any'][0]['message'] if node['any'] else ''}"
            for fault in found.response["violations"]
            for node in fault["nodes"]
        ]
        return axe + list(self.page.evaluate("window.violations")) + self.complaints


@contextmanager
def visiting(browser: Browser, cabinet: Cabinet, **options: Any) -> Iterator[Visitor]:
    """Open a browser's context for a test."""
    context = browser.new_context(
        **{"viewport": DESK, "locale": "en-GB", "reduced_motion": "reduce"} | options
    )
    context.add_init_script(_WATCH)
    context.set_default_timeout(15_000)
    visitor = Visitor(cabinet, context, context.new_page())
    visitor.page.on("console", visitor._note)
    visitor.page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    try:
        yield visitor
    finally:
        context.close()
