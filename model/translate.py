"""dragoman-translate: translates each line of text into one line."""

if __name__ == "__main__":  # before the imports, which take seconds
    from model import commands

    commands.translate()

import argparse
import importlib.metadata
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

import torch

from model.checkpoint.checkpoint import holds_vectors, reads_vectors
from model.cli.cluster import refuse_cluster_flags, translate_on_cluster
from model.cli.command import (
    OK,
    STREAM,
    LoadedModel,
    load_model,
    open_output,
    run_command,
    search_options,
)
from model.cli.input_stream import is_stream, stream_windows
from model.cli.paths import Place, checkpoint_places, refuse_overwriting
from model.cli.searcher import searcher
from model.cli.translate_parser import NAME, translate_parser
from model.cli.translate_vectors import translate_vectors
from model.cli.translate_windows import translate_windows
from model.cli.vectors_to_lines import vectors_to_lines
from model.decoding.selftest import rows_are_independent
from model.errors import ConfigError
from model.io.compression import open_binary
from model.io.lines import atomic_output, decode_line
from model.io.progress import line_progress
from model.jobs.columns import check_columns, parse_columns, with_columns
from model.jobs.corpus_job import Files, translate_corpus
from model.jobs.formats import FormatName, RecordFormat, field_named, form_named, format_named
from model.jobs.manifest import Manifest, adopt, load_manifest, manifest_path, part_size
from model.jobs.parts import Shard, folder_of, parse_shard, refuse_existing
from model.jobs.source import count_records, fingerprint, raw_records
from model.jobs.truncation import Truncations
from model.jobs.window import RecordRefused, Search, Written, translate_window
from model.transducer import Transducer
from model.translation.mbr import candidate_options, chrf
from model.translator import WINDOW, Translator


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run_command(NAME, lambda: _translate(translate_parser().parse_intermixed_args(argv)))


def _translate(arguments: argparse.Namespace) -> int:
    inputs = _inputs(arguments)
    if arguments.engine is not None:
        return _translate_on_cluster(arguments, inputs)
    refuse_cluster_flags(arguments)
    if arguments.windows is not None:
        _refuse_overwriting(arguments, [])
        return translate_windows(NAME, arguments)
    if holds_vectors(arguments.run) or reads_vectors(arguments.run):
        _refuse_overwriting(arguments, inputs)
        to_vectors = holds_vectors(arguments.run)
        return (translate_vectors if to_vectors else vectors_to_lines)(NAME, arguments, inputs)
    arguments.print = parse_columns(arguments.print) if arguments.print is not None else ()
    form = _format(arguments, inputs)
    arguments.field = field_named(form, arguments.field)
    check_columns(arguments.print, form, arguments.n_best)
    if arguments.line_buffered and not is_stream(arguments.output):
        raise ConfigError(
            f"--line-buffered: {arguments.output} appears when it is complete. "
            "Leave out --line-buffered, or --output."
        )
    _refuse_overwriting(arguments, inputs)
    if len(inputs) > 1 or is_stream(inputs[0]) or is_stream(arguments.output):
        return _translate_stream(arguments, inputs, form)
    arguments.input = inputs[0]
    return _translate_file(arguments, form)


def _translate_on_cluster(arguments: argparse.Namespace, inputs: Sequence[str]) -> int:
    """Translate a folder by --engine.

    Raises:
        ConfigError: the flags do not go with it.
    """
    if arguments.files or is_stream(inputs[0]) or is_stream(arguments.output):
        raise ConfigError(
            f"--engine {arguments.engine}: it reads and writes folders. Give --input and --output."
        )
    if arguments.format not in (None, "parquet"):
        raise ConfigError(f"--format {arguments.format}: an engine reads Parquet. Leave it out.")
    field = field_named("parquet", arguments.field)
    assert field
    return translate_on_cluster(
        NAME,
        arguments,
        field,
        refused=("line_buffered", "n_best", "print", "quarantine", "shard", "windows"),
        mbr=arguments.mbr,
    )


