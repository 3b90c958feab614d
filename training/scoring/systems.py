"""Systems: the outputs that are scored, of a model, of a file or the first words of the sources."""

import argparse
import os
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.checkpoint.archive import SUFFIX
from model.checkpoint.checkpoint import Checkpoint
from model.checkpoint.pretrained import in_box
from model.cli.command import LoadedModel, load_model, search_options
from model.cli.searcher import searcher
from model.errors import ConfigError, DataError, RequestError
from model.io.lines import read_lines
from model.io.progress import line_progress
from model.jobs.formats import one_line
from model.jobs.truncation import Truncations
from model.text.languages import UNKNOWN
from model.transducer import Transducer
from model.translation.assemble import Translation
from model.translation.ensemble import check_same_task
from model.translator import WINDOW, Translator, windows
from model.vectors.frame_files import Frames, read_sequences

NAME = "dragoman-evaluate"

AT_ONCE = 256
"""Sequences of vectors whose outputs are held with their attention."""


@dataclass(frozen=True, kw_only=True, slots=True)
class System:
    """What is scored: outputs, one for each line, and where they are from."""

    outputs: list[str]
    figures: dict[str, object]
    task: str | None = None
    """None for a file, which does not tell."""
    language: str = UNKNOWN
    """That of the outputs."""
    path: Path | None = None
    """The checkpoint; None for a file."""
    mean_log_probs: tuple[float, ...] = ()
    """Of the outputs of a checkpoint."""


def sources_beside(
    path: Path | None, reference: Path, count: int, *, of_vectors: bool
) -> Sequence[object] | None:
    """Read the sources, one for each line of the reference: lines, or sequences of vectors.

    Raises:
        DataError: see `lines_beside` and `sequences_beside`.
    """
    if path is None:
        return None
    read = sequences_beside if of_vectors else lines_beside
    return read(path, reference, count)


def systems_of(
    arguments: argparse.Namespace,
    sources: Sequence[object] | None,
    reference: Path,
    count: int,
    *,
    of_vectors: bool,
) -> list[System]:
    """Get the outputs of what is scored, and then of what it is compared with, if anything.

    Files are read, and both models loaded and checked, before one of them translates.

    Args:
        sources: lines, or sequences of vectors if `of_vectors`.
    """
    against = arguments.against
    runs = {"RUN": arguments.run, "--against": against if is_run(against) else None}
    files = {"hypotheses": arguments.hypotheses, "file": None if is_run(against) else against}
    read = {
        name: System(outputs=lines_beside(path, reference, count), figures={name: str(path)})
        for name, path in files.items()
        if path is not None
    }
    models = {
        flag: load_model(NAME, argparse.Namespace(**{**vars(arguments), "run": run}))
        for flag, run in runs.items()
        if run is not None
    }
    _check_comparable(list(models.values()), arguments.lead is not None)
    translators = {
        flag: searcher(model, search_options(arguments, model.checkpoint.search))
        for flag, model in models.items()
    }
    unit, at_once = ("sequence", AT_ONCE) if of_vectors else ("line", WINDOW)
    translated = {
        flag: _translated(
            models[flag].checkpoint, one, arguments.source, sources or [], unit, at_once
        )
        for flag, one in translators.items()
    }
    lead = []
    if arguments.lead is not None:
        words = [" ".join(str(text).split()[: arguments.lead]) for text in sources or []]
        lead = [System(outputs=words, figures={"lead": arguments.lead}, task="summarize")]
    first = [translated.get("RUN"), read.get("hypotheses"), *lead]
    second = [translated.get("--against"), read.get("file")]
    return [system for system in (*first, *second) if system is not None]


def is_run(against: Path | None) -> bool:
    if against is None:
        return False
    place = in_box(against)
    return os.path.isdir(place) or place.suffix == SUFFIX or zipfile.is_zipfile(place)


def _check_comparable(models: list[LoadedModel], is_lead: bool) -> None:
    """Check that the outputs of what is compared are meant to be the same.

    Raises:
        ConfigError: they differ in task or languages.
    """
    if len(models) == 2:
        check_same_task(models[0].checkpoint, models[1].checkpoint)
    for model in models:
        if is_lead and model.checkpoint.profile.task != "summarize":
            raise ConfigError(
                f"{model.checkpoint.path}: it translates, but --lead is a summary. Compare it "
                "with a summarizer."
            )


def _translated(
    checkpoint: Checkpoint,
    translator: Translator | Transducer,
    path: Path,
    sources: Sequence[object],
    unit: str,
    at_once: int,
) -> System:
    """Translate `sources`, which are those of `path`, as dragoman-translate would."""
    search: Callable[..., list[Translation | RequestError]] = translator.search_each
    outputs: list[str] = []
    mean_log_probs: list[float] = []
    truncations = Truncations()
    with line_progress(NAME, len(sources)) as advance:
        for window in windows(sources, at_once):
            items = [(source, translator.options) for source in window]
            for translation in search(items, advance):
                if isinstance(translation, RequestError):
                    where = f"{path}, {unit} {len(outputs) + 1}"
                    raise DataError(f"{where}: {translation}") from translation
                outputs.append(one_line(translation.text))
                mean_log_probs.append(translation.hypotheses[0].mean_log_prob)
                truncations.look_at(len(outputs), translation)
    for line in truncations.describe(unit):
        print(f"{NAME}: {checkpoint.path}: {line}", file=sys.stderr)
    return System(
        outputs=outputs,
        figures={"checkpoint": str(checkpoint.path), "digest": checkpoint.digest},
        task=checkpoint.profile.task,
        language=checkpoint.profile.target_language,
        path=checkpoint.path,
        mean_log_probs=tuple(mean_log_probs),
    )


def read_some_lines(path: Path) -> list[str]:
    lines = list(read_lines(path))
    if not lines:
        raise DataError(f"{path}: has no lines. Give text to score.")
    return lines


def sequences_beside(path: Path, reference: Path, count: int) -> list[Frames]:
    """Read a file of vectors that must have as many sequences as the reference has lines.

    Raises:
        DataError: it has more or fewer, or cannot be read.
    """
    sequences = list(read_sequences(path, "source"))
    if len(sequences) != count:
        raise DataError(
            f"{path} has {len(sequences):,} sequences, but {reference} has {count:,} lines. Give "
            "files that belong together."
        )
    return sequences


def lines_beside(path: Path, reference: Path, count: int) -> list[str]:
    """Read a file that must have as many lines as the reference.

    Raises:
        DataError: it has more or fewer.
    """
    lines = read_some_lines(path)
    if len(lines) != count:
        raise DataError(
            f"{path} has {len(lines):,} lines, but {reference} has {count:,}. "
            "Give files whose lines belong together."
        )
    return lines
