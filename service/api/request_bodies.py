"""Request bodies: the schemas of the JSON that clients send, with every limit."""

import dataclasses
import re
import unicodedata
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    Self,
    get_origin,
    get_type_hints,
)

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    create_model,
    model_validator,
)

from model.decoding.options import BOUNDS, DESCRIPTIONS, OnLong, SearchOptions
from model.decoding.symbol_options import TEXT_OPTIONS
from model.errors import ConfigError
from model.text.languages import language_tag
from service.engine.request_params import HIGHEST, LOWEST, Detail
from service.engine.sequences import MAX_NUMBERS

MAX_TEXTS = 256
MAX_VALUES = 2_048
"""Commas, colons, brackets and strings in a long body: a request about text has fewer."""
MAX_CHARACTERS = 800_000
MAX_WORD = 10_000  # characters between two spaces
MAX_MARKS = 30
"""Combining marks that may follow one another, as in the Stream-Safe Text Format of Unicode (UAX
15, section 13): the time to bring them into normal form, in which nothing else runs, grows with the
square of their number."""
MAX_BEAM_SIZE = 16
MOST = dict.fromkeys(("beam_size", "n_best", "diverse_groups"), MAX_BEAM_SIZE)
"""Upper bounds for options that the library bounds less tightly, since a beam takes memory of the
server."""
MAX_PHRASE = 1_000  # characters of a prefix, a constraint or a phrase to avoid
MAX_PHRASES = 100
MAX_DEADLINE_MS = 3_600_000
MAX_TRACED = 1_000  # characters of a sentence that is traced
MAX_NAME = 100

FIELDS_OF_THE_BODY = {
    "source_language": "source",
    "target_language": "target",
    "on_long": "on_long",
}
"""The search options that are fields of the body, and their names there: they describe the text
rather than the search. All others are in `Options`, under their own names."""

ONE, MANY = "one", "many"
"""The two forms of `text`. Pydantic includes the form in the location of an error."""


_COMBINING = "".join(filter(unicodedata.combining, map(chr, range(0x300, 0x20000))))
_MARKS = re.compile(f"[{_COMBINING}]{{{MAX_MARKS + 1}}}")
_TENTH_MARKS = re.compile(f"[{_COMBINING}]{{{MAX_MARKS // 10}}}")


def _has_long_word(text: str) -> bool:
    """Return whether a word has more than `MAX_WORD` characters.

    Such a word covers one of the blocks of half that length, so most characters need not be looked
    at: to split all of a text would hold up the event loop for tens of milliseconds.
    """
    half = MAX_WORD // 2
    for begin in range(0, len(text), half):
        words = text[begin : begin + half].split(maxsplit=1)
        if words and len(words[0]) == half:
            before = text[max(begin - MAX_WORD, 0) : begin]
            after = text[begin + half : begin + half + MAX_WORD]
            if _last_word(before) + half + _last_word(after[::-1]) > MAX_WORD:
                return True
    return False


def _last_word(text: str) -> int:
    """Return how many characters there are after the last space."""
    return 0 if not text or text[-1].isspace() else len(text.rsplit(maxsplit=1)[-1])


def _words_of_bounded_length(text: str) -> str:
    if len(text) > MAX_WORD and _has_long_word(text):
        raise ValueError(
            f"a word has more than {MAX_WORD} characters. Put spaces between words, or divide it."
        )
    return text


def _marks_of_bounded_number(text: str) -> str:
    # Of so many in a row, every tenth character is looked at often enough, in a tenth of the time.
    if not text.isascii() and _TENTH_MARKS.search(text[::10]) and _MARKS.search(text):
        raise ValueError(
            f"more than {MAX_MARKS} combining marks follow one another. Leave some out: no script "
            "needs as many."
        )
    return text


def _short_enough_to_trace(text: str) -> str:
    if len(text) > MAX_TRACED:
        raise ValueError(
            f"{len(text):,} characters, but at most {MAX_TRACED:,} can be traced. Give a sentence."
        )
    return text


Text = Annotated[
    str,
    Field(max_length=MAX_CHARACTERS, json_schema_extra={"x-max-word-length": MAX_WORD}),
    AfterValidator(_words_of_bounded_length),
    AfterValidator(_marks_of_bounded_number),
]
Texts = Annotated[list[Text], Field(max_length=MAX_TEXTS)]
PhraseText = Annotated[str, Field(max_length=MAX_PHRASE)]
PhraseTexts = Annotated[list[PhraseText], Field(max_length=MAX_PHRASES)]


def _tag(language: str) -> str:
    try:
        return language_tag(language)
    except ConfigError:  # its message would repeat what was sent
        raise ValueError("not a language. Use a tag such as de or pt-BR.") from None


def _form(value: object) -> str:
    return MANY if isinstance(value, list) else ONE


