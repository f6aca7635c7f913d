"""Logging in: a credential is tried, the room's key is taken down, and a signing key is made and enrolled."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cleanroom.client.remote.effects import Call, Flow, Reply
from cleanroom.client.remote.problems import ConfigurationError, NotAllowed, UnexpectedAnswer
from cleanroom.client.remote.profiles import DEFAULT, Profile, save_profile
from cleanroom.client.remote.session import Session

_METADATA = "/.well-known/oauth-authorization-server"
_MANDATE = "access.mandate_limited"


@dataclass(frozen=True)
class LoggedIn:
    """What a login came to.

    Attributes:
        me: what the room says of the caller.
        profile: what was saved.
        key_id: the enrolled signing key; None when the client's role, or the advertiser's mandate, uploads nothing.
        file: where the profile is.
    """

    me: Mapping[str, Any]
    profile: Profile
    key_id: str | None
    file: str


def log_in(
    session: Session, *, name: str | None = None, environ: Mapping[str, str] = os.environ
) -> Flow[LoggedIn]:
    """Try a credential and save it as a profile.

    Args:
        session: with the address and the credential to try.
        name: of the profile; `default` when not given.
        environ: names the folder of profiles.

    Raises:
        ConfigurationError: the room has another address, or another key than the profile says.
        NotAuthenticated: it does not accept the credential.
        Unreachable: nothing answers there.
    """
    yield from _require_issuer(session)
    me = yield from session.me()
    known, told = session.profile.verifier_key, str(me["verifier_key"])
    if known and known != told:
        raise ConfigurationError(
            "The room's verifier key is not the one that was given.",
            remedy="Ask its operator which one is right before you believe its receipts.",
        )
    profile = replace(session.profile, url=session.connection.url, verifier_key=told)
    tables = session.datasets if me["organisation"]["kind"] == "provider" else session.bases
    # An agency's keys are enrolled for the advertiser that it names.
    named = me["organisation"]["kind"] != "agency" or profile.advertiser
    key_id = None
    if "keys:write" in me["scopes"] and named:
        try:
            key_id, _ = yield from tables.ensure_key()
        except NotAllowed as error:
            # An agency that may ask for an advertiser, and not upload for it, signs no packages.
            if error.code != _MANDATE:
                raise
    file = save_profile(name or DEFAULT, profile, environ=environ)
    return LoggedIn(me, profile, key_id, str(file))


def _require_issuer(session: Session) -> Flow[None]:
    reply: Reply = yield Call("GET", _METADATA)
    plain = reply.json()
    issuer = plain.get("issuer") if isinstance(plain, dict) else None
    if reply.status != 200 or not isinstance(issuer, str):
        raise UnexpectedAnswer(
            "What answers at this address is no room.", remedy="Check the address, without a path."
        )
    # A room that could name another one would get proofs that are good there (RFC 8414, section 3.3).
    if issuer.rstrip("/") != session.connection.url:
        raise ConfigurationError(
            f"The room calls itself {issuer[:200]}.",
            remedy="Log in with exactly this address, if you trust it.",
        )
