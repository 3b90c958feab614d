"""Slow pipe: how long dragoman-translate takes to answer a line when the next one has not come.

    python -m benchmarks.slow_pipe RUN [--lines 20] [--gap 0.5] [flag of dragoman-translate ...]

Each line is written, its answer read, and the next one written after a pause. The first
answer includes loading the model.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    """Measure, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--lines", type=int, default=20)
    parser.add_argument("--gap", type=float, default=0.5, help="seconds between lines")
    arguments, flags = parser.parse_known_args()
    first, *seconds = _answers(arguments.run, arguments.lines + 1, arguments.gap, flags)
    print(
        f"first line {first:.2f} s; each of {len(seconds)} more: median "
        f"{statistics.median(seconds):.3f} s, longest {max(seconds):.3f} s"
    )
    return 0


def _answers(run: Path, lines: int, gap: float, flags: list[str]) -> list[float]:
    """The seconds from writing each line to its answer."""
    found = []
    command = [sys.executable, "-m", "model.translate", str(run), *flags]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        for number in range(lines):
            begun = time.perf_counter()
            process.stdin.write(f"Das Brot kostet {number},20 Euro.\n".encode())
            process.stdin.flush()
            if not process.stdout.readline():
                raise SystemExit("the command ended without an answer")
            found.append(time.perf_counter() - begun)
            time.sleep(gap)
    return found


if __name__ == "__main__":
    sys.exit(main())
