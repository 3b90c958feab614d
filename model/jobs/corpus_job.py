"""Corpus job: translates a file part by part, by one process or several, and survives kills."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from model.errors import ConfigError, DataError
from model.io.compression import open_binary
from model.io.lines import atomic_output
from model.io.progress import line_progress
from model.jobs.formats import RecordFormat
from model.jobs.manifest import Manifest, check_same, load_manifest, manifest_path
from model.jobs.parquet import write_translated
from model.jobs.parts import Parts, Shard, claim, folder_of, has_parts
from model.jobs.source import raw_records
from model.jobs.window import Search, translate_window
from model.translator import windows


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """The files of a job."""

    source: Path
    output: Path
    quarantine: Path | None
    """Where records that cannot be translated go; None if such a record ends the job."""

    def check(self) -> None:
        """Find problems now that would otherwise appear after hours.

        Raises:
            DataError: the input cannot be read or an output not be written.
        """
        open_binary(self.source).close()
        for path in filter(None, (self.output, self.quarantine)):
            if path.is_dir():
                raise DataError(f"{path}: is a directory. Give a file name.")
            if not os.access(os.path.dirname(os.path.realpath(path)), os.W_OK):
                raise DataError(
                    f"{path}: cannot be written. Give a name in an existing directory that you may "
                    "write to."
                )


def translate_corpus(
    search: Search,
    form: RecordFormat,
    files: Files,
    manifest: Manifest,
    *,
    shard: Shard,
    resume: bool,
    name: str,
    say: Callable[[str], None],
) -> None:
    """Make the missing parts of a shard, and join all parts once they exist.

    Args:
        search: translates a window.
        manifest: everything that the parts of this process depend on.
        shard: the parts of this process; 1/1 is all of them.
        resume: go on with the parts of an earlier run, if there are any.
        name: name of the command, for progress messages.
        say: prints a line of information.

    Raises:
        DataError: a record cannot be translated, a file cannot be read or written, or the folder of
            the parts is in use, or has parts and `resume` is false.
        ConfigError: the existing parts were made differently, or records were set aside without a
            file for them.
    """
    if not shard.has_work(manifest.parts):
        _look_on(files, manifest, shard, say)
        return
    with (
        claim(folder_of(files.output), manifest, shard, resume=resume) as parts,
        resume_hint(parts.folder, say),
    ):
        own = [part for part in range(len(parts)) if shard.owns(part)]
        missing = [part for part in own if not parts.is_done(part)]
        if len(missing) < len(own):
            say(f"going on: {len(own) - len(missing)} of {len(own)} parts are done")
        total = sum(map(parts.size, missing))
        with line_progress(name, total, to_file=True) as advance:
            _make(search, form, files, parts, missing, advance)
        if parts.last_one():
            _join(form, files, parts, say)
        else:
            say(
                f"shard {shard} is done; {files.output} is written by the shard that is done last "
                f"(the parts are in {parts.folder})"
            )


def _look_on(files: Files, manifest: Manifest, shard: Shard, say: Callable[[str], None]) -> None:
    """Check a shard that owns no part of a small input, without leaving a trace.

    The others may have finished before it began: a folder of its own would be taken for a job.

    Raises:
        ConfigError: it belongs to another job than the one in progress.
    """
    path = manifest_path(folder_of(files.output))
    if (begun := load_manifest(path)) is not None:
        check_same(begun, manifest, path)
    say(
        f"shard {shard} has nothing to do: {files.source} has {manifest.parts} part(s), which the "
        "shards before it do"
    )


def _make(
    search: Search,
    form: RecordFormat,
    files: Files,
    parts: Parts,
    missing: list[int],
    advance: Callable[[int], None],
) -> None:
    """Translate the missing parts."""
    size = parts.manifest.part_records
    todo = set(missing)
    raws = raw_records(files.source, form.name, parts.manifest.field)
    for part, window in enumerate(windows(raws, size)):
        if not todo:
            return
        if part not in todo:
            continue
        written = translate_window(
            search,
            form,
            window,
            first=part * size + 1,
            name=str(files.source),
            quarantine=files.quarantine is not None,
            advance=advance,
        )
        parts.write(part, written)
        todo.remove(part)


def _join(form: RecordFormat, files: Files, parts: Parts, say: Callable[[str], None]) -> None:
    """Join all parts into the output, and write the file of records that were set aside."""
    for line in parts.truncations().describe(form.unit):
        say(line)
    aside = sum(1 for _ in parts.quarantined())
    if aside and files.quarantine is None:
        raise ConfigError(
            f"{parts.folder}: all parts are done, but {aside} {form.unit}(s) were set aside. Name "
            "a file for them by --quarantine, with --resume."
        )
    if files.quarantine is not None:
        with atomic_output(files.quarantine) as output:
            output.writelines(parts.quarantined())
        say(f"{aside} {form.unit}(s) set aside in {files.quarantine}")
    if form.name == "parquet":
        translations: Iterator[str | None] = map(json.loads, parts.lines())
        parts.publish(files.output, partial(write_translated, files.source, translations))
    else:
        parts.publish(files.output, parts.copy_to)


@contextmanager
def resume_hint(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Say how to resume if the block is interrupted."""
    try:
        yield
    except BaseException:
        if has_parts(folder):
            say(f"what is done is in {folder}: the same command with --resume goes on")
        raise
