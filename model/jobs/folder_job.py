"""Folder job: the translation of a folder by an engine of many machines, which survives kills.

    OUTPUT.parts/manifest.json              as in a job from file to file
    OUTPUT.parts/00000012-1f3a5c7e.parquet  the rows of part 12, with columns of translations
    OUTPUT.parts/00000012.attempts          a byte for each time that it was begun

When all parts are there, the folder gets the name OUTPUT.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from model.errors import ConfigError, DataError
from model.io.lines import sync_directory
from model.io.progress import line_progress
from model.jobs.batch import BatchTranslator
from model.jobs.corpus_job import resume_hint
from model.jobs.folder import FolderCorpus, FolderPart
from model.jobs.manifest import Manifest, check_same, load_manifest, manifest_path
from model.jobs.part_writer import PartCounts, PartWriter
from model.jobs.parts import Shard, claim, folder_of, remove_lock

Report = dict[str, int | str]
Engine = Callable[[PartWriter, Sequence[FolderPart]], Generator[Report, None, None]]
"""Has the writer called with each part, somewhere, and gives what it returned, in any order."""

FINISHED_MANIFEST = "_manifest.json"
"""In the output: names that begin so are no data to Arrow, Ray and Spark."""


def check_output(output: Path, *, resume: bool) -> None:
    """Check that a folder may become the output.

    Raises:
        DataError: it is a file or has something in it.
    """
    if resume and (output / FINISHED_MANIFEST).exists():
        return  # it may be done already
    if output.exists() and not output.is_dir():
        raise DataError(f"{output}: is a file. Give a folder that is new or empty.")
    if output.exists() and any(output.iterdir()):
        raise DataError(f"{output}: is not empty. Give a folder that is new or empty.")


def translate_folder(
    translator: BatchTranslator,
    corpus: FolderCorpus,
    output: Path,
    manifest: Manifest,
    engine: Engine,
    *,
    resume: bool,
    name: str,
    say: Callable[[str], None],
) -> None:
    """Make the missing parts, and the output of all parts.

    Args:
        translator: picklable; every machine must see its model.
        output: a folder that every machine sees under the same path.
        name: name of the command, for progress messages.
        say: prints a line of information.

    Raises:
        DataError: a file cannot be read or written, the folder of the parts is in use, or has parts
            and `resume` is false; or what a machine said of that or of the model.
        ConfigError: the existing parts were made differently.
    """
    finished = load_manifest(output / FINISHED_MANIFEST)
    if finished is not None:
        check_same(finished, manifest, output / FINISHED_MANIFEST)
        say(f"{output} is done already")
        return
    folder = folder_of(output)
    with claim(folder, manifest, Shard(), resume=resume) as parts, resume_hint(folder, say):
        writer = PartWriter(translator, parts.folder, manifest.key())
        missing = [part for part in corpus.parts if writer.done(part) is None]
        if len(missing) < len(corpus.parts):
            done = len(corpus.parts) - len(missing)
            say(f"going on: {done} of {len(corpus.parts)} parts are done")
        with line_progress(name, sum(map(len, missing)), to_file=True) as advance:
            _run(engine, writer, missing, advance)
        for line in _told(writer, corpus.parts):
            say(line)
        _publish(parts.folder, output)


def _run(
    engine: Engine,
    writer: PartWriter,
    missing: Sequence[FolderPart],
    advance: Callable[[int], None],
) -> None:
    if not missing:
        return
    todo = {part.number for part in missing}
    with closing(engine(writer, missing)) as reports:  # an error here ends the job there
        for report in reports:
            if report["error"]:
                raise DataError(
                    f"{report['error']} Every machine must see the model, the input and the "
                    "output under the same paths."
                )
            if report["number"] in todo:
                todo.remove(int(report["number"]))
                advance(int(report["rows"]))
    if todo:
        raise ConfigError(f"the engine ended without {len(todo)} parts. Go on with --resume.")


def _told(writer: PartWriter, parts: Sequence[FolderPart]) -> Iterator[str]:
    """Sentences on what is not as in a run without mishaps."""
    counts = [told for part in parts if (told := writer.done(part))]
    twice = sum((max(writer.attempts(part), 1) - 1) * len(part) for part in parts)
    for count, what in (
        (_sum(counts, "set_aside"), "set aside: the column error says why"),
        (_sum(counts, "truncated"), "truncated: see the column truncated"),
        (twice, "begun more than once, since a process that had begun them was lost"),
    ):
        if count:
            yield f"{count:,} row{'s' if count > 1 else ''} {what}"


def _sum(counts: Sequence[PartCounts], name: str) -> int:
    return sum(int(getattr(one, name)) for one in counts)


def _publish(folder: Path, output: Path) -> None:
    """Give the folder of the parts the name of the output; a kill leaves either to go on with."""
    for pattern in ("*.attempts", ".dragoman-*.tmp"):  # and what killed processes have begun
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
    manifest_path(folder).rename(folder / FINISHED_MANIFEST)
    remove_lock(folder)
    target = folder.with_name(folder.name.removesuffix(".parts"))  # what a link leads to
    sync_directory(folder)
    folder.rename(target)
    sync_directory(target.parent)
