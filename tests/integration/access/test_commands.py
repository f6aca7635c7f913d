"""`cleanroom org|user|client|mandate|keys`: a room is set up without a browser, and secrets are shown once."""

import json
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from cleanroom.bootstrap import open_room
from cleanroom.cli.main import EXIT_KNOWN_ERROR, main
from cleanroom.settings import load_settings
from tests.access_rooms import AccessRoom
from tests.rooms import MovableClock


class Shell:
    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self._capsys = home, capsys

    def run(self, *words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--home", str(self.home)])
        captured = self._capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    def fails(self, *words: str) -> tuple[int, str]:
        code, out, err = self.run(*words)
        return code, out + err

    def text(self, *words: str) -> str:
        code, out, err = self.run(*words)
        assert code == 0, err
        return out

    def json(self, *words: str) -> Any:
        return json.loads(self.text(*words, "--json"))


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "home", capsys)


def test_a_room_is_set_up_from_nothing_to_a_client_that_gets_in(shell: Shell, tmp_path: Path) -> None:
    code, text = shell.fails("org", "add", "Brand", "--kind", "advertiser")
    assert code == EXIT_KNOWN_ERROR
    assert "bootstrap.room_missing" in text
    brand = shell.json("org", "add", "Brand", "--kind", "advertiser", "--init")["id"]
    agency = shell.text("org", "add", "Agency", "--kind", "agency").strip()
    shell.text("org", "verify", brand, "--note", "Register extract of 1 November")
    assert {one["id"]: one["verified_at"] is not None for one in shell.json("org", "list")} == {
        brand: True,
        agency: False,
    }

    with_secret = shell.json("client", "add", "etl", "--org", brand, "--role", "analyst")
    key_path = tmp_path / "client.jwk"
    with_key = shell.json(
        "client", "add", "crm", "--org", brand, "--scope", "bases:read", "--generate-key", str(key_path)
    )
    assert "secret" not in with_key
    assert key_path.stat().st_mode & 0o777 == 0o600
    assert with_secret["secret"] not in shell.text("client", "list", "--json")
    private = ECKey.import_key(json.loads(key_path.read_text()))
    room = open_room(load_settings({"CLEANROOM_PUBLIC_URL": "https://room.example.org"}, home=shell.home))
    try:
        one = AccessRoom(room, MovableClock(room.clock.now()))
        with room.db.reading() as tx:
            keyed = room.access.clients.client(tx, with_key["id"])
        assert room.access.client_by_assertion(one.assertion(keyed, private)).id == with_key["id"]
        assert room.access.client_by_secret(with_secret["id"], with_secret["secret"]).id == with_secret["id"]
    finally:
        room.close()

    code, text = shell.fails("client", "rotate", with_key["id"], "--generate-key", str(key_path))
    assert (code, "cli.client_key" in text) == (EXIT_KNOWN_ERROR, True)
    assert ECKey.import_key(json.loads(key_path.read_text())).thumbprint() == private.thumbprint()
    second = tmp_path / "second.jwk"
    code, _ = shell.fails("client", "rotate", with_secret["id"], "--generate-key", str(second))
    assert (code, second.exists()) == (EXIT_KNOWN_ERROR, False)
    renewed = shell.text("client", "rotate", with_secret["id"], "--overlap-hours", "0")
    assert "SECRET crs_" in renewed
    assert with_secret["secret"] not in renewed
    shell.text("client", "revoke", with_key["id"])
    assert [one["revoked_at"] is not None for one in shell.json("client", "list", "--org", brand)] == [
        False,
        True,
    ]


def test_users_mandates_and_departures(shell: Shell) -> None:
    brand = shell.json("org", "add", "Brand", "--kind", "advertiser", "--init")["id"]
    agency = shell.json("org", "add", "Agency", "--kind", "agency")["id"]
    user = shell.json("user", "invite", "Ann@Example.org", "--org", brand, "--role", "owner")
    assert user["invitation"].startswith("inv_")
    assert user["link"].endswith("/invitation/" + user["invitation"])
    assert user["email"] == "ann@example.org"
    assert user["invitation"] not in shell.text("user", "list", "--json")
    _, out, err = shell.run("user", "invite", "bo@example.org", "--org", agency, "--role", "viewer")
    assert "LINK http://127.0.0.1:8000/invitation/" in out
    assert "CLEANROOM_PUBLIC_URL says nothing else" in err
    code, text = shell.fails("user", "invite", "ann@example.org", "--org", brand, "--role", "owner")
    assert (code, "access.bad_user" in text) == (EXIT_KNOWN_ERROR, True)
    code, text = shell.fails("user", "reset-password", user["id"])
    assert (code, "access.unknown_user" in text) == (EXIT_KNOWN_ERROR, True)
    room = open_room(load_settings({}, home=shell.home))
    try:
        let_in = room.signin.accept(user["invitation"], "seven quiet herons wade", agent="")
        reset = shell.json("user", "reset-password", user["id"], "--drop-second-factor")["link"]
        room.signin.reset(reset.rpartition("/reset/")[2], "eleven patient otters")
        assert room.signin.member(let_in.token) is None
        let_in = room.signin.sign_in(user["email"], "eleven patient otters", address="::1", agent="")
        shell.text("user", "disable", user["id"])
        assert room.signin.member(let_in.token) is None
    finally:
        room.close()

    parties = ("--agency", agency, "--advertiser", brand)
    limits = (
        "--purpose",
        "advertising",
        "--deny",
        "upload",
        "--cap-minor",
        "500000",
        "--cap-currency",
        "RUB",
    )
    mandate = shell.json("mandate", "grant", *parties, *limits, "--until", "2100-01-01")
    assert mandate["actions"] == ["ask", "request"]
    assert mandate["cap"] == {"minor": 500_000, "currency": "RUB"}
    assert mandate["purposes"] == ["advertising"]
    shell.text("mandate", "revoke", mandate["id"])
    assert shell.json("mandate", "list", "--org", brand)[0]["revoked_at"] is not None
    code, text = shell.fails("mandate", "grant", *parties, "--cap-minor", "5")
    assert (code, "accounts.bad_mandate" in text) == (EXIT_KNOWN_ERROR, True)

    assert shell.text("keys", "rotate-tokens").startswith("ROTATED ")
    left = shell.json("org", "offboard", brand)
    assert left == {
        "organisation_id": brand,
        "clients": [],
        "users": [],
        "webhooks": [],
        "grants": [],
        "entitlements": [],
        "requests": [],
        "listings": [],
        "workspaces_destroyed": [],
        "workspaces_kept": [],
    }
    code, text = shell.fails("client", "add", "etl", "--org", brand, "--role", "owner")
    assert (code, "accounts.offboarded" in text) == (EXIT_KNOWN_ERROR, True)
