"""The kill test: a training killed at a random instant and resumed ends as one that nobody killed.

    python -m benchmarks.kill_training [--kills 30] [--seed 1] [section.key=value ...]

First the demo's network, small, is trained to its end. Then for each kill a new run is begun, its
process is killed (SIGKILL) at a random instant of a step, a validation, a save, the building of the
corpus cache or the whole start, in turn, and --resume trains it to its end. The two runs must have
the same bytes in the last checkpoint (weights, averages, optimizer), the same best weights, and the
same losses and scores at every step. Each run has a cache of its own, in which nothing unfinished
may be left. The exit status is 1 if one kill left a difference. For each kill a line says at what
it was aimed, and by the files that it left, what it hit.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from training.data.build_index import UNFINISHED
from training.demo.demo_corpus import generate
from training.tracking.metrics_log import read_metrics

CONFIG = Path("configs/demo.yaml")
TRAIN_PAIRS, DEV_PAIRS = 600, 30
EVAL_EVERY = 6
AIMS = ("step", "validation", "save", "cache build", "start")
SETTINGS = (
    "data.filters={duplicates: true}",  # the cache is then built in two steps
    "tokenizer.vocab_size=400",
    "tokenizer.sampling=0.1",
    "model.embedding_size=48",
    "model.encoder_size=64",
    "model.decoder_size=64",
    "optimizer.warmup_steps=10",
    "run.max_steps=30",
    "run.batch_tokens=1000",
    f"run.eval_every={EVAL_EVERY}",
    "run.sample_lines=0",  # pictures of attention would take most of the time
    "run.log_every=1",  # the log tells where a run stands
    "run.threads=1",
    "run.precision=fp32",
    "search.beam_size=2",
)
COMPARED = ("weights.safetensors", "training_state/state.safetensors")
WAITING_S = 0.005
"""Waits for the disk take no processor time; they are hit by a pause of up to this after it."""
NOT_COMPARED = {
    "time",
    "memory_bytes",
    "source_tokens_per_s",
    "target_tokens_per_s",
    "dev_seconds",
}

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


class Course:
    """When an undisturbed run was where, in seconds of its processor time.

    Other work on the machine stretches the time on the clock, and not always by as much.
    """

    def __init__(self, run: Path, process: subprocess.Popen[bytes]) -> None:
        """Watch the process to its end."""
        wait(lambda: building(run), process)
        self.build = processor_s(process)
        """The building of the cache began."""
        wait(lambda: not building(run), process)
        self.built = processor_s(process)
        self.lines: list[float] = []
        """Each line was logged."""
        self.saves: list[float] = []
        """Each checkpoint was complete."""
        saved = ""

        def watch() -> bool:
            nonlocal saved
            now = processor_s(process)
            self.lines += [now] * (logged(run) - len(self.lines))
            if last_saved(run) != saved:
                saved = last_saved(run)
                self.saves.append(now)
            return False

        wait(watch, process)
        assert process.returncode == 0


class KillTest:
    """An undisturbed run in `folder`, and others that are killed and compared with it."""

    def __init__(self, folder: Path, overrides: list[str]) -> None:
        """Write the corpus and train the undisturbed run."""
        self.folder = folder
        self.settings = [*SETTINGS, f"data.data_dir={folder}", *overrides]
        write_corpus(folder)
        self.whole = folder / "whole"
        self.course = Course(self.whole, self.begin(self.whole))
        self.lines = read_metrics(self.whole / "metrics.jsonl")

    def begin(self, run: Path) -> subprocess.Popen[bytes]:
        """Start the process that trains `run`."""
        return subprocess.Popen(
            self.command(run), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def train(self, run: Path) -> None:
        """Train `run` to its end, from its last checkpoint if it has one."""
        subprocess.run(self.command(run), check=True, capture_output=True)

    def kill(self, run: Path, aim: str, rng: random.Random) -> Kill:
        """Begin `run`, kill it, resume it and compare it."""
        awaited, pause = self.instant(run, aim, rng)
        process = self.begin(run)
        wait(awaited, process)
        if process.returncode is None:
            until = processor_s(process) + pause
            wait(lambda: processor_s(process) >= until, process)
            time.sleep(rng.uniform(0, WAITING_S))
        process.kill()
        killed = process.wait() == -signal.SIGKILL
        before = read_metrics(run / "metrics.jsonl") if logged(run) else []
        hit = stage(run, before) if killed else "nothing: it was over"
        self.train(run)
        step = int(str(before[-1]["step"])) if before else 0
        return Kill(aim=aim, hit=hit, step=step, differences=differences(run, self.whole))

    def instant(self, run: Path, aim: str, rng: random.Random) -> tuple[Callable[[], bool], float]:
        """What to wait for, and how many processor seconds from then on, to hit the aim."""
        course = self.course
        if aim == "start":
            return lambda: True, rng.uniform(0, course.lines[0])
        if aim == "cache build":
            return lambda: building(run), rng.uniform(0, course.built - course.build)
        number = rng.choice([n for n, line in enumerate(self.lines[:-1]) if follows(line) == aim])
        ends = course.saves if aim == "save" else course.lines
        length = min(end for end in ends if end > course.lines[number]) - course.lines[number]
        return lambda: logged(run) > number, rng.uniform(0, length)

    def command(self, run: Path) -> list[str]:
        """That trains or resumes `run`."""
        command = [sys.executable, "-m", "training.train", str(CONFIG), "--output", str(run)]
        return [*command, "--resume", f"data.cache_dir={cache_of(run)}", *self.settings]


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
    rng, equal, hits = random.Random(arguments.seed), 0, Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        test = KillTest(Path(folder), arguments.overrides)
        for number in range(arguments.kills):
            aim = AIMS[number % len(AIMS)]
            kill = test.kill(Path(folder, f"killed-{number}"), aim, rng)
            equal += not kill.differences
            hits[kill.hit] += 1
            print(f"kill {number + 1}: {kill.describe()}", flush=True)
    print("hit: " + ", ".join(f"{hit} {count}" for hit, count in hits.most_common()))
    print(f"{equal} of {arguments.kills} equal")
    return int(equal < arguments.kills)


def write_corpus(folder: Path, train_pairs: int = TRAIN_PAIRS) -> None:
    """A part of the demo's corpus: so many pairs, and some to validate on."""
    pairs = generate(1, train_pairs + DEV_PAIRS, 0).train
    for name, part in (("train", pairs[:train_pairs]), ("dev", pairs[train_pairs:])):
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
    if building(run):
        return "cache build"
    if not lines:
        built = any(path.is_dir() for path in cache_of(run).glob("*"))
        return "start with the cache built" if built else "start before the cache"
    if follows(lines[-1]) != "save":
        return follows(lines[-1])
    return "step" if last_saved(run) == f"step-{int(str(lines[-1]['step'])):06d}" else "save"


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
    if building(run):
        found.append("an unfinished cache is left")
    return found


def figures(run: Path) -> list[Line]:
    """What was logged, but for speed and memory."""
    lines = read_metrics(run / "metrics.jsonl")
    return [{k: v for k, v in line.items() if k not in NOT_COMPARED} for line in lines]


def cache_of(run: Path) -> Path:
    """Where `run` has its cached corpus."""
    return run.with_name(run.name + "-cache")


def building(run: Path) -> bool:
    """Whether an unfinished corpus is in the cache of `run`."""
    return any(cache_of(run).glob("*" + UNFINISHED))


def wait(awaited: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Return when it has come about, or the process is over."""
    while process.poll() is None and not awaited():
        time.sleep(0.0005)


def processor_s(process: subprocess.Popen[bytes]) -> float:
    """Processor time of a process that has not been found to be over (of its first thread)."""
    return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) / 1e9


def last_saved(run: Path) -> str:
    """The name of the last checkpoint; "" before there is one."""
    return (run / "last").resolve().name if (run / "last").exists() else ""


def logged(run: Path) -> int:
    """Lines of the metrics so far."""
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


if __name__ == "__main__":
    sys.exit(main())
