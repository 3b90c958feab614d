"""Learning a lossless tokenizer from raw text: BPE (Sennrich 2016) or unigram (Kudo 2018)."""

import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import sentencepiece

from model.checkpoint.checkpoint import load_checkpoint
from model.errors import ConfigError, DataError
from model.text.length_pieces import length_words
from model.text.tokenizer import BOS_ID, EOS_ID, PAD_ID, SPACE_MARK, UNK_ID, Tokenizer
from training.config.train_config import VOCAB_SIZE, TokenizerConfig, TrainConfig
from training.data.text_corpus import all_lines, sample_pairs

# What is learned from: SentencePiece reads the space mark as a space and skips a line with U+2585,
# its placeholder for unknown characters. The bound keeps it from quadratic time in giant words.
_STRETCH = re.compile("[^\u2581\u2585]{1,2048}")

_TOO_LARGE = re.compile(r"Vocabulary size too high .* a value <= (\d+)")
_TOO_SMALL = re.compile(r"Vocabulary size is smaller than required_chars\. \d+ vs (\d+)")

_SMALLEST = 5  # where SentencePiece begins to say how large the vocabulary has to be
_LONGEST_STRETCH = 2**16  # bytes; SentencePiece skips longer ones
# One character in ten thousand is left to the byte pieces: enough for every letter of the text's
# own languages, while stray emoji and foreign scripts take no place in the vocabulary.
_CHARACTER_COVERAGE = 0.9999


def learn_tokenizer(
    lines: Iterable[str],
    *,
    kind: Literal["bpe", "unigram"],
    vocab_size: int | Literal["auto"],
    tags: Sequence[str] = (),
) -> bytes:
    """Learn a serialized SentencePiece model of exactly `vocab_size` pieces for `Tokenizer`.

    `auto` is `VOCAB_SIZE` or, if the text has not as many, all that it has.

    The lines are held in memory, nothing is written to disk, and equal lines give equal bytes.
    `vocab_size` counts the 4 control pieces, the 256 bytes, every character that is kept and the
    `tags`: words that become one piece wherever they stand after a space or begin a line.

    Raises:
        ConfigError: `vocab_size` does not suit the text; the nearest that does is named.
        DataError: there is no text, or a line does not survive encoding and decoding.
    """
    kept = list(lines)
    if not any(kept):
        raise DataError(
            f"there is no text to learn a tokenizer from ({len(kept)} lines, all empty). "
            "Give lines with text."
        )
    size = VOCAB_SIZE if vocab_size == "auto" else vocab_size
    try:
        learned = _train(kept, kind, size, tags)
    except RuntimeError as error:
        most = _TOO_LARGE.search(str(error))
        if vocab_size == "auto" and most:
            learned = _train(kept, kind, int(most[1]), tags)
        elif unsuitable := _unsuitable_size(error, size):
            raise unsuitable from error
        else:
            raise
    check_round_trip(Tokenizer(learned), kept)
    return learned


def _train(
    lines: Sequence[str], kind: Literal["bpe", "unigram"], vocab_size: int, tags: Sequence[str]
) -> bytes:
    """Learn a serialized model; a `RuntimeError` may say that `vocab_size` does not suit."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=_stretches(lines),
        model_writer=written,
        model_type=kind,
        vocab_size=max(vocab_size, _SMALLEST),
        pad_id=PAD_ID,
        unk_id=UNK_ID,
        bos_id=BOS_ID,
        eos_id=EOS_ID,
        # Makes it lossless: no character is changed, dropped, added or unknown.
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        byte_fallback=True,
        required_chars=SPACE_MARK,  # in a text with few spaces it could become byte pieces
        character_coverage=_CHARACTER_COVERAGE,
        split_digits=True,
        user_defined_symbols=[SPACE_MARK + tag for tag in tags],
        max_sentence_length=_LONGEST_STRETCH,
        minloglevel=2,
    )
    return written.getvalue()


def check_round_trip(tokenizer: Tokenizer, lines: Sequence[str]) -> None:
    """Check that the tokenizer gives every line back, in Unicode normal form C.

    Raises:
        DataError: naming the first line that comes back changed.
    """
    for number, line in enumerate(lines, 1):
        back = tokenizer.decode(tokenizer.encode(line))
        if back != unicodedata.normalize("NFC", line):
            raise DataError(
                f"line {number} of the tokenizer's text comes back changed: {_excerpt(line)} "
                f"becomes {_excerpt(back)}. Use a tokenizer that dragoman-train has learned."
            )


def _stretches(lines: Sequence[str]) -> Iterator[str]:
    """Yield text for SentencePiece: normalised, with the space that `Tokenizer` adds."""
    for line in lines:
        if line:
            yield from _STRETCH.findall(" " + unicodedata.normalize("NFC", line))


def _unsuitable_size(error: RuntimeError, vocab_size: int) -> ConfigError | None:
    """Explain SentencePiece's error, if it is about the vocabulary size."""
    if found := _TOO_LARGE.search(str(error)):
        return ConfigError(
            f"vocab_size: {vocab_size} is too large for this text. Use at most {found[1]}, or "
            "give more text."
        )
    if found := _TOO_SMALL.search(str(error)):
        return ConfigError(
            f"vocab_size: {vocab_size} is too small for this text: its characters, the 256 bytes "
            f"and 4 control pieces need {found[1]}. Use at least that."
        )
    return None


def _excerpt(line: str) -> str:
    return ascii(line if len(line) <= 60 else line[:60] + "...")


LEARNED_FROM = 1_000_000
"""Most pairs that a tokenizer is learned from; evenly spaced."""


def make_tokenizer(config: TrainConfig) -> Tokenizer:
    """Load the tokenizer of the config, of the model to start from or of a teacher, or learn one.

    Raises:
        DataError: the named file cannot be read.
        CheckpointError: it is no SentencePiece model, or there is no such model to begin with.
    """
    settings, corpora = config.tokenizer, config.data.train
    others = [config.finetune.init_from, *config.objective.teacher]
    owner = next((model for model in others if model is not None), None)
    if settings.model is None and owner is not None:
        return load_checkpoint(owner).tokenizer
    if settings.model is None:
        lines = all_lines(sample_pairs(corpora, config.data, most=LEARNED_FROM))
        tags = sorted({corpus.tag for corpus in (*corpora, config.data.dev) if corpus.tag})
        tags += length_words(config.data.length_buckets)
        return learned_tokenizer(settings, lines, tags)
    return given_tokenizer(config.data.path(settings.model))


def learned_tokenizer(
    settings: TokenizerConfig, lines: Iterable[str], tags: Sequence[str] = ()
) -> Tokenizer:
    """Learn one as the config says.

    Raises:
        ConfigError, DataError: see `learn_tokenizer`.
    """
    return Tokenizer(
        learn_tokenizer(lines, kind=settings.kind, vocab_size=settings.vocab_size, tags=tags)
    )


def given_tokenizer(path: Path) -> Tokenizer:
    """Load the one that the config names.

    Raises:
        DataError: the file cannot be read.
        CheckpointError: it is no SentencePiece model.
    """
    try:
        return Tokenizer(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: the tokenizer cannot be read ({error.strerror}).") from None