def _inputs(arguments: argparse.Namespace) -> list[str]:
    """The names of what is to be translated: files in their order, or standard input.

    Raises:
        ConfigError: files are given in both ways.
    """
    files: list[str] = arguments.files
    if arguments.input is None:
        return files or [STREAM]
    if files:
        raise ConfigError(
            f"--input {arguments.input}: {files[0]} is given after RUN, too. Give all files there."
        )
    return [arguments.input]


def _format(arguments: argparse.Namespace, inputs: Sequence[str]) -> FormatName:
    """The format that all inputs have.

    Raises:
        ConfigError: they have several, or headers of their own, or one disagrees with the output.
    """
    form = format_named(arguments.format, inputs[0], arguments.output)
    for name in inputs[1:]:
        if (other := format_named(arguments.format, name, arguments.output)) != form:
            raise ConfigError(
                f"{name}: is read as {other}, but {inputs[0]} as {form}. Add --format, or "
                "translate them one by one."
            )
    if len(inputs) > 1 and form == "tsv" and not (arguments.field or "1").isdecimal():
        raise ConfigError(
            f"--field {arguments.field}: several files would have several headers. Translate them "
            "one by one, or give the number of the column if they have none."
        )
    return form


def _refuse_overwriting(arguments: argparse.Namespace, inputs: Sequence[str]) -> None:
    output = arguments.output
    flag = "FILE" if arguments.files else "--input"
    reads: list[Place] = [("--windows", arguments.windows), *((flag, name) for name in inputs)]
    writes: list[Place] = [("--output", output), ("--quarantine", arguments.quarantine)]
    if output != STREAM:
        writes.append(("the folder of parts", folder_of(Path(output))))
    refuse_overwriting(
        reads + checkpoint_places("RUN", [arguments.run, *arguments.ensemble]), writes
    )


def _translator(arguments: argparse.Namespace) -> tuple[LoadedModel, Translator | Transducer]:
    """Load the model, and what searches with it.

    Raises:
        ConfigError: --mbr is given, but the model is one of symbols.
    """
    model = load_model(NAME, arguments, arguments.ensemble)
    if arguments.mbr and not model.checkpoint.is_text:
        raise ConfigError("--mbr: it compares words, but the model has symbols. Leave it out.")
    translator = searcher(model, search_options(arguments, model.checkpoint.search))
    if model.device.type == "cpu" and not rows_are_independent(model.network, model.dtype):
        _say("on this machine the last bits of a score depend on neighbouring lines")
    return model, translator


def _search(arguments: argparse.Namespace, translator: Translator | Transducer) -> Search:
    """The function that translates the texts of a window.

    Raises:
        RequestError: --mbr is given, but the search options leave only one candidate.
    """
    if not arguments.mbr or isinstance(translator, Transducer):
        return translator.search_each
    candidate_options(translator.options)
    return partial(translator.search_each, utility=chrf())


def _form(
    arguments: argparse.Namespace,
    name: FormatName,
    translator: Translator | Transducer,
    first_line: Callable[[], str],
) -> RecordFormat:
    """How records are read and written; see `form_named`."""
    form = form_named(name, arguments.field, translator.options, translator.check, first_line)
    return with_columns(form, arguments.print)


def _translate_stream(
    arguments: argparse.Namespace, inputs: Sequence[str], form_name: FormatName
) -> int:
    """Translate window by window; nothing is kept for another run."""
    for flag, given in (("--shard", arguments.shard), ("--resume", arguments.resume)):
        if given:
            raise ConfigError(
                f"{flag}: only a job from one file to another has parts. Give --input and --output."
            )
    if form_name == "parquet":
        raise ConfigError("parquet: cannot be a stream. Give --input and --output.")
    _, translator = _translator(arguments)
    search = _search(arguments, translator)
    windows = stream_windows(inputs, 1 if arguments.line_buffered else WINDOW)

    def first_line() -> str:
        nonlocal windows
        first = list(islice(windows, 1))
        windows = chain(first, windows)
        return decode_line(first[0].raws[0] if first else b"")

    form = _form(arguments, form_name, translator, first_line)
    total = _total(inputs, form_name)
    number, truncations = 1, Truncations()
    with (
        open_output(arguments.output) as output,
        _quarantine(arguments.quarantine) as aside,
        line_progress(NAME, total, to_file=arguments.output != STREAM) as advance,
    ):
        for window in windows:
            written, refused = _until_refused(
                partial(
                    translate_window,
                    search,
                    form,
                    first=number,
                    name=window.name,
                    before=window.before,
                    quarantine=aside is not None,
                    advance=advance,
                ),
                window.raws,
            )
            number += len(window.raws)
            output.write(written.lines)
            output.flush()
            if aside is not None:
                aside.write(written.quarantine)
            truncations.add(written.truncations)
            if refused is not None:
                raise refused
    for line in truncations.describe(form.unit):
        _say(line)
    return OK


