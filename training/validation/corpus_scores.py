"""Scoring of a corpus against references: sacrebleu's metrics (Post 2018) and ROUGE, bootstrapped.

References are lists of lines: line i of each of them is right for line i of the hypotheses.

A bootstrap (Koehn 2004) resamples the lines of the corpus, with replacement, many times: how much
a score varies among the draws shows how much it depends on the choice of the lines.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import sacrebleu
from numpy.typing import NDArray
from sacrebleu.significance import PairedTest, Result, estimate_ci

from training.metrics.bleu_tokenization import BleuTokenizer, make_bleu
from training.metrics.names import Metric
from training.metrics.rouge import SIGNATURE, rouge_l, rouge_n

SEED = 12345  # sacrebleu's, unless the environment has another (SACREBLEU_SEED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """The 95 % confidence interval of the bootstrap, as sacrebleu defines it."""

    mean: float
    half_width: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """Score of a corpus by one metric."""

    value: float
    interval: Interval | None
    """None without a bootstrap."""
    signature: str
    """Everything that the value depends on besides the lines, as sacrebleu writes it."""
    p_value: float | None = None
    """From the paired bootstrap: the probability of at least this difference from the baseline if
    the two were equally good. None without a baseline."""


def score_corpus(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    metrics: Sequence[Metric],
    tokenizer: BleuTokenizer,
    bootstrap: int,
    baseline: Sequence[str] | None = None,
) -> dict[str, Score]:
    """Score `hypotheses`, 0 to 100, all lists of the same length, one line at least.

    Args:
        tokenizer: of BLEU; chrF and ROUGE have no choice.
        bootstrap: draws; 0 for none, and then there can be no baseline. The seed is sacrebleu's.
        baseline: the hypotheses of another system, to compare with.
    """
    texts = hypotheses, references, bootstrap, baseline
    scores: dict[str, Score] = {}
    for name in metrics:
        if name == "bleu":
            scores[name] = _by_sacrebleu(make_bleu(tokenizer), *texts)
        elif name == "chrf":
            scores[name] = _by_sacrebleu(sacrebleu.CHRF(), *texts)
        else:
            scores[name] = _by_rouge(name, *texts)
    return scores


def length_ratio(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    tokenizer: BleuTokenizer,
    bootstrap: int,
) -> Score:
    """Divide tokens of the hypotheses by tokens of the references, as BLEU counts them.

    Of several references of a line that counts whose length is the closest. The interval is that of
    the draws of lines that sacrebleu makes with its usual seed.
    """
    counter = make_bleu(tokenizer, effective_order=True)  # as it asks where sentences are alone
    lines = zip(hypotheses, zip(*references, strict=True), strict=True)
    counts = [counter.sentence_score(hypothesis, list(right)) for hypothesis, right in lines]
    lengths = np.array([(count.sys_len, count.ref_len) for count in counts])

    def ratio(rows: np.ndarray) -> float:
        hypothesis, reference = rows.sum(0).tolist()
        return hypothesis / reference if reference else 0.0

    interval = None
    if bootstrap:
        drawn = line_draws(bootstrap, len(lengths))
        interval = interval_of(np.array([ratio(lengths[lines]) for lines in drawn]))
    rest = f"case:mixed|tok:{counter.tokenizer_signature}|ref:closest"
    signature = _signature(len(references), bootstrap, rest)
    return Score(value=ratio(lengths), interval=interval, signature=signature)


def _by_sacrebleu(
    metric: sacrebleu.BLEU | sacrebleu.CHRF,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    bootstrap: int,
    baseline: Sequence[str] | None,
) -> Score:
    if not bootstrap:
        value = float(metric.corpus_score(hypotheses, references).score)
        return Score(value=value, interval=None, signature=str(metric.get_signature()))
    systems = [] if baseline is None else [("baseline", baseline)]
    systems.append(("system", hypotheses))
    test = PairedTest(systems, {"": metric}, references, test_type="bs", n_samples=bootstrap)
    signatures, results = test()
    ((name, signature),) = signatures.items()
    found = [result for result in results[name] if isinstance(result, Result)]
    first, result = found[0], found[-1]
    assert result.mean is not None
    assert result.ci is not None
    return Score(
        value=float(result.score),
        interval=Interval(mean=float(result.mean), half_width=float(result.ci)),
        signature=str(signature),
        # For equal scores sacrebleu gives the lowest p, as if they differed most.
        p_value=1.0 if baseline and result.score == first.score else result.p_value,
    )


def _by_rouge(
    name: Metric,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    bootstrap: int,
    baseline: Sequence[str] | None,
) -> Score:
    """Mean over the lines, with the bootstrap of sacrebleu."""
    lines = line_scores(name, hypotheses, references)
    signature = _signature(len(references), bootstrap, SIGNATURE)
    if not bootstrap:
        return Score(value=float(lines.mean()), interval=None, signature=signature)
    draws = line_draws(bootstrap, len(lines))
    means = lines[draws].mean(1)
    p_value = None
    if baseline is not None:
        theirs = line_scores(name, baseline, references)
        differences = np.abs(means - theirs[draws].mean(1))
        beyond = differences - differences.mean() > abs(lines.mean() - theirs.mean())
        p_value = float(beyond.sum() + 1) / (bootstrap + 1)
        if lines.mean() == theirs.mean():
            p_value = 1.0
    return Score(
        value=float(lines.mean()),
        interval=interval_of(means),
        signature=signature,
        p_value=p_value,
    )


def line_scores(
    name: Metric, hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> NDArray[np.float64]:
    """Score each line (N,) against its best reference (Lin 2004, section 2.1)."""
    score: Callable[[str, str], float] = rouge_l
    if name != "rouge_l":
        score = partial(rouge_n, n=int(name.removeprefix("rouge_")))
    lines = zip(hypotheses, zip(*references, strict=True), strict=True)
    return 100 * np.array(
        [max(score(candidate, one) for one in right) for candidate, right in lines]
    )


def _signature(references: int, bootstrap: int, rest: str) -> str:
    """Return the signature, in the form that sacrebleu uses for its metrics."""
    draws = f"bs:{bootstrap}|seed:{SEED}|" if bootstrap else ""
    return f"nrefs:{references}|{draws}{rest}"


def line_draws(bootstrap: int, lines: int) -> NDArray[np.int64]:
    """Lines (bootstrap, lines) drawn with replacement, as sacrebleu draws them."""
    return np.random.default_rng(SEED).choice(lines, size=(bootstrap, lines))


def interval_of(values: NDArray[np.float64]) -> Interval:
    mean, half_width = estimate_ci(values)
    return Interval(mean=float(mean), half_width=float(half_width))
