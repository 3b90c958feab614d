"""`dragoman-average`: the mean of weights, of the right checkpoints, or a clear refusal."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from model.checkpoint.run_directory import point, prune
from model.network.seq2seq import Seq2Seq
from model.translator import Translator
from training.average import main

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
    assert main([str(run), *flags, "--output", str(output)]) == 0
    first, averaged = load_checkpoint(tiny_checkpoint), load_checkpoint(output)
    found = dict(averaged.network.named_parameters())
    for name, parameter in first.network.named_parameters():
        torch.testing.assert_close(found[name], parameter + added)
    assert averaged.tokenizer.model == first.tokenizer.model
    assert len(Translator.load(output).translate(["a house"])) == 1


def test_the_best_are_those_by_the_metric_of_the_run(run: Path, tiny_checkpoint: Path) -> None:
    with (run / "config.yaml").open("a", encoding="utf-8") as file:
        file.write("validation: {best: loss}\n")
    assert main([str(run), "--best", "2", "--output", str(run.parent / "averaged")]) == 0
    first, averaged = load_checkpoint(tiny_checkpoint), load_checkpoint(run.parent / "averaged")
    for one, mean in zip(first.network.parameters(), averaged.network.parameters(), strict=True):
        torch.testing.assert_close(mean, one + 3)  # the means of steps 2 and 3


def test_the_card_tells_what_was_averaged_and_no_foreign_score(run: Path, tmp_path: Path) -> None:
    names = [str(run / "checkpoints" / f"step-00000{step}") for step in (2, 4)]
    assert main([*names, "--output", str(tmp_path / "averaged")]) == 0
    averaged = load_checkpoint(tmp_path / "averaged")
    assert averaged.step == 4
    assert "BLEU" not in averaged.card
    assert "cell: lstm" in averaged.card
    for name in names:
        assert load_checkpoint(Path(name)).digest in averaged.card
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
    assert main([*map(str, (one, sibling)), "--output", str(tmp_path / "averaged")]) == 0
    assert load_checkpoint(tmp_path / "averaged").origin == "a"
    assert main([*map(str, (one, older)), "--output", str(tmp_path / "mixed")]) == 0
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
    assert main([str(run / "last"), str(same), "--output", str(tmp_path / "averaged")]) == 0
