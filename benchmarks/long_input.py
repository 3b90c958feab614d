"""Time and peak memory of one long source, and of ten times as long, beside a prediction.

OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.long_input
OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.long_input --pieces 20000 --layers 2 --width 512
OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.long_input --pieces 10000        (a try)

Random weights and pieces; each length in a process of its own, on the CPU in fp32. `LongEngine`
encodes the source and searches for an output of a few pieces, greedily; once with the attention to
all pieces, and once to a span of them. Seconds are of processor time, so that other programs matter
less; that of a step is a median.

The prediction of the time has two parts, of rates measured at once in the same process: the
products of a chunk with the input weights and of the keys, by operations, and a matrix-vector
product with the recurrent weights for every piece, layer and direction, which is bound by the bytes
of the weights. The gates come on top of it. That of the memory is `bytes_needed`. Linux only.
"""

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import torch

from model.config import ModelConfig
from model.decoding.available_memory import available_bytes, kilobytes
from model.decoding.long_engine import LongEngine
from model.decoding.long_memory import LongMemory, bytes_needed, check_memory
from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.decoding.torch.inference_network import InferenceNetwork
from model.errors import RequestError
from model.network.long_encoder import CHUNK
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID
from training.system.memory_use import peak_bytes

TIME_LIMIT, REST_LIMIT = 11.0, 1.1
"""Ten times the pieces may take so many times the time, and so many times what is beside the bank
and two arrays as wide as a layer."""
WARM_UP = 5 * CHUNK
STEPS = 20
"""Pieces of the output."""
SPAN = 4096
"""Pieces that a step attends to, where it does not attend to all."""
ROUNDS = 200


class Figures(NamedTuple):
    """Of one length."""

    encode_s: float
    first_s: float
    """Of the first step, before which the decoder starts."""
    step_s: float
    predicted_s: float
    peak: int
    need: LongMemory
    base: int
    """Bytes that the process held before, the source left aside."""


def measure(config: ModelConfig, pieces: int, span: int) -> Figures:
    """Search in a source of `pieces` pieces, EOS included, after a short one as a warm-up.

    Raises:
        RequestError: there is not enough memory.
    """
    torch.manual_seed(0)
    device = torch.device("cpu")
    engine = LongEngine(InferenceNetwork(Seq2Seq(config).eval(), torch.float32))
    options = SearchOptions(
        beam_size=1,
        min_length=STEPS,
        max_length_a=0,
        max_length_b=STEPS,
        on_long="whole",
        attention_span=span,
    )
    need = bytes_needed(config, pieces, torch.float32, options=options)
    check_memory(need, pieces, available_bytes(device))
    known = list(range(config.vocab_size))  # so that a source takes 8 bytes a piece
    drawn = torch.randint(EOS_ID + 1, config.vocab_size, (pieces - 1,))
    src = tuple(known[int(id)] for id in drawn)
    del drawn
    seconds: list[float] = []

    def search(source: tuple[int, ...]) -> None:
        seconds.clear()
        engine.add(Request(src=source, options=options))
        while engine.busy:
            started = time.process_time()
            engine.step()
            seconds.append(time.process_time() - started)

    search(src[:WARM_UP])
    base = kilobytes("/proc/self/status", "VmRSS") - sys.getsizeof(src)
    peak = peak_bytes(lambda: search(src), device)
    # The first step of the search also starts the decoder, and ranks with means of the keys.
    encoding, first, steps = seconds[: -STEPS - 1], seconds[-STEPS - 1], seconds[-STEPS:]
    return Figures(
        encode_s=sum(encoding),
        first_s=first,
        step_s=statistics.median(steps),
        predicted_s=predicted_s(config, pieces),
        peak=peak,
        need=need,
        base=base,
    )


def predicted_s(config: ModelConfig, pieces: int) -> float:
    """Seconds of the products alone; see above."""
    half = config.encoder_size // 2
    gates = half * {"lstm": 4, "gru": 3, "rnn": 1}[config.cell]
    weights = torch.randn(gates, half)
    vector, block = torch.randn(half), torch.randn(CHUNK, half)
    one = torch.ones(1, 1)
    call = seconds_of(lambda: torch.mv(one, one[0]))  # the kernel is called once for a chunk
    recurrent = max(0.0, seconds_of(lambda: torch.mv(weights, vector)) - call)
    rate = 2 * CHUNK * gates * half / seconds_of(lambda: block @ weights.t())
    inputs = config.embedding_size + config.encoder_size * (config.encoder_layers - 1)
    flops = 2 * (2 * gates * inputs + config.encoder_size * config.decoder_size)
    return pieces * (flops / rate + 2 * config.encoder_layers * recurrent)


def seconds_of(work: Callable[[], object]) -> float:
    """The least of several times, since other programs only ever add to it."""
    found = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)


def describe(pieces: int, span: int, figures: Figures) -> str:
    """A line about one length and one span."""
    told = figures.need.total
    attended = f"{span:,}" if span else "all"
    return (
        f"{pieces:,} pieces, {attended} attended to: {figures.encode_s:,.1f} s to encode (its "
        f"products alone: {figures.predicted_s:,.1f}), {figures.first_s:.2f} s to start, "
        f"{figures.step_s:.4f} s a step; peak {figures.peak / 1e6:,.0f} MB "
        f"(told: {told / 1e6:,.0f}), {rest(figures) / 1e6:,.0f} beside bank and arrays, with the "
        f"process"
    )


def rest(figures: Figures) -> int:
    """Bytes beside the bank and what the encoder and a step hold for each piece."""
    return figures.base + figures.peak - figures.need.bank - figures.need.beside


def main() -> int:
    """Print both lengths and their ratios; 1 if one is above its limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pieces", type=int, default=200_000, help="of the shorter source")
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--width", type=int, default=64, help="of embeddings, encoder and decoder")
    parser.add_argument("--cell", choices=("lstm", "gru", "rnn"), default="lstm")
    given = parser.parse_args()
    config = ModelConfig(
        vocab_size=32_000,
        embedding_size=given.width,
        encoder_layers=given.layers,
        encoder_size=given.width,
        decoder_size=given.width,
        cell=given.cell,
    )
    found = {}
    for pieces in (given.pieces, 10 * given.pieces):
        for span in (0, SPAN):
            fresh = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, mp_context=fresh) as process:
                try:
                    figures = process.submit(measure, config, pieces, span).result()
                except RequestError as error:
                    raise SystemExit(str(error)) from None
            print(describe(pieces, span, figures), flush=True)
            found[pieces, span] = figures
    small, large = found[given.pieces, 0], found[10 * given.pieces, 0]
    times, rests = large.encode_s / small.encode_s, rest(large) / rest(small)
    print(f"ten times the pieces: {times:.2f} times the time, limit {TIME_LIMIT:g};", end=" ")
    print(f"{rests:.2f} times the memory beside bank and arrays, limit {REST_LIMIT:g}")
    return int(times > TIME_LIMIT or rests > REST_LIMIT)


if __name__ == "__main__":
    sys.exit(main())
