"""Ending an access token before its time."""

import pytest
from joserfc.jwk import ECKey

from cleanroom.access.errors import InvalidTokenError
from tests.access_rooms import AccessRoom, asking, web

KEY, OTHER_KEY = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")


def test_a_revoked_token_is_good_no_more_and_the_others_are(access_room: AccessRoom) -> None:
    client = access_room.key_client(KEY)
    first, second = (access_room.room.access.issue_token(client).value for _ in range(2))
    for _ in range(2):
        form = asking(access_room.assertion(client, KEY), token=first, token_type_hint="refresh_token")
        answer = web(access_room).post("/oauth/revoke", data=form)
        assert (answer.status_code, answer.json()) == (200, {})
        with pytest.raises(InvalidTokenError, match="revoked"):
            access_room.room.access.authenticate(first)
    assert access_room.room.access.authenticate(second).client_id == client.id
    assert len(access_room.events("access.token_revoked")) == 1


def test_the_token_of_another_client_stays(access_room: AccessRoom) -> None:
    client, other = access_room.key_client(KEY), access_room.key_client(OTHER_KEY)
    token = access_room.room.access.issue_token(other).value
    answer = web(access_room).post(
        "/oauth/revoke", data=asking(access_room.assertion(client, KEY), token=token)
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert access_room.room.access.authenticate(token).client_id == other.id


def test_a_token_that_is_none_is_no_error_but_a_missing_one_is(access_room: AccessRoom) -> None:
    client = access_room.key_client(KEY)
    http = web(access_room)
    for token in ("nothing", "a.b.c", "ключ"):
        form = asking(access_room.assertion(client, KEY), token=token)
        assert http.post("/oauth/revoke", data=form).status_code == 200
    answer = http.post("/oauth/revoke", data=asking(access_room.assertion(client, KEY)))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_nobody_revokes_without_proving_who_they_are(access_room: AccessRoom) -> None:
    client = access_room.key_client(KEY)
    token = access_room.room.access.issue_token(client).value
    for form in ({"token": token}, {"token": token, "client_id": client.id}):
        answer = web(access_room).post("/oauth/revoke", data=form)
        assert answer.json()["error"] == "invalid_client"
    assert access_room.room.access.authenticate(token).client_id == client.id
    in_address = web(access_room).post(
        f"/oauth/revoke?token={token}", data=asking(access_room.assertion(client, KEY))
    )
    assert in_address.json()["error"] == "invalid_request"
