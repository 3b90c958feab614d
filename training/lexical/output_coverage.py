"""Coverage of outputs: the share of what is written with the whole vocabulary that is allowed."""

from collections.abc import Sequence

import numpy as np
import torch

from model.checkpoint.checkpoint import Checkpoint
from model.decoding.lexical_shortlist import Shortlist
from model.translator import Translator
from training.data.batching import Ids
from training.lexical.learn_shortlist import Coverage, measure_coverage

SAMPLE = 200
"""Texts that are translated, evenly spaced: enough for a share to within a few percent."""


def output_coverage(
    checkpoint: Checkpoint, shortlist: Shortlist, sources: Sequence[str], device: torch.device
) -> Coverage | None:
    """Translate a sample of `sources` without a shortlist, in fp32, and measure the outputs.

    Texts that are cut into several sentences are left out, since each of these has a list of its
    own. None if nothing is left.
    """
    count = min(SAMPLE, len(sources))
    texts = [sources[number * len(sources) // count] for number in range(count)]
    translator = Translator(
        checkpoint.network,
        checkpoint.tokenizer,
        checkpoint.search,
        device=device,
        dtype=torch.float32,
        profile=checkpoint.profile,
    )
    tokenizer = checkpoint.tokenizer
    ids = {tokenizer.piece(number): number for number in range(tokenizer.vocab_size)}

    def as_ids(pieces: Sequence[str]) -> Ids:
        return np.array([ids[piece] for piece in pieces], dtype=np.int32)

    found = [one for one in translator.search(texts) if one.hypotheses[0].weights is not None]
    if not found:
        return None
    written = [as_ids(one.hypotheses[0].pieces) for one in found]
    return measure_coverage(shortlist, [as_ids(one.source_pieces) for one in found], written)
