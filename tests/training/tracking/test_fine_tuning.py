"""What a fine-tuning has changed, read from the lines of metrics.jsonl."""

import pytest

from training.tracking.fine_tuning import UNKNOWN, advice, changes, recorded_before, table
from training.tracking.metrics_log import Line

LINES: list[Line] = [
    {"step": 0, "before_dev_bleu": 10.0, "before_dev_chrf": 30.0, "before_old_dev_bleu": 40.0},
    {"step": 5, "dev_bleu": 25.5, "dev_chrf": 50.0, "old_dev_bleu": 39.0},
]


def test_gain_and_loss_are_after_less_before() -> None:
    rows = changes(["bleu", "chrf"], recorded_before(LINES), {"dev_bleu": 25.5, "old_dev_bleu": 39})
    assert [(row.label, row.change) for row in rows] == [
        ("BLEU, dev set", 15.5),
        ("BLEU, old dev set", -1.0),
    ]
    assert table(rows) == [
        "BLEU, dev set       10.00 ->  25.50  (+15.50)",
        "BLEU, old dev set   40.00 ->  39.00  (-1.00)",
    ]


def test_a_run_that_began_with_random_weights_has_no_before() -> None:
    assert recorded_before(LINES[1:]) == {}


@pytest.mark.parametrize(("after", "told"), [(38.0, False), (37.9, True)])  # 5 % of 40 is 2
def test_a_loss_of_more_than_a_twentieth_is_told_with_the_remedy(after: float, told: bool) -> None:
    rows = changes(["bleu"], recorded_before(LINES), {"old_dev_bleu": after, "dev_bleu": 11.0})
    assert ["mix old pairs in" in line for line in advice(rows)] == [True] * told


def test_an_old_set_that_is_not_known_is_said_to_be_unknown() -> None:
    rows = changes(["bleu"], {"dev_bleu": 1.0}, {"dev_bleu": 2.0})
    assert table(rows)[-1] == UNKNOWN
