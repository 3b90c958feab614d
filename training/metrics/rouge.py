"""ROUGE: words, bigrams or subsequences that summary and reference share (Lin 2004)."""

import re
from collections import Counter

# Letters and digits of any script, so that for English text words are those of the common Python
# package rouge-score without its stemmer. Marks are no words, and neither is "_".
#
# Of Thai, Lao, Tibetan, Burmese, Khmer, kana and Chinese characters, which are written without
# spaces, each letter is a word.
_ALONE = "\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"(?=[^\W_])[{_ALONE}]|[^\W_{_ALONE}]+")

SIGNATURE = "case:lower|tok:letters-digits|stem:no|measure:f1|mean:lines"
"""What a corpus score depends on besides lines, references and draws, as sacrebleu writes it."""


def words(text: str) -> list[str]:
    """Split a text into the words that ROUGE counts."""
    return _WORD.findall(text.lower())


def rouge_n(candidate: str, reference: str, n: int) -> float:
    """F1, 0 to 1, of the n-grams that a candidate and its reference share (Lin 2004, section 2).

    matches = sum over n-grams g of min(count of g in one, in the other)
    recall = matches / n-grams of the reference, precision = matches / those of the candidate
    F1 = 2 precision recall / (precision + recall)
    """
    one, other = (_ngrams(words(text), n) for text in (candidate, reference))
    return _f1((one & other).total(), one.total(), other.total())


def rouge_l(candidate: str, reference: str) -> float:
    """F1, 0 to 1, of the longest common subsequence of words (Lin 2004, section 3.1, beta 1)."""
    one, other = words(candidate), words(reference)
    longest = [0] * (len(other) + 1)  # of the words of `one` so far and a beginning of `other`
    for word in one:
        before = longest
        longest = [0]
        for place, its in enumerate(other):
            same = before[place] + 1 if its == word else 0
            longest.append(max(same, before[place + 1], longest[-1]))
    return _f1(longest[-1], len(one), len(other))


def _ngrams(sequence: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(sequence[start:] for start in range(n)), strict=False))


def _f1(common: int, one: int, other: int) -> float:
    """2PR / (P + R) with P = common / one and R = common / other."""
    return 2 * common / (one + other) if common else 0.0
