"""`dragoman-average`: the mean of weights, of the right checkpoints, or a clear refusal."""

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint, replace_calibration, save_checkpoint
from model.checkpoint.run_directory import point, prune
from model.decoding.confidence import Calibration
from model.network.seq2seq import Seq2Seq
from model.translator import Translator
from training.average import main
from training.config.train_config import load_config, save_config
from training.tracking.metrics_log import read_metrics

CARD = "# A card\n\n## Metrics on the dev set\n\n- BLEU 1.00\n\n## Architecture\n\n- cell: lstm\n"


@pytest.fixture
def run(tiny_checkpoint: Path, tiny_config: Path, tmp_path: Path) -> Path:
    """Four checkpoints, steps 1 to 4, whose weights are those of a network plus 1, 2, 4 and 8."""
    model = load_checkpoint(tiny_checkpoint)
    for step in (1, 2, 3, 4):
        directory = save_checkpoint(
            tmp_path / "run",
            step,
            config=model.config,
            weights={n: p + 2 ** (step - 1) for n, p in model.network.named_parameters()},
            tokenizer=model.tokenizer,
            search=model.search,
            card=CARD,
            training_state={"momentum": torch.arange(step)},
            training_meta={"steps": step},
        )
        point(tmp_path / "run", "best" if step == 1 else "last", directory)
        prune(tmp_path / "run", keep=9)
    scores = ((1, 30.0, 4.0), (2, 10.0, 2.0), (3, 20.0, 3.0))
    lines = [{"step": s, "dev_bleu": b, "dev_loss": loss} for s, b, loss in scores]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "run" / "metrics.jsonl").write_text(text, encoding="utf-8")
    tiny_config.rename(tmp_path / "run" / "config.yaml")
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("flags", "added"),
    [([], 15 / 4), (["--last", "2"], 6), (["--last", "3"], 14 / 3), (["--best", "2"], 5 / 2)],
)
def test_weights_are_the_mean_of_the_chosen(
    run: Path, tiny_checkpoint: Path, flags: list[str], added: float
) -> None:
    output = run.parent / "new" / "averaged"
    assert main([str(run), *flags, "--no-compare", "--output", str(output)]) == 0
    first, averaged = load_checkpoint(tiny_checkpoint), load_checkpoint(output)
    found = dict(averaged.network.named_parameters())
    for name, parameter in first.network.named_parameters():
        torch.testing.assert_close(found[name], parameter + added)
    assert averaged.tokenizer.model == first.tokenizer.model
    assert len(Translator.load(output).translate(["a house"])) == 1


def test_the_best_are_those_by_the_metric_of_the_run(run: Path, tiny_checkpoint: Path) -> None:
    with (run / "config.yaml").open("a", encoding="utf-8") as file:
        file.write("validation: {best: loss}\n")
    output = ["--output", str(run.parent / "averaged"), "--no-compare"]
    assert main([str(run), "--best", "2", *output]) == 0
    first, averaged = load_checkpoint(tiny_checkpoint), load_checkpoint(run.parent / "averaged")
    for one, mean in zip(first.network.parameters(), averaged.network.parameters(), strict=True):
        torch.testing.assert_close(mean, one + 3)  # the means of steps 2 and 3


def test_the_card_tells_what_was_averaged_and_no_foreign_score(run: Path, tmp_path: Path) -> None:
    names = [str(run / "checkpoints" / f"step-00000{step}") for step in (2, 4)]
    table = Calibration(metric="chrf", bounds=(), sentences=(8,), quality=(0.5,))
    replace_calibration(Path(names[1]), table)
    assert main([*names, "--no-compare", "--output", str(tmp_path / "averaged")]) == 0
    averaged = load_checkpoint(tmp_path / "averaged")
    assert averaged.step == 4
    assert "BLEU" not in averaged.card
    assert "Not measured." in averaged.card
    assert "cell: lstm" in averaged.card
    for name in names:
        assert load_checkpoint(Path(name)).digest in averaged.card
    assert averaged.calibration is None
    assert load_checkpoint(Path(names[1])).calibration == table
    assert not (tmp_path / "averaged" / "training_state").exists()  # nothing to go on with


