"""Settings: the configuration of a server, with every limit, from DRAGOMAN_* variables."""

import difflib
import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from model.errors import ConfigError

PREFIX = "DRAGOMAN_"
ANY_HOST = "*"
"""In `allowed_hosts`."""


def _parts(value: object) -> object:
    """Split a comma-separated string, the form of a list in a variable."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _host(name: str) -> str:
    """`name` as it stands in the header `Host`.

    Raises:
        ValueError: it is no name.
    """
    try:
        return f"[{ipaddress.IPv6Address(name.strip('[]'))}]"
    except ValueError:
        if not re.fullmatch(r"\*|[A-Za-z0-9._-]+", name):
            raise ValueError(f"{name!r} is not a name or an address without a port") from None
        return name.lower()


Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts)]
Hosts = Annotated[
    tuple[Annotated[str, AfterValidator(_host)], ...], NoDecode, BeforeValidator(_parts)
]


class Settings(BaseSettings):
    """The settings. `port` is read from DRAGOMAN_PORT, and so on; arguments take precedence.

    An empty variable counts as unset, so that docker-compose.yml can pass on an unset one.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    # Where and what
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 is every IPv4 address of the machine."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on; 0 picks a free one."""
    models: Path | None = None
    """Models file to serve if the command line has no RUN."""
    device: str = "auto"
    """Device to compute on: auto (CUDA if available), cpu, cuda or cuda:N."""
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    """Number format of matrix products; auto is the fastest, as measured on this machine."""
    threads: Positive | None = None
    """CPU threads of torch; by default one per core."""
    shortlist: bool = False
    """Score only the pieces in a checkpoint's lexical shortlist for the source."""

    # Limits of one request
    max_body_bytes: Positive = 4 * 1024**2
    """Maximum size of a request body in bytes."""

    # Limits of all requests together
    max_requests: Positive = 256
    """Maximum number of requests accepted and not yet answered, of short and of long ones each."""
    max_queued_pieces: Positive = 1_000_000
    """Maximum number of source pieces in those requests; until they are known, bytes count."""
    max_connections: Positive = 2048
    """Maximum number of open connections; one address may hold half of them."""
    trusted_proxies: Names = ()
    """Comma-separated addresses or networks of proxies whose `X-Forwarded-For` names the client."""
    rate_per_s: Seconds | None = None
    """Sustained requests per second of one client; unlimited by default."""
    rate_burst: Positive = 20
    """Requests that a client may send at once after a pause, before `rate_per_s` applies."""

    # Authentication
    api_keys: SecretStr | None = None
    """API keys as comma-separated `name: key`. Without any key, everyone is served."""
    api_keys_file: Path | None = None
    """File with more API keys, one `name: key` per line."""
    admin_keys: SecretStr | None = None
    """Keys that may also reload models, in the form of `api_keys`. Without any, nobody can."""
    admin_keys_file: Path | None = None
    """File with more keys that may also reload models."""
    cors_origins: Names = ()
    """Comma-separated origins whose pages may call the server from a browser; none by default."""
    allowed_hosts: Hosts = ()
    """Comma-separated host names by which requests may call the server besides localhost; `*`
    allows any."""

    # Operation
    drain_s: Seconds = 30
    """Seconds that requests in flight may take when the server exits or a model is replaced."""
    stuck_s: Seconds = 30
    """Seconds without a step, while there is work, after which /livez fails."""
    log_format: Literal["auto", "json", "text"] = "auto"
    """Format of the log: json for programs, text for people; auto is text on a terminal."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest severity that is logged."""
    log_texts: bool = False
    """Log texts and their translations, for debugging."""
    otel_endpoint: str | None = None
    """URL for OpenTelemetry traces (OTLP over HTTP); no traces by default."""


def read_settings(given: Mapping[str, object]) -> Settings:
    """Read the settings from the environment, overridden by those that are `given` by name.

    Raises:
        ConfigError: a value has the wrong type or is out of range, or the name of a variable is
            nearly that of a setting: with a misspelled name, a limit would silently not apply.
    """
    _check_names(os.environ)
    try:
        return Settings(**_any(given))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = str(first["loc"][0])
        # Name the flag or the environment variable.
        origin = f"--{name.replace('_', '-')}" if name in given else f"{PREFIX}{name.upper()}"
        secret = Settings.model_fields[name].annotation in (SecretStr, SecretStr | None)
        shown = "" if secret else f" {first['input']!r}:"
        raise ConfigError(
            f"{origin}:{shown} {first['msg']}. docs/serving.md has every setting."
        ) from error


def _check_names(environment: Mapping[str, str]) -> None:
    """Refuse near misses only: others set variables with our prefix too, such as Kubernetes."""
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    for variable in environment:
        if variable.startswith(PREFIX) and variable not in known:
            for nearest in difflib.get_close_matches(variable, known, n=1, cutoff=0.9):
                raise ConfigError(f"{variable}: unknown setting. Did you mean {nearest}?")


def _any(given: Mapping[str, object]) -> dict[str, Any]:
    """Drop the types for mypy, since pydantic checks them."""
    return dict(given)
