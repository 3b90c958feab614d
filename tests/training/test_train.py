"""`dragoman-train` from its command line: a run, its resumption, and the mistakes of users."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from model.checkpoint.checkpoint import load_checkpoint
from model.checkpoint.run_directory import lock_run
from model.decoding.torch.inference_network import InferenceNetwork
from model.errors import DataError
from model.translator import Translator
from tests.patience import PATIENCE_S
from training.config.train_config import load_config
from training.tracking.metrics_log import read_metrics
from training.train import main


def train(config: Path, run: Path, *more: str) -> int:
    return main([str(config), "--output", str(run), *more])


def command(config: Path, run: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "training.train", str(config), "--output", str(run), *more]


def state(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "last" / "training_state" / "state.safetensors")


def assert_equal_states(one: Path, other: Path) -> None:
    ours, theirs = state(one), state(other)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


def test_a_run_leaves_everything_that_it_promises(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(tiny_config, run) == 0
    assert (run / "report.html").read_bytes().startswith(b"<!doctype html>")
    assert list((run / "tensorboard").iterdir())
    kept = {path.name for path in (run / "checkpoints").iterdir()}
    assert "step-000008" in kept
    assert kept <= {"step-000004", "step-000008"}
    metrics = read_metrics(run / "metrics.jsonl")
    assert [line["step"] for line in metrics if "loss" in line] == [2, 4, 6, 8]
    validations = [line for line in metrics if "dev_bleu" in line]
    for link in ("best", "last"):
        calibration = load_checkpoint(run / link).calibration
        assert calibration is not None
        assert (calibration.metric, calibration.sentences) == ("chrf", (8,))  # all of the dev set
    assert [line["step"] for line in validations] == [4, 8]
    assert "tok:13a" in str(validations[0]["bleu_signature"])
    assert "nc:6" in str(validations[0]["chrf_signature"])
    card = load_checkpoint(run).card
    assert "CC0" in card and "nobody" in card and "BLEU" in card and "60 pairs" in card
    assert len(Translator.load(run).translate(["ein Haus", ""])) == 2
    errors = capsys.readouterr().err
    assert "train: 60 lines, all kept" in errors
    assert "dev loss" in errors


def test_kill_and_resume_equals_one_run_bit_for_bit(tiny_config: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    settings = ("run.eval_every=5", "optimizer.schedule=inverse_sqrt")
    trained = subprocess.Popen(
        command(tiny_config, parts, *settings, "run.max_steps=2000"),
        stderr=subprocess.DEVNULL,
    )
    while not (parts / "last").exists():
        assert trained.poll() is None
        time.sleep(0.05)
    trained.send_signal(signal.SIGKILL)  # in the middle of whatever it does by now
    trained.wait()
    end = f"run.max_steps={load_checkpoint(parts / 'last').step + 5}"
    assert train(tiny_config, parts, "--resume", *settings, end) == 0
    assert train(tiny_config, tmp_path / "whole", *settings, end) == 0
    assert_equal_states(tmp_path / "whole", parts)


@pytest.mark.parametrize(
    "wiring", ["model.input_feeding=false", "model.input_feeding=true", "run.truncated_bptt=3"]
)
def test_k_steps_and_resume_and_k_steps_equal_2k_steps(
    tiny_config: Path, tmp_path: Path, wiring: str
) -> None:
    changes = (wiring, "optimizer.schedule=inverse_sqrt")
    assert train(tiny_config, tmp_path / "whole", *changes, "run.max_steps=14") == 0
    assert train(tiny_config, tmp_path / "parts", *changes, "run.max_steps=7") == 0
    assert train(tiny_config, tmp_path / "parts", *changes, "--resume", "run.max_steps=14") == 0
    assert_equal_states(tmp_path / "whole", tmp_path / "parts")
    lines = [
        [{k: v for k, v in line.items() if k in ("step", "loss", "dev_loss")} for line in m]
        for m in (read_metrics(tmp_path / p / "metrics.jsonl") for p in ("whole", "parts"))
    ]
    assert [x for x in lines[0] if "loss" in x] == [x for x in lines[1] if "loss" in x]


def test_the_stored_config_trains_the_same_run_again(tiny_config: Path, tmp_path: Path) -> None:
    assert train(tiny_config, tmp_path / "one", "run.max_steps=4") == 0
    assert train(tmp_path / "one" / "config.yaml", tmp_path / "two") == 0
    assert_equal_states(tmp_path / "one", tmp_path / "two")


def test_a_validation_is_rehearsed_before_the_first_update(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot work, is seen at once and not at the first validation."""

    def no_room(*arguments: object) -> None:
        raise DataError("out of room")

    monkeypatch.setattr(InferenceNetwork, "log_scores", no_room)
    assert train(tiny_config, tmp_path / "run") == 2
    assert not [line for line in read_metrics(tmp_path / "run" / "metrics.jsonl") if "loss" in line]


