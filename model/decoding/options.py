"""Search options: how a text is cut and searched."""

import math
from dataclasses import dataclass, field, fields
from typing import Literal, TypeVar, get_args

from model.errors import ConfigError
from model.text.charset import half_character
from model.text.languages import language_tag
from model.text.words import cleaned, occurs

MAX_BEAM_SIZE = 64
MAX_ALPHA = 5.0
MAX_WORD_REWARD = 10.0
MAX_COVERAGE_BETA = 10.0
# Wide bounds that keep the arithmetic finite; the engine has limits of its own.
MAX_LENGTH_A = 100.0
MAX_LENGTH_B = 100_000
MAX_NGRAM = 100
MIN_TEMPERATURE = 1e-6
MAX_TEMPERATURE = 100.0
MAX_TOP_K = 1_000_000
MAX_SEED = 2**63 - 1
MAX_DIVERSE_STRENGTH = 100.0
MAX_WORDS = 100_000
MAX_ATTENTION_SPAN = 100_000_000
MAX_BEST_WINDOWS = 1000
MAX_PHRASES = 1000
"""The most `constraints`, and the most phrases to `avoid`: each is compared with each."""
MAX_PHRASE_CHARACTERS = 1000
"""The most characters of all `constraints`, and of all phrases to `avoid`, whose automaton has a
state for each."""

