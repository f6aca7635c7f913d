"""Pages from templates: one environment per language, and what every page has at hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cleanroom.access.scopes import (
    ANALYSES_READ,
    BUDGETS_READ,
    CATALOGUE_READ,
    CLIENTS_WRITE,
    CONSENTS_READ,
    DATASETS_READ,
    ENTITLEMENTS_READ,
    EVENTS_READ,
    INCIDENTS_READ,
    KEYS_WRITE,
    OPERATE,
    POLICIES_WRITE,
    REQUESTS_DECIDE,
    STATEMENTS_READ,
    USAGE_READ,
)
from cleanroom.accounts.types import OrganisationKind
from cleanroom.signin.types import Member
from provider_portal.error_words import ERRORS
from provider_portal.event_words import EVENTS, SLICES
from provider_portal.i18n import LANGUAGES, N_, translations
from provider_portal.plots import error_plot
from provider_portal.policy_shown import value_shown
from provider_portal.security import FORM, FORM_FIELD, form_token
from provider_portal.static_files import StaticFiles
from provider_portal.visits import Visit, local_path, may_open
from provider_portal.wording import TONES, WORDS

PROVIDERS = frozenset({OrganisationKind.PROVIDER})
OPERATORS = frozenset({OrganisationKind.OPERATOR})
EARNERS = PROVIDERS | OPERATORS
"""Whose statements tell what is earned; a buyer's tell what it pays, on other pages."""
TWO_PEOPLE = frozenset({KEYS_WRITE, POLICIES_WRITE})
"""Whoever has one of these asks for something that takes two people, or decides it."""


@dataclass(frozen=True)
class Place:
    """An entry of the navigation.

    Attributes:
        path: where it leads.
        title: its words.
        icon: its picture.
        scope: that it takes, or several of which it takes one; None for none.
        kinds: of organisations that it is for; None for all.
        group: the heading it stands under; empty for the first group, which has none.
        beside: other addresses whose pages belong to it.
    """

    path: str
    title: str
    icon: str
    scope: str | frozenset[str] | None = None
    kinds: frozenset[OrganisationKind] | None = None
    group: str = ""
    beside: tuple[str, ...] = ()

    def holds(self, path: str) -> bool:
        """Tell whether a page belongs to it."""
        if path == self.path:
            return True
        return any(one != "/" and path.startswith(f"{one}/") for one in (self.path, *self.beside)) or (
            path in self.beside
        )

    def open_to(self, member: Member) -> bool:
        """Tell whether a person may go there."""
        return may_open(member, self.scope, self.kinds)


_DATA, _SALES, _ORGANISATION = N_("Data"), N_("Sales"), N_("Organisation")
_COMPLIANCE = N_("Compliance")
PLACES = (
    Place("/", N_("Overview"), "layout-dashboard"),
    Place("/notices", N_("Notifications"), "bell"),
    Place("/datasets", N_("Datasets"), "database", DATASETS_READ, PROVIDERS, _DATA),
    Place("/budgets", N_("Privacy budget"), "gauge", BUDGETS_READ, PROVIDERS, _DATA),
    Place("/listings", N_("Listings"), "tag", CATALOGUE_READ, PROVIDERS, _SALES),
    Place("/requests", N_("Requests"), "inbox", ENTITLEMENTS_READ, PROVIDERS, _SALES),
    Place("/usage", N_("Usage"), "history", USAGE_READ, PROVIDERS, _SALES),
    Place("/reviews", N_("Reviews"), "clipboard-check", OPERATE, OPERATORS, _SALES),
    Place("/earnings", N_("Earnings"), "receipt", STATEMENTS_READ, EARNERS, _SALES),
    Place(
        "/compliance/overview", N_("Questions and answers"), "clipboard-check", EVENTS_READ, None, _COMPLIANCE
    ),
    Place("/compliance/events", N_("Timeline"), "history", EVENTS_READ, None, _COMPLIANCE),
    Place("/compliance/alarms", N_("Alarms"), "alert-triangle", EVENTS_READ, None, _COMPLIANCE),
    Place("/compliance/releases", N_("What left the room"), "broadcast", EVENTS_READ, PROVIDERS, _COMPLIANCE),
    Place(
        "/compliance/policies",
        N_("Rules and approvals"),
        "lock",
        EVENTS_READ,
        PROVIDERS,
        _COMPLIANCE,
        ("/compliance/approvals",),
    ),
    Place("/compliance/budgets", N_("Budget by party"), "gauge", EVENTS_READ, PROVIDERS, _COMPLIANCE),
    Place("/compliance/two-people", N_("Deeds of two people"), "shield-lock", EVENTS_READ, None, _COMPLIANCE),
    Place(
        "/compliance/lookup",
        N_("Consents"),
        "search",
        CONSENTS_READ,
        PROVIDERS,
        _COMPLIANCE,
        ("/compliance/epochs", "/compliance/purposes", "/compliance/notices"),
    ),
    Place("/compliance/processing", N_("Record of processing"), "database", EVENTS_READ, None, _COMPLIANCE),
    Place(
        "/compliance/erasures",
        N_("Erasures and acts"),
        "eraser",
        EVENTS_READ,
        None,
        _COMPLIANCE,
        ("/compliance/acts", "/compliance/retention"),
    ),
    Place("/compliance/incidents", N_("Incidents"), "file-off", INCIDENTS_READ, None, _COMPLIANCE),
    Place("/compliance/evidence", N_("Evidence"), "download", EVENTS_READ, None, _COMPLIANCE),
    Place("/team", N_("Team"), "users", CLIENTS_WRITE, None, _ORGANISATION),
    Place("/clients", N_("API clients"), "plug", CLIENTS_WRITE, None, _ORGANISATION),
    Place("/keys", N_("Keys"), "key", KEYS_WRITE, None, _ORGANISATION),
    Place("/four-eyes", N_("Two people"), "shield-lock", TWO_PEOPLE, None, _ORGANISATION),
)
"""The navigation, group after group; the person's own account stands beside the way out."""


