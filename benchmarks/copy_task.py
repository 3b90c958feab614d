"""What copying is for: words that no training pair has, with `model.copy` and without.

    taskset -c 0 python -m benchmarks.copy_task [--steps 1200] [--pairs 6000]

Generated sentences say the same in other words around invented names. Each name is one piece of the
vocabulary, and those of the test occur in no training pair: the output layer has never seen them as
a target. Both networks have the same data, steps and sizes; shown is the share of the test's
outputs that are right to the letter.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.invented_names import Pair, write_corpus
from model.translator import Translator

FRAMES = (
    ("Heute hat {a} Geburtstag", "{a} has birthday today"),
    ("Am Montag hat {a} {b} getroffen", "On Monday {a} met {b}"),
    ("Für {a} liegt ein Brief von {b} bereit", "A letter from {b} is ready for {a}"),
    ("Wer {c} sucht , muss {a} anrufen", "Call {a} if you look for {c}"),
    ("Am Abend rufen {b} und {a} noch {c} an", "In the evening {b} and {a} call {c} too"),
    ("Gestern schrieb {a} an {b} und {c}", "{a} wrote to {b} and {c} yesterday"),
)
CONFIG = """
data:
  train: [{{files: {folder}/train.tsv}}]
  dev: {{files: {folder}/dev.tsv}}
tokenizer: {{model: {folder}/names.model}}
model: {{embedding_size: 96, encoder_layers: 1, encoder_size: 192, decoder_size: 192,
        input_feeding: false, dropout: 0.1, embedding_dropout: 0.0, max_length: 120}}
optimizer: {{ema: 0.99}}
run: {{max_steps: {steps}, batch_tokens: 3000, eval_every: {steps}, threads: 1, precision: fp32}}
shortlist: {{candidates: 0}}
search: {{beam_size: 1}}
"""


def main() -> int:
    """Train and test both networks; print a row for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--pairs", type=int, default=6000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = [side for frame in FRAMES for side in frame]
        test = write_corpus(folder, make_pair, texts, pairs=arguments.pairs, dev=100, tests=500)
        for copy in (False, True):
            started = time.monotonic()
            right = exact(train(folder, copy, arguments.steps), test)
            seconds = time.monotonic() - started
            print(
                f"copy {copy!s:5}  {right:6.1%} exact of {len(test)}  {seconds:.0f} s", flush=True
            )
    return 0


def make_pair(chance: random.Random, names: Sequence[str]) -> Pair:
    """Make a pair of sentences around different names."""
    source, target = chance.choice(FRAMES)
    words = dict(zip("abc", chance.sample(names, 3), strict=True))
    return source.format_map(words), target.format_map(words)


def train(folder: Path, copy: bool, steps: int) -> Path:
    """Train a network with or without copying; return its run."""
    run, config = folder / f"run-{copy}", folder / "config.yaml"
    config.write_text(CONFIG.format(folder=folder, steps=steps), encoding="utf-8")
    command = [sys.executable, "-m", "training.train", str(config), "--output", str(run)]
    flags = [f"model.copy={str(copy).lower()}", f"data.cache_dir={folder / 'cache'}"]
    subprocess.run([*command, *flags], check=True, capture_output=True)
    return run


def exact(run: Path, test: list[Pair]) -> float:
    """Return the share of the sources whose output is the target."""
    translator = Translator.load(run, precision="fp32", device="cpu")
    outputs = translator.translate([source for source, _ in test])
    return sum(o == target for o, (_, target) in zip(outputs, test, strict=True)) / len(test)


if __name__ == "__main__":
    sys.exit(main())
