"""Scoring vectors: the errors of the outputs of a model."""

import argparse
from dataclasses import asdict

from model.cli.command import OK, LoadedModel, load_model
from model.cli.report import write_report
from training.scoring.score_table import score_table
from training.scoring.systems import NAME
from training.validation.corpus_scores import Score
from training.vectors.run_windows import config_of_run, windows_of_table
from training.vectors.scaled_error import check_season
from training.vectors.score_files import score_files, score_windows


def evaluate_vectors(arguments: argparse.Namespace) -> int:
    """Score a model of vectors by the errors of its outputs."""
    if arguments.windows is not None:
        return _evaluate_windows(arguments)
    model, (reference,) = load_model(NAME, arguments), arguments.reference
    count, scores = score_files(
        model.checkpoint,
        arguments.source,
        reference,
        device=model.device,
        dtype=model.dtype,
        bootstrap=arguments.bootstrap,
    )
    read: dict[str, object] = {"source": str(arguments.source), "references": [str(reference)]}
    return _report(arguments, model, count, scores, read)


def _evaluate_windows(arguments: argparse.Namespace) -> int:
    """Score a model by its forecasts of all windows of a table."""
    _, config = config_of_run(arguments.run)
    if arguments.season is not None:
        check_season(arguments.season, config.window)
    pairs = windows_of_table(arguments.windows, config)
    model = load_model(NAME, arguments)
    scores = score_windows(
        model.checkpoint,
        pairs,
        season=arguments.season,
        device=model.device,
        dtype=model.dtype,
        bootstrap=arguments.bootstrap,
    )
    read: dict[str, object] = {"windows": str(arguments.windows), "season": arguments.season}
    return _report(arguments, model, len(pairs.windows), scores, read)


def _report(
    arguments: argparse.Namespace,
    model: LoadedModel,
    count: int,
    scores: dict[str, Score],
    read: dict[str, object],
) -> int:
    figures = {
        **read,
        "sequences": count,
        "checkpoint": str(model.checkpoint.path),
        "precision": model.precision,
        **{name: asdict(score) for name, score in scores.items()},
    }
    write_report(score_table(scores, None), figures, arguments.json)
    return OK
