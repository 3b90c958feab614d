"""Choice of the settings of a first training, from the size of the data, the minutes and the speed.

All of it follows from two numbers: how many pairs there are, which says how large a network and a
vocabulary they can fill, and how often the minutes allow each pair to be seen, which says how much
the network must be kept from learning the pairs by heart.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from model.config import ModelConfig

FEW, SOME = 5_000, 15_000  # pairs
BATCH_TOKENS = 3_000
SEEN_OFTEN, SEEN_SELDOM = 12, 5  # passes over the data
COST_OF_RDROP = 2.0  # it computes each pair twice
KEPT = 0.995
"""Share of the pairs that `model.max_length` must not leave out."""
SHORTEST_LIMIT, LONGEST_LIMIT = 50, 250
LONGEST_TEXT = 800  # of a summarizer
PASSES_WANTED = 10
FEWEST_MINUTES, MOST_MINUTES = 10, 120
FEW_UPDATES = 1_000
"""With fewer, and fewer passes than wanted, little is learned."""
LOG_LINES, MOST_BETWEEN = 20, 50


class Setting(NamedTuple):
    """A key of the config, its value, and why it has it."""

    key: str
    value: object
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """What the settings depend on of the training pairs."""

    pairs: int
    source_pieces: float
    """Mean number in a pair, as the target pieces."""
    target_pieces: float
    longest: int
    """Pieces of the longer side, which a share `KEPT` of the pairs does not exceed."""

    @property
    def pieces(self) -> float:
        """Source and target pieces of one pass over the data."""
        return self.pairs * (self.source_pieces + self.target_pieces)


def choose_vocabulary(pairs: int, characters: int) -> Setting:
    """Choose the number of pieces; each should be seen often enough to be learned.

    Args:
        characters: how many different ones the text has; they and 260 others must find room.
    """
    if pairs < SOME:
        size, why = 4_000, "not many pairs: shorter pieces, which are seen more often"
    else:
        size, why = 8_000, "enough pairs for whole words"
    needed = 500 * math.ceil((260 + 1.5 * characters) / 500)
    if needed > size:
        size, why = needed, f"the text has {characters:,} different characters"
    return Setting("tokenizer.vocab_size", size, why)


def choose_network(pairs: int) -> list[Setting]:
    """Choose the sizes of the network, which do not depend on the time."""
    if pairs < SOME:
        sizes = (256, 2, 512, 2, 256)
        why = "the smaller of the two that suit such data"
    else:
        sizes = (256, 2, 512, 2, 512)
        why = "what the shipped configs use"
    names = ("embedding_size", "encoder_layers", "encoder_size", "decoder_layers", "decoder_size")
    chosen = [
        Setting(f"model.{name}", size, why if name == "embedding_size" else "likewise")
        for name, size in zip(names, sizes, strict=True)
    ]
    return [*chosen, Setting("model.input_feeding", False, "faster: more passes in the time")]


def default_minutes(statistics: Statistics, pieces_per_s: float) -> int:
    """Choose the minutes, for about ten passes: 10 at least, 120 at the most."""
    return minutes_of_passes(statistics, pieces_per_s, fewest=FEWEST_MINUTES, most=MOST_MINUTES)


def minutes_of_passes(
    statistics: Statistics, pieces_per_s: float, *, fewest: int, most: int
) -> int:
    """Return the minutes of `PASSES_WANTED`, rounded up to a multiple of five, within bounds."""
    wanted = PASSES_WANTED * statistics.pieces / pieces_per_s / 60
    return min(max(5 * math.ceil(wanted / 5), fewest), most)


def choose_training(
    statistics: Statistics, *, minutes: float, pieces_per_s: float
) -> list[Setting]:
    """Choose what depends on the time.

    Args:
        pieces_per_s: source and target pieces that this machine trains on in a second.
    """
    passes = 60 * minutes * pieces_per_s / statistics.pieces
    rdrop = passes > SEEN_OFTEN
    seen = passes / COST_OF_RDROP if rdrop else passes
    updates = max(int(seen * statistics.pieces / BATCH_TOKENS), 1)
    told = f"about {seen:,.{0 if seen >= 10 else 1}f} passes over the data"
    chosen = [_dropout(statistics.pairs, passes, told)]
    chosen.append(
        Setting("model.embedding_dropout", 0.2 if statistics.pairs < FEW else 0.1, "likewise")
    )
    if statistics.pairs < FEW:
        chosen.append(Setting("model.word_dropout", 0.1, "likewise"))
    if rdrop:
        chosen.append(
            Setting("objective.rdrop", 3.0, f"{told}, each pair twice in each: enough for R-Drop")
        )
    warm_up = min(max(updates // 8, 1), 400)
    return [
        *chosen,
        Setting("optimizer.learning_rate", 0.005, "peak; high, as runs by minutes are short"),
        Setting("optimizer.warmup_steps", warm_up, f"of about {updates:,} updates"),
        Setting(
            "optimizer.ema",
            choose_average(updates, parts=4),
            "averages about a quarter of the updates",
        ),
        Setting("run.batch_tokens", BATCH_TOKENS, "source and target pieces of an update"),
        choose_log(updates),
    ]


def choose_log(updates: int) -> Setting:
    """Choose how often a line is logged, so that a short or slow run shows its progress, too."""
    every = min(max(updates // LOG_LINES, 1), MOST_BETWEEN)
    return Setting("run.log_every", every, "updates between lines of the log")


def warn_of_few_updates(
    statistics: Statistics, *, minutes: float, pieces_per_s: float
) -> str | None:
    """Return a warning if `minutes` are too few here to learn much, with how many are enough.

    Args:
        pieces_per_s: as for `choose_training`.
    """
    pieces = 60 * minutes * pieces_per_s
    updates, passes = int(pieces / BATCH_TOKENS), pieces / statistics.pieces
    enough = default_minutes(statistics, pieces_per_s)
    if updates >= FEW_UPDATES or passes >= PASSES_WANTED or minutes >= enough:
        return None
    return (
        f"warning: on this machine {minutes:g} minutes are about {updates:,} updates, "
        f"{passes:,.1f} passes over the data: expect poor translations. Better: --minutes {enough}"
    )


def _dropout(pairs: int, passes: float, told: str) -> Setting:
    if pairs < FEW:
        return Setting("model.dropout", 0.4, f"{told}, and few pairs: learned by heart with less")
    if passes > SEEN_OFTEN:
        return Setting("model.dropout", 0.3, f"{told}: learned by heart with less")
    if passes > SEEN_SELDOM:
        return Setting("model.dropout", 0.25, f"{told}: a little less than usual")
    return Setting("model.dropout", 0.2, f"{told}: new pairs prevent learning by heart")


def choose_average(updates: int, *, parts: int) -> float:
    """Choose the decay of the averaged weights, whose memory is 1 / (1 - decay) updates.

    Args:
        parts: the average is over one of so many parts of the updates.
    """
    return min(0.999, max(0.9, math.floor(1000 * (1 - parts / updates)) / 1000))


def choose_length(statistics: Statistics, *, summary: bool) -> Setting:
    """Choose the greatest length of a sentence, to keep nearly all pairs."""
    most = LONGEST_TEXT if summary else LONGEST_LIMIT
    length = min(max(10 * math.ceil(statistics.longest / 10), SHORTEST_LIMIT), most)
    kept = f"pieces; {KEPT:.1%} of the pairs have at most {statistics.longest}"
    return Setting("model.max_length", length, kept)


def network_of(settings: Sequence[Setting], vocab_size: int) -> ModelConfig:
    """Make the network that `settings` describe."""
    values = {s.key.removeprefix("model."): s.value for s in settings if s.key.startswith("model.")}
    return ModelConfig(vocab_size=vocab_size, **values)  # type: ignore[arg-type]