def _until_refused(
    translate: Callable[[Sequence[bytes]], Written], raws: Sequence[bytes]
) -> tuple[Written, RecordRefused | None]:
    """The results of a window, or of what stands before its first refused record, and the refusal.

    What stands before it has been read from the stream and cannot be asked for again.
    """
    try:
        return translate(raws), None
    except RecordRefused as error:
        written, earlier = _until_refused(translate, raws[: error.index])
        return written, earlier or error


@contextmanager
def _quarantine(name: str | None) -> Iterator[BinaryIO | None]:
    """The file for lines that are set aside; None if none was asked for."""
    if name is None:
        yield None
        return
    with atomic_output(Path(name)) as output:
        yield output


def _translate_file(arguments: argparse.Namespace, form_name: FormatName) -> int:
    """Translate in parts that another run, or other shards, can add to."""
    shard = parse_shard(arguments.shard) if arguments.shard else Shard()
    source, output = Path(arguments.input), Path(arguments.output)
    quarantine = Path(arguments.quarantine) if arguments.quarantine else None
    files = Files(source=source, output=output, quarantine=quarantine)
    files.check()
    folder = folder_of(output)
    if shard.count == 1 and not arguments.resume:
        refuse_existing(folder)
    begun = load_manifest(manifest_path(folder))
    if begun is not None:
        adopt(begun, arguments, manifest_path(folder))
    model, translator = _translator(arguments)
    search = _search(arguments, translator)
    form = _form(
        arguments,
        form_name,
        translator,
        lambda: decode_line(next(raw_records(source, form_name, None), None) or b""),
    )
    manifest = _manifest(arguments, form_name, model, translator)
    if begun is None and load_manifest(manifest_path(folder)) not in (None, manifest):
        # Another shard has begun the job meanwhile, and may have chosen another precision.
        return _translate_file(arguments, form_name)
    translate_corpus(
        search,
        form,
        files,
        manifest,
        shard=shard,
        resume=arguments.resume,
        name=NAME,
        say=_say,
    )
    return OK


def _total(inputs: Sequence[str], form: FormatName) -> int | None:
    """Count the records of all inputs; None if one is a stream.

    Raises:
        DataError: a file cannot be read, which is said before work is done for another.
    """
    files = [Path(name) for name in inputs if not is_stream(name)]
    if len(files) == len(inputs):
        return sum(count_records(file, form) for file in files)
    for file in files:
        open_binary(file).close()
    return None


def _manifest(
    arguments: argparse.Namespace,
    form_name: FormatName,
    model: LoadedModel,
    translator: Translator | Transducer,
) -> Manifest:
    """Everything that the output of this run depends on."""
    source = Path(arguments.input)
    records = count_records(source, form_name)
    return Manifest(
        dragoman=importlib.metadata.version("dragoman"),
        model=model.checkpoint.digest,
        ensemble=tuple(other.digest for other in model.others),
        input=fingerprint(source),
        records=records,
        part_records=part_size(records),
        format=form_name,
        field=arguments.field,
        columns=arguments.print,
        search=translator.options,
        mbr=arguments.mbr,
        precision=model.precision,
        shortlist=model.shortlist is not None,
        device=model.device.type,
        threads=torch.get_num_threads(),
    )


def _say(message: str) -> None:
    print(f"{NAME}: {message}", file=sys.stderr)
