"""Source use: what of an output stands in its source, and what does not.

Novel n-grams as in See et al. 2017, figure 6. Words are divided by whitespace; signs at their ends
do not count, nor does case. `model.text.names` tells what a name is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model.text.names import names_of, stands_in, stripped_words

N_GRAMS = (1, 2, 3, 4)


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceUse:
    """Shares, from 0 to 100, over all outputs of a test set; 0 where there is nothing to count."""

    copied: float
    """Of the words of the outputs, those that stand in the source."""
    novel: tuple[float, ...]
    """Of the n-grams of the outputs, those that do not, for n in `N_GRAMS`."""
    names: int
    """Acronyms, words with inner capitals, and numbers of the outputs."""
    names_in_source: float
    """Of these, those that stand in the source."""

    def describe(self) -> str:
        """Describe it in one line."""
        novel = ", ".join(f"{share:.1f}" for share in self.novel)
        return (
            f"{self.copied:.1f} % of the words stand in the source; new n-grams, n = 1 to "
            f"{N_GRAMS[-1]}: {novel} %; of {self.names:,} acronyms, words with inner capitals and "
            f"numbers, {self.names_in_source:.1f} % stand in the source"
        )


def source_use(sources: Sequence[str], outputs: Sequence[str]) -> SourceUse:
    """Count over all lines; line i of both sides belongs together."""
    grams, novel, names, found = [0] * len(N_GRAMS), [0] * len(N_GRAMS), 0, 0
    for source, output in zip(sources, outputs, strict=True):
        words, known = words_of(output), words_of(source)
        for place, n in enumerate(N_GRAMS):
            there = set(_grams(known, n))
            ours = list(_grams(words, n))
            grams[place] += len(ours)
            novel[place] += sum(gram not in there for gram in ours)
        own = names_of(output)
        names += len(own)
        found += sum(stands_in(name, source) for name in own)
    shares = tuple(_percent(new, all_) for new, all_ in zip(novel, grams, strict=True))
    return SourceUse(
        copied=_percent(grams[0] - novel[0], grams[0]),
        novel=shares,
        names=names,
        names_in_source=_percent(found, names),
    )


def words_of(text: str) -> list[str]:
    """Divide `text` into words, without signs at their ends and without case."""
    return [word.casefold() for word in stripped_words(text)]


def _grams(words: Sequence[str], n: int) -> Iterable[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(n)), strict=False)


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0
