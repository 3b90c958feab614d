"""Spark: folders that it translates have the rows that one machine makes, whatever is lost."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from tests.model.jobs.folders import check_empty_output, translated, write_empty_folder
from tests.patience import PATIENCE_S

pytest.importorskip("pyspark")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java"),
]

FLAGS = ["--precision", "fp32", "--engine", "spark", "--workers", "2"]


def start(run: Path, folder: Path, *more: str) -> subprocess.Popen[str]:
    """The command in a process group of its own: Spark leaves its Java behind if it is killed."""
    places = ["--input", str(folder / "in"), "--output", str(folder / "out")]
    return subprocess.Popen(
        [sys.executable, "-m", "model.translate", str(run), *FLAGS, *places, *more],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(folder: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not list(folder.glob(pattern)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)


def workers_of(group: int) -> list[int]:
    """The processes of the group in which Spark calls Python."""
    listed = subprocess.run(
        ["ps", "-eo", "pid,pgid,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[1:]
    rows = [line.split(None, 2) for line in listed]
    return [int(pid) for pid, of, name in rows if int(of) == group and "pyspark.daemon" in name]


def test_a_folder_without_rows(tiny_checkpoint: Path, tmp_path: Path) -> None:
    write_empty_folder(tmp_path / "in")
    with start(tiny_checkpoint, tmp_path) as driver:
        _, said = driver.communicate(timeout=PATIENCE_S)
    assert driver.returncode == 0, said
    check_empty_output(tmp_path / "out")


def test_python_is_killed_then_the_driver_and_another_goes_on(
    tiny_checkpoint: Path, tmp_path: Path, rows: list[tuple[int, str]]
) -> None:
    parts = tmp_path / "out.parts"
    driver = start(tiny_checkpoint, tmp_path)
    try:
        wait_for(parts, "*.attempts", driver)
        for pid in workers_of(driver.pid):
            os.kill(pid, signal.SIGKILL)  # Spark starts its tasks again
        wait_for(parts, "*.parquet", driver)
    finally:
        os.killpg(driver.pid, signal.SIGKILL)
        driver.communicate()
    if parts.exists():
        another = start(tiny_checkpoint, tmp_path, "--resume")
        try:
            said = another.communicate(timeout=PATIENCE_S)[1]
        finally:
            another.kill()
        assert another.returncode == 0, said
        assert "of 3 parts are done" in said
    assert translated(tmp_path / "out") == rows


def test_the_lines_of_the_documentation(
    tiny_checkpoint: Path, tmp_path: Path, rows: list[tuple[int, str]]
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "scale-out.md").read_text(encoding="utf-8")
    (program,) = [
        block.split("```")[0] for block in page.split("```python\n") if "SparkSession" in block
    ]
    columns = "id long, text string, "
    for name, value in (
        ("/shared/corpus", str(tmp_path / "in")),
        ('"/shared/models/demo.dragoman"', f'"{tiny_checkpoint}", precision="fp32"'),
        ("/shared/translated", str(tmp_path / "out")),
        (columns, columns + "tag string, "),
        ("SparkSession.builder", "SparkSession.builder.master('local[2]')"),
    ):
        assert name in program
        program = program.replace(name, value)
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        timeout=PATIENCE_S,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable},
    )
    tables = [pyarrow.parquet.read_table(file) for file in (tmp_path / "out").glob("*.parquet")]
    table = pyarrow.concat_tables(tables).sort_by("id")
    got = [text.replace("\n", " ") for text in table["translation"].to_pylist()]
    assert list(zip(table["id"].to_pylist(), got, strict=True)) == rows


def test_a_master_where_nothing_answers(
    tiny_checkpoint: Path, tmp_path: Path, rows: list[tuple[int, str]]
) -> None:
    driver = start(tiny_checkpoint, tmp_path, "--address", "nonsense:1")
    said = driver.communicate(timeout=PATIENCE_S)[1].splitlines()
    assert driver.returncode == 2
    assert "--engine spark: Spark does not start" in said[-1]
