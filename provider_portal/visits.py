"""A visit: who is there, in which language, with which form; and whom a page lets in."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from cleanroom.accounts.types import OrganisationKind
from cleanroom.room import Room
from cleanroom.signin.types import Member
from provider_portal.agents import agent_words
from provider_portal.i18n import Writing, negotiate
from provider_portal.security import (
    DEVICE,
    FORM,
    FORM_FIELD,
    SESSION,
    Cookies,
    new_form_secret,
    require_own_form,
)

Choice = TypeVar("Choice", bound=StrEnum)
LANGUAGE, THEME = "cleanroom-language", "cleanroom-theme"
THEMES = ("auto", "light", "dark")
MAX_FIELDS = 1_000
"""Of a form: a policy over two hundred attributes fits."""


class SignInNeededError(Exception):
    """Somebody has to sign in before this page; the handler shows where, and keeps what was typed."""

    # Not an error of the domain: it has no code because it is answered with a page.
    code = "portal.sign_in_needed"


class EnrolmentNeededError(Exception):
    """Somebody is in who has to set up a second factor before anything else; the handler leads there."""

    code = "portal.enrolment_needed"


@dataclass
class Visit:
    """What a page knows of a request.

    Attributes:
        room: which answers.
        request: as it came.
        cookies: how the portal's cookies are called.
        writing: the language.
        theme: light, dark or auto.
        form: what was typed, by field; of several values the last one.
        member: who is signed in; None for nobody.
        form_secret: what ties forms to the browser.
        fresh_secret: whether the browser does not have it yet.
    """

    room: Room
    request: Request
    cookies: Cookies
    writing: Writing
    theme: str
    form: Mapping[str, str] = field(repr=False)
    member: Member | None
    form_secret: str = field(repr=False)
    fresh_secret: bool

    @property
    def who(self) -> Member:
        """Whoever is signed in; a page that asked for it has somebody."""
        if self.member is None:
            raise SignInNeededError
        return self.member

    @property
    def agent(self) -> str:
        """Browser and system in a few words."""
        return agent_words(self.request.headers.get("user-agent", ""))

    @property
    def device(self) -> str:
        """By which the browser is known again; empty when it never signed in."""
        return self.cookies.get(self.request, DEVICE)

    @property
    def address(self) -> str:
        """Where the request came from."""
        return self.request.client.host if self.request.client else "unknown"

    def typed(self, name: str, *, longest: int = 2_000) -> str:
        """Return a field of the form, cut to a length that no honest one passes."""
        return self.form.get(name, "")[:longest]

    def asked(self, name: str, default: str = "") -> str:
        """Return a parameter of the address."""
        return self.request.query_params.get(name, default)[:200]

    def chosen(self, name: str, among: Iterable[Choice]) -> Choice | None:
        """Return which of some values a parameter of the address names; None for none of them."""
        said = self.asked(name)
        return next((one for one in among if one == said), None)


async def visit(request: Request) -> Visit:
    """Make out who visits; a form that is not the room's own is refused here, whatever page it is for."""
    form = await _form(request) if request.method == "POST" else {}
    made = await run_in_threadpool(visit_of, request, form)
    if request.method == "POST":
        require_own_form(
            request,
            public_url=request.app.state.public_url,
            cookie="" if made.fresh_secret else made.form_secret,
            sent=form.get(FORM_FIELD, ""),
        )
    return made


def visit_of(request: Request, form: Mapping[str, str] = MappingProxyType({})) -> Visit:
    """Return the visit of a request, made out once; also of one that came to no page.

    Args:
        request: as it came.
        form: what was typed.
    """
    known: Visit | None = getattr(request.state, "visit", None)
    if known is not None:
        return known
    room: Room = request.app.state.room
    cookies: Cookies = request.app.state.cookies
    token, kept = cookies.get(request, SESSION), cookies.get(request, FORM)
    member = room.signin.member(token) if token else None
    chosen = request.cookies.get(LANGUAGE) or (member.language if member else None)
    theme = request.cookies.get(THEME, "")
    language = negotiate(chosen, request.headers.get("accept-language", ""))
    request.state.visit = made = Visit(
        room=room,
        request=request,
        cookies=cookies,
        writing=Writing(language, request.app.state.zone),
        theme=theme if theme in THEMES else THEMES[0],
        form={name: value for name, value in form.items() if name != FORM_FIELD},
        member=member,
        form_secret=kept or new_form_secret(),
        fresh_secret=not kept,
    )
    return made


def may_any(member: Member, scope: str | frozenset[str] | None) -> bool:
    """Tell whether a person's role carries a scope, or one of several; everybody's carries none."""
    wanted = frozenset() if scope is None else frozenset({scope}) if isinstance(scope, str) else scope
    return not wanted or bool(wanted & member.scopes)


def may_open(
    member: Member, scope: str | frozenset[str] | None, kinds: frozenset[OrganisationKind] | None
) -> bool:
    """Tell whether somebody may go to a page that takes a scope and is for some kinds of organisation."""
    return (kinds is None or member.kind in kinds) and may_any(member, scope)


def needs(
    scope: str | frozenset[str] | None = None,
    *,
    kinds: frozenset[OrganisationKind] | None = None,
    enrolling: bool = False,
) -> Callable[..., Awaitable[Visit]]:
    """Make what lets people to a page.

    Args:
        scope: that the person's role carries, or several of which it carries one; None for everybody who is signed in.
        kinds: of organisations that the page is for; None for all.
        enrolling: whether it is also for who still has to set up a second factor.
    """

    async def let_in(made: Annotated[Visit, Depends(visit)]) -> Visit:
        if made.member is None:
            raise SignInNeededError
        if made.member.must_enrol and not enrolling:
            raise EnrolmentNeededError
        if not may_open(made.member, scope, kinds):
            raise HTTPException(403)
        return made

    let_in.needs = (scope, kinds)  # type: ignore[attr-defined]
    return let_in


def local_path(text: str, *, default: str = "/") -> str:
    """Return a path of this room, whatever somebody wrote into an address; else the default."""
    plain = (
        text.startswith("/")
        and not text.startswith(("//", "/\\"))
        and text.isprintable()
        and "\\" not in text
    )
    return text if plain and len(text) <= 1_000 else default


def read_json(text: str) -> Any:
    """Return what JSON says that somebody typed, or a page has put together.

    Raises:
        ValueError: it is no JSON, is nested too deep, or escapes half a surrogate pair, which no answer can hold.
    """
    try:
        found = json.loads(text)
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deep") from None
    return found


async def _form(request: Request) -> dict[str, Any]:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise HTTPException(415)
    try:
        pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise HTTPException(400) from None
    # PostgreSQL takes no text with a zero byte in it, and no honest browser sends one.
    if any("\x00" in name or "\x00" in value for name, value in pairs):
        raise HTTPException(400)
    return dict(pairs)


Visiting = Annotated[Visit, Depends(visit)]
SignedIn = Annotated[Visit, Depends(needs())]
Enrolling = Annotated[Visit, Depends(needs(enrolling=True))]
