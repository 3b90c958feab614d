"""Lexical shortlist: the target pieces that a source sentence may become, a few hundred of all.

The output layer then scores these pieces only (Mi et al. 2016, "Vocabulary manipulation for neural
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


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Shortlist:
    """Which target pieces go with which source pieces. Never changed: share it between threads."""

    candidates: NDArray[np.int32]
    """(V, C): row s holds the best translations of source piece s, then EOS to fill the row."""
    frequent: NDArray[np.int32]
    """(F,): pieces that are allowed in every sentence, EOS among them."""
    byte_pieces: NDArray[np.int32]
    """(B,): what characters outside the vocabulary are spelt with; B is 256 or 0."""

    def of(self, src: Sequence[int]) -> NDArray[np.int64]:
        """The sorted ids that the translation of one sentence may consist of.

        They are the candidates of its pieces, the pieces themselves (names and numbers are copied),
        the frequent pieces, and all byte pieces if it has one. EOS is among them; PAD, UNK and BOS
        never are. The order of the pieces changes nothing, nor does an EOS at their end.
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
        """As safetensors."""
        return safetensors.numpy.save({name: getattr(self, name) for name in _DIMENSIONS})


_DIMENSIONS = {"candidates": 2, "frequent": 1, "byte_pieces": 1}


def shortlist_from_bytes(content: bytes, *, vocab_size: int) -> Shortlist:
    """What `to_bytes` wrote.

    Raises:
        CheckpointError: not safetensors, or not a shortlist for `vocab_size` pieces.
    """
    try:
        arrays = safetensors.numpy.load(content)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"not safetensors: {error}.") from error
    dimensions = {name: array.ndim for name, array in arrays.items()}
    if dimensions != _DIMENSIONS or any(array.dtype != np.int32 for array in arrays.values()):
        raise CheckpointError("not a shortlist. Make one with dragoman-shortlist.")
    shortlist = Shortlist(**arrays)
    ids = np.concatenate([array.ravel() for array in arrays.values()])
    rows = len(shortlist.candidates)
    if rows != vocab_size or ids.min(initial=EOS_ID) < EOS_ID or ids.max(initial=0) >= vocab_size:
        raise CheckpointError(
            f"a shortlist of {rows} source pieces, but the vocabulary has {vocab_size}, or of ids "
            "outside of it. Make it anew with dragoman-shortlist."
        )
    return shortlist
