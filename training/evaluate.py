"""dragoman-evaluate: BLEU, chrF, length and ROUGE of the outputs for a test set."""

if __name__ == "__main__":  # before the imports, which take seconds
    from training import commands

    commands.evaluate()

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from model.checkpoint.archive import SUFFIX
from model.checkpoint.checkpoint import (
    Checkpoint,
    holds_vectors,
    load_vocabulary,
    replace_calibration,
)
from model.checkpoint.pretrained import in_box
from model.checkpoint.run_directory import lock_run, run_to_write
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
from model.config import to_dict
from model.errors import CheckpointError, ConfigError, DataError, RequestError
from model.io.lines import read_lines
from model.io.progress import line_progress
from model.jobs.formats import one_line
from model.jobs.truncation import Truncations
from model.text.alphabet import Cut, Unit
from model.text.languages import UNKNOWN, language_tag
from model.text.symbols import Symbols
from model.transducer import Transducer
from model.translation.ensemble import check_same_task
from model.translator import WINDOW, Translator, windows
from training.metrics.bleu_tokenization import CHOICES, BleuTokenizer, bleu_tokenizer, make_bleu
from training.metrics.compression import Compression, compression
from training.metrics.names import LABELS, OF_TASK, SUMMARY, TRANSLATION, Metric
from training.metrics.source_use import SourceUse, source_use
from training.validation.accepted_sequences import (
    Comparison,
    accepted_sequences,
    compiled_pattern,
    read_alternatives,
)
from training.validation.calibrate import IN_BIN, calibrate, expected_calibration_error
from training.validation.corpus_scores import Score, length_ratio, score_corpus
from training.validation.sentence_changes import (
    SENTENCE_METRIC_OF_TASK,
    compare_sentences,
    sentence_scores,
)
from training.validation.symbol_scores import symbol_scores
from training.vectors.score_files import score_files

