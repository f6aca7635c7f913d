"""Language and theme, for whoever is there."""

from fastapi import APIRouter, Response

from provider_portal.i18n import LANGUAGES
from provider_portal.ui import go
from provider_portal.visits import LANGUAGE, THEME, THEMES, Visiting, local_path

router = APIRouter()
_DAYS = 365


@router.post("/preferences", name="public")
def set_preferences(visit: Visiting) -> Response:
    """Keep a choice in the browser; a language with the person too."""
    response = go(visit, local_path(visit.typed("next")))
    secure = visit.room.settings.public_url.startswith("https://")
    language, theme = visit.typed("language"), visit.typed("theme")
    for name, value, known in ((LANGUAGE, language, LANGUAGES), (THEME, theme, THEMES)):
        if value in known:
            response.set_cookie(
                name, value, max_age=_DAYS * 86_400, path="/", secure=secure, httponly=True, samesite="lax"
            )
    if language in LANGUAGES and visit.member is not None:
        visit.room.signin.set_language(visit.member, language)
    return response
