"""`dragoman-train --check-data`: what the corpora of a config hold, what is left out and why."""

from training.config import TrainConfig
from training.corpus import encode_corpus, read_pairs
from training.order import epoch_counts
from training.training_data import load_training_data, make_tokenizer


def check_data(config: TrainConfig) -> str:
    """Read everything as a run would, cache included; the report for people.

    Raises:
        ConfigError, DataError, CheckpointError: as a run would.
    """
    data = config.data
    dev = read_pairs(data.dev, data)
    tokenizer = make_tokenizer(config)
    length = config.model.max_length
    training = load_training_data(data, tokenizer, max_length=length)
    sizes = [report.kept for report in training.reports]
    counts = epoch_counts(sizes, [corpus.weight for corpus in data.train], data.temperature)
    lines = [f"tokenizer: {tokenizer.vocab_size:,} pieces"]
    for name, report, count in zip(training.names, training.reports, counts, strict=True):
        lines.append(report.details(name))
        lines.append(f"  {count:,} pairs in an epoch, {count / report.kept:.2f} of this corpus")
    lines.append(encode_corpus(dev, tokenizer, max_length=None).report.describe("dev"))
    return "\n".join(lines)
