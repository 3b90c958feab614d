"""API keys: authenticates clients and administrators.

Keys are kept as SHA-256 hashes and compared in constant time. Only their names leave this module.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model.errors import ConfigError, DataError
from model.io.lines import whole_text
from service.errors import Forbidden, Unauthenticated
from service.settings import PREFIX, Settings

ANONYMOUS = ""
"""Name of the clients of a server that needs no key."""

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Allowed names of keys; they appear in logs."""

HASHED = "sha256:"
"""Prefix of a key that is given as its hash."""


@dataclass(frozen=True, slots=True)
class APIKey:
    """Name and hash of a key."""

    name: str
    digest: bytes
    admin: bool


class APIKeys:
    """The keys of a server."""

    def __init__(self, keys: list[APIKey]) -> None:
        """
        Raises:
            ConfigError: one key has two names, or is both a client key and an admin key.
        """
        names: dict[bytes, APIKey] = {}
        for key in keys:
            other = names.setdefault(key.digest, key)
            if (other.name, other.admin) != (key.name, key.admin):
                raise ConfigError(
                    f"keys: {other.name!r} and {key.name!r} are one and the same key. "
                    "Give each a key of its own; an admin key is a key for everything."
                )
        self._keys = list(names.values())
        self._open = all(key.admin for key in keys)

    @property
    def needed(self) -> bool:
        """Whether requests without a key are refused."""
        return not self._open

    @classmethod
    def from_settings(cls, settings: Settings) -> "APIKeys":
        """Read the keys from the settings and from the files that they name.

        Raises:
            ConfigError: a file cannot be read, or an entry is not `name: key`.
        """
        keys: list[APIKey] = []
        for admin in (False, True):
            name = "admin_keys" if admin else "api_keys"
            secret = settings.admin_keys if admin else settings.api_keys
            path = settings.admin_keys_file if admin else settings.api_keys_file
            if secret is not None:
                keys += _require_keys(
                    secret.get_secret_value().split(","), f"{PREFIX}{name.upper()}", admin
                )
            if path is not None:
                keys += _require_keys(_read(path, name).splitlines(), str(path), admin)
        return cls(keys)

    def authenticate(self, header: str | None) -> str:
        """Return the name of the key in an `Authorization` header; `ANONYMOUS` if none is needed.

        Raises:
            Unauthenticated: a key is needed and missing, or the key is unknown.
        """
        if not self._keys or (header is None and self._open):
            return ANONYMOUS
        return self._find(header).name

    def authenticate_admin(self, header: str | None) -> str:
        """Return the name of the admin key in an `Authorization` header.

        Raises:
            Unauthenticated: the key is missing or unknown.
            Forbidden: it is not an admin key, or the server has no admin keys.
        """
        if not any(key.admin for key in self._keys):
            raise Forbidden("This server has no admin key, so that nobody may do this.")
        key = self._find(header)
        if not key.admin:
            raise Forbidden("This takes an admin key, and the key that came is not one.")
        return key.name

    def _find(self, header: str | None) -> APIKey:
        """Return the key in a header, in a time that does not depend on how much of it matches."""
        scheme, _, secret = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise Unauthenticated("This takes a key. Send it as `Authorization: Bearer KEY`.")
        digest = _digest(secret.strip())
        found = [key for key in self._keys if hmac.compare_digest(key.digest, digest)]
        if not found:
            raise Unauthenticated("The key is not known. Ask whoever runs this server for one.")
        return found[0]


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="replace")).digest()


def _read(path: Path, setting: str) -> str:
    try:
        return whole_text(path.read_bytes(), f"{setting}_file: {path}")
    except OSError as error:
        raise ConfigError(
            f"{setting}_file: {path} cannot be read: {error.strerror}. Mend it or name another."
        ) from error
    except DataError as error:
        raise ConfigError(str(error)) from error


def _require_keys(entries: list[str], where: str, admin: bool) -> list[APIKey]:
    """Parse at least one key: a file emptied by mistake must not open the server to everyone."""
    keys = list(_parse(entries, where, admin))
    if not keys:
        raise ConfigError(f"{where}: no key. Add one as `name: key`, or leave the setting out.")
    return keys


def _parse(entries: list[str], where: str, admin: bool) -> Iterator[APIKey]:
    """Parse entries of the form `name: key`. Messages give an entry's number, never its content."""
    for number, entry in enumerate(entries, start=1):
        if not entry.strip() or entry.lstrip().startswith("#"):
            continue
        name, colon, secret = entry.partition(":")
        name, secret = name.strip(), secret.strip()
        place = f"{where}, entry {number}"
        if not colon or not NAME.fullmatch(name):
            raise ConfigError(
                f"{place}: not `name: key`, with a name of 1 to 64 letters, digits, '.', '_', '-'."
            )
        if secret.startswith(HASHED):
            hexadecimal = secret.removeprefix(HASHED)
            if not re.fullmatch(r"[0-9a-fA-F]{64}", hexadecimal):
                raise ConfigError(f"{place}: {HASHED} takes the 64 digits that sha256sum prints.")
            yield APIKey(name, bytes.fromhex(hexadecimal), admin)
        elif re.fullmatch(r"[!-~]+", secret):
            yield APIKey(name, _digest(secret), admin)
        else:
            raise ConfigError(f"{place}: a key is one or more ASCII characters without a space.")
