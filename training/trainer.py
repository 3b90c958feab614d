"""Trainer: one update after another, and everything that a resumed run needs to go on exactly."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from model.errors import DragomanError
from model.network.seq2seq import Seq2Seq
from training.batching import Batch, Rows, collate
from training.config import TrainConfig
from training.forward import batch_loss
from training.objective import Loss
from training.schedule import learning_rate
from training.stream import PairStream, Position

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
        stream: PairStream,
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """`config.model.vocab_size` must be the tokenizer's. `dtype` is that of autocast."""
        torch.manual_seed(config.run.seed)
        self.config = config
        self.stream = stream
        self.device = device
        self.dtype = dtype
        self.network = Seq2Seq(config.model).to(device)
        self.network.train()
        self.names = [name for name, _ in self.network.named_parameters()]
        self.parameters = [parameter for _, parameter in self.network.named_parameters()]
        self.average = [parameter.detach().clone() for parameter in self.parameters]
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=config.optimizer.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=config.optimizer.weight_decay,
            fused=True,
        )
        self.steps = 0
        self.skipped = 0
        self.skipped_in_a_row = 0

    def batches(self) -> Iterator[Rows]:
        """Endless global batches, from where the run stands."""
        return self.stream.batches()

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
        loss = self.loss(batch, smoothing=settings.label_smoothing)
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

    def loss(self, batch: Batch, *, smoothing: float) -> Loss:
        """Summed losses of a batch, under autocast where the run's precision is bf16."""
        return batch_loss(self.network, batch, smoothing=smoothing, dtype=self.dtype)

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
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer/{key}/{name}"] = value.cpu()
        values = {
            "steps": self.steps,
            "position": list(self.stream.position),
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
            for number, name in enumerate(self.names)
            if f"optimizer/step/{name}" in tensors
        }
        self.optimizer.load_state_dict(loaded)
        self.steps = values["steps"]
        self.stream.position = Position(*values["position"])
        self.skipped = values["skipped"]
        self.skipped_in_a_row = values["skipped_in_a_row"]

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
