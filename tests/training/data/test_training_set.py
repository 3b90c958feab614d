"""Corpora of every format, cached: what is kept, what is refused, and batches from them."""

import gzip
import itertools
import json
import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from model.errors import DataError
from model.text.tokenizer import Tokenizer
from training.config.data_config import FilterConfig
from training.config.train_config import TrainConfig, load_config
from training.data.batch_loader import BatchLoader
from training.data.encode_records import EncodingRules, encode_chunk
from training.data.learn_tokenizer import make_tokenizer
from training.data.planned_window import PlannedWindow
from training.data.position import Position
from training.data.process_pool import ordered_map
from training.data.readers import corpus_chunks
from training.data.sampler import epoch_counts
from training.data.training_set import TrainingSet, load_training_set, make_loader
from training.loop.dry_run import check_data
from training.train import main

PAIRS = [("ein Haus", "one house"), ("zwei Hut", "two hat"), ("rot", "red")]


def load(path: Path, tokenizer: Tokenizer, *overrides: str) -> tuple[TrainConfig, TrainingSet]:
    config = load_config(path, overrides)
    return config, load_training_set(config.data, tokenizer, max_length=config.model.max_length)


def loader(path: Path, tokenizer: Tokenizer, *overrides: str) -> BatchLoader:
    config, data = load(path, tokenizer, *overrides)
    return make_loader(config, data, tokenizer)


def texts(data: TrainingSet, tokenizer: Tokenizer) -> list[tuple[str, str]]:
    pairs = data.corpora[0].cached.read(0, len(data.corpora[0].cached))
    sides = [[tokenizer.decode(ids.tolist()) for ids in side.split()] for side in pairs[:2]]
    return list(zip(*sides, strict=True))


def write(folder: Path, name: str) -> None:
    """PAIRS in the format that `name` says, weights 1, 2, 3 in a column."""
    rows = [(*pair, float(n)) for n, pair in enumerate(PAIRS, 1)]
    if ".parquet" in name:
        columns = dict(zip(("source", "target", "w"), zip(*rows, strict=True), strict=True))
        table = pyarrow.table({key: list(values) for key, values in columns.items()})
        pyarrow.parquet.write_table(table, folder / name)
        return
    if ".jsonl" in name:
        lines = [json.dumps({"source": s, "target": t, "w": w}) for s, t, w in rows]
    else:
        lines = ["source\ttarget\tw", *("\t".join(map(str, row)) for row in rows)]
    content = "".join(f"{line}\n" for line in lines).encode()
    if name.endswith(".gz"):
        content = gzip.compress(content)
    if name.endswith(".zst"):
        content = zstandard.compress(content)
    (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    "name", ["a.tsv", "a.tsv.gz", "a.tsv.zst", "a.jsonl", "a.jsonl.zst", "a.parquet"]
)
def test_every_format_gives_the_same_pairs_and_weights(
    tiny_config: Path, tiny_tokenizer: Tokenizer, name: str
) -> None:
    write(tiny_config.parent, name)
    corpus = f"{{files: {name}, source_column: source, target_column: target, weight_column: w}}"
    _, data = load(tiny_config, tiny_tokenizer, f"data.train=[{corpus}]")
    assert texts(data, tiny_tokenizer) == PAIRS
    cached = data.corpora[0].cached
    assert cached.read(0, 3).weights.tolist() == [1, 2, 3]
    os.truncate(cached.folder / "weights", 8)
    with pytest.raises(DataError, match=r"weights: cut short\. Remove"):
        cached.read(0, 3)


def test_a_glob_reads_all_its_files(tiny_config: Path, tiny_tokenizer: Tokenizer) -> None:
    for name in ("b1.jsonl", "b2.jsonl"):
        write(tiny_config.parent, name)
    _, data = load(tiny_config, tiny_tokenizer, "data.train=[{files: b*.jsonl}]")
    assert texts(data, tiny_tokenizer) == PAIRS * 2


