"""Quality of finished models: held-out sets in each precision and search, and everyday sentences.

python -m benchmarks.quality MODEL... [--data DIR] [--output FILE.md] [--lines N]
python -m benchmarks.quality --marked everyday.MODEL.tsv
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.everyday import (
    KINDS,
    MARKS,
    check_unmarked,
    count_marks,
    read_sentences,
    write_outputs,
)
from benchmarks.held_out import PUBLISHED, SETS, HeldOut, has_languages
from model.cli.command import OK, command_parser, open_output, positive, run_command
from model.cli.paths import refuse_overwriting
from model.decoding.options import SearchOptions
from model.decoding.precision.dtypes import Precision
from model.errors import ConfigError, DataError, RequestError
from model.io.progress import line_progress
from model.jobs.formats import one_line
from model.jobs.truncation import Truncations
from model.text.profile import TextProfile
from model.translator import WINDOW, Translator, windows
from training.metrics.bleu_tokenization import bleu_tokenizer
from training.metrics.names import LABELS, OF_TASK
from training.validation.corpus_scores import Score, score_corpus

NAME = "benchmarks.quality"
DRAWS = 1000
"""Of the bootstrap, as many as dragoman-evaluate makes."""
MEASURED: tuple[Precision, ...] = ("int8", "fp32")

DESCRIPTION = """\
Measure models, each on the held-out sets that suit its task and languages: scores with the
intervals of dragoman-evaluate, in int8 and fp32, with the search that the model was saved with and
a greedy one; what int8 changes, by a paired bootstrap; and for translators lines joined two by two
and translated uncut, beside the same lines translated apart. A set that is not in DIR is named and
left out. German to English is also measured on everyday.tsv, by kind; its outputs are written to
everyday.MODEL.tsv beside FILE, for a person to mark. --marked counts the marks of such a file.
All runs on the CPU."""

EXAMPLE = """\
examples:
  python -m benchmarks.quality runs/tatoeba --output quality.md
  python -m benchmarks.quality runs/tatoeba --lines 200
  python -m benchmarks.quality --marked everyday.tatoeba.tsv"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(NAME, lambda: _quality(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(NAME, DESCRIPTION, EXAMPLE)
    parser.add_argument("models", metavar="MODEL", nargs="*", help="a run, a checkpoint or a pack")
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        default=Path(os.environ.get("DRAGOMAN_DATA", ".")),
        help="folder of all sets (default: the variable DRAGOMAN_DATA, else the working folder)",
    )
    parser.add_argument("--output", metavar="FILE", type=Path, help="write the report here too")
    parser.add_argument(
        "--lines", metavar="N", type=positive, help="only the first N lines of each held-out set"
    )
    parser.add_argument(
        "--languages",
        metavar="FROM-TO",
        help="such as de-en, for models that were saved without their languages",
    )
    parser.add_argument(
        "--marked", metavar="FILE", type=Path, help="count the marks of FILE, in place of measuring"
    )
    return parser


def _quality(arguments: argparse.Namespace) -> int:
    if arguments.marked is not None:
        if arguments.models:
            raise ConfigError("--marked: counts marks, no model is measured. Leave out MODEL.")
        print(marks_table(arguments.marked), end="")
        return OK
    if not arguments.models:
        raise ConfigError("nothing to measure. Give a MODEL, or marks with --marked.")
    folder = Path() if arguments.output is None else arguments.output.parent
    files = {model: folder / f"everyday.{_short(model)}.tsv" for model in arguments.models}
    writes = [("everyday sentences", path) for path in files.values()]
    reads = [("MODEL", model) for model in arguments.models]
    refuse_overwriting(reads, [*writes, ("--output", arguments.output)])
    for path in files.values():
        check_unmarked(path)
    report = ""
    for model, path in files.items():
        for section in _sections(model, path, arguments):
            print(section, flush=True)
            report += section + "\n"
    if arguments.output is not None:
        with open_output(str(arguments.output)) as output:
            output.write(report.encode())
    return OK


