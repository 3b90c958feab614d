"""Where the time of a training update goes: shares of the operators, by torch.profiler.

    DRAGOMAN_DATA=... taskset -c 0 python -m benchmarks.training_profile [section.key=value ...]

configs/multi30k_en_de.yaml without input feeding, on one thread. A share is of the time spent in
an operator itself, what it calls not counted; the profiler makes an update a little slower.
"""

import itertools
import sys
import tempfile
import time
from pathlib import Path

from torch.profiler import ProfilerActivity, profile

from training.config import load_config
from training.distributed import World
from training.session import Session

CONFIG = Path("configs/multi30k_en_de.yaml")
WARM_UP, COUNTED, ROWS = 40, 20, 24


def main() -> int:
    """Print tokens/s without the profiler, then one line for each operator."""
    overrides = ["model.input_feeding=false", "run.threads=1", *sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        trainer = Session(
            load_config(CONFIG, overrides), Path(folder), resume=False, world=World()
        ).trainer
        batches = trainer.batches()
        for batch in itertools.islice(batches, WARM_UP):
            trainer.update(batch)
        started, tokens = time.perf_counter(), 0
        for batch in itertools.islice(batches, COUNTED):
            update = trainer.update(batch)
            tokens += update.source_tokens + update.target_tokens
        seconds = time.perf_counter() - started
        print(f"{tokens / seconds:,.0f} tokens/s, {1e3 * seconds / COUNTED:.0f} ms an update")
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            for batch in itertools.islice(batches, COUNTED):
                trainer.update(batch)
    averages = profiler.key_averages()
    total = sum(row.self_cpu_time_total for row in averages)
    for row in sorted(averages, key=lambda row: -row.self_cpu_time_total)[:ROWS]:
        milliseconds = row.self_cpu_time_total / 1e3 / COUNTED
        print(
            f"{row.self_cpu_time_total / total:6.1%}  {milliseconds:7.2f} ms  "
            f"{row.count // COUNTED:5d} calls  {row.key}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
