"""A measured choice: the quickest wins, and is not measured again."""

from pathlib import Path

from model.decoding.precision.dtypes import Precision
from model.decoding.precision.precision_cache import quickest


def test_the_quickest_is_chosen_once(tmp_path: Path) -> None:
    asked: list[Precision] = []

    def seconds(precision: Precision) -> float:
        asked.append(precision)
        return {"fp32": 2.0, "bf16": 1.0, "int8": 3.0}[precision]

    everything: list[Precision] = ["fp32", "bf16", "int8"]
    for _ in range(2):
        assert quickest(everything, seconds, sizes="a", folder=tmp_path) == "bf16"
    assert asked == everything
    assert quickest(["fp32", "int8"], seconds, sizes="a", folder=tmp_path) == "fp32"
    assert quickest(everything, seconds, sizes="b", folder=tmp_path) == "bf16"
    assert len(asked) == 3 + 2 + 3
