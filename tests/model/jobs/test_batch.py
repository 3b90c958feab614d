"""The class that engines call: its columns against those of the command, in any process."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import torch

import dragoman
from model.errors import ConfigError, DataError, DragomanError
from model.jobs.batch import ADDED, BatchTranslator, _loaded

pandas = pytest.importorskip("pandas")

CPU: dict[str, Any] = {"device": "cpu", "precision": "fp32"}


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """A translator sets the threads of its process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def table(texts: list[str]) -> pyarrow.Table:
    """The texts, but for one that is missing, with two other columns."""
    rows: list[str | None] = [*texts[:300], None]
    numbers = range(len(rows))
    return pyarrow.table({"id": numbers, "text": rows, "tags": [["a"] * (i % 3) for i in numbers]})


@pytest.fixture
def translator(tiny_checkpoint: Path) -> BatchTranslator:
    return BatchTranslator(tiny_checkpoint, **CPU)


def test_columns_are_those_of_the_command(
    table: pyarrow.Table,
    translator: BatchTranslator,
    command: Callable[..., Any],
    tmp_path: Path,
) -> None:
    found = translator(table)
    assert found.column_names == [*table.column_names, *ADDED]
    assert found.select(table.column_names).equals(table)
    pyarrow.parquet.write_table(table, tmp_path / "in.parquet")
    lines = [json.dumps({"text": text}) for text in table["text"].to_pylist() if text is not None]
    (tmp_path / "in.jsonl").write_text("".join(f"{line}\n" for line in lines))
    for kind in ("parquet", "jsonl"):
        status = command("--input", tmp_path / f"in.{kind}", "--output", tmp_path / f"out.{kind}")
        assert status.status == 0
    expected = pyarrow.parquet.read_table(tmp_path / "out.parquet")["translation"]
    assert found["translation"].to_pylist() == expected.to_pylist()
    told = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    for name in ("score", "truncated"):
        assert found[name].to_pylist() == [one[name] for one in told] + [None]
    assert any(found["truncated"].to_pylist())
    assert found["error"].null_count == len(table)


def test_a_frame_comes_back_as_a_frame(table: pyarrow.Table, translator: BatchTranslator) -> None:
    frame = table.to_pandas().set_index("id")
    found = translator(frame)
    assert found.index.equals(frame.index)
    assert list(found.columns) == [*frame.columns, *ADDED]
    back = pyarrow.Table.from_pandas(found[list(ADDED)], preserve_index=False)
    expected = translator(table).select(ADDED)
    for name in ADDED:
        assert back[name].to_pylist() == expected[name].to_pylist()
    assert list(frame.columns) == ["text", "tags"], "the frame that was given is unchanged"


def test_what_cannot_be_translated_is_set_aside_as_in_the_quarantine(
    translator: BatchTranslator, command: Callable[..., Any], tmp_path: Path
) -> None:
    raws = [b"Hund", b"Ma\xffn", b"rot " + b"x" * 10_001, b"die"]
    values = pyarrow.array(raws, pyarrow.binary()).view(pyarrow.string())
    table = pyarrow.table({"text": values})
    pyarrow.parquet.write_table(table, tmp_path / "in.parquet")
    aside = tmp_path / "aside.jsonl"
    flags = ["--input", tmp_path / "in.parquet", "--output", tmp_path / "out.parquet"]
    assert command(*flags, "--quarantine", aside).status == 0
    found = translator(table)
    told = map(json.loads, aside.read_text(encoding="utf-8").splitlines())
    reasons = {line["row"]: line["reason"] for line in told}
    assert {i + 1: e for i, e in enumerate(found["error"].to_pylist()) if e} == reasons
    assert set(reasons) == {2, 3}
    expected = pyarrow.parquet.read_table(tmp_path / "out.parquet")["translation"].to_pylist()
    assert found["translation"].to_pylist() == expected
    assert [found[name][1].as_py() for name in ("translation", "score", "truncated")] == [None] * 3


def test_half_a_character_of_a_frame_is_set_aside(translator: BatchTranslator) -> None:
    found = translator(pandas.DataFrame({"text": pandas.Series(["Hund", "\ud83d"], dtype=object)}))
    assert found["error"].isna().tolist() == [True, False]
    assert "half of a surrogate pair" in found["error"][1]


