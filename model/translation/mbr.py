"""Minimum Bayes risk: choosing the candidate most like all others (Kumar & Byrne 2004).

Candidates are translations of one text: the n-best of a search or, better, samples (Eikema & Aziz
2020). Each is compared with every candidate as if that were the reference; the mean of the
utilities is the expected utility under the model. Equal texts count as often as they were drawn.
"""

import dataclasses
from collections.abc import Callable, Sequence

from model.decoding.beam_search import Hypothesis
from model.decoding.options import SearchOptions
from model.errors import RequestError
from model.text.tokenizer import Tokenizer

Utility = Callable[[str, str], float]
"""How good a translation (first) is, given a reference (second); higher is better."""


def expected_utilities(candidates: Sequence[str], utility: Utility) -> list[float]:
    """The expected utility of each candidate, with all as equally probable references."""
    known: dict[tuple[str, str], float] = {}

    def once(candidate: str, reference: str) -> float:
        pair = candidate, reference
        if pair not in known:
            known[pair] = utility(candidate, reference)
        return known[pair]

    return [sum(once(c, r) for r in candidates) / len(candidates) for c in candidates]


def mbr_order(candidates: Sequence[str], utility: Utility) -> list[int]:
    """The positions of the candidates, ranked by expected utility, the highest first.

    Equal ones stay in their order, so that the one that the search ranked higher comes first.
    """
    utilities = expected_utilities(candidates, utility)
    return sorted(range(len(candidates)), key=lambda place: -utilities[place])


def candidate_options(options: SearchOptions) -> SearchOptions:
    """`options` changed so that the search returns all its hypotheses, as candidates.

    Raises:
        RequestError: there would be only one candidate, or several translations are asked for.
    """
    if options.beam_size == 1:
        raise RequestError("mbr: beam_size is 1, so there is no choice. Raise beam_size.")
    if options.n_best > 1:
        raise RequestError(
            f"mbr: n_best is {options.n_best}, but mbr chooses one translation of all beam_size "
            f"{options.beam_size}. Use n_best 1, or leave out mbr."
        )
    return dataclasses.replace(options, n_best=options.beam_size)


def choose(
    hypotheses: Sequence[Hypothesis], tokenizer: Tokenizer, utility: Utility
) -> tuple[Hypothesis, ...]:
    """The one hypothesis whose text has the highest expected utility; none of none."""
    candidates = [tokenizer.decode(hypothesis.pieces) for hypothesis in hypotheses]
    return tuple(hypotheses[place] for place in mbr_order(candidates, utility)[:1])


def chrf() -> Utility:
    """chrF of sacrebleu (Popović 2015), 0 to 100.

    Raises:
        RequestError: sacrebleu is not installed.
    """
    try:
        from sacrebleu.metrics.chrf import CHRF
    except ImportError as error:
        raise RequestError(
            "mbr: chrF needs sacrebleu, which is not installed. Run pip install sacrebleu, or give "
            "another utility."
        ) from error
    metric = CHRF()
    return lambda candidate, reference: float(metric.sentence_score(candidate, [reference]).score)
