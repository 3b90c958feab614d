"""Precompile: `python -m model.decoding.precompile` compiles all kernels and keeps them.

It is meant for the build of an image, so that programs in it start without compiling. Kernels do
not depend on sizes, so those compiled for a tiny untrained network serve every network.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from model.config import ModelConfig
from model.decoding.engine import Engine
from model.decoding.lexical_shortlist import Shortlist
from model.decoding.native.compiled import kernel_folder, usable_folder
from model.decoding.native.network import NativeNetwork
from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID

PIECES = 24
TINY = ModelConfig(
    vocab_size=PIECES,
    embedding_size=8,
    encoder_size=8,
    decoder_size=8,
    input_feeding=False,
    max_length=8,
)
WIRINGS = (
    TINY,
    replace(TINY, input_feeding=True),
    replace(TINY, cell="gru"),
    replace(TINY, cell="rnn"),
    replace(TINY, attention="dot"),
    replace(TINY, attention="additive"),
    replace(TINY, attention_heads=2),
    replace(TINY, copy=True, coverage=True),
)
SEARCHES = (
    SearchOptions(beam_size=1),
    SearchOptions(beam_size=2, n_best=2),
    SearchOptions(beam_size=2, no_repeat_ngram=2),  # one with rules
)


def precompile() -> None:
    """Run a search of each kind, so that every kernel is compiled for all types it is used with."""
    for config in WIRINGS:
        network = NativeNetwork(Seq2Seq(config).eval())
        for shortlist in (None, _shortlist()):
            for _ in _searched(network, shortlist):
                pass


def _searched(network: NativeNetwork, shortlist: Shortlist | None) -> Iterator[object]:
    """The events of three sentences of different lengths, with each kind of search."""
    engine = Engine(network, shortlist=shortlist)
    for options in SEARCHES:
        for length in (1, 3, 6):
            engine.add(Request(src=tuple(range(4, 4 + length)), options=options))
        while engine.busy:
            yield from engine.step()


def _shortlist() -> Shortlist:
    """A shortlist with the same few pieces for every source piece."""
    few = np.arange(EOS_ID, 12, dtype=np.int32)
    return Shortlist(
        candidates=np.tile(few, (PIECES, 1)), frequent=few, byte_pieces=np.zeros(0, np.int32)
    )


def main() -> int:
    """Entry point; returns the exit status."""
    folder = kernel_folder()
    if usable_folder(folder) != folder:
        print(f"precompile: {folder} cannot be written to. Set NUMBA_CACHE_DIR.", file=sys.stderr)
        return 1
    torch.set_num_threads(1)
    started = time.perf_counter()
    precompile()
    count = len(list(folder.glob("*/*.nbc")))
    print(f"precompile: {count} kernels in {folder}, {time.perf_counter() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
