import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.hashes import SHA256

from cleanroom.cli.main import EXIT_REFUSED, exit_code
from cleanroom.client.remote.connection import Connection, require_address
from cleanroom.client.remote.credentials import ClientKey, ClientSecret, read_jwk
from cleanroom.client.remote.effects import Call, Reply
from cleanroom.client.remote.problems import (
    ApprovalPending,
    AudienceTooSmall,
    ConfigurationError,
    Conflict,
    NotAuthenticated,
    NotFound,
    NotNow,
    PrivacyBudgetExceeded,
    PurposeNotAllowed,
    QuestionsExhausted,
    RateLimited,
    Refused,
    RightEnded,
    RoomUnavailable,
    error_of,
    refusal_of,
)
from policies.rules import REGISTRY


def coded(number: bytes) -> str:
    return base64.urlsafe_b64encode(number).rstrip(b"=").decode()


def parts(assertion: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    head, body, signature = assertion.split(".")
    opened = [base64.urlsafe_b64decode(part + "==") for part in (head, body, signature)]
    return json.loads(opened[0]), json.loads(opened[1]), f"{head}.{body}".encode(), opened[2]


def test_an_assertion_is_signed_by_p256_and_used_once() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_numbers().private_value.to_bytes(32)
    jwk = {"kty": "EC", "crv": "P-256", "d": coded(private), "kid": "k1"}
    client = ClientKey("cl_1", jwk, now=lambda: 1000.0)
    first, second = (client.prove("https://room.example.org")[0]["client_assertion"] for _ in range(2))
    header, claims, signed, signature = parts(first)
    assert header == {"alg": "ES256", "typ": "JWT", "kid": "k1"}
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("cl_1", "cl_1", "https://room.example.org")
    assert claims["exp"] - claims["iat"] <= 300
    r, s = (int.from_bytes(half) for half in (signature[:32], signature[32:]))
    key.public_key().verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))
    assert claims["jti"] != parts(second)[1]["jti"]
    assert "d" not in repr(client).replace("ClientKey", "").replace("client_id", "")


def test_an_assertion_is_signed_by_ed25519() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    jwk = {"kty": "OKP", "crv": "Ed25519", "d": coded(key.private_bytes_raw())}
    header, _, signed, signature = parts(
        ClientKey("cl_1", read_jwk(json.dumps(jwk))).prove("https://r.example.org")[0]["client_assertion"]
    )
    assert header["alg"] == "EdDSA"
    key.public_key().verify(signature, signed)


@pytest.mark.parametrize("text", ["", "{}", '{"kty": "RSA", "d": "AA", "crv": "x"}', '{"kty": "EC"}', "[]"])
def test_what_is_no_private_key_is_told(text: str) -> None:
    with pytest.raises(ConfigurationError, match="JWK"):
        read_jwk(text)


@pytest.mark.parametrize(
    "url", ["http://room.example.org", "ftp://room", "room.example.org", "https://u:p@room", "https://r/?q=1"]
)
def test_addresses_that_would_show_tokens_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        require_address(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/", "http://localhost:1", "http://[::1]:80", "https://r/"]
)
def test_loopback_and_tls_are_taken(url: str) -> None:
    assert require_address(url) == url.rstrip("/")


