"""UTF-16 and UTF-32 are told from UTF-8 as Python writes them; halves of characters are found."""

import pytest

from model.errors import DataError
from model.text.charset import half_character, refuse_foreign

TEXTS = [
    "Das Brot kostet 4,20 Euro.\r\nEs ist 23:34 Uhr.\r\n",
    '{"text": "größer „so“ €"}\n',
    "models:\n- {name: a, path: b}\n",
    "Привет, друзья!\n- Добрый день всем.\n",
    "Καλημέρα σε όλους\n",
    "\n\nHallo Welt\n",
]
NAMES = {
    "utf-16-le": "UTF-16LE",
    "utf-16-be": "UTF-16BE",
    "utf-32-le": "UTF-32LE",
    "utf-32-be": "UTF-32BE",
}


@pytest.mark.parametrize("text", [*TEXTS, "", "猫が好き。\n"])
@pytest.mark.parametrize("encoding", NAMES)
def test_a_mark_tells_the_encoding(text: str, encoding: str) -> None:
    name = NAMES[encoding][:6]
    message = f"looks like {name}, not UTF-8. Convert it: iconv -f {name} -t UTF-8."
    with pytest.raises(DataError, match=message):
        refuse_foreign(("\ufeff" + text).encode(encoding))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("encoding", NAMES)
def test_without_a_mark_the_zeros_do(text: str, encoding: str) -> None:
    with pytest.raises(DataError, match=f"iconv -f {NAMES[encoding]} -t UTF-8"):
        refuse_foreign(text.encode(encoding))


@pytest.mark.parametrize("text", [*TEXTS, "", "a\0b\n", "\0" * 50, "ab\0cd\0ef\0", "\0\n" * 20])
def test_utf8_passes(text: str) -> None:
    assert not is_refused(text.encode())
    assert not is_refused(("\ufeff" + text).encode())


def is_refused(raw: bytes) -> bool:
    try:
        refuse_foreign(raw)
    except DataError:
        return True
    return False


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("\ud83d", 1),
        ("ab\ude00", 3),
        ("\ude00\ud83d", 1),
        (b"Ma\xdf".decode(errors="surrogateescape"), 3),
    ],
)
def test_half_of_a_character_is_found(text: str, place: int) -> None:
    assert half_character(text).startswith(f"character {place} is half of a surrogate pair")
    with pytest.raises(UnicodeEncodeError):
        text.encode()


def test_whole_characters_are_let_through() -> None:
    assert half_character("a😀\uffff\ue000\0") == ""
