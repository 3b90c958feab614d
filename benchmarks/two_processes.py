"""The losses of one process and of two that train together: the same batches, the same updates.

    python -m benchmarks.two_processes [section.key=value ...]

The demo's network, small, without dropout, in fp32; torchrun and gloo. Prints some of the losses of
100 updates and the largest relative difference of all.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.kill_training import CONFIG, SETTINGS, write_corpus
from training.tracking.metrics_log import read_metrics

UPDATES, SHOWN = 100, 20
FIXED = ("model.dropout=0.0", "model.embedding_dropout=0.0", f"run.max_steps={UPDATES}")


def main() -> int:
    """Print a table; the status is 1 where the losses differ by more than 1e-5."""
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        write_corpus(Path(folder))
        one, two = (losses(Path(folder), processes) for processes in (1, 2))
    print("| update | one process | two processes |\n|---|---|---|")
    for step in (1, *range(SHOWN, UPDATES + 1, SHOWN)):
        print(f"| {step} | {one[step - 1]:.7f} | {two[step - 1]:.7f} |")
    worst = max(abs(a - b) / a for a, b in zip(one, two, strict=True))
    print(f"largest relative difference of {len(one)} updates: {worst:.1e}")
    return int(worst > 1e-5)


def losses(folder: Path, processes: int) -> list[float]:
    """Of every update of a new run."""
    run = folder / f"of-{processes}"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    command += [str(processes), "-m", "training.train", str(CONFIG), "--output", str(run)]
    command += [*SETTINGS, *FIXED, f"run.eval_every={UPDATES}", f"data.data_dir={folder}"]
    subprocess.run([*command, *sys.argv[1:]], check=True, capture_output=True)
    lines = read_metrics(run / "metrics.jsonl")
    return [float(str(line["loss"])) for line in lines if "loss" in line]


if __name__ == "__main__":
    sys.exit(main())