def refusal(capsys: pytest.CaptureFixture[str], *flags: str | Path) -> str:
    assert main([str(flag) for flag in flags]) == 2
    (message,) = capsys.readouterr().err.splitlines()
    return message


def test_refusals_name_the_mend(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = ("--output", run.parent / "averaged")
    assert "Ask for fewer" in refusal(capsys, run, "--last", "5", *output)
    assert "3 checkpoints to choose from" in refusal(capsys, run, "--best", "4", *output)
    assert "of one RUN" in refusal(capsys, run / "best", "--last", "2", *output)
    assert "two or more" in refusal(capsys, run, "--last", "1", *output)
    assert "does not exist" in refusal(capsys, run / "best", run / "absent", *output)
    assert "exists" in refusal(capsys, run, "--output", run.parent)
    (run / "metrics.jsonl").unlink()
    assert "Use --last" in refusal(capsys, run, "--best", "2", *output)
    assert not (run.parent / "averaged").exists()


def test_unrelated_networks_are_refused_and_what_has_one_origin_or_tells_none_is_not(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_checkpoint(tiny_checkpoint)

    def saved(name: str, origin: str | None) -> Path:
        return save_checkpoint(
            tmp_path / name,
            5,
            config=model.config,
            weights=dict(model.network.named_parameters()),
            tokenizer=model.tokenizer,
            search=model.search,
            card=CARD,
            training_state=None,
            training_meta=None,
            origin=origin,
        )

    one, sibling, other = saved("one", "a"), saved("sibling", "a"), saved("other", "b")
    older = saved("older", None)
    message = refusal(capsys, one, sibling, other, "--output", tmp_path / "averaged")
    assert f"{sibling}, {other}: of trainings that began with other random weights" in message
    assert not (tmp_path / "averaged").exists()
    flags = ["--no-compare", "--output"]
    assert main([*map(str, (one, sibling)), *flags, str(tmp_path / "averaged")]) == 0
    assert load_checkpoint(tmp_path / "averaged").origin == "a"
    assert main([*map(str, (one, older)), *flags, str(tmp_path / "mixed")]) == 0
    assert load_checkpoint(tmp_path / "mixed").origin is None


def test_another_architecture_is_refused_and_other_dropout_is_not(
    run: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = load_checkpoint(tiny_checkpoint)

    def saved(name: str, change: Callable[[Seq2Seq], Seq2Seq]) -> Path:
        network = change(model.network)
        return save_checkpoint(
            tmp_path / name,
            5,
            config=network.config,
            weights=dict(network.named_parameters()),
            tokenizer=model.tokenizer,
            search=model.search,
            card=CARD,
            training_state=None,
            training_meta=None,
        )

    def changed(name: str, value: object) -> Callable[[Seq2Seq], Seq2Seq]:
        return lambda old: Seq2Seq(dataclasses.replace(old.config, **{name: value}))  # type: ignore[arg-type]

    wider = saved("wider", changed("decoder_size", 12))
    message = refusal(capsys, run / "last", wider, "--output", tmp_path / "averaged")
    assert "model.decoder_size is 8, not 12" in message
    same = saved("same", changed("dropout", 0.0))
    output = ["--output", str(tmp_path / "averaged"), "--no-compare"]
    assert main([str(run / "last"), str(same), *output]) == 0


def around(begun: Path, copy: Path, best_sign: float) -> tuple[Path, Path]:
    """A copy of a trained run by the metric loss, and two checkpoints on both sides of its own.

    The mean of both is what was trained. If `best_sign` is 0, the best of the run is that too.
    """
    run = copy / "run"
    shutil.copytree(begun / "run", run, symlinks=True)
    config = load_config(run / "config.yaml", ["validation.best=loss"])
    save_config(config, run / "config.yaml")
    trained = load_checkpoint(run)
    torch.manual_seed(1)
    noise = {n: 0.3 * torch.randn_like(p) for n, p in trained.network.named_parameters()}

    def saved(step: int, sign: float) -> Path:
        return save_checkpoint(
            run,
            step,
            config=trained.config,
            weights={n: p + sign * noise[n] for n, p in trained.network.named_parameters()},
            tokenizer=trained.tokenizer,
            search=trained.search,
            profile=trained.profile,
            card=trained.card,
            training_state=None,
            training_meta=None,
        )

    one, other = saved(11, 1), saved(12, -1 if best_sign else 0.5)
    if best_sign:
        point(run, "best", one)
    return one, other


def numbers(line: str) -> dict[str, float]:
    found = re.findall(r"(loss|BLEU|chrF) (\d+\.\d+)", line)
    return {name: float(value) for name, value in found}


def test_an_average_is_measured_beside_the_best(
    begun_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its figures are those of the validation, when these weights were trained."""
    one, other = around(begun_run, tmp_path, 1)
    output = tmp_path / "averaged"
    capsys.readouterr()
    assert main([str(one), str(other), "--output", str(output), "--device", "cpu"]) == 0
    captured = capsys.readouterr()
    _, where, average, best = captured.out.splitlines()
    assert where == f"on the dev set of {tmp_path / 'run'}, 8 lines:"
    assert best.endswith(str(one))
    lines = read_metrics(begun_run / "run" / "metrics.jsonl")
    (validated,) = (line for line in lines if "dev_loss" in line)
    found = numbers(average)
    for label, name in (("loss", "dev_loss"), ("BLEU", "dev_bleu"), ("chrF", "dev_chrf")):
        assert found[label] == pytest.approx(validated[name], abs=6e-3)
    assert found["loss"] < numbers(best)["loss"]
    assert "warning" not in captured.err
    card = load_checkpoint(output).card
    assert f"- Perplexity {validated['dev_ppl']:.2f} a piece" in card
    assert "Not measured." not in card
    trained = load_checkpoint(begun_run / "run").calibration
    averaged = load_checkpoint(output).calibration
    assert trained is not None and averaged is not None
    assert averaged.quality == pytest.approx(trained.quality, abs=1e-4)


def test_a_worse_average_is_written_with_a_warning(
    begun_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = around(begun_run, tmp_path, 0)
    best = (tmp_path / "run" / "best").resolve()
    output = tmp_path / "averaged"
    capsys.readouterr()
    assert main([str(one), str(other), "--output", str(output), "--device", "cpu"]) == 0
    captured = capsys.readouterr()
    found = [numbers(line)["loss"] for line in captured.out.splitlines()[2:]]
    assert found[0] > found[1]
    warning = captured.err.splitlines()[-1]
    assert warning.startswith(
        f"dragoman-average: warning: the average is worse than {best} by loss, {found[0]:.3f} "
        f"against {found[1]:.3f}. Use that checkpoint, or "
    )
    assert load_checkpoint(output).step == 12


def test_an_average_without_a_dev_set_is_written_all_the_same(
    begun_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = around(begun_run, tmp_path, 1)
    config = load_config(tmp_path / "run" / "config.yaml", ["data.dev.source=moved.de"])
    save_config(config, tmp_path / "run" / "config.yaml")

    def warned(first: Path, second: Path, name: str) -> str:
        capsys.readouterr()
        assert main([str(first), str(second), "--output", str(tmp_path / name)]) == 0
        assert "Not measured." in load_checkpoint(tmp_path / name).card
        captured = capsys.readouterr()
        assert captured.out.count("\n") == 1
        return captured.err.splitlines()[-1]

    message = "dragoman-average: warning: not compared with the best checkpoint: "
    assert warned(one, other, "a").startswith(f"{message}{begun_run / 'moved.de'}: no such file.")
    assert warned(one, tmp_path / "a", "b") == (
        f"{message}{tmp_path / 'a'}: not in a run whose config.yaml names a dev set."
    )
