"""Notifications: what has happened, as far as the person's role opens it, and how the person wants to be told."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from string import Formatter
from types import MappingProxyType

from fastapi import APIRouter, Response

from cleanroom.access.scopes import (
    ANALYSES_READ,
    BUDGETS_READ,
    CATALOGUE_READ,
    CLIENTS_WRITE,
    DATASETS_READ,
    ENTITLEMENTS_READ,
    EVENTS_READ,
    INCIDENTS_READ,
    KEYS_WRITE,
    OPERATE,
    STATEMENTS_READ,
    WEBHOOKS_WRITE,
)
from cleanroom.accounts.types import OrganisationKind
from cleanroom.notices.types import Notice, NoticeType, types_for
from cleanroom.signin.types import Member
from provider_portal.i18n import N_
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import EARNERS, OPERATORS, PROVIDERS, TWO_PEOPLE, go, page
from provider_portal.visits import SignedIn, Visit, local_path, may_open
from provider_portal.wording import WORDS

router = APIRouter(prefix="/notices")
_NOTICES = {"read": N_("Everything is marked read."), "kept": N_("Your choice is kept.")}


@dataclass(frozen=True)
class Lead:
    """Where a notice leads.

    Attributes:
        path: of the page, with names of the notice's ids in it.
        scope: that the page takes, or several of which it takes one; None for none.
        kinds: of organisations that it is for; None for all.
    """

    path: str
    scope: str | frozenset[str] | None = None
    kinds: frozenset[OrganisationKind] | None = None

    @property
    def fields(self) -> set[str]:
        """Which ids the path needs."""
        return {name for _, name, _, _ in Formatter().parse(self.path) if name}

    def open_to(self, member: Member) -> bool:
        """Tell whether a person may go there."""
        return may_open(member, self.scope, self.kinds)


_VERSION = (
    Lead("/datasets/{dataset_id}/versions/{version_id}", DATASETS_READ, PROVIDERS),
    Lead("/datasets/{dataset_id}", DATASETS_READ, PROVIDERS),
)
_LISTING = Lead("/listings/{listing_id}", CATALOGUE_READ, PROVIDERS)
LEADS: Mapping[NoticeType, tuple[Lead, ...]] = MappingProxyType(
    {
        NoticeType.REQUEST_WAITS: (Lead("/requests/{request_id}", ENTITLEMENTS_READ, PROVIDERS),),
        NoticeType.QUESTION_WAITS: (Lead("/requests/questions/{approval_id}", ANALYSES_READ, PROVIDERS),),
        NoticeType.VERSION_READY: _VERSION,
        NoticeType.VERSION_DECISION: _VERSION,
        NoticeType.VERSION_REFUSED: _VERSION,
        NoticeType.VERSION_ENDS: _VERSION,
        NoticeType.BUDGET_NEARLY_SPENT: (Lead("/budgets", BUDGETS_READ, PROVIDERS),),
        NoticeType.STATEMENT_READY: (Lead("/earnings/{month}", STATEMENTS_READ, EARNERS),),
        # A review that is over has no page of its own any more: the operator is led to the queue.
        NoticeType.LISTING_WAITS: (Lead("/reviews", OPERATE, OPERATORS), _LISTING),
        NoticeType.LISTING_REVIEWED: (_LISTING,),
        NoticeType.CONSENT_EPOCH: (Lead("/datasets/{dataset_id}", DATASETS_READ, PROVIDERS),),
        NoticeType.ALARM: (
            Lead("/compliance/alarms/{alarm_id}", EVENTS_READ),
            # Of a room before this one: where the dataset can be stopped and its rule made stricter.
            Lead("/datasets/{dataset_id}/policy", DATASETS_READ, PROVIDERS),
        ),
        NoticeType.INCIDENT_DEADLINE: (Lead("/compliance/incidents/{incident_id}", INCIDENTS_READ),),
        NoticeType.INCIDENT_SHARED: (Lead("/compliance/incidents/{incident_id}", INCIDENTS_READ),),
        NoticeType.DEED_WAITS: (Lead("/four-eyes/{ask_id}", TWO_PEOPLE),),
        NoticeType.TRIAL_ENDED: (
            Lead("/datasets/{dataset_id}/policy/trials/{trial_id}", DATASETS_READ, PROVIDERS),
        ),
        NoticeType.ROTATION_FAILED: (Lead("/keys", KEYS_WRITE),),
        NoticeType.NEW_DEVICE: (Lead("/account"),),
        NoticeType.WEBHOOK_DISABLED: (Lead("/webhooks/{webhook_id}", WEBHOOKS_WRITE),),
        NoticeType.MAIL_GIVEN_UP: (Lead("/team", CLIENTS_WRITE),),
    }
)
"""The first that is open to the person counts; a buyer's own requests have no page here yet."""


