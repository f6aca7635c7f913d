"""Which clients and which keys the room takes."""

import warnings
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from cleanroom.access.errors import ClientKeyError, ClientRegistrationError, UnknownScopeError
from cleanroom.access.models import ClientSecretRow
from cleanroom.access.scopes import ROLES, SCOPES, scopes_of_kind
from cleanroom.accounts.types import OrganisationKind
from tests.access_rooms import AccessRoom, key_set

KEY = ECKey.generate_key("P-256")


def small_rsa_key() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(RSAKey.generate_key(1024).as_dict(private=False))


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"keys": []},
        {"keys": ["x"]},
        {"keys": [KEY.as_dict(private=True)]},
        {"keys": [OctKey.generate_key(256).as_dict()]},
        {"keys": [ECKey.generate_key("P-384").as_dict(private=False)]},
        {"keys": [OKPKey.generate_key("X25519").as_dict(private=False)]},
        {"keys": [small_rsa_key()]},
        {"keys": [{**KEY.as_dict(private=False), "x": "AA"}]},
        {"keys": [{**KEY.as_dict(private=False), "use": "enc"}]},
        {"keys": [{**KEY.as_dict(private=False), "alg": "HS256"}]},
        {"keys": [{**KEY.as_dict(private=False), "kid": 7}]},
        {"keys": [{**KEY.as_dict(private=False), "kid": "k" * 201}]},
        {"keys": [{**ECKey.generate_key("P-256").as_dict(private=False), "kid": "k"} for _ in range(2)]},
        {"keys": [ECKey.generate_key("P-256").as_dict(private=False) for _ in range(11)]},
    ],
)
@pytest.mark.filterwarnings("ignore:Key size should be:joserfc.errors.SecurityWarning")
def test_a_key_that_is_not_fit_to_sign_assertions_is_refused(
    access_room: AccessRoom, keys: dict[str, Any]
) -> None:
    with access_room.room.db.transaction() as tx, pytest.raises(ClientKeyError):
        access_room.room.access.clients.register(
            tx, organisation_id=access_room.party().id, name="n", role="owner", key_set=keys
        )


def test_no_two_clients_sign_with_the_same_key_and_none_comes_back(access_room: AccessRoom) -> None:
    clients = access_room.room.access.clients
    first = access_room.key_client(KEY)
    with pytest.raises(ClientKeyError):
        access_room.key_client(KEY)
    with access_room.room.db.transaction() as tx:
        new = key_set(ECKey.generate_key("P-256"))
        clients.rotate(tx, first.id, old_ends_at=access_room.clock.now(), key_set=new)
        with pytest.raises(ClientKeyError):
            clients.rotate(tx, first.id, old_ends_at=access_room.clock.now(), key_set=key_set(KEY))


def test_a_secret_is_stored_as_a_hash_and_ends_with_its_overlap(access_room: AccessRoom) -> None:
    room = access_room.room
    client, secret = access_room.secret_client()
    with room.db.transaction() as tx:
        stored = tx.session.query(ClientSecretRow).one()
        assert secret.encode() not in stored.digest
        assert len(stored.digest) == 32
        new = room.access.clients.rotate(
            tx, client.id, old_ends_at=access_room.clock.now().replace(hour=13)
        ).secret
    assert new is not None
    assert new != secret
    for good in (secret, new):
        assert room.access.client_by_secret(client.id, good).id == client.id
    access_room.clock.move(hours=1)
    assert room.access.client_by_secret(client.id, new).id == client.id
    with pytest.raises(Exception, match="not_recognised"):
        room.access.client_by_secret(client.id, secret)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"role": "data_manager"}, UnknownScopeError),
        ({"role": None, "scopes": ["operate"]}, UnknownScopeError),
        ({"role": None, "scopes": []}, UnknownScopeError),
        ({"role": "owner", "scopes": ["bases:read"]}, ClientRegistrationError),
        ({"role": None}, ClientRegistrationError),
        ({"name": "  "}, ClientRegistrationError),
    ],
)
def test_a_client_has_a_role_or_scopes_of_its_kind(
    access_room: AccessRoom, changed: dict[str, Any], error: type[Exception]
) -> None:
    given = {"name": "n", "role": "owner"} | changed
    with access_room.room.db.transaction() as tx, pytest.raises(error):
        access_room.room.access.clients.register(tx, organisation_id=access_room.party().id, **given)


def test_roles_never_pass_what_their_kind_can_have() -> None:
    assert "operate" in SCOPES
    for kind in OrganisationKind:
        if kind is not OrganisationKind.OPERATOR:
            assert "operate" not in scopes_of_kind(kind)
            assert ROLES[kind]["owner"] == scopes_of_kind(kind)
    assert "mandates:write" not in scopes_of_kind(OrganisationKind.AGENCY)
    assert not scopes_of_kind(OrganisationKind.PROVIDER) & {"bases:write", "analyses:run", "requests:write"}
    assert not scopes_of_kind(OrganisationKind.ADVERTISER) & {"datasets:write", "requests:decide"}
