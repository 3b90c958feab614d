"""Sentence ends that libraries and model/text/sentences.py miss or put where none is, and how fast.

    taskset -c 0 python -m benchmarks.sentences

The sentences are those of tests/data/sentences.tsv. A library takes part if it is installed:
sentencex, pysbd, sentence-splitter, syntok, segtok, blingfire. One that does not know a language is
told "en"; one that fails on a line counts as one that leaves it whole.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path

from model.text.sentences import may_have_several, sentence_ends

SENTENCES = Path("tests/data/sentences.tsv")
MAIN = ("de", "en", "es", "fr")
ROUNDS = 5
SHORT = (
    "Zwei junge Männer sind im Freien in der Nähe vieler Büsche.",
    "A man in a blue shirt is standing on a ladder cleaning a window.",
    "Ein kleines Mädchen klettert in ein Spielhaus aus Holz.",
)
Splitter = Callable[[str, str], list[int]]


def main() -> int:
    """A table of errors and speeds, then what a line of one sentence costs."""
    lines = read_sentences(SENTENCES)
    count = sum(len(ends) + 1 for _, _, ends in lines)
    print(f"{count} sentences, {sum(len(ends) for _, _, ends in lines)} ends within lines")
    print("missed+wrong: " + " ".join(f"{name:>7}" for name in (*MAIN, "others")) + "  all us/line")
    for name, make in CANDIDATES.items():
        try:
            splitter = make()
        except ImportError:
            print(f"{name:>17}: not installed")
            continue
        print(f"{name:>17}: {report(splitter, lines)}")
    print(f"a short line of one sentence: {1e6 * _seconds(_all_ends):.2f} us")
    print(f"what of it is may_have_several: {1e6 * _seconds(_all_several):.2f} us")
    return 0


def read_sentences(path: Path) -> list[tuple[str, str, set[int]]]:
    """Language, line and true ends of each line of a file in which "|" stands after an end."""
    read = []
    for row in path.read_text(encoding="utf-8").splitlines():
        language, marked = row.split("\t")
        *sentences, _ = marked.split("|")
        ends = {sum(map(len, sentences[: i + 1])) for i in range(len(sentences))}
        read.append((language, marked.replace("|", ""), ends))
    return read


def report(splitter: Splitter, lines: list[tuple[str, str, set[int]]]) -> str:
    """Missed and wrong ends by language, their sum, and the time for a line."""
    errors = {name: [0, 0] for name in (*MAIN, "others")}
    for language, line, ends in lines:
        found = set(splitter(line, language))
        error = errors[language if language in MAIN else "others"]
        error[0] += len(ends - found)
        error[1] += len(found - ends)
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for language, line, _ends in lines:
            splitter(line, language)
        seconds.append((time.perf_counter() - began) / len(lines))
    columns = " ".join(f"{missed:>4}+{wrong:<2}" for missed, wrong in errors.values())
    return f"{columns} {sum(map(sum, errors.values())):>4} {1e6 * statistics.median(seconds):>7.1f}"


def ends_of(line: str, sentences: Iterable[str]) -> list[int]:
    """Where in `line` all sentences but the last end, if they stand there one after the other."""
    ends = []
    place = 0
    for sentence in filter(None, map(str.strip, sentences)):
        found = line.find(sentence, place)
        if found < 0:
            return []
        place = found + len(sentence)
        ends.append(place)
    return ends[:-1]


def _sentencex() -> Splitter:
    library = import_module("sentencex")

    def split(line: str, language: str) -> list[int]:
        try:
            return ends_of(line, library.segment(language, line))
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            return []

    return split


def _pysbd() -> Splitter:
    library = import_module("pysbd")
    known = import_module("pysbd.languages").LANGUAGE_CODES
    made = {code: library.Segmenter(language=code, clean=False) for code in known}
    return lambda line, language: ends_of(line, made.get(language, made["en"]).segment(line))


def _sentence_splitter() -> Splitter:
    library = import_module("sentence_splitter")
    prefixes = (Path(str(library.__file__)).parent / "non_breaking_prefixes").glob("*.txt")
    made = {path.stem: library.SentenceSplitter(language=path.stem) for path in prefixes}
    return lambda line, language: ends_of(line, made.get(language, made["en"]).split(line))


def _syntok() -> Splitter:
    library = import_module("syntok.segmenter")

    def split(line: str, language: str) -> list[int]:
        sentences = [list(each) for part in library.process(line) for each in part]
        return [each[-1].offset + len(each[-1].value) for each in sentences][:-1]

    return split


def _segtok() -> Splitter:
    library = import_module("segtok.segmenter")
    return lambda line, language: ends_of(line, library.split_single(line))


def _blingfire() -> Splitter:
    library = import_module("blingfire")
    return lambda line, language: ends_of(line, library.text_to_sentences(line).split("\n"))


def _all_ends() -> None:
    for line in SHORT:
        sentence_ends(line, "de")


def _all_several() -> None:
    for line in SHORT:
        may_have_several(line)


def _seconds(work: Callable[[], None]) -> float:
    """The time for one of the short lines: the least of some rounds."""
    rounds = []
    for _ in range(4 * ROUNDS):
        began = time.perf_counter()
        for _ in range(1000):
            work()
        rounds.append((time.perf_counter() - began) / (1000 * len(SHORT)))
    return min(rounds)


CANDIDATES: dict[str, Callable[[], Splitter]] = {
    "sentencex": _sentencex,
    "pysbd": _pysbd,
    "sentence-splitter": _sentence_splitter,
    "syntok": _syntok,
    "segtok": _segtok,
    "blingfire": _blingfire,
    "ours": lambda: sentence_ends,
}


if __name__ == "__main__":
    sys.exit(main())
