"""First training: the settings of a run that begins with nothing but pairs."""

from collections import Counter
from collections.abc import Callable

import torch

from model.errors import ConfigError
from model.text.tokenizer import Tokenizer
from training.data.learn_tokenizer import learn_tokenizer
from training.data.text_corpus import all_lines
from training.from_files.choose_settings import (
    Setting,
    choose_length,
    choose_network,
    choose_training,
    choose_vocabulary,
    default_minutes,
    network_of,
    warn_of_few_updates,
)
from training.from_files.data_settings import DividedData
from training.from_files.machine_speed import measure_speed
from training.from_files.measure_lengths import measure_lengths
from training.system.distributed import usable_cores

COVERAGE = 0.9999  # of the characters of the text; the rest are byte pieces
LEAST = 261  # pieces besides characters: 256 bytes, 4 for control, the space mark


def first_settings(
    data: DividedData,
    *,
    summary: bool,
    minutes: float | None,
    device: torch.device,
    say: Callable[[str], None],
) -> tuple[list[Setting], str | None]:
    """Choose every setting but those of the data.

    Returns:
        The settings, and a warning if the minutes are too few to learn much.
    """
    say("learning a vocabulary, then measuring the speed of this machine")
    vocabulary, tokenizer = learn_vocabulary(data)
    statistics = measure_lengths(data, tokenizer)
    network = choose_network(data.pairs)
    speed = measure_speed(
        network_of(network, tokenizer.vocab_size), statistics, device, cores=usable_cores()
    )
    if minutes is None:
        wanted: float = default_minutes(statistics, speed.pieces_per_s)
        why = "ten passes over the data, but 10 to 120 minutes; see --minutes"
    else:
        wanted, why = minutes, "--minutes"
    training = choose_training(statistics, minutes=wanted, pieces_per_s=speed.pieces_per_s)
    warning = warn_of_few_updates(statistics, minutes=wanted, pieces_per_s=speed.pieces_per_s)
    settings = [
        vocabulary,
        *network,
        *(one for one in training if one.key.startswith("model.")),
        choose_length(statistics, summary=summary),
        *(one for one in training if not one.key.startswith("model.")),
        Setting("run.max_minutes", wanted, why),
        *speed.settings(),
        Setting("search.beam_size", 5, "hypotheses kept in parallel; 1 is greedy and faster"),
        *(long_texts() if summary else []),
    ]
    return settings, warning


def long_texts() -> list[Setting]:
    """What becomes of the few texts that are longer than the model reads."""
    return [Setting("search.on_long", "cut", "of longer texts the beginning is read; or refuse")]


def first_lengths(data: DividedData, *, summary: bool) -> list[Setting]:
    """Choose only what decides which pairs are too long."""
    vocabulary, tokenizer = learn_vocabulary(data)
    length = choose_length(measure_lengths(data, tokenizer), summary=summary)
    return [vocabulary, length, *(long_texts() if summary else [])]


def learn_vocabulary(data: DividedData) -> tuple[Setting, Tokenizer]:
    """Choose the vocabulary, and learn one of that size from the sample, to count pieces with.

    Raises:
        ConfigError: no size suits the text.
    """
    lines = list(all_lines(data.sample))
    counts = Counter(character for line in lines for character in line)
    total, seen, characters = counts.total(), 0, 0
    for _, count in counts.most_common():
        if seen >= COVERAGE * total:
            break
        seen, characters = seen + count, characters + 1
    setting = choose_vocabulary(data.pairs, characters)
    while True:
        assert isinstance(setting.value, int)
        try:
            learned = learn_tokenizer(lines, kind="bpe", vocab_size=setting.value)
        except ConfigError:
            smaller = setting.value * 9 // 10
            if smaller < LEAST + characters:
                raise
            setting = setting._replace(
                value=smaller, reason="the text repeats itself: it has no more pieces"
            )
            continue
        return setting, Tokenizer(learned)
