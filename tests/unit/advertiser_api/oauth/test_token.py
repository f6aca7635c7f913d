"""What the token endpoint gives, and everything that it refuses."""

import base64
import logging
from collections.abc import Callable
from typing import Any

import pytest
from authlib.oauth2.rfc7523 import private_key_jwt_sign
from httpx import Response
from joserfc import jws, jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from cleanroom.access.types import Client
from tests.access_rooms import URL, AccessRoom, Key, MakeAccessRoom, Web, asking, unsigned, web

KEY, OTHER_KEY = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
SECRET_ALG = "HS256"


@pytest.fixture
def client(access_room: AccessRoom) -> Client:
    return access_room.key_client(KEY)


@pytest.fixture
def http(access_room: AccessRoom) -> Web:
    return web(access_room)


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def refused(response: Response, error: str, reason: str = "", status: int = 400) -> None:
    assert response.status_code == status, response.text
    body = response.json()
    assert body["error"] == error
    assert "access_token" not in body
    assert reason in body.get("error_description", "")
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("key", "alg"),
    [
        (KEY, "ES256"),
        (OKPKey.generate_key("Ed25519"), "EdDSA"),
        (OKPKey.generate_key("Ed25519"), "Ed25519"),
        (RSAKey.generate_key(2048), "PS256"),
        (RSAKey.generate_key(2048), "RS256"),
    ],
)
def test_a_client_gets_a_token_with_each_listed_algorithm(
    access_room: AccessRoom, key: Key, alg: str
) -> None:
    client = access_room.key_client(key)
    answer = web(access_room).post(
        "/oauth/token", data=asking(access_room.assertion(client, key, header={"alg": alg}))
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 600
    assert frozenset(body["scope"].split()) == client.scopes
    assert answer.headers["Cache-Control"] == "no-store"
    caller = access_room.room.access.authenticate(body["access_token"])
    assert (caller.client_id, caller.organisation_id, caller.scopes) == (
        client.id,
        client.organisation_id,
        client.scopes,
    )


def test_the_token_is_a_jwt_for_the_api_that_the_published_keys_verify(
    access_room: AccessRoom, client: Client, http: Web
) -> None:
    token = http.post("/oauth/token", data=asking(access_room.assertion(client, KEY))).json()["access_token"]
    keys = KeySet.import_key_set(http.get("/oauth/jwks").json())
    read = jwt.decode(token, keys, algorithms=["ES256"])
    assert read.header["typ"] == "at+jwt"
    now = int(access_room.clock.instant.timestamp())
    assert {name: read.claims[name] for name in ("iss", "aud", "sub", "client_id", "iat", "exp")} == {
        "iss": URL,
        "aud": f"{URL}/v1",
        "sub": client.id,
        "client_id": client.id,
        "iat": now,
        "exp": now + 600,
    }
    assert all("d" not in key for key in http.get("/oauth/jwks").json()["keys"])


def test_a_library_that_sends_no_key_id_works_while_the_client_has_one_key(
    make_access_room: MakeAccessRoom,
) -> None:
    room = make_access_room()
    client = room.key_client(KEY)
    signed = private_key_jwt_sign(
        KEY,
        client.id,
        f"{URL}/oauth/token",
        alg="ES256",
        issued_at=int(room.clock.instant.timestamp()),
        expires_in=60,
    )
    assert web(room).post("/oauth/token", data=asking(signed)).status_code == 200
    two = room.key_client(OTHER_KEY, ECKey.generate_key("P-256"))
    nameless = room.assertion(two, OTHER_KEY, header={"kid": None})
    refused(web(room).post("/oauth/token", data=asking(nameless)), "invalid_client", "not_recognised")


Claims = dict[str, Any]
MINUTE, NOW = 60, 1_795_348_800  # the clock of the room: 22 November 2026, 12:00 UTC


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"aud": "https://other.example.org/oauth/token"}, "assertion_audience"),
        ({"aud": f"{URL}/v1"}, "assertion_audience"),
        ({"aud": [f"{URL}/oauth/token", "https://other.example.org"]}, "assertion_audience"),
        ({"aud": None}, "assertion_audience"),
        ({"aud": {"a": 1}}, "assertion_audience"),
        ({"exp": NOW - MINUTE}, "assertion_expired"),
        ({"exp": NOW + 10 * MINUTE}, "assertion_lives_too_long"),
        ({"exp": NOW + 30 * 365 * 24 * 60 * MINUTE}, "assertion_lives_too_long"),
        ({"exp": 1e300}, "assertion_malformed"),
        ({"exp": float("inf")}, "assertion_malformed"),
        ({"exp": float("nan")}, "assertion_malformed"),
        ({"exp": str(NOW + MINUTE)}, "assertion_malformed"),
        ({"exp": True}, "assertion_malformed"),
        ({"exp": None}, "assertion_malformed"),
        ({"nbf": NOW + 2 * MINUTE}, "assertion_not_yet_valid"),
        ({"iat": NOW + 2 * MINUTE}, "assertion_not_yet_valid"),
        ({"jti": None}, "assertion_without_jti"),
        ({"jti": ""}, "assertion_without_jti"),
        ({"jti": 7}, "assertion_without_jti"),
        ({"jti": "j" * 256}, "assertion_without_jti"),
        ({"iss": "cl_other"}, "assertion_names_differ"),
        ({"sub": None}, "assertion_names_differ"),
        ({"sub": ["cl"]}, "assertion_names_differ"),
    ],
)
def test_an_assertion_with_wrong_claims_is_refused(
    access_room: AccessRoom, client: Client, http: Web, changed: Claims, reason: str
) -> None:
    assert int(access_room.clock.instant.timestamp()) == NOW
    signed = access_room.assertion(client, KEY, **changed)
    refused(http.post("/oauth/token", data=asking(signed)), "invalid_client", reason)


