"""Ray: folders that it translates have the rows that one machine makes, whatever is lost."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import torch

from model.translate import main
from tests.model.jobs.folders import (
    check_empty_output,
    translated,
    write_empty_folder,
    write_folder,
)
from tests.patience import PATIENCE_S

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of Ray and what it imports
]

FLAGS = ["--precision", "fp32", "--engine", "ray", "--workers", "2"]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No cluster of the environment, nothing sent to anyone, and threads as before."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def arguments(run: Path, folder: Path, *more: str) -> list[str]:
    places = ["--input", str(folder / "in"), "--output", str(folder / "out")]
    return [str(run), *FLAGS, *places, *more]


def command(run: Path, folder: Path, *more: str) -> tuple[int, list[str]]:
    errors = io.StringIO()
    with redirect_stderr(errors):
        status = main(arguments(run, folder, *more))
    return status, errors.getvalue().splitlines()


def test_the_driver_is_killed_and_another_goes_on(
    tiny_checkpoint: Path, tmp_path: Path, rows: list[tuple[int, str]]
) -> None:
    """Its own cluster goes with it. A mistake of the model's path is told by a worker."""
    given = arguments(tiny_checkpoint, tmp_path, "--workers", "1")
    driver = subprocess.Popen(
        [sys.executable, "-m", "model.translate", *given], stderr=subprocess.DEVNULL
    )
    parts = tmp_path / "out.parts"
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not list(parts.glob("*.parquet")):
            assert driver.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        driver.kill()
        driver.wait()
    if not parts.exists():
        pytest.skip("it was done before it could be killed")
    status, said = command(tiny_checkpoint, tmp_path, "--resume")
    assert status == 0, said
    assert any("of 3 parts are done" in line for line in said)
    assert translated(tmp_path / "out") == rows


def test_an_actor_is_killed(
    tiny_checkpoint: Path, tmp_path: Path, rows: list[tuple[int, str]]
) -> None:
    """The process that has begun a part is killed in it: another does the part again."""
    given = arguments(tiny_checkpoint, tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "model.translate", *given], stderr=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stderr is not None
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not (begun := list((tmp_path / "out.parts").glob("*.attempts"))):
                assert driver.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.002)
            for pid in workers_of(driver.pid):
                os.kill(pid, signal.SIGKILL)
            said = driver.stderr.read().splitlines()
            assert driver.wait(PATIENCE_S) == 0, said
        finally:
            driver.kill()
    assert begun
    assert translated(tmp_path / "out") == rows


def workers_of(driver: int) -> list[int]:
    """The processes of actors among those that the driver has started, directly or not."""
    listed = subprocess.run(
        ["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[1:]
    processes = [line.split(None, 2) for line in listed]
    family, grown = {str(driver)}, True
    while grown:
        children = {pid for pid, parent, _ in processes if parent in family}
        grown = not children <= family
        family |= children
    return [int(pid) for pid, _, name in processes if pid in family and "MapWorker" in name]


def test_a_folder_without_rows(tiny_checkpoint: Path, tmp_path: Path) -> None:
    write_empty_folder(tmp_path / "in")
    status, said = command(tiny_checkpoint, tmp_path)
    assert status == 0, said
    check_empty_output(tmp_path / "out")


def test_a_model_that_workers_cannot_see(tmp_path: Path, texts: list[str]) -> None:
    """They run in another folder, where a relative path of the class itself means nothing."""
    from model.jobs.batch import BatchTranslator
    from model.jobs.folder import read_folder
    from model.jobs.part_writer import PartWriter
    from model.jobs.ray_engine import RayEngine

    write_folder(tmp_path / "in", texts[:10], files=1)
    corpus = read_folder(tmp_path / "in", "text", "id")
    writer = PartWriter(BatchTranslator(tmp_path / "run", device="cpu"), tmp_path, "key")
    engine = RayEngine(address=None, workers=1, threads=1, gpus=0)
    (report,) = engine(writer, corpus.parts)
    assert str(tmp_path / "run") in str(report["error"])


def test_the_lines_of_the_documentation(
    tiny_checkpoint: Path, tmp_path: Path, rows: list[tuple[int, str]]
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "scale-out.md").read_text(encoding="utf-8")
    (program,) = [block for block in page.split("```python\n") if block.startswith("import ray")]
    program = program.split("```")[0]
    for name, path in (
        ("/shared/corpus", tmp_path / "in"),
        ("/shared/models/demo.dragoman", tiny_checkpoint),
        ("/shared/translated", tmp_path / "out"),
        ("batch_size=", "fn_constructor_kwargs={'precision': 'fp32'}, batch_size="),
    ):
        assert name in program
        program = program.replace(name, str(path))
    start = (
        "import ray\nray.init('local', num_cpus=2, include_dashboard=False, log_to_driver=False)\n"
    )
    subprocess.run([sys.executable, "-c", start + program], check=True, timeout=PATIENCE_S)
    tables = [pyarrow.parquet.read_table(file) for file in (tmp_path / "out").glob("*.parquet")]
    table = pyarrow.concat_tables(tables).sort_by("id")
    got = [text.replace("\n", " ") for text in table["translation"].to_pylist()]
    assert list(zip(table["id"].to_pylist(), got, strict=True)) == rows


def test_an_address_where_nothing_answers(
    tiny_checkpoint: Path, tmp_path: Path, rows: list[tuple[int, str]]
) -> None:
    status, said = command(tiny_checkpoint, tmp_path, "--address", "127.0.0.1:1")
    assert status == 2
    assert "--engine ray: no cluster at 127.0.0.1:1 that lets us in" in said[-1]
