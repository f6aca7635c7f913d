"""What the log's events tell whom: a reader for each kind."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import select

from cleanroom.access.scopes import (
    BASES_READ,
    BUDGETS_READ,
    CLIENTS_WRITE,
    CONSENTS_READ,
    DATASETS_READ,
    EVENTS_READ,
    INCIDENTS_READ,
    KEYS_WRITE,
    LISTINGS_WRITE,
    OPERATE,
    POLICIES_WRITE,
    REQUESTS_DECIDE,
    REQUESTS_WRITE,
    STATEMENTS_READ,
    WEBHOOKS_WRITE,
)
from cleanroom.accounts.models import OrganisationRow
from cleanroom.accounts.types import OrganisationKind
from cleanroom.clock import Clock
from cleanroom.consent.epochs import EPOCH_BEGUN
from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Transaction
from cleanroom.grants.gauge import gauge_of
from cleanroom.grants.models import GrantRow
from cleanroom.grants.service import Grants
from cleanroom.notices.types import Made, NoticeType
from cleanroom.rules.service import Rules
from cleanroom.workspaces.models import WorkspaceRow
from policies.combine import combine, limits_of

NEARLY_PERCENT = 80
_FULL_PERCENT = 100
_WAYS = frozenset({("draft", "live"), ("live", "live"), ("review", "live")})
Event = Mapping[str, Any]
_Reader = Callable[[Transaction, Event, datetime], Iterable[Made]]


@dataclass(frozen=True)
class Events:
    """Reads events; a question's answer makes no notice, as its time would tell what ticks hide."""

    clock: Clock
    grants: Grants
    rules: Rules

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of the log's events, those that make notices."""
        return tuple(self._readers)

    def read(self, tx: Transaction, record: bytes) -> tuple[Made, ...]:
        """Return the notices that an event makes; none when its subject is gone.

        Args:
            tx: any transaction.
            record: canonical JSON, of one of `kinds`.
        """
        event = json.loads(record)
        return tuple(self._readers[event["kind"]](tx, event, datetime.fromisoformat(event["at"])))

    @property
    def _readers(self) -> Mapping[str, _Reader]:
        return MappingProxyType(
            {
                **_READERS,
                "grants.grant_issued": self._granted,
                "grants.public_release_charged": self._charged,
            }
        )

    def _granted(self, tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
        row = tx.session.get(GrantRow, event["subject"])
        return () if row is None else self._budget(tx, row.population_id, at)

    def _charged(self, tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
        return self._budget(tx, event["subject"], at)

    def _budget(self, tx: Transaction, population_id: str, at: datetime) -> Iterable[Made]:
        """Tell owners of data about a population that its budget is nearly given out, or out; once a month each."""
        rows = (
            select(DatasetRow.id, WorkspaceRow.organisation_id)
            .join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id)
            .where(WorkspaceRow.population_id == population_id, DatasetRow.deleted_at.is_(None))
            .order_by(DatasetRow.id)
        )
        fullest: dict[str, int] = {}
        for dataset_id, organisation_id in tx.session.execute(rows).all():
            policy = self.rules.current(tx, dataset_id)
            if policy is None:
                continue
            limits = limits_of(combine([policy.document]))
            gauge = gauge_of(tx, self.grants, population_id, limits, self.clock.now())
            fullest[organisation_id] = max(fullest.get(organisation_id, 0), gauge.percent)
        for organisation_id, percent in fullest.items():
            reached = next((one for one in (_FULL_PERCENT, NEARLY_PERCENT) if percent >= one), None)
            if reached is not None:
                yield Made(
                    NoticeType.BUDGET_NEARLY_SPENT,
                    organisation_id,
                    at,
                    BUDGETS_READ,
                    None,
                    {"population_id": population_id, "percent": str(percent)},
                    once=f"budget:{organisation_id}:{population_id}:{reached}:{at:%Y-%m}",
                )


def _requested(_tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
    body = event["body"]
    data = {"request_id": event["subject"], "advertiser_id": body["advertiser_id"]}
    yield Made(NoticeType.REQUEST_WAITS, body["provider_id"], at, REQUESTS_DECIDE, None, data)


def _decided(_tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
    body = event["body"]
    data = {"request_id": event["subject"], "decision": event["kind"].rpartition("_")[2]}
    for organisation_id in {body["advertiser_id"], body["agency_id"]} - {None}:
        yield Made(NoticeType.REQUEST_DECIDED, organisation_id, at, REQUESTS_WRITE, None, data)


def _question(_tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
    body = event["body"]
    data = {name: body[name] for name in ("dataset_id", "advertiser_id")} | {"approval_id": event["subject"]}
    yield Made(NoticeType.QUESTION_WAITS, event["organisation"], at, REQUESTS_DECIDE, None, data)


def _loaded(tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
    waits = bool(event["body"]["over_shared"])
    type_ = NoticeType.VERSION_DECISION if waits else NoticeType.VERSION_READY
    return _version(tx, event, at, type_, version_id=event["subject"])


def _refused(tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
    # An upload and the version that was made of it fail together: one package, one notice.
    once = f"refused:{event['organisation']}:{event['body']['package_id']}"
    return _version(tx, event, at, NoticeType.VERSION_REFUSED, once=once)


def _ends(tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
    return _version(tx, event, at, NoticeType.VERSION_ENDS, version_id=event["subject"])


def _version(
    tx: Transaction, event: Event, at: datetime, type_: NoticeType, *, once: str | None = None, **ids: str
) -> Iterable[Made]:
    organisation = tx.session.get(OrganisationRow, event["organisation"])
    if organisation is not None:
        owner = organisation.kind == OrganisationKind.PROVIDER
        data = {"dataset_id": event["body"]["dataset_id"], **ids}
        scope = DATASETS_READ if owner else BASES_READ
        yield Made(type_, organisation.id, at, scope, None, data, once=once)


def _listing(tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
    body, data = event["body"], {"listing_id": event["subject"]}
    if body["to"] == "review":
        yield Made(NoticeType.LISTING_WAITS, event["organisation"], at, LISTINGS_WRITE, None, data)
        for operator_id in _operators(tx):
            yield Made(NoticeType.LISTING_WAITS, operator_id, at, OPERATE, None, data)
    elif body["to"] == "draft" or (body["from"], body["to"]) in _WAYS:
        data["decision"] = "live" if body["to"] == "live" else "sent_back"
        yield Made(NoticeType.LISTING_REVIEWED, event["organisation"], at, LISTINGS_WRITE, None, data)


def _operators(tx: Transaction) -> Iterable[str]:
    operators = select(OrganisationRow.id).where(
        OrganisationRow.kind == OrganisationKind.OPERATOR.value, OrganisationRow.offboarded_at.is_(None)
    )
    return tx.session.scalars(operators).all()


def _statement(_tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
    data = {"month": event["body"]["month"]}
    yield Made(NoticeType.STATEMENT_READY, event["organisation"], at, STATEMENTS_READ, None, data)


def _epoch(_tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
    data = {"dataset_id": event["body"]["dataset_id"]}
    # People may withdraw one by one all day: once a day says that there is something to look at.
    once = f"epoch:{data['dataset_id']}:{at:%Y-%m-%d}"
    yield Made(NoticeType.CONSENT_EPOCH, event["organisation"], at, CONSENTS_READ, None, data, once=once)


def _alarm(tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
    body = event["body"]
    about = {"dataset_id": body["dataset_id"], "advertiser_id": body["party_id"]}
    data = {name: id_ for name, id_ in about.items() if id_ is not None}
    data |= {"alarm_id": event["subject"], "alarm": body["alarm"]}
    # The room's own is for those who run it.
    whose = _operators(tx) if event["organisation"] is None else (event["organisation"],)
    for organisation_id in whose:
        yield Made(NoticeType.ALARM, organisation_id, at, EVENTS_READ, None, data)


def _deed(_tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
    # Events of rooms before this one do not say who confirms.
    confirms = event["body"].get("confirms")
    if confirms is not None:
        data = {"ask_id": event["subject"], "deed": event["body"]["deed"]}
        yield Made(NoticeType.DEED_WAITS, event["organisation"], at, confirms, None, data)


def _trial(_tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
    data = {"trial_id": event["subject"], "dataset_id": event["body"]["dataset_id"]}
    yield Made(NoticeType.TRIAL_ENDED, event["organisation"], at, POLICIES_WRITE, None, data)


def _rotation(_tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
    data = {"rotation_id": event["subject"]}
    yield Made(NoticeType.ROTATION_FAILED, event["organisation"], at, KEYS_WRITE, None, data)


def _entered(_tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
    # Events of rooms before this one do not say it.
    if event["body"].get("new_device"):
        user_id = event["body"]["user_id"]
        data = {"session_id": event["subject"]}
        yield Made(NoticeType.NEW_DEVICE, event["organisation"], at, None, user_id, data)


def _webhook(_tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
    data = {"webhook_id": event["subject"]}
    yield Made(NoticeType.WEBHOOK_DISABLED, event["organisation"], at, WEBHOOKS_WRITE, None, data)


def _given_up(_tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
    if event["organisation"] is not None:
        data = {"kind": event["body"]["kind"], "user_id": event["body"]["user_id"]}
        # A relay that is away for long fails many letters: once a day is enough.
        once = f"mail:{event['organisation']}:{at:%Y-%m-%d}"
        yield Made(NoticeType.MAIL_GIVEN_UP, event["organisation"], at, CLIENTS_WRITE, None, data, once=once)


def _incident(_tx: Transaction, event: Event, at: datetime) -> Iterable[Made]:
    shared = event["kind"] == "incidents.shared_with"
    type_ = NoticeType.INCIDENT_SHARED if shared else NoticeType.INCIDENT_DEADLINE
    data = {"incident_id": event["subject"]}
    if not shared:
        data |= {"duty": event["body"]["duty"], "when": event["kind"].rpartition("_")[2]}
    yield Made(type_, event["organisation"], at, INCIDENTS_READ, None, data)


_READERS: Mapping[str, _Reader] = MappingProxyType(
    {
        "marketplace.request_requested": _requested,
        "marketplace.request_approved": _decided,
        "marketplace.request_rejected": _decided,
        "rules.approval_requested": _question,
        "ingestion.loaded": _loaded,
        "ingestion.failed": _refused,
        "uploads.failed": _refused,
        "rights.retention_ends": _ends,
        "marketplace.listing_moved": _listing,
        "marketplace.statement_ready": _statement,
        "alarms.raised": _alarm,
        EPOCH_BEGUN: _epoch,
        "foureyes.asked": _deed,
        "rules.trial_done": _trial,
        "rules.trial_failed": _trial,
        "rekeying.failed": _rotation,
        "signin.entered": _entered,
        "webhooks.disabled": _webhook,
        "mail.given_up": _given_up,
        "incidents.deadline_near": _incident,
        "incidents.deadline_passed": _incident,
        "incidents.shared_with": _incident,
    }
)
