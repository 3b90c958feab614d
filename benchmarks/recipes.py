"""What pays in a short training of a small model: six recipes, three seeds each, BLEU on val.

    DRAGOMAN_DATA=... python -m benchmarks.recipes recipes.jsonl

Every run gets the same work, that of `--updates` updates of the baseline: a recipe whose updates
cost more gets fewer. What they cost is measured first, in CPU time beside the baseline's, as the
median of some rounds. Two runs at a time, each pinned to a core. The file is written as results
come; the same command goes on where it was interrupted, and prints the table of docs/recipes.md.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

from model.io.lines import read_lines

CONFIG = "configs/multi30k_en_de_small.yaml"
# A model that sees the data several times in five minutes of one core.
SMALLER = (
    "model.input_feeding=false",
    "model.embedding_size=128",
    "model.encoder_size=256",
    "tokenizer.vocab_size=4000",
    "run.batch_tokens=2000",
    "shortlist.candidates=0",
)
KEPT = 5  # checkpoints of the last quarter of the run, that are averaged
PLAIN = ("optimizer.ema=0.0",)
RECIPES: dict[str, tuple[str, ...]] = {
    "baseline": PLAIN,
    "BPE-dropout": (*PLAIN, "tokenizer.sampling=0.1"),
    "word dropout": (*PLAIN, "model.word_dropout=0.1"),
    "EMA": ("optimizer.ema=0.998",),
    "R-Drop": (*PLAIN, "objective.rdrop=2.0"),
    "averaging": (*PLAIN, f"run.keep={KEPT}"),
}
SEEDS = (1, 2, 3)
VAL = {"source": "multi30k/val.en.gz", "reference": "multi30k/val.de.gz"}
DEV_LINES = 16  # of the validations inside a run, which are only there to save

Result = dict[str, object]


def main() -> int:
    """Do what is missing, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, metavar="FILE", help="jsonl, made or added to")
    parser.add_argument("--updates", type=int, default=1300, help="of the baseline (%(default)s)")
    parser.add_argument("--at-once", type=int, default=2, help="runs at a time (%(default)s)")
    parser.add_argument("--trial", type=int, default=20, help="updates of the shorter trial")
    parser.add_argument("--rounds", type=int, default=3, help="of the trials (%(default)s)")
    parser.add_argument("--table", action="store_true", help="only print the table so far")
    arguments = parser.parse_args()
    if not arguments.table:
        bench = Bench(arguments.results, arguments.updates, arguments.at_once)
        trials = [(r, n, arguments.trial) for n in range(arguments.rounds) for r in RECIPES]
        bench.each(bench.measure, trials)
        bench.each(bench.run, [(r, seed) for seed in SEEDS for r in RECIPES])
    print(table(read_results(arguments.results)))
    return 0


class Bench:
    """The runs of one file of results."""

    def __init__(self, path: Path, updates: int, at_once: int) -> None:
        self.path = path
        self.updates = updates
        self.cores: Queue[int] = Queue()
        for core in sorted(os.sched_getaffinity(0))[:at_once]:
            self.cores.put(core)
        self.workers = self.cores.qsize()
        self.writing = threading.Lock()

    def each(self, work: Callable[..., None], jobs: Sequence[tuple[object, ...]]) -> None:
        """Do all jobs, as many at a time as there are cores; the first failure is raised."""
        with ThreadPoolExecutor(self.workers) as pool:
            for future in [pool.submit(work, *job) for job in jobs]:
                future.result()

    def measure(self, recipe: str, number: int, steps: int) -> None:
        """CPU seconds of an update of `recipe`: those of a longer trial less those of a shorter."""
        same = {"recipe": recipe, "round": number}
        if any(same.items() <= line.items() for line in read_results(self.path)):
            return
        taken = []
        for updates in (steps, 3 * steps):
            with tempfile.TemporaryDirectory() as folder:
                taken.append(self.train(recipe, 1, updates, Path(folder)))
        self.add({**same, "seconds_an_update": round((taken[1] - taken[0]) / (2 * steps), 4)})

    def run(self, recipe: str, seed: int) -> None:
        """Train, score, and write the result."""
        done = read_results(self.path)
        same = {"recipe": recipe, "seed": seed, "budget": self.updates}
        if any(same.items() <= line.items() for line in done):
            return
        steps = max(int(self.updates / cost(done, recipe)), 2 * KEPT)
        with tempfile.TemporaryDirectory() as folder:
            seconds = self.train(recipe, seed, steps, Path(folder))
            scores = evaluate(recipe, Path(folder))
        self.add({**same, "steps": steps, "seconds": round(seconds, 1), **scores})

    def train(self, recipe: str, seed: int, steps: int, folder: Path) -> float:
        """CPU seconds of a training."""
        # Only averaging needs checkpoints before the last one.
        every = min(self.updates // (4 * KEPT), steps) if recipe == "averaging" else steps
        dev = short_dev(folder)
        command = [sys.executable, "-m", "training.train", CONFIG, "--output", str(folder / "run")]
        command += [*SMALLER, *RECIPES[recipe], f"data.dev={{source: {dev[0]}, target: {dev[1]}}}"]
        command += [f"run.seed={seed}", f"run.max_steps={steps}", f"run.eval_every={every}"]
        command.append(f"optimizer.warmup_steps={max(steps // 10, 1)}")
        core = self.cores.get()
        try:
            with (folder / "log").open("w") as log:
                pinned = ["taskset", "-c", str(core), *command]
                process = subprocess.Popen(pinned, stdout=log, stderr=log)
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            self.cores.put(core)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{(folder / 'log').read_text()}")
        return usage.ru_utime + usage.ru_stime

    def add(self, result: Result) -> None:
        """Append a line to the file and show it."""
        line = json.dumps(result)
        with self.writing, self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line, flush=True)


