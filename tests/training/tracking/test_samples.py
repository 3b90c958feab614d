"""Samples of a validation: what is said, what TensorBoard shows, and what the report gets."""

from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)

from model.translator import Translator
from training.tracking.metrics_log import MetricsLog
from training.tracking.run_record import read_record
from training.tracking.samples import attention_picture, show_samples
from training.validation.evaluation import Sample


@pytest.fixture
def samples(tiny_checkpoint: Path) -> list[Sample]:
    """One to draw, a blank one, and one that is cut because it is too long."""
    translator = Translator.load(tiny_checkpoint, precision="fp32")
    sources = ["the house is *red*", "", "dog " * 60]
    found = translator.search(sources)
    return [Sample(s, "reference", t) for s, t in zip(sources, found, strict=True)]


def test_samples_are_said_shown_and_kept(tmp_path: Path, samples: list[Sample]) -> None:
    said: list[str] = []
    with MetricsLog(tmp_path, resume_step=None) as metrics:
        show_samples(samples, step=7, run=tmp_path, metrics=metrics, say=said.append)

    output = samples[0].translation.text
    assert said[0] == f"  the house is *red*\n  -> {output}"
    record = read_record(tmp_path)
    assert record["sample_step"] == 7
    best, drawn = samples[0].translation.hypotheses[0], samples[0].translation.source_pieces
    assert best.weights is not None
    attention = record["samples"][0].pop("attention")
    assert record["samples"][0] == {
        "source": "the house is *red*",
        "reference": "reference",
        "translation": output,
    }
    assert attention is not None
    assert attention["source_pieces"] == [*drawn, "</s>"]
    assert attention["target_pieces"] == [*best.pieces, "</s>"]
    assert torch.allclose(torch.tensor(attention["weights"]), best.weights.float(), atol=6e-4)
    assert [sample["attention"] for sample in record["samples"][1:]] == [None, None]
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert events.Tags()["images"] == ["attention/1"]
    assert [image.step for image in events.Images("attention/1")] == [7]
    (text,) = events.Tensors("samples/1/text_summary")
    assert "the house is *red*" in text.tensor_proto.string_val[0].decode()
    assert len([tag for tag in events.Tags()["tensors"] if tag.startswith("samples/")]) == 3


def test_only_a_sentence_whose_attention_was_kept_has_a_picture(samples: list[Sample]) -> None:
    pictures = [attention_picture(sample) for sample in samples]

    assert pictures[0] is not None and pictures[0].shape[2] == 3
    assert pictures[1:] == [None, None]


def test_a_picture_has_a_row_for_each_piece_and_the_end(samples: list[Sample]) -> None:
    translation = samples[0].translation
    best = translation.hypotheses[0]

    assert best.weights is not None
    assert best.weights.shape == (len(best.pieces) + 1, len(translation.source_pieces) + 1)
