"""SearchOptions: how a text is cut and searched, and what follows from it before the search."""

import math
from dataclasses import dataclass
from typing import Literal

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
MAX_TEMPERATURE = 100.0
MAX_TOP_K = 1_000_000
MAX_SEED = 2**63 - 1
MAX_DIVERSE_STRENGTH = 100.0

BOUNDS: dict[str, tuple[float, float]] = {
    "alpha": (0, MAX_ALPHA),
    "word_reward": (-MAX_WORD_REWARD, MAX_WORD_REWARD),
    "coverage_beta": (0, MAX_COVERAGE_BETA),
    "min_length": (0, MAX_LENGTH_B),
    "max_length_a": (0, MAX_LENGTH_A),
    "max_length_b": (0, MAX_LENGTH_B),
    "no_repeat_ngram": (0, MAX_NGRAM),
    "temperature": (0, MAX_TEMPERATURE),
    "top_k": (0, MAX_TOP_K),
    "top_p": (0, 1),
    "seed": (0, MAX_SEED),
    "diverse_groups": (1, MAX_BEAM_SIZE),
    "diverse_strength": (0, MAX_DIVERSE_STRENGTH),
}
"""The least and the greatest value of each option that depends on no other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchOptions:
    """How a text is cut into sentences, and how each is searched.

    Flags, JSON fields and `decoding.json` use the same names.

    `docs/search.md` explains each option. Those that contradict one another are refused here.
    """

    beam_size: int = 5
    """Hypotheses kept side by side, 1 to 64; 1 is greedy search. With a temperature: samples."""
    n_best: int = 1
    """Translations returned for a sentence, 1 to `beam_size`, no two of the same text."""
    length_penalty: Literal["gnmt", "power", "none"] = "gnmt"
    alpha: float = 1.0
    """Exponent of the length penalty, 0 to 5; more favours longer output, 0 is no penalty."""
    word_reward: float = 0.0
    """Added to the score for each piece and EOS, -10 to 10; more favours longer output."""
    coverage_beta: float = 0.0
    """Weight of the coverage penalty, 0 to 10; more favours output that attends to all source."""
    min_length: int = 0
    """Pieces before EOS is allowed; a smaller length limit overrides it."""
    max_length_a: float = 2.0
    """The length limit is floor(max_length_a * source pieces + max_length_b) pieces."""
    max_length_b: int = 10
    no_repeat_ngram: int = 0
    """Pieces in a row that may not occur twice in a translation; 0 forbids none."""
    temperature: float = 0.0
    """0 searches; above, pieces are drawn from the probabilities ** (1 / temperature)."""
    top_k: int = 0
    """Draw from the so many most probable pieces; 0 is all of them."""
    top_p: float = 1.0
    """Draw from the fewest most probable pieces that have this probability together."""
    seed: int = 0
    """Of the random numbers: another one draws other samples."""
    diverse_groups: int = 1
    """Parts of the beam that are searched one after the other, each avoiding earlier choices."""
    diverse_strength: float = 0.5
    """What a piece loses in log-probability for each time that an earlier group chose it."""
    prefix: str = ""
    """The translation begins with this text."""
    constraints: tuple[str, ...] = ()
    """Words or phrases that the translation contains."""
    avoid: tuple[str, ...] = ()
    """Words or phrases that the translation does not contain."""
    split_sentences: Literal["auto", "always", "never"] = "auto"
    """Whether lines are cut at the ends of sentences; `auto` cuts them unless the model has learned
    from lines of several sentences."""
    on_long: Literal["refuse", "cut"] = "refuse"
    """Of a model that reads texts whole, as for summaries: what becomes of one that is too long."""
    source_language: str = ""
    """BCP 47 tag or name of the language of the text; "" is that of the model."""
    target_language: str = ""
    """Of the translation; it must be that of the model."""

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
        if self.length_penalty not in ("gnmt", "power", "none"):
            raise ConfigError(
                f"length_penalty: {self.length_penalty!r} is not known. Use gnmt, power or none."
            )
        for name, (least, most) in BOUNDS.items():
            if not least <= getattr(self, name) <= most:
                raise ConfigError(
                    f"{name}: {getattr(self, name)} is out of range. Use {least:g} to {most:g}."
                )
        if self.top_p == 0:
            raise ConfigError("top_p: 0 leaves no piece to draw. Use more than 0, 1 for all.")
        self._check_sampling()
        self._check_groups()
        self._check_phrases()
        self._check_text()

    def _check_text(self) -> None:
        for name, known in (
            ("split_sentences", ("auto", "always", "never")),
            ("on_long", ("refuse", "cut")),
        ):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"{name}: {getattr(self, name)!r} is not known. Use {' or '.join(known)}."
                )
        for name in ("source_language", "target_language"):
            try:
                object.__setattr__(self, name, language_tag(getattr(self, name)))
            except ConfigError as error:
                raise ConfigError(f"{name}: {error}") from None

    def _check_sampling(self) -> None:
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
        for name in ("constraints", "avoid"):
            phrases = getattr(self, name)
            if isinstance(phrases, str):  # Python takes a text for the list of its letters
                raise ConfigError(f"{name}: {phrases!r} is one text. Give a tuple of texts.")
            if any(not phrase.strip() for phrase in phrases):
                raise ConfigError(f"{name}: one is blank. Give words, or leave it out.")
        twice = [c for i, c in enumerate(self.constraints) if c in self.constraints[:i]]
        if twice:
            raise ConfigError(
                "{} is given twice, but one occurrence meets both. Give it once.",
                field="constraints",
                quoted=(twice[0],),
            )
        for phrase in self.avoid:
            for demanded in (self.prefix, *self.constraints):
                if occurs(cleaned(phrase), cleaned(demanded)):
                    raise ConfigError(
                        "{} is part of {}, which is demanded. Leave one of them out.",
                        field="avoid",
                        quoted=(phrase, demanded),
                    )


def length_limit(options: SearchOptions, source_length: int) -> int:
    """The most pieces that a source of `source_length` pieces may give, EOS counted in neither."""
    return math.floor(options.max_length_a * source_length + options.max_length_b)


def beginnings(options: SearchOptions) -> int:
    """Hypotheses that the search begins with: one for each sample, or for each group, else one."""
    return options.beam_size if options.temperature else options.diverse_groups