def _short(model: str) -> str:
    """The last part of a path, by which files of a model are told apart."""
    return Path(model).resolve().stem


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A model in both precisions, with what it does."""

    name: str
    translators: dict[Precision, Translator]
    profile: TextProfile

    @property
    def searches(self) -> dict[str, SearchOptions]:
        """The search that the model was saved with and a greedy one, each with its name."""
        own = self.translators["int8"].options
        greedy = replace(own, beam_size=1, n_best=1, diverse_groups=1)
        return {f"beam {own.beam_size}": own, "greedy": greedy}


def load(name: str, languages: str | None) -> Model:
    """Load a model in each precision.

    Args:
        languages: `FROM-TO`, for a model without languages.

    Raises:
        CheckpointError: there is none.
        ConfigError: `languages` are none.
    """
    translators = {one: Translator.load(name, device="cpu", precision=one) for one in MEASURED}
    profile = translators["int8"].profile
    if languages is not None and not profile.source_language and not profile.target_language:
        source, _, target = languages.partition("-")
        profile = profile.with_overrides(source=source, target=target)
    return Model(name=name, translators=translators, profile=profile)


def _sections(name: str, path: Path, arguments: argparse.Namespace) -> Iterator[str]:
    """Measure a model; yields Markdown, each part when it is known."""
    model = load(name, arguments.languages)
    yield f"## {name}: {model.profile.describe()}\n"
    suitable = [held_out for held_out in SETS if held_out.suits(model.profile)]
    if not suitable:
        yield "No held-out set suits its task and languages (--languages, if it has none).\n"
    for held_out in suitable:
        missing = held_out.missing(arguments.data)
        if missing is not None:
            yield f"{held_out.name}: left out, {missing} is not there.\n"
            continue
        sources, references = held_out.read(arguments.data, arguments.lines)
        yield f"### {held_out.name}, {len(sources):,} lines\n"
        yield from _measure(model, held_out, sources, references)
    if model.profile.task == "translate" and has_languages(model.profile, ("de", "en")):
        yield "### Everyday sentences\n"
        yield _everyday(model, path)


def _measure(
    model: Model, held_out: HeldOut, sources: Sequence[str], references: Sequence[str]
) -> Iterator[str]:
    """Yield the tables of a model on a held-out set."""
    outputs = {
        (search, precision): translate(
            model, precision, options, sources, f"{held_out.name}, {precision}, {search}"
        )
        for search, options in model.searches.items()
        for precision in MEASURED
    }
    scores = {
        f"{search}, {precision}": score(model.profile, lines, references)
        for (search, precision), lines in outputs.items()
    }
    yield scores_table(scores) + _published(held_out)
    changes = {}
    for search in model.searches:
        ours, theirs = outputs[search, "int8"], outputs[search, "fp32"]
        same = sum(one == other for one, other in zip(ours, theirs, strict=True))
        title = f"{search}, int8 - fp32 ({same:,} of {len(ours):,} lines the same)"
        compared = score(model.profile, ours, references, theirs)
        changes[title] = compared, scores[f"{search}, fp32"]
    yield differences_table(changes)
    if not model.profile.reads_whole and len(sources) > 1:
        own = next(iter(model.searches))
        yield _joined(model, held_out, sources, references, outputs[own, "int8"])


def _joined(
    model: Model,
    held_out: HeldOut,
    sources: Sequence[str],
    references: Sequence[str],
    apart: Sequence[str],
) -> str:
    """Measure lines joined two by two and uncut beside `apart`, what the lines alone became."""
    pairs, right, beside = (two_by_two(lines) for lines in (sources, references, apart))
    own, options = next(iter(model.searches.items()))
    uncut = replace(options, split_sentences="never")
    together = translate(model, "int8", uncut, pairs, f"{held_out.name}, joined, int8, {own}")
    theirs = score(model.profile, beside, right)
    ours = score(model.profile, together, right, beside)
    title = f"{len(pairs):,} pairs of lines, {own}, int8: "
    rows = {f"{title}translated apart, then joined": theirs, f"{title}joined, uncut": ours}
    return scores_table(rows) + "\n" + differences_table({"joined - apart": (ours, theirs)})


def two_by_two(lines: Sequence[str]) -> list[str]:
    """Join lines 1 and 2, 3 and 4 and so on by a space; the last of an odd number is left out."""
    return [" ".join(pair) for pair in zip(lines[::2], lines[1::2], strict=False)]


def _everyday(model: Model, path: Path) -> str:
    """Score everyday.tsv by kind, and write the outputs to `path`."""
    sentences = read_sentences()
    own, options = next(iter(model.searches.items()))
    what = f"everyday sentences, int8, {own}"
    outputs = translate(model, "int8", options, [one.source for one in sentences], what)
    write_outputs(path, sentences, outputs)
    scores = {}
    for kind in ("all", *KINDS):
        some = [i for i, one in enumerate(sentences) if kind in ("all", one.kind)]
        right = [sentences[i].reference for i in some]
        title = f"{kind}, {len(some)} sentences, {own}, int8"
        scores[title] = score(model.profile, [outputs[i] for i in some], right)
    return scores_table(scores) + f"\nFor a person to mark: {path}\n"


def translate(
    model: Model,
    precision: Precision,
    options: SearchOptions,
    sources: Sequence[str],
    what: str,
) -> list[str]:
    """Translate each of `sources` as dragoman-translate does; shows progress on stderr.

    Raises:
        DataError: one cannot be translated.
    """
    translator, truncations = model.translators[precision], Truncations()
    print(f"{NAME}: {model.name}: {what}, {len(sources):,} lines", file=sys.stderr)
    outputs: list[str] = []
    with line_progress(NAME, len(sources)) as advance:
        for window in windows(sources, WINDOW):
            for found in translator.search_each([(text, options) for text in window], advance):
                if isinstance(found, RequestError):
                    raise DataError(f"{what}, line {len(outputs) + 1}: {found}") from found
                outputs.append(one_line(found.text))
                truncations.look_at(len(outputs), found)
    for line in truncations.describe("line"):
        print(f"{NAME}: {line}", file=sys.stderr)
    return outputs


def score(
    profile: TextProfile,
    outputs: Sequence[str],
    references: Sequence[str],
    baseline: Sequence[str] | None = None,
) -> dict[str, Score]:
    """Score by the metrics of the task, with a bootstrap."""
    return score_corpus(
        outputs,
        [references],
        metrics=OF_TASK[profile.task],
        tokenizer=bleu_tokenizer("auto", profile.target_language, references),
        bootstrap=DRAWS,
        baseline=baseline,
    )


def scores_table(rows: dict[str, dict[str, Score]]) -> str:
    """A row for each measurement, and below the table the signatures."""
    metrics = next(iter(rows.values()))
    header = ["", *(cell for name in metrics for cell in (LABELS[name], "95 %"))]
    body = [[title, *_score_cells(scores)] for title, scores in rows.items()]
    signatures = dict.fromkeys(
        f"{'ROUGE' if name.startswith('rouge') else LABELS[name]}: `{one.signature}`"
        for name, one in metrics.items()
    )
    return markdown_table(header, body) + "\n" + "; ".join(signatures) + "\n"


def _score_cells(scores: dict[str, Score]) -> list[str]:
    cells = []
    for one in scores.values():
        assert one.interval is not None
        cells += [f"{one.value:.2f}", f"{one.interval.mean:.2f} ± {one.interval.half_width:.2f}"]
    return cells


def differences_table(rows: dict[str, tuple[dict[str, Score], dict[str, Score]]]) -> str:
    """A row for each pair of scores, the first with its p-value beside the second."""
    metrics = next(iter(rows.values()))[0]
    header = ["difference", *(cell for name in metrics for cell in (LABELS[name], "p"))]
    body = []
    for title, (ours, theirs) in rows.items():
        cells = [title]
        for name, one in ours.items():
            assert one.p_value is not None
            cells += [f"{one.value - theirs[name].value:+.2f}", f"{one.p_value:.4f}"]
        body.append(cells)
    return markdown_table(header, body)


def _published(held_out: HeldOut) -> str:
    """A table of what others say of their systems; empty if nothing is known."""
    rows = [
        [one.system, f"{one.bleu:g}", "" if one.chrf is None else f"{one.chrf:g}", *where]
        for one in PUBLISHED
        if one.name == held_out.name
        for where in [(one.conditions, one.source)]
    ]
    header = ["published", "BLEU", "chrF", "conditions", "source"]
    return "\n" + markdown_table(header, rows) if rows else ""


def marks_table(path: Path) -> str:
    """Count the marks of a file, by kind and in all, with percentages.

    Raises:
        DataError: see `count_marks`.
    """
    counts = count_marks(path)
    counts["all"] = {mark: sum(marks[mark] for marks in counts.values()) for mark in MARKS}
    body = []
    for kind, marks in counts.items():
        number = sum(marks.values())
        shares = [f"{marks[m]} ({100 * marks[m] / max(number, 1):.0f} %)" for m in MARKS]
        body.append([kind, str(number), *shares])
    return markdown_table(["kind", "sentences", *MARKS], body)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table in Markdown."""
    rule = ["---"] * len(header)
    return "".join("| " + " | ".join(cells) + " |\n" for cells in (header, rule, *rows))


if __name__ == "__main__":
    sys.exit(main())