def test_the_cache_is_used_until_a_file_the_rules_or_the_tokenizer_change(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    cache = tiny_config.parent / "cache"

    def entries(*overrides: str) -> int:
        load(tiny_config, tiny_tokenizer, *overrides)
        return sum(path.is_dir() for path in cache.iterdir())

    assert [
        entries(),
        entries(),
        entries("data.train=[{source: train.de, target: train.en, weight: 2}]"),
    ] == [1, 1, 1]
    assert entries("data.filters.max_ratio=3") == 2
    with (tiny_config.parent / "train.de").open("a") as file:
        file.write("rot\n")
    with (tiny_config.parent / "train.en").open("a") as file:
        file.write("red\n")
    assert entries() == 3


def test_filters_count_and_show_what_they_leave_out(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    rows = [
        "rot\tred",
        "rot\tred",
        "blau\tblau",
        "rot\t" + "red " * 9,
        "\x07rot\tred",
        "\tred",
        "rot\t ",
        "rot " * 90 + "\t" + "red " * 90,
        "blau\tblue",
    ]
    (tiny_config.parent / "a.tsv").write_text("".join(f"{row}\n" for row in rows))
    every = "{max_ratio: 3, duplicates: true, identical: true, encoding: true}"
    overrides = ("data.train=[{files: a.tsv}]", f"data.filters={every}", "model.max_length=60")
    _, data = load(tiny_config, tiny_tokenizer, *overrides)
    assert data.report.dropped == {
        "the same on both sides": 1,
        "too unequal in length": 1,
        "not text": 1,
        "blank": 2,
        "too long": 1,
        "duplicate": 1,
    }
    assert data.report.examples["duplicate"] == ["rot | red"]
    assert data.report.examples["blank"] == ["| red", "rot |"]
    assert data.report.examples["not text"] == ["\\x07rot | red"]
    assert texts(data, tiny_tokenizer) == [("rot", "red"), ("blau", "blue")]
    shown = check_data(load_config(tiny_config, overrides))
    assert "kept 2 of 9" in shown and "duplicate: 1, for instance\n    rot | red" in shown


def test_bytes_that_are_no_text_are_refused_or_left_out(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    (tiny_config.parent / "a.tsv").write_bytes(b"rot\tred\n\xff\tred\n")
    with pytest.raises(DataError, match="line 2"):
        load(tiny_config, tiny_tokenizer, "data.train=[{files: a.tsv}]")
    _, data = load(
        tiny_config, tiny_tokenizer, "data.train=[{files: a.tsv}]", "data.filters.encoding=true"
    )
    assert data.report.dropped == {"not text": 1}


def test_nothing_left_says_which_filter_took_what(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    (tiny_config.parent / "a.tsv").write_text("rot\trot\n\tx\nrot\trot\n")
    with pytest.raises(DataError, match=r"none of 3 pairs is left: dropped 2 the same .*, 1 blank"):
        load(
            tiny_config,
            tiny_tokenizer,
            "data.train=[{files: a.tsv}]",
            "data.filters.identical=true",
        )
    left = [path for path in (tiny_config.parent / "cache").iterdir() if path.is_dir()]
    assert left == []


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("a.tsv", "source_column: quelle", "no column 'quelle' in its first line"),
        ("a.tsv", "target_column: 9", "3 columns, but number 9 is asked for"),
        ("a.jsonl", "source_column: quelle", 'line 1: no "quelle", only source, target, w'),
        ("a.jsonl", "weight_column: gewicht", 'line 1: no "gewicht", only source, target, w'),
        ("a.jsonl", "source_column: w", 'line 1: "w" holds 1.0, not a string'),
        ("nested.jsonl", "", 'line 1: no "source", only texts.de, texts.en. Name the fields'),
        ("a.parquet", "source_column: quelle", "no column 'quelle', only source, target, w"),
        ("a.parquet", "weight_column: gewicht", "no column 'gewicht', only source, target, w"),
        ("a.parquet", "source_column: w", "column 'w' holds double, not strings"),
        ("a.txt", "", "not named .tsv, .jsonl or .parquet"),
        ("absent.tsv", "", "no such file"),
    ],
)
def test_absent_files_and_columns_are_named(
    tiny_config: Path, tiny_tokenizer: Tokenizer, name: str, columns: str, message: str
) -> None:
    nested = {"texts": {"de": "rot", "en": "red"}, "note": None}
    (tiny_config.parent / "nested.jsonl").write_text(json.dumps(nested))
    if name.startswith("a."):
        write(tiny_config.parent, name)
    with pytest.raises(DataError, match=message):
        load(tiny_config, tiny_tokenizer, f"data.train=[{{files: {name}, {columns}}}]")


def test_a_cache_that_cannot_be_a_folder_is_named(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    (tiny_config.parent / "cache").write_text("a file")
    with pytest.raises(DataError, match=r"cannot be written .*Set data\.cache_dir"):
        load(tiny_config, tiny_tokenizer)


def test_a_full_disk_is_one_line_and_leaves_nothing(tiny_config: Path) -> None:
    """A limit on the size of files is refused by the system as a full disk is."""
    script = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from training.train import main\n"
        "from training.data.learn_tokenizer import make_tokenizer\n"
        "from training.data.training_set import load_training_set\n"
        "from training.config.train_config import load_config\n"
        "config = load_config(__import__('pathlib').Path(sys.argv[1]))\n"
        "tokenizer = make_tokenizer(config)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "from model.errors import DataError\n"
        "try:\n"
        "    load_training_set(config.data, tokenizer, max_length=50)\n"
        "except DataError as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tiny_config)], capture_output=True, text=True
    )
    assert "Make room, or set data.cache_dir to a larger disk" in ran.stdout, ran.stderr
    assert [path for path in (tiny_config.parent / "cache").iterdir() if path.is_dir()] == []


def test_two_runs_at_once_build_it_once(tiny_config: Path, tiny_tokenizer: Tokenizer) -> None:
    model = tiny_config.parent / "tokenizer.model"
    model.write_bytes(tiny_tokenizer.model)
    command = [sys.executable, "-m", "training.train", str(tiny_config), "--check-data"]
    command += [f"tokenizer.model={model}"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert outputs[0] == outputs[1]
    assert sum(path.is_dir() for path in (tiny_config.parent / "cache").iterdir()) == 1


def test_any_number_of_processes_encodes_the_same(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    data = load_config(tiny_config).data
    rules = EncodingRules(source_limit=9, target_limit=9, filters=FilterConfig())
    one, two = (
        list(
            ordered_map(
                partial(encode_chunk, rules=rules),
                corpus_chunks(data.train[0], data),
                make=partial(Tokenizer, tiny_tokenizer.model),
                processes=processes,
            )
        )
        for processes in (1, 2)
    )
    for mine, theirs in zip(one, two, strict=True):
        assert mine.pairs.source.ids.tolist() == theirs.pairs.source.ids.tolist()
        assert mine.dropped == theirs.dropped


def test_batches_and_what_is_drawn_for_a_line_do_not_depend_on_who_drew_before(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    settings = ["model.word_dropout=0.3", "tokenizer.sampling=0.3"]
    settings += ["data.joined=0.3", "data.noise=0.3"]
    first = loader(tiny_config, tiny_tokenizer, *settings)
    batches, seen = first.batches(), []
    for _ in range(12):
        rows = next(batches)
        seen.append((first.position, rows))
    for (position, _), (_, rows) in itertools.pairwise(seen):
        fresh = loader(tiny_config, tiny_tokenizer, *settings)
        fresh.position = Position(*position)
        again = next(fresh.batches())
        assert again.weights.tolist() == rows.weights.tolist()
        for part in ("sources", "targets", "inputs"):
            mine, theirs = (list(map(list, getattr(x, part))) for x in (again, rows))
            assert mine == theirs


def test_the_next_window_is_prepared_while_one_is_trained_on(
    tiny_config: Path, tiny_tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, prepared = loader(tiny_config, tiny_tokenizer), threading.Event()
    read = data.planned

    def planned(epoch: int, window: int) -> PlannedWindow:
        found = read(epoch, window)
        if epoch == 1:
            prepared.set()
        return found

    monkeypatch.setattr(data, "planned", planned)
    batches = data.batches()
    next(batches)
    assert prepared.wait(60)
    assert data.position.epoch == 0


def test_what_goes_wrong_in_the_next_window_is_raised_when_it_is_due(
    tiny_config: Path, tiny_tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = loader(tiny_config, tiny_tokenizer)
    read = data.planned

    def planned(epoch: int, window: int) -> PlannedWindow:
        if epoch == 1:
            raise DataError("the file has changed")
        return read(epoch, window)

    monkeypatch.setattr(data, "planned", planned)
    pairs = 0
    with pytest.raises(DataError, match="has changed"):
        for rows in data.batches():
            pairs += len(rows.sources)
    assert pairs == sum(data.sizes)


def test_word_dropout_hides_inputs_but_never_what_is_predicted(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    settings = ("model.word_dropout=0.3", "tokenizer.sampling=0")
    rows = loader(tiny_config, tiny_tokenizer, *settings).window(0, 0)
    shown, given = np.concatenate(rows.targets), np.concatenate(rows.inputs)
    assert (shown != 1).all()
    assert 0.2 < (given == 1).mean() < 0.4
    assert (given[given != 1] == shown[given != 1]).all()


def test_temperature_mixes_as_the_paper_says() -> None:
    # Arivazhagan et al. 2019: p ~ n^(1/T); sqrt(900) : sqrt(100) = 3 : 1.
    assert epoch_counts([900, 100], [1.0, 1.0], 1.0) == [900, 100]
    assert epoch_counts([900, 100], [1.0, 1.0], 2.0) == [750, 250]
    assert epoch_counts([500, 500], [3.0, 1.0], 1.0) == [750, 250]
    assert epoch_counts([10_000, 10], [1.0, 0.01], 1.0) == [10_009, 1]  # not none at all


def test_a_tag_stands_before_each_source_of_its_corpus(tiny_config: Path) -> None:
    tagged = "{source: train.de, target: train.en, tag: <news>}"
    config = load_config(tiny_config, [f"data.train=[{tagged}]", "tokenizer.sampling=0"])
    tokenizer = make_tokenizer(config)
    data = load_training_set(config.data, tokenizer, max_length=50)
    rows = make_loader(config, data, tokenizer).window(0, 0)
    assert {tokenizer.decode(ids.tolist()).split()[0] for ids in rows.sources} == {"<news>"}


def test_check_data_shows_and_stops(tiny_config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tiny_config), "--check-data"]) == 0
    printed = capsys.readouterr().out
    assert "kept 60 of 60" in printed and "60 pairs in an epoch" in printed
    assert main([str(tiny_config), "--check-data", "data.train=[{files: x.tsv}]"]) == 2
