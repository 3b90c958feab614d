"""dragoman-evaluate: BLEU, chrF, length and ROUGE of the outputs for a test set."""

if __name__ == "__main__":  # before the imports, which take seconds
    from training import commands

    commands.evaluate()

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from model.cli.command import (
    OK,
    LoadedModel,
    add_model_arguments,
    add_search_arguments,
    add_shortlist_argument,
    command_parser,
    load_model,
    open_output,
    positive,
    run_command,
    search_options,
)
from model.cli.paths import Place, checkpoint_places, refuse_overwriting
from model.cli.report import add_report_argument, report_places, table, write_report
from model.errors import ConfigError, DataError, RequestError
from model.io.lines import read_lines
from model.io.progress import line_progress
from model.jobs.formats import one_line
from model.jobs.truncation import Truncations
from model.text.languages import language_tag
from model.translator import WINDOW, Translator, windows
from training.metrics.bleu_tokenization import CHOICES, BleuTokenizer, bleu_tokenizer, make_bleu
from training.metrics.names import LABELS, OF_TASK, SUMMARY, TRANSLATION, Metric
from training.validation.corpus_scores import Score, length_ratio, score_corpus

NAME = "dragoman-evaluate"

DESCRIPTION = """\
Translate or summarize a test set and score what comes out against one or more references, with
95 % intervals of sacrebleu's bootstrap and the signatures to report beside the scores: translations
by BLEU and chrF, by sacrebleu, summaries by ROUGE-1, ROUGE-2 and ROUGE-L, both with the ratio of
the lengths. RUN knows which of the two it writes. With --hypotheses, score translations that are
already there, and give no RUN. With --lead, score the first words of each source, which is the
usual baseline for summaries. --rouge shows all metrics. With --baseline, compare with the outputs
of another system by a paired bootstrap."""

EXAMPLE = """\
examples:
  dragoman-evaluate runs/demo --source test.de --reference test.en --output out.en
  dragoman-evaluate --hypotheses out.en --reference test.en --baseline other.en
  dragoman-evaluate --hypotheses out.en --reference test.en.0 test.en.1 test.en.2
  dragoman-evaluate --lead 10 --source test.abstract --reference test.title"""

DRAWS = 1000


