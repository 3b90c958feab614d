"""Everyday sentences: everyday.tsv, what a model makes of them, and the marks that a reader gives.

The sentences were written for this purpose, not taken from a corpus. References are natural English
with capitals and signs, also for sentences that are typed in a hurry, so BLEU and chrF of these
kinds are low even where a translation is right: the marks count, scores only compare models.

A reader gets a file of id, kind, de and output, without references, and adds a column `mark`:
`right` says the same in English as people write it, `understandable` is clumsy, but tells all that
matters, and anything else is `wrong`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.cli.command import open_output
from model.errors import ConfigError, DataError
from model.io.lines import read_lines
from model.jobs.formats import one_line

FILE = Path(__file__).with_name("everyday.tsv")
KINDS = (
    "statement",
    "question",
    "request",
    "long",
    "two-sentences",
    "number",
    "no-break",
    "lower-case",
    "typo",
)
MARKS = ("right", "understandable", "wrong")
WRITTEN = ("id", "kind", "de", "output")
"""The columns of a file for a reader."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentence:
    """A German sentence with an English reference."""

    id: str
    kind: str
    """One of `KINDS`."""
    source: str
    reference: str


def read_sentences() -> list[Sentence]:
    """The sentences of everyday.tsv, in their order."""
    rows = [line.split("\t") for line in read_lines(FILE)]
    return [
        Sentence(id=name, kind=kind, source=source, reference=reference)
        for name, kind, source, reference in rows[1:]
    ]


def check_unmarked(path: Path) -> None:
    """Check that `path` holds no work of a reader.

    Raises:
        ConfigError: its columns are not those that `write_outputs` writes, so it may have marks.
    """
    if path.exists() and next(read_lines(path), "") != "\t".join(WRITTEN):
        raise ConfigError(
            f"{path}: has other columns than {', '.join(WRITTEN)}, so it may have been marked. "
            "Move it, or write to another folder."
        )


def write_outputs(path: Path, sentences: Sequence[Sentence], outputs: Sequence[str]) -> None:
    """Write a file for a reader, with a row for each sentence; a tab in an output becomes a space.

    Raises:
        DataError: the file cannot be written.
    """
    with open_output(str(path)) as file:
        rows = [WRITTEN]
        for one, output in zip(sentences, outputs, strict=True):
            rows.append((one.id, one.kind, one.source, one_line(output).replace("\t", " ")))
        file.writelines(("\t".join(row) + "\n").encode() for row in rows)


def count_marks(path: Path) -> dict[str, dict[str, int]]:
    """Count the marks of a file by kind: `counts[kind][mark]`, in the order of the kinds.

    Raises:
        DataError: a column is missing, or a row has no mark or one that is not known.
    """
    lines = list(read_lines(path))
    header = lines[0].split("\t") if lines else []
    for name in ("kind", "mark"):
        if name not in header:
            raise DataError(
                f"{path}: has no column {name}. Give a file with id, kind, de, output and mark, "
                "tab-separated, and these names in its first line."
            )
    counts = {kind: dict.fromkeys(MARKS, 0) for kind in KINDS}
    for number, line in enumerate(lines[1:], 2):
        cells = dict(zip(header, line.split("\t"), strict=False))
        for name, known in (("kind", KINDS), ("mark", MARKS)):
            if cells.get(name) not in known:
                raise DataError(
                    f"{path}, line {number}: {name} is {cells.get(name, '')!r}. "
                    f"Use {', '.join(known[:-1])} or {known[-1]}."
                )
        counts[cells["kind"]][cells["mark"]] += 1
    return {kind: marks for kind, marks in counts.items() if any(marks.values())}
