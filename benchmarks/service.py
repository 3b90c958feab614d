"""The service under load: a load generator for any URL of it, and each measure with its goal.

    DRAGOMAN_DATA=... DRAGOMAN_PEERS=... python -m benchmarks.service MEASURE RUN [FLAGS]
    python -m benchmarks.service load --port 8000 --texts FILE --rate 50 --seconds 30

MEASURE is one of

    onmt         requests/s beside OpenNMT-py's server (--opennmt WORKDIR); all on one core
    ctranslate2  requests/s and p99 beside CTranslate2 in int8 (--python PYTHON)
    overhead     requests/s through the service beside the engine alone, fed the same way
    document     p99 of 500 or more short requests beside a document of 10,000 sentences, and idle
    fair         two API keys, one with ten times the other's load: their shares
    overload     five times the capacity for 60 s: throughput kept, wrong or lost answers
    equal        answers under load, pieces and scores, equal to the bit to those given alone
    memory       resident memory after 100,000 requests and after 1,000
    sigterm      SIGTERM under load, 20 times: accepted requests lost
    ceiling      what the generator itself reaches (no RUN)

RUN translates from English; the sentences are those of multi30k/test_2016_flickr.en.gz in
$DRAGOMAN_DATA. $DRAGOMAN_PEERS holds the models of the peers: ctranslate2-transformer-int8/,
multi30k-bpe8000.model and opennmt/serve.sh. The server runs on the first core that this process
may use, the generator on the second. Each server first answers every request alone; under load
each answer is compared with that. Rounds alternate, ratios are of medians. `--quick` is for
trying a measure out: its figures mean nothing. Exit status 1: a goal was not reached.

A row of the table: requests and sentences answered rightly in a second of the window; latencies
from the arrival on the schedule; right, wrong, refused (429), errors (other statuses), lost (no
answer); and how late the generator itself was, which has to be little beside the latencies.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.behaviour import document, fair, overload
from benchmarks.ceiling import ceiling
from benchmarks.comparisons import against_ctranslate2, against_opennmt, against_the_engine
from benchmarks.dialects import Dragoman
from benchmarks.figures import HEAD, figures
from benchmarks.load import Ask, Load, poisson
from benchmarks.rounds import WARM_S, Bench
from benchmarks.servers import ServerError, pair_of_cores
from benchmarks.soundness import equal, memory, sigterm

MEASURES: dict[str, Callable[[Bench], bool]] = {
    "onmt": against_opennmt,
    "ctranslate2": against_ctranslate2,
    "overhead": against_the_engine,
    "overload": overload,
    "equal": equal,
    "memory": memory,
    "sigterm": sigterm,
    "ceiling": ceiling,
}
"""Those that need nothing more than the common flags."""

KEYS = {"light": "light-secret", "heavy": "heavy-secret"}
"""Of the measure `fair`, by name."""
KEYS_VARIABLE = "DRAGOMAN_API_KEYS"


def main(argv: list[str] | None = None) -> int:
    """Run one measure; 0 if its goals are reached."""
    arguments = command_line().parse_args(argv)
    try:
        if arguments.measure == "load":
            return asyncio.run(_load(arguments))
        return 0 if _measure(arguments) else 1
    except ServerError as error:
        sys.exit(str(error))


def command_line() -> argparse.ArgumentParser:
    """A subcommand for each measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    measures = parser.add_subparsers(dest="measure", required=True)
    for name in (*MEASURES, "document", "fair"):
        measure = measures.add_parser(name)
        if name != "ceiling":
            measure.add_argument("run", type=Path, metavar="RUN")
        _add_common(measure)
        if name == "document":
            measure.add_argument("--rate", type=float, default=20.0, help="short requests a second")
    load = measures.add_parser("load", help="a load on a server that runs")
    load.add_argument("--port", type=int, default=8000)
    load.add_argument("--texts", type=Path, required=True, help="a sentence a line")
    load.add_argument("--key", default="", help="API key")
    load.add_argument("--beam-size", type=int, default=5)
    load.add_argument("--seconds", type=float, default=30.0)
    how = load.add_mutually_exclusive_group(required=True)
    how.add_argument("--rate", type=float, help="open loop: Poisson arrivals a second")
    how.add_argument("--clients", type=int, help="closed loops")
    return parser


def _add_common(measure: argparse.ArgumentParser) -> None:
    add = measure.add_argument
    add("--precision", default="int8", choices=("fp32", "bf16", "int8"))
    add("--beam-size", type=int, default=5)
    add("--server-flags", default="", help="more flags for dragoman-serve, as one word")
    add("--rounds", type=int, default=5)
    add("--seconds", type=float, default=20.0, help="of a round")
    add("--quick", action="store_true", help="few sentences, one round of 3 seconds")
    add("--opennmt", type=Path, metavar="WORKDIR")
    add("--python", type=Path, metavar="PYTHON", help="one that has ctranslate2")


def _measure(arguments: argparse.Namespace) -> bool:
    server_core, generator_core = pair_of_cores(list(os.sched_getaffinity(0)))
    quick = arguments.quick
    bench = Bench(
        run=Path(getattr(arguments, "run", ".")).resolve(),
        precision=arguments.precision,
        flags=arguments.server_flags,
        beam_size=arguments.beam_size,
        quick=quick,
        rounds=1 if quick else arguments.rounds,
        seconds=3.0 if quick else arguments.seconds,
        server_core=server_core,
        generator_core=generator_core,
        peers=Path(os.environ.get("DRAGOMAN_PEERS", ".")).resolve(),
        opennmt=arguments.opennmt and arguments.opennmt.resolve(),
        # Not resolved: a link of a virtual environment would lose the environment.
        python=arguments.python and arguments.python.absolute(),
    )
    if arguments.measure == "document":
        return document(bench, arguments.rate)
    if arguments.measure == "fair":
        listed = ",".join(f"{name}: {secret}" for name, secret in KEYS.items())
        return fair(bench, {KEYS_VARIABLE: listed}, (KEYS["light"], KEYS["heavy"]))
    return MEASURES[arguments.measure](bench)


async def _load(arguments: argparse.Namespace) -> int:
    """One row, for a server that somebody else started; any answer counts as right."""
    dialect = Dragoman(arguments.beam_size, key=arguments.key)
    lines = arguments.texts.read_text(encoding="utf-8").splitlines()
    load = Load(arguments.port, [Ask(dialect.ask([line]), sentences=1) for line in lines])
    whole = WARM_S + arguments.seconds
    if arguments.rate:
        name = f"{arguments.rate:g} arrivals a second"
        outcomes = await load.offer(poisson(arguments.rate, whole, seed=1))
    else:
        name = f"{arguments.clients} clients"
        outcomes = await load.loops(arguments.clients, seconds=whole)
    print(HEAD)
    print(figures(outcomes, dialect, load.started + WARM_S, load.started + whole).row(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
