"""Scoring vectors: the errors of the outputs of a model."""

import argparse
from dataclasses import asdict

from model.cli.command import OK, load_model
from model.cli.report import write_report
from training.scoring.score_table import score_table
from training.scoring.systems import NAME
from training.vectors.score_files import score_files


def evaluate_vectors(arguments: argparse.Namespace) -> int:
    """Score a model of vectors by the errors of its outputs."""
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
    write_report(score_table(scores, None), figures, arguments.json)
    return OK
