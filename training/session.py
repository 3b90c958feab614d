"""One training session: data, tokenizer and trainer put together, the loop, and what it saves."""

import itertools
import time
from dataclasses import replace
from pathlib import Path

import torch

from model.checkpoint import load_checkpoint, load_training_state, save_checkpoint
from model.decoding.engine import check_room, room_for
from model.decoding.precision import precision_of, resolve_device
from model.errors import DataError
from model.run import point, prune
from training.card import model_card, with_coverage
from training.config import TrainConfig, load_config, save_config
from training.corpus import Corpus, encode_corpus, read_pairs
from training.evaluation import Evaluation, evaluate
from training.fastest import training_dtype
from training.memory import bound_kernel_cache, release_unused, resident_bytes
from training.metrics import MetricsLog
from training.progress import TrainingProgress
from training.resuming import check_same_config, is_finished
from training.shortlist import LearnedShortlist, learn_measured
from training.signals import Interrupted, stop_signals
from training.trainer import Trainer, Update
from training.training_data import (
    load_training_data,
    make_stream,
    make_tokenizer,
    shortlist_pairs,
    usable_cores,
)

REHEARSED = 64
"""Dev sentences that are translated before the first update: what cannot work should fail then, not
after a thousand updates. The memory of a validation is then taken from the beginning, too."""


