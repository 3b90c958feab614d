"""Several processes under torchrun train what one does; a killed one is replaced."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model.errors import ConfigError
from tests.patience import PATIENCE_S
from training.system.distributed import World
from training.tracking.metrics_log import read_metrics
from training.train import main

pytestmark = pytest.mark.slow

FIXED = ("model.dropout=0.0", "model.embedding_dropout=0.0", "model.word_dropout=0.0")


def torchrun(processes: int, config: Path, run: Path, *more: str) -> list[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), "--max-restarts", "2", "-m", "training.train"]
    return [*command, str(config), "--output", str(run), *more]


def losses(run: Path) -> list[float]:
    return [
        float(str(line["loss"])) for line in read_metrics(run / "metrics.jsonl") if "loss" in line
    ]


def state(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "last" / "training_state" / "state.safetensors")


@pytest.mark.parametrize(
    "change", ["model.input_feeding=false", "model.input_feeding=true", "run.truncated_bptt=3"]
)
def test_one_process_and_two_agree(tiny_config: Path, tmp_path: Path, change: str) -> None:
    settings = [*FIXED, change, "run.max_steps=100", "run.log_every=1"]
    settings += ["run.eval_every=100", "optimizer.learning_rate=0.005"]
    for name, processes in (("one", 1), ("two", 2)):
        subprocess.run(torchrun(processes, tiny_config, tmp_path / name, *settings), check=True)
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == 100
    assert one[-1] < one[0] / 2  # they have learned something
    assert two == pytest.approx(one, rel=1e-5)


def test_two_processes_draw_the_dropout_of_one_that_accumulates(
    tiny_config: Path, tmp_path: Path
) -> None:
    one = torchrun(1, tiny_config, tmp_path / "one", "run.log_every=1", "run.accumulate=2")
    two = torchrun(2, tiny_config, tmp_path / "two", "run.log_every=1")
    for command in (one, two):
        subprocess.run(command, check=True)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_worker_is_replaced_and_nothing_is_lost(
    tiny_config: Path, tmp_path: Path, victim: int
) -> None:
    settings = ["run.max_steps=60", "run.eval_every=10", "--resume"]
    subprocess.run(torchrun(2, tiny_config, tmp_path / "whole", *settings), check=True)
    run = tmp_path / "killed"
    started = subprocess.Popen(
        torchrun(2, tiny_config, run, *settings), stderr=subprocess.PIPE, text=True
    )
    while not (run / "last").exists():
        assert started.poll() is None
        time.sleep(0.05)
    os.kill(children(started.pid)[victim], signal.SIGKILL)
    _, errors = started.communicate(timeout=PATIENCE_S)
    assert started.returncode == 0, errors
    assert "resumed at step" in errors
    ours, theirs = state(run), state(tmp_path / "whole")
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


def children(process: int) -> list[int]:
    """The workers, in the order in which they were started."""
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return sorted(map(int, text.split()))


def test_a_run_of_two_processes_goes_on_with_one(
    tiny_config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = [*FIXED, "run.log_every=1", "optimizer.schedule=inverse_sqrt"]
    subprocess.run(torchrun(1, tiny_config, tmp_path / "whole", *settings), check=True)
    first = torchrun(2, tiny_config, tmp_path / "run", *settings, "run.max_steps=4")
    subprocess.run(first, check=True)
    rest = torchrun(1, tiny_config, tmp_path / "run", *settings, "--resume")
    subprocess.run(rest, check=True)
    assert losses(tmp_path / "run") == pytest.approx(losses(tmp_path / "whole"), rel=1e-5)
    assert ", 2 processes" in capfd.readouterr().err


def test_a_signal_stops_all_processes_after_the_same_step(
    tiny_config: Path, tmp_path: Path
) -> None:
    run, endless = tmp_path / "run", ("run.max_steps=1000000", "run.eval_every=1000000")
    started = subprocess.Popen(
        torchrun(2, tiny_config, run, *endless, "run.log_every=1"),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stderr is not None
    for line in started.stderr:
        if line.startswith("step 3/"):
            break
    started.send_signal(signal.SIGTERM)
    _, errors = started.communicate(timeout=PATIENCE_S)
    assert "saved at step" in errors
    assert (run / "last").exists()


RANKED = """
import os, sys
from training.train import main
sys.exit(main([part.replace("RANK", os.environ["RANK"]) for part in sys.argv[1:]]))
"""


def refused_by_the_second(folder: Path, *arguments: str) -> str:
    """The line of two processes' training, in whose arguments RANK stands for their numbers."""
    (folder / "ranked.py").write_text(RANKED)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(folder / "ranked.py"), *arguments]
    here = {**os.environ, "PYTHONPATH": os.getcwd()}
    failed = subprocess.run(command, capture_output=True, text=True, check=False, env=here)
    assert failed.returncode
    assert "session.py" not in failed.stderr  # torchrun has a traceback, the training none
    lines = failed.stderr.splitlines()
    (line,) = (one for one in lines if one.startswith("dragoman-train: error: process 1"))
    return line


