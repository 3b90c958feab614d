"""`dragoman-distill`: training data in a teacher's words, by sequence-level distillation."""

if __name__ == "__main__":  # before the imports, which take seconds
    from training import commands

    commands.distill()

import argparse
import dataclasses
import importlib.metadata
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from model.cli.cluster import (
    add_cluster_arguments,
    refuse_cluster_flags,
    translate_on_cluster,
)
from model.cli.command import (
    OK,
    LoadedModel,
    add_ensemble_argument,
    add_model_arguments,
    add_search_arguments,
    add_shortlist_argument,
    command_parser,
    load_model,
    run_command,
    search_options,
)
from model.cli.paths import checkpoint_places, refuse_overwriting
from model.decoding.options import SearchOptions
from model.errors import ConfigError
from model.jobs.corpus_job import Files, translate_corpus
from model.jobs.formats import CorpusRecord, RecordFormat, one_line
from model.jobs.manifest import Manifest, adopt, load_manifest, manifest_path, part_size
from model.jobs.parts import Shard, folder_of, refuse_existing
from model.jobs.source import count_records, fingerprint
from model.translation.assemble import Translation
from model.translator import Translator
from training.data.parsing import tsv_fields
from training.data.readers import file_kind, tsv_columns
from training.losses.minimum_risk import RiskScore, score_named
from training.metrics.bleu_tokenization import CHOICES, BleuTokenization, bleu_tokenizer

NAME = "dragoman-distill"

DESCRIPTION = """\
Translate the sources of training data by a trained model, or an ensemble, and write each with its
translation as a line of TSV: `data.train: [{files: OUTPUT}]` trains a student on it (sequence-level
distillation, Kim & Rush 2016, section 3.2).

The input is read as `data.train` reads it: TSV if it is named so (.tsv, .tsv.gz, .tsv.zst), else
text, a sentence a line. The first line of TSV is a header if a column is asked for by a name; its
line of the output is blank.

With --nearest, a column of the TSV is the reference, and of all beam-size hypotheses the one most
like it is written: a translation that the teacher finds probable and that is nearly right
(sequence-level interpolation, section 3.3).

What is done is kept in OUTPUT.parts until all is done: after a kill, --resume goes on with it.

With --engine, input and output are folders of Parquet, and the output has all columns of the input
and further ones, of which `translation` is the target: see docs/scale-out.md.
"""

EXAMPLE = """\
examples:
  dragoman-distill runs/teacher --input train.de.gz --output distilled.tsv.gz
  dragoman-distill runs/a --ensemble runs/b --input train.tsv --nearest bleu --output distilled.tsv
  dragoman-distill runs/teacher --input talks.tsv --source-column de --output distilled.tsv
  dragoman-distill runs/teacher --engine ray --input crawl/ --output distilled/
"""


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    command = command_parser(NAME, DESCRIPTION, EXAMPLE)
    add_model_arguments(command)
    add_ensemble_argument(command)
    add_shortlist_argument(command)
    for name, text in (
        (
            "input",
            "text or TSV with the sources; decompressed if it ends in .gz or .zst (with --engine "
            "a folder)",
        ),
        ("output", "TSV of sources and translations; compressed if it ends in .gz or .zst"),
    ):
        command.add_argument(f"--{name}", metavar="FILE", type=Path, required=True, help=text)
    for side, text in (
        ("source", "left out: 1, with --engine text"),
        ("target", "with --nearest; left out: 2"),
    ):
        command.add_argument(
            f"--{side}-column",
            metavar="COLUMN",
            help=f"number of the TSV column, from 1, or its name in the header ({text})",
        )
    command.add_argument(
        "--nearest",
        choices=["bleu", "chrf"],
        help="write the hypothesis that is most like the target column by this score",
    )
    command.add_argument(
        "--tokenize",
        choices=CHOICES,
        help="how --nearest bleu cuts text into words (default: auto, as suits the language)",
    )
    command.add_argument(
        "--resume", action="store_true", help="go on with what an earlier run has done, if anything"
    )
    add_cluster_arguments(command)
    add_search_arguments(command)
    return command


def asked_columns(arguments: argparse.Namespace) -> list[str]:
    """Find the columns of TSV that are read, by number or name: of sources, and with --nearest of
    references; none of text.

    Raises:
        ConfigError: the input is neither TSV nor text, text and columns are asked for, or flags do
            not go together.
    """
    path, source, target = arguments.input, arguments.source_column, arguments.target_column
    if arguments.n_best not in (None, 1):
        raise ConfigError("--n-best: one translation of each source is written. Leave it out.")
    kind = file_kind(path)
    if kind in ("jsonl", "parquet"):
        raise ConfigError(f"--input {path}: text or TSV is read here, not .{kind}.")
    if target and not arguments.nearest:
        raise ConfigError("--target-column: it is read with --nearest only. Leave it out.")
    if arguments.tokenize and arguments.nearest != "bleu":
        raise ConfigError("--tokenize: it is for --nearest bleu only. Leave it out.")
    if kind == "tsv":
        return [source or "1", target or "2"] if arguments.nearest else [source or "1"]
    for flag in ("source_column", "target_column", "nearest"):
        if getattr(arguments, flag):
            raise ConfigError(
                f"--{flag.replace('_', '-')}: {path} is not named .tsv, so it is text without "
                "columns. Rename it, or leave the flag out."
            )
    return []


