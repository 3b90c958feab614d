"""Languages: tags from what people write, and which of them agree."""

import pytest

from model.errors import ConfigError
from model.text.languages import language_name, language_tag, languages_agree, script_of


@pytest.mark.parametrize(
    ("given", "tag"),
    [
        *((same, "de") for same in ("de", "DE", "deu", "ger", "German", "german", " Deutsch ")),
        *((same, "pt-BR") for same in ("pt-BR", "pt_br", "Brazilian Portuguese")),
        ("de-DE", "de-DE"),
        ("zh-hans", "zh-Hans"),
        ("cmn", "zh"),
        ("Mandarin", "zh"),
        ("und", ""),
        ("iw", "he"),
        ("", ""),
        (" ", ""),
    ],
)
def test_what_people_write_becomes_a_tag(given: str, tag: str) -> None:
    assert language_tag(given) == tag
    assert language_tag(tag) == tag


@pytest.mark.parametrize("given", ["abstract", "xx", "d e", "-", "de--", "x" * 1000, "\0", "12"])
def test_what_is_no_language_is_refused(given: str) -> None:
    with pytest.raises(
        ConfigError, match=r"is not a language\. Use a tag such as de or pt-BR"
    ) as e:
        language_tag(given)
    assert len(str(e.value)) < 200


@pytest.mark.parametrize(
    ("wanted", "offered", "agree"),
    [
        ("de", "de", True),
        ("en-GB", "en", True),
        ("en", "en-US", True),
        ("pt-BR", "pt", True),
        ("zh", "zh-Hans", True),
        ("zh-TW", "zh-Hans", False),
        ("zh-TW", "zh-Hant", True),
        ("sr-Latn", "sr", False),
        ("no", "nb", True),
        ("nn", "nb", False),
        ("gsw", "de", False),
        ("ja", "de", False),
        ("", "de", True),
        ("de", "", True),
    ],
)
def test_languages_agree_whatever_the_region(wanted: str, offered: str, agree: bool) -> None:
    assert languages_agree(wanted, offered) is agree


def test_names_and_scripts_are_those_of_the_tags() -> None:
    assert language_name("pt-BR") == "Portuguese (Brazil)"
    assert language_name("") == "unknown language"
    assert (script_of("th"), script_of("zh-TW"), script_of("de")) == ("Thai", "Hant", "Latn")
