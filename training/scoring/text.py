"""Scoring text: BLEU, chrF, ROUGE and lengths, a comparison line by line, and the confidence."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict

from model.checkpoint.checkpoint import replace_calibration
from model.cli.command import OK, open_output
from model.cli.report import write_report
from model.config import to_dict
from model.errors import DataError
from model.text.languages import UNKNOWN, language_tag
from training.metrics.bleu_tokenization import BleuTokenizer, bleu_tokenizer
from training.metrics.compression import Compression, compression
from training.metrics.names import OF_TASK, SUMMARY, TRANSLATION, Metric
from training.metrics.source_use import SourceUse, source_use
from training.scoring.score_table import score_table
from training.scoring.systems import (
    System,
    lines_beside,
    read_some_lines,
    sources_beside,
    systems_of,
)
from training.validation.calibrate import IN_BIN, calibrate, expected_calibration_error
from training.validation.corpus_scores import Score, length_ratio, score_corpus
from training.validation.sentence_changes import (
    SENTENCE_METRIC_OF_TASK,
    compare_sentences,
    sentence_scores,
)

SHOWN = 5
SOURCE_LABELS = {
    "source_use": "outputs",
    "reference_source_use": "reference",
    "compression": "compression",
}


def evaluate_text(arguments: argparse.Namespace, *, of_vectors: bool) -> int:
    """Score texts by the metrics of their task.

    Args:
        of_vectors: whether the sources are vectors, which are not shown.
    """
    paths, draws = arguments.reference, arguments.bootstrap
    references = [read_some_lines(paths[0])]
    references += [lines_beside(path, paths[0], len(references[0])) for path in paths[1:]]
    if arguments.calibrate and len(references[0]) < 2 * IN_BIN:
        raise DataError(
            f"{paths[0]}: {len(references[0])} lines are too few for --calibrate. Give a dev set "
            f"of {2 * IN_BIN} or more, better 1,000."
        )
    count = len(references[0])
    given = sources_beside(arguments.source, paths[0], count, of_vectors=of_vectors)
    sources = None if of_vectors or given is None else list(map(str, given))
    systems = systems_of(arguments, given, paths[0], count, of_vectors=of_vectors)
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
    text = score_table(scores, None)
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
        text = score_table(scores, theirs) + "\n" + changes.describe()
    text += "".join(f"{SOURCE_LABELS[name]}: {use.describe()}\n" for name, use in used.items())
    if arguments.calibrate:
        line, figures["calibration"] = _calibrate(system, references)
        text += line
    write_report(text, figures, arguments.json)
    return OK


def _calibrate(system: System, references: list[list[str]]) -> tuple[str, dict[str, object]]:
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
