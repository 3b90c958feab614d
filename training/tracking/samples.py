"""Samples of a validation: a few dev sentences in the log, in TensorBoard and in the report."""

# Shapes: H height, W width of a picture in pixels.

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.drawing.attention_plot import attention_image
from training.tracking.metrics_log import MetricsLog
from training.tracking.run_record import AttentionRow, SampleRow, record_samples
from training.validation.evaluation import Sample


def show_samples(
    samples: Sequence[Sample],
    *,
    step: int,
    run: Path,
    metrics: MetricsLog,
    say: Callable[[str], None],
) -> None:
    """Show each sample, write it for TensorBoard with its picture, and record it for the report.

    Raises:
        CheckpointError, DataError: the file system refused.
    """
    for number, (source, reference, translation) in enumerate(samples, 1):
        say(f"  {source}\n  -> {translation.text}")
        words = f"source:    {source}\noutput:    {translation.text}\nreference: {reference}"
        metrics.show(step, number, words, attention_picture(samples[number - 1]))
    record_samples(
        run,
        step,
        [
            SampleRow(
                source=sample.source,
                reference=sample.reference,
                translation=sample.translation.text,
                attention=attention_row(sample),
            )
            for sample in samples
        ],
    )


def attention_picture(sample: Sample) -> NDArray[np.uint8] | None:
    """Draw the attention of the translation, (H, W, 3).

    None for a sentence whose attention was not kept: one that is blank, or was cut as too long.
    """
    best = sample.translation.hypotheses[0]
    if best.weights is None:
        return None
    source, target = _with_ends(sample)
    return attention_image(source, target, best.weights, title=sample.translation.text)


def attention_row(sample: Sample) -> AttentionRow | None:
    """Take the attention of the translation for the report; None as for `attention_picture`."""
    weights = sample.translation.hypotheses[0].weights
    if weights is None:
        return None
    source, target = _with_ends(sample)
    return AttentionRow(
        source_pieces=source,
        target_pieces=target,
        weights=[[round(weight, 3) for weight in row] for row in weights.tolist()],
    )


def _with_ends(sample: Sample) -> tuple[list[str], list[str]]:
    """Pieces of the source and of its translation, with the ends that have weights, too."""
    translation = sample.translation
    return [*translation.source_pieces, "</s>"], [*translation.hypotheses[0].pieces, "</s>"]
