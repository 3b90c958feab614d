"""One update of the trainer, against the update written out, and its guards."""

import dataclasses
from pathlib import Path

import pytest
import torch

from model.text.tokenizer import Tokenizer
from training.batching import Rows, collate
from training.config import load_config
from training.corpus import encode_corpus, read_pairs
from training.distributed import World
from training.trainer import MAX_SKIPPED, Trainer, TrainingDiverged


def trainer(path: Path, tokenizer: Tokenizer, *overrides: str) -> Trainer:
    config = load_config(path, ["tokenizer.sampling=0.0", *overrides])
    model = dataclasses.replace(config.model, vocab_size=tokenizer.vocab_size)
    config = dataclasses.replace(config, model=model)
    pairs = read_pairs(config.data.train, config.data)
    corpus = encode_corpus(pairs, tokenizer, max_length=50)
    return Trainer(
        config, corpus, tokenizer, device=torch.device("cpu"), dtype=torch.float32, world=World()
    )


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
    loss = two.loss(batch, smoothing=0.1).smoothed / len(batch.tgt_out)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(two.network.parameters(), 0.5)
    reference.step()
    for mine, expected in zip(one.parameters, two.parameters, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-6)
    assert update.learning_rate == pytest.approx(0.005)  # half-way up the warm-up of 2
    assert update.loss == pytest.approx(loss.item())
    assert (update.source_tokens, update.target_tokens) == (
        batch.source_tokens,
        len(batch.tgt_out),
    )


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


def test_a_non_finite_loss_changes_nothing_and_many_in_a_row_stop_the_run(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    broken = trainer(tiny_config, tiny_tokenizer)
    batches = broken.batches()
    broken.update(next(batches))
    with torch.no_grad():
        broken.network.output.bias[5] = torch.inf
    before = [p.detach().clone() for p in broken.parameters]
    for _ in range(MAX_SKIPPED - 1):
        broken.update(next(batches))
    assert broken.skipped == MAX_SKIPPED - 1
    for parameter, old in zip(broken.parameters, before, strict=True):
        assert torch.equal(parameter, old)
    with pytest.raises(TrainingDiverged, match=r"Lower optimizer\.learning_rate"):
        broken.update(next(batches))


def test_one_bad_update_is_counted_and_forgiven(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    running = trainer(tiny_config, tiny_tokenizer)
    batches = running.batches()
    good = running.network.output.bias.detach().clone()
    with torch.no_grad():
        running.network.output.bias[5] = torch.nan
    running.update(next(batches))
    with torch.no_grad():
        running.network.output.bias.copy_(good)
    running.update(next(batches))
    assert (running.skipped, running.skipped_in_a_row) == (1, 0)


def test_an_epoch_uses_every_pair_once_and_the_next_is_shuffled(
    tiny_config: Path, tiny_tokenizer: Tokenizer
) -> None:
    running = trainer(tiny_config, tiny_tokenizer)
    batches, first = running.batches(), next(running.batches())
    running.batches_done = 0
    seen: list[Rows] = []
    while sum(len(rows.sources) for rows in seen) < len(running.corpus.sources):
        seen.append(next(batches))
    assert lines(*seen) == sorted(ids.tobytes() for ids in running.corpus.targets)
    assert lines(seen[0]) == lines(first)
    second = next(batches)
    assert running.epoch == 1
    assert not any(lines(second) == lines(rows) for rows in seen)


def lines(*batches: Rows) -> list[bytes]:
    """The targets of these batches, in an order of their own."""
    return sorted(ids.tobytes() for rows in batches for ids in rows.targets)
