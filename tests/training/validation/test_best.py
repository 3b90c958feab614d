"""The best validation by any metric, and how long ago it was."""

import math

import pytest

from model.errors import ConfigError
from training.config.validation_config import ValidationConfig, with_metrics_of
from training.validation.best import Best


def test_more_is_better_but_of_the_loss_less() -> None:
    scores = [5.0, 7.0, 7.0, 6.0, 8.0, 4.0]
    bleu, loss = Best("bleu"), Best("loss")
    assert [bleu.offer(score) for score in scores] == [True, True, False, False, True, False]
    assert (bleu.score, bleu.without_better) == (8.0, 1)
    assert [loss.offer(score) for score in scores] == [True, False, False, False, False, True]
    assert (loss.score, loss.without_better) == (4.0, 0)


def test_no_number_is_the_worst() -> None:
    """The first validation is the best whatever it gave: every run has a best checkpoint."""
    for metric in ("loss", "rouge_l"):
        best = Best(metric)
        assert best.offer(math.nan)
        assert best.offer(3.0)
        assert not best.offer(math.nan)
        assert best.score == 3.0


def test_what_people_read() -> None:
    assert Best("rouge_l").describe() == "no ROUGE-L yet"
    assert Best("rouge_l", score=21.504).describe() == "best ROUGE-L 21.50"
    assert Best("loss", score=1.23456).describe() == "best loss 1.235"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"metrics": ()}, "validation.metrics: none is named."),
        ({"metrics": ("bleu", "chrf", "bleu")}, "validation.metrics: bleu is named twice."),
        ({"metrics": ("rouge_1", "rouge_l")}, "validation.best: bleu is not computed. Use loss or"),
    ],
)
def test_mistakes(values: dict[str, tuple[str, ...]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ValidationConfig(**values)  # type: ignore[arg-type]


def test_a_loss_needs_no_name_among_the_metrics() -> None:
    assert ValidationConfig(metrics=("chrf",), best="loss").best == "loss"


def test_what_is_left_out_follows_the_task() -> None:
    assert ValidationConfig(**with_metrics_of("translate", {})) == ValidationConfig()  # type: ignore[arg-type]
    summaries = {"metrics": ("rouge_1", "rouge_2", "rouge_l"), "best": "rouge_l"}
    assert with_metrics_of("summarize", {}) == summaries
    assert with_metrics_of("summarize", {"best": "loss"}) == {**summaries, "best": "loss"}


def test_the_tokenization_that_suits_is_found_once() -> None:
    given = ValidationConfig(best="chrf")
    found = given.resolved("th", ["ein Haus"])
    assert found == ValidationConfig(best="chrf", tokenize="char")
    assert found.bleu_tokenizer == found.resolved("de", []).bleu_tokenizer == "char"
    assert given.resolved("", ["你好。"]).bleu_tokenizer == "zh"
