"""Short trainings of a tree's own dragoman-train, on a part of the demo's corpus."""

from pathlib import Path

from benchmarks.kill_training import write_corpus
from benchmarks.trees import Tree

PAIRS = 5_000
WARM_UP = 20
"""Updates that are not counted."""


def write_pairs(folder: Path) -> None:
    """What all trainings are of."""
    write_corpus(folder, PAIRS)


def train(
    tree: Tree,
    config: Path,
    folder: Path,
    run: Path,
    *,
    updates: int,
    threads: int,
    overrides: tuple[str, ...],
) -> None:
    """Train `run` on the pairs in `folder`; the corpus cache is the tree's own.

    Raises:
        TreeError: the training failed.
    """
    settings = (
        f"data.data_dir={folder}",
        f"data.cache_dir={folder / f'cache-{tree.name}'}",
        f"run.max_steps={updates}",
        f"optimizer.warmup_steps={min(WARM_UP, updates)}",
        f"run.log_every={WARM_UP}",
        "run.eval_every=1000000",
        "run.sample_lines=0",
        f"run.threads={threads}",
        "run.precision=fp32",
    )
    tree.run(
        *("-m", "training.train", str(config), "--output", str(run)),
        *settings,
        *overrides,
    )
