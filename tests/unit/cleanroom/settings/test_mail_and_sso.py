"""Settings of mail and of identity providers: what is taken, what is refused, and where secrets may stand."""

from pathlib import Path
from typing import Any

import pytest

from cleanroom.settings import SettingsError, load_settings

MAIL = {"CLEANROOM_MAIL_HOST": "smtp.example.org", "CLEANROOM_MAIL_FROM": "room@example.org"}
SSO = """
[sso.work]
issuer = "https://id.example.org/realms/work"
client_id = "room"
title = "Work account"
domains = ["Example.org"]
viewers = {"Example.org" = "org_1"}
second_factor_acr = ["gold"]
"""


def closed(path: Path, text: str, *, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_mail_is_off_until_a_relay_is_named(tmp_path: Path) -> None:
    assert load_settings({}, home=tmp_path).mail is None
    made = load_settings(MAIL, home=tmp_path).mail
    assert made is not None
    assert (made.host, made.port, made.security, made.user) == ("smtp.example.org", 587, "starttls", None)
    assert load_settings(MAIL | {"CLEANROOM_MAIL_SECURITY": "tls"}, home=tmp_path).mail.port == 465  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"CLEANROOM_MAIL_HOST": ""}, "CLEANROOM_MAIL_HOST"),
        ({"CLEANROOM_MAIL_HOST": "a host"}, "CLEANROOM_MAIL_HOST"),
        ({"CLEANROOM_MAIL_FROM": ""}, "CLEANROOM_MAIL_FROM"),
        ({"CLEANROOM_MAIL_FROM": "room@example.org\nBcc: x@example.org"}, "CLEANROOM_MAIL_FROM"),
        ({"CLEANROOM_MAIL_PORT": "0"}, "CLEANROOM_MAIL_PORT"),
        ({"CLEANROOM_MAIL_SECURITY": "ssl"}, "CLEANROOM_MAIL_SECURITY"),
        ({"CLEANROOM_MAIL_SECURITY": "none"}, "CLEANROOM_MAIL_SECURITY"),
        ({"CLEANROOM_MAIL_USER": "room"}, "CLEANROOM_MAIL_USER"),
        ({"CLEANROOM_MAIL_PASSWORD": "x"}, "CLEANROOM_MAIL_USER"),
    ],
)
def test_mail_that_would_not_work_is_refused_by_name(
    tmp_path: Path, changed: dict[str, str], named: str
) -> None:
    with pytest.raises(SettingsError, match=named):
        load_settings(MAIL | changed, home=tmp_path)


def test_plain_mail_is_for_this_machine(tmp_path: Path) -> None:
    for host in ("localhost", "127.0.0.1", "::1"):
        environ = MAIL | {"CLEANROOM_MAIL_HOST": host, "CLEANROOM_MAIL_SECURITY": "none"}
        made = load_settings(environ, home=tmp_path).mail
        assert made is not None
        assert made.port == 25


def test_a_password_comes_from_a_closed_file_or_the_environment_and_is_not_shown(tmp_path: Path) -> None:
    closed(tmp_path / "relay.password", "the password\n")
    environ = MAIL | {"CLEANROOM_MAIL_USER": "room", "CLEANROOM_MAIL_PASSWORD_FILE": "relay.password"}
    made = load_settings(environ, home=tmp_path)
    assert made.mail is not None
    assert made.mail.password == "the password"
    assert "the password" not in repr(made)
    both = load_settings(environ | {"CLEANROOM_MAIL_PASSWORD": "another"}, home=tmp_path).mail
    assert both is not None
    assert both.password == "another"


@pytest.mark.parametrize(("mode", "text"), [(0o640, "x"), (0o604, "x"), (0o600, ""), (0o600, "x" * 1001)])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int, text: str) -> None:
    closed(tmp_path / "secret", text, mode=mode)
    environ = MAIL | {"CLEANROOM_MAIL_USER": "room", "CLEANROOM_MAIL_PASSWORD_FILE": "secret"}
    with pytest.raises(SettingsError, match="CLEANROOM_MAIL_PASSWORD") as refused:
        load_settings(environ, home=tmp_path)
    assert str(tmp_path) not in str(refused.value)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(environ | {"CLEANROOM_MAIL_PASSWORD_FILE": "none"}, home=tmp_path)


@pytest.mark.parametrize("line", ['mail_password = "x"', '[sso.work]\nclient_secret = "x"'])
def test_no_secret_stands_in_the_settings_file(tmp_path: Path, line: str) -> None:
    (tmp_path / "cleanroom.toml").write_text(line)
    with pytest.raises(SettingsError, match="unknown setting"):
        load_settings({}, home=tmp_path)


def test_an_identity_provider(tmp_path: Path) -> None:
    (tmp_path / "cleanroom.toml").write_text(SSO + 'client_secret_file = "sso.secret"\n')
    closed(tmp_path / "sso.secret", "between us")
    made = load_settings({}, home=tmp_path)
    (work,) = made.sso
    assert (work.name, work.title, work.client_secret) == ("work", "Work account", "between us")
    assert (work.domains, dict(work.viewers)) == ({"example.org"}, {"example.org": "org_1"})
    assert (work.trust_second_factor, work.second_factor_acr) == (False, {"gold"})
    assert "between us" not in repr(made)
    (work,) = load_settings({"CLEANROOM_SSO_WORK_CLIENT_SECRET": "newer"}, home=tmp_path).sso
    assert work.client_secret == "newer"
    (tmp_path / "cleanroom.toml").write_text(SSO)
    assert load_settings({}, home=tmp_path).sso[0].client_secret is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[sso.work]", "[sso.Work_1]"),
        ("[sso.work]", "[sso]\nwork = 1\n[unused]"),
        ('"https://id.example.org/realms/work"', '"http://id.example.org"'),
        ('"https://id.example.org/realms/work"', '"https://id.example.org/?x=1"'),
        ('"https://id.example.org/realms/work"', '"https://user@id.example.org"'),
        ('client_id = "room"', ""),
        ('"Work account"', f'"{"x" * 61}"'),
        ('["Example.org"]', '"example.org"'),
        ('["Example.org"]', '["no domain"]'),
        ('{"Example.org" = "org_1"}', '{"Example.org" = 1}'),
        ('["gold"]', "[1]"),
        ('title = "Work account"', 'trust_second_factor = "yes"'),
        ('title = "Work account"', "colour = 1"),
    ],
)
def test_an_identity_provider_that_would_not_work_is_refused(tmp_path: Path, before: str, after: str) -> None:
    assert before in SSO
    (tmp_path / "cleanroom.toml").write_text(SSO.replace(before, after))
    with pytest.raises(SettingsError):
        load_settings({}, home=tmp_path)


@pytest.mark.parametrize(
    ("given", "required"), [({}, False), ({"CLEANROOM_REQUIRE_SECOND_FACTOR": "true"}, True)]
)
def test_a_second_factor_may_be_required_of_everybody(
    tmp_path: Path, given: dict[str, Any], required: bool
) -> None:
    assert load_settings(given, home=tmp_path).require_second_factor is required
