"""Columns: what a line of text says besides the translation: its score, alignment and rivals."""

import dataclasses
from collections.abc import Collection
from functools import partial

from model.errors import ConfigError
from model.jobs.formats import CorpusRecord, FormatName, RecordFormat, one_line
from model.translation.assemble import TextHypothesis, Translation

COLUMNS = ("scores", "alignment", "nbest")

_BETWEEN = " ||| "  # as in the n-best lists of Moses


def parse_columns(text: str) -> tuple[str, ...]:
    """Parse names of columns with commas between them; they come back in the order of `COLUMNS`.

    Raises:
        ConfigError: a name is not one of these.
    """
    given = text.split(",")
    for name in given:
        if name not in COLUMNS:
            raise ConfigError(
                f"--print: {name!r} is not known. Give one or more of {', '.join(COLUMNS)}, with "
                "commas between them, such as scores,alignment."
            )
    return tuple(name for name in COLUMNS if name in given)


def check_columns(columns: Collection[str], form: FormatName, n_best: int | None) -> None:
    """Check that the output has room for what is asked for.

    Raises:
        ConfigError: it has not.
    """
    if columns and form != "text":
        raise ConfigError(
            f"--print: is for text, but the input is read as {form}. Leave it out, or add --format "
            "text; jsonl has all of it anyway."
        )
    if form != "jsonl" and "nbest" not in columns and (n_best or 1) > 1:
        raise ConfigError(
            f"--n-best {n_best}: {form} has one translation for each line. Use 1, or add --format "
            "jsonl, or for text --print nbest."
        )


def with_columns(form: RecordFormat, columns: Collection[str]) -> RecordFormat:
    """The text format `form`, with lines of columns: see docs/translate.md.

    With `nbest`, a record has a line for each of its translations, and none if it is set aside.
    """
    if not columns:
        return form

    def parse(number: int, line: str) -> CorpusRecord:
        lines = partial(columns_of, index=number - 1, columns=columns)
        return dataclasses.replace(form.parse(number, line), line=lines)

    blank = b"" if "nbest" in columns else form.blank
    return dataclasses.replace(form, parse=parse, blank=blank)


def columns_of(translation: Translation, index: int, columns: Collection[str]) -> str:
    """The line for a translation, without its LF, or with `nbest` the lines; `index` is from 0."""
    if "nbest" not in columns:
        return _line(translation.hypotheses[0], [], columns)
    return "\n".join(_line(one, [str(index)], columns) for one in translation.hypotheses)


def _line(hypothesis: TextHypothesis, begun: list[str], columns: Collection[str]) -> str:
    values = [*begun, one_line(hypothesis.translation)]
    if "scores" in columns or "nbest" in columns:
        values.append(f"{hypothesis.score:.6f}")
    if "alignment" in columns:
        links = enumerate(hypothesis.word_alignment)
        values.append(" ".join(f"{source}-{target}" for target, source in links))
    return _BETWEEN.join(values)
