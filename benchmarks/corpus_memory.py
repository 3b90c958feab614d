"""Peak memory of dragoman-translate over generated lines, and over ten times as many.

OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.corpus_memory                    (two hours)
OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.corpus_memory --lines 20000      (a try)

The real command, from file to file, with a tiny model of random weights. Linux only: the peak is
VmHWM of /proc/PID/status.
"""

import argparse
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from model.checkpoint.checkpoint import save_checkpoint
from model.config import ModelConfig
from model.decoding.options import SearchOptions
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import Tokenizer
from training.data.learn_tokenizer import learn_tokenizer

WORDS = ["der", "die", "das", "ein", "Hund", "Mann", "Haus", "Straße", "läuft", "rot", "10", "3"]
LIMIT = 1.05
"""The larger corpus may take so many times the memory of the smaller one."""


def tiny_model(folder: Path) -> Path:
    """A checkpoint of random weights whose translations are short, to get through many lines."""
    rng = random.Random(1)
    lines = [" ".join(rng.choices(WORDS, k=8)) for _ in range(100)]
    tokenizer = Tokenizer(learn_tokenizer(lines, kind="bpe", vocab_size=310))
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size, embedding_size=8, encoder_size=8, decoder_size=8
    )
    torch.manual_seed(0)
    network = Seq2Seq(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.7)
    return save_checkpoint(
        folder,
        1,
        config=config,
        weights=dict(network.named_parameters()),
        tokenizer=tokenizer,
        search=SearchOptions(beam_size=1, max_length_a=0.0, max_length_b=2),
        card="",
        training_state=None,
        training_meta=None,
    )


def write_lines(path: Path, count: int) -> None:
    """Lines of one to three words and a number: hardly two are alike."""
    rng = random.Random(2)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(count):
            words = rng.choices(WORDS, k=rng.randint(1, 3))
            print(*words, rng.randrange(100_000), file=file)


def peak_mib(command: list[str]) -> float:
    """Run `command`; the most resident memory that it had, in MiB."""
    process = subprocess.Popen(command)
    peak = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        if found := re.search(r"VmHWM:\s+(\d+) kB", status):  # gone once the process has ended
            peak = int(found[1])
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(process.returncode)
    return peak / 1024


def measure(model: Path, folder: Path, count: int) -> float:
    """Peak of a corpus of `count` lines, in MiB, with a line of output."""
    source, output = folder / "in.txt", folder / "out.txt"
    write_lines(source, count)
    flags = ["--device", "cpu", "--precision", "int8", "--threads", "1"]
    command = [sys.executable, "-m", "model.translate", str(model), *flags]
    started = time.perf_counter()
    peak = peak_mib([*command, "--input", str(source), "--output", str(output)])
    seconds = time.perf_counter() - started
    with output.open("rb") as file:
        written = sum(1 for _ in file)
    assert written == count, f"{count} lines in, {written} out"
    print(f"{count:,} lines: {seconds:,.0f} s, peak {peak:,.1f} MiB", flush=True)
    return peak


def main() -> int:
    """Print both peaks and their ratio; 1 if it is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=1_000_000, help="in the smaller corpus")
    lines = parser.parse_args().lines
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = tiny_model(folder / "run")
        small, large = (measure(model, folder, count) for count in (lines, 10 * lines))
    print(f"ratio {large / small:.3f}, limit {LIMIT}")
    return int(large / small > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