def main(argv: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    return run_command(NAME, lambda: _evaluate(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(NAME, DESCRIPTION, EXAMPLE)
    add_model_arguments(parser, run_required=False)
    add_shortlist_argument(parser)
    files = "UTF-8, decompressed if it ends in .gz or .zst"
    texts = {
        "source": "lines to translate",
        "hypotheses": "translations to score, in place of those of a RUN",
        "baseline": "translations of another system, to compare with",
    }
    for name, what in texts.items():
        parser.add_argument(f"--{name}", metavar="FILE", type=Path, help=f"{what}; {files}")
    parser.add_argument(
        "--reference",
        metavar="FILE",
        type=Path,
        nargs="+",
        action="extend",
        required=True,
        help="line i is how line i is rightly translated; several files are as many right "
        f"translations of each line, and RUN stands before this flag; {files}",
    )
    parser.add_argument(
        "--output", metavar="FILE", help="write the translations, one line for each"
    )
    parser.add_argument(
        "--bootstrap",
        metavar="N",
        type=_draws,
        default=DRAWS,
        help="draws for the intervals; 0 is none (default: %(default)s)",
    )
    parser.add_argument(
        "--rouge",
        action="store_true",
        help="all metrics: ROUGE-1, -2 and -L of translations too, BLEU and chrF of summaries",
    )
    parser.add_argument(
        "--tokenize",
        choices=CHOICES,
        default="auto",
        help="how BLEU cuts text into words (default: %(default)s, as suits the target language, "
        "which --target-language or RUN tells, or else the letters of the references)",
    )
    parser.add_argument(
        "--lead",
        metavar="N",
        type=positive,
        help="score the first N words of each source line, in place of the outputs of a RUN",
    )
    add_report_argument(parser)
    add_search_arguments(parser)
    return parser


def _draws(text: str) -> int:
    if not text.isdecimal() or int(text) == 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of draws, use 0 or 2 and more")
    return int(text)


def _evaluate(arguments: argparse.Namespace) -> int:
    _check(arguments)
    _refuse_overwriting(arguments)
    paths, draws = arguments.reference, arguments.bootstrap
    references = [_lines(paths[0])]
    references += [_lines_beside(path, paths[0], len(references[0])) for path in paths[1:]]
    figures: dict[str, object] = {
        "references": [str(path) for path in paths],
        "lines": len(references[0]),
    }
    baseline = other = None
    if arguments.baseline is not None:
        baseline = _lines_beside(arguments.baseline, paths[0], len(references[0]))
    task, language = "translate", language_tag(arguments.target_language or "")
    if arguments.hypotheses is not None:
        hypotheses = _lines_beside(arguments.hypotheses, paths[0], len(references[0]))
        figures["hypotheses"] = str(arguments.hypotheses)
    else:
        sources = _lines_beside(arguments.source, paths[0], len(references[0]))
        if arguments.lead is not None:
            task = "summarize"
            hypotheses = [" ".join(text.split()[: arguments.lead]) for text in sources]
            figures |= {"lead": arguments.lead}
        else:
            model = load_model(NAME, arguments)
            profile = model.checkpoint.profile
            task, language = profile.task, language or profile.target_language
            hypotheses = _translate(model, arguments, sources)
            figures |= {"checkpoint": str(model.checkpoint.path), "digest": model.checkpoint.digest}
        if arguments.output is not None:
            with open_output(arguments.output) as output:
                output.writelines(f"{line}\n".encode() for line in hypotheses)
    metrics = TRANSLATION + SUMMARY if arguments.rouge else OF_TASK[task]
    lines = (line for reference in references for line in reference)
    tokenizer = bleu_tokenizer(arguments.tokenize, language, lines)
    scores = _scores(hypotheses, references, metrics, tokenizer, draws, baseline)
    figures |= {name: asdict(score) for name, score in scores.items()}
    if baseline is not None:
        other = _scores(baseline, references, metrics, tokenizer, draws)
        figures["baseline"] = {"file": str(arguments.baseline)} | {
            name: asdict(score) for name, score in other.items()
        }
    write_report(_text(scores, other), figures, arguments.json)
    return OK


def _refuse_overwriting(arguments: argparse.Namespace) -> None:
    reads: list[Place] = [
        (f"--{name}", getattr(arguments, name)) for name in ("source", "hypotheses", "baseline")
    ]
    reads += [("--reference", path) for path in arguments.reference]
    reads += checkpoint_places("RUN", [arguments.run])
    refuse_overwriting(reads, [("--output", arguments.output), *report_places(arguments.json)])


def _scores(
    hypotheses: list[str],
    references: list[list[str]],
    metrics: Sequence[Metric],
    tokenizer: BleuTokenizer,
    draws: int,
    baseline: list[str] | None = None,
) -> dict[str, Score]:
    """Score by the metrics; the ratio of the lengths comes last."""
    scores = score_corpus(
        hypotheses,
        references,
        metrics=metrics,
        tokenizer=tokenizer,
        bootstrap=draws,
        baseline=baseline,
    )
    ratio = length_ratio(hypotheses, references, tokenizer=tokenizer, bootstrap=draws)
    return {**scores, "length_ratio": ratio}


def _check(arguments: argparse.Namespace) -> None:
    """Check that there is exactly one thing to score.

    Raises:
        ConfigError: there are two or none, flags have no meaning beside the others, or the
            tokenizer cannot be had.
    """
    if arguments.hypotheses is not None:
        for name in ("run", "source", "output", "lead"):
            if getattr(arguments, name) is not None:
                flag = "RUN" if name == "run" else f"--{name}"
                raise ConfigError(
                    f"{flag}: --hypotheses is scored as it is, nothing is translated. "
                    "Leave out one of the two."
                )
    elif arguments.lead is not None:
        if arguments.run is not None:
            raise ConfigError("RUN: --lead scores words of the source. Leave out one of the two.")
        if arguments.source is None:
            raise ConfigError("--lead: of what? Give --source.")
    elif arguments.run is None or arguments.source is None:
        raise ConfigError(
            "nothing to score. Give RUN and --source, or translations with --hypotheses."
        )
    if arguments.tokenize != "auto":
        make_bleu(arguments.tokenize)  # fail before translating
    if arguments.baseline is not None and not arguments.bootstrap:
        raise ConfigError("--bootstrap 0: --baseline is compared by draws. Use 2 or more.")


def _lines(path: Path) -> list[str]:
    lines = list(read_lines(path))
    if not lines:
        raise DataError(f"{path}: has no lines. Give text to score.")
    return lines


def _lines_beside(path: Path, reference: Path, count: int) -> list[str]:
    """Read a file that must have as many lines as the reference.

    Raises:
        DataError: it has more or fewer.
    """
    lines = _lines(path)
    if len(lines) != count:
        raise DataError(
            f"{path} has {len(lines):,} lines, but {reference} has {count:,}. "
            "Give files whose lines belong together."
        )
    return lines


def _translate(model: LoadedModel, arguments: argparse.Namespace, sources: list[str]) -> list[str]:
    """Translate `sources` as dragoman-translate would."""
    checkpoint = model.checkpoint
    options = search_options(arguments, checkpoint.search)
    translator = Translator(
        checkpoint.network,
        checkpoint.tokenizer,
        options,
        device=model.device,
        dtype=model.dtype,
        profile=checkpoint.profile,
        shortlist=model.shortlist,
    )
    hypotheses: list[str] = []
    truncations = Truncations()
    with line_progress(NAME, len(sources)) as advance:
        for window in windows(sources, WINDOW):
            for translation in translator.search_each([(t, options) for t in window], advance):
                if isinstance(translation, RequestError):
                    where = f"{arguments.source}, line {len(hypotheses) + 1}"
                    raise DataError(f"{where}: {translation}") from translation
                hypotheses.append(one_line(translation.text))
                truncations.look_at(len(hypotheses), translation)
    for line in truncations.describe("line"):
        print(f"{NAME}: {line}", file=sys.stderr)
    return hypotheses


def _text(scores: dict[str, Score], baseline: dict[str, Score] | None) -> str:
    """Make a table with the signatures below it."""
    header = ["", "score", "95 % interval"]
    if baseline is not None:
        header += ["baseline", "difference", "p"]
    rows, signatures = [], []
    for name, score in scores.items():
        digits = 3 if name == "length_ratio" else 2
        row = [LABELS[name], f"{score.value:.{digits}f}", _interval(score, digits)]
        if baseline is not None:
            other = baseline[name]
            row += [
                f"{other.value:.{digits}f}",
                f"{score.value - other.value:+.{digits}f}",
                "" if score.p_value is None else f"{score.p_value:.4f}",
            ]
        rows.append(row)
        if name in ("bleu", "chrf", "rouge_1"):  # the others have one of these
            label = "ROUGE" if name == "rouge_1" else LABELS[name]
            signatures.append(f"{label}: {score.signature}\n")
    return table(header, rows) + "\n" + "".join(signatures)


def _interval(score: Score, digits: int) -> str:
    if score.interval is None:
        return "none"
    return f"{score.interval.mean:.{digits}f} ± {score.interval.half_width:.{digits}f}"
