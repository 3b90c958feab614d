"""What a shortlist allows of a model's own outputs, counted a second way."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.lexical_shortlist import Shortlist
from model.text.tokenizer import EOS_ID
from model.translator import Translator
from training.lexical.output_coverage import output_coverage

SOURCES = ["Haus Haus", "läuft läuft", "Hund läuft", "Haus ein Haus"]


def test_what_the_model_writes_is_measured(tiny_checkpoint: Path) -> None:
    """The list of every source has half of the pieces that the model writes, and no others."""
    checkpoint = load_checkpoint(tiny_checkpoint)
    translator = Translator.load(tiny_checkpoint, precision="fp32", device="cpu")
    outputs = [one.hypotheses[0].pieces for one in translator.search(SOURCES)]
    written = sorted({piece for output in outputs for piece in output})
    listed = written[::2]
    ids = {checkpoint.tokenizer.piece(n): n for n in range(checkpoint.tokenizer.vocab_size)}
    size = len(ids)
    shortlist = Shortlist(
        candidates=np.full((size, 1), EOS_ID, dtype=np.int32),
        frequent=np.array(sorted([EOS_ID, *(ids[piece] for piece in listed)]), dtype=np.int32),
        byte_pieces=np.zeros(0, dtype=np.int32),
    )
    known = []
    for source, output in zip(SOURCES, outputs, strict=True):
        own = {
            *listed,
            *(checkpoint.tokenizer.piece(n) for n in checkpoint.tokenizer.encode(source)),
        }
        known.append([piece in own for piece in output])
    found = output_coverage(checkpoint, shortlist, SOURCES, torch.device("cpu"))
    assert found is not None
    assert found.pieces == pytest.approx(sum(map(sum, known)) / sum(map(len, known)))
    assert found.sentences == sum(map(all, known)) / len(known)
    assert 0 < found.pieces < 1
