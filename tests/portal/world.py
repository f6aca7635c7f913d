"""A peopled room behind a real server, and a browser that notes whatever goes wrong in it."""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page
from starlette.types import ASGIApp

from advertiser_api.app import create_app
from advertiser_api.composing import Front, uploads_for_pages
from cleanroom.access.scopes import ROLES
from cleanroom.accounts.types import OrganisationKind
from cleanroom.alarms.reading import alarms
from cleanroom.alarms.types import Whose
from cleanroom.analyses.noticing import answered_lately
from cleanroom.bootstrap import open_room
from cleanroom.client.receipts import RELEASED
from cleanroom.clock import rfc3339
from cleanroom.consent.registered import LegalBasis, PurposeKind
from cleanroom.counts import Counts
from cleanroom.datasets.types import DatasetKind
from cleanroom.evidence.types import Wanted
from cleanroom.foureyes.deeds import SHRED
from cleanroom.foureyes.evidence import ask_alone
from cleanroom.ids import new_id
from cleanroom.incidents.types import IncidentKind, Scope, Severity
from cleanroom.marketplace.types import Listing
from cleanroom.rights.types import RetentionRule
from crypto.package import Manifest, recipient_key_id, sign_manifest
from policies.codec import load_preset
from policies.model import PolicyDocument
from policies.rules import Approval
from provider_portal.app import create_portal
from tests.market import Market, content, words
from tests.people_rooms import Person, person
from tests.rights_rooms import asked, hasten
from tests.rooms import DATASET_HEADER, PURPOSE, Stage
from tests.rooms import person as row
from tests.trials import report

KINDS = {
    "provider": OrganisationKind.PROVIDER,
    "rival": OrganisationKind.PROVIDER,
    "operator": OrganisationKind.OPERATOR,
    "advertiser": OrganisationKind.ADVERTISER,
}
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


def private_draft(market: Market, by: str) -> Listing:
    """A listing for the advertiser alone that was changed before anybody let it go live, and waits for review."""
    plan = {"key": "special", "currency": "RUB", "question_minor": 7_550, "offered_to": [market.advertiser]}
    listings, owner = market.services.listings, market.provider
    market.stage.clock.move(milliseconds=1)
    with market.room.db.transaction() as tx:
        made = listings.create(
            tx, organisation_id=owner, dataset_id=market.stage.dataset_id, content=content(), by=by
        )
        changed = content(title=words("Только для своих", "For friends only"), plans=[plan])
        listings.revise(tx, made.id, organisation_id=owner, content=changed, by=by)
        return listings.move(tx, made.id, "review", organisation_id=owner, by=by)


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
    people = {}
    for name, organisation_id in owners.items():
        for role in ROLES[KINDS[name]]:
            email = f"{role.replace('_', '-')}@{name}.example.org"
            people[f"{name}.{role}"] = person(stage.room, organisation_id, role, email)
    market = Market(stage)
    entitlement = market.bought()
    market.question(entitlement)
    market.mint()
    made = {
        "dataset": stage.dataset_id,
        "listing": market.listing.id,
        "private": private_draft(market, people["provider.data_manager"].user.id).id,
        "entitlement": entitlement.id,
        "waiting": market.ask(note="Мы хотим сравнить сезоны. <b>Спасибо!</b>").request.id,
        "to_reject": market.ask(days=30).request.id,
        "to_approve": market.ask(size="S", kinds=frozenset({"overlap"})).request.id,
    }
    with stage.room.db.reading() as tx:
        made["version"] = stage.room.datasets.current(tx, stage.dataset_id).id
    # A question that waits for approval, asked under another rule than the one in force; and a trial.
    preset = load_preset("standard", purposes=[PURPOSE, "research"])
    stage.rule(PolicyDocument("asks first", (*preset.rules, Approval("template"))))
    segments = {
        "old": {
            "all": [
                {"attribute": "age", "op": ">=", "value": 45},
                {"not": {"attribute": "sex", "op": "==", "value": "F"}},
            ]
        }
    }
    market.question(entitlement, segments=segments)
    stage.rule(preset)
    with stage.room.db.transaction() as tx:
        owner = stage.provider.organisation_id
        made["question"] = stage.room.approvals.queue(tx, stage.dataset_id, organisation_id=owner)[0].id
        made["trial"] = stage.room.trials.ask(tx, stage.dataset_id, preset, organisation_id=owner).id
        _, runner = stage.room.trials.take(tx)
        stage.room.trials.finish(tx, made["trial"], runner, report(preset))
    people["provider.owner"].sign_in()
    stage.room.notices.outbox.catch_up(stage.room.db)
    # A load with faults that nobody has published yet.
    bad = [row(number) for number in range(200)] + [
        "p900,not an address,,F,30,,yes,yes",
        "p901,a@b.org,,F,old,,yes,yes",
    ]
    made["faulty"] = stage.load(stage.dataset_id, DATASET_HEADER, bad, publish=False)
    # One that waits for a decision: a shop's phone, in many people's rows.
    shared = [f"q{number},q{number}@example.org,+74951234567,F,30,,yes,yes" for number in range(20)]
    made["shared"] = stage.load(stage.dataset_id, DATASET_HEADER, shared, publish=False)
    made["upload"] = _begun(stage)
    made |= keep(stage, people, owners)
    made |= watched(stage) | entered(stage, people)
    made |= righted(stage, people)
    return people, made