def test_bf16_trains_and_saves_fp32(tiny_config: Path, tmp_path: Path) -> None:
    assert train(tiny_config, tmp_path / "run", "run.precision=bf16", "run.max_steps=4") == 0
    assert {w.dtype for w in load_checkpoint(tmp_path / "run").network.parameters()} == {
        torch.float32
    }


def test_interrupt_saves_and_exits_130(tiny_config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = subprocess.Popen(
        command(
            tiny_config, run, "run.max_steps=1000000", "run.eval_every=1000000", "run.log_every=1"
        ),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("step 3/"):
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Go on with --resume" in errors
    assert "Traceback" not in errors
    assert load_checkpoint(run).step >= 3


def test_early_stopping_after_patience(tiny_config: Path, tmp_path: Path) -> None:
    changes = ("run.eval_every=1", "run.patience=2", "optimizer.learning_rate=0.0000001")
    assert train(tiny_config, tmp_path / "run", *changes, "run.max_steps=50") == 0
    assert load_checkpoint(tmp_path / "run" / "last").step == 3
    assert load_checkpoint(tmp_path / "run").step == 1


def test_the_best_by_another_metric_ends_the_run_and_stays_the_best(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At this learning rate the loss falls with every update, while BLEU stays at 0."""
    run = tmp_path / "run"
    changes = ["run.eval_every=1", "run.patience=2", "optimizer.learning_rate=0.0001"]
    changes += ["validation.metrics=[rouge_l]", "validation.best=loss", "run.max_steps=5"]
    assert train(tiny_config, run, *changes) == 0
    validations = [line for line in read_metrics(run / "metrics.jsonl") if "dev_loss" in line]
    losses = [float(str(line["dev_loss"])) for line in validations]
    assert losses == sorted(losses, reverse=True)
    assert load_checkpoint(run).step == 5
    assert f"best loss {losses[-1]:.3f} on the dev set." in capsys.readouterr().out
    assert "dev_rouge_l" in validations[0] and "dev_bleu" not in validations[0]
    assert "ROUGE-L" in load_checkpoint(run).card
    other = (*changes[:-1], "run.max_steps=6", "validation.best=rouge_l")
    assert train(tiny_config, run, *other, "--resume") == 2
    assert "validation.best was 'loss' and is 'rouge_l'" in capsys.readouterr().err


def dev_steps(run: Path) -> list[object]:
    return [line["step"] for line in read_metrics(run / "metrics.jsonl") if "dev_bleu" in line]


@pytest.mark.parametrize(("stop", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_on_a_validation_step_loses_no_validation(
    tiny_config: Path, tmp_path: Path, stop: signal.Signals, status: int
) -> None:
    """Every step validates, so wherever the signal falls a validation is due."""
    settings = ("run.eval_every=1", "optimizer.schedule=inverse_sqrt")
    assert train(tiny_config, tmp_path / "run", *settings, "run.max_steps=2") == 0
    process = subprocess.Popen(
        command(tiny_config, tmp_path / "run", *settings, "--resume", "run.max_steps=100000"),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("step 3"):
            break
    process.send_signal(stop)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == status
    stopped = load_checkpoint(tmp_path / "run" / "last").step
    assert dev_steps(tmp_path / "run") == list(range(1, stopped + 1))
    assert not (tmp_path / "run" / "report.html").exists()  # even where an earlier end left one
    end = f"run.max_steps={stopped + 2}"
    assert train(tiny_config, tmp_path / "run", *settings, "--resume", end) == 0
    assert train(tiny_config, tmp_path / "whole", *settings, end) == 0
    assert_equal_states(tmp_path / "run", tmp_path / "whole")
    bleu = [
        [
            line["dev_bleu"]
            for line in read_metrics(tmp_path / run / "metrics.jsonl")
            if "dev_bleu" in line
        ]
        for run in ("run", "whole")
    ]
    assert bleu[0] == bleu[1]
    best = [(tmp_path / run / "best").resolve().name for run in ("run", "whole")]
    assert best[0] == best[1]


def test_patience_survives_a_resume_and_ends_the_run(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    settings = ("run.eval_every=1", "run.patience=3", "optimizer.learning_rate=0.0000001")
    assert train(tiny_config, run, *settings, "run.max_steps=2") == 0
    assert train(tiny_config, run, *settings, "--resume", "run.max_steps=50") == 0
    assert load_checkpoint(run / "last").step == 4
    (run / "report.html").unlink()
    assert train(tiny_config, run, *settings, "run.max_steps=50") == 0
    assert "is finished at step 4. Raise run.patience" in capsys.readouterr().out
    assert (run / "report.html").exists()


def test_tsv_and_gzip_train_as_two_files_do(tiny_config: Path, tmp_path: Path) -> None:
    columns = zip(
        (tmp_path / "train.de").read_text(encoding="utf-8").splitlines(),
        (tmp_path / "train.en").read_text(encoding="utf-8").splitlines(),
        strict=True,
    )
    tsv = "".join(f"{source}\t{target}\n" for source, target in columns)
    (tmp_path / "train.tsv.gz").write_bytes(gzip.compress(tsv.encode()))
    end = "run.max_steps=4"
    assert train(tiny_config, tmp_path / "two", end) == 0
    assert train(tiny_config, tmp_path / "one", end, "data.train=[{files: train.tsv.gz}]") == 0
    assert_equal_states(tmp_path / "one", tmp_path / "two")


def refused(capsys: pytest.CaptureFixture[str], status: int) -> str:
    """The one line that the command wrote."""
    assert status == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert errors.startswith("dragoman-train: error: ")
    return errors


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda d: (d / "train.de").unlink(), "train.de"),
        (lambda d: (d / "train.de").write_bytes(b""), "empty"),
        (lambda d: (d / "train.en").write_bytes(b"one\n"), "60 lines and"),
        (lambda d: (d / "dev.en").write_bytes(b"ok\n\xc3\x28\n" + b"ok\n" * 6), "dev.en, line 2"),
        (lambda d: (d / "tiny.yaml").unlink(), "tiny.yaml"),
        (lambda d: (d / "tiny.yaml").write_bytes(b"data: ["), "not valid YAML"),
    ],
)
def test_broken_input_is_one_line_and_leaves_no_checkpoint(
    tiny_config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    break_it: Callable[[Path], object],
    message: str,
) -> None:
    break_it(tmp_path)
    assert message in refused(capsys, train(tiny_config, tmp_path / "run"))
    assert not (tmp_path / "run" / "last").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("run.max_stepz=3", "Did you mean 'max_steps'"),
        ("run.max_steps=many", "must be a whole number"),
        ("tokenizer.vocab_size=90000", "vocab_size"),
        ("tokenizer.model=absent.model", "absent.model"),
        ("run.device=cuda:77", "cuda"),
        ("run.max_steps=[1", "not valid YAML"),
        ("search.max_length_b=90000", "there is room for 10000"),
        ("run.seed=-1", "Use 0 or more"),
        ("run.threads=-1", "Use 0 or more"),
        ("optimizer.weight_decay=-1.0", "must not be negative"),
        ("optimizer.learning_rate=.nan", "must be above 0"),
        ("optimizer.warmup_steps=-5", "must not be negative"),
        ("model.dropout=0.999", "not in 0 to 0.9"),
        ("model.embedding_size=9999999999999", "is too large. Use 16384 or less"),
        ("run.seed=9223372036854775808", "is above 9223372036854775807"),
        ("run.threads=1000000", "run.threads: 1000000 is above 1024"),
    ],
)
def test_wrong_settings_are_one_line(
    tiny_config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    override: str,
    message: str,
) -> None:
    assert message in refused(capsys, train(tiny_config, tmp_path / "run", override))


def test_existing_finished_and_locked_runs(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(tiny_config, run, "run.max_steps=4") == 0
    assert train(tiny_config, run, "run.max_steps=4") == 0
    assert "is finished at step 4. Raise run.max_steps" in capsys.readouterr().out
    changed = train(tiny_config, run, "run.max_steps=4", "model.dropout=0.2")
    assert "model.dropout was 0.1 and is 0.2" in refused(capsys, changed)
    assert "Add --resume" in refused(capsys, train(tiny_config, run))
    last = (run / "last").readlink()
    (run / "last").unlink()
    (run / "last").symlink_to("checkpoints/gone")
    for flags in ([], ["--resume"]):
        assert "which is not there" in refused(capsys, train(tiny_config, run, *flags))
    (run / "last").unlink()
    assert f"ln -sfn {last} " in refused(capsys, train(tiny_config, run))
    (run / "last").symlink_to(last)
    for key, before, now in (("model.dropout", "0.1", "0.2"), ("run.batch_tokens", "300", "301")):
        changed = train(tiny_config, run, "--resume", f"{key}={now}")
        assert f"{key} was {before} and is {now}" in refused(capsys, changed)
    with lock_run(run):
        locked = subprocess.run(
            command(tiny_config, run, "--resume"),
            capture_output=True,
            text=True,
            check=False,
        )
    assert locked.returncode == 2
    assert "in use" in locked.stderr


def test_resume_of_an_empty_run_says_so_and_starts(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tiny_config, tmp_path / "run", "--resume", "run.max_steps=4") == 0
    assert "nothing to resume" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "files"), [("train.de", "training"), ("dev.en", "dev")])
def test_changed_data_is_refused_on_resume(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, files: str
) -> None:
    assert train(tiny_config, tmp_path / "run", "run.max_steps=4") == 0
    path = tmp_path / name
    content = path.read_text(encoding="utf-8")
    path.write_text(content.replace("rot", "Hut").replace("red", "hat"), encoding="utf-8")
    capsys.readouterr()
    assert f"the {files} files are not those that the run began with" in refused(
        capsys, train(tiny_config, tmp_path / "run", "--resume")
    )
    path.write_text(content, encoding="utf-8")
    assert train(tiny_config, tmp_path / "run", "--resume", "run.max_steps=5") == 0


def test_data_that_moved_is_the_same_data(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    assert train(tiny_config, run, "run.max_steps=4") == 0
    elsewhere.mkdir()
    for name in ("train.de", "train.en", "dev.de", "dev.en"):
        (tmp_path / name).rename(elsewhere / name)
    moved = (f"data.data_dir={elsewhere}", f"data.cache_dir={elsewhere}/cache")
    assert train(tiny_config, run, "--resume", "run.max_steps=5", *moved) == 0
    stored = load_config(run / "config.yaml")
    assert stored.data.data_dir == elsewhere
    text = (elsewhere / "train.de").read_text(encoding="utf-8")
    (elsewhere / "train.de").write_text(text.replace("rot", "Hut"), encoding="utf-8")
    capsys.readouterr()
    again = train(run / "config.yaml", run, "--resume", "run.max_steps=6")
    assert "the training files are not those" in refused(capsys, again)


def test_every_difference_of_a_resumed_config_is_listed(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tiny_config, tmp_path / "run", "run.max_steps=4") == 0
    capsys.readouterr()
    other = ("run.seed=5", "data.filters.duplicates=true", "objective.rdrop=1")
    heavier = "data.train=[{source: train.de, target: train.en, weight: 2}]"
    said = refused(capsys, train(tiny_config, tmp_path / "run", "--resume", heavier, *other))
    assert (
        "the run was begun with another config: data.train[0].weight was 1.0 and is 2.0; "
        "data.filters.duplicates was False and is True; objective.rdrop was 0.0 and is 1.0; "
        "run.seed was 1 and is 5. Use its own config.yaml, or train into a new --output."
    ) in said


def test_damaged_training_state_is_refused(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(tiny_config, run, "run.max_steps=4") == 0
    path = run / "last" / "training_state" / "state.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    capsys.readouterr()
    assert "state.safetensors" in refused(capsys, train(tiny_config, run, "--resume"))


def test_disk_full_while_saving_keeps_the_last_checkpoint(
    tiny_config: Path, tmp_path: Path
) -> None:
    """A file-size limit stands for the full disk: the kernel refuses the write just the same."""
    run = tmp_path / "run"
    assert train(tiny_config, run, "run.max_steps=4") == 0
    size = (run / "last" / "training_state" / "state.safetensors").stat().st_size
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size // 2}, {size // 2}))\n"
        "from training.train import main\n"
        f"sys.exit(main([{str(tiny_config)!r}, '--output', {str(run)!r}, '--resume']))\n"
    )
    failed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=os.getcwd()
    )
    assert failed.returncode == 2
    assert "cannot save step 8" in failed.stderr.splitlines()[-1]
    assert "Traceback" not in failed.stderr
    assert load_checkpoint(run / "last").step == 4
    assert train(tiny_config, run, "--resume") == 0
    assert load_checkpoint(run / "last").step == 8


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for flag, text in (("--help", "line i of one translates"), ("--version", "dragoman-train 0.")):
        with pytest.raises(SystemExit) as stop:
            main([flag])
        assert stop.value.code == 0
        assert text in capsys.readouterr().out


def test_resolved_config_is_written(tiny_config: Path, tmp_path: Path) -> None:
    assert train(tiny_config, tmp_path / "run", "run.max_steps=4") == 0
    stored = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text(encoding="utf-8"))
    assert stored["run"]["max_steps"] == 4
    assert stored["optimizer"]["schedule"] == "cosine"
    assert json.dumps(stored)  # plain values only
