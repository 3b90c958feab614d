"""Settings: what a server is started with, every limit included, from DRAGOMAN_* variables."""

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


def _parts(value: object) -> object:
    """The parts of a text between commas: how a variable holds a list."""
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
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts)]
Hosts = Annotated[
    tuple[Annotated[str, AfterValidator(_host)], ...], NoDecode, BeforeValidator(_parts)
]


class Settings(BaseSettings):
    """`port` comes from DRAGOMAN_PORT, and so on. What is given by name wins over the environment.

    An empty variable is as good as none: docker-compose.yml can pass on one that is not set.
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
    """Port to listen on; 0 is any free one."""
    models: Path | None = None
    """Models file to serve when the command names no RUN."""
    device: str = "auto"
    """Where the models compute: auto (CUDA where there is one), cpu, cuda or cuda:N."""
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    """Number format of matrix products; auto is the fastest, as measured on this machine."""
    threads: Positive | None = None
    """CPU threads of torch; without it one for each core."""
    shortlist: bool = False
    """Score only the pieces that a checkpoint's shortlist names for a source."""

    # What one request may ask for
    max_body_bytes: Positive = 4 * 1024**2
    """Bytes in the body of a request."""

    # What all together may ask for
    max_requests: Positive = 128
    """Requests accepted and not yet answered; more are refused."""
    max_queued_pieces: Positive = 1_000_000
    """Source pieces in those requests; until one has been taken apart, its bytes count."""
    rate_per_s: Seconds | None = None
    """Requests a second that one API key may send in the long run; without it any number."""
    rate_burst: Positive = 20
    """Requests that a key which has been quiet may send at once before `rate_per_s` holds."""

    # Who may ask
    api_keys: SecretStr | None = None
    """Keys of clients, `name: key` between commas. Without any key everybody is served."""
    api_keys_file: Path | None = None
    """File with more keys of clients, `name: key` a line."""
    admin_keys: SecretStr | None = None
    """Keys that may also reload models, in the form of `api_keys`. Without any nobody may."""
    admin_keys_file: Path | None = None
    """File with more keys that may also reload models."""
    cors_origins: Origins = ()
    """Origins, between commas, whose pages may call the server from a browser; none by default."""
    allowed_hosts: Hosts = ()
    """Names, between commas, by which requests may call the server beside localhost; `*` is any."""

    # How it runs
    drain_s: Seconds = 30
    """Seconds that requests in flight get when the server is told to exit, or a model goes."""
    stuck_s: Seconds = 30
    """Seconds without a step, while there is work, after which /livez says no."""
    log_format: Literal["auto", "json", "text"] = "auto"
    """Lines of the log as JSON for programs or as text for people; auto is text on a terminal."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe lines that are logged."""
    log_texts: bool = False
    """Write texts and their translations into the log, to find an error."""
    otel_endpoint: str | None = None
    """URL that takes OpenTelemetry traces as OTLP over HTTP; without it there are none."""


def read_settings(given: Mapping[str, object]) -> Settings:
    """The settings of the environment, with those that are `given` by name in their place.

    Raises:
        ConfigError: a value is of the wrong type or out of range, or a variable is nearly that of a
            setting: a limit with a slip of the pen would not be there.
    """
    _check_names(os.environ)
    try:
        return Settings(**_any(given))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = str(first["loc"][0])
        # A flag, or a variable of the environment.
        origin = f"--{name.replace('_', '-')}" if name in given else f"{PREFIX}{name.upper()}"
        secret = Settings.model_fields[name].annotation in (SecretStr, SecretStr | None)
        shown = "" if secret else f" {first['input']!r}:"
        raise ConfigError(
            f"{origin}:{shown} {first['msg']}. docs/serving.md has every setting."
        ) from error


def _check_names(environment: Mapping[str, str]) -> None:
    """Others may have variables that begin as ours do, such as Kubernetes for a service."""
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    for variable in environment:
        if variable.startswith(PREFIX) and variable not in known:
            for nearest in difflib.get_close_matches(variable, known, n=1, cutoff=0.9):
                raise ConfigError(f"{variable}: unknown setting. Did you mean {nearest}?")


def _any(given: Mapping[str, object]) -> dict[str, Any]:
    """For mypy: pydantic checks the types."""
    return dict(given)