def test_an_assertion_is_used_up_at_once_even_when_the_request_then_fails(
    access_room: AccessRoom, client: Client, http: Web
) -> None:
    first = access_room.assertion(client, KEY)
    assert http.post("/oauth/token", data=asking(first)).status_code == 200
    refused(http.post("/oauth/token", data=asking(first)), "invalid_client", "assertion_used_before")
    second = access_room.assertion(client, KEY)
    refused(http.post("/oauth/token", data=asking(second, scope="operate")), "invalid_scope")
    refused(http.post("/oauth/token", data=asking(second)), "invalid_client", "assertion_used_before")
    # As long as it could be shown again, it is remembered.
    access_room.clock.move(seconds=85)
    with access_room.room.db.transaction() as tx:
        access_room.room.access.sweep(tx)
    refused(http.post("/oauth/token", data=asking(first)), "invalid_client", "assertion_used_before")


def forge_none(room: AccessRoom, client: Client) -> str:
    return unsigned({"alg": "none"}, room.claims(client))


def forge_with_the_public_key(room: AccessRoom, client: Client) -> str:
    shared = OctKey.import_key(KEY.as_pem(private=False).hex())
    return jwt.encode({"alg": SECRET_ALG, "kid": KEY.thumbprint()}, room.claims(client), shared, [SECRET_ALG])


def forge_another_curve(room: AccessRoom, client: Client) -> str:
    key = ECKey.generate_key("P-384")
    return jwt.encode({"alg": "ES384", "kid": KEY.thumbprint()}, room.claims(client), key, ["ES384"])


def forge_critical_header(room: AccessRoom, client: Client) -> str:
    good = room.assertion(client, KEY)
    _, payload, signature = good.split(".")
    head = base64.urlsafe_b64encode(b'{"alg":"ES256","crit":["mine"],"mine":1}').rstrip(b"=").decode()
    return f"{head}.{payload}.{signature}"


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        (forge_none, "assertion_algorithm"),
        (forge_with_the_public_key, "assertion_algorithm"),
        (forge_another_curve, "assertion_algorithm"),
        (forge_critical_header, "not_recognised"),
        (lambda room, client: "no.jwt", "assertion_malformed"),
        (lambda room, client: "ключ", "assertion_malformed"),
        (lambda room, client: "a" * 9_000, "assertion_malformed"),
        (lambda room, client: unsigned({"alg": "ES256"}, room.claims(client)), "not_recognised"),
        (lambda room, client: room.assertion(client, OTHER_KEY), "not_recognised"),
        (
            lambda room, client: room.assertion(client, OTHER_KEY, header={"kid": KEY.thumbprint()}),
            "not_recognised",
        ),
        (lambda room, client: room.assertion(client, KEY, header={"kid": "gone"}), "not_recognised"),
        (lambda room, client: room.assertion(client, KEY, iss="cl_none", sub="cl_none"), "not_recognised"),
        (lambda room, client: room.assertion(client, RSAKey.generate_key(2048)), "not_recognised"),
    ],
)
def test_a_forged_assertion_is_refused(
    access_room: AccessRoom,
    client: Client,
    http: Web,
    forge: Callable[[AccessRoom, Client], str],
    reason: str,
) -> None:
    refused(http.post("/oauth/token", data=asking(forge(access_room, client))), "invalid_client", reason)


