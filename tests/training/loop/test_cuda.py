"""Training on a GPU: its gradients beside the CPU's, resuming, and running out of memory."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from model.network.cells import RecurrentLayer
from model.text.tokenizer import Tokenizer
from training.config.train_config import TrainConfig, load_config
from training.data.batching import Rows, collate
from training.data.training_set import load_training_set, make_loader
from training.loop.trainer import BatchTooLarge, Trainer
from training.losses.batch_loss import BatchLoss, Objective
from training.system.distributed import World

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
DTYPES = [torch.float32, torch.bfloat16]


def trainer(
    path: Path, tokenizer: Tokenizer, device: str, dtype: torch.dtype, *overrides: str
) -> Trainer:
    config: TrainConfig = load_config(path, list(overrides))
    model = dataclasses.replace(config.model, vocab_size=tokenizer.vocab_size)
    config = dataclasses.replace(config, model=model)
    data = load_training_set(config.data, tokenizer, max_length=50)
    loader = make_loader(config, data, tokenizer)
    return Trainer(config, loader, device=torch.device(device), dtype=dtype, world=World())


def gradients(of: Trainer, dtype: torch.dtype) -> Tensor:
    of.network.zero_grad(set_to_none=True)
    loss = BatchLoss(of.network, Objective(smoothing=0.1), dtype)
    batch = collate(next(of.batches())).to(of.device)
    (loss(batch, 1).smoothed / len(batch.tgt_out)).backward()
    found = [p.grad.double().cpu().flatten() for p in of.parameters if p.grad is not None]
    assert len(found) == len(of.parameters)
    return torch.cat(found)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("feeding", ["true", "false"])
def test_gradients_are_those_of_the_cpu(
    tiny_config: Path, tiny_tokenizer: Tokenizer, feeding: str, cell: str, dtype: torch.dtype
) -> None:
    overrides = [f"model.input_feeding={feeding}", f"model.cell={cell}"]
    overrides += ["model.dropout=0", "model.embedding_dropout=0"]
    expected = trainer(tiny_config, tiny_tokenizer, "cpu", torch.float32, *overrides)
    there = trainer(tiny_config, tiny_tokenizer, "cuda", dtype, *overrides)
    there.roll_back(expected.state()[0], [])
    found, exact = gradients(there, dtype), gradients(expected, torch.float32)
    # The recurrent kernels multiply in TF32, with ten bits, also in fp32.
    assert (found - exact).norm() < (0.05 if dtype == torch.bfloat16 else 0.005) * exact.norm()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_truncated_gradients_are_those_of_the_cpu(
    tiny_config: Path, tiny_tokenizer: Tokenizer, cell: str, dtype: torch.dtype
) -> None:
    overrides = [f"model.cell={cell}", "model.encoder_layers=2", "run.truncated_bptt=3"]
    overrides += ["model.dropout=0", "model.embedding_dropout=0"]
    expected = trainer(tiny_config, tiny_tokenizer, "cpu", torch.float32, *overrides)
    there = trainer(tiny_config, tiny_tokenizer, "cuda", dtype, *overrides)
    there.roll_back(expected.state()[0], [])
    found, exact = gradients(there, dtype), gradients(expected, torch.float32)
    assert (found - exact).norm() < (0.05 if dtype == torch.bfloat16 else 0.005) * exact.norm()


def test_recurrent_kernels_are_not_in_fp16() -> None:
    layer = RecurrentLayer("lstm", 8, 16).cuda()
    x = torch.randn(2, 3, 8, device="cuda")
    with torch.autocast("cuda", dtype=torch.bfloat16):
        assert layer.sequence(x).dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_resumed_run_goes_on_with_the_next_batch(
    tiny_config: Path, tiny_tokenizer: Tokenizer, dtype: torch.dtype
) -> None:
    whole = trainer(tiny_config, tiny_tokenizer, "cuda", dtype)
    batches = whole.batches()
    for _ in range(3):
        whole.update(next(batches))
    tensors, values = whole.state()
    rest = [whole.update(next(batches)) for _ in range(5)]
    resumed = trainer(tiny_config, tiny_tokenizer, "cuda", dtype)
    resumed.load_state(tensors, values)
    batches = resumed.batches()
    again = [resumed.update(next(batches)) for _ in range(5)]
    assert resumed.steps == whole.steps == 8
    assert resumed.loader.position == whole.loader.position
    for mine, theirs in zip(again, rest, strict=True):
        assert mine.source_tokens == theirs.source_tokens
        assert mine.loss == pytest.approx(theirs.loss, rel=0.02)


def test_an_update_that_does_not_fit_says_so(tiny_config: Path, tiny_tokenizer: Tokenizer) -> None:
    small = trainer(tiny_config, tiny_tokenizer, "cuda", torch.bfloat16)
    batches = small.batches()
    small.update(next(batches))
    few = next(batches)
    many = Rows(few.sources * 999, few.targets * 999, few.weights.repeat(999), few.inputs * 999)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-6)
    try:
        with pytest.raises(BatchTooLarge, match="step 2: no memory left for a batch of"):
            small.update(many)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
