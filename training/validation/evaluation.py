"""Evaluation of a network on the dev set: loss by teacher forcing, metrics of its translations."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from model.decoding.confidence import Calibration
from model.decoding.options import SearchOptions
from model.network.seq2seq import Seq2Seq
from model.text.profile import TextProfile
from model.text.tokenizer import Tokenizer
from model.translation.assemble import Translation
from model.translator import WINDOW, Translator, windows
from training.config.validation_config import ValidationConfig
from training.data.batching import Batch, Rows, collate
from training.data.text_corpus import Corpus
from training.losses.likelihood import likelihood
from training.metrics.names import LABELS
from training.validation.calibrate import calibrate
from training.validation.corpus_scores import Score, score_corpus
from training.validation.sentence_changes import SENTENCE_METRIC_OF_TASK, sentence_scores

ROWS = 64  # sentences in a batch of teacher forcing


class Sample(NamedTuple):
    """A dev sentence and its translation, for people to look at."""

    source: str
    reference: str
    translation: Translation


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Scores of one network on one corpus."""

    loss: float  # nats per target piece, not smoothed
    scores: Mapping[str, Score]
    translations: list[str]
    samples: list[Sample]
    calibration: Calibration | None
    """From these translations; None if there are none, as the network has diverged."""
    likelihood: bool = True
    """Whether the loss is that of a likelihood, which has a perplexity; else it is an error."""

    @property
    def ppl(self) -> float:
        """Perplexity per target piece."""
        return math.exp(min(self.loss, 100.0))

    def value(self, name: str) -> float:
        """Return the loss, or one of the scores."""
        return self.loss if name == "loss" else self.scores[name].value

    def figures(self) -> dict[str, float | str]:
        """Return the values for metrics.jsonl."""
        figures: dict[str, float | str] = {"dev_loss": self.loss}
        if self.likelihood:
            figures["dev_ppl"] = self.ppl
        figures |= {f"dev_{name}": score.value for name, score in self.scores.items()}
        return figures | {f"{name}_signature": s.signature for name, s in self.scores.items()}

    def describe(self) -> str:
        """Describe loss and scores, for a line of the log."""
        words = [f"dev loss {self.loss:.3f}"]
        if self.likelihood:
            words.append(f"ppl {self.ppl:.2f}")
        words += [f"{LABELS[name]} {score.value:.2f}" for name, score in self.scores.items()]
        return "  ".join(words)


def evaluate(
    network: Seq2Seq,
    corpus: Corpus,
    tokenizer: Tokenizer,
    search: SearchOptions,
    *,
    profile: TextProfile,
    validation: ValidationConfig,
    samples: int,
    dtype: torch.dtype,
) -> Evaluation:
    """Score `network` (in eval mode, fp32) on `corpus`; decoding runs in `dtype`.

    The first `samples` sentences are searched once more, to keep their attention weights alone.
    `validation` must be resolved.
    """
    device = next(network.parameters()).device
    loss = corpus_loss(network, corpus)
    translator = Translator(network, tokenizer, search, device=device, dtype=dtype, profile=profile)
    sources, references = corpus.pairs.sources, corpus.pairs.targets
    translations: list[str] = []
    mean_log_probs: list[float] = []
    found: list[Translation] = []
    if math.isfinite(loss):  # else the network has diverged; the training may recover
        translations, mean_log_probs = _translated(translator, sources)
        found = translator.search(sources[:samples])
    shown = [Sample(*row) for row in zip(sources, references, found, strict=False)]
    return text_evaluation(
        loss, translations, mean_log_probs, references, shown, validation, profile.task
    )


def text_evaluation(
    loss: float,
    outputs: list[str],
    mean_log_probs: list[float],
    references: Sequence[str],
    samples: list[Sample],
    validation: ValidationConfig,
    task: str,
) -> Evaluation:
    """The scores of `outputs`, or of nothing if they are empty, as of a network that diverged.

    Args:
        validation: resolved.
    """
    calibration, right = None, [list(references)]
    if outputs:
        metric = SENTENCE_METRIC_OF_TASK[task]
        qualities = sentence_scores(metric, outputs, right) / 100
        calibration = calibrate(mean_log_probs, qualities.tolist(), metric)
    texts = outputs or [""] * len(references)
    scores = score_corpus(
        texts,
        right,
        metrics=validation.metrics,
        tokenizer=validation.bleu_tokenizer,
        bootstrap=0,
    )
    return Evaluation(
        loss=loss, scores=scores, translations=texts, samples=samples, calibration=calibration
    )


def _translated(translator: Translator, sources: list[str]) -> tuple[list[str], list[float]]:
    """The best translation of each source, and its mean log-probability."""
    translations: list[str] = []
    mean_log_probs: list[float] = []
    for window in windows(sources, WINDOW):
        for found in translator.search(window):  # all at once, their attention would take memory
            translations.append(found.text)
            mean_log_probs.append(found.hypotheses[0].mean_log_prob)
    return translations, mean_log_probs


def corpus_loss(network: Seq2Seq, corpus: Corpus) -> float:
    """Compute the unsmoothed negative log-likelihood in nats per target piece, in fp32."""
    order = sorted(range(len(corpus.sources)), key=lambda row: len(corpus.targets[row]))
    chunks = (order[start : start + ROWS] for start in range(0, len(order), ROWS))
    pairs = (
        ([corpus.sources[row] for row in rows], [corpus.targets[row] for row in rows])
        for rows in chunks
    )
    return mean_nll(network, (collate(Rows.unweighted(*pair)) for pair in pairs))


@torch.inference_mode()
def mean_nll(network: Seq2Seq, batches: Iterable[Batch]) -> float:
    """Compute the same for the pairs of `batches`."""
    device = next(network.parameters()).device
    total, pieces = 0.0, 0
    for batch in batches:
        batch = batch.to(device)
        memory = network.encode(batch.src, batch.src_lengths)
        features, attention = network.unroll(batch.tgt_in, network.start(memory), memory)
        real = features.flatten(0, 1).index_select(0, batch.real)
        total += likelihood(network, batch, real, attention, smoothing=0.0).nll.item()
        pieces += len(batch.tgt_out)
    return total / pieces
