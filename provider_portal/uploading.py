"""Uploads from a browser: the room's own tus routes, for whoever is signed in instead of for a token."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException

from cleanroom.access.scopes import DATASETS_WRITE
from provider_portal.security import ForeignFormError, require_own_form
from provider_portal.ui import PROVIDERS
from provider_portal.visits import SignInNeededError, visit_of

FORM_HEADER = "x-form-token"
"""Carries what a form has in a field: a request of another site cannot set it."""
_READING = ("GET", "HEAD", "OPTIONS")


class MakeUploads(Protocol):
    """Makes the routes of uploads; the composing process brings it, since the API has them too."""

    def __call__(self, *, caller: Callable[..., Any]) -> APIRouter:
        """Make them for whom a dependency lets in."""
        ...


@dataclass(frozen=True)
class Uploader:
    """Who uploads, as far as uploads need to know.

    Attributes:
        organisation_id: whose uploads they are.
        scopes: what the person's role may do, now.
    """

    organisation_id: str
    scopes: frozenset[str]


def uploader(request: Request) -> Uploader:
    """Let in who may load datasets, and what changes something only from a page of the room."""
    visit = visit_of(request)
    if visit.member is None:
        raise SignInNeededError
    if request.method not in _READING:
        try:
            require_own_form(
                request,
                public_url=request.app.state.public_url,
                cookie="" if visit.fresh_secret else visit.form_secret,
                sent=request.headers.get(FORM_HEADER, ""),
            )
        except ForeignFormError:
            raise HTTPException(403) from None
    # Whoever owes a second factor sees nothing but its setup.
    owes = visit.member.must_enrol
    if owes or visit.member.kind not in PROVIDERS or not visit.member.may(DATASETS_WRITE):
        raise HTTPException(403)
    return Uploader(visit.member.organisation_id, visit.member.scopes)
