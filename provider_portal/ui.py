"""Pages from templates: one environment per language, and what every page has at hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cleanroom.access.scopes import CLIENTS_WRITE, DATASETS_READ, ENTITLEMENTS_READ, REQUESTS_DECIDE
from cleanroom.accounts.types import OrganisationKind
from cleanroom.signin.types import Member
from provider_portal.i18n import LANGUAGES, N_, translations
from provider_portal.security import FORM, FORM_FIELD, form_token
from provider_portal.static_files import StaticFiles
from provider_portal.visits import Visit, local_path
from provider_portal.wording import TONES, WORDS

PROVIDERS = frozenset({OrganisationKind.PROVIDER})


@dataclass(frozen=True)
class Place:
    """An entry of the navigation.

    Attributes:
        path: where it leads.
        title: its words.
        icon: its picture.
        scope: that it takes; None for none.
        kinds: of organisations that it is for; None for all.
    """

    path: str
    title: str
    icon: str
    scope: str | None = None
    kinds: frozenset[OrganisationKind] | None = None

    def open_to(self, member: Member) -> bool:
        """Tell whether a person may go there."""
        fitting = self.kinds is None or member.kind in self.kinds
        return fitting and (self.scope is None or member.may(self.scope))


PLACES = (
    Place("/", N_("Overview"), "layout-dashboard"),
    Place("/datasets", N_("Datasets"), "database", DATASETS_READ, PROVIDERS),
    Place("/requests", N_("Requests"), "inbox", ENTITLEMENTS_READ, PROVIDERS),
    Place("/team", N_("Team"), "users", CLIENTS_WRITE),
    Place("/account", N_("My account"), "user-circle"),
)


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
    made.globals["static"] = static_files().url
    made.globals["languages"] = LANGUAGES
    made.globals["may_decide"] = REQUESTS_DECIDE
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
    places = [place for place in PLACES if visit.member is not None and place.open_to(visit.member)]

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
        "tone": lambda state: TONES.get(str(state), "plain"),
        "form_field": form_field,
        "here": here,
        "path": request.url.path,
        "places": places,
        "now": visit.room.clock.now(),
        "error": None,
        "notice": None,
    }
    html = environment(writing.language).get_template(template).render({**usual, **values})
    response = HTMLResponse(html, status_code=status)
    keep_form_secret(visit, response)
    return response


def go(visit: Visit, path: str) -> Response:
    """Send a browser on after a form, so that loading the page again sends nothing twice."""
    response = RedirectResponse(path, status_code=303)
    keep_form_secret(visit, response)
    return response


def keep_form_secret(visit: Visit, response: Response) -> None:
    """Give the browser what ties forms to it, if it has none."""
    if visit.fresh_secret:
        visit.cookies.set(response, FORM, visit.form_secret)
