"""Who a token lets in, and for whom a caller acts."""

from datetime import timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from cleanroom.access.errors import (
    AdvertiserMissingError,
    InsufficientScopeError,
    InvalidTokenError,
    MandateLimitError,
    UnknownAdvertiserError,
)
from cleanroom.accounts.errors import MandateError, OrganisationOffboardedError
from cleanroom.accounts.types import AgencyAction, MandateLimits
from crypto.keys import KeyFileExposedError
from tests.access_rooms import URL, AccessRoom, unsigned

NOW = 1_795_348_800


def forged(room: AccessRoom, *, header: dict[str, Any] | None = None, **changed: Any) -> str:
    """A token that the room's own key signed, with something wrong in it."""
    kid, key = room.room.token_keys.signing_key()
    client, _ = room.secret_client()
    claims: dict[str, Any] = {
        "iss": URL,
        "aud": f"{URL}/v1",
        "sub": client.id,
        "client_id": client.id,
        "scope": "catalogue:read",
        "jti": "tok_1",
        "iat": NOW,
        "exp": NOW + 600,
    } | changed
    head = {"alg": "ES256", "typ": "at+jwt", "kid": kid} | (header or {})
    return jwt.encode(head, claims, key, algorithms=["ES256"])


def test_the_forger_of_these_tests_makes_good_tokens_when_nothing_is_wrong(access_room: AccessRoom) -> None:
    assert access_room.room.access.authenticate(forged(access_room)).scopes == {"catalogue:read"}


@pytest.mark.parametrize(
    ("header", "changed", "reason"),
    [
        ({"typ": "JWT"}, {}, "wrong_type"),
        ({"kid": "gone"}, {}, "unknown_key"),
        ({}, {"iss": "https://other.example.org"}, "wrong_issuer"),
        ({}, {"aud": URL}, "wrong_audience"),
        ({}, {"aud": [f"{URL}/v1", "https://other.example.org"]}, "wrong_audience"),
        ({}, {"exp": NOW - 1}, "expired"),
        ({}, {"exp": "soon"}, "malformed"),
        ({}, {"exp": 10**30}, "malformed"),
        ({}, {"iat": NOW + 3600}, "not_yet_valid"),
        ({}, {"sub": "cl_other"}, "malformed"),
        ({}, {"scope": ["catalogue:read"]}, "malformed"),
        ({}, {"jti": None}, "malformed"),
        ({}, {"sub": "cl_none", "client_id": "cl_none"}, "client_revoked"),
    ],
)
def test_a_token_with_something_wrong_lets_nobody_in(
    access_room: AccessRoom, header: dict[str, Any], changed: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidTokenError) as refused:
        access_room.room.access.authenticate(forged(access_room, header=header, **changed))
    assert refused.value.reason == reason


