"""Compression: how well an output keeps the words of its source that the reference keeps.

Sentence compression by deletion is measured by the F1 of the words that are kept, beside the
compression ratio, since a longer output keeps more of the right words (Filippova et al. 2015,
section 4.2; Napoles et al. 2011). Words are those of `source_use`: without signs at their ends, and
without case.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from training.metrics.source_use import words_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Compression:
    """Figures over all outputs of a test set."""

    token_f1: float
    """From 0 to 100: F1 of the words of each output against those of its reference, in any order
    and each as often as it occurs; the mean over the lines."""
    ratio: float
    """Words of the outputs for each word of the sources."""
    reference_ratio: float
    """The same of the reference."""
    subsequences: float
    """From 0 to 100: share of the outputs whose words are some of the source's in its order."""
    reference_subsequences: float
    """The same of the reference."""

    def describe(self) -> str:
        """Describe it in one line."""
        return (
            f"token F1 {self.token_f1:.1f}; {self.ratio:.2f} of the words of the source (reference "
            f"{self.reference_ratio:.2f}); outputs that are subsequences: "
            f"{self.subsequences:.1f} % (reference {self.reference_subsequences:.1f} %)"
        )


def compression(
    sources: Sequence[str], outputs: Sequence[str], reference: Sequence[str]
) -> Compression:
    """Measure all lines, at least one; line i of all sides belongs together."""
    read, ours, theirs = (list(map(words_of, side)) for side in (sources, outputs, reference))
    lines, length = len(read), sum(map(len, read))

    def subsequences(texts: list[list[str]]) -> float:
        return 100 * sum(map(is_subsequence, texts, read)) / lines

    def ratio(texts: list[list[str]]) -> float:
        return sum(map(len, texts)) / length if length else 0.0

    return Compression(
        token_f1=100 * sum(map(_f1, ours, theirs)) / lines,
        ratio=ratio(ours),
        reference_ratio=ratio(theirs),
        subsequences=subsequences(ours),
        reference_subsequences=subsequences(theirs),
    )


def is_subsequence(words: Sequence[str], of: Sequence[str]) -> bool:
    """Tell whether `words` are some of the words `of`, in their order."""
    remaining = iter(of)
    return all(word in remaining for word in words)


def _f1(words: list[str], reference: list[str]) -> float:
    """The harmonic mean of precision and recall, of multisets; 1 if both are empty."""
    common = (Counter(words) & Counter(reference)).total()
    both = len(words) + len(reference)
    return 2 * common / both if both else 1.0
