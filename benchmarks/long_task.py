"""Training on long input: an answer that lies 2,000 pieces before the end of its source.

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.long_task [--steps 300] [--pairs 1200]

A source is 2,500 invented names, one of them marked by a word before it: 2,000 pieces or more
before the end. The target is that name. Each name is one piece; those of the test occur in no
training pair, so neither what they are nor where they stand can be learned, only that the mark
tells. The same network is trained with `run.truncated_bptt` and without; shown are the share of the
test's outputs that are right, the processor time of the training, all of it, and those of an update
and the memory that it takes, measured by themselves as in `benchmarks.long_training`.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.copy_task import exact
from benchmarks.invented_names import Pair, write_corpus
from benchmarks.long_training import alone
from model.checkpoint.checkpoint import load_checkpoint

MARK = "MARK"
LENGTH, FROM_END = 2500, 2000
"""Pieces of a source, and the least of them after the answer."""
PAIRS = 8
"""Pairs of a batch."""
TESTS = 200
CONFIG = """
data:
  train: [{{files: {folder}/train.tsv}}]
  dev: {{files: {folder}/dev.tsv}}
  cache_dir: {folder}/cache
tokenizer: {{model: {folder}/names.model}}
model: {{embedding_size: 32, encoder_layers: 1, encoder_size: 32, decoder_layers: 1,
        decoder_size: 32, input_feeding: false, copy: true, dropout: 0.0, embedding_dropout: 0.0,
        max_length: 2600}}
optimizer: {{learning_rate: 0.01, ema: 0.98, label_smoothing: 0.0}}
run: {{max_steps: {steps}, batch_tokens: {tokens}, eval_every: {steps}, threads: 1,
      precision: fp32}}
shortlist: {{candidates: 0}}
search: {{beam_size: 1, max_length_a: 0.0}}
"""


def main() -> int:
    """Train and test with and without truncation; print a row for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=1200)
    parser.add_argument("--truncated-bptt", type=int, nargs="+", default=[256, 0])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        test = write_corpus(folder, make_pair, [MARK], pairs=arguments.pairs, dev=20, tests=TESTS)
        for chunk in arguments.truncated_bptt:
            run, seconds = train(folder, chunk, arguments.steps)
            config = load_checkpoint(run).config
            of_update, peak = alone(config, pairs=PAIRS, pieces=LENGTH, chunk=chunk)
            print(
                f"truncated_bptt {chunk:4}  {exact(run, test):6.1%} exact of {len(test)}  "
                f"{seconds:.0f} s in all; an update {of_update:.2f} s and {peak / 1e6:,.0f} MB",
                flush=True,
            )
    return 0


def make_pair(chance: random.Random, names: Sequence[str]) -> Pair:
    """Make a source of many names and its marked one, which it has once."""
    answer = chance.choice(names)
    others = [name for name in names if name != answer]
    words = chance.choices(others, k=LENGTH - 2)
    place = chance.randrange(LENGTH - FROM_END - 1)
    words[place:place] = [MARK, answer]
    return " ".join(words), answer


def train(folder: Path, chunk: int, steps: int) -> tuple[Path, float]:
    """Train a network; return its run and the processor time in seconds."""
    run, config = folder / f"run-{chunk}", folder / "config.yaml"
    config.write_text(
        CONFIG.format(folder=folder, steps=steps, tokens=PAIRS * (LENGTH + 8)), encoding="utf-8"
    )
    command = [sys.executable, "-m", "training.train", str(config), "--output", str(run)]
    before = os.times()
    subprocess.run([*command, f"run.truncated_bptt={chunk}"], check=True, capture_output=True)
    now = os.times()
    return run, now.children_user + now.children_system - sum(before[2:4])


if __name__ == "__main__":
    sys.exit(main())
