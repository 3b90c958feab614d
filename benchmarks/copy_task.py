"""What copying is for: names and codes that no training pair has, with `model.copy` and without.

    taskset -c 0 python -m benchmarks.copy_task [--steps 1200] [--pairs 8000]

Generated sentences say the same in other words around invented names and codes. Those of the test
occur in no training pair, so that only their spelling, piece by piece, can give them. Both networks
have the same data, steps and sizes; shown is the share of the test's outputs that are right to the
letter.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from model.translator import Translator

FRAMES = (
    ("Der Code von {a} ist {c}.", "{a} has the code {c}."),
    ("{a} hat {b} am Montag getroffen.", "On Monday {a} met {b}."),
    ("Für {a} liegt das Paket {c} bereit.", "The parcel {c} is ready for {a}."),
    ("Wer {c} verliert, muss {a} anrufen.", "Call {a} if you lose {c}."),
    ("{b} und {a} teilen sich Zimmer {c}.", "{b} and {a} share room {c}."),
    ("Gestern schrieb {a} an {b}: {c}.", "{a} wrote to {b} yesterday: {c}."),
)
CONFIG = """
data:
  train: [{{files: {folder}/train.tsv}}]
  dev: {{files: {folder}/dev.tsv}}
tokenizer: {{vocab_size: 400}}
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
    parser.add_argument("--pairs", type=int, default=8000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        test = write_corpus(folder, arguments.pairs)
        for copy in (False, True):
            started = time.monotonic()
            right = exact(train(folder, copy, arguments.steps), test)
            seconds = time.monotonic() - started
            print(
                f"copy {copy!s:5}  {right:6.1%} exact of {len(test)}  {seconds:.0f} s", flush=True
            )
    return 0


def write_corpus(folder: Path, pairs: int) -> list[tuple[str, str]]:
    """Write train.tsv and dev.tsv; return 500 pairs whose names and codes are in neither."""
    chance = random.Random(1)
    seen: set[str] = set()
    for name, count in (("train.tsv", pairs), ("dev.tsv", 100)):
        rows = [make_pair(chance, seen) for _ in range(count)]
        (folder / name).write_text("".join(f"{a}\t{b}\n" for a, b in rows), encoding="utf-8")
    return [make_pair(chance, seen) for _ in range(500)]


def make_pair(chance: random.Random, seen: set[str]) -> tuple[str, str]:
    """Make a pair of names and codes that are not in `seen`, and add them."""
    source, target = chance.choice(FRAMES)
    words = {"a": _new(_name, chance, seen), "b": _new(_name, chance, seen)}
    words["c"] = _new(_code, chance, seen)
    return source.format_map(words), target.format_map(words)


def _new(make: Callable[[random.Random], str], chance: random.Random, seen: set[str]) -> str:
    while (word := make(chance)) in seen:
        pass
    seen.add(word)
    return word


def _name(chance: random.Random) -> str:
    """Return an invented name of two to four syllables."""
    syllables = (chance.choice("bdfgklmnprstvwz") + chance.choice("aeiouy") for _ in range(4))
    word = "".join(list(syllables)[: chance.randint(2, 4)])
    return (word + chance.choice(["", "n", "r", "s", "x"])).capitalize()


def _code(chance: random.Random) -> str:
    """Return a code of five to eight letters and digits."""
    signs = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
    return "".join(chance.choice(signs) for _ in range(chance.randint(5, 8)))


def train(folder: Path, copy: bool, steps: int) -> Path:
    """Train a network with or without copying; return its run."""
    run, config = folder / f"run-{copy}", folder / "config.yaml"
    config.write_text(CONFIG.format(folder=folder, steps=steps), encoding="utf-8")
    command = [sys.executable, "-m", "training.train", str(config), "--output", str(run)]
    flags = [f"model.copy={str(copy).lower()}", f"data.cache_dir={folder / 'cache'}"]
    subprocess.run([*command, *flags], check=True, capture_output=True)
    return run


def exact(run: Path, test: list[tuple[str, str]]) -> float:
    """Return the share of the sources whose output is the target."""
    translator = Translator.load(run, precision="fp32", device="cpu")
    outputs = translator.translate([source for source, _ in test])
    return sum(o == target for o, (_, target) in zip(outputs, test, strict=True)) / len(test)


if __name__ == "__main__":
    sys.exit(main())