class RequestOptions(BaseModel):
    """The methods of `Options`, whose fields are generated from `SearchOptions`."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    def merged_into(
        self, defaults: SearchOptions, in_body: Mapping[str, Any] | None = None
    ) -> SearchOptions:
        """Return `defaults`, overridden by the options that were given, here and `in_body`.

        Raises:
            ConfigError: the result is contradictory, such as `n_best` above `beam_size`.
        """
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name in self.model_fields_set
            if (value := getattr(self, name)) is not None
        }
        given |= in_body or {}  # at once: an option may be allowed only together with another
        return dataclasses.replace(defaults, **given) if given else defaults

    @property
    def phrases(self) -> list[str]:
        """The phrases that the client gave."""
        given = (getattr(self, name) or [] for name in ("prefix", "constraints", "avoid"))
        return [text for one in given for text in ([one] if isinstance(one, str) else one)]


def _type_of_option(name: str, hint: object) -> Any:
    """Return the type for pydantic: that of the search option, within the limits of the server."""
    if hint is str:
        return PhraseText
    if get_origin(hint) is tuple:
        return PhraseTexts
    if get_origin(hint) is Literal:
        return hint
    kind = hint if isinstance(hint, type) else float  # float | None is a number, or left out
    least, most = BOUNDS[name]
    most = MOST.get(name, most)
    if DESCRIPTIONS[name].above_least:
        return Annotated[kind, Field(gt=least, le=most)]
    return Annotated[kind, Field(ge=least, le=most)]


def _sentence(option: str) -> str:
    """Return the description of a search option, for OpenAPI."""
    text = DESCRIPTIONS[option].text
    return text[0].upper() + text[1:] + "."


def _options(class_name: str, left_out: Collection[str]) -> Any:
    """Create the class of the search options, without some."""
    fields: dict[str, Any] = {
        name: (_type_of_option(name, hint) | None, Field(None, description=_sentence(name)))
        for name, hint in get_type_hints(SearchOptions).items()
        if name not in left_out
    }
    return create_model(
        class_name,
        __base__=RequestOptions,
        __doc__="Search options. An option that is left out has the default of the model.",
        __module__=__name__,
        **fields,
    )


if TYPE_CHECKING:  # mypy cannot use a dynamically created class as a type
    Options = RequestOptions
    SymbolOptions = RequestOptions
else:
    Options = _options("Options", FIELDS_OF_THE_BODY)
    SymbolOptions = _options("SymbolOptions", TEXT_OPTIONS)


TextOrTexts = Annotated[
    Annotated[Text, Tag(ONE)] | Annotated[Texts, Tag(MANY)], Discriminator(_form)
]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Language = Annotated[str, Field(max_length=MAX_NAME), AfterValidator(_tag)]


class WorkRequest(BaseModel):
    """The fields of every request for work besides its texts."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: Name | None = Field(
        default=None, description="Name of a model, see /v1/models. Required if several match."
    )
    deadline_ms: Annotated[int, Field(ge=1, le=MAX_DEADLINE_MS)] | None = Field(
        default=None, description="Milliseconds after which the request fails with 504."
    )
    priority: Annotated[int, Field(ge=LOWEST, le=HIGHEST)] = Field(
        default=5, description="Order of the requests of one API key: 9 before 0."
    )

    max_values: ClassVar[int] = MAX_VALUES
    """See `service.api.json_values`."""

    def deadline(self, arrived: float) -> float | None:
        """Return the deadline of a request that arrived at this time, None if it has none."""
        return None if self.deadline_ms is None else arrived + self.deadline_ms / 1000


class GenerateRequest(WorkRequest):
    """Texts to translate or summarize, and the options of the search."""

    text: TextOrTexts = Field(
        description=f"One text or several, with words of at most {MAX_WORD} characters. A text "
        "without letters and digits is returned unchanged."
    )
    source: Language = Field(default="", description=_sentence("source_language"))
    target: Language = Field(default="", description=_sentence("target_language"))
    options: Options = Field(default_factory=Options)
    return_: Annotated[list[Detail], Field(max_length=4)] = Field(
        default_factory=list,
        alias="return",
        description="What to return for each text besides the result itself.",
    )
    stream: bool = Field(
        default=False, description="Answer with server-sent events. For one text only."
    )

    @model_validator(mode="after")
    def _stream_one(self) -> Self:
        if self.stream and not isinstance(self.text, str):
            raise ValueError("stream is for one text. Give text as a string.")
        return self

    @property
    def texts(self) -> list[str]:
        """The texts, always as a list."""
        return [self.text] if isinstance(self.text, str) else self.text

    def search_options(self, defaults: SearchOptions) -> SearchOptions:
        """Return the `defaults` of the model, overridden by the options of the request.

        Raises:
            ConfigError: the options contradict one another.
        """
        in_body: dict[str, Any] = {
            option: value
            for option, field in FIELDS_OF_THE_BODY.items()
            if field in type(self).model_fields and (value := getattr(self, field))
        }
        return self.options.merged_into(defaults, in_body)


