"""What keeps pages to those they are for: headers, cookies, and the proof that a form is our own."""

import hmac
import secrets
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi import Request, Response

from cleanroom.errors import CleanroomError

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; "
        "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'; object-src 'none'"
    ),
    # Without any referrer a browser would not say where a form came from either.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
SESSION, PENDING, FORM = "cleanroom", "cleanroom-step", "cleanroom-form"
AWAY, DEVICE = "cleanroom-sso", "cleanroom-device"
FORM_FIELD = "form_token"
_LABEL = b"cleanroom/form/v1\n"


class ForeignFormError(CleanroomError):
    """A form was not sent from a page of the room, or from one that is too old."""

    code = "portal.foreign_form"


class Cookies:
    """Names and flags of the portal's cookies, for rooms behind TLS and for those on one's own machine."""

    def __init__(self, *, https: bool) -> None:
        self._https = https

    def name(self, plain: str) -> str:
        """Return a cookie's name; with TLS no other host or path can set one of it."""
        return f"__Host-{plain}" if self._https else plain

    def get(self, request: Request, plain: str) -> str:
        """Return what a browser sent; empty when nothing."""
        return request.cookies.get(self.name(plain), "")

    def set(self, response: Response, plain: str, value: str, *, days: int | None = None) -> None:
        """Keep a value in the browser: until it is closed, or for some days."""
        response.set_cookie(
            self.name(plain),
            value,
            max_age=None if days is None else days * 86_400,
            path="/",
            secure=self._https,
            httponly=True,
            samesite="lax",
        )

    def drop(self, response: Response, plain: str) -> None:
        """Take a value back."""
        response.delete_cookie(self.name(plain), path="/", secure=self._https, httponly=True, samesite="lax")


def new_form_secret() -> str:
    """Make what ties forms to a browser that is not signed in."""
    return secrets.token_urlsafe(32)


def form_token(cookie: str) -> str:
    """Return what a form has to carry for whoever has this cookie; it tells nothing of the cookie."""
    return hmac.digest(cookie.encode(), _LABEL, "sha256").hex()


def require_own_form(request: Request, *, public_url: str, cookie: str, sent: str) -> None:
    """Refuse a form that another site sent, in two ways that do not depend on each other.

    Args:
        request: which brought it.
        public_url: the room's.
        cookie: what ties forms to the browser.
        sent: the form's token.

    Raises:
        ForeignFormError: the browser names another origin, or the token is not the browser's.
    """
    # As bytes: of text only ASCII can be compared, and what was sent is anybody's.
    same = hmac.compare_digest(form_token(cookie).encode(), sent.encode(errors="replace"))
    if not _is_own(request, public_url) or not cookie or not same:
        raise ForeignFormError(
            "The form was not sent from an open page of this room.",
            remedy="Open the page anew and try again.",
        )


def _is_own(request: Request, public_url: str) -> bool:
    origin = request.headers.get("origin")
    if origin is None:
        # Browsers that send no origin with forms say this; programs say neither.
        return request.headers.get("sec-fetch-site") == "same-origin"
    if origin == public_url:
        return True
    # On one's own machine the room has several names.
    parts = urlsplit(origin)
    return (
        parts.scheme == "http" and parts.netloc == request.headers.get("host") and _loopback(parts.hostname)
    )


def _loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False
