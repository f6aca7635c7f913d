"""One identity provider over HTTP: its discovery document, its keys, and the exchange of a code for claims."""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from cleanroom.clock import Clock
from cleanroom.settings.single_sign_on import ProviderSettings
from cleanroom.signin.errors import ProviderUnavailableError
from cleanroom.signin.oidc.claims import Said, key_id, refused, said, verified

SCOPE = "openid email"
KEPT_FOR = timedelta(hours=1)
# A token may name a key that is newer than what is kept; a made-up one must not have the room ask for each.
ASKED_AGAIN_AFTER = timedelta(seconds=30)
_SECONDS = 10.0
_MAX_ANSWER = 262_144
_JSON = {"Accept": "application/json"}


@dataclass(frozen=True)
class Metadata:
    """What a discovery document says, as far as the room needs it.

    Attributes:
        authorization, token, keys: addresses.
        userinfo: an address; None when there is none.
        names_itself: whether answers name the issuer (RFC 9207).
        method: how the room proves who it is at the token's address.
    """

    authorization: str
    token: str
    keys: str
    userinfo: str | None
    names_itself: bool
    method: str


class IdentityProvider:
    """Talks to one identity provider; no redirect is followed, no proxy of the environment is used."""

    def __init__(self, settings: ProviderSettings, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self._metadata: tuple[datetime, Metadata] | None = None
        self._keys: tuple[datetime, list[dict[str, Any]]] | None = None

    def address(self, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Return where a person goes to prove who it is.

        Args:
            redirect_uri: where the provider sends the person back.
            state, nonce: of the attempt.
            verifier: of the attempt; its hash goes along (PKCE, S256).

        Raises:
            ProviderUnavailableError: the provider does not answer, or not as it must.
        """
        address = prepare_grant_uri(
            self.metadata().authorization,
            client_id=self.settings.client_id,
            response_type="code",
            redirect_uri=redirect_uri,
            scope=SCOPE,
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return str(address)

    def require_named(self, issuer: str | None) -> None:
        """Refuse an answer that another provider gave; raises ProviderAnswerError.

        Args:
            issuer: that the answer names; None when it names none.

        Source: RFC 9207, section 2.4.
        """
        if issuer != self.settings.issuer and (issuer is not None or self.metadata().names_itself):
            raise refused("answer_issuer")

    def claims(self, code: str, *, redirect_uri: str, nonce: str, verifier: str) -> Said:
        """Exchange a code for what the provider says of the person.

        Raises:
            ProviderUnavailableError: the provider does not answer, or not as it must.
            ProviderAnswerError: it does not take the code, or its token is not good.
        """
        metadata = self.metadata()
        answer = self._exchange(metadata, code, redirect_uri, verifier)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise refused("token_missing")
        claims = verified(
            token,
            self._key(metadata, key_id(token)),
            issuer=self.settings.issuer,
            client_id=self.settings.client_id,
            nonce=nonce,
            now=self._clock.now(),
        )
        access = answer.get("access_token")
        if "email" not in claims and metadata.userinfo is not None and isinstance(access, str):
            claims |= self._userinfo(metadata.userinfo, access, str(claims["sub"]))
        return said(claims)

    def metadata(self) -> Metadata:
        """Return the discovery document, an hour old at most; raises ProviderUnavailableError."""
        now = self._clock.now()
        if self._metadata is None or now >= self._metadata[0] + KEPT_FOR:
            issuer = self.settings.issuer
            address = issuer.removesuffix("/") + "/.well-known/openid-configuration"
            self._metadata = now, _metadata(self._json("GET", address), self.settings)
        return self._metadata[1]

    def _key(self, metadata: Metadata, kid: str | None) -> Mapping[str, Any]:
        """Return the key that a token names; without a name, the only one there is."""
        now = self._clock.now()
        if self._keys is None or now >= self._keys[0] + KEPT_FOR:
            self._fetch_keys(metadata, now)
        if not self._fitting(kid) and self._keys and now >= self._keys[0] + ASKED_AGAIN_AFTER:
            self._fetch_keys(metadata, now)
        found = self._fitting(kid)
        if len(found) != 1:
            raise refused("token_key")
        return found[0]

    def _fitting(self, kid: str | None) -> list[dict[str, Any]]:
        keys = self._keys[1] if self._keys else []
        return [key for key in keys if kid is None or key.get("kid") == kid]

    def _fetch_keys(self, metadata: Metadata, now: datetime) -> None:
        found = self._json("GET", metadata.keys).get("keys")
        if not isinstance(found, list):
            raise unavailable()
        signing = [
            key
            for key in found
            if isinstance(key, dict) and key.get("use", "sig") == "sig" and key.get("kty") != "oct"
        ]
        self._keys = now, signing

    def _exchange(self, metadata: Metadata, code: str, redirect_uri: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        client = ClientAuth(self.settings.client_id, self.settings.client_secret or "", metadata.method)
        body = str(httpx.QueryParams(form))
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        address, prepared, sent = client.prepare("POST", metadata.token, headers, body)
        return self._json("POST", address, headers=dict(prepared), content=sent)

    def _userinfo(self, address: str, access: str, subject: str) -> dict[str, Any]:
        found = self._json("GET", address, headers={"Authorization": f"Bearer {access}"})
        # Else a token of somebody else could lend an address (OpenID Connect Core 1.0, section 5.3.2).
        if found.get("sub") != subject:
            raise refused("userinfo_subject")
        return {name: found[name] for name in ("email", "email_verified") if name in found}

    def _json(
        self,
        method: str,
        address: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: str | None = None,
    ) -> dict[str, Any]:
        try:
            with (
                httpx.Client(
                    verify=_trusted(), trust_env=False, follow_redirects=False, timeout=_SECONDS
                ) as http,
                http.stream(method, address, headers={**_JSON, **(headers or {})}, content=content) as answer,
            ):
                body = b""
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > _MAX_ANSWER:
                        raise unavailable()
            status = answer.status_code
            found = json.loads(body) if status == httpx.codes.OK else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError):
            raise unavailable() from None
        if content is not None and status in (httpx.codes.BAD_REQUEST, httpx.codes.UNAUTHORIZED):
            raise refused("code_refused")
        if not isinstance(found, dict):
            raise unavailable()
        return found


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    """Trust the authorities that come with the library, and those of the machine; reading them takes long."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def _metadata(found: Mapping[str, Any], settings: ProviderSettings) -> Metadata:
    if found.get("issuer") != settings.issuer:
        # Another one's document: its addresses would get what is meant for this one.
        raise unavailable("Its discovery document names another issuer than the setting.")
    wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    addresses = [found.get(name) for name in wanted]
    userinfo = found.get("userinfo_endpoint")
    plain = settings.issuer.startswith("http://")
    for address in (*addresses, *([userinfo] if userinfo is not None else [])):
        if not isinstance(address, str) or urlsplit(address).scheme not in ("https", *(["http"] * plain)):
            raise unavailable("Its discovery document lacks addresses of https.")
    methods = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    method = next((one for one in ("client_secret_basic", "client_secret_post") if one in methods), None)
    if settings.client_secret is None:
        method = "none"
    if method is None:
        raise unavailable("It takes no secret as the room can give one.")
    challenges = found.get("code_challenge_methods_supported")
    if challenges is not None and "S256" not in challenges:
        raise unavailable("It does not know PKCE by S256.")
    return Metadata(
        authorization=str(addresses[0]),
        token=str(addresses[1]),
        keys=str(addresses[2]),
        userinfo=userinfo,
        names_itself=found.get("authorization_response_iss_parameter_supported") is True,
        method=method,
    )


def unavailable(why: str = "") -> ProviderUnavailableError:
    """Return the error for a provider that does not answer as it must; why is for the operator."""
    return ProviderUnavailableError(
        f"The identity provider does not answer as it must. {why}".strip(),
        remedy="Try again, or sign in with a password; the operator finds the code in the log.",
    )
