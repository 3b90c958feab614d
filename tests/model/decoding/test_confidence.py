"""The confidence of an output, looked up in a table made by hand."""

import pytest

from model.config import from_dict, to_dict
from model.decoding.confidence import Calibration
from model.errors import ConfigError

TABLE = Calibration(
    metric="chrf", bounds=(-2.5, -1.0), sentences=(9, 8, 7), quality=(0.25, 0.5, 0.75)
)


@pytest.mark.parametrize(
    ("mean_log_prob", "confidence"),
    [
        (float("-inf"), 0.25),
        (-7.0, 0.25),
        (-2.5, 0.25),
        (-2.4999, 0.5),
        (-1.0, 0.5),
        (-0.9999, 0.75),
        (0.0, 0.75),
        (3.0, 0.75),
    ],
)
def test_the_bound_itself_is_in_the_lower_bin(mean_log_prob: float, confidence: float) -> None:
    assert TABLE.confidence(mean_log_prob) == confidence


def test_one_bin_has_no_bound() -> None:
    table = Calibration(metric="rouge_l", bounds=(), sentences=(3,), quality=(0.4,))
    assert table.confidence(-9) == table.confidence(0) == 0.4


def test_it_is_written_and_read_and_described() -> None:
    assert from_dict(Calibration, to_dict(TABLE)) == TABLE
    assert TABLE.describe() == "3 bins, chrF 0.25 to 0.75 on 24 lines"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bounds": [-1.0, -2.5]}, "bounds: not finite numbers"),
        ({"bounds": [-1.0]}, "bounds, sentences: 1 and 3, but for 3 of quality there are 2 and 3"),
        ({"sentences": [9, 0, 7]}, "sentences: a bin has fewer than 1"),
        ({"quality": [0.5, 0.25, 0.75]}, "quality: not numbers from 0 to 1 that never descend"),
        ({"quality": [0.1] * 1001}, "quality: 1,001 bins, but a table has 1 to 1,000"),
    ],
)
def test_what_is_no_table(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_dict(Calibration, to_dict(TABLE) | changes)
