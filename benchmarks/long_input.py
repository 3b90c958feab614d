"""Time and peak memory of encoding one long source, and ten times as long, beside a prediction.

OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.long_input
OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.long_input --pieces 20000 --layers 2 --width 512
OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.long_input --pieces 10000        (a try)

Random weights and pieces; each length in a process of its own, on the CPU in fp32. Then the decoder
starts and takes one step, which attends to all pieces. Seconds are of processor time, so that other
programs matter less.

The prediction of the time has two parts, of rates measured at once in the same process: the
products of a chunk with the input weights and of the keys, by operations, and a matrix-vector
product with the recurrent weights for every piece, layer and direction, which is bound by the bytes
of the weights. The gates come on top of it. That of the memory is `bytes_needed`. Linux only.
"""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import torch

from model.config import ModelConfig
from model.decoding.available_memory import available_bytes, kilobytes
from model.decoding.long_memory import LongMemory, bytes_needed, check_memory
from model.errors import RequestError
from model.network.long_encoder import CHUNK, encode_long
from model.network.memory import Memory
from model.network.seq2seq import Seq2Seq
from training.system.memory_use import peak_bytes

TIME_LIMIT, REST_LIMIT = 11.0, 1.1
"""Ten times the pieces may take so many times the time, and so many times what is beside the bank
and two arrays as wide as a layer."""
WARM_UP = 5 * CHUNK
ROUNDS = 200


class Figures(NamedTuple):
    """Of one length."""

    encode_s: float
    step_s: float
    predicted_s: float
    peak: int
    need: LongMemory
    base: int
    """Bytes that the process held before."""


def measure(config: ModelConfig, pieces: int) -> Figures:
    """Encode `pieces` pieces and take a step, after a short source as a warm-up.

    Raises:
        RequestError: there is not enough memory.
    """
    torch.manual_seed(0)
    device = torch.device("cpu")
    network = Seq2Seq(config).eval()
    need = bytes_needed(config, pieces, torch.float32)
    check_memory(need, pieces, available_bytes(device))
    kept: list[Memory] = []

    def encode(count: int) -> None:
        kept.append(encode_long(network, torch.randint(config.vocab_size, (count,))))

    def step() -> None:
        memory = kept.pop()
        network.step(torch.tensor([[2]]), network.start(memory), memory)

    with torch.inference_mode():
        encode(WARM_UP)
        step()
        base = kilobytes("/proc/self/status", "VmRSS")
        encode_s, step_s = 0.0, 0.0

        def work() -> None:
            nonlocal encode_s, step_s
            started = time.process_time()
            encode(pieces)
            between = time.process_time()
            step()
            encode_s, step_s = between - started, time.process_time() - between

        peak = peak_bytes(work, device)
    return Figures(encode_s, step_s, predicted_s(config, pieces), peak, need, base)


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


def describe(pieces: int, figures: Figures) -> str:
    """A line about one length."""
    told = figures.need.total
    return (
        f"{pieces:,} pieces: {figures.encode_s:,.1f} s to encode (its products alone: "
        f"{figures.predicted_s:,.1f}), {figures.step_s:.2f} s to start and take a step; peak "
        f"{figures.peak / 1e6:,.0f} MB (told: {told / 1e6:,.0f}), {rest(figures) / 1e6:,.0f} "
        f"beside bank and arrays, with the process"
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
    found = []
    for pieces in (given.pieces, 10 * given.pieces):
        fresh = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=fresh) as process:
            try:
                found.append(process.submit(measure, config, pieces).result())
            except RequestError as error:
                raise SystemExit(str(error)) from None
        print(describe(pieces, found[-1]), flush=True)
    small, large = found
    times, rests = large.encode_s / small.encode_s, rest(large) / rest(small)
    print(f"ten times the pieces: {times:.2f} times the time, limit {TIME_LIMIT:g};", end=" ")
    print(f"{rests:.2f} times the memory beside bank and arrays, limit {REST_LIMIT:g}")
    return int(times > TIME_LIMIT or rests > REST_LIMIT)


if __name__ == "__main__":
    sys.exit(main())
