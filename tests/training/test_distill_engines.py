"""`dragoman-distill --engine`: the pairs that one machine writes, ready to be trained on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from model.jobs.formats import one_line
from model.text.tokenizer import Tokenizer
from tests.patience import PATIENCE_S
from training.config.train_config import load_config
from training.data.training_set import load_training_set
from training.distill import main

SOURCES = ["ein Haus", "der Hund läuft", "rot", "die Frau sieht den Mann", "10 Mann", "zwei Hut"]
FLAGS = ["--precision", "fp32", "--threads", "1", "--beam-size", "3"]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["ray", "spark"])
def test_an_engine_writes_the_pairs_of_one_machine(
    engine: str, tiny_checkpoint: Path, tiny_config: Path, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """Byte for byte, in the order of the input; a row without a text is left out in training."""
    pytest.importorskip({"ray": "ray.data", "spark": "pyspark"}[engine], exc_type=ImportError)
    if engine == "spark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    texts = tmp_path / "in.txt"
    texts.write_text("".join(f"{text}\n" for text in SOURCES), encoding="utf-8")
    local = tmp_path / "local.tsv"
    places = ["--input", str(texts), "--output", str(local), "--device", "cpu"]
    assert main([str(tiny_checkpoint), *places, *FLAGS]) == 0

    rows = pyarrow.table({"id": range(100, 107), "german": [*SOURCES, None]})
    (tmp_path / "in").mkdir()
    for number, table in enumerate((rows.slice(0, 4), rows.slice(4))):
        pyarrow.parquet.write_table(table, tmp_path / "in" / f"{number}.parquet")
    output = tmp_path / "distilled"
    places = ["--input", str(tmp_path / "in"), "--output", str(output), "--source-column", "german"]
    command = [sys.executable, "-m", "training.distill", str(tiny_checkpoint), *places, *FLAGS]
    environment = os.environ | {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_raylet_start_wait_time_s": "300",  # of a busy machine
    }
    environment.pop("RAY_ADDRESS", None)
    subprocess.run(
        [*command, "--engine", engine, "--workers", "1"],
        check=True,
        env=environment,
        timeout=2 * PATIENCE_S,
    )

    files = sorted(output.glob("*.parquet"))
    found = pyarrow.concat_tables([pyarrow.parquet.read_table(file) for file in files])
    assert found["id"].to_pylist() == rows["id"].to_pylist()
    pairs = list(zip(found["german"].to_pylist(), found["translation"].to_pylist(), strict=True))
    assert pairs.pop() == (None, None)
    lines = [text + "\t" + one_line(one).replace("\t", " ") + "\n" for text, one in pairs]
    assert "".join(lines).encode() == local.read_bytes()

    train = f"[{{files: {output}/*.parquet, source_column: german, target_column: translation}}]"
    data = load_config(tiny_config, [f"data.train={train}"]).data
    report = load_training_set(data, tiny_tokenizer, max_length=200).report
    assert (report.lines, report.kept, report.dropped) == (7, 6, {"blank": 1})
