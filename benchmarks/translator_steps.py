"""What each step of configs/de_en.yaml gains: short trainings of a small model, one step in each.

    DRAGOMAN_DATA=... taskset -c 0 python -m benchmarks.translator_steps FOLDER [STEP ...]

Every training has the same updates and the seed of the config. Each model translates dev as it is,
joined two by two without cutting, and as people type (that is, with the noise of `data.noise`), and
is compared with the baseline, which learns from single clean sentences of Tatoeba alone, by a
paired bootstrap: of the lines, so p tells nothing of what another seed would give. Three steps need
text that a model of the box translates first, one the runs of two others. FOLDER keeps the runs and
what was translated; the same command goes on where it was interrupted. It ends with a table.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.io.lines import atomic_output, read_lines
from training.data.counter_rng import splitmix64
from training.data.noise import disturb

CONFIG = "configs/de_en.yaml"
TATOEBA = "{source: tatoeba-de-en/train.de.gz, target: tatoeba-de-en/train.en.gz}"
INTERFACE = "{files: interface-de-en/train.tsv.gz, source_column: 1, target_column: 2, weight: 0.3}"
TAGGED = INTERFACE.replace("}", ", tag: <interface>}")
STORIES = "{files: storybooks-de-en/train.tsv.gz, source_column: 1, target_column: 2}"
SMALL = (
    "model.embedding_size=128",
    "model.encoder_layers=1",
    "model.encoder_size=256",
    "model.decoder_size=256",
    "tokenizer.vocab_size=8000",
    "shortlist.candidates=0",
    "run.batch_tokens=3000",
    "run.eval_every=1000000",
    f"data.train=[{TATOEBA}]",
    "data.joined=0.0",
    "data.noise=0.0",
)
BACK = "{files: FOLDER/back.tsv, source_column: 2, target_column: 1, tag: <back>}"
FORWARD = "{files: FOLDER/forward.tsv, source_column: 1, target_column: 2}"
DISTILLED = "{files: FOLDER/distilled.tsv, source_column: 1, target_column: 2}"
BASELINE, SEED = "baseline", "another seed"
TEACHERS = ", ".join(f"FOLDER/{name.replace(' ', '-')}-UPDATES" for name in (BASELINE, SEED))
STEPS: dict[str, tuple[str, ...]] = {
    BASELINE: (),
    SEED: ("run.seed=2",),
    "joined 0.15": ("data.joined=0.15",),
    "noise 0.15": ("data.noise=0.15",),
    "interface text, tagged": (f"data.train=[{TATOEBA}, {TAGGED}]",),
    "interface text, no tag": (f"data.train=[{TATOEBA}, {INTERFACE}]",),
    "stories": (f"data.train=[{TATOEBA}, {STORIES}]",),
    "4,000 pieces": ("tokenizer.vocab_size=4000",),
    "12,000 pieces": ("tokenizer.vocab_size=12000",),
    "2 encoder layers": ("model.encoder_layers=2",),
    "embeddings of 192": ("model.embedding_size=192",),
    "no average of the weights": ("optimizer.ema=0.0",),
    "BPE-dropout 0.1": ("tokenizer.sampling=0.1",),
    "English translated back": (f"data.train=[{TATOEBA}, {BACK}]",),
    "German translated forward": (f"data.train=[{TATOEBA}, {FORWARD}]",),
    "distilled from the model of the box": (f"data.train=[{DISTILLED}]",),
    "the baseline and another seed as teachers": (
        f"objective.teacher=[{TEACHERS}]",
        "objective.distillation=0.5",
    ),
}

# What dragoman-distill is told to write the files of FOLDER that steps name; its input is below
# DRAGOMAN_DATA. Translated back are samples, for the reasons that multi30k.sh gives.
SAMPLES = ("--beam-size", "1", "--temperature", "1", "--top-k", "10")
TRANSLATED: dict[str, tuple[str, ...]] = {
    "back.tsv": ("commonvoice-mono/en.txt.gz", "en-de", *SAMPLES),
    "forward.tsv": ("commonvoice-mono/de.txt.gz", "de-en"),
    "distilled.tsv": ("tatoeba-de-en/train.de.gz", "de-en"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Dev:
    """A form of the dev set, as files."""

    name: str
    source: Path
    reference: Path


def main() -> int:
    """Do what is missing, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of: {', '.join(STEPS)}")
    parser.add_argument("--updates", type=int, default=1500, help="of each (%(default)s)")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.steps if name not in STEPS]:
        parser.error(f"no step {unknown[0]!r}. Use any of: {', '.join(STEPS)}.")
    wanted = with_needed(arguments.steps or STEPS)
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    runs = {
        step: folder / f"{step.replace(' ', '-').replace(',', '')}-{arguments.updates}"
        for step in wanted
    }
    data = Path(os.environ["DRAGOMAN_DATA"])
    devs = write_devs(folder, data / "tatoeba-de-en")
    rows = []
    for name in wanted:
        translate(folder, data, STEPS[name])
        counted = [change.replace("UPDATES", str(arguments.updates)) for change in STEPS[name]]
        changes = [change.replace("FOLDER", str(folder.resolve())) for change in counted]
        train(runs[name], changes, arguments.updates)
        rows.append([name, *(compared(runs[name], dev, runs[BASELINE]) for dev in devs)])
    header = ["step", *(f"{dev.name}: BLEU, gain, p" for dev in devs)]
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    return 0


