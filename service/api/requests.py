"""Requests: the JSON that goes in, with every limit, as OpenAPI shows it, and that of errors."""

import dataclasses
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_origin, get_type_hints

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
from model.errors import ConfigError
from model.text.languages import language_tag
from service.engine.request_params import HIGHEST, LOWEST, Detail

MAX_TEXTS = 256
MAX_CHARACTERS = 800_000
MAX_WORD = 10_000  # characters between two spaces
MAX_BEAM_SIZE = 16
MOST = dict.fromkeys(("beam_size", "n_best", "diverse_groups"), MAX_BEAM_SIZE)
"""The greatest value of options that the library bounds less tightly: a beam is memory of the
server."""
MAX_PHRASE = 1_000  # characters of a prefix, a constraint or what is to be avoided
MAX_PHRASES = 100
MAX_DEADLINE_MS = 3_600_000
MAX_NAME = 100

FIELDS_OF_THE_BODY = {
    "source_language": "source",
    "target_language": "target",
    "on_long": "on_long",
}
"""The search options that are fields of the body, and what they are called there: they say what a
text is, and not how it is searched. All others are in `Options`, under their own names."""

ONE, MANY = "one", "many"
"""The two forms of `text`. Pydantic names the form in the place of an error."""


_SPACE = re.compile(r"\s")


def _words_of_bounded_length(text: str) -> str:
    """Refuse words that are too long, without splitting the text: that would hold up everybody.

    Such a word covers a whole block of half its length, wherever it begins.
    """
    block = MAX_WORD // 2
    for start in range(0, len(text) - block + 1, block):
        if _SPACE.search(text, start, start + block):
            continue
        around = text[max(start - MAX_WORD, 0) : start + block + MAX_WORD]
        if max(map(len, around.split())) > MAX_WORD:
            raise ValueError(
                f"a word has more than {MAX_WORD} characters. Put spaces between words."
            )
    return text


Text = Annotated[
    str,
    Field(max_length=MAX_CHARACTERS, json_schema_extra={"x-max-word-length": MAX_WORD}),
    AfterValidator(_words_of_bounded_length),
]
Texts = Annotated[list[Text], Field(max_length=MAX_TEXTS)]
PhraseText = Annotated[str, Field(max_length=MAX_PHRASE)]
PhraseTexts = Annotated[list[PhraseText], Field(max_length=MAX_PHRASES)]


def _tag(language: str) -> str:
    try:
        return language_tag(language)
    except ConfigError:  # whose message would repeat what was sent
        raise ValueError("not a language. Use a tag such as de or pt-BR.") from None


def _form(value: object) -> str:
    return MANY if isinstance(value, list) else ONE


class RequestOptions(BaseModel):
    """What `Options` can do; its fields are made from `SearchOptions`."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    def over(self, defaults: SearchOptions) -> SearchOptions:
        """`defaults` with what was given in their place.

        Raises:
            ConfigError: together they make no sense, such as `n_best` above `beam_size`.
        """
        if not self.model_fields_set:
            return defaults
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name in self.model_fields_set
            if (value := getattr(self, name)) is not None
        }
        return dataclasses.replace(defaults, **given)

    @property
    def phrases(self) -> list[str]:
        """What the client wrote in words."""
        given = (getattr(self, name) or [] for name in ("prefix", "constraints", "avoid"))
        return [text for one in given for text in ([one] if isinstance(one, str) else one)]


def _type_of_option(name: str, hint: object) -> Any:
    """The type that pydantic checks: that of the search option, within the limits of the server."""
    if hint is str:
        return PhraseText
    if get_origin(hint) is tuple:
        return PhraseTexts
    if get_origin(hint) is Literal:
        return hint
    least, most = BOUNDS[name]
    most = MOST.get(name, most)
    if DESCRIPTIONS[name].above_least:
        return Annotated[hint, Field(gt=least, le=most)]
    return Annotated[hint, Field(ge=least, le=most)]


def _sentence(option: str) -> str:
    """The description of a search option, as OpenAPI shows it."""
    text = DESCRIPTIONS[option].text
    return text[0].upper() + text[1:] + "."


if TYPE_CHECKING:
    Options = RequestOptions  # a class made while the module loads is no type for mypy
else:
    Options = create_model(
        "Options",
        __base__=RequestOptions,
        __doc__="How to search. What is left out is as the model has it.",
        __module__=__name__,
        **{
            name: (_type_of_option(name, hint) | None, Field(None, description=_sentence(name)))
            for name, hint in get_type_hints(SearchOptions).items()
            if name not in FIELDS_OF_THE_BODY
        },
    )


TextOrTexts = Annotated[
    Annotated[Text, Tag(ONE)] | Annotated[Texts, Tag(MANY)], Discriminator(_form)
]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Language = Annotated[str, Field(max_length=MAX_NAME), AfterValidator(_tag)]


class WorkRequest(BaseModel):
    """What every request for work may say besides its texts."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: Name | None = Field(
        default=None, description="Name of a model, see /v1/models. Needed where several fit."
    )
    deadline_ms: Annotated[int, Field(ge=1, le=MAX_DEADLINE_MS)] | None = Field(
        default=None, description="Milliseconds after which nobody wants the answer: then 504."
    )
    priority: Annotated[int, Field(ge=LOWEST, le=HIGHEST)] = Field(
        default=5, description="Which requests go first when there are many: 9 before 0."
    )

    def deadline(self, arrived: float) -> float | None:
        """Until when the answer is wanted, of a request that arrived at this time."""
        return None if self.deadline_ms is None else arrived + self.deadline_ms / 1000


