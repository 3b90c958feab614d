"""Lexical shortlist: the few hundred target pieces that a source sentence may be translated to.

The output layer then scores only these pieces (Mi et al. 2016, "Vocabulary manipulation for neural
machine translation"). `training.lexical.learn_shortlist` learns the table.
"""

# Shapes: V vocabulary, C candidates of a source piece, F frequent pieces.

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from model.errors import CheckpointError
from model.text.tokenizer import EOS_ID

MAX_CANDIDATES = 1000
"""The most translations of a source piece."""

MISREAD = (safetensors.SafetensorError, KeyError, RuntimeError, ValueError, TypeError)
"""What reading safetensors written by others raises besides its own error: number formats and sizes
that the file may have, but NumPy or torch do not know."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Shortlist:
    """The target pieces that go with each source piece. Immutable, so threads may share it."""

    candidates: NDArray[np.int32]
    """(V, C): row s holds the best translations of source piece s, filled up with EOS."""
    frequent: NDArray[np.int32]
    """(F,): pieces that are allowed in every sentence, EOS among them."""
    byte_pieces: NDArray[np.int32]
    """(B,): the pieces that spell characters outside the vocabulary; B is 256 or 0."""

    def of(self, src: Sequence[int]) -> NDArray[np.int64]:
        """The sorted ids that the translation of one sentence may consist of.

        They are the candidates of its pieces, the pieces themselves (names and numbers are copied),
        the frequent pieces, and all byte pieces if it has one. EOS is among them; PAD, UNK and BOS
        never are. Neither the order of `src` nor an EOS at its end matters.
        """
        own = np.asarray(src, dtype=np.int64)
        allowed = np.zeros(len(self.candidates), dtype=np.bool_)
        allowed[own] = True
        if allowed[self.byte_pieces].any():
            allowed[self.byte_pieces] = True
        allowed[self.candidates[own]] = True
        allowed[self.frequent] = True
        allowed[:EOS_ID] = False  # PAD, UNK and BOS
        return np.flatnonzero(allowed)

    def to_bytes(self) -> bytes:
        """The shortlist in the safetensors format."""
        return safetensors.numpy.save({name: getattr(self, name) for name in _DIMENSIONS})

    def to_compact_bytes(self) -> bytes:
        """The same in half of the bytes, if the vocabulary is small enough for that."""
        if len(self.candidates) > np.iinfo(np.uint16).max + 1:
            return self.to_bytes()
        arrays = {name: getattr(self, name).astype(np.uint16) for name in _DIMENSIONS}
        return safetensors.numpy.save(arrays)


_DIMENSIONS = {"candidates": 2, "frequent": 1, "byte_pieces": 1}


def shortlist_from_bytes(content: bytes, *, vocab_size: int) -> Shortlist:
    """Read what `to_bytes` or `to_compact_bytes` wrote.

    Raises:
        CheckpointError: it is not safetensors, or not a shortlist for `vocab_size` pieces.
    """
    try:
        arrays = safetensors.numpy.load(content)
    except MISREAD as error:
        raise CheckpointError(f"not safetensors: {error}.") from error
    dimensions = {name: array.ndim for name, array in arrays.items()}
    dtypes = {array.dtype for array in arrays.values()}
    if dimensions != _DIMENSIONS or not dtypes <= {np.dtype(np.int32), np.dtype(np.uint16)}:
        raise CheckpointError("not a shortlist. Make one with dragoman-shortlist.")
    arrays = {name: array.astype(np.int32) for name, array in arrays.items()}
    shortlist = Shortlist(**arrays)
    ids = np.concatenate([array.ravel() for array in arrays.values()])
    rows = len(shortlist.candidates)
    if rows != vocab_size or ids.min(initial=EOS_ID) < EOS_ID or ids.max(initial=0) >= vocab_size:
        raise CheckpointError(
            f"a shortlist of {rows} source pieces, but the vocabulary has {vocab_size}, or of ids "
            "outside of it. Make it anew with dragoman-shortlist."
        )
    if EOS_ID not in shortlist.frequent:
        raise CheckpointError(
            "a shortlist without the end of the sentence. Make it anew with dragoman-shortlist."
        )
    return shortlist