def test_the_key_of_another_client_is_refused(access_room: AccessRoom, client: Client, http: Web) -> None:
    other = access_room.key_client(OTHER_KEY, party=access_room.party("agency"))
    for signed in (
        access_room.assertion(client, OTHER_KEY),
        access_room.assertion(other, KEY),
    ):
        refused(http.post("/oauth/token", data=asking(signed)), "invalid_client", "not_recognised")
    signed = access_room.assertion(client, KEY)
    refused(
        http.post("/oauth/token", data=asking(signed, client_id=other.id)),
        "invalid_client",
        "assertion_names_differ",
    )


def test_a_revoked_client_gets_nothing_and_its_tokens_end(
    access_room: AccessRoom, client: Client, http: Web
) -> None:
    token = access_room.room.access.issue_token(client).value
    with access_room.room.db.transaction() as tx:
        access_room.room.access.clients.revoke(tx, client.id)
    refused(
        http.post("/oauth/token", data=asking(access_room.assertion(client, KEY))),
        "invalid_client",
        "not_recognised",
    )
    with pytest.raises(Exception, match="client_revoked"):
        access_room.room.access.authenticate(token)


def test_a_rotated_key_works_until_its_overlap_ends(
    access_room: AccessRoom, client: Client, http: Web
) -> None:
    with access_room.room.db.transaction() as tx:
        access_room.room.access.clients.rotate(
            tx,
            client.id,
            old_ends_at=access_room.clock.now().replace(hour=13),
            key_set={"keys": [OTHER_KEY.as_dict(private=False)]},
        )
    for key in (KEY, OTHER_KEY):
        assert http.post("/oauth/token", data=asking(access_room.assertion(client, key))).status_code == 200
    access_room.clock.move(hours=1)
    refused(http.post("/oauth/token", data=asking(access_room.assertion(client, KEY))), "invalid_client")
    assert http.post("/oauth/token", data=asking(access_room.assertion(client, OTHER_KEY))).status_code == 200


def test_a_secret_works_by_http_basic_alone(access_room: AccessRoom, http: Web) -> None:
    client, secret = access_room.secret_client()
    form = {"grant_type": "client_credentials"}
    assert http.post("/oauth/token", data=form, headers=basic(client.id, secret)).status_code == 200
    wrong = http.post("/oauth/token", data=form, headers=basic(client.id, secret + "x"))
    refused(wrong, "invalid_client", "not_recognised", 401)
    assert wrong.headers["WWW-Authenticate"].startswith("Basic")
    in_body = {**form, "client_id": client.id, "client_secret": secret}
    refused(http.post("/oauth/token", data=in_body), "invalid_request")
    refused(http.post("/oauth/token", data=form), "invalid_client", "nothing_shown")
    unknown = http.post("/oauth/token", data=form, headers=basic("cl_none", secret))
    refused(unknown, "invalid_client", "not_recognised", 401)


def test_a_secret_is_refused_where_the_client_has_keys(
    access_room: AccessRoom, client: Client, http: Web
) -> None:
    _, secret = access_room.secret_client()
    answer = http.post(
        "/oauth/token", data={"grant_type": "client_credentials"}, headers=basic(client.id, secret)
    )
    refused(answer, "invalid_client", "not_recognised", 401)


