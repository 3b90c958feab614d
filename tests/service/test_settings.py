"""Settings: read from the environment in one place, checked before anything starts."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from model.errors import ConfigError
from service.settings import PREFIX, Settings, read_settings

DOCS = Path(__file__).resolve().parents[2] / "docs" / "serving.md"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)


def test_without_variables_only_this_machine_is_served() -> None:
    settings = read_settings({})
    assert settings == Settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)


def test_the_limits_are_on_by_default() -> None:
    settings = Settings()
    assert settings.max_body_bytes == 4 * 1024 * 1024
    assert settings.cors_origins == ()
    assert not settings.log_texts


VARIABLES: dict[str, tuple[str, object]] = {
    "HOST": ("0.0.0.0", "0.0.0.0"),
    "PORT": ("80", 80),
    "MODELS": ("models.yaml", Path("models.yaml")),
    "DEVICE": ("cuda:1", "cuda:1"),
    "PRECISION": ("bf16", "bf16"),
    "THREADS": ("3", 3),
    "SHORTLIST": ("true", True),
    "MAX_BODY_BYTES": ("1000", 1000),
    "MAX_REQUESTS": ("7", 7),
    "MAX_QUEUED_PIECES": ("5000", 5000),
    "MAX_CONNECTIONS": ("20", 20),
    "TRUSTED_PROXIES": ("10.0.0.0/8, ::1", ("10.0.0.0/8", "::1")),
    "RATE_PER_S": ("0.5", 0.5),
    "RATE_BURST": ("3", 3),
    "API_KEYS": ("anna: secret", SecretStr("anna: secret")),
    "API_KEYS_FILE": ("/run/secrets/keys", Path("/run/secrets/keys")),
    "ADMIN_KEYS": ("root: secret", SecretStr("root: secret")),
    "ADMIN_KEYS_FILE": ("/run/secrets/admins", Path("/run/secrets/admins")),
    "CORS_ORIGINS": (
        "https://a.example, http://localhost:3000",
        ("https://a.example", "http://localhost:3000"),
    ),
    "ALLOWED_HOSTS": ("mt.example, MT, fd00::0:7, *", ("mt.example", "mt", "[fd00::7]", "*")),
    "DRAIN_S": ("5", 5.0),
    "STUCK_S": ("60", 60.0),
    "LOG_FORMAT": ("text", "text"),
    "LOG_LEVEL": ("warning", "warning"),
    "LOG_TEXTS": ("1", True),
    "OTEL_ENDPOINT": ("http://collector:4318", "http://collector:4318"),
}


def test_every_setting_has_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {name.lower() for name in VARIABLES} == Settings.model_fields.keys()
    for name, (text, _) in VARIABLES.items():
        monkeypatch.setenv(PREFIX + name, text)
    settings = read_settings({})
    for name, (_, value) in VARIABLES.items():
        assert getattr(settings, name.lower()) == value, name


def test_what_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_PORT", "1")
    monkeypatch.setenv("DRAGOMAN_HOST", "::1")
    settings = read_settings({"port": 2})
    assert (settings.host, settings.port) == ("::1", 2)


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """docker-compose.yml can pass on a variable that is not set."""
    for name in VARIABLES:
        monkeypatch.setenv(PREFIX + name, "")
    assert read_settings({}) == Settings()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "http", "DRAGOMAN_PORT: 'http': Input should be a valid integer"),
        ("PORT", "-1", "DRAGOMAN_PORT: '-1': Input should be greater than or equal to 0"),
        ("PORT", "65536", "DRAGOMAN_PORT: '65536': Input should be less than or equal to 65535"),
        ("PORT", "tcp://10.0.0.7:8000", "DRAGOMAN_PORT: 'tcp://10.0.0.7:8000': Input should be"),
        ("PRECISION", "int4", "DRAGOMAN_PRECISION: 'int4': Input should be 'auto', 'fp32'"),
        ("THREADS", "0", "DRAGOMAN_THREADS: '0': Input should be greater than or equal to 1"),
        ("THREADS", "²", "DRAGOMAN_THREADS: '²': Input should be a valid integer"),
        ("MAX_BODY_BYTES", "0", "DRAGOMAN_MAX_BODY_BYTES: '0': "),
        ("DRAIN_S", "nan", "DRAGOMAN_DRAIN_S: 'nan': "),
        ("DRAIN_S", "inf", "DRAGOMAN_DRAIN_S: 'inf': "),
        (
            "ALLOWED_HOSTS",
            "mt.example:80",
            "DRAGOMAN_ALLOWED_HOSTS: 'mt.example:80': Value error, ",
        ),
        ("LOG_TEXTS", "perhaps", "DRAGOMAN_LOG_TEXTS: 'perhaps': Input should be a valid boolean"),
    ],
)
def test_wrong_values_are_refused_in_one_line(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(ConfigError) as error:
        read_settings({})
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_slip_in_the_name_of_a_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_MAX_REQUEST", "7")
    with pytest.raises(ConfigError, match="Did you mean DRAGOMAN_MAX_REQUESTS"):
        read_settings({})


@pytest.mark.parametrize("name", ["DATA", "SERVICE_HOST", "SERVICE_PORT", "PORT_8000_TCP", "RUN"])
def test_variables_of_others_are_let_be(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + name, "x")
    assert read_settings({}) == Settings()


def test_a_wrong_flag_is_told_from_a_wrong_variable() -> None:
    with pytest.raises(ConfigError, match="--port: 65536: Input should be less"):
        read_settings({"port": 65536})


def test_keys_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_API_KEYS", "anna: swordfish")
    monkeypatch.setenv("DRAGOMAN_ADMIN_KEYS", "root: swordfish")
    settings = read_settings({})
    assert "swordfish" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1


def test_the_table_in_the_documentation_is_complete() -> None:
    """Names, defaults and explanations, in the order of the class."""
    table = DOCS.read_text(encoding="utf-8").partition("## Settings")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `DRAGOMAN_(\w+)` \| (.*?) \| (.*) \|$", table, re.MULTILINE)
    expected = []
    for name, field in Settings.model_fields.items():
        assert field.description, name
        expected.append((name.upper(), _shown(field.default), " ".join(field.description.split())))
    assert rows == expected


def _shown(default: object) -> str:
    """A default as the table has it."""
    if default is None or default == ():
        return "none"
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:,}" if isinstance(default, int) and default > 9999 else str(default)


def test_connections_do_not_limit_what_requests_may() -> None:
    """Clients with keys of their own may share an address, and are told 429 there, not 503."""
    settings = Settings()
    accepted = 2 * settings.max_requests  # short and long ones
    assert settings.max_connections // 2 >= 2 * accepted
