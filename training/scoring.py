"""Scoring of a corpus against references, with sacrebleu (Post 2018) and its bootstrap.

A bootstrap (Koehn 2004) draws the lines of the corpus anew, with replacement, many times: how much
a score varies among the draws tells how much it depends on the choice of the lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sacrebleu
from sacrebleu.significance import PairedTest, Result, estimate_ci

SEED = 12345  # sacrebleu's, unless the environment has another (SACREBLEU_SEED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """95 % of the bootstrap's draws lie in an interval as wide as this one, as sacrebleu has it."""

    mean: float
    half_width: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """One metric on one corpus."""

    value: float
    interval: Interval | None
    """None without a bootstrap."""
    signature: str
    """Everything that the value depends on besides the lines, as sacrebleu writes it."""
    p_value: float | None = None
    """Of the paired bootstrap: how probable so great a difference from the baseline would be if
    the two were equally good. None without a baseline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusScores:
    """What one system reaches on one corpus."""

    bleu: Score
    """0 to 100."""
    chrf: Score
    """0 to 100."""
    length_ratio: Score
    """Tokens of the hypotheses by tokens of the references, as BLEU counts them."""


def score_corpus(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    bootstrap: int,
    baseline: Sequence[str] | None = None,
) -> CorpusScores:
    """Scores of `hypotheses`, all three lists of the same length, one at least.

    Args:
        bootstrap: draws; 0 for none, and then there can be no baseline. The seed is sacrebleu's.
        baseline: the hypotheses of another system, to compare with.
    """
    bleu, chrf = (
        _score(metric, hypotheses, references, bootstrap, baseline)
        for metric in (sacrebleu.BLEU(), sacrebleu.CHRF())
    )
    ratio = _length_ratio(hypotheses, references, bootstrap, bleu.signature)
    return CorpusScores(bleu=bleu, chrf=chrf, length_ratio=ratio)


def _score(
    metric: sacrebleu.BLEU | sacrebleu.CHRF,
    hypotheses: Sequence[str],
    references: Sequence[str],
    bootstrap: int,
    baseline: Sequence[str] | None,
) -> Score:
    if not bootstrap:
        value = float(metric.corpus_score(hypotheses, [references]).score)
        return Score(value=value, interval=None, signature=str(metric.get_signature()))
    systems = [] if baseline is None else [("baseline", baseline)]
    systems.append(("system", hypotheses))
    test = PairedTest(systems, {"": metric}, [references], test_type="bs", n_samples=bootstrap)
    signatures, results = test()
    ((name, signature),) = signatures.items()
    result = results[name][-1]
    assert isinstance(result, Result)
    assert result.mean is not None
    assert result.ci is not None
    return Score(
        value=float(result.score),
        interval=Interval(mean=float(result.mean), half_width=float(result.ci)),
        signature=str(signature),
        # sacrebleu's least one for two equal files, which would read as the greatest difference.
        p_value=1.0 if hypotheses == baseline else result.p_value,
    )


def _length_ratio(
    hypotheses: Sequence[str], references: Sequence[str], bootstrap: int, signature: str
) -> Score:
    """Ratio of sums, with the draws of lines that sacrebleu makes with its usual seed."""
    counter = sacrebleu.BLEU(effective_order=True)  # what it asks for where sentences are alone
    pairs = zip(hypotheses, references, strict=True)
    counts = [counter.sentence_score(hypothesis, [reference]) for hypothesis, reference in pairs]
    lengths = np.array([(count.sys_len, count.ref_len) for count in counts])

    def ratio(rows: np.ndarray) -> float:
        hypothesis, reference = rows.sum(0).tolist()
        return hypothesis / reference if reference else 0.0

    interval = None
    if bootstrap:
        rng = np.random.default_rng(SEED)
        draws = rng.choice(len(lengths), size=(bootstrap, len(lengths)))
        mean, half_width = estimate_ci(np.array([ratio(lengths[draw]) for draw in draws]))
        interval = Interval(mean=float(mean), half_width=float(half_width))
    return Score(value=ratio(lengths), interval=interval, signature=signature)
