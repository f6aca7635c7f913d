"""Settings come from the environment and one file, and say what is wrong with them."""

from pathlib import Path

import pytest

from cleanroom.settings import SettingsError, load_settings


def test_a_home_alone_is_enough(tmp_path: Path) -> None:
    settings = load_settings({}, home=tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path / 'room.sqlite3'}"
    assert settings.origin == "room.local/cleanroom"
    assert settings.memory_bytes == 1 << 30
    assert settings.cache_bytes == 1 << 30
    assert settings.verifier_key_path == tmp_path / "keys" / "verifier.key"
    assert settings.objects_dir == tmp_path / "objects"
    assert settings.receipts_dir == tmp_path / "receipts"
    assert settings.uploads_path == tmp_path / "uploads"
    assert (settings.upload_max_bytes, settings.upload_days, settings.uploads_open) == (64 << 30, 7, 20)
    assert settings.head_path == tmp_path / "keys" / "log.head"
    assert settings.allocations_path == tmp_path / "keys" / "allocations.jsonl"


@pytest.mark.parametrize(("given", "place"), [("/other/disk", "/other/disk"), ("near", "{home}/near")])
def test_the_witness_may_lie_on_another_disk(tmp_path: Path, given: str, place: str) -> None:
    settings = load_settings({"CLEANROOM_WITNESS_DIR": given}, home=tmp_path)
    expected = Path(place.format(home=tmp_path))
    assert settings.head_path == expected / "log.head"
    assert settings.allocations_path == expected / "allocations.jsonl"


def test_uploads_may_lie_on_another_disk_under_other_limits(tmp_path: Path) -> None:
    environ = {
        "CLEANROOM_UPLOADS_DIR": "/large/disk",
        "CLEANROOM_UPLOAD_MAX_BYTES": "5000000",
        "CLEANROOM_UPLOAD_DAYS": "1",
        "CLEANROOM_UPLOADS_OPEN": "3",
    }
    settings = load_settings(environ, home=tmp_path)
    assert settings.uploads_path == Path("/large/disk")
    assert (settings.upload_max_bytes, settings.upload_days, settings.uploads_open) == (5_000_000, 1, 3)


def test_nothing_is_created_by_reading(tmp_path: Path) -> None:
    load_settings({}, home=tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_the_environment_wins_over_the_file_and_the_argument_over_both(tmp_path: Path) -> None:
    (tmp_path / "cleanroom.toml").write_text('origin = "from.file/log"\nmemory_bytes = 100000000\n')
    environ = {"CLEANROOM_HOME": "/elsewhere", "CLEANROOM_ORIGIN": "from.environment/log"}
    settings = load_settings(environ, home=tmp_path)
    assert settings.home == tmp_path
    assert settings.origin == "from.environment/log"
    assert settings.memory_bytes == 100_000_000


def test_a_room_may_keep_no_columns_between_questions(tmp_path: Path) -> None:
    assert load_settings({"CLEANROOM_CACHE_BYTES": "0"}, home=tmp_path).cache_bytes == 0


def test_the_home_comes_from_the_environment(tmp_path: Path) -> None:
    assert load_settings({"CLEANROOM_HOME": str(tmp_path)}).home == tmp_path


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_means_the_installed_driver(tmp_path: Path, scheme: str) -> None:
    settings = load_settings({"CLEANROOM_DATABASE_URL": f"{scheme}://u@h/d"}, home=tmp_path)
    assert settings.database_url == "postgresql+psycopg://u@h/d"


def test_a_missing_home_names_the_variable() -> None:
    with pytest.raises(SettingsError, match="CLEANROOM_HOME"):
        load_settings({})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CLEANROOM_DATABASE_URL", "mysql://secret-password@h/d"),
        ("CLEANROOM_ORIGIN", "two words"),
        ("CLEANROOM_ORIGIN", "a+b"),
        ("CLEANROOM_ORIGIN", "x" * 256),
        ("CLEANROOM_MEMORY_BYTES", "much"),
        ("CLEANROOM_MEMORY_BYTES", "1024"),
        ("CLEANROOM_CACHE_BYTES", "-7"),
        ("CLEANROOM_CACHE_BYTES", "half of it"),
        ("CLEANROOM_WITNESS_DIR", "a\0b"),
        ("CLEANROOM_UPLOADS_DIR", "a\0b"),
        ("CLEANROOM_UPLOAD_MAX_BYTES", "many"),
        ("CLEANROOM_UPLOAD_DAYS", "one week"),
        ("CLEANROOM_UPLOADS_OPEN", "10001"),
    ],
)
def test_a_bad_value_names_the_variable_and_not_the_value(tmp_path: Path, variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable) as caught:
        load_settings({variable: value}, home=tmp_path)
    assert caught.value.remedy
    assert value not in str(caught.value)


