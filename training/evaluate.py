"""dragoman-evaluate: BLEU, chrF, length and ROUGE of the outputs for a test set."""

if __name__ == "__main__":  # before the imports, which take seconds
    from training import commands

    commands.evaluate()

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import get_args

from model.checkpoint.checkpoint import (
    holds_vectors,
    load_vocabulary,
    reads_vectors,
)
from model.checkpoint.run_directory import lock_run, run_to_write
from model.cli.command import (
    add_model_arguments,
    add_search_arguments,
    add_shortlist_argument,
    command_parser,
    is_given,
    positive,
    run_command,
)
from model.cli.paths import Place, checkpoint_places, refuse_overwriting
from model.cli.report import add_report_argument, report_places
from model.decoding.options import DESCRIPTIONS
from model.errors import CheckpointError, ConfigError
from model.text.alphabet import Cut, Unit
from model.text.symbols import Symbols
from training.metrics.bleu_tokenization import CHOICES, make_bleu
from training.scoring.symbols import evaluate_symbols
from training.scoring.systems import NAME, is_run
from training.scoring.text import SHOWN, evaluate_text
from training.scoring.vectors import evaluate_vectors

DESCRIPTION = """\
Translate or summarize a test set and score what comes out against one or more references, with
95 % intervals of sacrebleu's bootstrap and the signatures to report beside the scores: translations
by BLEU and chrF, by sacrebleu, summaries by ROUGE-1, ROUGE-2 and ROUGE-L, both with the ratio of
the lengths. RUN knows which of the two it writes. With --hypotheses, score translations that are
already there, and give no RUN. With --lead, score the first words of each source, which is the
usual baseline for summaries. --rouge shows all metrics. With --against, compare with another run,
or with a file of its translations: scores side by side with a paired bootstrap, and the lines that
gain and lose most. Of summaries it also tells how much of them, and of the reference, stands in the
source, and measures them as compressions of it: token F1, ratio, and how many are subsequences.
With --calibrate, keep in the checkpoint how good outputs of which probability are.

A model of symbols is scored by the symbol error rate (edits to the nearest accepted sequence; of
phones: PER) and the sequence error rate (lines that are not accepted; of pronunciations: WER).

A model of vectors is scored by its errors, one that forecasts windows of series also by MASE."""

EXAMPLE = """\
examples:
  dragoman-evaluate runs/demo --source test.de --reference test.en --output out.en
  dragoman-evaluate runs/new --against runs/old --source test.de --reference test.en --show 10
  dragoman-evaluate --hypotheses out.en --reference test.en --against other.en
  dragoman-evaluate --hypotheses out.en --reference test.en.0 test.en.1 test.en.2
  dragoman-evaluate --lead 10 --source test.abstract --reference test.title
  dragoman-evaluate runs/g2p --source test.graph --alternatives test.tsv --ignore-pattern '[0-9]'
  dragoman-evaluate --hypotheses out.phon --unit spaced --reference test.phon
  dragoman-evaluate runs/traffic --windows test.csv --season 168"""

DRAWS = 1000
TEXT_FLAGS = ("rouge", "tokenize", "calibrate", "lead", "show", "shortlist")
SYMBOL_FLAGS = ("alternatives", "ignore_pattern")
SERIES_FLAGS = ("windows", "season")


def main(argv: list[str] | None = None) -> int:
    """Run the command; return the exit status."""

    def command() -> int:
        arguments = _parser().parse_args(argv)
        _check(arguments)
        _check_comparison(arguments)
        _check_calibration(arguments)
        _refuse_overwriting(arguments)
        written_run = run_to_write(arguments.run) if arguments.calibrate else None
        if arguments.run is not None and holds_vectors(arguments.run):
            _check_vectors(arguments)
            return evaluate_vectors(arguments)
        _refuse_series(arguments)
        with nullcontext() if written_run is None else lock_run(written_run):
            cut, of_vectors = _symbol_cut(arguments), _reads_vectors(arguments)
            if cut is None:
                return evaluate_text(arguments, of_vectors=of_vectors)
            return evaluate_symbols(arguments, cut, of_vectors=of_vectors)

    return run_command(NAME, command)


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(NAME, DESCRIPTION, EXAMPLE)
    add_model_arguments(parser, run_required=False)
    add_shortlist_argument(parser)
    files = "UTF-8, decompressed if it ends in .gz or .zst"
    texts = {
        "source": "lines to translate",
        "hypotheses": "translations to score, in place of those of a RUN",
    }
    for name, what in texts.items():
        parser.add_argument(f"--{name}", metavar="FILE", type=Path, help=f"{what}; {files}")
    parser.add_argument(
        "--reference",
        metavar="FILE",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        help="line i is how line i is rightly translated; several files are as many right "
        f"translations of each line, and RUN stands before this flag; {files}",
    )
    parser.add_argument(
        "--output", metavar="FILE", help="write the translations, one line for each"
    )
    _add_comparison(parser, files)
    _add_symbols(parser, files)
    _add_series(parser)
    parser.add_argument(
        "--bootstrap",
        metavar="N",
        type=_draws,
        default=DRAWS,
        help="draws for the intervals; 0 is none (default: %(default)s)",
    )
    _add_text(parser)
    add_report_argument(parser)
    add_search_arguments(parser)
    return parser


