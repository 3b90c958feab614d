"""A job over a folder: killed, resumed and retried, by an engine that is a loop in this process."""

import json
import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from model.decoding.options import SearchOptions
from model.errors import ConfigError, DataError
from model.jobs.batch import BatchTranslator
from model.jobs.folder import FolderCorpus, FolderPart, read_folder
from model.jobs.folder_job import Engine, Report, check_output, translate_folder
from model.jobs.manifest import Manifest
from model.jobs.part_writer import PART, PartWriter
from tests.model.jobs.folders import (
    check_empty_output,
    sorted_rows,
    write_empty_folder,
    write_folder,
)

CPU: dict[str, Any] = {"device": "cpu", "precision": "fp32"}


class Lost(Exception):
    """What takes a machine away."""


def loop(writer: PartWriter, parts: Sequence[FolderPart]) -> Generator[Report, None, None]:
    """An engine of one process, which does the parts in an order of its own."""
    for part in random.Random(2).sample(parts, len(parts)):
        yield writer({PART: part.to_json()})


def loop_until(count: int) -> Engine:
    """The same, but it is lost after some parts, and in the middle of another."""

    def engine(writer: PartWriter, parts: Sequence[FolderPart]) -> Generator[Report, None, None]:
        for number, report in enumerate(loop(writer, parts)):
            if number == count:
                writer.path(parts[int(report["number"])]).unlink()  # as if it were not written
                raise Lost
            yield report

    return engine


@pytest.fixture
def corpus(tmp_path: Path, texts: list[str]) -> FolderCorpus:
    write_folder(tmp_path / "in", texts, files=3)
    return read_folder(tmp_path / "in", "text", "id")


@pytest.fixture
def job(corpus: FolderCorpus, tmp_path: Path, tiny_checkpoint: Path) -> Callable[..., list[str]]:
    """Runs the job, and returns what it says."""

    def run(
        engine: Engine = loop,
        *,
        corpus: FolderCorpus = corpus,
        resume: bool = False,
        **changes: Any,
    ) -> list[str]:
        manifest = Manifest(
            dragoman="1",
            model="m",
            ensemble=(),
            input=corpus.digest,
            records=corpus.records,
            part_records=corpus.part_records,
            format="parquet",
            field="text",
            search=SearchOptions(),
            mbr=False,
            precision="fp32",
            shortlist=False,
            device="cpu",
            threads=1,
        )
        said: list[str] = []
        translate_folder(
            BatchTranslator(tiny_checkpoint, **CPU),
            corpus,
            tmp_path / "out",
            replace(manifest, **changes),
            engine,
            resume=resume,
            name="test",
            say=said.append,
        )
        return said

    return run


@pytest.fixture
def expected(tmp_path: Path, corpus: FolderCorpus, translations: list[str]) -> dict[int, str]:
    """The translation for each id."""
    files = sorted((tmp_path / "in").iterdir())
    ids = [one for file in files for one in pyarrow.parquet.read_table(file)["id"].to_pylist()]
    return dict(zip(ids, translations, strict=True))


def check(output: Path, expected: dict[int, str]) -> None:
    rows = sorted_rows(output)
    assert [row["id"] for row in rows] == sorted(expected)
    assert {row["id"]: row["translation"].replace("\n", " ") for row in rows} == expected
    assert all(row["error"] is None and row["tag"] == f"t{row['id'] % 5}" for row in rows)


def test_the_output_appears_when_all_is_done(
    job: Callable[..., list[str]], tmp_path: Path, expected: dict[int, str]
) -> None:
    (tmp_path / "out").mkdir()  # an empty folder is as good as none
    said = job()
    check(tmp_path / "out", expected)
    truncated = sum(row["truncated"] for row in sorted_rows(tmp_path / "out"))
    assert said == [f"{truncated:,} rows truncated: see the column truncated"]
    assert not (tmp_path / "out.parts").exists()
    told = json.loads((tmp_path / "out" / "_manifest.json").read_text())
    assert (told["records"], told["format"], told["precision"]) == (2500, "parquet", "fp32")
    assert job(resume=True) == [f"{tmp_path / 'out'} is done already"]
    with pytest.raises(ConfigError, match="begun with precision fp32, not int8"):
        job(resume=True, precision="int8")


