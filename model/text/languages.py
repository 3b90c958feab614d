"""Languages: BCP 47 tags from what people write, whether two tags agree, and names of languages.

Tags and names are those of CLDR, looked up with the library langcodes.
"""

from functools import lru_cache

from model.errors import ConfigError

UNKNOWN = ""
"""The tag of text in an unspecified language."""

MAX_NAME = 200
"""The longest tag or name, in characters: to look up longer ones takes seconds."""


@lru_cache(4096)
def language_tag(given: str) -> str:
    """The BCP 47 tag that `given` means: "DE", "deu" and "German" are "de", "pt_br" is "pt-BR".

    Case does not matter, and a macrolanguage stands for its main member ("cmn" is "zh"). An empty
    `given` is `UNKNOWN`, and so is "und".

    Raises:
        ConfigError: it is neither a tag nor the name of a language.
    """
    import langcodes  # takes 0.1 s, which commands without languages need not spend

    written = given.strip()
    if written.lower() in ("", "und"):  # BCP 47 has a tag for the unknown language, too
        return UNKNOWN
    try:
        if len(written) > MAX_NAME:
            raise LookupError
        if langcodes.tag_is_valid(written):
            return langcodes.standardize_tag(written, macro=True)
        return langcodes.standardize_tag(langcodes.find(written).to_tag(), macro=True)
    except (LookupError, ValueError):  # the second where the name is not even text
        raise ConfigError(
            f"{given[:40]!r} is not a language. Use a tag such as de or pt-BR, or a name such as "
            "German."
        ) from None


def languages_agree(wanted: str, offered: str) -> bool:
    """Tell whether a text in `wanted` suits a model for `offered`; both are tags, or `UNKNOWN`.

    Language and script must be the same, but the region need not be: "en-GB" suits "en", "zh-TW"
    does not suit "zh-Hans". An unknown language suits any.
    """
    return UNKNOWN in (wanted, offered) or _essence(wanted) == _essence(offered)


@lru_cache(4096)
def primary_language(tag: str) -> str:
    """The language of a tag without script and region: "pt" of "pt-BR"."""
    return tag.partition("-")[0]


@lru_cache(4096)
def script_of(tag: str) -> str:
    """The script, by its ISO 15924 code, that a language is usually written in: "Thai" of "th"."""
    import langcodes

    return langcodes.get(tag).maximize().script or ""


@lru_cache(4096)
def language_name(tag: str) -> str:
    """The English name of a tag: "German", "Portuguese (Brazil)"."""
    import langcodes

    return langcodes.get(tag).display_name() if tag else "unknown language"


@lru_cache(4096)
def _essence(tag: str) -> tuple[str, str]:
    language = primary_language(tag)
    # Norwegian without a named written standard is Bokmål.
    return "nb" if language == "no" else language, script_of(tag)