class Script:
    """Plays a room: answers by a list of statuses for the API, and gives numbered tokens."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.calls, self.tokens = list(statuses), [], 0

    def run(self, flow: Any) -> Any:
        effect = next(flow)
        try:
            while True:
                assert isinstance(effect, Call)
                effect = flow.send(self._answer(effect))
        except StopIteration as end:
            return end.value

    def _answer(self, call: Call) -> Reply:
        if call.path == "/oauth/token":
            self.tokens += 1
            return Reply(200, {}, json.dumps({"access_token": f"t{self.tokens}", "expires_in": 600}).encode())
        self.calls.append(call)
        return Reply(self.statuses.pop(0), {}, b"{}")


def connection(now: list[float]) -> Connection:
    return Connection(
        "https://room.example.org", ClientSecret("cl_1", "s"), advertiser="org_1", seconds=lambda: now[0]
    )


def test_a_token_is_kept_until_shortly_before_its_end() -> None:
    now, script = [0.0], Script(200, 200, 200)
    one = connection(now)
    for at in (0.0, 569.0, 571.0):
        now[0] = at
        script.run(one.get("/v1/me"))
    assert [call.headers["Authorization"] for call in script.calls] == ["Bearer t1", "Bearer t1", "Bearer t2"]
    assert {call.headers["Cleanroom-Advertiser"] for call in script.calls} == {"org_1"}


def test_a_401_is_tried_once_with_a_new_token() -> None:
    script, one = Script(200, 401, 200, 401, 401), connection([0.0])
    script.run(one.get("/v1/me"))
    script.run(one.get("/v1/me"))
    with pytest.raises(NotAuthenticated):
        script.run(one.get("/v1/me"))
    assert script.tokens == 3
    fresh = Script(401)
    with pytest.raises(NotAuthenticated):
        fresh.run(connection([0.0]).get("/v1/me"))


def test_every_post_has_a_key_of_its_own() -> None:
    script, one = Script(200, 200), connection([0.0])
    script.run(one.post("/v1/keys", {"a": "é"}))
    script.run(one.post("/v1/keys", {"a": "é"}))
    keys = {call.headers["Idempotency-Key"] for call in script.calls}
    assert len(keys) == 2
    assert all(call.repeatable for call in script.calls)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, NotFound), (410, NotFound), (409, Conflict), (429, RateLimited), (503, RoomUnavailable)],
)
def test_problems_become_errors_of_their_kind(status: int, kind: type[Exception]) -> None:
    body = {"code": "datasets.not_found", "detail": "No.", "remedy": "Yes.", "instance": "req_1"}
    error = error_of(Reply(status, {"retry-after": "7"}, json.dumps(body).encode()))
    assert type(error) is kind
    assert (error.code, error.message, error.remedy) == ("datasets.not_found", "No.", "Yes.")
    assert (error.status, error.request_id, error.retry_after) == (status, "req_1", 7.0)


def test_an_answer_that_is_no_problem_is_an_error_too() -> None:
    assert error_of(Reply(502, {}, b"<html>")).status == 502


def test_refusals_are_of_the_kind_of_their_only_rule() -> None:
    def reason(rule: str) -> dict[str, Any]:
        return {"rule": rule, "message": "m", "limit": 1, "asked": 2, "nearest": {"kind": "overlap"}}

    assert type(refusal_of({"reasons": [reason("budget_left")]})) is PrivacyBudgetExceeded
    assert type(refusal_of({"reasons": [reason("base_floor")]})) is AudienceTooSmall
    mixed = refusal_of({"reasons": [reason("base_floor"), reason("purposes")]})
    assert type(mixed) is Refused
    assert mixed.nearest == {"kind": "overlap"}


def test_a_secret_is_sent_as_http_basic_with_its_parts_escaped() -> None:
    # RFC 6749, section 2.3.1: the parts are form-encoded before they are joined.
    fields, headers = ClientSecret("cl_1", "a:b c/ü").prove("https://room.example.org")
    scheme, _, pair = headers["Authorization"].partition(" ")
    assert (fields, scheme) == ({}, "Basic")
    assert base64.b64decode(pair) == b"cl_1:a%3Ab+c%2F%C3%BC"


def test_an_unknown_address_is_told_by_its_id() -> None:
    class Absent(Script):
        def _answer(self, call: Call) -> Reply:
            reply = super()._answer(call)
            return (
                reply
                if call.path == "/oauth/token"
                else Reply(404, {}, b'{"code": "api.not_found", "detail": "x"}')
            )

    with pytest.raises(NotFound, match="/v1/analyses/an_x") as told:
        Absent(404).run(connection([0.0]).get("/v1/analyses/an_x"))
    assert "openapi" not in str(told.value)


RULES = {
    "budget_left": PrivacyBudgetExceeded,
    "budget_question": PrivacyBudgetExceeded,
    "delta_left": PrivacyBudgetExceeded,
    "base_floor": AudienceTooSmall,
    "approval": ApprovalPending,
    "quota": QuestionsExhausted,
    "purposes": PurposeNotAllowed,
    "grant_purpose": PurposeNotAllowed,
    "rate": NotNow,
    "validity": NotNow,
    "grant_term": RightEnded,
    "mandate": RightEnded,
    "attributes": Refused,
}


def refused(rule: str, asked: str) -> Refused:
    reason = {"rule": rule, "message": "m", "asked": asked, "nearest": None}
    return refusal_of({"reasons": [reason]}, analysis_id="an_1")


@pytest.mark.parametrize(("rule", "kind"), RULES.items())
def test_a_rule_has_an_error_of_its_own(rule: str, kind: type[Exception]) -> None:
    # Rules have tags; the accounts and the grant speak for themselves.
    spoken = Path("policies/reasons.py").read_text() + Path("policies/granted.py").read_text()
    assert rule in REGISTRY.tags or f'"{rule}"' in spoken
    found = refused(rule, "pending")
    assert type(found) is kind
    assert (found.analysis_id, found.nearest) == ("an_1", None)
    assert exit_code(found) == EXIT_REFUSED


def test_what_was_rejected_waits_for_nobody() -> None:
    assert type(refused("approval", "rejected")) is Refused


def test_every_refusal_ends_a_command_alike() -> None:
    assert {kind for kind in RULES.values() if kind is not Refused} == set(Refused.__subclasses__())
