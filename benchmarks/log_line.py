"""Log line: what the line of a request costs the thread that writes it, here the event loop's.

    python -m benchmarks.log_line

One process writes straight to standard error, as before, the other through the thread of
`service.observability.stderr_writer`. Another process reads them. The lines come a millisecond
apart, as requests do; figures are of the thread that logs.
"""

import argparse
import logging
import statistics
import subprocess
import sys
import time

from service.observability.logs import configure_logging, log_request
from service.observability.request_record import CURRENT, RequestRecord
from service.observability.stderr_writer import threaded_stderr

WAYS = ("direct", "thread")


def measure(lines: int) -> tuple[float, float]:
    """The median microseconds of a line, on the clock and of computing."""
    configure_logging(form="json")
    assert logging.getLogger("service").isEnabledFor(logging.INFO)
    record = RequestRecord(id="0123456789abcdef0123456789abcdef", method="POST")
    record.route, record.status, record.model = "/v1/translate", 200, "demo"
    record.texts, record.source_pieces, record.target_pieces = ["a"], 12, 14
    record.ended = record.started + 0.012
    CURRENT.set(record)
    clock, computing = [], []
    for _ in range(lines):
        before, before_computing = time.perf_counter_ns(), time.thread_time_ns()
        log_request(record, texts=False)
        computing.append(time.thread_time_ns() - before_computing)
        clock.append(time.perf_counter_ns() - before)
        time.sleep(0.001)
    return statistics.median(clock) / 1000, statistics.median(computing) / 1000


def main() -> int:
    """Measure both ways in alternating rounds; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=3000, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--way", choices=WAYS, help="measure this one here; for the rounds")
    arguments = parser.parse_args()
    if arguments.way == "direct":
        print(*measure(arguments.lines))
    elif arguments.way == "thread":
        with threaded_stderr():
            print(*measure(arguments.lines))
    else:
        found: dict[str, list[list[float]]] = {way: [] for way in WAYS}
        for way in WAYS * arguments.rounds:
            found[way].append(_round(way, arguments.lines))
        for way, rounds in found.items():
            clock, computing = (statistics.median(column) for column in zip(*rounds, strict=True))
            print(f"{way}: {clock:.1f} us a line, {computing:.1f} us of them computing")
    return 0


def _round(way: str, lines: int) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.log_line", "--way", way, "--lines", str(lines)]
    with (
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=reader.stdin) as process,
    ):
        assert reader.stdin and process.stdout
        reader.stdin.close()
        return [float(number) for number in process.stdout.read().split()]


if __name__ == "__main__":
    sys.exit(main())
