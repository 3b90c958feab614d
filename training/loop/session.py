"""A session: the parts of a run on text or symbols; it evaluates and saves them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.checkpoint.checkpoint import save_checkpoint
from model.decoding.engine import check_room, room_for
from model.text.profile import TextProfile
from model.text.vocabulary import Vocabulary, text_tokenizer
from training.data.batch_loader import BatchLoader
from training.data.batching import Rows
from training.data.corpus_report import CorpusReport
from training.data.text_corpus import Corpus
from training.data.training_set import TrainingSet, even_pairs
from training.lexical.learn_shortlist import LearnedShortlist, learn_measured
from training.loop.any_session import AnySession
from training.loop.explain_spike import explain_spike
from training.loop.gradient_accumulation import TrainingRows
from training.loop.loss_spikes import Spike
from training.loop.trainer import Update
from training.tracking.fine_tuning import after_figures, changes
from training.tracking.model_card import model_card, with_coverage, with_fine_tuning
from training.tracking.run_record import SpikeRow
from training.validation.evaluation import Evaluation
from training.validation.validate import check_dev_set, validate


@dataclass(kw_only=True)
class Session(AnySession):
    """The parts of one run on text or symbols, as `build_session` makes them."""

    tokenizer: Vocabulary
    data: TrainingSet
    loader: BatchLoader
    dev_corpus: Corpus
    old_dev_corpus: Corpus | None
    """The dev set of the model that the run begins with, if it is named."""
    shortlist: LearnedShortlist | None = None
    """Saved with every checkpoint; learned by the first process, if the config wants one."""

    @property
    def reports(self) -> dict[str, CorpusReport]:
        """Report on each corpus of the training, and on "dev"."""
        named = dict(zip(self.data.names, self.data.reports, strict=True))
        return named | {"dev": self.dev_corpus.report}

    @property
    def kept(self) -> int:
        """Number of training pairs."""
        return self.data.report.kept

    @property
    def pairs_a_line(self) -> float:
        """Mean number of pairs that are a line of a batch; above 1 if some are joined."""
        return float(self.loader.line_sizes.mean())

    @property
    def dev_size(self) -> int:
        """Number of pairs of the dev set."""
        return len(self.dev_corpus.sources)

    def describe_data(self) -> list[str]:
        """Describe the training data in lines of the log."""
        return self.data.describe()

    def describe_size(self) -> str:
        """Parameters and vocabulary, for people."""
        parameters = sum(parameter.numel() for parameter in self.trainer.parameters)
        return f"{parameters:,} parameters, {self.tokenizer.vocab_size:,} pieces"

    @property
    def several_sentences(self) -> float:
        """Share of the training lines whose source has several sentences.

        Joined lines do not count: they have two or three, and longer ones remain unknown.
        """
        return self.data.report.several / self.data.report.kept

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

    def prepare(self) -> list[str]:
        """Learn the shortlist of this run, if it is to have one, the same at every resumption."""
        settings = self.config.shortlist
        if not settings.candidates:
            return []
        pairs = even_pairs(self.loader, most_links=settings.max_links, sampled=True)
        self.shortlist = learn_measured(
            *pairs, self.dev_corpus, text_tokenizer(self.tokenizer), settings
        )
        return [self.shortlist.describe()]

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

    def evaluate_dev(self, first: int | None = None) -> Evaluation:
        """Score the averaged weights on the dev set, or on its `first` pairs."""
        corpus = self.dev_corpus
        return self.evaluate(corpus if first is None else corpus.first(first))

    def evaluate_old_dev(self) -> Evaluation | None:
        """Score them on the dev set of the model that the run begins with, if it is named."""
        return self.evaluate(self.old_dev_corpus) if self.old_dev_corpus else None

    def explain(self, spike: Spike, update: Update, rows: TrainingRows) -> SpikeRow:
        """Describe the batch of an update that stands out, which was drawn last."""
        assert isinstance(rows, Rows), "those of its own loader"
        if rows.whole:
            rows = self.loader.drawn_batch()
        return explain_spike(
            spike,
            update,
            rows,
            step=self.trainer.steps,
            network=self.trainer.network,
            loader=self.loader,
            tokenizer=self.tokenizer,
            names=self.data.names,
        )

    def write(
        self,
        evaluation: Evaluation | None,
        old_evaluation: Evaluation | None,
        training_meta: Mapping[str, Any],
    ) -> Path:
        """Write a checkpoint with this training state, and return its directory."""
        tensors, values = self.trainer.state()
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
        return save_checkpoint(
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
            training_meta={"trainer": values, **training_meta},
        )