class GenerateRequest(WorkRequest):
    """Texts, and how to search for what is made of them."""

    text: TextOrTexts = Field(
        description=f"One text or several, with words of at most {MAX_WORD} characters. One "
        "without a letter or a digit comes back as it is."
    )
    source: Language = Field(default="", description=_sentence("source_language"))
    target: Language = Field(default="", description=_sentence("target_language"))
    options: Options = Field(default_factory=Options)
    return_: Annotated[list[Detail], Field(max_length=4)] = Field(
        default_factory=list,
        alias="return",
        description="What to tell of each answer besides its text.",
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
        """Always a list."""
        return [self.text] if isinstance(self.text, str) else self.text

    def search_options(self, defaults: SearchOptions) -> SearchOptions:
        """The options of the request, over the `defaults` of the model.

        Raises:
            ConfigError: they contradict one another.
        """
        told = {
            option: value
            for option, field in FIELDS_OF_THE_BODY.items()
            if field in type(self).model_fields and (value := getattr(self, field))
        }
        return dataclasses.replace(self.options.over(defaults), **told)


class TranslateRequest(GenerateRequest):
    """One text or several, which are all translated with the same options.

    A text is cut into lines, and these into sentences, which are translated one by one; what stands
    between them is kept.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "Das Brot kostet 4,20 Euro."}]}
    )


class SummarizeRequest(GenerateRequest):
    """One text or several, which are all summarized with the same options."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"text": "A long text.\nWith several lines.", "on_long": "cut"}]
        }
    )

    on_long: OnLong | None = Field(
        default=None,
        description=f"{_sentence('on_long')} What was cut is told in `truncated_source`. Left out, "
        "as the model has it, which is to refuse unless somebody has chosen otherwise.",
    )


class ScoreRequest(WorkRequest):
    """Sources and, for each, the target whose probability is wanted."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"source": "Es ist halb vier.", "target": "It is half past three."}]
        }
    )

    source: TextOrTexts = Field(description="One text or several.")
    target: TextOrTexts = Field(description="As many as sources, of the same form.")
    task: Name | None = Field(default=None, description="Of the model, where none is named.")

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if len(self.sources) != len(self.targets):
            raise ValueError(
                f"{len(self.sources)} sources, but {len(self.targets)} targets. Give pairs."
            )
        return self

    @property
    def sources(self) -> list[str]:
        """Always a list."""
        return [self.source] if isinstance(self.source, str) else self.source

    @property
    def targets(self) -> list[str]:
        """Always a list."""
        return [self.target] if isinstance(self.target, str) else self.target


class Alive(BaseModel):
    """All is well."""

    status: Literal["ok"] = "ok"


class ErrorDetail(BaseModel):
    type: str = Field(description="One word for each kind of error, for programs.")
    message: str = Field(description="What is wrong and what to do, for people.")


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail
