"""One training session: data, tokenizer and trainer put together, the loop, and what it saves."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from model.checkpoint.checkpoint import (
    load_checkpoint,
    load_origin,
    load_training_state,
    save_checkpoint,
)
from model.checkpoint.run_directory import point, prune
from model.decoding.engine import check_room, room_for
from model.decoding.precision.precision import precision_of
from model.text.normalization import NORMALIZATION
from model.text.profile import TextProfile
from training.config.train_config import TrainConfig, save_config
from training.data.batching import Ids
from training.data.learn_tokenizer import make_tokenizer
from training.data.text_corpus import Corpus, digest_of, encode_corpus, read_pairs
from training.data.training_set import even_pairs, load_training_set, make_loader
from training.lexical.learn_shortlist import LearnedShortlist, learn_measured
from training.loop.auto_batch_size import auto_batch_tokens
from training.loop.auto_precision import training_dtype
from training.loop.initialize import new_origin, starting_weights
from training.loop.resume import (
    as_begun,
    check_same_data,
    check_same_step,
    check_shared_data,
    is_finished,
    with_found,
)
from training.loop.rollback import Rollback, good_checkpoints
from training.loop.run_logger import RunLogger
from training.loop.signals import Interrupted, stop_signals
from training.loop.trainer import Trainer
from training.losses.distillation import teacher_digest
from training.losses.make_objective import make_objective
from training.system.distributed import World
from training.system.memory_use import bound_kernel_cache
from training.tracking.metrics_log import MetricsLog
from training.tracking.model_card import model_card, with_coverage
from training.tracking.progress_bar import TrainingProgress
from training.validation.best import Best
from training.validation.evaluation import Evaluation, evaluate

REHEARSED = 64
"""Dev sentences that are translated before the first update: what cannot work should fail then, not
after a thousand updates. The memory of a validation is then taken from the beginning, too."""


class Session:
    """A run directory being trained. `train` may be called once."""

    def __init__(self, config: TrainConfig, run: Path, *, resume: bool, world: World) -> None:
        """Read the data, learn or load the tokenizer, build the trainer; `resume` loads its state.

        Nothing is written yet.

        Raises:
            ConfigError, DataError, CheckpointError: as their names say.
        """
        self.run = run
        self.resume = resume
        self.world = world
        bound_kernel_cache()
        torch.set_num_threads(world.threads(config.run.threads))
        self.device = world.device(config.run.device)
        dev = read_pairs(config.data.dev, config.data)
        asked, language = config.validation, config.data.target_language
        validation = world.shared(lambda: asked.resolved(language, dev.targets))
        config = replace(config, validation=validation)
        state = load_training_state(run) if resume and (run / "last").exists() else None
        check_same_step(run, state[1]["trainer"]["steps"] if state else 0, world)
        if resume:
            config = as_begun(config, run, state[1] if state else None, world)
        if state:
            self.tokenizer = load_checkpoint(run / "last").tokenizer
        else:
            self.tokenizer = world.shared(lambda: make_tokenizer(config))
        model = replace(config.model, vocab_size=self.tokenizer.vocab_size)
        kept = state and next(good_checkpoints(run), None)  # else the beginning may be needed again
        weights = None if kept else starting_weights(config.finetune, model, self.tokenizer)
        self.config = replace(config, model=model)
        self.dtype = world.shared(lambda: training_dtype(self.config, self.device))
        tokens = config.run.batch_tokens
        if tokens == "auto":
            tokens = auto_batch_tokens(self.config, self.tokenizer, self.device, self.dtype, world)
        precision: Literal["fp32", "bf16"] = "fp32" if self.dtype == torch.float32 else "bf16"
        config, self.config = (with_found(c, tokens, precision) for c in (config, self.config))
        self.config_given = config
        # Now, not at the first validation.
        check_room(config.search, model.max_length, room_for(config.search, model.max_length))
        self.data = load_training_set(config.data, self.tokenizer, max_length=model.max_length)
        self.dev_corpus = encode_corpus(dev, self.tokenizer, max_length=None)
        self.digests = {"data_digest": self.data.digest(), "dev_digest": digest_of(dev)}
        self.digests["teacher_digest"] = teacher_digest(config.objective.teacher)
        check_shared_data(self.digests, world)
        self.loader = make_loader(self.config, self.data, self.tokenizer)
        self.trainer = Trainer(
            self.config,
            self.loader,
            device=self.device,
            dtype=self.dtype,
            world=world,
            objective=make_objective(self.config, self.pairs, self.tokenizer, self.device),
            weights=weights,
        )
        self.origin = load_origin(run / "last") if state else self._own_origin()
        self.learned: LearnedShortlist | None = None
        self.best = Best(config.validation.best)
        self.rollback = Rollback(self.trainer, run, world)
        if state:
            self._go_on(*state)

    def _own_origin(self) -> str | None:
        """Where a training that begins has its beginning."""
        network, data = self.trainer.network, self.digests["data_digest"]
        return new_origin(self.config.finetune, network, data)

    def _go_on(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Continue from a checkpoint."""
        check_same_data(self.digests, values)
        self.trainer.load_state(tensors, values["trainer"])
        self.best.score = values["best_score"]
        self.best.without_better = values["without_better"]

    def pairs(self) -> tuple[Sequence[Ids], Sequence[Ids]]:
        """What alignments are learned from."""
        most = self.config.shortlist.max_links
        return even_pairs(self.loader, most_links=most, sampled=False)

    @property
    def profile(self) -> TextProfile:
        """What the model will say of itself."""
        data, report = self.config.data, self.data.report
        return TextProfile(
            task=data.task,
            source_language=data.source_language,
            target_language=data.target_language,
            normalization=NORMALIZATION,
            several_sentences=report.several / report.kept,
        )

    def learn_shortlist(self) -> LearnedShortlist:
        """The shortlist of this run: the same at every resumption."""
        settings = self.config.shortlist
        pairs = even_pairs(self.loader, most_links=settings.max_links, sampled=True)
        return learn_measured(*pairs, self.dev_corpus, self.tokenizer, settings)

    def train(self) -> None:
        """Train up to `max_steps`, or until patience runs out; validate and save on the way.

        Raises:
            Interrupted: after SIGINT or SIGTERM, when the state is saved.
            TrainingDiverged: see `Rollback.roll_back`.
        """
        if not self.world.leads:
            with stop_signals() as received:
                self.loop(received)
            return
        save_config(self.config_given, self.run / "config.yaml")
        if self.config.shortlist.candidates:
            self.learned = self.learn_shortlist()
        run, start = self.config.run, self.trainer.steps
        with (
            MetricsLog(self.run, resume_step=start or None) as metrics,
            TrainingProgress(
                max_steps=run.max_steps, start_step=start, log_every=run.log_every
            ) as self.progress,
            stop_signals() as received,
        ):
            self.logger = RunLogger(
                self.run, self.config, self.trainer, metrics=metrics, progress=self.progress
            )
            self.describe()
            self.logger.begin(
                dict(zip(self.data.names, self.data.reports, strict=True))
                | {"dev": self.dev_corpus.report},
                {"model": self.size(), "precision": precision_of(self.dtype)}
                | {"processes": str(self.world.size)},
                self.device,
            )
            self.evaluate(self.dev_corpus.first(REHEARSED))  # what fails should fail now
            self.loop(received)
            self.logger.end()

    def loop(self, received: list[int]) -> None:
        """Every process's updates; the first one also logs, validates and saves."""
        trainer, run, world = self.trainer, self.config.run, self.world
        batches = trainer.batches()
        while not self.finished:
            update = trainer.update(next(batches))
            if world.leads:
                self.logger.updated(update)
            if trainer.guard.diverged:
                returned = self.rollback.roll_back()
                if world.leads:
                    self.progress.message(returned)
            due = trainer.steps % run.eval_every == 0 or trainer.steps == run.max_steps
            if due:
                if world.leads:
                    with self.progress.paused():
                        self.validate()
                self.best.without_better = world.shared(lambda: self.best.without_better)
                self.rollback.saved()
            stop = world.highest(received[0] if received else 0)
            if stop and not self.finished:
                if world.leads and not due:
                    self.save(evaluation=None)
                raise Interrupted(stop)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return is_finished(self.config, self.trainer.steps, self.best.without_better)

    def describe(self) -> None:
        """What is trained on what, before the first update."""
        say = self.progress.message
        for line in self.data.describe():
            say(line)
        say(self.dev_corpus.report.describe("dev"))
        if self.learned:
            say(self.learned.describe())
        say(
            f"model: {self.size()}; {self.device}, {precision_of(self.dtype)}, "
            f"{torch.get_num_threads()} threads, batches of {self.config.run.tokens:,} tokens"
            + (f", {self.world.size} processes" if self.world.size > 1 else "")
        )
        if self.trainer.steps:
            say(f"resumed at step {self.trainer.steps:,}")
        elif self.resume:
            say(f"nothing to resume in {self.run}: starting")
        elif begun_from := self.config.finetune.init_from:
            frozen = sum(p.numel() for p in self.trainer.parameters if not p.requires_grad)
            say(f"begun with the weights of {begun_from}; {frozen:,} of them are frozen")

    def size(self) -> str:
        """How large the model is."""
        parameters = sum(parameter.numel() for parameter in self.trainer.parameters)
        return f"{parameters:,} parameters, {self.tokenizer.vocab_size:,} pieces"

    def validate(self) -> None:
        """Evaluate the averaged weights on the dev set, log, save, and move the links."""
        started = time.perf_counter()
        result = self.evaluate(self.dev_corpus)
        better = self.best.offer(result.value(self.best.metric))
        self.logger.validated(result, better=better, seconds=time.perf_counter() - started)
        self.save(evaluation=result, best=better)

    def evaluate(self, corpus: Corpus) -> Evaluation:
        """Scores of the averaged weights."""
        return evaluate(
            self.trainer.averaged(),
            corpus,
            self.tokenizer,
            self.config.search,
            profile=self.profile,
            validation=self.config.validation,
            samples=self.config.run.sample_lines,
            dtype=self.dtype,
        )

    def save(self, *, evaluation: Evaluation | None, best: bool = False) -> None:
        """Write a checkpoint; `last` points to it, and `best` if it is."""
        tensors, values = self.trainer.state()
        card = model_card(self.config, self.trainer.steps, self.data.report, evaluation)
        directory = save_checkpoint(
            self.run,
            self.trainer.steps,
            config=self.config.model,
            weights=self.trainer.weights(),
            tokenizer=self.tokenizer,
            search=self.config.search,
            profile=self.profile,
            card=with_coverage(card, self.learned.coverage) if self.learned else card,
            shortlist=self.learned.shortlist if self.learned else None,
            origin=self.origin,
            training_state=tensors,
            training_meta={
                "trainer": values,
                "best_score": self.best.score,
                "without_better": self.best.without_better,
                **self.digests,
                "precision": precision_of(self.dtype),
            },
        )
        if best:
            point(self.run, "best", directory)
        point(self.run, "last", directory)
        good = next(good_checkpoints(self.run), None)
        prune(self.run, self.config.run.keep, also=[good] if good else [])