def with_needed(asked: Iterable[str]) -> list[str]:
    """The steps asked for and those that these need: the baseline, and teachers before pupils."""
    names = {BASELINE, *asked}
    if any(TEACHERS in change for name in names for change in STEPS[name]):
        names.add(SEED)
    return [name for name in STEPS if name in names]


def write_devs(folder: Path, data: Path) -> list[Dev]:
    """Write dev as it is, joined two by two, and as people type."""
    sources, references = (list(read_lines(data / f"dev.{side}.gz")) for side in ("de", "en"))
    keys = splitmix64(np.arange(len(sources), dtype=np.uint64)).tolist()
    typed = [disturb(line, "de", key) for line, key in zip(sources, keys, strict=True)]
    return [
        _written(folder, "dev", sources, references),
        _written(folder, "joined", _two_by_two(sources), _two_by_two(references)),
        _written(folder, "typed", typed, references),
    ]


def _two_by_two(lines: list[str]) -> list[str]:
    return [" ".join(pair) for pair in zip(lines[::2], lines[1::2], strict=False)]


def _written(folder: Path, name: str, sources: list[str], references: list[str]) -> Dev:
    dev = Dev(name=name, source=folder / f"{name}.de", reference=folder / f"{name}.en")
    for path, lines in ((dev.source, sources), (dev.reference, references)):
        with atomic_output(path) as file:
            file.write("".join(f"{line}\n" for line in lines).encode())
    return dev


def translate(folder: Path, data: Path, changes: Sequence[str]) -> None:
    """Write the files of TRANSLATED that the changes of a step name, unless they are there."""
    for name, (source, model, *options) in TRANSLATED.items():
        output = folder / name
        if output.exists() or not any(f"FOLDER/{name}" in change for change in changes):
            continue
        command = [sys.executable, "-m", "training.distill", model, *options, "--threads", "1"]
        command += ["--input", str(data / source), "--output", str(output), "--resume"]
        subprocess.run(command, check=True, stdout=sys.stderr)


def train(run: Path, changes: Sequence[str], updates: int) -> None:
    """Train, or go on with, the run of a step; nothing if it is finished."""
    command = [sys.executable, "-m", "training.train", CONFIG, *SMALL, *changes]
    command += [f"run.max_steps={updates}", f"optimizer.warmup_steps={updates // 10}"]
    command += ["--output", str(run), *(["--resume"] if (run / "last").exists() else [])]
    subprocess.run(command, check=True, stdout=sys.stderr)


def compared(run: Path, dev: Dev, baseline: Path) -> str:
    """BLEU of a run on `dev`, its gain over the baseline, and the p of that."""
    outputs = run / f"{dev.name}.out"
    if not outputs.exists():
        evaluate(
            str(run),
            "--source",
            str(dev.source),
            "--split-sentences",
            "never",
            "--reference",
            str(dev.reference),
            "--output",
            str(outputs),
            "--bootstrap",
            "0",
        )
    beside = baseline / f"{dev.name}.out"
    files = ["--hypotheses", str(outputs), "--reference", str(dev.reference)]
    figures = evaluate(*files, "--against", str(beside))
    bleu, other = figures["bleu"], figures["baseline"]["bleu"]
    if run == baseline:
        return f"{bleu['value']:.2f}"
    return f"{bleu['value']:.2f}, {bleu['value'] - other['value']:+.2f}, {bleu['p_value']:.3f}"


def evaluate(*arguments: str) -> dict[str, Any]:
    """The figures that dragoman-evaluate writes as JSON."""
    command = [sys.executable, "-m", "training.evaluate", *arguments, "--json", "-"]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, Any] = json.loads(found.stdout)
    return figures


if __name__ == "__main__":
    sys.exit(main())
