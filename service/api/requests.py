"""Requests: the JSON that goes in, with every limit, as OpenAPI shows it, and that of errors."""

import dataclasses
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from model.decoding.options import (
    MAX_ALPHA,
    MAX_COVERAGE_BETA,
    MAX_DIVERSE_STRENGTH,
    MAX_LENGTH_A,
    MAX_LENGTH_B,
    MAX_NGRAM,
    MAX_SEED,
    MAX_TEMPERATURE,
    MAX_TOP_K,
    MAX_WORD_REWARD,
    SearchOptions,
)
from model.errors import ConfigError
from model.text.languages import language_tag
from service.engine.request_params import HIGHEST, LOWEST, Detail

MAX_TEXTS = 256
MAX_CHARACTERS = 800_000
MAX_WORD = 10_000  # characters between two spaces
MAX_BEAM_SIZE = 16  # smaller than that of the library: a beam is memory of the server
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


def _words_of_bounded_length(text: str) -> str:
    if len(text) > MAX_WORD and max(map(len, text.split()), default=0) > MAX_WORD:
        raise ValueError(f"a word has more than {MAX_WORD} characters. Put spaces between words.")
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


class Options(BaseModel):
    """How to search, as in `SearchOptions`. What is left out is as the model has it.

    Of the fields of `SearchOptions` only `FIELDS_OF_THE_BODY` are not here.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    beam_size: Annotated[int, Field(ge=1, le=MAX_BEAM_SIZE)] | None = Field(
        default=None, description="Hypotheses kept side by side; 1 is greedy search."
    )
    n_best: Annotated[int, Field(ge=1, le=MAX_BEAM_SIZE)] | None = Field(
        default=None, description="Translations of each text, at most `beam_size`."
    )
    length_penalty: Literal["gnmt", "power", "none"] | None = Field(
        default=None,
        description="What log-probabilities are divided by, so that short is not favoured.",
    )
    alpha: Annotated[float, Field(ge=0, le=MAX_ALPHA)] | None = Field(
        default=None,
        description="Exponent of the length penalty; more favours longer translations.",
    )
    word_reward: Annotated[float, Field(ge=-MAX_WORD_REWARD, le=MAX_WORD_REWARD)] | None = Field(
        default=None, description="Added to the score for each piece and EOS."
    )
    coverage_beta: Annotated[float, Field(ge=0, le=MAX_COVERAGE_BETA)] | None = Field(
        default=None, description="Weight of the penalty for source that gets little attention."
    )
    min_length: Annotated[int, Field(ge=0, le=MAX_LENGTH_B)] | None = Field(
        default=None, description="Pieces that a translation has at least."
    )
    max_length_a: Annotated[float, Field(ge=0, le=MAX_LENGTH_A)] | None = Field(
        default=None,
        description="A translation has at most a * source pieces + b pieces; this is a.",
    )
    max_length_b: Annotated[int, Field(ge=0, le=MAX_LENGTH_B)] | None = Field(
        default=None, description="This is b."
    )
    no_repeat_ngram: Annotated[int, Field(ge=0, le=MAX_NGRAM)] | None = Field(
        default=None, description="Pieces in a row that may not occur twice; 0 forbids none."
    )
    temperature: Annotated[float, Field(ge=0, le=MAX_TEMPERATURE)] | None = Field(
        default=None, description="Above 0, `beam_size` samples are drawn; 0 searches."
    )
    top_k: Annotated[int, Field(ge=0, le=MAX_TOP_K)] | None = Field(
        default=None, description="Draw from so many most probable pieces; 0 is all of them."
    )
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="Draw from the fewest pieces with this probability together."
    )
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = Field(
        default=None, description="Of the random numbers of the samples."
    )
    diverse_groups: Annotated[int, Field(ge=1, le=MAX_BEAM_SIZE)] | None = Field(
        default=None, description="Parts of the beam that avoid each other's choices."
    )
    diverse_strength: Annotated[float, Field(ge=0, le=MAX_DIVERSE_STRENGTH)] | None = Field(
        default=None, description="What a piece loses for each time an earlier group chose it."
    )
    prefix: PhraseText | None = Field(
        default=None, description="Text that the translation begins with."
    )
    constraints: PhraseTexts | None = Field(
        default=None, description="Words or phrases that the translation contains."
    )
    avoid: PhraseTexts | None = Field(
        default=None, description="Words or phrases that the translation does not contain."
    )
    split_sentences: Literal["auto", "always", "never"] | None = Field(
        default=None,
        description="Whether lines are cut at the ends of sentences; auto cuts them unless the "
        "model has learned from lines of several sentences.",
    )

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
        prefix = [self.prefix] if self.prefix else []
        return prefix + (self.constraints or []) + (self.avoid or [])


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
    source: Language = Field(
        default="", description='Language of the texts: a tag such as "de", or a name.'
    )
    target: Language = Field(
        default="", description='Language of the answer: a tag such as "en", or a name.'
    )
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

    on_long: Literal["refuse", "cut"] | None = Field(
        default=None,
        description="What becomes of a text that is longer than the model reads: refuse it, or "
        "read its beginning and say so in `truncated_source`. Left out, as the model has it, "
        "which is to refuse unless somebody has chosen otherwise.",
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
