"""The kill test: a training killed at a random instant and resumed ends as one that nobody killed.

    python -m benchmarks.kill_training [--kills 30] [--seed 1] [section.key=value ...]

First the demo's network, small, is trained to its end. Then for each kill a new run is begun, its
process is killed (SIGKILL) at a random instant of a start, a step, a validation or a save, in turn,
and --resume trains it to its end. The two runs must have the same bytes in the last checkpoint
(weights, averages, optimizer), the same best weights, and the same losses and scores at every step.
The exit status is 1 if one kill left a difference. For each kill a line says at what it was aimed,
and by the files that it left, what it hit.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from training.demo_corpus import generate
from training.metrics import read_metrics

CONFIG = Path("configs/demo.yaml")
TRAIN_PAIRS, DEV_PAIRS = 600, 60
EVAL_EVERY = 6
AIMS = ("step", "validation", "save", "step", "validation", "save", "start")
SETTINGS = (
    "tokenizer.vocab_size=400",
    "tokenizer.sampling=0.1",
    "model.embedding_size=48",
    "model.encoder_size=64",
    "model.decoder_size=64",
    "optimizer.warmup_steps=10",
    "run.max_steps=60",
    "run.batch_tokens=1000",
    f"run.eval_every={EVAL_EVERY}",
    "run.log_every=1",  # the log tells where a run stands
    "run.threads=1",
    "run.precision=fp32",
    "search.beam_size=2",
)
COMPARED = ("weights.safetensors", "training_state/state.safetensors")
NOT_COMPARED = {"time", "memory_bytes", "source_tokens_per_s", "target_tokens_per_s"}

Line = dict[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Kill:
    """One killed and resumed run."""

    aim: str
    hit: str
    step: int
    """The last one that was logged before the end."""
    differences: list[str]

    def describe(self) -> str:
        """For the log."""
        outcome = "; ".join(self.differences) or "equal"
        return f"aimed at {self.aim}, hit {self.hit} after step {self.step}: {outcome}"


class KillTest:
    """An undisturbed run in `folder`, and others that are killed and compared with it."""

    def __init__(self, folder: Path, overrides: list[str]) -> None:
        """Write the corpus and train the undisturbed run."""
        self.folder = folder
        self.settings = [*SETTINGS, f"data.data_dir={folder}", *overrides]
        write_corpus(folder)
        self.whole = folder / "whole"
        started = time.time()
        self.train(self.whole)
        self.lines = read_metrics(self.whole / "metrics.jsonl")
        self.start_s = seconds(self.lines[0]) - started

    def train(self, run: Path) -> None:
        """Train `run` to its end, from its last checkpoint if it has one."""
        subprocess.run(self.command(run), check=True, capture_output=True)

    def kill(self, run: Path, aim: str, rng: random.Random) -> Kill:
        """Begin `run`, kill it, resume it and compare it."""
        awaited, pause = self.instant(aim, rng)
        process = subprocess.Popen(
            self.command(run), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while logged(run) < awaited and process.poll() is None:
            time.sleep(0.0005)
        time.sleep(pause)
        process.kill()
        killed = process.wait() == -signal.SIGKILL
        before = read_metrics(run / "metrics.jsonl") if logged(run) else []
        hit = stage(run, before) if killed else "nothing: it was over"
        self.train(run)
        step = int(str(before[-1]["step"])) if before else 0
        return Kill(aim=aim, hit=hit, step=step, differences=differences(run, self.whole))

    def instant(self, aim: str, rng: random.Random) -> tuple[int, float]:
        """How many lines to wait for, and how many seconds from then on, to hit the aim."""
        if aim == "start":
            return 0, rng.uniform(0, self.start_s)
        number = rng.choice([n for n, line in enumerate(self.lines[:-1]) if follows(line) == aim])
        gap = seconds(self.lines[number + 1]) - seconds(self.lines[number])
        return number + 1, rng.uniform(0, gap)

    def command(self, run: Path) -> list[str]:
        """That trains or resumes `run`."""
        command = [sys.executable, "-m", "training.train", str(CONFIG), "--output", str(run)]
        return [*command, "--resume", *self.settings]


def main() -> int:
    """Print a line for each kill."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    arguments = parser.parse_intermixed_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    rng, equal = random.Random(arguments.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        test = KillTest(Path(folder), arguments.overrides)
        for number in range(arguments.kills):
            aim = AIMS[number % len(AIMS)]
            kill = test.kill(Path(folder, f"killed-{number}"), aim, rng)
            equal += not kill.differences
            print(f"kill {number + 1}: {kill.describe()}", flush=True)
    print(f"{equal} of {arguments.kills} equal")
    return int(equal < arguments.kills)


def write_corpus(folder: Path) -> None:
    """A part of the demo's corpus."""
    pairs = generate(1, TRAIN_PAIRS + DEV_PAIRS, 0).train
    for name, part in (("train", pairs[:TRAIN_PAIRS]), ("dev", pairs[TRAIN_PAIRS:])):
        for language, lines in (
            ("de", [pair.source for pair in part]),
            ("en", [pair.target for pair in part]),
        ):
            text = "".join(f"{line}\n" for line in lines)
            (folder / f"{name}.{language}").write_text(text, encoding="utf-8")


def follows(line: Line) -> str:
    """What a run of these settings does after it has logged `line`."""
    if "dev_loss" in line:
        return "save"
    return "step" if int(str(line["step"])) % EVAL_EVERY else "validation"


def stage(run: Path, lines: list[Line]) -> str:
    """What the process of `run` was at when it was killed."""
    if not lines:
        return "start"
    if follows(lines[-1]) != "save":
        return follows(lines[-1])
    saved = (run / "last").exists() and (run / "last").resolve().name
    return "step" if saved == f"step-{int(str(lines[-1]['step'])):06d}" else "save"


def differences(run: Path, other: Path) -> list[str]:
    """In what the results of two finished runs differ."""
    found = [
        f"last/{name} differs"
        for name in COMPARED
        if (run / "last" / name).read_bytes() != (other / "last" / name).read_bytes()
    ]
    if (run / "best" / COMPARED[0]).read_bytes() != (other / "best" / COMPARED[0]).read_bytes():
        found.append("the best weights differ")
    if figures(run) != figures(other):
        found.append("the logged figures differ")
    return found


def figures(run: Path) -> list[Line]:
    """What was logged, but for speed and memory."""
    lines = read_metrics(run / "metrics.jsonl")
    return [{k: v for k, v in line.items() if k not in NOT_COMPARED} for line in lines]


def logged(run: Path) -> int:
    """Lines of the metrics so far."""
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def seconds(line: Line) -> float:
    """When `line` was logged."""
    return float(str(line["time"]))


if __name__ == "__main__":
    sys.exit(main())
