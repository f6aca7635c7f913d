"""An OpenID provider on loopback, over real HTTP: discovery, keys, a page to sign in at, codes, tokens, userinfo.

It checks what a provider must: the client's secret, the address it sends people back to, each code once, and PKCE.
Tests plant faults in what it answers, and turn its keys.
"""

import base64
import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from cleanroom.clock import Clock
from cleanroom.settings.single_sign_on import ProviderSettings
from tests.access_rooms import unsigned

CLIENT, SECRET = "room", "a secret of the room's"
_KEY_BITS = 2048


@dataclass
class Account:
    """Somebody at the provider."""

    subject: str
    email: str
    verified: bool = True
    claims: dict[str, Any] = field(default_factory=dict)


@dataclass
class Fault:
    """What the provider does wrong; nothing by default."""

    claims: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
    token: Callable[["IdentityServer", dict[str, Any]], str] | None = None
    answer: Callable[[dict[str, str]], dict[str, str]] = lambda answer: answer
    discovery: Callable[[dict[str, Any]], dict[str, Any]] = lambda found: found
    userinfo_subject: str | None = None


@dataclass
class IdentityServer:
    clock: Clock
    issuer: str = ""
    accounts: dict[str, Account] = field(default_factory=dict)
    fault: Fault = field(default_factory=Fault)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(_KEY_BITS))
    kid: str = "first"
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    email_in_token: bool = True

    def settings(self, **changed: Any) -> ProviderSettings:
        usual = {
            "name": "office",
            "title": "Work",
            "issuer": self.issuer,
            "client_id": CLIENT,
            "client_secret": SECRET,
        }
        return ProviderSettings(**usual | changed)

    def turn_key(self, kid: str) -> None:
        self.key, self.kid = RSAKey.generate_key(_KEY_BITS), kid

    def sign_in(self, address: str, subject: str) -> dict[str, str]:
        """What the provider sends back when somebody signs in at an address, without a browser."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        return self.approve(query, subject)

    def approve(self, query: dict[str, str], subject: str) -> dict[str, str]:
        assert query["client_id"] == CLIENT
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        code = secrets.token_urlsafe(16)
        self.codes[code] = query | {"subject": subject}
        return self.fault.answer({"code": code, "state": query["state"], "iss": self.issuer})

    def discovery(self) -> dict[str, Any]:
        return self.fault.discovery(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "jwks_uri": f"{self.issuer}/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    def exchange(self, authorization: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        sent = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        if not hmac.compare_digest(sent, f"{CLIENT}:{SECRET}"):
            return 401, {"error": "invalid_client"}
        query = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            query is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != query["redirect_uri"]
            or challenge.rstrip(b"=").decode() != query["code_challenge"]
        ):
            return 400, {"error": "invalid_grant"}
        account, now = self.accounts[query["subject"]], int(self.clock.now().timestamp())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": account.subject,
            "iat": now,
            "exp": now + 300,
            "nonce": query["nonce"],
            **account.claims,
        }
        if self.email_in_token:
            claims |= {"email": account.email, "email_verified": account.verified}
        claims = self.fault.claims(claims)
        token = self.fault.token(self, claims) if self.fault.token else self.signed(claims)
        return 200, {"access_token": account.subject, "token_type": "Bearer", "id_token": token}

    def signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.kid}, claims, self.key)

    def unsigned(self, claims: dict[str, Any]) -> str:
        return unsigned({"alg": "none", "kid": self.kid}, claims)

    def keys(self) -> dict[str, Any]:
        return {"keys": [{**self.key.as_dict(private=False), "kid": self.kid, "use": "sig"}]}

    def userinfo(self, token: str) -> dict[str, Any]:
        account = self.accounts[token]
        subject = self.fault.userinfo_subject or account.subject
        return {"sub": subject, "email": account.email, "email_verified": account.verified}


def _handler(one: IdentityServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
            one.asked.append(path)
            if path == "/.well-known/openid-configuration":
                self._json(200, one.discovery())
            elif path == "/keys":
                self._json(200, one.keys())
            elif path == "/userinfo":
                self._json(200, one.userinfo(self.headers["Authorization"].removeprefix("Bearer ")))
            elif path == "/authorize":
                hidden = "".join(
                    f'<input type="hidden" name="{escape(name)}" value="{escape(values[0])}">'
                    for name, values in query.items()
                )
                buttons = "".join(
                    f'<button name="subject" value="{escape(who)}">{escape(account.email)}</button>'
                    for who, account in one.accounts.items()
                )
                page = (
                    f'<!doctype html><html lang="en"><title>Work</title><main><h1>Who are you?</h1>'
                    f'<form method="post" action="/authorize">{hidden}{buttons}</form></main></html>'
                )
                self._send(200, "text/html; charset=utf-8", page.encode())
            else:
                self._json(404, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            one.asked.append(self.path)
            if self.path == "/token":
                self._json(*one.exchange(self.headers.get("Authorization", ""), form))
            else:
                answer = one.approve(form, form.pop("subject"))
                self.send_response(303)
                self.send_header("Location", f"{form['redirect_uri']}?{urlencode(answer)}")
                self.end_headers()

        def _json(self, status: int, found: dict[str, Any]) -> None:
            self._send(status, "application/json", json.dumps(found).encode())

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def identity_server(clock: Clock) -> Iterator[IdentityServer]:
    one = IdentityServer(clock)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(one))
    server.daemon_threads = True
    one.issuer = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield one
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
