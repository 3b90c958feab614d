"""Decoding speed of Dragoman beside its peers: sentences/s in one run, alternating, on pieces.

    DRAGOMAN_DATA=... taskset -c 0 python -m benchmarks.decoding RUN \\
        --ctranslate2 PYTHON MODEL TOKENIZER --opennmt WORKDIR MODEL

RUN is a model of configs/multi30k_en_de.yaml or of its small brother. PYTHON is that of an
environment with ctranslate2 and sentencepiece, MODEL a converted model, TOKENIZER its SentencePiece
model. WORKDIR holds an OpenNMT-py environment and data/test.bpe.en, MODEL is a .pt file. What is
left out is not measured. All run on one thread. Each measure is taken once a round by each side; a
peer's large batch is its best of 32, 64, 128 and 256, found in a first round that does not count.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import IO, cast

import torch

from benchmarks.turns import alternate
from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.cli.timing import full_speed
from model.decoding.engine import Engine, Request
from model.decoding.options import SearchOptions
from model.decoding.precision.dtypes import BY_NAME, PRECISIONS, Precision
from model.io.lines import read_lines

TEST = "multi30k/test_2016_flickr.en.gz"
BATCHES = (32, 64, 128, 256)
SETTINGS = {"beam 5": 5, "greedy": 1}
Sources = list[tuple[int, ...]]


class Ours:
    """Engines over one checkpoint; sentences go in longest first."""

    def __init__(
        self, checkpoint: Checkpoint, precision: Precision, rows: int, *, shortlist: bool
    ) -> None:
        chosen = checkpoint.shortlist if shortlist else None
        self.sources: Sources = []
        self.large = Engine(
            checkpoint.network, dtype=BY_NAME[precision], max_rows=rows, shortlist=chosen
        )
        self.single = Engine(
            checkpoint.network, dtype=BY_NAME[precision], max_rows=5, shortlist=chosen
        )

    def seconds(self, beam: int, *, one_at_a_time: bool) -> float:
        """What all sources take."""
        options = SearchOptions(beam_size=beam)
        requests = [Request(src=src, options=options) for src in self.sources]
        if one_at_a_time:
            return sum(full_speed(self.single, [request]).seconds for request in requests)
        return full_speed(self.large, requests).seconds


class CTranslate2:
    """The peer's process, asked over pipes."""

    def __init__(self, python: str, model: str, pieces: Path) -> None:
        script = Path(__file__).with_name("peer_ctranslate2.py")
        self.process = subprocess.Popen(
            [python, str(script), model, str(pieces)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.best = {
            beam: min(BATCHES, key=lambda batch: self.ask(beam, batch))
            for beam in SETTINGS.values()
        }

    def ask(self, beam: int, batch: int) -> float:
        """Seconds for all sentences."""
        questions, answers = cast(IO[str], self.process.stdin), cast(IO[str], self.process.stdout)
        print(beam, batch, file=questions, flush=True)
        return float(answers.readline())

    def seconds(self, beam: int, *, one_at_a_time: bool) -> float:
        """What all sources take, with the best batch."""
        return self.ask(beam, 1 if one_at_a_time else self.best[beam])


class OpenNMT:
    """OpenNMT-py's command; the time is the one that it reports, without loading."""

    def __init__(self, folder: str, model: str, sentences: int) -> None:
        self.folder, self.model = folder, model
        lines = Path(folder, "data/test.bpe.en").read_text(encoding="utf-8").splitlines()
        self.pieces = "".join(f"{line}\n" for line in lines[:sentences])
        self.best = {
            beam: min(BATCHES, key=lambda batch: self.ask(beam, batch))
            for beam in SETTINGS.values()
        }

    def ask(self, beam: int, batch: int) -> float:
        """Seconds for all sentences."""
        with tempfile.TemporaryDirectory() as out:
            command = ["venv/bin/onmt_translate", "-model", self.model, "-gpu", "-1"]
            Path(out, "in").write_text(self.pieces, encoding="utf-8")
            command += ["-src", f"{out}/in", "-output", f"{out}/out", "-report_time"]
            command += ["-beam_size", str(beam), "-batch_size", str(batch), "-max_length", "100"]
            finished = subprocess.run(
                command,
                cwd=self.folder,
                env=os.environ | {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"},
                check=True,
                capture_output=True,
                text=True,
            )
        found = re.search(
            r"Total translation time \(s\): ([\d.]+)", finished.stderr + finished.stdout
        )
        assert found, "OpenNMT-py reports no time"
        return float(found[1])

    def seconds(self, beam: int, *, one_at_a_time: bool) -> float:
        """What all sources take, with the best batch."""
        return self.ask(beam, 1 if one_at_a_time else self.best[beam])


def main() -> int:
    """Print one line for each measure: medians, and the ratio to each peer."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--precision", choices=PRECISIONS, default="int8")
    parser.add_argument("--rows", type=int, default=160, help="hypotheses in flight")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--ctranslate2", nargs=3, metavar=("PYTHON", "MODEL", "TOKENIZER"))
    parser.add_argument("--opennmt", nargs=2, metavar=("WORKDIR", "MODEL"))
    arguments = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    torch.set_num_threads(1)
    checkpoint = load_checkpoint(arguments.run)
    lines = list(read_lines(Path(os.environ["DRAGOMAN_DATA"], TEST)))[: arguments.sentences]
    sides: dict[str, Ours | CTranslate2 | OpenNMT] = {}
    listed = (False, True) if checkpoint.shortlist else (False,)
    for shortlist in listed:
        ours = Ours(checkpoint, arguments.precision, arguments.rows, shortlist=shortlist)
        ours.sources = [tuple(checkpoint.tokenizer.encode(line)) for line in lines]
        sides["shortlist" if shortlist else "dragoman"] = ours
    with tempfile.TemporaryDirectory() as folder:
        if arguments.ctranslate2:
            python, model, tokenizer = arguments.ctranslate2
            pieces = Path(folder, "pieces")
            pieces.write_text(as_pieces(lines, Path(tokenizer)), encoding="utf-8")
            sides["CTranslate2"] = CTranslate2(python, model, pieces)
        if arguments.opennmt:
            folder_name, model_name = arguments.opennmt
            sides["OpenNMT-py"] = OpenNMT(folder_name, model_name, len(lines))
        for one_at_a_time in (False, True):
            for name, beam in SETTINGS.items():
                measure = f"{name}, {'one at a time' if one_at_a_time else 'large batch'}"
                print(row(measure, sides, beam, one_at_a_time, arguments.rounds, len(lines)))
    return 0


def row(
    measure: str,
    sides: dict[str, Ours | CTranslate2 | OpenNMT],
    beam: int,
    one_at_a_time: bool,
    rounds: int,
    sentences: int,
) -> str:
    """Medians of alternating rounds, as sentences/s, and what ours are times the peers'."""
    turns = {
        name: partial(side.seconds, beam, one_at_a_time=one_at_a_time)
        for name, side in sides.items()
    }
    taken = alternate(turns, rounds)
    rates = {name: sentences / statistics.median(times) for name, times in taken.items()}
    parts = [f"{name} {rate:,.1f}/s" for name, rate in rates.items()]
    for ours in ("dragoman", "shortlist"):
        for peer in ("CTranslate2", "OpenNMT-py"):
            if ours in rates and peer in rates:
                parts.append(f"{ours} / {peer} {rates[ours] / rates[peer]:.2f}")
    return f"{measure}: " + ", ".join(parts)


def as_pieces(lines: list[str], tokenizer: Path) -> str:
    """The lines in the peer's pieces, separated by spaces."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer))
    return "".join(" ".join(processor.encode(line, out_type=str)) + "\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