@pytest.mark.parametrize(("file", "files"), [("train.en", "training"), ("dev.de", "dev")])
def test_processes_with_different_files_do_not_train(
    tiny_config: Path, tmp_path: Path, file: str, files: str
) -> None:
    for rank in ("0", "1"):
        folder = tmp_path / rank
        folder.mkdir()
        for name in ("train.de", "train.en", "dev.de", "dev.en"):
            shutil.copy(tmp_path / name, folder)
    content = (tmp_path / file).read_text(encoding="utf-8")
    changed = content.replace("rot", "Hut").replace("red", "hat")
    (tmp_path / "1" / file).write_text(changed, encoding="utf-8")
    run, data = tmp_path / "run", f"data.data_dir={tmp_path}/RANK"
    line = refused_by_the_second(tmp_path, str(tiny_config), "--output", str(run), data)
    assert f"process 1: the {files} files are not those of the first process." in line
    assert not (run / "last").exists()


@pytest.mark.parametrize("tokens", ["300", "auto"])
def test_a_run_that_only_the_first_machine_has_is_not_resumed(
    tiny_config: Path, tmp_path: Path, tokens: str
) -> None:
    settings = [f"run.batch_tokens={tokens}", "model.max_length=20"]
    begun = ["--output", str(tmp_path / "run0"), *settings, "run.max_steps=2"]
    assert main([str(tiny_config), *begun]) == 0
    resumed = ["--output", str(tmp_path / "runRANK"), *settings, "--resume"]
    line = refused_by_the_second(tmp_path, str(tiny_config), *resumed)
    assert "process 1 finds step 0 in" in line and "run1, the first process 2." in line


def test_a_mistake_is_reported(tiny_config: Path, tmp_path: Path) -> None:
    (tmp_path / "train.de").unlink()
    failed = subprocess.run(
        torchrun(2, tiny_config, tmp_path / "run"), capture_output=True, text=True, check=False
    )
    assert failed.returncode
    assert "train.de" in failed.stderr


def test_processes_share_out_the_cores_and_refuse_to_share_a_gpu() -> None:
    world = World(rank=1, size=2, local_rank=1, local_size=2)
    assert world.threads(3) == 3
    assert world.threads(0) >= 1
    assert World().threads(0) >= world.threads(0)
    with pytest.raises(ConfigError, match="device"):
        world.device("cuda:0")


def test_two_processes_end_together_when_the_minutes_are_over(
    tiny_config: Path, tmp_path: Path
) -> None:
    """A process that planned for itself would wait for ever for the other one."""
    settings = ("run.max_steps=null", "run.max_minutes=0.5", "run.eval_every=auto")
    command = torchrun(2, tiny_config, tmp_path / "run", *settings, "run.log_every=1")
    subprocess.run(command, check=True, timeout=PATIENCE_S)
    assert (tmp_path / "run" / "report.html").exists()
    assert len(losses(tmp_path / "run")) > 0