def pairs_form(
    options: SearchOptions,
    score: RiskScore | None,
    columns: Sequence[int] = (),
    has_header: bool = False,
) -> RecordFormat:
    """Turn a line into a pair of TSV: with the best hypothesis, or the nearest by `score`.

    `columns` are the places, from 0, of source and perhaps reference; none for a line of text.
    """

    def sides(number: int, line: str) -> list[str]:
        if not columns:
            return [line.replace("\t", " ")]
        if not line.strip() or (has_header and number == 1):
            return [""] * len(columns)
        return tsv_fields(line, columns)

    def parse(number: int, line: str) -> CorpusRecord:
        text, *references = sides(number, line)

        def pair(translation: Translation) -> str:
            found = [one_line(one.translation) for one in translation.hypotheses]
            if score is not None:
                # Of equal ones the best.
                found.sort(key=lambda one: -score(one, references[0]))
            return text + "\t" + found[0].replace("\t", " ")

        return CorpusRecord(text, options, pair)

    return RecordFormat(name="text", unit="line", parse=parse, blank=b"\t\n")


def distill(arguments: argparse.Namespace) -> None:
    """Write the data of the command line.

    Raises:
        ConfigError, DataError, CheckpointError: as their names say.
    """
    files = Files(source=arguments.input, output=arguments.output, quarantine=None)
    folder = folder_of(files.output)
    models = checkpoint_places("RUN", [arguments.run, *arguments.ensemble])
    refuse_overwriting(
        [("--input", files.source), *models],
        [("--output", files.output), ("the folder of parts", folder)],
    )
    files.check()
    asked = asked_columns(arguments)
    columns, has_header = tsv_columns(files.source, asked)
    if not arguments.resume:
        refuse_existing(folder)
    begun = load_manifest(manifest_path(folder))
    if begun is not None:
        adopt(begun, arguments, manifest_path(folder))
    model = load_model(NAME, arguments, arguments.ensemble)
    options = search_options(arguments, model.checkpoint.search)
    if arguments.nearest:
        if options.beam_size == 1:
            raise ConfigError("--nearest: beam_size is 1, so there is no choice. Raise it.")
        options = dataclasses.replace(options, n_best=options.beam_size)
    tokenize = nearest_tokenization(arguments.tokenize, model.checkpoint.profile.target_language)
    translator = Translator(
        model.network,
        model.checkpoint.tokenizer,
        options,
        device=model.device,
        dtype=model.dtype,
        profile=model.checkpoint.profile,
        shortlist=model.shortlist,
    )
    translate_corpus(
        translator.search_each,
        pairs_form(
            options,
            score_named(arguments.nearest, tokenize) if arguments.nearest else None,
            columns,
            has_header,
        ),
        files,
        job_manifest(files.source, model, options, asked, arguments.nearest, tokenize),
        shard=Shard(),
        resume=arguments.resume,
        name=NAME,
        say=lambda message: print(f"{NAME}: {message}", file=sys.stderr),
    )


def nearest_tokenization(asked: BleuTokenization | None, language: str) -> BleuTokenization:
    """Choose the tokenizer of --nearest bleu: the given one, or what suits the target language.

    If that is unknown, it is chosen for each reference by its letters: auto.
    """
    choice = asked or "auto"
    return bleu_tokenizer(choice, language, ()) if language else choice


def job_manifest(
    source: Path,
    model: LoadedModel,
    options: SearchOptions,
    columns: Sequence[str],
    nearest: str | None,
    tokenize: BleuTokenization,
) -> Manifest:
    """Collect what the output depends on. One field marks it as no job of dragoman-translate."""
    records = count_records(source, "text")
    field = "pairs" + (f" of columns {', '.join(columns)}" if columns else "")
    if nearest:
        field += f", nearest by {nearest}" + (f" of {tokenize}" if nearest == "bleu" else "")
    return Manifest(
        dragoman=importlib.metadata.version("dragoman"),
        model=model.checkpoint.digest,
        ensemble=tuple(other.digest for other in model.others),
        input=fingerprint(source),
        records=records,
        part_records=part_size(records),
        format="text",
        field=field,
        search=options,
        mbr=False,
        precision=model.precision,
        shortlist=model.shortlist is not None,
        device=model.device.type,
        threads=torch.get_num_threads(),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""

    def command() -> int:
        arguments = parser().parse_args(argv)
        if arguments.engine is not None:
            return translate_on_cluster(
                NAME,
                arguments,
                arguments.source_column or "text",
                refused=("nearest", "target_column", "tokenize", "n_best"),
                mbr=False,
            )
        refuse_cluster_flags(arguments)
        distill(arguments)
        return OK

    return run_command(NAME, command)
