"""Accepted sequences: everything that is right for each line of a test set of symbols."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.errors import ConfigError, DataError
from model.io.lines import read_lines
from model.text.alphabet import Cut
from model.text.printable import shortened

_SHOWN = 100  # characters of a line in a message


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What is compared of a line: its symbols, without what matches a pattern in each of them."""

    cut: Cut
    ignored: re.Pattern[str] | None = None

    def symbols(self, line: str) -> list[str]:
        """The symbols of `line` that count. One of which nothing is left does not."""
        found = self.cut.cut(line)
        if self.ignored is None:
            return found
        return [rest for symbol in found if (rest := self.ignored.sub("", symbol))]


def compiled_pattern(text: str | None) -> re.Pattern[str] | None:
    """Compile the regular expression `text`; None stays None.

    Raises:
        ConfigError: it is none.
    """
    try:
        return None if text is None else re.compile(text)
    except re.error as error:
        raise ConfigError(
            f"--ignore-pattern: {text!r} is no regular expression ({error}). Quote it, as in "
            "'[0-9]'."
        ) from None


def read_alternatives(path: Path) -> dict[str, list[str]]:
    """Read a TSV file: a source, and after it all targets that are right for it, with tabs between.

    A source in several lines has the targets of all of them. White space within a source does not
    matter.

    Raises:
        DataError: the file cannot be read, or a line has no target.
    """
    found: dict[str, list[str]] = {}
    for number, line in enumerate(read_lines(path), 1):
        source, *targets = line.split("\t")
        if not line.strip():
            continue
        if not source.strip() or not targets or not all(target.strip() for target in targets):
            raise DataError(
                f"{path}, line {number}: {shortened(line, _SHOWN)} is no source with a tab and "
                "targets after it. Mend the line."
            )
        found.setdefault(_key(source), []).extend(targets)
    return found


def accepted_sequences(
    references: Sequence[Sequence[str]],
    alternatives: Mapping[str, Sequence[str]],
    sources: Sequence[str] | None,
    comparison: Comparison,
) -> list[list[list[str]]]:
    """For each line the sequences of its references, and of the alternatives for its source.

    Args:
        references: lists of lines, as in `training.validation.corpus_scores`.
        sources: needed if there are alternatives.

    Raises:
        DataError: a line has none.
    """
    count = len(references[0]) if references else len(sources or ())
    accepted: list[list[list[str]]] = []
    for row in range(count):
        right = [reference[row] for reference in references]
        if sources is not None:
            right += alternatives.get(_key(sources[row]), [])
        if not right:
            assert sources is not None
            raise DataError(
                f"line {row + 1}: {shortened(sources[row], _SHOWN)!r} has no target in the "
                "alternatives. Add it there, or give --reference, too."
            )
        accepted.append([comparison.symbols(line) for line in dict.fromkeys(right)])
    return accepted


def _key(source: str) -> str:
    return "".join(unicodedata.normalize("NFC", source).split())
