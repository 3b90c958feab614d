"""Training on a GPU: what comes out beside the CPU's float64, speed, and the share of the peak."""

import itertools
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.gpu_limits import Limits, wait_for
from benchmarks.training_profile import weight_operations
from model.decoding.precision.precision import precision_of
from model.text.tokenizer import Tokenizer
from training.config.train_config import TrainConfig, load_config
from training.data.batching import Rows, collate
from training.data.learn_tokenizer import make_tokenizer
from training.data.training_set import load_training_set, make_loader
from training.loop.trainer import Trainer, Update
from training.losses.batch_loss import BatchLoss, Objective
from training.system.distributed import World

NETWORKS = {  # layers, width, vocabulary, input feeding
    "2+2x512": (2, 512, 8_000, True),
    "2+2x512, no feeding": (2, 512, 8_000, False),
    "GNMT 4+4x1024": (4, 1024, 32_000, False),
}
TINY = {"1+1x32": (1, 32, 1_000, True), "2+2x32": (2, 32, 2_000, False)}
BATCH_TOKENS = (8_192, 32_768, 131_072)
WARM_UP, COUNTED = 4, 9
PUBLISHED = 140_909  # source + target tokens/s of GNMT v2 on one A100, mixed precision, by NVIDIA
HEADER = (
    *("training", "precision", "batch tokens", "pairs", "tokens/s", "ms/update", "of it data"),
    *("share of peak", "GB", "x NVIDIA's A100"),
)
CONFIG = """
data:
  data_dir: {folder}
  cache_dir: {folder}/cache
  train: [{{source: train.de, target: train.en}}]
  dev: {{source: train.de, target: train.en}}
  source_language: ""
  target_language: ""
  license: CC0
  attribution: nobody
tokenizer: {{vocab_size: 900}}
model: {{dropout: 0.2, embedding_dropout: 0.1}}
optimizer: {{learning_rate: 0.002, warmup_steps: 20}}
run: {{max_steps: 1000, threads: 0}}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """A corpus of random words, its tokenizer, and the device."""

    config: TrainConfig
    tokenizer: Tokenizer
    device: torch.device
    deadline: float
    """By `time.monotonic`: what comes later is left out."""

    def trainer(self, name: str, tokens: int, dtype: torch.dtype, *, dropout: bool) -> Trainer:
        """Of the network `name`; the vocabulary is as large as it says."""
        layers, size, vocabulary, feeding = (NETWORKS | TINY)[name]
        model = replace(
            self.config.model,
            vocab_size=max(vocabulary, self.tokenizer.vocab_size),
            embedding_size=size,
            encoder_layers=layers,
            encoder_size=size,
            decoder_layers=layers,
            decoder_size=size,
            input_feeding=feeding,
            tie_embeddings=not feeding,
        )
        if not dropout:
            model = replace(model, dropout=0.0, embedding_dropout=0.0)
        run = replace(self.config.run, batch_tokens=tokens)
        config = replace(self.config, model=model, run=run)
        data = load_training_set(config.data, self.tokenizer, max_length=model.max_length)
        loader = make_loader(config, data, self.tokenizer)
        return Trainer(config, loader, device=self.device, dtype=dtype, world=World())


def make_bench(folder: Path, device: torch.device, *, pairs: int, deadline: float) -> Bench:
    """Write the corpus into `folder`: lengths like those of news, targets that can be learned."""
    chance = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=2)) for _ in range(300)]
    sides: dict[str, list[str]] = {"de": [], "en": []}
    for _ in range(pairs):
        length = min(max(int(chance.lognormvariate(3.0, 0.5)), 2), 80)
        source = chance.choices(words, k=length)
        sides["de"].append(" ".join(source) + "\n")
        sides["en"].append(" ".join(word[::-1] for word in source) + "\n")
    for side, lines in sides.items():
        (folder / f"train.{side}").write_text("".join(lines), encoding="utf-8")
    path = folder / "config.yaml"
    path.write_text(CONFIG.format(folder=folder), encoding="utf-8")
    config = load_config(path, [])
    return Bench(config=config, tokenizer=make_tokenizer(config), device=device, deadline=deadline)


def gradients(trainer: Trainer, rows: Rows, dtype: torch.dtype) -> tuple[Tensor, float]:
    """All gradients of the mean loss in one vector on the CPU, and that loss."""
    trainer.network.zero_grad(set_to_none=True)
    loss = BatchLoss(trainer.network, Objective(smoothing=0.1), dtype)
    batch = collate(rows).to(trainer.device)
    smoothed = loss(batch, 1).smoothed / len(batch.tgt_out)
    smoothed.backward()
    grads = [
        p.grad.detach().double().cpu().flatten() for p in trainer.parameters if p.grad is not None
    ]
    return torch.cat(grads), float(smoothed.detach())


def check_rows(bench: Bench, name: str, *, tokens: int, steps: int) -> Iterator[list[str]]:
    """Gradients beside those of float64 on the CPU, learning, and resuming."""
    reference = bench.trainer(name, tokens, torch.float32, dropout=False)
    rows = next(reference.batches())
    state, _ = reference.state()
    on_cpu = replace(bench, device=torch.device("cpu")).trainer(
        name, tokens, torch.float32, dropout=False
    )
    on_cpu.roll_back(state, [])
    on_cpu.network.double()
    expected, loss = gradients(on_cpu, rows, torch.float32)
    for dtype in (torch.float32, torch.bfloat16):
        found, value = gradients(reference, rows, dtype)
        apart = float((found - expected).norm() / expected.norm())
        yield [
            f"{name}, {precision_of(dtype)}: gradients beside float64",
            f"differ by {apart:.1e} of their norm; loss {value:.5f} beside {loss:.5f}",
        ]
    for dtype in (torch.float32, torch.bfloat16):
        yield [
            f"{name}, {precision_of(dtype)}: {steps} updates",
            learning(bench, name, dtype, tokens, steps),
        ]


def learning(bench: Bench, name: str, dtype: torch.dtype, tokens: int, steps: int) -> str:
    """The loss of an uninterrupted run, and of one that was saved in the middle and went on."""
    whole = bench.trainer(name, tokens, dtype, dropout=True)
    batches = whole.batches()
    first = [whole.update(next(batches)) for _ in range(steps // 2)]
    tensors, values = whole.state()
    tensors = {key: value.clone() for key, value in tensors.items()}  # these are still trained
    rest = [whole.update(next(batches)) for _ in range(steps - steps // 2)]
    resumed = bench.trainer(name, tokens, dtype, dropout=True)
    resumed.load_state(tensors, values)
    batches = resumed.batches()
    again = [resumed.update(next(batches)) for _ in rest]
    same_data = [(u.source_tokens, u.target_tokens) for u in rest] == [
        (u.source_tokens, u.target_tokens) for u in again
    ]
    apart = max(abs(a.loss - b.loss) for a, b in zip(rest, again, strict=True))
    return (
        f"nll {first[0].nll:.3f} -> {rest[-1].nll:.3f}, {whole.skipped} left out; resumed: "
        f"{'the same data' if same_data else 'OTHER DATA'}, losses differ by {apart:.1e} at most"
    )


def speed_row(
    bench: Bench, name: str, dtype: torch.dtype, tokens: int, limits: Limits
) -> list[str]:
    """A line of the table: whole updates, with what the host does for their data."""
    if time.monotonic() > bench.deadline:
        return [name, precision_of(dtype), f"{tokens:,}", "left out: no time", *[""] * 6]
    trainer = bench.trainer(name, tokens, dtype, dropout=True)
    batches = trainer.batches()
    for rows in itertools.islice(batches, WARM_UP):
        trainer.update(rows)
    if bench.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(bench.device)
    taken, waited, done = [], [], list[Update]()
    pairs = 0
    for _ in range(COUNTED):
        wait_for(bench.device)
        started = time.perf_counter()
        rows = next(batches)
        waited.append(time.perf_counter() - started)
        done.append(trainer.update(rows))
        wait_for(bench.device)
        taken.append(time.perf_counter() - started)
        pairs += len(rows.sources)
    rates = [(u.source_tokens + u.target_tokens) / s for u, s in zip(done, taken, strict=True)]
    operations = [
        weight_operations(trainer.network, u) / s for u, s in zip(done, taken, strict=True)
    ]
    rate = statistics.median(rates)
    peak = torch.cuda.max_memory_allocated(bench.device) if bench.device.type == "cuda" else 0
    return [
        *(name, precision_of(dtype), f"{tokens:,}", f"{pairs // COUNTED:,}", f"{rate:,.0f}"),
        f"{1e3 * statistics.median(taken):.1f}",
        f"{1e3 * statistics.median(waited):.1f}",
        f"{statistics.median(operations) / limits.flops_per_s:.1%}",
        f"{peak / 1e9:.1f}",
        f"{rate / PUBLISHED:.2f}" if name.startswith("GNMT") else "",
    ]