def test_a_client_with_a_secret_cannot_assert(access_room: AccessRoom, http: Web) -> None:
    client, _ = access_room.secret_client()
    refused(
        http.post("/oauth/token", data=asking(access_room.assertion(client, KEY))),
        "invalid_client",
        "not_recognised",
    )


def test_secrets_can_be_switched_off(make_access_room: MakeAccessRoom) -> None:
    room = make_access_room(allow_client_secret="false")
    client, secret = room.secret_client()
    answer = web(room).post(
        "/oauth/token", data={"grant_type": "client_credentials"}, headers=basic(client.id, secret)
    )
    refused(answer, "invalid_client", "secrets_are_switched_off", 401)
    keyed = room.key_client(KEY)
    assert web(room).post("/oauth/token", data=asking(room.assertion(keyed, KEY))).status_code == 200
    methods = web(room).get("/.well-known/oauth-authorization-server").json()
    assert methods["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !", "Basic /w==", "Bearer abc", "Basic YQ==", "Negotiate x"]
)
def test_an_authorization_header_that_is_no_basic_is_refused(http: Web, header: str) -> None:
    answer = http.post(
        "/oauth/token", data={"grant_type": "client_credentials"}, headers={"Authorization": header}
    )
    refused(answer, "invalid_client", "not_recognised", 401)


def test_a_client_may_ask_for_less_and_never_for_more(access_room: AccessRoom, http: Web) -> None:
    client = access_room.key_client(KEY, role="viewer")
    less = asking(access_room.assertion(client, KEY), scope="bases:read catalogue:read")
    assert http.post("/oauth/token", data=less).json()["scope"] == "bases:read catalogue:read"
    for more in ("bases:write", "bases:read operate", "nothing", "bases:read\tx"):
        signed = access_room.assertion(client, KEY)
        refused(http.post("/oauth/token", data=asking(signed, scope=more)), "invalid_scope")


@pytest.mark.parametrize(
    "grant",
    ["password", "refresh_token", "authorization_code", "urn:ietf:params:oauth:grant-type:jwt-bearer", 'x"'],
)
def test_other_grants_are_refused(access_room: AccessRoom, client: Client, http: Web, grant: str) -> None:
    signed = access_room.assertion(client, KEY)
    refused(http.post("/oauth/token", data=asking(signed, grant_type=grant)), "unsupported_grant_type")


@pytest.mark.parametrize("name", ["resource", "audience"])
def test_tokens_are_for_this_api_only(access_room: AccessRoom, client: Client, http: Web, name: str) -> None:
    signed = access_room.assertion(client, KEY)
    elsewhere = asking(signed, **{name: "https://other.example.org"})
    refused(http.post("/oauth/token", data=elsewhere), "invalid_target")
    here = asking(signed, **{name: f"{URL}/v1"})
    assert http.post("/oauth/token", data=here).status_code == 200


def test_nothing_is_taken_from_the_address(access_room: AccessRoom, client: Client, http: Web) -> None:
    form = asking(access_room.assertion(client, KEY))
    refused(http.post("/oauth/token", params=form), "invalid_request")
    refused(http.post("/oauth/token?x=1", data=form), "invalid_request")
    assert http.get("/oauth/token", params=form).status_code == 405


def test_a_malformed_form_is_refused(http: Web) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for content in (
        b"",
        b"grant_type",
        b"grant_type=%ff",
        b"\xff=1",
        b"grant_type=client_credentials&grant_type=client_credentials",
        b"&".join(b"a%d=1" % number for number in range(30)),
    ):
        refused(http.post("/oauth/token", content=content, headers=kind), "invalid_request")
    refused(http.post("/oauth/token", json={"grant_type": "client_credentials"}), "invalid_request")
    large = http.post("/oauth/token", content=b"a=" + b"b" * (64 << 10), headers=kind)
    refused(large, "invalid_request", status=413)


def test_two_methods_at_once_are_refused(access_room: AccessRoom, client: Client, http: Web) -> None:
    other, secret = access_room.secret_client()
    form = asking(access_room.assertion(client, KEY))
    refused(http.post("/oauth/token", data=form, headers=basic(other.id, secret)), "invalid_request")
    wrong_type = form | {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}
    refused(http.post("/oauth/token", data=wrong_type), "invalid_client", "assertion_type")