def _add_text(parser: argparse.ArgumentParser) -> None:
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
        "--calibrate",
        action="store_true",
        help="write the table of the confidence into the checkpoint, from this set, which should "
        "be the dev set, and from this search; dragoman-train does it by itself",
    )
    parser.add_argument(
        "--lead",
        metavar="N",
        type=positive,
        help="score the first N words of each source line, in place of the outputs of a RUN",
    )


def _add_comparison(parser: argparse.ArgumentParser, files: str) -> None:
    parser.add_argument(
        "--against",
        "--baseline",
        metavar="RUN2",
        type=Path,
        help="compare with another run, checkpoint, pack or model in the box, which translates "
        "the same source with the same flags, or with a file of another system's translations; "
        f"{files}",
    )
    parser.add_argument(
        "--show",
        metavar="N",
        type=_count,
        help="with --against: the N lines that gain most and the N that lose most, by chrF, or "
        f"ROUGE-L of summaries (default: {SHOWN})",
    )


def _add_symbols(parser: argparse.ArgumentParser, files: str) -> None:
    group = parser.add_argument_group("symbols", "For outputs of symbols; see docs/symbols.md.")
    group.add_argument(
        "--alternatives",
        metavar="FILE",
        type=Path,
        help="lines of a source and all that is right for it, with tabs between, in any order; "
        f"white space within the source does not matter; {files}",
    )
    group.add_argument(
        "--ignore-pattern",
        metavar="REGEX",
        help="leave what matches out of every symbol, of outputs and references, before they are "
        "compared, such as '[0-9]' for the stress of phones",
    )
    group.add_argument(
        "--unit",
        choices=get_args(Unit),
        help="--hypotheses are symbols, cut in this way (a RUN tells it by itself)",
    )


def _add_series(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "series", "For models trained with data.windows; see docs/vectors.md."
    )
    group.add_argument(
        "--windows",
        metavar="TABLE",
        type=Path,
        help="forecast all windows of this .csv or .parquet file, cut as RUN was trained, in place "
        "of --source and --reference",
    )
    group.add_argument(
        "--season",
        metavar="N",
        type=positive,
        help="steps of a season, such as 24 of hours: adds MASE, and that of the forecast that "
        "repeats the last season",
    )


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of lines, use 0 or more")
    return int(text)


def _draws(text: str) -> int:
    if not text.isdecimal() or int(text) == 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of draws, use 0 or 2 and more")
    return int(text)


def _symbol_cut(arguments: argparse.Namespace) -> Cut | None:
    """How outputs are cut into symbols; None if they are text.

    Raises:
        ConfigError: a flag is for the other kind, or the kinds of two runs differ.
    """
    against = arguments.against if is_run(arguments.against) else None
    if against is not None and holds_vectors(against):
        raise ConfigError(
            "--against: one of the two models has vectors, the other not. Compare alike ones."
        )
    found = [load_vocabulary(run) for run in (arguments.run, against) if run is not None]
    cuts = [one.target.cut for one in found if isinstance(one, Symbols)]
    if 0 < len(cuts) < len(found):
        raise ConfigError(
            "--against: one of the two models has symbols, the other text. Compare alike ones."
        )
    if arguments.unit is not None:
        if found:
            raise ConfigError("--unit: a model tells how lines are cut. Leave it out.")
        cuts = [Cut(unit=arguments.unit)]
    kind, wrong = ("symbols", TEXT_FLAGS) if cuts else ("text", SYMBOL_FLAGS)
    for name in wrong:
        if is_given(getattr(arguments, name)):
            other = "text" if cuts else "symbols"
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{flag}: is for {other}, but this is {kind}. Leave it out.")
    if arguments.alternatives is not None and arguments.source is None:
        raise ConfigError("--alternatives: of which sources? Give --source.")
    if not arguments.reference and not (cuts and arguments.alternatives):
        more = ", or --alternatives" if cuts else ""
        raise ConfigError(f"--reference: missing. Give what is right for each line{more}.")
    return cuts[0] if cuts else None


