"""A session: the parts of a run that is being trained; it evaluates and saves them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from model.checkpoint.checkpoint import save_checkpoint
from model.checkpoint.run_directory import point, prune
from model.decoding.engine import check_room, room_for
from model.decoding.precision.precision import precision_of
from model.text.profile import TextProfile
from model.text.vocabulary import Vocabulary, text_tokenizer
from training.config.train_config import TrainConfig
from training.data.text_corpus import Corpus
from training.data.training_set import TrainingSet, even_pairs
from training.lexical.learn_shortlist import LearnedShortlist, learn_measured
from training.loop.planner import Planner
from training.loop.rollback import Rollback, good_checkpoints
from training.loop.trainer import Trainer
from training.system.distributed import World
from training.tracking.fine_tuning import after_figures, changes
from training.tracking.model_card import model_card, with_coverage, with_fine_tuning
from training.validation.best import Best
from training.validation.evaluation import Evaluation
from training.validation.validate import check_dev_set, validate


@dataclass(kw_only=True)
class Session:
    """The parts of one run, as `build_session` makes them."""

    run: Path
    resume: bool
    """Whether the run may go on from a checkpoint; there need not be one."""
    world: World
    config: TrainConfig
    """The config of the run, every `auto` decided; see `resolve_config`."""
    tokenizer: Vocabulary
    data: TrainingSet
    dev_corpus: Corpus
    old_dev_corpus: Corpus | None
    """The dev set of the model that the run begins with, if it is named."""
    digests: Mapping[str, str]
    """SHA-256 of all that the run learns from and is measured on, by the names in a checkpoint."""
    origin: str | None
    """See `new_origin`."""
    trainer: Trainer
    best: Best
    rollback: Rollback
    planner: Planner
    before: Mapping[str, float] = field(default_factory=dict)
    """Figures of the model that a fine-tuning begins with; see `fine_tuning.before_figures`."""
    shortlist: LearnedShortlist | None = None
    """Saved with every checkpoint; learned by the first process, if the config wants one."""

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        patience = self.config.run.patience
        done = self.trainer.steps >= self.planner.plan.steps
        return done or 0 < patience <= self.best.without_better

    @property
    def several_sentences(self) -> float:
        """Share of the training lines whose source has several sentences, with the joined ones."""
        report = self.data.report
        joined = float((self.trainer.loader.line_sizes > 1).mean())
        return joined + (1 - joined) * report.several / report.kept

    @property
    def profile(self) -> TextProfile:
        """The task, the languages and the text that the model was trained on."""
        data = self.config.data
        return TextProfile(
            task=data.task,
            source_language=data.source_language,
            target_language=data.target_language,
            normalization=self.tokenizer.normalization,
            several_sentences=self.several_sentences,
            length_buckets=self.data.lengths.boundaries if self.data.lengths else (),
        )

    def learn_shortlist(self) -> None:
        """Learn the shortlist of this run, the same at every resumption."""
        settings = self.config.shortlist
        pairs = even_pairs(self.trainer.loader, most_links=settings.max_links, sampled=True)
        self.shortlist = learn_measured(
            *pairs, self.dev_corpus, text_tokenizer(self.tokenizer), settings
        )

    def check_dev_sets(self) -> None:
        """Check that validations can translate, before there is anything to lose.

        Raises:
            RequestError: the search options need more memory than there is.
            DataError: see `check_dev_set`.
        """
        model, search = self.config.model, self.config.search
        check_room(search, model.max_length, room_for(search, model.max_length))
        for name, corpus in (
            ("data.dev", self.dev_corpus),
            ("finetune.old_dev", self.old_dev_corpus),
        ):
            if corpus is not None:
                check_dev_set(name, corpus, self.tokenizer, model, search, self.profile)

    def evaluate(self, corpus: Corpus) -> Evaluation:
        """Score the averaged weights on `corpus`."""
        return validate(
            self.trainer.averaged(),
            corpus,
            self.tokenizer,
            self.config.search,
            profile=self.profile,
            validation=self.config.validation,
            samples=self.config.run.sample_lines,
            dtype=self.trainer.dtype,
        )

    def save(
        self,
        *,
        evaluation: Evaluation | None,
        old_evaluation: Evaluation | None = None,
        best: bool = False,
    ) -> None:
        """Write a checkpoint and point `last` to it, and `best` if it is; prune older ones.

        Args:
            evaluation: that of these weights; None between two validations.
            old_evaluation: likewise, on the old dev set, if there is one.

        Raises:
            CheckpointError: the file system refused.
        """
        tensors, values = self.trainer.state()
        planned = self.planner.state()
        card = model_card(
            self.config,
            self.trainer.steps,
            self.data.report,
            evaluation,
            several=self.several_sentences,
        )
        if self.before and evaluation:
            after = after_figures(evaluation, old_evaluation)
            card = with_fine_tuning(
                card, changes(self.config.validation.metrics, self.before, after)
            )
        learned = self.shortlist
        directory = save_checkpoint(
            self.run,
            self.trainer.steps,
            config=self.config.model,
            weights=self.trainer.weights(),
            tokenizer=self.tokenizer,
            search=self.config.search,
            profile=self.profile,
            card=with_coverage(card, learned.coverage) if learned else card,
            shortlist=learned.shortlist if learned else None,
            calibration=evaluation.calibration if evaluation else None,
            origin=self.origin,
            training_state=tensors,
            training_meta={
                "trainer": values,
                "best_score": self.best.score,
                "without_better": self.best.without_better,
                **({"plan": planned} if planned else {}),
                **self.digests,
                "precision": precision_of(self.trainer.dtype),
            },
        )
        if best:
            point(self.run, "best", directory)
        point(self.run, "last", directory)
        good = next(good_checkpoints(self.run), None)
        prune(self.run, self.config.run.keep, also=[good] if good else [])
