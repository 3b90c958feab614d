"""Explaining a spike: the pairs that are named are those of the batch."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from model.text.tokenizer import Tokenizer
from training.config.train_config import load_config
from training.data.training_set import load_training_set, make_loader
from training.loop.explain_spike import SNIPPET, explain_spike
from training.loop.loss_spikes import Spike
from training.loop.trainer import Trainer
from training.losses.pair_losses import pair_losses
from training.system.distributed import World

NONSENSE = "}{" * 11


@pytest.fixture
def trainer(tiny_config: Path, tiny_tokenizer: Tokenizer) -> Trainer:
    """Of two corpora; line 41 of the second is nonsense, and longer than a snippet on one side."""
    for language, text in (("de", "ein " * 60), ("en", NONSENSE)):
        path = tiny_config.with_name(f"train.{language}")
        lines = path.read_text(encoding="utf-8").splitlines()
        lines[40] = text
        text = "\n".join(lines) + "\n"
        tiny_config.with_name(f"second.{language}").write_text(text, encoding="utf-8")
    corpora = (
        "data.train=[{source: train.de, target: train.en}, {source: second.de, target: second.en}]"
    )
    config = load_config(tiny_config, [corpora, "run.batch_tokens=900"])
    model = dataclasses.replace(config.model, vocab_size=tiny_tokenizer.vocab_size)
    config = dataclasses.replace(config, model=model)
    data = load_training_set(config.data, tiny_tokenizer, max_length=200)
    loader = make_loader(config, data, tiny_tokenizer)
    return Trainer(config, loader, device=torch.device("cpu"), dtype=torch.float32, world=World())


@pytest.mark.parametrize("joined", [0.0, 0.5])
def test_origins_are_the_pairs_of_the_batch(trainer: Trainer, joined: float) -> None:
    """Compared by the ids in the corpus, where no piece is hidden and none drawn anew."""
    loader = trainer.loader
    loader.sampler = None
    loader.settings = dataclasses.replace(loader.settings, word_dropout=0.0, joined=joined)
    seen: list[tuple[int, int]] = []
    lines = 0
    batches = loader.batches()
    total = sum(loader.sizes)
    while len(seen) < total:
        rows = next(batches)
        lines += len(rows.sources)
        sides = [[list[int]() for _ in rows.sources] for _ in "st"]
        for corpus, row, place in zip(*loader.origins(), strict=True):
            pair = loader.corpora[corpus].cached.read(int(row), int(row) + 1)
            sides[0][place] += pair.source.ids.tolist()
            sides[1][place] += pair.target.ids.tolist()
            seen.append((int(corpus), int(row)))
        assert sides == [[ids.tolist() for ids in side] for side in (rows.sources, rows.targets)]
    assert len(set(seen)) == len(seen) == total
    assert (lines < total) == (joined > 0)


def test_losses_of_pairs_add_up_to_that_of_the_batch(trainer: Trainer) -> None:
    rows = next(trainer.batches())
    losses = pair_losses(trainer.network, rows)

    assert trainer.network.training
    singly = [
        pair_losses(trainer.network, rows.only(np.array([place])))[0]
        for place in range(len(rows.sources))
    ]
    assert losses == pytest.approx(singly, rel=1e-4)
    guess = np.log(trainer.config.model.vocab_size)  # new weights know nothing
    assert losses.mean() == pytest.approx(guess, rel=0.1)


def test_the_hardest_and_the_longest_pair_are_named(
    trainer: Trainer, tiny_tokenizer: Tokenizer
) -> None:
    spike = Spike("loss", usual=2.0, excess=9.0)
    batches = trainer.batches()
    for _ in range(30):  # until ordinary words are more likely than nonsense
        trainer.update(next(batches))
    while True:
        rows = next(batches)
        update = trainer.update(rows)
        row = explain_spike(
            spike,
            update,
            rows,
            step=trainer.steps,
            network=trainer.network,
            loader=trainer.loader,
            tokenizer=tiny_tokenizer,
            names=["first", "second"],
        )
        assert sum(map(len, row["pairs"].values())) == len(rows.sources)
        if 41 in row["pairs"].get("second", []):
            break
    assert (row["step"], row["nll"], row["usual"]) == (trainer.steps, update.nll, 2.0)
    for pair in (row["hardest"], row["longest"]):
        assert (pair["corpus"], pair["number"], pair["target"]) == ("second", 41, NONSENSE)
        assert len(pair["source"]) == SNIPPET and pair["source"].endswith("ein…")
        assert pair["nll"] is not None and pair["nll"] > update.nll
