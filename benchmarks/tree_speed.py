"""Speed of a tree: a round of decoding, service, training or starts, in processes of their own.

Each round starts processes anew, so that what one of them owes to chance, such as where its memory
lies, is part of the spread.
"""

import json
import resource
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.dialects import Dragoman
from benchmarks.figures import Figures
from benchmarks.rounds import alone, closed
from benchmarks.servers import Recipe, ServerError, running
from benchmarks.tree_training import WARM_UP, train
from benchmarks.trees import Tree, TreeError
from training.tracking.metrics_log import Line, read_metrics

SCRIPT = Path(__file__).with_name("tree_translator.py")
BEAM = 5
"""Of the service; decoding has the search options of the checkpoint."""

Rates = dict[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoding:
    """Sentences/s of the Python API, given all sentences at once and one at a time."""

    run: Path
    precisions: Sequence[str]
    threads: int
    texts: Path
    seconds: float

    def measure(self, tree: Tree) -> Rates:
        """One round."""
        rates: Rates = {}
        for precision in self.precisions:
            given = (self.run, precision, self.threads, self.seconds, self.texts)
            told = json.loads(tree.run(str(SCRIPT), *map(str, given)))
            rates[f"sentences/s, {precision}, all at once"] = told["many"]
            rates[f"sentences/s, {precision}, one at a time"] = told["one"]
        return rates


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """Requests/s of dragoman-serve, each of one sentence, from clients that await their answers."""

    run: Path
    precisions: Sequence[str]
    threads: int
    texts: Sequence[str]
    clients: int
    seconds: float

    def measure(self, tree: Tree) -> Rates:
        """One round; every text is first translated alone, which warms the server up."""
        rates: Rates = {}
        for precision in self.precisions:
            try:
                with running(self._recipe(tree, precision), 0) as server:
                    asks = alone(server, self.texts)
                    figures = closed(server, asks, self.clients, self.seconds)
            except ServerError as error:
                raise TreeError(str(error)) from error
            _insist_on_right_answers(tree, figures)
            rates[f"requests/s, {precision}, {self.clients} clients"] = figures.requests_per_s
        return rates

    def _recipe(self, tree: Tree, precision: str) -> Recipe:
        flags = ("--device", "cpu", "--precision", precision, "--threads", str(self.threads))
        return Recipe(
            name=tree.name,
            command=tree.command(
                *("-m", "service.serve", str(self.run), "--port", "{port}"), *flags
            ),
            dialect=Dragoman(BEAM),
            environment=tree.environment,
            folder=tree.folder,
        )


def _insist_on_right_answers(tree: Tree, figures: Figures) -> None:
    bad = figures.wrong + figures.refused + figures.errors + figures.lost
    if bad or not figures.requests_per_s:
        raise TreeError(
            f"{tree.name}: under load {figures.right:,} answers were those given alone, {bad:,} not"
        )


STARTS = {
    "imports of the library": ("-c", "import model.translator"),
    "starts of dragoman-translate": ("-m", "model.translate", "--help"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """How many processes begin in a minute of processor time."""

    def measure(self, tree: Tree) -> Rates:
        """One round."""
        return {f"{name}/CPU minute": 60 / _cpu_s(tree, begun) for name, begun in STARTS.items()}


def _cpu_s(tree: Tree, arguments: Sequence[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    tree.run(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """Updates/s of dragoman-train after the first ones."""

    config: Path
    folder: Path
    """With the pairs."""
    updates: int
    threads: int
    overrides: tuple[str, ...]

    def measure(self, tree: Tree) -> Rates:
        """One round."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            run = Path(name, "run")
            train(
                tree,
                self.config,
                self.folder,
                run,
                updates=WARM_UP + self.updates,
                threads=self.threads,
                overrides=self.overrides,
            )
            lines = [line for line in read_metrics(run / "metrics.jsonl") if "loss" in line]
        return {"updates/s": updates_per_s(lines)}


def updates_per_s(lines: Sequence[Line]) -> float:
    """Between the first and the last of the logged lines, by their clock."""
    steps, times = ([float(str(line[key])) for line in lines] for key in ("step", "time"))
    return (steps[-1] - steps[0]) / (times[-1] - times[0])
