"""Trainer: updates the network, and keeps the state from which a run resumes exactly."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

from model.decoding.out_of_memory import is_out_of_memory
from model.errors import CheckpointError
from model.network.seq2seq import Seq2Seq
from training.config.train_config import TrainConfig
from training.data.batch_loader import BatchLoader
from training.data.batching import Rows
from training.data.position import Position
from training.loop.divergence import DivergenceMonitor
from training.loop.gradient_accumulation import GradientAccumulation, TrainingRows
from training.loop.initialize import build_network
from training.loop.loss_window import LossWindow
from training.loop.lr_schedule import learning_rate
from training.loop.step_plan import fixed_plan
from training.losses.batch_loss import Objective
from training.system.distributed import World
from training.system.memory_use import OutOfMemory


class BatchTooLarge(OutOfMemory):
    """An update did not fit into memory."""


class Update(NamedTuple):
    """Figures of one update. Loss and nll are in nats per target piece."""

    loss: float
    nll: float
    learning_rate: float
    gradient_norm: float
    source_tokens: int
    target_tokens: int


AnyRows = TypeVar("AnyRows", bound=TrainingRows)
"""The pairs of a batch, of pieces or of vectors."""
Given = TypeVar("Given", bound=TrainingRows, covariant=True)


class Loader(Protocol[Given]):
    """What hands out batches from `position` on."""

    position: Position

    def batches(self) -> Iterator[Given]: ...


AnyLoader = TypeVar("AnyLoader", bound=Loader[Any])


class LossOf(Protocol):
    """What makes the loss of a network: an `Objective`, or that of vectors."""

    def module(self, network: Seq2Seq, dtype: torch.dtype) -> nn.Module: ...


class AnyTrainer(Generic[AnyLoader, AnyRows]):
    """Holds network, moving average, optimizer and the position in the data."""

    def __init__(
        self,
        config: TrainConfig,
        loader: AnyLoader,
        *,
        device: torch.device,
        dtype: torch.dtype,
        world: World,
        objective: LossOf | None = None,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Build the network and its optimizer.

        Args:
            config: with the tokenizer's `model.vocab_size`.
            dtype: of autocast.
            objective: see `make_objective`; the smoothed likelihood alone if None.
            weights: initial weights by name; random ones if None.
        """
        torch.manual_seed(config.run.seed)
        self.config = config
        self.loader = loader
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
        objective = objective or Objective(smoothing=config.optimizer.label_smoothing)
        self.accumulation = GradientAccumulation(
            objective.module(self.network, dtype),
            world,
            accumulate=config.run.accumulate,
            seed=config.run.seed,
            device=device,
        )
        self.divergence = DivergenceMonitor(config.optimizer.learning_rate)
        self.window = LossWindow(config.run.log_every)
        self.plan = fixed_plan(config.run)  # a run by minutes replaces it again and again
        self.steps = 0
        self.skipped = 0

    def batches(self) -> Iterator[AnyRows]:
        """Yield global batches without end, from the current position in the data."""
        return self.loader.batches()

    def update(self, rows: AnyRows) -> Update:
        """Run forward, backward, clip and step. A non-finite loss or gradient changes no weight.

        Raises:
            BatchTooLarge: there was not enough memory.
        """
        try:
            return self._update(rows)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise self._too_large(rows) from error

    def _update(self, rows: AnyRows) -> Update:
        settings = self.config.optimizer
        self.steps += 1
        rate = self.divergence.rate_factor * learning_rate(
            self.steps,
            kind=settings.schedule,
            peak=settings.learning_rate,
            warmup_steps=self.plan.warm_up(settings.warmup_steps),
            max_steps=self.plan.steps,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        sums = self.accumulation.gradients(rows, self.steps)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, settings.clip_norm)
        # One transfer, for which the device must have finished.
        weight = rows.target_weight
        loss, nll, norm_now = torch.cat([sums / weight, norm.view(1)]).tolist()
        self.window.add(self.steps, loss=loss, nll=nll, target_weight=weight)
        if math.isfinite(loss) and math.isfinite(norm_now):
            self.optimizer.step()
            self._move_average()
            self.divergence.watch(nll)
        else:
            self.skipped += 1
            self.divergence.watch(math.nan)
        return Update(
            loss=loss,
            nll=nll,
            learning_rate=rate,
            gradient_norm=norm_now,
            source_tokens=rows.source_tokens,
            target_tokens=rows.target_tokens,
        )

    def _too_large(self, rows: AnyRows) -> BatchTooLarge:
        run = self.config.run
        source, target = rows.source_tokens, rows.target_tokens
        return BatchTooLarge(
            f"step {self.steps}: no memory left for a batch of {rows.lines:,} pairs with "
            f"{source:,} + {target:,} pieces (run.batch_tokens: {run.batch_tokens}, in "
            f"{self.accumulation.count} parts). Go on with --resume "
            f"run.accumulate={2 * run.accumulate}, which computes the same in smaller parts, or "
            "train anew with fewer run.batch_tokens."
        )

    def averaged(self) -> Seq2Seq:
        """Copy the network with the averaged weights, for evaluation."""
        with torch.random.fork_rng(devices=[]):
            network = Seq2Seq(self.config.model).to(self.device)
        with torch.no_grad():
            for parameter, average in zip(network.parameters(), self.average, strict=True):
                parameter.copy_(average)
        return network.eval()

    def weights(self) -> dict[str, Tensor]:
        """Return the averaged weights by name, which are the weights of a checkpoint."""
        return dict(zip(self.names, (value.cpu() for value in self.average), strict=True))

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return everything that `load_state` needs, as tensors and plain values."""
        tensors: dict[str, Tensor] = {}
        for name, parameter, average in zip(self.names, self.parameters, self.average, strict=True):
            tensors[f"raw/{name}"] = parameter.detach().cpu()
            tensors[f"average/{name}"] = average.cpu()
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer/{key}/{name}"] = value.cpu()
        values = {
            "steps": self.steps,
            "position": list(self.loader.position),
            "skipped": self.skipped,
            "guard": self.divergence.state(),  # the name in the checkpoint format
            "window": list(self.window.sums),
        }
        return tensors, values

    def load_state(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Continue from what `state` returned: the next batch and update are the very next ones.

        Raises:
            CheckpointError: the tensors are not those of this network.
        """
        self._load_tensors(tensors)
        self.steps = values["steps"]
        self.loader.position = Position(*values["position"])
        self.skipped = values["skipped"]
        if "guard" in values:  # older checkpoints have none
            self.divergence.load_state(values["guard"])
        self.window.sums = tuple(values.get("window", (0.0, 0.0, 0.0)))  # likewise

    def roll_back(self, tensors: Mapping[str, Tensor], good: Sequence[float]) -> None:
        """Restore weights, average and optimizer of an earlier `state`, and halve the rate.

        Steps and data go on from where they are, so that the bad batches do not come again.

        Args:
            good: losses that the next ones are compared with.

        Raises:
            TrainingDiverged: see `DivergenceMonitor.roll_back`.
        """
        self.divergence.roll_back(self.steps, good)
        self._load_tensors(tensors)

    def _load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        self._check_tensors(tensors)
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

    def _check_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Check that they are those of this network: the kernels of the optimizer trust shapes.

        Raises:
            CheckpointError: naming the first that is not.
        """
        expected: dict[str, torch.Size] = {}
        for name, parameter in zip(self.names, self.parameters, strict=True):
            kinds = ["raw", "average"]
            if name in self.trained and f"optimizer/step/{name}" in tensors:
                kinds += ["optimizer/exp_avg", "optimizer/exp_avg_sq"]
                expected[f"optimizer/step/{name}"] = torch.Size()
            expected |= {f"{kind}/{name}": parameter.shape for kind in kinds}
        for name, shape in expected.items():
            found = tensors.get(name)
            if found is None or found.shape != shape or found.dtype != torch.float32:
                raise CheckpointError(
                    f"the training state: {name} is not there as {tuple(shape)} of torch.float32. "
                    "Go on from another checkpoint, or train into a new --output."
                )
            if not found.isfinite().all():
                raise CheckpointError(
                    f"the training state: {name} is not all of finite numbers. Go on from another "
                    "checkpoint, or train into a new --output."
                )

    def _move_average(self) -> None:
        """Compute average += (1 - decay) * (weights - average); a young average follows faster."""
        decay = min(self.config.optimizer.ema, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)


Trainer = AnyTrainer[BatchLoader, Rows]
"""A trainer on text or symbols."""