LengthPenalty = Literal["gnmt", "power", "none"]
SplitSentences = Literal["auto", "always", "never"]
OnLong = Literal["refuse", "cut", "windows", "whole"]
Extractive = Literal["none", "names", "words", "subsequence"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OptionDescription:
    """The description of an option, for --help, OpenAPI and docs/search.md."""

    text: str
    """One phrase without a capital or a full stop; names of other options are in backticks."""
    bounds: tuple[float, float] | None
    """The least and the greatest value; None if the option is not a number."""
    above_least: bool
    """Whether the least value itself is refused."""


def option(
    default: T,
    text: str,
    *,
    bounds: tuple[float, float] | None = None,
    above_least: bool = False,
) -> T:
    """A dataclass field with this default, and with a description in its metadata."""
    description = OptionDescription(text, bounds, above_least)
    return field(default=default, metadata={"description": description})


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchOptions:
    """How a text is cut into sentences, and how each is searched.

    Each option is described here and nowhere else. Flags, JSON fields and `decoding.json` use the
    same names; `docs/search.md` explains the options further. Options that contradict one another
    are refused.
    """

    beam_size: int = option(
        5,
        "hypotheses kept side by side: 1 is greedy search, more is slower, often better",
        bounds=(1, MAX_BEAM_SIZE),
    )
    n_best: int = option(
        1, "translations returned for each text, at most `beam_size`", bounds=(1, MAX_BEAM_SIZE)
    )
    length_penalty: LengthPenalty = option(
        "gnmt", "what log-probabilities are divided by, so that short output is not favoured"
    )
    alpha: float = option(
        1.0,
        "exponent of the length penalty: more favours longer output, 0 is no penalty",
        bounds=(0, MAX_ALPHA),
    )
    word_reward: float = option(
        0.0,
        "added to the score for each piece and the end: more favours longer output",
        bounds=(-MAX_WORD_REWARD, MAX_WORD_REWARD),
    )
    coverage_beta: float = option(
        0.0,
        "weight of the penalty for source that gets too little attention; 0 is none",
        bounds=(0, MAX_COVERAGE_BETA),
    )
    min_length: int = option(
        0,
        "pieces that a translation has at least; a smaller length limit overrides it",
        bounds=(0, MAX_LENGTH_B),
    )
    max_length_a: float = option(
        2.0,
        "a translation has at most floor(a * source pieces + b) pieces; this is a",
        bounds=(0, MAX_LENGTH_A),
    )
    max_length_b: int = option(10, "the b of `max_length_a`, in pieces", bounds=(0, MAX_LENGTH_B))
    min_words: int = option(
        0,
        "words that an output has at least, words being what spaces separate",
        bounds=(0, MAX_WORDS),
    )
    max_words: int = option(
        0,
        "words that an output has at most; 0 is any number up to the length limit",
        bounds=(0, MAX_WORDS),
    )
    ratio: float | None = option(
        None,
        "words of an output for each word of its source: at most that share of them and, without "
        "`min_words`, at least four fifths of it; left out, any number",
        bounds=(0, 1),
        above_least=True,
    )
    no_repeat_ngram: int = option(
        0,
        "pieces in a row that may not occur twice in a translation; 0 forbids none",
        bounds=(0, MAX_NGRAM),
    )
    temperature: float = option(
        0.0,
        "above 0, `beam_size` samples are drawn from the probabilities ** (1 / temperature); "
        "0 searches",
        bounds=(0, MAX_TEMPERATURE),
    )
    top_k: int = option(
        0, "draw from this many most probable pieces only; 0 is all of them", bounds=(0, MAX_TOP_K)
    )
    top_p: float = option(
        1.0,
        "draw from the fewest most probable pieces that have this probability together",
        bounds=(0, 1),
        above_least=True,
    )
    seed: int = option(
        0, "seed of the random numbers: another one draws other samples", bounds=(0, MAX_SEED)
    )
    diverse_groups: int = option(
        1,
        "parts of the beam that avoid each other's choices; it divides `beam_size`",
        bounds=(1, MAX_BEAM_SIZE),
    )
    diverse_strength: float = option(
        0.5,
        "what a piece loses in log-probability for each time that an earlier group chose it",
        bounds=(0, MAX_DIVERSE_STRENGTH),
    )
    prefix: str = option("", "text that the translation begins with")
    constraints: tuple[str, ...] = option((), "words or phrases that the translation contains")
    avoid: tuple[str, ...] = option((), "words or phrases that the translation does not contain")
    extractive: Extractive = option(
        "none",
        "what is taken from the source: names makes every acronym, word with inner capitals and "
        "number of the output one that stands there, words makes every word one of its words, "
        "subsequence keeps their order, too, as in compression by deletion",
    )
    split_sentences: SplitSentences = option(
        "auto",
        "whether lines are cut at the ends of sentences; auto cuts them unless the model has "
        "learned from lines of several sentences",
    )
    attention_span: int = option(
        0,
        "source pieces that each step attends to in a text that `on_long` whole reads, those that "
        "suit it best; 0 is all of them",
        bounds=(0, MAX_ATTENTION_SPAN),
    )
    on_long: OnLong = option(
        "refuse",
        "what becomes of a text that is too long for a model that reads texts whole, as for "
        "summaries: it is refused, or cut so that its beginning is read, or all of it is read in "
        "windows, whose summaries are summarized, or whole, whatever its length",
    )
    best_windows: int = option(
        0,
        "where `on_long` is windows, the answer is made of the summaries of so many windows, those "
        "with the best scores; 0 summarizes the summaries of all",
        bounds=(0, MAX_BEST_WINDOWS),
    )
    source_language: str = option(
        "", "language of the text, as a BCP 47 tag or a name; left out, that of the model"
    )
    target_language: str = option(
        "", "language of the translation, likewise; a model of another language is refused"
    )

    def __post_init__(self) -> None:
        if not 1 <= self.beam_size <= MAX_BEAM_SIZE:
            raise ConfigError(
                f"beam_size: {self.beam_size} is out of range. Use 1 (greedy) to {MAX_BEAM_SIZE}."
            )
        if not 1 <= self.n_best <= self.beam_size:
            raise ConfigError(
                f"n_best: {self.n_best} is not in 1 to beam_size {self.beam_size}. "
                f"Lower n_best or raise beam_size."
            )
        if self.length_penalty not in get_args(LengthPenalty):
            raise ConfigError(
                f"length_penalty: {self.length_penalty!r} is not known. Use gnmt, power or none."
            )
        for name in ("top_p", "ratio"):
            if (share := getattr(self, name)) is not None and not 0 < share <= 1:
                raise ConfigError(f"{name}: {share} is out of range. Use more than 0, up to 1.")
        for name, (least, most) in BOUNDS.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise ConfigError(f"{name}: {value} is out of range. Use {least:g} to {most:g}.")
        self._check_words()
        self._check_sampling()
        self._check_groups()
        self._check_phrases()
        self._check_text()
        self._check_windows()

    def _check_text(self) -> None:
        for name, known in (
            ("split_sentences", get_args(SplitSentences)),
            ("on_long", get_args(OnLong)),
            ("extractive", get_args(Extractive)),
        ):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"{name}: {getattr(self, name)!r} is not known. Use {' or '.join(known)}."
                )
        if self.attention_span and self.on_long != "whole":
            raise ConfigError(
                f"attention_span: {self.attention_span} is for texts that are read whole, whatever "
                f"their length, but on_long is {self.on_long}. Give on_long whole, or leave "
                f"attention_span out."
            )
        for name in ("source_language", "target_language"):
            try:
                object.__setattr__(self, name, language_tag(getattr(self, name)))
            except ConfigError as error:
                raise ConfigError(f"{name}: {error}") from None

    def _check_windows(self) -> None:
        if not self.best_windows:
            return
        if self.on_long != "windows":
            raise ConfigError(
                f"best_windows: {self.best_windows} is for texts read in windows, but on_long is "
                f"{self.on_long}. Use on_long windows, or leave best_windows out."
            )
        for name in ("min_words", "max_words", "ratio", "prefix", "constraints"):
            if getattr(self, name):
                raise ConfigError(
                    f"best_windows: {self.best_windows} summaries make the answer, and how they "
                    f"share {name} is not known. Use best_windows 0, or leave {name} out."
                )

    def _check_words(self) -> None:
        if self.ratio is not None and self.max_words:
            raise ConfigError(
                f"ratio: {self.ratio} sets the most words, and so does max_words "
                f"{self.max_words}. Leave one of them out."
            )
        if self.max_words and self.min_words > self.max_words:
            raise ConfigError(
                f"min_words: {self.min_words} is above max_words {self.max_words}. "
                f"Lower min_words or raise max_words."
            )

    def _check_sampling(self) -> None:
        if 0 < self.temperature < MIN_TEMPERATURE:  # log-probabilities divided by it would overflow
            raise ConfigError(
                f"temperature: {self.temperature:g} is too small. Use 0, or {MIN_TEMPERATURE:g} or "
                "more."
            )
        if self.temperature == 0:
            for name, off in (("top_k", 0), ("top_p", 1.0), ("seed", 0)):
                if getattr(self, name) != off:
                    raise ConfigError(
                        f"{name}: {getattr(self, name)} is for sampling, but temperature is 0. "
                        f"Give a temperature such as 1, or leave {name} out."
                    )
        elif self.constraints:
            raise ConfigError(
                f"constraints: they need a search, but temperature {self.temperature:g} draws "
                f"samples. Leave one of them out."
            )

    def _check_groups(self) -> None:
        groups = self.diverse_groups
        if groups == 1:
            return
        if self.beam_size % groups:
            raise ConfigError(
                f"diverse_groups: {groups} does not divide beam_size {self.beam_size}. "
                f"Use a divisor of it."
            )
        for name in ("temperature", "constraints"):
            if getattr(self, name):
                raise ConfigError(
                    f"diverse_groups: {groups} groups share out the beam, and so does {name}. "
                    f"Leave one of them out."
                )

    def _check_phrases(self) -> None:
        texts = [("prefix", self.prefix)]
        texts += [(name, one) for name in ("constraints", "avoid") for one in getattr(self, name)]
        for name, text in texts:
            if wrong := half_character(text):
                raise ConfigError(f"{name}: {wrong}")
        self._check_lists()
        twice = [c for i, c in enumerate(self.constraints) if c in self.constraints[:i]]
        if twice:
            raise ConfigError(
                "{} is given twice, but one occurrence meets both. Give it once.",
                field="constraints",
                quoted=(twice[0],),
            )
        wanted = {demanded: cleaned(demanded) for demanded in (self.prefix, *self.constraints)}
        for phrase in dict.fromkeys(self.avoid):
            plain = cleaned(phrase)
            for demanded, text in wanted.items():
                if occurs(plain, text):
                    raise ConfigError(
                        "{} is part of {}, which is demanded. Leave one of them out.",
                        field="avoid",
                        quoted=(phrase, demanded),
                    )

    def _check_lists(self) -> None:
        for name in ("constraints", "avoid"):
            phrases = getattr(self, name)
            if isinstance(phrases, str):  # to Python, a text is a sequence of its letters
                raise ConfigError(f"{name}: {phrases!r} is one text. Give a tuple of texts.")
            if len(phrases) > MAX_PHRASES:
                raise ConfigError(
                    f"{name}: {len(phrases):,} phrases are too many. Give {MAX_PHRASES:,} or fewer."
                )
            if any(not phrase.strip() for phrase in phrases):
                raise ConfigError(f"{name}: one is blank. Give words, or leave it out.")
            if (count := sum(map(len, phrases))) > MAX_PHRASE_CHARACTERS:
                raise ConfigError(
                    f"{name}: {count:,} characters, but at most {MAX_PHRASE_CHARACTERS:,} in all. "
                    "Leave some phrases out."
                )


DESCRIPTIONS: dict[str, OptionDescription] = {
    one.name: one.metadata["description"] for one in fields(SearchOptions)
}
"""The description of each option, in the order of the fields."""
BOUNDS: dict[str, tuple[float, float]] = {
    name: description.bounds
    for name, description in DESCRIPTIONS.items()
    if description.bounds is not None
}
"""The least and the greatest value of each option that is a number."""


def length_limit(options: SearchOptions, source_length: int) -> int:
    """The most pieces of a translation of `source_length` source pieces, both without EOS."""
    return math.floor(options.max_length_a * source_length + options.max_length_b)


def word_limits(options: SearchOptions, source_words: int) -> tuple[int, int]:
    """The fewest words, and the most (0 for any number), for a source of so many words."""
    if options.ratio is None:
        return options.min_words, options.max_words
    # Rounded, so that 0.1 of 30 words is 3 of them, though 0.1 * 30 is more in binary.
    most = max(1, math.ceil(round(options.ratio * source_words, 6)))
    return options.min_words or most * 4 // 5, most


def beginnings(options: SearchOptions) -> int:
    """How many hypotheses a search starts with: one for each sample or group, else one."""
    return options.beam_size if options.temperature else options.diverse_groups
