"""Trainer: one update after another, and everything that a resumed run needs to go on exactly."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from model.errors import DragomanError
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import Tokenizer
from training.batching import Batch, Ids, Rows, collate, plan_epoch
from training.building import build_network
from training.config import TrainConfig
from training.corpus import Corpus, lengths
from training.forward import Objective, batch_loss
from training.objective import Loss
from training.sampling import SubwordSampler
from training.schedule import learning_rate

MAX_SKIPPED = 10  # updates in a row without a finite loss, after which a run has diverged


class TrainingDiverged(DragomanError):
    """The loss was not finite for many updates in a row."""


class Update(NamedTuple):
    """What one update did. Loss and nll are nats per target piece."""

    loss: float
    nll: float
    learning_rate: float
    gradient_norm: float
    source_tokens: int
    target_tokens: int


class Trainer:
    """Holds network, moving average, optimizer and the position in the data."""

    def __init__(
        self,
        config: TrainConfig,
        corpus: Corpus,
        tokenizer: Tokenizer,
        *,
        device: torch.device,
        dtype: torch.dtype,
        objective: Objective | None = None,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        """`config.model.vocab_size` must be the tokenizer's.

        Args:
            dtype: that of autocast.
            objective: see `make_objective`; the smoothed likelihood alone if None.
            weights: to begin with; random ones if None.
        """
        torch.manual_seed(config.run.seed)
        self.config = config
        self.objective = objective or Objective(smoothing=config.optimizer.label_smoothing)
        self.corpus = corpus
        self.samplers = _samplers(config, corpus, tokenizer)
        self.device = device
        self.dtype = dtype
        self.network = build_network(config, weights).to(device)
        self.names = [name for name, _ in self.network.named_parameters()]
        self.parameters = [parameter for _, parameter in self.network.named_parameters()]
        self.average = [parameter.detach().clone() for parameter in self.parameters]
        named = zip(self.names, self.parameters, strict=True)
        self.trained = {name: p for name, p in named if p.requires_grad}  # the others are frozen
        self.optimizer = torch.optim.AdamW(
            self.trained.values(),
            lr=config.optimizer.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=config.optimizer.weight_decay,
            fused=True,
        )
        self.steps = 0
        self.epoch = 0
        self.batches_done = 0  # of this epoch
        self.skipped = 0
        self.skipped_in_a_row = 0

    def batches(self) -> Iterator[Rows]:
        """Endless global batches, reshuffled every epoch, from where the run stands."""
        while True:
            sources, targets = self._segmentations()
            run = self.config.run
            plan = plan_epoch(
                lengths(sources),
                lengths(targets),
                batch_tokens=run.batch_tokens,
                generator=np.random.default_rng([run.seed, self.epoch]),
            )
            for rows in plan[self.batches_done :]:
                # Counted before the batch is used: a checkpoint is taken after its update.
                self.batches_done += 1
                yield Rows.unweighted(
                    [sources[row] for row in rows], [targets[row] for row in rows]
                )
            self.epoch += 1
            self.batches_done = 0

    def update(self, rows: Rows) -> Update:
        """Forward, backward, clip, step. A non-finite loss or gradient changes no weight.

        Raises:
            TrainingDiverged: `MAX_SKIPPED` updates in a row were not finite.
        """
        settings, run = self.config.optimizer, self.config.run
        self.steps += 1
        rate = learning_rate(
            self.steps,
            kind=settings.schedule,
            peak=settings.learning_rate,
            warmup_steps=settings.warmup_steps,
            max_steps=run.max_steps,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = collate(rows).to(self.device)
        pieces = len(batch.tgt_out)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(batch)
        (loss.smoothed / pieces).backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, settings.clip_norm)
        mean, nll = loss.smoothed.item() / pieces, loss.nll.item() / pieces
        if self._finite(mean, norm.item()):
            self.optimizer.step()
            self._move_average()
        return Update(
            loss=mean,
            nll=nll,
            learning_rate=rate,
            gradient_norm=norm.item(),
            source_tokens=batch.source_tokens,
            target_tokens=pieces,
        )

    def loss(self, batch: Batch) -> Loss:
        """Summed losses of a batch, under autocast where the run's precision is bf16."""
        return batch_loss(self.network, batch, self.objective, step=self.steps, dtype=self.dtype)

    def averaged(self) -> Seq2Seq:
        """A copy of the network with the averaged weights, for evaluation."""
        with torch.random.fork_rng(devices=[]):
            network = Seq2Seq(self.config.model).to(self.device)
        with torch.no_grad():
            for parameter, average in zip(network.parameters(), self.average, strict=True):
                parameter.copy_(average)
        return network.eval()

    def weights(self) -> dict[str, Tensor]:
        """The averaged weights by name: what a checkpoint offers to its users."""
        return dict(zip(self.names, (value.cpu() for value in self.average), strict=True))

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and plain values of everything a resume needs; `load_state` takes them."""
        tensors = {"rng/cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            tensors["rng/cuda"] = torch.cuda.get_rng_state(self.device)
        for name, parameter, average in zip(self.names, self.parameters, self.average, strict=True):
            tensors[f"raw/{name}"] = parameter.detach().cpu()
            tensors[f"average/{name}"] = average.cpu()
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer/{key}/{name}"] = value.cpu()
        values = {
            "steps": self.steps,
            "epoch": self.epoch,
            "batches_done": self.batches_done,
            "skipped": self.skipped,
            "skipped_in_a_row": self.skipped_in_a_row,
        }
        return tensors, values

    def load_state(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue from what `state` returned: the next batch and update are the very next ones."""
        torch.set_rng_state(tensors["rng/cpu"])
        if self.device.type == "cuda" and "rng/cuda" in tensors:
            torch.cuda.set_rng_state(tensors["rng/cuda"], self.device)
        with torch.no_grad():
            for name, parameter, average in zip(
                self.names, self.parameters, self.average, strict=True
            ):
                parameter.copy_(tensors[f"raw/{name}"])
                average.copy_(tensors[f"average/{name}"])
        loaded = self.optimizer.state_dict()
        loaded["state"] = {
            number: {
                key: tensors[f"optimizer/{key}/{name}"] for key in ("step", "exp_avg", "exp_avg_sq")
            }
            for number, name in enumerate(self.trained)
            if f"optimizer/step/{name}" in tensors
        }
        self.optimizer.load_state_dict(loaded)
        self.steps = values["steps"]
        self.epoch = values["epoch"]
        self.batches_done = values["batches_done"]
        self.skipped = values["skipped"]
        self.skipped_in_a_row = values["skipped_in_a_row"]

    def _segmentations(self) -> tuple[list[Ids], list[Ids]]:
        """This epoch's ids of sources and targets.

        A pair that sampling makes longer than the model takes keeps its ordinary ids.
        """
        ordinary = self.corpus.sources, self.corpus.targets
        if not self.samplers:
            return ordinary
        sources, targets = (sampler.epoch(self.epoch) for sampler in self.samplers)
        longest = np.maximum(lengths(sources), lengths(targets))
        for row in np.flatnonzero(longest > self.config.model.max_length):
            sources[row], targets[row] = ordinary[0][row], ordinary[1][row]
        return sources, targets

    def _finite(self, loss: float, norm: float) -> bool:
        if math.isfinite(loss) and math.isfinite(norm):
            self.skipped_in_a_row = 0
            return True
        self.skipped += 1
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row == MAX_SKIPPED:
            raise TrainingDiverged(
                f"the loss was not finite for {MAX_SKIPPED} updates in a row, up to step "
                f"{self.steps}. Lower optimizer.learning_rate or optimizer.clip_norm, and go on "
                "from the last checkpoint with --resume."
            )
        return False

    def _move_average(self) -> None:
        """average += (1 - decay) * (weights - average); a young average follows faster."""
        decay = min(self.config.optimizer.ema, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)


def _samplers(config: TrainConfig, corpus: Corpus, tokenizer: Tokenizer) -> list[SubwordSampler]:
    """One for the sources and one for the targets; none if the config asks for no sampling."""
    alpha, seed = config.tokenizer.sampling, config.run.seed
    if not alpha:
        return []
    sides = corpus.pairs.sources, corpus.pairs.targets
    return [
        SubwordSampler(tokenizer, lines, alpha=alpha, seed=2 * seed + number)
        for number, lines in enumerate(sides)
    ]
