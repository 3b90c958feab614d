"""Everything that is to be checked and measured on a GPU, in one command of under eight minutes.

    python -m benchmarks.gpu decode [RUN]
    python -m benchmarks.gpu train
    python -m benchmarks.gpu decode --device cpu --tiny     # shows that it works, without a GPU

`decode` without RUN measures two random networks: 2+2 layers of 512 with input feeding and 8,000
pieces, and 4+4 layers of 1,024 without (GNMT) and 32,000 pieces. Sources are random pieces, and
every translation is as long as its source. `train` measures these and the first without input
feeding, on random words and their reversals. The tables:

    checks   the tests marked `gpu`; whether results depend on the company of a sentence or on the
             way of stepping; what happens where memory runs out
    speeds   `eager` launches every kernel and waits in every step, `graphs` is what the engine does
             on a GPU (CUDA graphs, late flags, the encoder on a stream of its own); medians, the
             encoder included. `x launch bound` is the time of a step over launches x the measured
             time of one; `x roofline` is the same over the larger of bytes / measured bandwidth and
             operations / measured rate of a matrix product.
    training whole updates, medians; source and target pieces a second without padding. `of it data`
             is what the host takes to find the batch. The share of the peak counts 6 operations for
             each use of a weight by a piece, beside the measured rate of a matrix product. NVIDIA
             published 140,909 tokens/s for GNMT v2 on one A100.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from benchmarks import gpu_train
from benchmarks.gpu_decode import HEADER, Plan, check_rows, memory_row, speed_rows
from benchmarks.gpu_limits import limits_of
from model.checkpoint.checkpoint import load_checkpoint
from model.cli.report import table
from model.config import ModelConfig
from model.decoding.precision.precision import precision_of, resolve_device
from model.network.seq2seq import Seq2Seq

ROOT = Path(__file__).parents[1]
ROWS, PIECES = (5, 40, 160, 640, 2560), 24
TINY_ROWS, TINY_PIECES = (5, 10), 4
TESTS_LIMIT_S = 150


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = parser.add_subparsers(required=True, metavar="PART")
    decode = parts.add_parser("decode", help="translation")
    decode.set_defaults(part=_decode)
    decode.add_argument("run", nargs="?", type=Path, metavar="RUN")
    train = parts.add_parser("train", help="training")
    train.set_defaults(part=_train)
    for part_of in (decode, train):
        part_of.add_argument("--device", default="cuda")
        part_of.add_argument(
            "--tiny", action="store_true", help="tiny networks, no figures worth having"
        )
        part_of.add_argument(
            "--minutes", type=float, default=6, help="measurements after so many are left out"
        )
    arguments = parser.parse_args(argv)
    part: Callable[[argparse.Namespace], int] = arguments.part
    return part(arguments)


def _decode(arguments: argparse.Namespace) -> int:
    started, device = time.monotonic(), resolve_device(arguments.device)
    plan = Plan(
        device=device,
        rows=TINY_ROWS if arguments.tiny else ROWS,
        pieces=TINY_PIECES if arguments.tiny else PIECES,
        deadline=started + 60 * arguments.minutes,
        tiny=arguments.tiny,
    )
    checks = [["device", _device_name(device)], ["tests marked gpu", _tests(device)]]
    speeds: list[list[str]] = []
    networks = dict(_networks(arguments))
    dtypes = (torch.float32, torch.bfloat16)
    limits = {dtype: limits_of(device, dtype, tiny=plan.tiny) for dtype in dtypes}
    checks += [[f"limits, {precision_of(dtype)}", str(found)] for dtype, found in limits.items()]
    for name, network in networks.items():
        for dtype in dtypes:
            _note(started, f"{name}, {dtype}")
            checks += check_rows(name, network, dtype, plan)
            speeds += speed_rows(name, network, dtype, limits[dtype], plan)
    # Last, because what it leaves behind of the allocator could disturb the others.
    checks.append(memory_row(next(iter(networks.values())), plan))
    checks.append(["all this took", f"{time.monotonic() - started:.0f} s"])
    _print(checks, HEADER, speeds)
    return 0


def _train(arguments: argparse.Namespace) -> int:
    started, device = time.monotonic(), resolve_device(arguments.device)
    tiny = arguments.tiny
    checks = [["device", _device_name(device)], ["tests marked gpu", _tests(device)]]
    speeds: list[list[str]] = []
    dtypes = (torch.bfloat16, torch.float32)
    limits = {dtype: limits_of(device, dtype, tiny=tiny) for dtype in dtypes}
    checks += [[f"limits, {precision_of(dtype)}", str(found)] for dtype, found in limits.items()]
    deadline = started + 60 * arguments.minutes
    networks = gpu_train.TINY if tiny else gpu_train.NETWORKS
    with tempfile.TemporaryDirectory() as folder:
        pairs = 500 if tiny else 30_000
        bench = gpu_train.make_bench(Path(folder), device, pairs=pairs, deadline=deadline)
        for dtype in dtypes:
            for name in networks:
                for tokens in (500,) if tiny else gpu_train.BATCH_TOKENS:
                    _note(started, f"{name}, {dtype}, {tokens}")
                    speeds.append(gpu_train.speed_row(bench, name, dtype, tokens, limits[dtype]))
        for name in list(networks)[:2]:
            _note(started, f"checks of {name}")
            checks += gpu_train.check_rows(bench, name, tokens=1_000, steps=10 if tiny else 60)
    checks.append(["all this took", f"{time.monotonic() - started:.0f} s"])
    _print(checks, gpu_train.HEADER, speeds)
    return 0


def _print(checks: list[list[str]], header: tuple[str, ...], speeds: list[list[str]]) -> None:
    width = max(len(check) for check, _ in checks)
    print("\n".join(f"{check:{width}}  {result}" for check, result in checks), end="\n\n")
    print(table(header, speeds), end="")


def _networks(arguments: argparse.Namespace) -> Iterator[tuple[str, Seq2Seq]]:
    """Those to measure, each with its name."""
    if arguments.run is not None:
        yield arguments.run.name, load_checkpoint(arguments.run).network
        return
    sizes = {"2+2x512": (2, 512, 8_000, True), "GNMT 4+4x1024": (4, 1024, 32_000, False)}
    if arguments.tiny:
        sizes = {"1+1x32": (1, 32, 300, True), "2+2x32": (2, 32, 600, False)}
    for name, (layers, size, vocabulary, feeding) in sizes.items():
        torch.manual_seed(1)
        config = ModelConfig(
            vocab_size=vocabulary,
            embedding_size=size,
            encoder_layers=layers,
            encoder_size=size,
            decoder_layers=layers,
            decoder_size=size,
            input_feeding=feeding,
        )
        network = Seq2Seq(config).eval()
        with torch.no_grad():
            network.output.weight *= 4  # decided opinions: no ties that a last bit would turn
        yield name, network


def _device_name(device: torch.device) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    return f"{name}, torch {torch.__version__}"


def _tests(device: torch.device) -> str:
    """The last line of pytest."""
    if device.type != "cuda":
        return "not run: no CUDA device"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider"]
    # What imports the service needs packages that the others do not.
    command += ["tests/model", "tests/training", "--ignore=tests/training/demo/test_demo.py"]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=TESTS_LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return f"not done after {TESTS_LIMIT_S} s"
    if done.returncode:
        print(done.stdout[-8000:], done.stderr[-2000:], file=sys.stderr)
    return (done.stdout.strip().splitlines() or ["nothing said"])[-1].strip("= ")


def _note(started: float, what: str) -> None:
    print(f"{time.monotonic() - started:4.0f} s: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