@lru_cache(maxsize=1)
def static_files() -> StaticFiles:
    """Return the portal's own files."""
    return StaticFiles()


@lru_cache(maxsize=len(LANGUAGES))
def environment(language: str) -> Environment:
    """Return the templates in a language."""
    made = Environment(
        loader=PackageLoader("provider_portal"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    made.filters["rule_title"] = lambda tag: translations(language).ugettext(WORDS["rule"].get(tag, tag))
    made.globals["plots"] = error_plot
    made.globals["static"] = static_files().url
    made.globals["languages"] = LANGUAGES
    made.globals["events"], made.globals["slices"] = EVENTS, SLICES
    made.globals["instant"], made.globals["calendar_day"] = datetime.fromisoformat, date.fromisoformat
    made.globals["may_decide"] = REQUESTS_DECIDE
    made.globals["may_rule"] = POLICIES_WRITE
    made.globals["may_read_questions"] = ANALYSES_READ
    return made


def page(visit: Visit, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Write a page.

    Args:
        visit: for whom.
        template: its name.
        status: of HTTP.
        **values: what the template needs besides the usual.
    """
    writing, request = visit.writing, visit.request
    inside = visit.member if visit.member is not None and not visit.member.must_enrol else None
    places = [place for place in PLACES if inside is not None and place.open_to(inside)]

    def words(table: str, code: object) -> str:
        known = WORDS[table].get(str(code))
        return writing.gettext(known) if known is not None else str(code)

    def form_field() -> Markup:
        token = form_token(visit.form_secret)
        return Markup('<input type="hidden" name="{}" value="{}">').format(FORM_FIELD, token)

    def here(**changed: object) -> str:
        kept = {**dict(request.query_params), **{name: str(value) for name, value in changed.items()}}
        query = urlencode({name: value for name, value in kept.items() if value})
        return request.url.path + (f"?{query}" if query else "")

    # What a form was sent to may answer no visit; the page that it came from does.
    came_from = urlsplit(request.headers.get("referer", ""))
    stay = here() if request.method == "GET" else local_path(came_from.path)
    usual: Mapping[str, Any] = {
        "stay": stay,
        "visit": visit,
        "member": visit.member,
        "write": writing,
        "words": words,
        "error_words": lambda code: writing.gettext(ERRORS.get(code, code)),
        "value_shown": lambda tag, key, value, names=None: value_shown(tag, key, value, writing, names),
        "tone": lambda state: TONES.get(str(state), "plain"),
        "form_field": form_field,
        "here": here,
        "path": request.url.path,
        "groups": [(title, tuple(found)) for title, found in groupby(places, key=attrgetter("group"))],
        "unread": _unread(visit, inside) if status < 500 else 0,
        "sso": visit.room.signin.sso.choices(),
        "now": visit.room.clock.now(),
        "error": None,
        "notice": None,
    }
    html = environment(writing.language).get_template(template).render({**usual, **values})
    response = HTMLResponse(html, status_code=status)
    keep_form_secret(visit, response)
    return response


def _unread(visit: Visit, member: Member | None) -> int:
    if member is None:
        return 0
    with visit.room.db.reading() as tx:
        return visit.room.notices.reading.unread(tx, member)


def go(visit: Visit, path: str) -> Response:
    """Send a browser on after a form, so that loading the page again sends nothing twice."""
    response = RedirectResponse(path, status_code=303)
    keep_form_secret(visit, response)
    return response


def keep_form_secret(visit: Visit, response: Response) -> None:
    """Give the browser what ties forms to it, if it has none."""
    if visit.fresh_secret:
        visit.cookies.set(response, FORM, visit.form_secret)
