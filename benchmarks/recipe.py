"""What makes the difference in a short training: one variant a row, dev loss and BLEU of each.

    DRAGOMAN_DATA=... taskset -c 0 python -m benchmarks.recipe base low_rate untied

Each variant is configs/multi30k_en_de.yaml without R-Drop, with the overrides below, trained for a
fixed number of steps, and validated once at the end.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from training.tracking.metrics_log import read_metrics

CONFIG = "configs/multi30k_en_de.yaml"
SHARED = (
    "optimizer.warmup_steps=50",
    "run.eval_every=1000000",
    "model.input_feeding=true",
    "objective.rdrop=0.0",
    "run.batch_tokens=3000",
)
STEPS = 400
VARIANTS: dict[str, tuple[str, ...]] = {
    "base": (),
    "low_rate": ("optimizer.learning_rate=0.002",),
    "high_rate": ("optimizer.learning_rate=0.008",),
    "four_heads": ("model.attention_heads=4",),
    "untied": ("model.tie_embeddings=false",),
    "small_batch": ("run.batch_tokens=1500", "run.max_steps=800"),
    "little_dropout": ("model.dropout=0.1", "model.embedding_dropout=0.1"),
    "no_feedback": ("model.input_feeding=false",),
    "subword_sampling": ("tokenizer.sampling=0.1",),
}


def main() -> int:
    """Print one row for each variant that is named, or for all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("variants", nargs="*", choices=[[], *VARIANTS], help="default: all")
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    for name in arguments.variants or VARIANTS:
        print(row(name, arguments.steps), flush=True)
    return 0


def row(name: str, steps: int) -> str:
    """Train the variant `name` in a temporary folder; its figures."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        overrides = (*SHARED, f"run.max_steps={steps}", *VARIANTS[name])
        command = [sys.executable, "-m", "training.train", CONFIG, "--output", str(run)]
        started = time.monotonic()
        subprocess.run([*command, *overrides], check=True, capture_output=True)
        seconds = time.monotonic() - started
        metrics = read_metrics(run / "metrics.jsonl")
    last = metrics[-1]
    rates = [
        float(str(line["source_tokens_per_s"])) + float(str(line["target_tokens_per_s"]))
        for line in metrics
        if "loss" in line
    ]
    return (
        f"{name:15} {last['step']} steps  dev loss {float(str(last['dev_loss'])):.3f}  "
        f"BLEU {float(str(last['dev_bleu'])):.2f}  {sum(rates) / len(rates):,.0f} tokens/s  "
        f"{seconds:.0f} s with validation"
    )


if __name__ == "__main__":
    sys.exit(main())