def watched(stage: Stage) -> dict[str, str]:
    """What compliance looks at: an answer that left, two alarms, and a log that was checked."""
    room, owner = stage.room, stage.provider.organisation_id
    buyer = stage.advertiser.organisation_id
    with room.db.transaction() as tx:
        about = {"dataset_id": stage.dataset_id, "advertiser_id": stage.advertiser.organisation_id}
        tx.audit(
            "analyses.difference_alarm",
            subject_id=new_id("an", stage.clock.now()),
            organisation_id=owner,
            body=about,
        )
        for _ in range(room.settings.alarms.sign_ins):
            tx.audit("signin.failed", subject_id="unknown", body={"step": "password"})
            tx.audit("signin.failed", subject_id="us_1", organisation_id=buyer, body={"step": "password"})
    room.alarms.detecting.catch_up(room.db)
    room.checks.run_due(room.db, room.settings.database_url)
    with room.db.reading() as tx:
        found, _ = alarms(tx, Whose("", whole_room=True))
        by_owner = {one.organisation_id: one.id for one in found}
        (answer,) = answered_lately(tx, owner, limit=1)
        event = room.audit.find(tx, subject_id=answer.analysis_id, kinds=("analyses.asked",))
        theirs = room.audit.find(tx, subject_id=answer.analysis_id, kinds=(RELEASED,))
    return {
        "alarm": by_owner[owner],
        "alarm_room": by_owner[None],
        "alarm.advertiser": by_owner[buyer],
        "answer": answer.analysis_id,
        "event": str(event),
        "event.advertiser": str(theirs),
    }


def keep(stage: Stage, people: dict[str, Person], owners: dict[str, str]) -> dict[str, str]:
    """Clients and webhooks of every organisation, a spare workspace, and what waits for a second person."""
    room, made = stage.room, {}
    for name, organisation_id in owners.items():
        with room.db.transaction() as tx:
            client = room.access.clients.register(
                tx,
                organisation_id=organisation_id,
                name="Nightly upload",
                role=next(iter(ROLES[KINDS[name]])),
            )
            made[f"client.{name}"] = client.client.id
            if name == "operator":
                continue
            hook = room.webhooks.endpoints.create(
                tx,
                organisation_id=organisation_id,
                url="https://hooks.example.org/in?token=hush",
                types=["request.created", "upload.loaded"],
                description="CRM",
            )
            made[f"hook.{name}"] = hook.endpoint.id
            ping = room.webhooks.deliveries.ping(tx, hook.endpoint.id, organisation_id=organisation_id)
            made[f"delivery.{name}"] = ping.id
            spare = room.workspaces.create_workspace(tx, organisation_id=organisation_id, name="Pilot 2025")
            made[f"spare.{name}"] = spare.id
    made["ask"] = ask(stage, people["provider.data_manager"], made["spare.provider"])
    made["ask.advertiser"] = ask(stage, people["advertiser.analyst"], made["spare.advertiser"])
    return made


def ask(stage: Stage, who: Person, workspace_id: str) -> str:
    """Ask for a shredding."""
    with stage.room.db.transaction() as tx:
        return stage.room.four_eyes.ask(
            tx, SHRED, workspace_id, reason="The pilot is over: its data is of no use.", by=who.user.id
        ).id


def entered(stage: Stage, people: dict[str, Person]) -> dict[str, str]:
    """An incident and a bundle of evidence for each of those who have officers."""
    room, made = stage.room, {}
    for party in ("provider", "operator", "advertiser"):
        who = people[f"{party}.officer"].user
        scope = Scope(dataset_id=stage.dataset_id) if party != "advertiser" else None
        with room.db.transaction() as tx:
            made[f"incident.{party}"] = room.incidents.open(
                tx,
                who.organisation_id,
                kind=IncidentKind.ACCESS,
                severity=Severity.HIGH,
                title="A laptop was lost",
                text="A laptop with a list of segments was left in a train. <b>It was locked.</b>",
                discovered_at=stage.clock.now() - timedelta(hours=20),
                by=who.id,
                scope=scope,
            )
            wanted = Wanted(organisation_id=who.organisation_id)
            made[f"bundle.{party}"] = ask_alone(
                tx, room.accounts, room.bundles, wanted, organisation_id=who.organisation_id, by=who.id
            ).id
    while room.bundles.make_next():
        pass
    stage.withdraw(3, 4)
    owner, register = stage.provider.organisation_id, room.consent_register
    with room.db.transaction() as tx:
        register.add_purpose(
            tx,
            organisation_id=owner,
            code=PURPOSE,
            title_en="Advertising",
            title_ru="Реклама",
            legal_basis=LegalBasis.CONSENT,
            kind=PurposeKind.ADVERTISING,
        )
        for text in ("We send offers.\nYou can stop it.", "We send offers by e-mail.\nYou can stop it."):
            register.publish_notice(
                tx,
                organisation_id=owner,
                code="marketing",
                text_en=text,
                text_ru="Мы присылаем предложения. <i>Их можно остановить.</i>",
                purposes=[PURPOSE],
                separate_document=True,
            )
    return made | {"incident": made["incident.provider"]}


