"""Schemas: the JSON that goes in and comes out, with every limit, as OpenAPI shows it."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from model.config import from_dict, to_dict
from model.decoding.options import (
    MAX_ALPHA,
    MAX_BEAM_SIZE,
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
from model.translation import Translation

MAX_TEXTS = 256
MAX_CHARACTERS = 800_000
MAX_PHRASE = 1_000  # characters of a prefix, a constraint or what is to be avoided
MAX_PHRASES = 100

ONE, MANY = "one", "many"
"""The two forms of `text`. Pydantic names the form in the place of an error."""

Text = Annotated[str, Field(max_length=MAX_CHARACTERS)]
Texts = Annotated[list[Text], Field(max_length=MAX_TEXTS)]
Phrase = Annotated[str, Field(max_length=MAX_PHRASE)]
Phrases = Annotated[list[Phrase], Field(max_length=MAX_PHRASES)]


def _form(value: object) -> str:
    return MANY if isinstance(value, list) else ONE


class Options(BaseModel):
    """How to search, as in `SearchOptions`. What is left out is as the checkpoint has it."""

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
    prefix: Phrase | None = Field(
        default=None, description="Text that the translation begins with."
    )
    constraints: Phrases | None = Field(
        default=None, description="Words or phrases that the translation contains."
    )
    avoid: Phrases | None = Field(
        default=None, description="Words or phrases that the translation does not contain."
    )

    def over(self, defaults: SearchOptions) -> SearchOptions:
        """`defaults` with what was given in their place.

        Raises:
            ConfigError: together they make no sense, such as `n_best` above `beam_size`.
        """
        given = self.model_dump(exclude_none=True)
        return from_dict(SearchOptions, to_dict(defaults) | given, "options.")


class TranslateRequest(BaseModel):
    """One text or several, which are all translated with the same options."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: Annotated[
        Annotated[Text, Tag(ONE)] | Annotated[Texts, Tag(MANY)],
        Discriminator(_form),
        Field(description="A long text is cut at sentence ends or spaces; a blank one comes back."),
    ]
    options: Options = Field(default_factory=Options)
    model: str | None = None
    source: str | None = None
    target: str | None = None

    @property
    def texts(self) -> list[str]:
        """Always a list."""
        return [self.text] if isinstance(self.text, str) else self.text


class HypothesisResult(BaseModel):
    """One translation of a text, and how the search judged it."""

    translation: str
    score: float = Field(description="`log_prob` divided by the length penalty.")
    log_prob: float = Field(description="Natural logarithm of the probability.")
    pieces: list[str] = Field(description="Of the translation; U+2581 stands for a space.")
    alignment: list[int] = Field(
        description="For each piece, which of the `source_pieces` it attended to most."
    )
    token_log_probs: list[float] = Field(
        description="For each piece the natural logarithm of its probability."
    )
    word_alignment: list[int] = Field(
        description="For each word, which word of the source it attended to most."
    )
    truncated: bool = Field(description="It hit its length limit and would have gone on.")


class TranslationResult(HypothesisResult):
    """The best translation of a text."""

    source_pieces: list[str]
    alternatives: list[HypothesisResult] = Field(
        description="The others, best first; none with an `n_best` of 1."
    )

    @classmethod
    def of(cls, translation: Translation) -> "TranslationResult":
        """What there is to tell of `translation`."""
        best, *others = (hypothesis.to_json() for hypothesis in translation.hypotheses)
        more = {"source_pieces": translation.source_pieces, "alternatives": others}
        return cls.model_validate(best | more)


class TranslateResponse(BaseModel):
    """One translation for each text, in their order."""

    translations: list[TranslationResult]
    model: str = Field(description="Identity of the checkpoint that translated.")

    @classmethod
    def of(cls, translations: Sequence[Translation], model: str) -> "TranslateResponse":
        """The body that tells of `translations`."""
        return cls(translations=list(map(TranslationResult.of, translations)), model=model)


class Alive(BaseModel):
    """The process runs and answers."""

    status: Literal["ok"] = "ok"


class ErrorDetail(BaseModel):
    type: str = Field(description="One word for each kind of error, for programs.")
    message: str = Field(description="What is wrong and what to do, for people.")


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail
