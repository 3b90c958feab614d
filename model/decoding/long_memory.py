"""Long memory: what a source of any length takes, told and compared before it is taken."""

# Shapes: S source length with EOS, C chunk length, K hypotheses, H encoder output size, A attention
# size, G heads.

from dataclasses import dataclass

import torch

from model.config import ModelConfig
from model.decoding.options import SearchOptions
from model.errors import RequestError
from model.network.long_encoder import CHUNK

_GATES = {"lstm": 4, "gru": 3, "rnn": 1}
_IDS = 8 + 1
"""Bytes of an id and its mask."""
_WIDE = 4
"""Bytes of an fp32 number, in which the memory and the weights of the attention are."""
_COPYING = 48
"""Bytes for each source piece of a hypothesis while copies are counted, most of them fp64."""
_COVERAGE_PENALTY = 52
"""The same for the sums of `coverage_beta`, most of them fp64, too."""
_EXTRACTION = 64
"""The same for the words of the source that may follow."""
_WORDS = 400
"""Bytes for each source piece while the words of an extractive search are listed."""
_LIBRARIES = 64 << 20
"""Bytes for the programs and the packed weights of oneDNN, whatever the network."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LongMemory:
    """Bytes that encoding one source and a step of the decoder take, beside the weights."""

    bank: int
    """What the decoder attends to: ids, mask, values (S, H) and keys (S, A)."""
    beside: int
    """The most that is held at once beside the bank and grows with S, too: the second array (S, H)
    of the encoder, whose place the keys take later, or the attention of a step (K, G, S)."""
    rest: int
    """Everything else: as large as a chunk, whatever S is."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.bank + self.beside + self.rest


def bytes_needed(
    config: ModelConfig,
    pieces: int,
    dtype: torch.dtype,
    chunk: int = CHUNK,
    options: SearchOptions | None = None,
) -> LongMemory:
    """What a source of `pieces` pieces with EOS takes, computed in `dtype`.

    In bf16 the arrays of the encoder are in bf16, and the bank is in fp32.

    Args:
        options: of the search; if None, that of one hypothesis, without rules.
    """
    options = options or SearchOptions(beam_size=1)
    size, keys = config.encoder_size, config.decoder_size
    item = dtype.itemsize
    kept = max(item, _WIDE)
    bank = _IDS + kept * (size + (0 if config.attention == "dot" else keys))
    arrays = item * size * (2 if config.encoder_layers > 1 else 1)
    if item < kept:
        arrays = max(arrays, (item + kept) * size)  # while the values become fp32
    heads = config.attention_heads
    step = _WIDE * (heads + (1 if heads > 1 else 0) + (3 if config.coverage else 0))
    step = step * kept // _WIDE + (_COPYING if config.copy else 0)
    step += _COVERAGE_PENALTY if options.coverage_beta else 0
    extracts = options.extractive != "none"
    step = options.beam_size * (step + (_EXTRACTION if extracts else 0))
    step += _WORDS if extracts else 0
    return LongMemory(
        bank=pieces * bank,
        beside=pieces * max(arrays + _IDS - bank, step),
        rest=_chunk_bytes(config, max(item, _WIDE), min(chunk, pieces)) + _LIBRARIES,
    )


def _chunk_bytes(config: ModelConfig, item: int, chunk: int) -> int:
    """What a chunk takes: what is read, forwards and reversed, gates, and what is written."""
    width = max(config.embedding_size, config.encoder_size)
    half = config.encoder_size // 2
    columns = 3 * width + 3 * _GATES[config.cell] * half + 4 * half
    return item * chunk * max(columns, 4 * config.decoder_size)


def check_memory(need: LongMemory, pieces: int, available: int) -> None:
    """Check that `available` bytes suffice for a source of `pieces` pieces; 0 means unknown.

    Raises:
        RequestError: they do not.
    """
    if 0 < available < need.total:
        raise RequestError(
            f"{pieces:,} pieces need {_gigabytes(need.total)} of memory, and "
            f"{_gigabytes(available)} are available. Shorten the text to about "
            f"{shorter(need, pieces, available):,} pieces, or free memory.",
            field="source",
        )


def shorter(need: LongMemory, pieces: int, available: int) -> int:
    """How many pieces fit into `available` bytes, if `pieces` need `need`; none are 0."""
    return max(0, (available - need.rest) * pieces // (need.bank + need.beside))


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