def test_after_too_many_failures_an_address_waits_for_that_client_alone(
    access_room: AccessRoom, client: Client, http: Web
) -> None:
    other, secret = access_room.secret_client()
    form = {"grant_type": "client_credentials"}
    for _ in range(10):
        refused(
            http.post("/oauth/token", data=form, headers=basic(other.id, "no")), "invalid_client", "", 401
        )
    slowed = http.post("/oauth/token", data=form, headers=basic(other.id, secret))
    refused(slowed, "temporarily_unavailable", status=429)
    assert 1 <= int(slowed.headers["Retry-After"]) <= 60
    assert http.post("/oauth/token", data=asking(access_room.assertion(client, KEY))).status_code == 200
    elsewhere = Web(http.app, address="192.0.2.7")
    assert elsewhere.post("/oauth/token", data=form, headers=basic(other.id, secret)).status_code == 200


def test_an_address_that_tries_many_clients_waits(http: Web) -> None:
    form = {"grant_type": "client_credentials"}
    answers = [
        http.post("/oauth/token", data=form, headers=basic(f"cl_{number}", "no")).status_code
        for number in range(61)
    ]
    assert answers == [401] * 60 + [429]


def test_no_token_secret_or_assertion_is_logged(
    access_room: AccessRoom, client: Client, http: Web, caplog: Any, capsys: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    other, secret = access_room.secret_client()
    signed = access_room.assertion(client, KEY)
    answers = [
        http.post("/oauth/token", data=asking(signed)),
        http.post("/oauth/token", data={"grant_type": "client_credentials"}, headers=basic(other.id, secret)),
    ]
    wrong = secret[:-1] + "~"
    http.post("/oauth/token", data={"grant_type": "client_credentials"}, headers=basic(other.id, wrong))
    http.post("/oauth/token", data=asking(signed))
    tokens = [answer.json()["access_token"] for answer in answers]
    http.post("/oauth/revoke", data=asking(access_room.assertion(client, KEY), token=tokens[0]))
    shown = capsys.readouterr()
    written = caplog.text + shown.out + shown.err
    assert "assertion_used_before" in written
    for text in (secret, wrong, signed, *tokens):
        assert text not in written
        assert text.rpartition(".")[2] not in written
    with access_room.room.db.reading() as tx:
        size = access_room.room.audit.size(tx)
        log = b"".join(access_room.room.audit.record(tx, index) for index in range(size)).decode()
    assert not any(text in log for text in (secret, signed, *tokens))


def test_only_header_algorithms_that_are_listed_are_published(http: Web) -> None:
    said = http.get("/.well-known/oauth-authorization-server").json()
    assert said["issuer"] == URL
    assert said["token_endpoint"] == f"{URL}/oauth/token"
    assert said["jwks_uri"] == f"{URL}/oauth/jwks"
    assert said["revocation_endpoint"] == f"{URL}/oauth/revoke"
    assert said["token_endpoint_auth_signing_alg_values_supported"] == [
        "ES256",
        "EdDSA",
        "Ed25519",
        "PS256",
        "RS256",
    ]
    assert said["token_endpoint_auth_methods_supported"] == ["private_key_jwt", "client_secret_basic"]
    assert said["grant_types_supported"] == ["client_credentials"]
    assert said["response_types_supported"] == []


def test_both_keys_are_published_while_a_rotation_overlaps(access_room: AccessRoom, client: Client) -> None:
    http = web(access_room)
    before = http.post("/oauth/token", data=asking(access_room.assertion(client, KEY))).json()["access_token"]
    access_room.room.token_keys.rotate(access_room.clock.now())
    after = http.post("/oauth/token", data=asking(access_room.assertion(client, KEY))).json()["access_token"]
    kids = [key["kid"] for key in http.get("/oauth/jwks").json()["keys"]]
    named = [jws.extract_compact(token.encode()).headers()["kid"] for token in (after, before)]
    assert kids == named
    for token in (before, after):
        assert access_room.room.access.authenticate(token).client_id == client.id
    access_room.clock.move(hours=2)
    assert [key["kid"] for key in http.get("/oauth/jwks").json()["keys"]] == named[:1]