def _refuse_series(arguments: argparse.Namespace) -> None:
    """Refuse the flags of series.

    Raises:
        ConfigError: one is given.
    """
    for name in SERIES_FLAGS:
        if getattr(arguments, name) is not None:
            raise ConfigError(
                f"--{name}: is for a model of vectors that was trained on windows of series. "
                "Leave it out."
            )


def _reads_vectors(arguments: argparse.Namespace) -> bool:
    """Whether the models that are scored read vectors.

    Raises:
        ConfigError: one of two does not, or sources are to be found by their text.
    """
    against = arguments.against if is_run(arguments.against) else None
    found = {reads_vectors(run) for run in (arguments.run, against) if run is not None}
    if len(found) > 1:
        raise ConfigError(
            "--against: one of the two models reads vectors, the other lines. Compare alike ones."
        )
    if True in found and arguments.alternatives is not None:
        raise ConfigError(
            "--alternatives: it names sources by their text, but the model reads vectors. Give "
            "--reference."
        )
    return True in found


def _refuse_overwriting(arguments: argparse.Namespace) -> None:
    reads: list[Place] = [
        (f"--{name}", getattr(arguments, name)) for name in ("source", "hypotheses", "windows")
    ]
    reads += [("--reference", path) for path in arguments.reference]
    reads.append(("--alternatives", arguments.alternatives))
    reads += checkpoint_places("RUN", [arguments.run])
    if is_run(arguments.against):
        reads += checkpoint_places("--against", [arguments.against])
    else:
        reads.append(("--against", arguments.against))
    refuse_overwriting(reads, [("--output", arguments.output), *report_places(arguments.json)])


def _check(arguments: argparse.Namespace) -> None:
    """Check that there is exactly one thing to score.

    Raises:
        ConfigError: there are two or none, flags have no meaning beside the others, or the
            tokenizer cannot be had.
    """
    if arguments.hypotheses is not None:
        unused = ["run", "output", "lead"]
        if arguments.against is None and arguments.alternatives is None:
            unused.append("source")
        for name in unused:
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
    elif arguments.run is None or (arguments.source is None and arguments.windows is None):
        raise ConfigError(
            "nothing to score. Give RUN and --source, or translations with --hypotheses."
        )
    if arguments.tokenize != "auto":
        make_bleu(arguments.tokenize)  # fail before translating


def _check_calibration(arguments: argparse.Namespace) -> None:
    """Check that there is a checkpoint to write the table into.

    Raises:
        ConfigError: there is no model.
        CheckpointError: it is a pack, or there is none.
    """
    if not arguments.calibrate:
        return
    if arguments.run is None:
        raise ConfigError("--calibrate: which model? Give RUN and --source.")
    if not arguments.run.is_dir():
        raise CheckpointError(
            f"{arguments.run}: no directory, so --calibrate cannot write into it; a pack is not "
            "changed. Calibrate the run or checkpoint, and make a pack of that."
        )


def _check_comparison(arguments: argparse.Namespace) -> None:
    """Check that the flags of the comparison have a meaning.

    Raises:
        ConfigError: they have none without others, which are missing.
    """
    if arguments.against is None:
        if arguments.show is not None:
            raise ConfigError("--show: lines that changed from what? Give --against.")
        return
    if not arguments.bootstrap:
        raise ConfigError("--bootstrap 0: --against is compared by draws. Use 2 or more.")
    if is_run(arguments.against) and arguments.source is None:
        raise ConfigError(f"--against {arguments.against}: translates what? Give --source.")


def _check_vectors(arguments: argparse.Namespace) -> None:
    """Check what is given beside a model of vectors.

    Raises:
        ConfigError: a flag is not for it, or it cannot be scored on these files.
    """
    for name in (*TEXT_FLAGS, *SYMBOL_FLAGS, *DESCRIPTIONS, "against", "output", "unit"):
        if is_given(getattr(arguments, name)):
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{flag}: it is not for a model of vectors. Leave it out.")
    if arguments.windows is not None:
        if arguments.source is not None or arguments.reference:
            raise ConfigError(
                "--windows: has both what is read and what comes after it. Leave out --source and "
                "--reference."
            )
        return
    if arguments.season is not None:
        raise ConfigError("--season: of which series? Give --windows TABLE.")
    if arguments.source is None or len(arguments.reference) != 1:
        raise ConfigError(
            "a model of vectors is scored on one --source and one --reference. Give both, or "
            "--windows TABLE for windows of series."
        )