def test_a_token_that_another_key_or_nobody_signed_lets_nobody_in(access_room: AccessRoom) -> None:
    head, payload, signature = forged(access_room).split(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    stranger = ECKey.generate_key("P-256")
    kid = access_room.room.token_keys.signing_key()[0]
    claims = {"iss": URL, "aud": f"{URL}/v1"}
    for token, reason in (
        (f"{head}.{payload}.{flipped}", "bad_signature"),
        (jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": kid}, claims, stranger), "bad_signature"),
        (unsigned({"alg": "none", "typ": "at+jwt", "kid": kid}, claims), "wrong_algorithm"),
        ("x" * 9000, "malformed"),
        ("", "malformed"),
    ):
        with pytest.raises(InvalidTokenError) as refused:
            access_room.room.access.authenticate(token)
        assert refused.value.reason == reason
        assert not token or token not in str(refused.value)


def test_a_token_ends_after_its_minutes(access_room: AccessRoom) -> None:
    client, _ = access_room.secret_client()
    token = access_room.room.access.issue_token(client).value
    access_room.clock.move(seconds=599)
    assert access_room.room.access.authenticate(token).client_id == client.id
    access_room.clock.move(seconds=1)
    with pytest.raises(InvalidTokenError, match="expired"):
        access_room.room.access.authenticate(token)


def test_nobody_gets_more_scopes_than_the_client_has(access_room: AccessRoom) -> None:
    client, _ = access_room.secret_client(role="viewer")
    for asked in (["bases:write"], [*client.scopes, "operate"], []):
        with pytest.raises(InsufficientScopeError):
            access_room.room.access.issue_token(client, asked)
    assert access_room.room.access.issue_token(client, ["bases:read"]).scopes == {"bases:read"}


def test_every_token_ends_when_rotation_leaves_no_overlap(access_room: AccessRoom) -> None:
    client, _ = access_room.secret_client()
    token = access_room.room.access.issue_token(client).value
    # Its signature is known to be good by now; it ends all the same.
    assert access_room.room.access.authenticate(token).client_id == client.id
    with access_room.room.db.transaction() as tx:
        access_room.room.access.rotate_token_keys(tx, overlap=timedelta(0))
    with pytest.raises(InvalidTokenError, match="unknown_key"):
        access_room.room.access.authenticate(token)
    assert access_room.principal(client).client_id == client.id
    assert len(access_room.events("access.token_keys_rotated")) == 1


def test_keys_that_others_can_read_are_refused(access_room: AccessRoom) -> None:
    path = access_room.room.settings.token_keys_path
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(KeyFileExposedError):
        access_room.room.token_keys.signing_key()


def test_an_advertiser_acts_for_itself_alone(access_room: AccessRoom) -> None:
    advertiser, other = access_room.party(), access_room.party("advertiser", "other")
    caller = access_room.principal(access_room.secret_client()[0])
    with access_room.room.db.reading() as tx:
        for named in (None, advertiser.id):
            acting = access_room.room.access.acting(tx, caller, named, scope="analyses:run")
            assert (acting.advertiser_id, acting.agency_id) == (advertiser.id, None)
            acting.require_purpose("anything")
        for named in (other.id, "org_none"):
            with pytest.raises(UnknownAdvertiserError):
                access_room.room.access.acting(tx, caller, named)


def test_a_provider_acts_for_no_advertiser(access_room: AccessRoom) -> None:
    advertiser = access_room.party()
    caller = access_room.principal(access_room.secret_client(party=access_room.party("provider"))[0])
    with access_room.room.db.reading() as tx, pytest.raises(UnknownAdvertiserError):
        access_room.room.access.acting(tx, caller, advertiser.id)


def test_an_agency_acts_within_the_limits_of_its_mandate_while_it_stands(access_room: AccessRoom) -> None:
    advertiser, agency = access_room.party(), access_room.party("agency")
    access = access_room.room.access
    caller = access_room.principal(access_room.secret_client(party=agency)[0])
    limits = MandateLimits(
        purposes=("advertising",),
        actions=frozenset({AgencyAction.ASK}),
        cap_minor=1_000_000,
        cap_currency="RUB",
    )
    with access_room.room.db.transaction() as tx:
        with pytest.raises(UnknownAdvertiserError) as unmandated:
            access.acting(tx, caller, advertiser.id)
        with pytest.raises(UnknownAdvertiserError) as unknown:
            access.acting(tx, caller, "org_none")
        assert str(unmandated.value) == str(unknown.value)
        mandate = access_room.room.accounts.grant_mandate(
            tx, agency_id=agency.id, advertiser_id=advertiser.id, limits=limits
        )
        with pytest.raises(AdvertiserMissingError):
            access.acting(tx, caller, None)
        acting = access.acting(tx, caller, advertiser.id, scope="analyses:run")
        assert (acting.advertiser_id, acting.agency_id) == (advertiser.id, agency.id)
        assert acting.mandate is not None
        assert acting.mandate.limits == limits
        acting.require_purpose("advertising")
        with pytest.raises(MandateLimitError):
            acting.require_purpose("research")
        for scope in ("bases:write", "requests:write"):
            with pytest.raises(MandateLimitError):
                access.acting(tx, caller, advertiser.id, scope=scope)
        with pytest.raises(MandateError, match="within that term"):
            access_room.room.accounts.grant_mandate(tx, agency_id=agency.id, advertiser_id=advertiser.id)
        access_room.room.accounts.revoke_mandate(tx, mandate.id)
        with pytest.raises(UnknownAdvertiserError):
            access.acting(tx, caller, advertiser.id)
        access_room.room.accounts.grant_mandate(tx, agency_id=agency.id, advertiser_id=advertiser.id)
        assert access.acting(tx, caller, advertiser.id, scope="bases:write").mandate is not None


def test_whoever_leaves_is_let_in_no_more_and_gets_nothing_new(access_room: AccessRoom) -> None:
    room = access_room.room
    advertiser, agency = access_room.party(), access_room.party("agency")
    client, secret = access_room.secret_client()
    token = room.access.issue_token(client).value
    with room.db.transaction() as tx:
        user = room.access.users.invite(
            tx, organisation_id=advertiser.id, email="A@example.org", role="owner"
        ).user
        mandate = room.accounts.grant_mandate(tx, agency_id=agency.id, advertiser_id=advertiser.id)
        workspace = room.workspaces.create_workspace(tx, organisation_id=advertiser.id, name="w")
        key_id = room.accounts.enrol_key(tx, advertiser.id, b"k" * 32)
    with room.db.transaction() as tx:
        left = room.offboarding.leave(tx, advertiser.id)
    assert (left.clients, left.users, left.workspaces_kept) == ((client.id,), (user.id,), (workspace.id,))
    with pytest.raises(InvalidTokenError):
        room.access.authenticate(token)
    with pytest.raises(Exception, match="not_recognised"):
        room.access.client_by_secret(client.id, secret)
    with room.db.transaction() as tx:
        assert key_id not in room.accounts.enrolled_keys(tx, advertiser.id)
        assert room.accounts.mandates(tx, advertiser.id)[0].revoked_at is not None
        assert room.access.users.of(tx, advertiser.id)[0].disabled_at is not None
        for again in (
            lambda: room.access.clients.register(tx, organisation_id=advertiser.id, name="n", role="owner"),
            lambda: room.access.users.invite(
                tx, organisation_id=advertiser.id, email="b@example.org", role="owner"
            ),
            lambda: room.accounts.grant_mandate(tx, agency_id=agency.id, advertiser_id=advertiser.id),
            lambda: room.accounts.enrol_key(tx, advertiser.id, b"l" * 32),
        ):
            with pytest.raises(OrganisationOffboardedError):
                again()
        assert room.offboarding.leave(tx, advertiser.id).clients == ()
        destroyed = room.offboarding.leave(tx, advertiser.id, destroy_workspaces=True)
        assert destroyed.workspaces_destroyed == (workspace.id,)
    for kind in ("accounts.organisation_offboarded", "access.client_revoked", "access.user_disabled"):
        assert len(access_room.events(kind)) == 1
    assert len(access_room.events("accounts.mandate_revoked")) == 1
    assert mandate.id
    assert "example.org" not in str(access_room.events("access.user_invited"))
