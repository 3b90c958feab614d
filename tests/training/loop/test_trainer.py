"""One update of the trainer, against the update written out, and what it refuses."""

import dataclasses
import math
import resource
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from model.text.tokenizer import Tokenizer
from training.config.train_config import load_config
from training.data.batching import Rows, collate
from training.data.position import Position
from training.data.training_set import load_training_set, make_loader
from training.loop.divergence import IN_A_ROW
from training.loop.gradient_accumulation import part_seed
from training.loop.trainer import BatchTooLarge, Trainer
from training.system.distributed import World


def trainer(path: Path, tokenizer: Tokenizer, *overrides: str) -> Trainer:
    config = load_config(path, ["tokenizer.sampling=0.0", *overrides])
    model = dataclasses.replace(config.model, vocab_size=tokenizer.vocab_size)
    config = dataclasses.replace(config, model=model)
    data = load_training_set(config.data, tokenizer, max_length=50)
    loader = make_loader(config, data, tokenizer)
    return Trainer(config, loader, device=torch.device("cpu"), dtype=torch.float32, world=World())


def test_an_update_is_clipped_adamw_on_the_mean_loss(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    settings = ("model.dropout=0.0", "model.embedding_dropout=0.0", "model.word_dropout=0.0")
    one = trainer(tiny_config, tiny_tokenizer, *settings, "optimizer.clip_norm=0.5")
    two = trainer(tiny_config, tiny_tokenizer, *settings)
    rows = next(one.batches())
    update, batch = one.update(rows), collate(rows)
    reference = torch.optim.AdamW(
        two.network.parameters(), lr=0.005, betas=(0.9, 0.98), weight_decay=0.01
    )
    loss = two.accumulation.loss(batch, 1).smoothed / len(batch.tgt_out)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(two.network.parameters(), 0.5)
    reference.step()
    for mine, expected in zip(one.parameters, two.parameters, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-6)
    assert update.learning_rate == pytest.approx(0.005)  # half-way up the warm-up of 2
    assert update.loss == pytest.approx(loss.item())
    assert update.source_tokens == (batch.src_lengths - 1).sum()
    assert update.target_tokens == len(batch.tgt_out)


def test_moving_average_follows_its_definition(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    running = trainer(tiny_config, tiny_tokenizer, "optimizer.ema=0.5")
    expected = [p.detach().clone() for p in running.parameters]
    batches = running.batches()
    for step in (1, 2, 3, 4, 5):
        running.update(next(batches))
        decay = min(0.5, (1 + step) / (10 + step))
        expected = [
            decay * old + (1 - decay) * new.detach()
            for old, new in zip(expected, running.parameters, strict=True)
        ]
    for average, wanted in zip(running.average, expected, strict=True):
        torch.testing.assert_close(average, wanted)
    served = dict(running.averaged().named_parameters())
    for name, value in running.weights().items():
        assert torch.equal(served[name], value)


def test_a_non_finite_loss_changes_nothing_and_is_counted(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    broken = trainer(tiny_config, tiny_tokenizer)
    batches = broken.batches()
    broken.update(next(batches))
    good = broken.network.output.bias.detach().clone()
    with torch.no_grad():
        broken.network.output.bias[5] = torch.inf
    before = [p.detach().clone() for p in broken.parameters]
    for _ in range(IN_A_ROW - 1):
        broken.update(next(batches))
    assert broken.skipped == IN_A_ROW - 1
    assert not broken.divergence.diverged
    for parameter, old in zip(broken.parameters, before, strict=True):
        assert torch.equal(parameter, old)
    broken.update(next(batches))
    assert broken.divergence.diverged
    with torch.no_grad():
        broken.network.output.bias.copy_(good)
    broken.update(next(batches))
    assert (broken.skipped, broken.divergence.bad) == (IN_A_ROW, 0)


@pytest.mark.parametrize(
    "change", ["input_feeding=false", "input_feeding=true", "truncated_bptt=3"]
)
def test_accumulated_parts_give_the_gradients_of_the_whole(
    tiny_config: Path, tiny_tokenizer: Tokenizer, change: str
) -> None:
    settings = ["model.dropout=0.0", "model.embedding_dropout=0.0", "model.word_dropout=0.0"]
    settings.append(f"run.{change}" if "bptt" in change else f"model.{change}")
    whole = trainer(tiny_config, tiny_tokenizer, *settings)
    rows = next(whole.batches())
    rows = rows._replace(weights=np.linspace(0, 2, len(rows.sources), dtype=np.float32))
    update = whole.update(rows)
    for accumulate in (3, 40):  # of 40 parts, some are empty
        parts = trainer(tiny_config, tiny_tokenizer, *settings, f"run.accumulate={accumulate}")
        other = parts.update(rows)
        assert other == pytest.approx(update, rel=1e-5)
        for mine, expected in zip(parts.parameters, whole.parameters, strict=True):
            assert mine.grad is not None and expected.grad is not None
            torch.testing.assert_close(mine.grad, expected.grad, rtol=1e-4, atol=1e-6)


def test_gradients_are_truncated_in_training_and_nothing_else_is(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    full = trainer(tiny_config, tiny_tokenizer)
    truncated = trainer(tiny_config, tiny_tokenizer, "run.truncated_bptt=3")
    rows = next(full.batches())
    first, second = full.update(rows), truncated.update(rows)
    assert second.loss == pytest.approx(first.loss, rel=1e-6)  # before the update
    assert second.gradient_norm != pytest.approx(first.gradient_norm, rel=1e-4)
    assert truncated.averaged().encoder.truncated_bptt == 0
    assert full.network.encoder.truncated_bptt == 0


def test_dropout_depends_on_seed_step_and_part_alone(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    one, two = (trainer(tiny_config, tiny_tokenizer, "run.accumulate=2") for _ in range(2))
    rows = next(one.batches())
    torch.rand(5)  # what else draws numbers does not matter
    first = one.accumulation.gradients(rows, step=1)
    torch.rand(3)
    assert torch.equal(first, two.accumulation.gradients(rows, step=1))
    assert not torch.equal(first, two.accumulation.gradients(rows, step=2))
    assert len({part_seed(s, t, n) for s in (1, 2) for t in (1, 2) for n in (0, 1)}) == 8


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of address space")
def test_a_batch_that_does_not_fit_is_described_and_the_trainer_goes_on(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    running = trainer(tiny_config, tiny_tokenizer, "run.accumulate=2", "model.input_feeding=false")
    small = next(running.batches())
    running.update(small)
    long = np.full(60, 5, np.int32)
    large = Rows.unweighted([long] * 40_000, [long] * 40_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 100_000_000, hard))
    try:
        with pytest.raises(BatchTooLarge) as raised:
            running.update(large)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    message = str(raised.value)
    told = "step 2: no memory left for a batch of 40,000 pairs with 2,400,000 + 2,440,000 pieces"
    assert told in message
    assert "run.accumulate=4" in message
    assert math.isfinite(running.update(small).loss)


def test_a_return_restores_weights_and_optimizer_and_halves_the_rate(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    running = trainer(tiny_config, tiny_tokenizer, "run.max_steps=100", "optimizer.warmup_steps=0")
    batches = running.batches()
    running.update(next(batches))
    saved = {name: value.clone() for name, value in running.state()[0].items()}
    rate = running.update(next(batches)).learning_rate
    position = running.loader.position
    running.roll_back(saved, [])
    for name, value in running.state()[0].items():
        assert torch.equal(value, saved[name]), name
    assert (running.steps, running.loader.position) == (2, position)
    assert running.update(next(batches)).learning_rate == pytest.approx(rate / 2, rel=0.01)


def test_an_epoch_uses_every_pair_once_and_the_next_is_shuffled(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    running = trainer(tiny_config, tiny_tokenizer)
    batches, first = running.batches(), next(running.batches())
    running.loader.position = Position()
    seen: list[Rows] = []
    while sum(len(rows.sources) for rows in seen) < sum(running.loader.sizes):
        seen.append(next(batches))
    assert sorted(lines(*seen)) == sorted(lines(running.loader.window(0, 0)))
    assert lines(seen[0]) == lines(first)
    second = next(batches)
    assert running.loader.position.epoch == 1
    assert not any(lines(second) == lines(rows) for rows in seen)


def lines(*batches: Rows) -> list[bytes]:
    """The targets of these batches, in their order."""
    return [ids.tobytes() for rows in batches for ids in rows.targets]
