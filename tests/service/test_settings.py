"""Settings: read from the environment in one place, checked before anything starts."""

import pytest

from model.errors import ConfigError
from service.settings import Settings


def test_without_variables_only_this_machine_is_served() -> None:
    settings = Settings.from_environment({"PATH": "/bin"})
    assert settings == Settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.max_body_bytes == 4 * 1024 * 1024


def test_every_setting_has_a_variable() -> None:
    environment = {
        "DRAGOMAN_HOST": "0.0.0.0",
        "DRAGOMAN_PORT": "80",
        "DRAGOMAN_DEVICE": "cuda:1",
        "DRAGOMAN_PRECISION": "bf16",
        "DRAGOMAN_THREADS": "3",
        "DRAGOMAN_MAX_BODY_BYTES": "1000",
        "DRAGOMAN_MAX_REQUESTS": "7",
    }
    expected = Settings(
        host="0.0.0.0",
        port=80,
        device="cuda:1",
        precision="bf16",
        threads=3,
        max_body_bytes=1000,
        max_requests=7,
    )
    assert Settings.from_environment(environment) == expected


def test_an_empty_variable_is_as_good_as_none() -> None:
    """docker-compose.yml can pass on a variable that is not set."""
    empty = {"DRAGOMAN_HOST": "", "DRAGOMAN_PORT": "", "DRAGOMAN_THREADS": ""}
    assert Settings.from_environment(empty) == Settings()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "http", "DRAGOMAN_PORT: 'http' is not a whole number"),
        ("PORT", "-1", "DRAGOMAN_PORT: '-1' is not a whole number"),
        ("PORT", "65536", "port: 65536 is out of range"),
        ("PRECISION", "int4", "precision: 'int4'"),
        ("THREADS", "0", "threads: 0 is too small"),
        ("THREADS", "²", "'²' is not a whole number"),
        ("MAX_BODY_BYTES", "0", "max_body_bytes: 0 is too small"),
        ("MAX_REQUESTS", "0", "max_requests: 0 is too small"),
    ],
)
def test_wrong_values_are_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        Settings.from_environment({f"DRAGOMAN_{name}": value})
    assert message in str(error.value)
    assert "DRAGOMAN_" in str(error.value)