def cost(results: Iterable[Result], recipe: str) -> float:
    """What an update costs beside one of the baseline: the median of the trials' ratios."""
    seconds: dict[str, dict[object, float]] = {}
    for line in results:
        if "seconds_an_update" in line:
            taken = float(str(line["seconds_an_update"]))
            seconds.setdefault(str(line["recipe"]), {})[line["round"]] = taken
    baseline = seconds["baseline"]
    return statistics.median(taken / baseline[n] for n, taken in seconds[recipe].items())


def short_dev(folder: Path) -> list[Path]:
    """The first lines of val, as files."""
    paths = []
    for side, name in VAL.items():
        lines = list(read_lines(Path(os.environ["DRAGOMAN_DATA"], name)))[:DEV_LINES]
        paths.append(folder / f"dev.{side}")
        paths[-1].write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return paths


def evaluate(recipe: str, folder: Path) -> Result:
    """BLEU and chrF on val of the last checkpoint, or of the mean of the last ones."""
    model = folder / "run" / "last"
    if recipe == "averaging":
        model = folder / "averaged"
        names = [str(folder / "run"), "--last", str(KEPT), "--output", str(model)]
        averaging = [sys.executable, "-m", "training.average", *names]
        subprocess.run(averaging, check=True, stdout=subprocess.DEVNULL)
    command = [sys.executable, "-m", "training.evaluate", str(model), "--bootstrap", "0"]
    for flag, name in VAL.items():
        command += [f"--{flag}", str(Path(os.environ["DRAGOMAN_DATA"], name))]
    found = subprocess.run(
        [*command, "--beam-size", "5", "--threads", "1", "--json", "-"],
        check=True,
        capture_output=True,
        text=True,
    )
    figures = json.loads(found.stdout)
    return {name: round(figures[name]["value"], 2) for name in ("bleu", "chrf")}


def read_results(path: Path) -> list[Result]:
    """The lines of the file; none if there is none."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def table(results: Iterable[Result]) -> str:
    """Markdown: for each recipe its updates, mean, spread, and gain over the baseline by seed."""
    runs: dict[str, dict[int, Result]] = {}
    for line in results:
        if "bleu" in line:
            runs.setdefault(str(line["recipe"]), {})[int(str(line["seed"]))] = line
    lines = ["| recipe | updates | BLEU, mean (spread) | chrF | gain over the baseline, by seed |"]
    lines.append("|---|---|---|---|---|")
    plain = runs.get("baseline", {})
    for recipe, seeds in runs.items():
        bleu = {seed: float(str(run["bleu"])) for seed, run in seeds.items()}
        chrf = statistics.mean(float(str(run["chrf"])) for run in seeds.values())
        gains = [
            f"{value - float(str(plain[seed]['bleu'])):+.2f}"
            for seed, value in sorted(bleu.items())
            if seed in plain and recipe != "baseline"
        ]
        mean, spread = statistics.mean(bleu.values()), max(bleu.values()) - min(bleu.values())
        steps = statistics.mean(float(str(run["steps"])) for run in seeds.values())
        lines.append(
            f"| {recipe} | {math.floor(steps):,} | {mean:.2f} ({spread:.2f}) | {chrf:.2f} | "
            f"{', '.join(gains)} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
