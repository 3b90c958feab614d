"""Where a training that has gone astray goes back to: never to a state that is astray itself."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from model.checkpoint.checkpoint import load_training_meta, save_checkpoint
from model.checkpoint.run_directory import Link, point
from model.text.tokenizer import Tokenizer
from training.config.train_config import load_config
from training.data.training_set import load_training_set, make_loader
from training.loop.divergence import FEWEST
from training.loop.rollback import Rollback, good_checkpoints
from training.loop.trainer import Trainer
from training.system.distributed import World
from training.train import main


def trainer(path: Path, tokenizer: Tokenizer) -> Trainer:
    config = load_config(path, ["run.max_steps=100"])
    model = dataclasses.replace(config.model, vocab_size=tokenizer.vocab_size)
    config = dataclasses.replace(config, model=model)
    data = load_training_set(config.data, tokenizer, max_length=50)
    loader = make_loader(config, data, tokenizer)
    return Trainer(config, loader, device=torch.device("cpu"), dtype=torch.float32, world=World())


def copied(running: Trainer) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in running.state()[0].items()}


def save(running: Trainer, run: Path, tokenizer: Tokenizer, *links: Link) -> dict[str, Tensor]:
    """A checkpoint to which `links` point; its tensors."""
    tensors, values = running.state()
    directory = save_checkpoint(
        run,
        running.steps,
        config=running.config.model,
        weights=running.weights(),
        tokenizer=tokenizer,
        search=running.config.search,
        card="",
        training_state=tensors,
        training_meta={"trainer": values, "best_score": None, "without_better": 0},
    )
    for link in links:
        point(run, link, directory)
    return copied(running)


def assert_stands_at(running: Trainer, expected: dict[str, Tensor]) -> None:
    now = running.state()[0]
    assert now.keys() == expected.keys()
    for name, value in now.items():
        assert torch.equal(value, expected[name]), name


def test_the_beginning_is_kept_until_a_checkpoint_is_good(
    tiny_config: Path, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    running, run = trainer(tiny_config, tiny_tokenizer), tmp_path / "run"
    beginning, batches = copied(running), running.batches()
    rollback = Rollback(running, run, World())
    running.update(next(batches))
    running.divergence.bad = 1
    save(running, run, tiny_tokenizer, "best", "last")
    rollback.saved()
    resumed = trainer(tiny_config, tiny_tokenizer)  # that finds the bad checkpoint
    after_kill = Rollback(resumed, run, World())
    resumed.load_state(*running.state())
    for lost, way in ((running, rollback), (resumed, after_kill)):
        assert "back to the weights of step 0," in way.roll_back()
        assert_stands_at(lost, beginning)
        assert lost.divergence.limit == pytest.approx(1.5 * math.log(tiny_tokenizer.vocab_size) + 1)
    running.update(next(batches))
    good = save(running, run, tiny_tokenizer, "last")
    rollback.saved()
    running.update(next(batches))
    assert "back to the weights of step 2," in rollback.roll_back()
    assert_stands_at(running, good)


def test_a_second_return_in_vain_goes_further_back(
    tiny_config: Path, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    running, run = trainer(tiny_config, tiny_tokenizer), tmp_path / "run"
    batches = running.batches()
    running.divergence.good.extend([6.0] * FEWEST)
    older = save(running, run, tiny_tokenizer, "best")
    running.update(next(batches))
    newer = save(running, run, tiny_tokenizer, "last")
    running.update(next(batches))
    running.divergence.bad = 3
    save(running, run, tiny_tokenizer, "last")
    rollback = Rollback(running, run, World())
    assert "back to the weights of step 1," in rollback.roll_back()
    assert_stands_at(running, newer)
    running.divergence.watch(math.nan)
    assert "back to the weights of step 0," in rollback.roll_back()
    assert_stands_at(running, older)
    running.divergence.watch(2.0)
    assert "back to the weights of step 1," in rollback.roll_back()


def test_what_counts_as_a_good_checkpoint(
    tiny_config: Path, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    running = trainer(tiny_config, tiny_tokenizer)
    for steps, bad, in_vain in ((1, 0, 0), (2, 1, 0), (3, 0, 1), (4, 0, 0), (5, 2, 2), (6, 0, 0)):
        running.steps, running.divergence.bad, running.divergence.in_vain = steps, bad, in_vain
        save(running, tmp_path, tiny_tokenizer, *(("last",) if steps == 5 else ()))
    found = [path.name for path in good_checkpoints(tmp_path)]
    assert found == ["step-000004", "step-000001"]  # a kill has left the sixth


FIXED = ("optimizer.warmup_steps=0", "optimizer.schedule=inverse_sqrt", "run.sample_lines=0")


def test_a_run_that_explodes_at_once_returns_to_its_beginning(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A kill, after a validation that is the best one for want of another, changes nothing."""
    command = [str(tiny_config), "--output", str(tmp_path / "run"), *FIXED]
    command += ["optimizer.learning_rate=1.0e+18", "--resume"]
    assert main([*command, "run.max_steps=5", "run.eval_every=5"]) == 0
    assert load_training_meta(tmp_path / "run" / "best")["trainer"]["guard"]["bad"] == 4
    assert main([*command, "run.max_steps=100", "run.eval_every=100"]) == 2
    said = capsys.readouterr().err
    assert said.count("back to the weights of step 0,") == 3
    assert "after 3 returns to a good state" in said


def test_a_run_that_explodes_later_returns_to_its_last_good_checkpoint(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    command = [str(tiny_config), "--output", str(run), *FIXED, "--resume"]
    assert main([*command, "run.max_steps=30", "run.eval_every=6"]) == 0
    exploding = "optimizer.learning_rate=1000"
    assert main([*command, exploding, "run.max_steps=44", "run.eval_every=4"]) == 0
    said = capsys.readouterr().err
    assert said.count("back to the weights of") == 1
    assert "step 41: 10 updates in a row" in said and "the weights of step 30," in said
    assert (run / "best").resolve().name != "step-000030"
    assert (run / "checkpoints" / "step-000030").exists()


def test_a_validation_of_a_network_that_gives_no_numbers_does_not_end_the_run(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(tiny_config), "--output", str(tmp_path / "run"), *FIXED]
    command += ["optimizer.learning_rate=1.0e+30", "run.eval_every=5", "run.max_steps=12"]
    assert main(command) == 0
    said = capsys.readouterr().err
    assert "step 5  dev loss nan" in said and "back to the weights of step 0," in said
