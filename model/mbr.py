"""Minimum Bayes risk: the candidate that is most like all others (Kumar & Byrne 2004).

Candidates are translations of one text: the n-best of a search or, better, samples (Eikema & Aziz
2020). Each is compared with every one as if that were the reference; the mean of the utilities is
the expected utility under the model. Equal texts count as often as they were drawn.
"""

from collections.abc import Callable, Sequence

from model.errors import RequestError

Utility = Callable[[str, str], float]
"""How good a translation (first) is where another (second) is the right one; higher is better."""


def expected_utilities(candidates: Sequence[str], utility: Utility) -> list[float]:
    """The expected utility of each candidate, all of them being equally probable references."""
    known: dict[tuple[str, str], float] = {}

    def once(candidate: str, reference: str) -> float:
        pair = candidate, reference
        if pair not in known:
            known[pair] = utility(candidate, reference)
        return known[pair]

    return [sum(once(c, r) for r in candidates) / len(candidates) for c in candidates]


def mbr_order(candidates: Sequence[str], utility: Utility) -> list[int]:
    """The places of the candidates, that of the highest expected utility first.

    Equal ones stay in their order, so that the better one for the search comes first.
    """
    utilities = expected_utilities(candidates, utility)
    return sorted(range(len(candidates)), key=lambda place: -utilities[place])


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