@router.get("")
def list_notices(visit: SignedIn) -> Response:
    """Show what has happened."""
    wanted = asked(visit, (), default="")
    open_now = types_for(visit.who.scopes)
    only = visit.chosen("type", open_now)
    unread_only = visit.asked("show") == "unread"
    with visit.room.db.reading() as tx:
        found, total = visit.room.notices.reading.page(
            tx, visit.who, only=only, unread=unread_only, offset=wanted.offset, limit=PER_PAGE
        )
    return page(
        visit,
        "cabinet/notices.html",
        found=[(one, _facts(visit, one), _path(visit, one) is not None) for one in found],
        total=total,
        wanted=wanted,
        only=only,
        unread_only=unread_only,
        types=open_now,
        newest=max((one.number for one in found), default=0),
        notice=_NOTICES.get(visit.asked("done")),
    )


@router.post("/read-all")
def mark_all(visit: SignedIn) -> Response:
    """Mark everything read that the person has seen."""
    through = visit.typed("through", longest=18)
    with visit.room.db.transaction() as tx:
        visit.room.notices.reading.mark_all(
            tx, visit.who, through=int(through) if through.isascii() and through.isdecimal() else 0
        )
    return go(visit, "/notices?done=read")


@router.get("/settings")
def show_settings(visit: SignedIn) -> Response:
    """Show how the person is told of what."""
    with visit.room.db.reading() as tx:
        choices = visit.room.notices.reading.choices(tx, visit.who)
    return page(visit, "cabinet/notice_settings.html", choices=choices, by_mail=visit.room.mail.set_up)


@router.post("/settings")
def keep_settings(visit: SignedIn) -> Response:
    """Keep how the person wants to be told."""
    open_now = types_for(visit.who.scopes)
    reading = visit.room.notices.reading
    with visit.room.db.transaction() as tx:
        before = {one.type for one in reading.choices(tx, visit.who) if one.mail}
        mailed = {one for one in open_now if visit.typed(f"mail-{one}") == "yes"}
        reading.choose(
            tx,
            visit.who,
            page=[one for one in open_now if visit.typed(f"page-{one}") == "yes"],
            # Without mail the form does not ask, and what was chosen before stays.
            mail=mailed if visit.room.mail.set_up else before,
        )
    return go(visit, "/notices?done=kept")


@router.post("/{notice_id}/read")
def mark(visit: SignedIn, notice_id: str) -> Response:
    """Mark one read, and lead to what it is about if the person wants to go there."""
    with visit.room.db.transaction() as tx:
        seen = visit.room.notices.reading.mark(tx, visit.who, notice_id)
    path = _path(visit, seen) if visit.typed("go") == "yes" else None
    return go(visit, path or local_path(visit.typed("next"), default="/notices"))


def _facts(visit: Visit, notice: Notice) -> str:
    """Write what is known of a notice besides its type."""
    data, facts = notice.data, list(notice.about)
    if "month" in data:
        facts.append(visit.writing.month(date.fromisoformat(f"{data['month']}-01")))
    if "percent" in data:
        facts.append(visit.writing.percent(int(data["percent"]), 100))
    if "alarm" in data:
        facts.insert(0, visit.writing.gettext(WORDS["alarm"][data["alarm"]]))
    if "decision" in data:
        facts.append(visit.writing.gettext(WORDS["decision"][data["decision"]]))
    return ", ".join(facts)


def _path(visit: Visit, notice: Notice) -> str | None:
    """Return the page that a notice is about; None when the room has none for this person."""
    for lead in LEADS.get(notice.type, ()):
        if lead.open_to(visit.who) and lead.fields <= notice.data.keys():
            return lead.path.format_map(notice.data)
    return None