class Session:
    """A run directory being trained. `train` may be called once."""

    def __init__(self, config: TrainConfig, run: Path, *, resume: bool) -> None:
        """Read the data, learn or load the tokenizer, build the trainer; `resume` loads its state.

        Raises:
            ConfigError, DataError, CheckpointError: as their names say.
        """
        self.run = run
        self.resume = resume
        bound_kernel_cache()
        torch.set_num_threads(config.run.threads or usable_cores())
        self.device = resolve_device(config.run.device)
        dev = read_pairs(config.data.dev, config.data)
        state = load_training_state(run) if resume and (run / "last").exists() else None
        if state:
            check_same_config(config, load_config(run / "config.yaml"))
            self.tokenizer = load_checkpoint(run / "last").tokenizer
        else:
            self.tokenizer = make_tokenizer(config)
        model = replace(config.model, vocab_size=self.tokenizer.vocab_size)
        self.config = replace(config, model=model)
        chosen = state[1].get("precision") if state else None  # as measured when the run began
        self.dtype = training_dtype(self.config, self.device, chosen)
        # Now, not at the first validation.
        check_room(config.search, model.max_length, room_for(config.search, model.max_length))
        self.data = load_training_data(config.data, self.tokenizer, max_length=model.max_length)
        self.dev_corpus = encode_corpus(dev, self.tokenizer, max_length=None)
        self.data_digest = self.data.digest()
        self.trainer = Trainer(
            self.config,
            make_stream(self.config, self.data, self.tokenizer),
            device=self.device,
            dtype=self.dtype,
        )
        self.learned = self.learn_shortlist() if config.shortlist.candidates else None
        self.best_bleu = -1.0
        self.without_better = 0  # validations since the best one
        self.skipped_shown = 0
        if state:
            tensors, values = state
            if values["data_digest"] != self.data_digest:
                raise DataError(
                    "--resume: the training files are not those that the run began with. Put them "
                    "back, or train into a new --output."
                )
            self.trainer.load_state(tensors, values["trainer"])
            self.best_bleu = values["best_bleu"]
            self.without_better = values["without_better"]
        save_config(config, run / "config.yaml")

    def learn_shortlist(self) -> LearnedShortlist:
        """The shortlist of this run: the same at every resumption."""
        settings = self.config.shortlist
        pairs = shortlist_pairs(self.trainer.stream, most_links=settings.max_links)
        return learn_measured(*pairs, self.dev_corpus, self.tokenizer, settings)

    def train(self) -> None:
        """Train up to `max_steps`, or until patience runs out; validate and save on the way.

        Raises:
            Interrupted: after SIGINT or SIGTERM, when the state is saved.
            TrainingDiverged: see `Trainer.update`.
        """
        trainer, run = self.trainer, self.config.run
        start = trainer.steps
        with (
            MetricsLog(self.run, resume_step=start or None) as self.metrics,
            TrainingProgress(
                max_steps=run.max_steps, start_step=start, log_every=run.log_every
            ) as self.progress,
            stop_signals() as received,
        ):
            self.describe()
            self.evaluate(self.dev_corpus.first(REHEARSED))  # what fails should fail now
            batches = trainer.batches()
            while not self.finished:
                self.log(trainer.update(next(batches)))
                due = trainer.steps % run.eval_every == 0 or trainer.steps == run.max_steps
                if due:
                    with self.progress.paused():
                        self.validate()
                if received and not self.finished:
                    if not due:
                        self.save(evaluation=None)
                    raise Interrupted(received[0])
            rates = self.progress.totals
            self.progress.message(
                f"{rates.updates_per_s:.2f} updates/s, "
                f"{rates.source_tokens_per_s:,.0f}+{rates.target_tokens_per_s:,.0f} tokens/s on "
                "average, validation apart"
            )
            if trainer.steps < run.max_steps:
                self.progress.message(
                    f"no better BLEU in {run.patience} validations: stopped at step {trainer.steps}"
                )

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return is_finished(self.config, self.trainer.steps, self.without_better)

    def describe(self) -> None:
        """What is trained on what, before the first update."""
        say = self.progress.message
        for line in self.data.describe():
            say(line)
        say(self.dev_corpus.report.describe("dev"))
        if self.learned:
            say(self.learned.describe())
        size = sum(parameter.numel() for parameter in self.trainer.parameters)
        precision = str(self.dtype).removeprefix("torch.")
        say(
            f"model: {size:,} parameters, {self.tokenizer.vocab_size:,} pieces; "
            f"{self.device}, {precision}, {torch.get_num_threads()} threads"
        )
        if self.trainer.steps:
            say(f"resumed at step {self.trainer.steps:,}")
        elif self.resume:
            say(f"nothing to resume in {self.run}: starting")

    def log(self, update: Update) -> None:
        """Show every update; write every `log_every`-th to the metrics."""
        steps = self.trainer.steps
        self.progress.update(
            steps,
            loss=update.loss,
            learning_rate=update.learning_rate,
            source_tokens=update.source_tokens,
            target_tokens=update.target_tokens,
        )
        if self.trainer.skipped > self.skipped_shown:
            self.skipped_shown = self.trainer.skipped
            self.progress.message(
                f"step {steps:,}: loss or gradient not finite, update skipped "
                f"({self.skipped_shown} so far)"
            )
        if steps % self.config.run.log_every:
            return
        release_unused()
        rates = self.progress.recent
        self.metrics.log(
            steps,
            {
                "loss": update.loss,
                "nll": update.nll,
                "learning_rate": update.learning_rate,
                "gradient_norm": update.gradient_norm,
                "source_tokens_per_s": rates.source_tokens_per_s,
                "target_tokens_per_s": rates.target_tokens_per_s,
                "skipped_updates": float(self.trainer.skipped),
                "memory_bytes": float(resident_bytes()),
            },
        )

    def validate(self) -> None:
        """Evaluate the averaged weights on the dev set, log, save, and move the links."""
        started = time.perf_counter()
        trainer = self.trainer
        result = self.evaluate(self.dev_corpus)
        better = result.bleu > self.best_bleu
        self.best_bleu = max(self.best_bleu, result.bleu)
        self.without_better = 0 if better else self.without_better + 1
        self.metrics.log(
            trainer.steps,
            {
                "dev_loss": result.loss,
                "dev_ppl": result.ppl,
                "dev_bleu": result.bleu,
                "dev_chrf": result.chrf,
                "bleu_signature": result.bleu_signature,
                "chrf_signature": result.chrf_signature,
            },
        )
        self.progress.message(
            f"step {trainer.steps:,}  dev loss {result.loss:.3f}  ppl {result.ppl:.2f}  "
            f"BLEU {result.bleu:.2f}  chrF {result.chrf:.2f}{'  best so far' if better else ''}  "
            f"({time.perf_counter() - started:.0f} s)"
        )
        self.show_samples(result)
        self.save(evaluation=result, best=better)

    def evaluate(self, corpus: Corpus) -> Evaluation:
        """Scores of the averaged weights."""
        return evaluate(
            self.trainer.averaged(),
            corpus,
            self.tokenizer,
            self.config.search,
            dtype=self.dtype,
        )

    def show_samples(self, result: Evaluation) -> None:
        """A few dev sentences with their translations."""
        pairs = self.dev_corpus.pairs
        rows = zip(pairs.sources, result.translations, strict=True)
        for source, translation in itertools.islice(rows, self.config.run.sample_lines):
            self.progress.message(f"  {source}\n  -> {translation}")

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
            card=with_coverage(card, self.learned.coverage) if self.learned else card,
            shortlist=self.learned.shortlist if self.learned else None,
            training_state=tensors,
            training_meta={
                "trainer": values,
                "best_bleu": self.best_bleu,
                "without_better": self.without_better,
                "data_digest": self.data_digest,
                "precision": precision_of(self.dtype),
            },
        )
        if best:
            point(self.run, "best", directory)
        point(self.run, "last", directory)
        prune(self.run)
