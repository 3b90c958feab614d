"""Cluster: the flags of a command that may hand its work to Ray or Spark, and the job itself."""

import argparse
import importlib.metadata
import sys
from collections.abc import Sequence
from pathlib import Path

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.cli.command import OK, is_given, positive, search_options
from model.cli.paths import checkpoint_places, refuse_overwriting
from model.config import to_dict
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import precision_of, resolve_device, resolve_precision
from model.errors import ConfigError
from model.jobs.batch import BatchTranslator
from model.jobs.folder import FolderCorpus, read_folder
from model.jobs.folder_job import Engine, check_output, translate_folder
from model.jobs.manifest import Manifest, adopt, load_manifest, manifest_path
from model.jobs.parts import folder_of, refuse_existing
from model.jobs.ray_engine import RayEngine
from model.jobs.spark_engine import SparkEngine
from model.translation.ensemble import network_of

ENGINES = ("ray", "spark")


def add_cluster_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --engine and what belongs to it."""
    group = parser.add_argument_group(
        "on many machines",
        "Folders of Parquet files, by Ray or Spark; see docs/scale-out.md.",
    )
    group.add_argument(
        "--engine",
        choices=ENGINES,
        help="translate a folder: --input and --output are folders of Parquet, --resume goes on",
    )
    group.add_argument(
        "--address",
        help="of a running cluster: for Ray such as auto, for Spark a master (default: what the "
        "engine's environment says, else this machine)",
    )
    group.add_argument(
        "--id",
        metavar="COLUMN",
        help="the column of the input that tells its rows apart (default: id)",
    )
    group.add_argument(
        "--workers",
        metavar="N",
        type=positive,
        help="processes that translate (default: as many as there is room for; on a cluster of "
        "Spark its executors)",
    )
    group.add_argument(
        "--num-gpus",
        metavar="X",
        type=float,
        help="GPUs of each worker, with Ray; 0.5 lets two share one (default: 0)",
    )


CLUSTER_FLAGS = ("address", "id", "workers", "num_gpus")


def refuse_cluster_flags(arguments: argparse.Namespace) -> None:
    """Check that nothing is asked of an engine where there is none.

    Raises:
        ConfigError: something is.
    """
    for flag in CLUSTER_FLAGS:
        if getattr(arguments, flag) is not None:
            raise ConfigError(f"--{flag.replace('_', '-')}: is for --engine ray or spark. Add it.")


def translate_on_cluster(
    name: str,
    arguments: argparse.Namespace,
    field: str,
    *,
    refused: Sequence[str],
    mbr: bool,
) -> int:
    """Translate the folder --input into the folder --output by --engine.

    Args:
        name: of the command.
        field: the column with the text.
        refused: attributes of `arguments` that an engine has no use for.

    Raises:
        DragomanError: something that was given cannot be used, here or on another machine.
    """
    for flag in refused:
        if is_given(getattr(arguments, flag)):
            raise ConfigError(
                f"--{flag.replace('_', '-')}: is for a job on one machine. Leave it out, or "
                "--engine."
            )
    source, output = Path(arguments.input).absolute(), Path(arguments.output).absolute()
    folder = folder_of(output)
    _check_folders(arguments, source, output, folder)
    begun = load_manifest(manifest_path(folder))
    arguments.device = _device(arguments)
    if begun is not None:
        adopt(begun, arguments, manifest_path(folder))
    arguments.threads = arguments.threads or 1
    engine = _engine(arguments)
    corpus = read_folder(source, field, arguments.id or "id")
    checkpoints = [load_checkpoint(path) for path in (arguments.run, *arguments.ensemble)]
    options = search_options(arguments, checkpoints[0].search)
    arguments.precision = _precision(arguments, checkpoints)
    translator = _translator(arguments, field, checkpoints, options, mbr)
    if arguments.device == "cpu":
        translator.outcomes([])  # what can be refused is refused here
    translate_folder(
        translator,
        corpus,
        output,
        _manifest(arguments, field, corpus, checkpoints, options, mbr),
        engine,
        resume=arguments.resume,
        name=name,
        say=lambda message: print(f"{name}: {message}", file=sys.stderr),
    )
    return OK


def _engine(arguments: argparse.Namespace) -> Engine:
    """What --engine names; an extra that is not installed is told before anything else."""
    if arguments.engine == "spark":
        if arguments.num_gpus is not None:
            raise ConfigError("--num-gpus: is for Ray. Leave it out, or use --engine ray.")
        return SparkEngine(
            address=arguments.address, workers=arguments.workers, threads=arguments.threads
        )
    if (arguments.num_gpus or 0) < 0:
        raise ConfigError(f"--num-gpus: {arguments.num_gpus} is too small. Use 0 or more.")
    return RayEngine(
        address=arguments.address,
        workers=arguments.workers,
        threads=arguments.threads,
        gpus=arguments.num_gpus or 0,
    )


def _check_folders(arguments: argparse.Namespace, source: Path, output: Path, folder: Path) -> None:
    refuse_overwriting(
        [("--input", source), *checkpoint_places("RUN", [arguments.run, *arguments.ensemble])],
        [("--output", output), ("the folder of parts", folder)],
    )
    if source in output.parents:
        raise ConfigError(f"--output {output}: is within --input. Give a folder beside it.")
    check_output(output, resume=arguments.resume)
    if not arguments.resume:
        refuse_existing(folder)


def _device(arguments: argparse.Namespace) -> str:
    """The kind of device of a worker, which its scheduler gives it.

    Raises:
        ConfigError: --device contradicts --num-gpus.
    """
    kind = "cuda" if arguments.num_gpus else "cpu"
    if arguments.device not in ("auto", kind):
        raise ConfigError(
            f"--device {arguments.device}: a worker has {kind}, by --num-gpus. Leave --device out, "
            "or change --num-gpus."
        )
    return kind


def _precision(arguments: argparse.Namespace, checkpoints: Sequence[Checkpoint]) -> str:
    """The precision of all workers: `auto` is decided here, and is always bf16 on GPUs."""
    if arguments.device == "cuda":
        return "bf16" if arguments.precision == "auto" else str(arguments.precision)
    network = network_of(checkpoints)
    dtype = resolve_precision(arguments.precision, resolve_device("cpu"), network)
    return precision_of(dtype)


def _translator(
    arguments: argparse.Namespace,
    field: str,
    checkpoints: Sequence[Checkpoint],
    options: SearchOptions,
    mbr: bool,
) -> BatchTranslator:
    return BatchTranslator(
        [arguments.run, *arguments.ensemble],
        field=field,
        options=to_dict(options),
        mbr=mbr,
        device=arguments.device,
        precision=arguments.precision,
        threads=arguments.threads,
        shortlist=arguments.shortlist,
        digests=[checkpoint.digest for checkpoint in checkpoints],
    )


def _manifest(
    arguments: argparse.Namespace,
    field: str,
    corpus: FolderCorpus,
    checkpoints: Sequence[Checkpoint],
    options: SearchOptions,
    mbr: bool,
) -> Manifest:
    """As that of a job on one machine, whose input would be one file."""
    first, *others = checkpoints
    return Manifest(
        dragoman=importlib.metadata.version("dragoman"),
        model=first.digest,
        ensemble=tuple(other.digest for other in others),
        input=corpus.digest,
        records=corpus.records,
        part_records=corpus.part_records,
        format="parquet",
        field=field,
        search=options,
        mbr=mbr,
        precision=arguments.precision,
        shortlist=arguments.shortlist,
        device=arguments.device,
        threads=arguments.threads,
    )