@pytest.mark.parametrize("content", [b"origin = ", b"\xff\xfe"])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cleanroom.toml").write_bytes(content)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings({}, home=tmp_path)


def test_an_unknown_setting_in_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cleanroom.toml").write_text('orign = "typo"\n')
    with pytest.raises(SettingsError, match="unknown setting orign"):
        load_settings({}, home=tmp_path)


def test_an_origin_in_the_file_must_be_text(tmp_path: Path) -> None:
    (tmp_path / "cleanroom.toml").write_text("origin = 7\n")
    with pytest.raises(SettingsError, match="CLEANROOM_ORIGIN"):
        load_settings({}, home=tmp_path)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PUBLIC_URL", "http://room.example.org"),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://user@room.example.org"),
        ("PUBLIC_URL", "https://room.example.org/?a=1"),
        ("PUBLIC_URL", "room.example.org"),
        ("TOKEN_MINUTES", "0"),
        ("TOKEN_MINUTES", "61"),
        ("TOKEN_MINUTES", "1.5"),
        ("ALLOW_CLIENT_SECRET", "maybe"),
    ],
)
def test_settings_of_access_that_would_be_unsafe_are_refused(
    tmp_path: Path, variable: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=f"CLEANROOM_{variable}"):
        load_settings({f"CLEANROOM_{variable}": value}, home=tmp_path)


def test_tokens_may_travel_in_the_open_on_the_machine_itself_alone(tmp_path: Path) -> None:
    for url in (
        "http://127.0.0.1:8000",
        "http://localhost:9",
        "http://[::1]:8000",
        "https://room.example.org/",
    ):
        settings = load_settings({"CLEANROOM_PUBLIC_URL": url}, home=tmp_path)
        assert settings.public_url == url.rstrip("/")


def test_what_the_marketplace_goes_by_is_checked(tmp_path: Path) -> None:
    plain = load_settings({}, home=tmp_path)
    assert (plain.billing_zone, plain.operator_fee_bp, plain.listing_review) == ("UTC", 0, "second")
    settings = load_settings(
        {
            "CLEANROOM_BILLING_ZONE": "Europe/Moscow",
            "CLEANROOM_OPERATOR_FEE_BP": "1250",
            "CLEANROOM_LISTING_REVIEW": "operator",
        },
        home=tmp_path,
    )
    assert (settings.billing_zone, settings.operator_fee_bp) == ("Europe/Moscow", 1_250)
    assert settings.listing_review == "operator"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CLEANROOM_BILLING_ZONE", "Moscow"),
        ("CLEANROOM_BILLING_ZONE", "Europe"),
        ("CLEANROOM_BILLING_ZONE", "../Europe/Moscow"),
        ("CLEANROOM_OPERATOR_FEE_BP", "10001"),
        ("CLEANROOM_OPERATOR_FEE_BP", "-1"),
        ("CLEANROOM_OPERATOR_FEE_BP", "12.5"),
        ("CLEANROOM_LISTING_REVIEW", "nobody"),
    ],
)
def test_a_setting_of_the_marketplace_that_is_wrong_is_named(
    tmp_path: Path, variable: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=variable):
        load_settings({variable: value}, home=tmp_path)


@pytest.mark.parametrize(("given", "tick"), [("", 500), ("0", 0), ("60000", 60_000)])
def test_a_tick_can_be_set_and_turned_off(tmp_path: Path, given: str, tick: int) -> None:
    assert load_settings({"CLEANROOM_RELEASE_TICK_MS": given}, home=tmp_path).release_tick_ms == tick


@pytest.mark.parametrize("given", ["-1", "60001", "soon", "0.5"])
def test_a_tick_is_milliseconds_of_a_minute_at_most(tmp_path: Path, given: str) -> None:
    with pytest.raises(SettingsError, match="CLEANROOM_RELEASE_TICK_MS"):
        load_settings({"CLEANROOM_RELEASE_TICK_MS": given}, home=tmp_path)


@pytest.mark.parametrize(("given", "hours"), [("0", 0), ("240", 240), ("", 24)])
def test_how_long_requests_to_erase_are_gathered(tmp_path: Path, given: str, hours: int) -> None:
    assert load_settings({"CLEANROOM_ERASURE_HOURS": given}, home=tmp_path).erasure_hours == hours


@pytest.mark.parametrize("given", ["-1", "241", "a day"])
def test_requests_to_erase_are_not_gathered_for_ever(tmp_path: Path, given: str) -> None:
    with pytest.raises(SettingsError, match="CLEANROOM_ERASURE_HOURS"):
        load_settings({"CLEANROOM_ERASURE_HOURS": given}, home=tmp_path)
