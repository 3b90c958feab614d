"""Keys: read from settings, found by hash, and never shown."""

import hashlib
import hmac
from pathlib import Path

import pytest
from pydantic import SecretStr

from model.errors import ConfigError
from service.errors import Forbidden, Unauthenticated
from service.limits.api_keys import ANONYMOUS, APIKeys
from service.settings import Settings


def keys(api: str | None = None, admin: str | None = None) -> APIKeys:
    return APIKeys.from_settings(
        Settings(
            api_keys=None if api is None else SecretStr(api),
            admin_keys=None if admin is None else SecretStr(admin),
        )
    )


def test_without_keys_everybody_is_served_and_nobody_administers() -> None:
    assert keys().authenticate(None) == ANONYMOUS
    with pytest.raises(Forbidden, match="no admin key"):
        keys().authenticate_admin("Bearer x")
    with pytest.raises(Forbidden, match="no admin key"):
        keys().authenticate_admin(None)


def test_each_key_has_its_name() -> None:
    both = keys("anna: swordfish, ben: s:w=o/rd+2", "root: toor")
    assert both.authenticate("Bearer swordfish") == "anna"
    assert both.authenticate("bearer  s:w=o/rd+2 ") == "ben"
    assert both.authenticate("Bearer toor") == "root"
    assert both.authenticate_admin("Bearer toor") == "root"
    with pytest.raises(Forbidden, match="takes an admin key"):
        both.authenticate_admin("Bearer swordfish")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "swordfish",
        "Basic swordfish",
        "Bearer swordfis",
        "Bearer swordfishes",
        "Bearer Swordfish",
        "Bearer \xff\udc80",
        "Bearer sha256:" + hashlib.sha256(b"swordfish").hexdigest(),
    ],
)
def test_what_is_no_key_is_refused(header: str | None) -> None:
    for case in (keys("anna: swordfish"), keys("anna: swordfish", "root: toor")):
        with pytest.raises(Unauthenticated) as error:
            case.authenticate(header)
        assert "swordfish" not in str(error.value)
    with pytest.raises(Unauthenticated):
        keys(admin="root: toor").authenticate_admin(header)


def test_an_admin_key_alone_leaves_the_server_open() -> None:
    only_admin = keys(admin="root: toor")
    assert only_admin.authenticate(None) == ANONYMOUS
    assert only_admin.authenticate_admin("Bearer toor") == "root"
    with pytest.raises(Unauthenticated):
        only_admin.authenticate("Bearer wrong")


def test_a_name_may_have_two_keys_while_one_replaces_the_other() -> None:
    rotating = keys("anna: old, anna: new")
    assert rotating.authenticate("Bearer old") == rotating.authenticate("Bearer new") == "anna"


def test_keys_come_from_files_too(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"swordfish").hexdigest()
    file, admins = tmp_path / "keys", tmp_path / "admins"
    file.write_text(f"# clients\n\nanna: sha256:{digest}\r\n  ben:s,w\n")
    admins.write_text("root: toor\n")
    read = APIKeys.from_settings(
        Settings(api_keys=SecretStr("cora: x"), api_keys_file=file, admin_keys_file=admins)
    )
    names = [read.authenticate(f"Bearer {key}") for key in ("swordfish", "s,w", "x", "toor")]
    assert names == ["anna", "ben", "cora", "root"]


def test_every_key_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []
    honest = hmac.compare_digest

    def spy(a: bytes, b: bytes) -> bool:
        compared.append((len(a), len(b)))
        return honest(a, b)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    assert keys("anna: a, ben: b, cora: c").authenticate("Bearer a") == "anna"
    assert compared == [(32, 32)] * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("swordfish", "DRAGOMAN_API_KEYS, entry 1: not `name: key`"),
        ("anna: swordfish, : x", "DRAGOMAN_API_KEYS, entry 2: not `name: key`"),
        ("anna b: swordfish", "entry 1: not `name: key`"),
        (f"{'a' * 65}: swordfish", "entry 1: not `name: key`"),
        ("anna: ", "entry 1: a key is one or more ASCII"),
        ("anna: sword fish", "entry 1: a key is one or more ASCII"),
        ("anna: swördfish", "entry 1: a key is one or more ASCII"),
        ("anna: sha256:swordfish", "entry 1: sha256: takes the 64 digits"),
        ("anna: swordfish, ben: swordfish", "'anna' and 'ben' are one and the same key"),
    ],
)
def test_a_wrong_entry_is_refused_without_showing_it(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        keys(text)
    assert message in str(error.value)
    assert "fish" not in str(error.value)


def test_one_key_of_both_kinds_is_refused() -> None:
    with pytest.raises(ConfigError, match="one and the same key"):
        keys("anna: swordfish", "anna: swordfish")


def test_a_file_without_keys_does_not_open_the_server(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# none yet\n")
    with pytest.raises(ConfigError, match="no key"):
        APIKeys.from_settings(Settings(api_keys_file=tmp_path / "keys"))


def test_a_variable_without_keys_does_not_open_the_server() -> None:
    with pytest.raises(ConfigError, match="DRAGOMAN_API_KEYS: no key"):
        keys(" , ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, " cannot be read: No such file"),
        (b"a: x\n\xff", ", line 2: not valid UTF-8"),
        ("a: x".encode("utf-16"), "looks like UTF-16.* iconv -f UTF-16 "),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"api_keys_file: {path}.*{reason}"):
        APIKeys.from_settings(Settings(api_keys_file=path))