NAME = "dragoman-evaluate"

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
phones: PER) and the sequence error rate (lines that are not accepted; of pronunciations: WER)."""

EXAMPLE = """\
examples:
  dragoman-evaluate runs/demo --source test.de --reference test.en --output out.en
  dragoman-evaluate runs/new --against runs/old --source test.de --reference test.en --show 10
  dragoman-evaluate --hypotheses out.en --reference test.en --against other.en
  dragoman-evaluate --hypotheses out.en --reference test.en.0 test.en.1 test.en.2
  dragoman-evaluate --lead 10 --source test.abstract --reference test.title
  dragoman-evaluate runs/g2p --source test.graph --alternatives test.tsv --ignore-pattern '[0-9]'
  dragoman-evaluate --hypotheses out.phon --unit spaced --reference test.phon"""

DRAWS = 1000
SHOWN = 5
TEXT_FLAGS = ("rouge", "tokenize", "calibrate", "lead", "show", "shortlist")
SYMBOL_FLAGS = ("alternatives", "ignore_pattern")
SOURCE_LABELS = {
    "source_use": "outputs",
    "reference_source_use": "reference",
    "compression": "compression",
}


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
            return _evaluate_vectors(arguments)
        with nullcontext() if written_run is None else lock_run(written_run):
            cut = _symbol_cut(arguments)
            return _evaluate(arguments) if cut is None else _evaluate_symbols(arguments, cut)

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
    add_report_argument(parser)
    add_search_arguments(parser)
    return parser


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
    group = parser.add_argument_group("symbols", "For models of symbols; see docs/symbols.md.")
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


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of lines, use 0 or more")
    return int(text)


def _draws(text: str) -> int:
    if not text.isdecimal() or int(text) == 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of draws, use 0 or 2 and more")
    return int(text)


@dataclass(frozen=True, kw_only=True, slots=True)
class _System:
    """What is scored: outputs, one for each line, and where they are from."""

    outputs: list[str]
    figures: dict[str, object]
    task: str | None = None
    """None for a file, which does not tell."""
    language: str = UNKNOWN
    """That of the outputs."""
    path: Path | None = None
    """The checkpoint; None for a file."""
    mean_log_probs: tuple[float, ...] = ()
    """Of the outputs of a checkpoint."""


def _evaluate(arguments: argparse.Namespace) -> int:
    paths, draws = arguments.reference, arguments.bootstrap
    references = [_lines(paths[0])]
    references += [_lines_beside(path, paths[0], len(references[0])) for path in paths[1:]]
    if arguments.calibrate and len(references[0]) < 2 * IN_BIN:
        raise DataError(
            f"{paths[0]}: {len(references[0])} lines are too few for --calibrate. Give a dev set "
            f"of {2 * IN_BIN} or more, better 1,000."
        )
    sources = None
    if arguments.source is not None:
        sources = _lines_beside(arguments.source, paths[0], len(references[0]))
    systems = _systems(arguments, sources, paths[0], len(references[0]))
    system, other = systems[0], systems[1] if len(systems) > 1 else None
    if arguments.output is not None:
        with open_output(arguments.output) as output:
            output.writelines(f"{line}\n".encode() for line in system.outputs)
    task = next((one.task for one in systems if one.task), "translate")
    metrics = TRANSLATION + SUMMARY if arguments.rouge else OF_TASK[task]
    languages = [language_tag(arguments.target_language or ""), *(one.language for one in systems)]
    lines = (line for reference in references for line in reference)
    tokenizer = bleu_tokenizer(arguments.tokenize, next(filter(None, languages), UNKNOWN), lines)
    compared = None if other is None else other.outputs
    scores = _scores(system.outputs, references, metrics, tokenizer, draws, compared)
    figures = {"references": [str(path) for path in paths], "lines": len(references[0])}
    figures |= system.figures | {name: asdict(score) for name, score in scores.items()}
    used: dict[str, SourceUse | Compression] = {}
    if task == "summarize" and sources is not None:
        used = _source_use(sources, system.outputs, references[0])
    figures |= {name: asdict(use) for name, use in used.items()}
    text = _text(scores, None)
    if other is not None:
        theirs = _scores(other.outputs, references, metrics, tokenizer, draws)
        changes = compare_sentences(
            system.outputs,
            other.outputs,
            references,
            sources,
            metric=SENTENCE_METRIC_OF_TASK[task],
            show=SHOWN if arguments.show is None else arguments.show,
        )
        figures["baseline"] = other.figures | {name: asdict(one) for name, one in theirs.items()}
        figures["changes"] = asdict(changes)
        text = _text(scores, theirs) + "\n" + changes.describe()
    text += "".join(f"{SOURCE_LABELS[name]}: {use.describe()}\n" for name, use in used.items())
    if arguments.calibrate:
        line, figures["calibration"] = _calibrate(system, references)
        text += line
    write_report(text, figures, arguments.json)
    return OK


def _symbol_cut(arguments: argparse.Namespace) -> Cut | None:
    """How outputs are cut into symbols; None if they are text.

    Raises:
        ConfigError: a flag is for the other kind, or the kinds of two runs differ.
    """
    against = arguments.against if _is_run(arguments.against) else None
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
        if getattr(arguments, name) not in (None, False, "auto"):
            other = "text" if cuts else "symbols"
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{flag}: is for {other}, but this is {kind}. Leave it out.")
    if arguments.alternatives is not None and arguments.source is None:
        raise ConfigError("--alternatives: of which sources? Give --source.")
    if not arguments.reference and not (cuts and arguments.alternatives):
        more = ", or --alternatives" if cuts else ""
        raise ConfigError(f"--reference: missing. Give what is right for each line{more}.")
    return cuts[0] if cuts else None


def _evaluate_symbols(arguments: argparse.Namespace, cut: Cut) -> int:
    """Score symbols by error rates against everything that is accepted."""
    paths, beside = arguments.reference, arguments.source
    comparison = Comparison(cut=cut, ignored=compiled_pattern(arguments.ignore_pattern))
    first = paths[0] if paths else beside
    references = [_lines(path) for path in paths[:1]]
    count = len(references[0]) if references else len(_lines(first))
    references += [_lines_beside(path, first, count) for path in paths[1:]]
    sources = None if beside is None else _lines_beside(beside, first, count)
    named = arguments.alternatives
    alternatives = {} if named is None else read_alternatives(named)
    accepted = accepted_sequences(references, alternatives, sources, comparison)
    systems = _systems(arguments, sources, first, count)
    if arguments.output is not None:
        with open_output(arguments.output) as output:
            output.writelines(f"{line}\n".encode() for line in systems[0].outputs)
    cuts = [list(map(comparison.symbols, system.outputs)) for system in systems]
    other = cuts[1] if len(cuts) > 1 else None
    draws = arguments.bootstrap
    scores = symbol_scores(cuts[0], accepted, bootstrap=draws, baseline=other)
    theirs = None if other is None else symbol_scores(other, accepted, bootstrap=draws)
    figures = {
        "references": [str(path) for path in paths],
        "alternatives": None if named is None else str(named),
        "ignore_pattern": arguments.ignore_pattern,
        "lines": count,
        **systems[0].figures,
        **{name: asdict(score) for name, score in scores.items()},
    }
    if theirs is not None:
        rates = {name: asdict(score) for name, score in theirs.items()}
        figures["baseline"] = systems[1].figures | rates
    write_report(_text(scores, theirs), figures, arguments.json)
    return OK


def _evaluate_vectors(arguments: argparse.Namespace) -> int:
    """Score a model of vectors by the errors of its outputs."""
    for name in (*TEXT_FLAGS, *SYMBOL_FLAGS, "against", "output", "unit"):
        if getattr(arguments, name) not in (None, False, "auto"):
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{flag}: it is not for a model of vectors. Leave it out.")
    if arguments.source is None or len(arguments.reference) != 1:
        raise ConfigError("a model of vectors is scored on one --source and one --reference.")
    model, (reference,) = load_model(NAME, arguments), arguments.reference
    count, scores = score_files(
        model.checkpoint,
        arguments.source,
        reference,
        device=model.device,
        dtype=model.dtype,
        bootstrap=arguments.bootstrap,
    )
    figures = {
        "source": str(arguments.source),
        "references": [str(reference)],
        "sequences": count,
        "checkpoint": str(model.checkpoint.path),
        "precision": model.precision,
        **{name: asdict(score) for name, score in scores.items()},
    }
    write_report(_text(scores, None), figures, arguments.json)
    return OK


def _calibrate(system: _System, references: list[list[str]]) -> tuple[str, dict[str, object]]:
    """Write the table into the checkpoint; return a line for people, and the figures.

    Raises:
        CheckpointError: the checkpoint cannot be replaced.
    """
    assert system.path is not None
    assert system.task is not None
    metric, mean_log_probs = SENTENCE_METRIC_OF_TASK[system.task], system.mean_log_probs
    qualities = (sentence_scores(metric, system.outputs, references) / 100).tolist()
    error = expected_calibration_error(mean_log_probs, qualities, metric)
    calibration = calibrate(mean_log_probs, qualities, metric)
    replace_calibration(system.path.resolve(), calibration)
    return (
        f"confidence: {calibration.describe()}; expected calibration error {error:.3f}, of one "
        "half of the lines by a table from the other\n"
    ), {**to_dict(calibration), "expected_calibration_error": error}


def _source_use(
    sources: list[str], outputs: list[str], reference: list[str]
) -> dict[str, SourceUse | Compression]:
    """Count what of the outputs and of the reference stands in the sources, and in what order."""
    return {
        "source_use": source_use(sources, outputs),
        "reference_source_use": source_use(sources, reference),
        "compression": compression(sources, outputs, reference),
    }


def _systems(
    arguments: argparse.Namespace, sources: list[str] | None, reference: Path, count: int
) -> list[_System]:
    """Get the outputs of what is scored, and then of what it is compared with, if anything.

    Files are read, and both models loaded and checked, before one of them translates.
    """
    against = arguments.against
    runs = {"RUN": arguments.run, "--against": against if _is_run(against) else None}
    files = {"hypotheses": arguments.hypotheses, "file": None if _is_run(against) else against}
    read = {
        name: _System(outputs=_lines_beside(path, reference, count), figures={name: str(path)})
        for name, path in files.items()
        if path is not None
    }
    models = {
        flag: load_model(NAME, argparse.Namespace(**{**vars(arguments), "run": run}))
        for flag, run in runs.items()
        if run is not None
    }
    _check_comparable(list(models.values()), arguments.lead is not None)
    translators = {flag: _translator(model, arguments) for flag, model in models.items()}
    translated = {
        flag: _translated(models[flag].checkpoint, one, arguments.source, sources or [])
        for flag, one in translators.items()
    }
    lead = []
    if arguments.lead is not None:
        words = [" ".join(text.split()[: arguments.lead]) for text in sources or []]
        lead = [_System(outputs=words, figures={"lead": arguments.lead}, task="summarize")]
    first = [translated.get("RUN"), read.get("hypotheses"), *lead]
    second = [translated.get("--against"), read.get("file")]
    return [system for system in (*first, *second) if system is not None]


def _is_run(against: Path | None) -> bool:
    if against is None:
        return False
    place = in_box(against)
    return place.is_dir() or place.suffix == SUFFIX


def _check_comparable(models: list[LoadedModel], is_lead: bool) -> None:
    """Check that the outputs of what is compared are meant to be the same.

    Raises:
        ConfigError: they differ in task or languages.
    """
    if len(models) == 2:
        check_same_task(models[0].checkpoint, models[1].checkpoint)
    for model in models:
        if is_lead and model.checkpoint.profile.task != "summarize":
            raise ConfigError(
                f"{model.checkpoint.path}: it translates, but --lead is a summary. Compare it "
                "with a summarizer."
            )


def _refuse_overwriting(arguments: argparse.Namespace) -> None:
    reads: list[Place] = [
        (f"--{name}", getattr(arguments, name)) for name in ("source", "hypotheses")
    ]
    reads += [("--reference", path) for path in arguments.reference]
    reads.append(("--alternatives", arguments.alternatives))
    reads += checkpoint_places("RUN", [arguments.run])
    if _is_run(arguments.against):
        reads += checkpoint_places("--against", [arguments.against])
    else:
        reads.append(("--against", arguments.against))
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
    elif arguments.run is None or arguments.source is None:
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
    if _is_run(arguments.against) and arguments.source is None:
        raise ConfigError(f"--against {arguments.against}: translates what? Give --source.")


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


def _translator(model: LoadedModel, arguments: argparse.Namespace) -> Translator | Transducer:
    checkpoint, network = model.checkpoint, model.network
    options = search_options(arguments, checkpoint.search)
    if isinstance(checkpoint.vocabulary, Symbols):
        return Transducer(
            network, checkpoint.symbols, options, device=model.device, dtype=model.dtype
        )
    return Translator(
        network,
        checkpoint.tokenizer,
        options,
        device=model.device,
        dtype=model.dtype,
        profile=checkpoint.profile,
        shortlist=model.shortlist,
    )


def _translated(
    checkpoint: Checkpoint, translator: Translator | Transducer, path: Path, sources: list[str]
) -> _System:
    """Translate `sources`, the lines of `path`, as dragoman-translate would."""
    outputs: list[str] = []
    mean_log_probs: list[float] = []
    truncations = Truncations()
    with line_progress(NAME, len(sources)) as advance:
        for window in windows(sources, WINDOW):
            texts = [(text, translator.options) for text in window]
            for translation in translator.search_each(texts, advance):
                if isinstance(translation, RequestError):
                    where = f"{path}, line {len(outputs) + 1}"
                    raise DataError(f"{where}: {translation}") from translation
                outputs.append(one_line(translation.text))
                mean_log_probs.append(translation.hypotheses[0].mean_log_prob)
                truncations.look_at(len(outputs), translation)
    for line in truncations.describe("line"):
        print(f"{NAME}: {checkpoint.path}: {line}", file=sys.stderr)
    return _System(
        outputs=outputs,
        figures={"checkpoint": str(checkpoint.path), "digest": checkpoint.digest},
        task=checkpoint.profile.task,
        language=checkpoint.profile.target_language,
        path=checkpoint.path,
        mean_log_probs=tuple(mean_log_probs),
    )


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
        # The others have one of these.
        if name in ("bleu", "chrf", "rouge_1", "symbol_error_rate", "mae", "last_step_percent"):
            label = "ROUGE" if name == "rouge_1" else LABELS[name]
            signatures.append(f"{label}: {score.signature}\n")
    return table(header, rows) + "\n" + "".join(signatures)


def _interval(score: Score, digits: int) -> str:
    if score.interval is None:
        return "none"
    return f"{score.interval.mean:.{digits}f} ± {score.interval.half_width:.{digits}f}"