class TranslateRequest(GenerateRequest):
    """One text or several, all translated with the same options.

    A text is cut into lines and the lines into sentences, which are translated one by one; the
    characters between them are kept.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "Das Brot kostet 4,20 Euro."}]}
    )


class SummarizeRequest(GenerateRequest):
    """One text or several, all summarized with the same options."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"text": "A long text.\nWith several lines.", "on_long": "cut"}]
        }
    )

    on_long: OnLong | None = Field(
        default=None,
        description=f"{_sentence('on_long')} `truncated_source` reports a cut, `windows` all "
        "windows, and `whole_source` a text that is read whole though it is longer than others may "
        "be. The default is that of the model, which refuses unless configured otherwise.",
    )


class ScoreRequest(WorkRequest):
    """Sources and, for each, a target to score."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"source": "Es ist halb vier.", "target": "It is half past three."}]
        }
    )

    source: TextOrTexts = Field(description="One text or several.")
    target: TextOrTexts = Field(description="As many targets as sources, in the same form.")
    task: Name | None = Field(default=None, description="Task of the model, if none is named.")

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if len(self.sources) != len(self.targets):
            raise ValueError(
                f"{len(self.sources)} sources, but {len(self.targets)} targets. Give pairs."
            )
        return self

    @property
    def sources(self) -> list[str]:
        """The sources, always as a list."""
        return [self.source] if isinstance(self.source, str) else self.source

    @property
    def targets(self) -> list[str]:
        """The targets, always as a list."""
        return [self.target] if isinstance(self.target, str) else self.target


class TraceRequest(WorkRequest):
    """A sentence to trace while it is translated or summarized."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "Es ist halb vier."}]})

    text: Annotated[str, AfterValidator(_short_enough_to_trace)] = Field(
        description="What the model reads at once, such as a sentence.",
        json_schema_extra={"maxLength": MAX_TRACED},
    )
    task: Name | None = Field(default=None, description="Task of the model, if none is named.")
    options: Options = Field(default_factory=Options)


def _form_of_steps(sequence: object) -> str:
    """Return the form of a sequence, which its first step tells."""
    return (
        MANY if isinstance(sequence, list) and sequence and isinstance(sequence[0], list) else ONE
    )


# Only the first mistake is reported, and to note all of a long list would hold up the event loop.
Numbers = Annotated[list[float], Field(fail_fast=True)]
Steps = Annotated[
    Annotated[Numbers, Tag(ONE)] | Annotated[list[Numbers], Field(fail_fast=True), Tag(MANY)],
    Discriminator(_form_of_steps),
]


class TransduceRequest(WorkRequest):
    """Sequences of symbols, of vectors or of text, whichever the model reads."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"symbols": "abbreviate"}, {"vectors": [[[0.5, 1.0]]]}]}
    )
    max_values: ClassVar[int] = 2 * MAX_NUMBERS + MAX_VALUES

    symbols: TextOrTexts | None = Field(
        default=None, description="One line of symbols or several, written as in the training data."
    )
    vectors: Annotated[list[Steps], Field(max_length=MAX_TEXTS, fail_fast=True)] | None = Field(
        default=None,
        description="Sequences of vectors: a list of the numbers of each step, or, of a model that "
        f"reads one number a step, the number. At most {MAX_NUMBERS:,} numbers in all.",
    )
    text: TextOrTexts | None = Field(
        default=None, description="One text or several, for a model that makes vectors of them."
    )
    options: SymbolOptions = Field(default_factory=SymbolOptions)
    return_: Annotated[list[Detail], Field(max_length=4)] = Field(
        default_factory=list,
        alias="return",
        description="What to return for each sequence besides the result itself, if it is a line.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(one is not None for one in (self.symbols, self.vectors, self.text)) != 1:
            raise ValueError("give one of symbols, vectors and text, as the model reads.")
        if self.numbers > MAX_NUMBERS:
            raise ValueError(
                f"{self.numbers:,} numbers, but a request may have {MAX_NUMBERS:,}. Send several "
                "requests."
            )
        return self

    @cached_property
    def numbers(self) -> int:
        """How many numbers there are in all vectors."""
        return sum(
            len(step) if isinstance(step, list) else 1
            for sequence in self.vectors or ()
            for step in sequence
        )

    @property
    def sequences(self) -> list[str] | list[list[float] | list[list[float]]]:
        """The sequences, always as a list."""
        if self.vectors is not None:
            return self.vectors
        lines = self.text if self.symbols is None else self.symbols
        return [lines] if isinstance(lines, str) else lines or []

    @property
    def given(self) -> str:
        """The name of the field that has them."""
        if self.vectors is not None:
            return "vectors"
        return "text" if self.symbols is None else "symbols"

    @property
    def size(self) -> int:
        """The fewest bytes that the sequences take in the body: a number has a comma or bracket."""
        if self.vectors is not None:
            return 2 * self.numbers
        return sum(len(text.encode()) for text in self.sequences if isinstance(text, str))
