"""Settings: what a server is started with, from DRAGOMAN_* in the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_type_hints

from model.config import from_dict
from model.errors import ConfigError

PREFIX = "DRAGOMAN_"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """`port` comes from DRAGOMAN_PORT, and so on. The flags of dragoman-serve win over them."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 is every IPv4 address of the machine."""
    port: int = 8000
    """0 is any free one."""
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    threads: int | None = None
    """CPU threads of torch; None leaves them as they are."""
    max_body_bytes: int = 4 * 1024**2
    """Largest body of a request."""
    max_requests: int = 128
    """Requests accepted and not yet answered; more are refused."""
    max_pieces: int = 1_000_000
    """Source pieces in them."""
    drain_s: float = 30
    """How long requests may take that are unanswered when the server is told to exit."""
    cors_origins: tuple[str, ...] = ()
    """Whose pages may call the API from a browser; none by default."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port: {self.port} is out of range. Use 0 (any free one) to 65535.")
        for name in ("threads", "max_body_bytes", "max_requests"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name}: {value} is too small. Use 1 or more.")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """The settings of `os.environ`. An empty variable is as good as none.

        Raises:
            ConfigError: a value is of the wrong type or out of range.
        """
        given: dict[str, object] = {}
        for name, hint in get_type_hints(cls).items():
            variable = PREFIX + name.upper()
            if text := environment.get(variable):
                given[name] = _whole_number(variable, text) if hint in (int, int | None) else text
        try:
            return from_dict(cls, given)
        except ConfigError as error:
            raise ConfigError(f"{PREFIX}* in the environment: {error}") from error


def _whole_number(variable: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ConfigError(f"{variable}: {text!r} is not a whole number. Use digits only.")
    return int(text)