def test_options_are_laid_over_those_of_the_checkpoint(
    tiny_checkpoint: Path, table: pyarrow.Table
) -> None:
    loaded = dragoman.Translator.load(tiny_checkpoint, **CPU)
    greedy = BatchTranslator(tiny_checkpoint, options={"beam_size": 1}, **CPU)
    _, options = _loaded(greedy._settings)
    assert options.beam_size == 1
    assert options.max_length_b == loaded.options.max_length_b == 3
    texts = [text for text in table["text"].to_pylist() if text is not None]
    found = greedy(table)["translation"].to_pylist()
    assert found[:-1] == loaded.translate(texts, options)
    by_risk = BatchTranslator(tiny_checkpoint, mbr=True, **CPU)(table)["translation"].to_pylist()
    assert by_risk[:-1] == [one.text for one in loaded.mbr(texts)]
    assert by_risk != found


def test_another_process_loads_the_model_once_and_finds_the_same(
    table: pyarrow.Table, translator: BatchTranslator, tmp_path: Path
) -> None:
    """A pickle has the path, not the network."""
    pickled = pickle.dumps(translator)
    assert len(pickled) < 2000
    (tmp_path / "translator").write_bytes(pickled)
    pyarrow.parquet.write_table(table, tmp_path / "in.parquet")
    program = """if True:
        import pickle, sys
        import pyarrow.parquet as parquet
        import torch
        from model.jobs import batch
        table = parquet.read_table("in.parquet")
        with open("translator", "rb") as file:
            first = pickle.load(file)
        with open("translator", "rb") as file:
            second = pickle.load(file)
        first(table.slice(0, 100))
        parquet.write_table(second(table), "out.parquet")
        assert torch.get_num_threads() == 1
        assert batch._loaded.cache_info().misses == 1
    """
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(dragoman.__file__).parents[1]), "PATH": "/usr/bin:/bin"},
    )
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet").equals(translator(table))


def test_symbols_are_transduced(symbol_checkpoint: Path) -> None:
    found = BatchTranslator(symbol_checkpoint, **CPU)(pyarrow.table({"text": ["abc", "a?c"]}))
    loaded = dragoman.Transducer.load(symbol_checkpoint, **CPU)
    (expected,) = loaded.transduce(["abc"])
    assert found["translation"].to_pylist() == [expected.text, None]
    assert "'?'" in found["error"][1].as_py()


def test_a_batch_without_rows_has_the_columns(
    table: pyarrow.Table, translator: BatchTranslator
) -> None:
    empty = translator(table.slice(0, 0))
    assert empty.schema == translator(table).schema
    assert list(translator(table.to_pandas()[:0]).columns) == empty.column_names


def test_an_older_translation_is_replaced(translator: BatchTranslator) -> None:
    found = translator(pyarrow.table({"translation": ["old"], "text": ["Hund"]}))
    assert found.column_names == ["text", *ADDED]
    assert found["translation"][0].as_py() != "old"


@pytest.mark.parametrize("form", ["table", "frame"])
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"txt": ["a"]}, "no column 'text'"),
        ({"text": [1]}, "not strings"),
        ({"text": ["a"], "score": [1.0]}, "a column 'score' already, which would be lost"),
        ({"text": ["a"], "error": ["x"]}, "a column 'error' already, which would be lost"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(
    translator: BatchTranslator, form: str, columns: dict[str, list[Any]], message: str
) -> None:
    table = pyarrow.table(columns)
    with pytest.raises(DataError, match=message):
        translator(table if form == "table" else table.to_pandas())


def test_a_model_that_cannot_be_used_is_refused(
    tiny_checkpoint: Path, vector_checkpoint: Path, symbol_checkpoint: Path
) -> None:
    table = pyarrow.table({"text": ["Hund"]})
    refused: list[tuple[BatchTranslator, str]] = [
        (BatchTranslator("runs/nowhere", **CPU), "runs/nowhere"),
        (BatchTranslator(vector_checkpoint, **CPU), "vectors"),
        (BatchTranslator(tiny_checkpoint, digests=["0"], **CPU), "another model here"),
        (BatchTranslator(tiny_checkpoint, options={"beam_size": 0}, **CPU), "beam_size"),
        (BatchTranslator(symbol_checkpoint, mbr=True, **CPU), "mbr"),
    ]
    for translator, message in refused:
        with pytest.raises(DragomanError, match=message):
            translator(table)
    with pytest.raises(ConfigError, match="threads"):
        BatchTranslator(tiny_checkpoint, threads=0)