def righted(stage: Stage, people: dict[str, Person]) -> dict[str, str]:
    """People who were erased, of a dataset and of a base, one who is to be, acts, and a period of retention."""
    room, made, owners = stage.room, {}, {}
    kinds = {
        "provider": (stage.dataset_id, DatasetKind.DATASET),
        "advertiser": (stage.base_id, DatasetKind.BASE),
    }

    def ask(party: str, reference: str) -> str:
        table_id, kind = kinds[party]
        who = people[f"{party}.officer"].user
        # Nobody's address: what others look at stays as it is, and the room does not tell who was found.
        wanted = asked(("email/room", "nobody@example.org"), reference=reference)
        return room.rights.erasures.ask(
            table_id, wanted, organisation_id=who.organisation_id, kind=kind, by=who.id
        ).erasure.id

    for party, (table_id, _) in kinds.items():
        made[f"erasure.{party}"] = ask(party, "2026-117")
        with room.db.transaction() as tx:
            hasten(tx, table_id, stage.clock)
        while room.rights.compactions.work():
            pass
        owners[people[f"{party}.officer"].user.organisation_id] = party
    room.rights.acts.catch_up()
    with room.db.reading() as tx:
        for act in room.rights.acts.listed(tx, None, limit=10):
            made[f"act.{owners[act.organisation_id]}"] = act.id
    rule = RetentionRule(version_days=365, retain_until=date(2027, 6, 30))
    with room.db.transaction() as tx:
        owner = people["provider.officer"].user
        room.rights.periods.put(
            tx, stage.dataset_id, rule, organisation_id=owner.organisation_id, by=owner.id
        )
    waits = ask("provider", "")
    return made | {"erasure": made["erasure.provider"], "act": made["act.provider"], "erasure_waits": waits}


def _begun(stage: Stage) -> str:
    """Announce an upload of which nothing has arrived."""
    now = stage.clock.now()
    with stage.room.db.transaction() as tx:
        dataset = stage.room.datasets.dataset(tx, stage.dataset_id)
        manifest = Manifest(
            package_id=new_id("pk", now),
            workspace_id=dataset.workspace_id,
            dataset_id=dataset.id,
            mode="full",
            expected_version_id=None,
            schema_sha256=dataset.schema_sha256,
            recipient_key_id=recipient_key_id(stage.provider.recipient),
            rows=10,
            ciphertext_sha256="0" * 64,
            ciphertext_bytes=1_000,
            signer_key_id=stage.provider.signer.key_id,
            created_at=rfc3339(now),
            expires_at=rfc3339(now + timedelta(days=7)),
        )
        return stage.room.uploads.create(
            tx,
            organisation_id=stage.provider.organisation_id,
            manifest=sign_manifest(manifest, stage.provider.signer.seed),
            length=1_000,
        ).id


def _as_it_is(app: ASGIApp) -> ASGIApp:
    return app


def _nothing_more(url: str) -> dict[str, Any]:
    return {}


@contextmanager
def served(
    stage: Stage,
    *,
    around: Callable[[ASGIApp], ASGIApp] = _as_it_is,
    knowing: Callable[[str], dict[str, Any]] = _nothing_more,
    **settings: Any,
) -> Iterator[Cabinet]:
    """Serve a stage at a free port of this machine, in a thread.

    `around` sees all that comes in; `knowing` gives settings that take the room's address to make.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        stage.room.close()
        settings |= knowing(url)
        changed = replace(stage.room.settings, public_url=url, rate_per_minute=100_000, **settings)
        stage.room = open_room(changed, clock=stage.clock)
        log = io.StringIO()
        api = create_app(stage.room, log=log)
        uploads = uploads_for_pages(stage.room)
        telemetry = api.state.telemetry
        pages = create_portal(stage.room, telemetry=telemetry, counts=Counts(), uploads=uploads)
        front = Front(api, pages)
        server = uvicorn.Server(
            uvicorn.Config(
                around(front), log_config=None, access_log=False, lifespan="off", server_header=False
            )
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
