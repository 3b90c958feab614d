"""Scoring a model of vectors on files, or on windows of series: dragoman-evaluate for vectors."""

from pathlib import Path

import torch

from model.checkpoint.checkpoint import Checkpoint
from model.errors import DataError
from model.jobs.line_files import file_lines
from model.vector_transducer import VectorTransducer
from model.vectors.frame_files import read_sequences
from training.validation.corpus_scores import Score
from training.vectors.run_windows import WindowPairs
from training.vectors.scaled_error import check_scale, mase, scaled_errors, seasonal_naive
from training.vectors.vector_scores import vector_scores


def score_files(
    checkpoint: Checkpoint,
    source: Path,
    reference: Path,
    *,
    device: torch.device,
    dtype: torch.dtype,
    bootstrap: int,
) -> tuple[int, dict[str, Score]]:
    """The number of sequences of `source`, and the scores of their outputs; see `vector_scores`.

    Raises:
        DataError: a file cannot be read, or a reference has not the shape of the output.
        RequestError: a sequence cannot be read by the model.
    """
    reads = checkpoint.reads
    sources: list[object] = list((file_lines if reads else read_sequences)(source, "source"))
    references = list(read_sequences(reference, "target"))
    unit = "line" if reads else "sequence"
    if len(sources) != len(references):
        raise DataError(
            f"{source} has {len(sources):,} {unit}s and {reference} has {len(references):,} "
            f"sequences. {unit.capitalize()} i of one must belong to sequence i of the other."
        )
    if not sources:
        raise DataError(f"{source}: has no {unit}s. Give some to score.")
    transducer = VectorTransducer(
        checkpoint.network, checkpoint.vectors, reads, device=device, dtype=dtype
    )
    places = [f"{source}, {unit} {number}" for number in range(1, len(sources) + 1)]
    outputs = transducer.transduce(sources, places)
    for number, (output, wanted) in enumerate(zip(outputs, references, strict=True), 1):
        if output.shape != wanted.shape:
            raise DataError(
                f"{reference}, sequence {number}: {_shape(wanted.shape)}, but the output has "
                f"{_shape(output.shape)}. Make them agree."
            )
    return len(sources), vector_scores(outputs, references, bootstrap=bootstrap)


def score_windows(
    checkpoint: Checkpoint,
    pairs: WindowPairs,
    *,
    season: int | None,
    device: torch.device,
    dtype: torch.dtype,
    bootstrap: int,
) -> dict[str, Score]:
    """The scores of the forecasts of a model; see `vector_scores`.

    Args:
        season: steps of a season, for MASE of the forecasts and of the seasonal naive ones;
            `check_season` has been asked.

    Raises:
        RequestError: a window cannot be read by the model.
        ConfigError: every window repeats itself after a season.
    """
    if season is not None:
        check_scale(pairs.known, season)
    transducer = VectorTransducer(
        checkpoint.network, checkpoint.vectors, device=device, dtype=dtype
    )
    forecasts = transducer.transduce(pairs.windows, pairs.places)
    scores = vector_scores(forecasts, pairs.targets, bootstrap=bootstrap)
    if season is None:
        return scores
    known, steps = pairs.known, len(pairs.targets[0])
    naive = [seasonal_naive(window, steps, season) for window in known]
    for name, found in (("mase", forecasts), ("seasonal_naive_mase", naive)):
        errors = scaled_errors(found, pairs.targets, known, season)
        scores[name] = mase(errors, season, bootstrap=bootstrap)
    return scores


def _shape(shape: tuple[int, ...]) -> str:
    return f"{shape[0]:,} vectors of {shape[1]:,} numbers"
