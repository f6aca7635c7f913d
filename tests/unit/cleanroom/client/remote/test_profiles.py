import stat
from pathlib import Path

import pytest

from cleanroom.client.remote.problems import ConfigurationError
from cleanroom.client.remote.profiles import FILE, Profile, load_profile, save_profile

SAVED = Profile("https://room.example.org", "cl_1", client_secret="hidden", verifier_key="v+1+k")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"CLEANROOM_CONFIG_DIR": str(tmp_path / "config")}


def test_a_profile_is_kept_for_its_owner_alone(environ: dict[str, str]) -> None:
    path = save_profile("default", SAVED, environ=environ)
    save_profile("other", Profile("https://other.example.org", "cl_2"), environ=environ)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_profile(environ=environ) == SAVED
    assert load_profile("other", environ=environ).client_id == "cl_2"
    assert "hidden" not in repr(SAVED)


def test_arguments_win_over_the_environment_and_that_over_the_profile(environ: dict[str, str]) -> None:
    save_profile("default", SAVED, environ=environ)
    environ |= {"CLEANROOM_CLIENT_ID": "cl_env", "CLEANROOM_CLIENT_KEY": "/key.json"}
    found = load_profile(environ=environ, client_id="cl_arg")
    assert (found.client_id, found.client_key, found.client_secret) == ("cl_arg", "/key.json", "")


def test_another_room_does_not_inherit_the_key_that_proves_receipts(environ: dict[str, str]) -> None:
    save_profile("default", SAVED, environ=environ)
    assert load_profile(environ=environ, url=SAVED.url + "/").verifier_key == "v+1+k"
    assert load_profile(environ=environ, url="https://other.example.org").verifier_key == ""


def test_a_file_that_others_may_read_is_refused(environ: dict[str, str]) -> None:
    path = save_profile("default", SAVED, environ=environ)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="Others may read"):
        load_profile(environ=environ)


@pytest.mark.parametrize("text", ["x", "[default]\nurl = 1\n", '[default]\nunknown = "x"\n'])
def test_a_malformed_file_is_told(environ: dict[str, str], text: str) -> None:
    path = save_profile("default", SAVED, environ=environ)
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=FILE):
        load_profile(environ=environ)


def test_what_is_missing_is_told(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="No room"):
        load_profile(environ=environ)
    with pytest.raises(ConfigurationError, match="no profile"):
        load_profile("absent", environ=environ)
    with pytest.raises(ConfigurationError, match="key or its secret"):
        Profile("https://room.example.org", "cl_1").credential()