def test_a_folder_without_rows_gives_one(job: Callable[..., list[str]], tmp_path: Path) -> None:
    write_empty_folder(tmp_path / "none")
    corpus = read_folder(tmp_path / "none", "text", "id")
    with pytest.raises(Lost):
        job(loop_until(0), corpus=corpus)
    job(corpus=corpus, resume=True)
    check_empty_output(tmp_path / "out")
    assert job(corpus=corpus, resume=True) == [f"{tmp_path / 'out'} is done already"]


def test_a_job_that_is_lost_goes_on(
    job: Callable[..., list[str]], tmp_path: Path, expected: dict[int, str]
) -> None:
    folder = tmp_path / "out.parts"
    with pytest.raises(Lost):
        job(loop_until(1))
    assert not (tmp_path / "out").exists()
    (folder / ".dragoman-0123.tmp").write_bytes(b"half a part")
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}
    assert len(before) == 1
    with pytest.raises(DataError, match="parts of an earlier run"):
        job()
    with pytest.raises(ConfigError, match="begun with precision"):
        job(resume=True, precision="int8")
    said = job(resume=True)
    assert said[0] == "going on: 1 of 3 parts are done"
    assert said[-1].startswith("1,024 rows begun more than once") or said[-1].startswith(
        "452 rows begun more than once"
    )
    check(tmp_path / "out", expected)
    (done,) = before
    assert (tmp_path / "out" / done.name).stat().st_mtime_ns == before[done]


def test_a_part_with_other_ids_is_done_again(
    job: Callable[..., list[str]], tmp_path: Path, expected: dict[int, str], corpus: FolderCorpus
) -> None:
    with pytest.raises(Lost):
        job(loop_until(2))
    first, second = sorted((tmp_path / "out.parts").glob("*.parquet"))
    first.write_bytes(second.read_bytes())
    assert job(resume=True)[0] == "going on: 1 of 3 parts are done"
    check(tmp_path / "out", expected)


def test_a_part_that_is_called_twice_is_made_once(
    job: Callable[..., list[str]], tmp_path: Path, expected: dict[int, str]
) -> None:
    """As by an engine that has a slow task done by two machines."""

    def twice(writer: PartWriter, parts: Sequence[FolderPart]) -> Generator[Report, None, None]:
        yield from loop(writer, [*parts, *parts])

    assert not any("more than once" in line for line in job(twice))
    check(tmp_path / "out", expected)


def test_what_a_machine_says_ends_the_job_in_one_line(
    job: Callable[..., list[str]], tmp_path: Path
) -> None:
    def elsewhere(writer: PartWriter, parts: Sequence[FolderPart]) -> Generator[Report, None, None]:
        away = BatchTranslator(tmp_path / "not-here", **CPU)
        yield from loop(PartWriter(away, writer.folder, "key"), parts)

    with pytest.raises(DataError) as refused:
        job(elsewhere)
    message = str(refused.value)
    assert "not-here" in message
    assert message.endswith("the model, the input and the output under the same paths.")
    assert "\n" not in message
    assert not (tmp_path / "out.parts").exists(), "nothing was done"


def test_an_engine_that_ends_early_is_told(job: Callable[..., list[str]]) -> None:
    def lazy(writer: PartWriter, parts: Sequence[FolderPart]) -> Generator[Report, None, None]:
        yield from loop(writer, parts[:1])

    with pytest.raises(ConfigError, match="without 2 parts"):
        job(lazy)


def test_an_output_that_is_taken_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is not empty"):
        check_output(tmp_path, resume=False)
    with pytest.raises(DataError, match="is not empty"):
        check_output(tmp_path, resume=True)
    with pytest.raises(DataError, match="is a file"):
        check_output(tmp_path / "file", resume=False)
    check_output(tmp_path / "new", resume=False)
