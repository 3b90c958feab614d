"""Training speed of Dragoman beside OpenNMT-py, or of two processes beside one, alternating.

    DRAGOMAN_DATA=... taskset -c 0 python -m benchmarks.training_speed --opennmt WORKDIR
    DRAGOMAN_DATA=... taskset -c 0,1 python -m benchmarks.training_speed --processes 2

WORKDIR holds an OpenNMT-py environment (venv/bin/onmt_train) and its configuration,
train_speed.yaml or what --opennmt-config names: the same sizes, RNN with input feeding. Both are
pinned to one core and one thread. Tokens are source pieces plus target pieces with EOS, without
padding. Dragoman runs the sizes and the batch of configs/multi30k_en_de.yaml without input feeding,
its faster wiring, and without R-Drop, which OpenNMT-py has not. Processes have one thread each, are
started by torchrun, and share the batch.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from training.tracking.metrics_log import read_metrics
from training.tracking.progress_bar import WINDOW_SECONDS

CONFIG = "configs/multi30k_en_de.yaml"
WARM_UP = 20  # updates that fill caches; not counted


def main() -> int:
    """Print one line a round and the ratio of the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--opennmt", type=Path, help="work folder of OpenNMT-py; left out: only ours"
    )
    parser.add_argument("--opennmt-config", type=Path, help="default: train_speed.yaml in WORKDIR")
    parser.add_argument("--processes", type=int, default=1, help="of ours, beside one of ours")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--updates", type=int, default=80, help="updates a round, of ours")
    arguments = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    ours: list[float] = []
    theirs: list[float] = []
    many: list[float] = []
    for number in range(1, arguments.repeats + 1):
        ours.append(dragoman(arguments.updates, 1))
        line = f"round {number}: dragoman {ours[-1]:,.0f} tokens/s"
        if arguments.processes > 1:
            many.append(dragoman(arguments.updates, arguments.processes))
            line += (
                f", {arguments.processes} processes {many[-1]:,.0f}, {many[-1] / ours[-1]:.2f} x"
            )
        if arguments.opennmt:
            config = arguments.opennmt_config or arguments.opennmt / "train_speed.yaml"
            theirs.append(opennmt(arguments.opennmt, config.resolve()))
            line += f", OpenNMT-py {theirs[-1]:,.0f} tokens/s, {ours[-1] / theirs[-1]:.2f} x"
        print(line, flush=True)
    summary = f"median of {len(ours)}: dragoman {statistics.median(ours):,.0f} tokens/s"
    if many:
        ratio = statistics.median(many) / statistics.median(ours)
        summary += (
            f", {arguments.processes} processes {statistics.median(many):,.0f}, {ratio:.2f} x"
        )
    if theirs:
        ratio = statistics.median(ours) / statistics.median(theirs)
        summary += f", OpenNMT-py {statistics.median(theirs):,.0f} tokens/s, {ratio:.2f} x"
    print(summary)
    return 0


def dragoman(updates: int, processes: int) -> float:
    """Source + target tokens/s of `dragoman-train` in the last of `updates` updates.

    They must take a minute or so: what is counted is later than the warm-up and half a minute.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        steps = WARM_UP + updates
        command = [sys.executable, "-m"]
        if processes > 1:
            command += ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
            command += ["-m"]
        command += ["training.train", CONFIG, "--output", str(run), "objective.rdrop=0.0"]
        command += [f"run.max_steps={steps}", f"run.log_every={WARM_UP}", "run.eval_every=1000000"]
        command += ["model.input_feeding=false", "optimizer.warmup_steps=20"]
        # The validation after the last step is no part of the measurement: one dev line is enough.
        for side in ("en", "de"):
            Path(folder, f"dev.{side}").write_text("a b c\n", encoding="utf-8")
        command += [f"data.dev={{source: {folder}/dev.en, target: {folder}/dev.de}}"]
        subprocess.run(command, check=True, capture_output=True)
        lines = [line for line in read_metrics(run / "metrics.jsonl") if "loss" in line]
        # Each tells the speed of the last seconds before it: not those of the warm-up.
        begun = float(str(lines[0]["time"]))
        counted = [n for n in lines if float(str(n["time"])) >= begun + WINDOW_SECONDS]
        if not counted:
            raise SystemExit(f"{updates} updates are over too soon. Give more with --updates.")
        rates = [
            float(str(line["source_tokens_per_s"])) + float(str(line["target_tokens_per_s"]))
            for line in counted
        ]
        return statistics.mean(rates)


def opennmt(folder: Path, config: Path) -> float:
    """Source + target tokens/s that OpenNMT-py reports, the first report left out."""
    command = ["venv/bin/onmt_train", "-config", str(config), "-train_steps", "25"]
    environment = os.environ | {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
    finished = subprocess.run(
        [*command, "-report_every", "5"],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    found = re.findall(r"(\d+)/(\d+) tok/s", finished.stderr + finished.stdout)
    return statistics.mean(int(source) + int(target) for source, target in found[1:])


if __name__ == "__main__":
    sys.exit(main())
