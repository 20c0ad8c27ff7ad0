"""Settings come from flags and the environment, and refuse what can't work."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings, is_loopback


def test_every_setting_is_described() -> None:
    assert [n for n, field in Settings.model_fields.items() if not field.description] == []


def test_variables_with_the_prefix_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_PORT", "9001")
    monkeypatch.setenv("SIGHTLINE_DATA_DIR", "/var/lib/sightline")
    settings = Settings()
    assert (settings.port, settings.data_dir) == (9001, Path("/var/lib/sightline"))


def test_a_flag_wins_over_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_PORT", "9001")
    assert Settings(port=9002).port == 9002


def test_settings_never_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "photos.example"])
def test_an_open_address_needs_to_be_wanted(host: str) -> None:
    with pytest.raises(ValidationError, match="reachable from other machines"):
        Settings(host=host)
    assert Settings(host=host, allow_open_network=True).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_nothing(host: str) -> None:
    assert is_loopback(host)
    assert Settings(host=host).host == host


def test_defaults_that_contradict_a_limit_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"default_candidates \(50\) is above"):
        Settings(default_candidates=50, max_candidates=20)


def test_a_value_out_of_range_names_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_ENCODER_WORKERS", "0")
    with pytest.raises(ValidationError, match="encoder_workers"):
        Settings()
