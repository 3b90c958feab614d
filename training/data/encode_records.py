"""Encoding a chunk of records in any process: parse, filter, turn into ids."""

import hashlib
import re
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.text.normalization import NORMALIZATION, normalize_source
from model.text.printable import printable
from model.text.sentences import sentence_ends
from model.text.tokenizer import UNK_ID
from model.text.vocabulary import Vocabulary
from training.config.data_config import FilterConfig
from training.data.corpus_report import EXAMPLES, UNKNOWN_SYMBOLS
from training.data.indexed_corpus import Pairs, Side
from training.data.parsing import NotText, Pair
from training.data.readers import Chunk

# Control characters except tab, and the replacement character: signs of a text that was read or
# written in a wrong encoding.
_DAMAGE = re.compile("[\0-\x08\n-\x1f\x7f-\x9f\ufffd]")
_SHOWN = 120  # characters of each side of an example

DUPLICATE = "duplicate"


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodingRules:
    """Rules for which pairs are kept."""

    source_limit: int
    """Most pieces of a source; a tag takes some of them."""
    target_limit: int
    filters: FilterConfig
    source_language: str = ""
    """Language tag, by whose rules sentences are counted; "" if unknown."""
    normalization: int = NORMALIZATION
    """The rules by which sources are normalised, see `model.text.normalization`."""


class EncodedChunk(NamedTuple):
    """Kept pairs of a chunk, and why the others were dropped."""

    lines: int
    pairs: Pairs
    several: int
    """Number of kept pairs whose source has several sentences."""
    hashes: NDArray[np.uint64]
    """Hash of each pair, to find duplicates; empty where that is off."""
    dropped: dict[str, int]
    examples: dict[str, list[str]]


def encode_chunk(tokenizer: Vocabulary, chunk: Chunk, *, rules: EncodingRules) -> EncodedChunk:
    """Encode the pairs of `chunk` that pass the rules.

    Raises:
        DataError: a record is damaged.
    """
    pairs: list[Pair] = []
    dropped: dict[str, int] = {}
    examples: dict[str, list[str]] = {}

    def drop(reason: str, shown: str) -> None:
        dropped[reason] = dropped.get(reason, 0) + 1
        if dropped[reason] <= EXAMPLES:
            examples.setdefault(reason, []).append(shown)

    for number, raw in enumerate(chunk.raws, chunk.first):
        try:
            pair = chunk.parse(number, raw)
            reason = damage(pair, rules.filters)
        except NotText as error:
            if not rules.filters.encoding:
                raise
            drop("not text", printable(str(error)))
            continue
        plain = normalize_source(pair.source, rules.normalization)
        if reason or not plain.strip():  # normalization may leave only white space
            drop(reason or "blank", example(pair.source, pair.target))
        else:
            pairs.append(pair._replace(source=plain))
    kept: list[Pair] = []
    sources: list[list[int]] = []
    targets: list[list[int]] = []
    encoded_sources = tokenizer.source.encode_lines([pair.source for pair in pairs])
    encoded_targets = tokenizer.target.encode_lines([pair.target for pair in pairs])
    for pair, source, target in zip(pairs, encoded_sources, encoded_targets, strict=True):
        reason = misfit(len(source), len(target), rules)
        if not reason and tokenizer.closed and (UNK_ID in source or UNK_ID in target):
            reason = UNKNOWN_SYMBOLS
        if reason:
            drop(reason, example(pair.source, pair.target))
            continue
        kept.append(pair)
        sources.append(source)
        targets.append(target)
    hashed = kept if rules.filters.duplicates else []
    return EncodedChunk(
        lines=len(chunk.raws),
        several=sum(bool(sentence_ends(p.source, rules.source_language)) for p in kept),
        pairs=Pairs(_side(sources), _side(targets), np.array([p.weight for p in kept], np.float32)),
        hashes=np.array([pair_hash(pair) for pair in hashed], np.uint64),
        dropped=dropped,
        examples=examples,
    )


def damage(pair: Pair, filters: FilterConfig) -> str:
    """Return why a pair is dropped regardless of its pieces; "" if it is not."""
    if filters.encoding and (_DAMAGE.search(pair.source) or _DAMAGE.search(pair.target)):
        return "not text"
    if not (pair.source.strip() and pair.target.strip()):
        return "blank"
    if filters.identical and pair.source.strip() == pair.target.strip():
        return "the same on both sides"
    return "" if pair.weight else "of weight 0"


def misfit(source: int, target: int, rules: EncodingRules) -> str:
    """Return why a pair with these numbers of pieces is dropped; "" if it is not."""
    if source > rules.source_limit or target > rules.target_limit:
        return "too long"
    ratio = rules.filters.max_ratio
    if ratio and max(source, target) > ratio * min(source, target):
        return "too unequal in length"
    return ""


def pair_hash(pair: Pair) -> int:
    """64 bits of the pair, the same on every machine."""
    text = f"{pair.source}\0{pair.target}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())


def example(source: str, target: str) -> str:
    """Format a pair on one short line; the bar between its sides shows which one is blank."""
    return f"{printable(source[:_SHOWN])} | {printable(target[:_SHOWN])}".strip()


def _side(sentences: list[list[int]]) -> Side:
    lengths = np.fromiter(map(len, sentences), np.int64, len(sentences))
    return Side(np.array(list(chain.from_iterable(sentences)), np.int32), lengths)
