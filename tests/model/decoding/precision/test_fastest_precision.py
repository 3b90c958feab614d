"""The fastest precision is measured once and then remembered."""

import json
from pathlib import Path

from model.config import ModelConfig
from model.decoding.precision.fastest_precision import fastest_precision, seconds_of
from model.network.seq2seq import Seq2Seq

NETWORK = Seq2Seq(
    ModelConfig(vocab_size=64, embedding_size=16, encoder_size=32, decoder_size=32)
).eval()


def test_the_answer_is_kept_for_the_machine_and_the_sizes(tmp_path: Path) -> None:
    best = fastest_precision(NETWORK, ["fp32", "bf16"], tmp_path / "cache")
    file = tmp_path / "cache" / "precision.json"
    (key,) = json.loads(file.read_text())
    other = "bf16" if best == "fp32" else "fp32"
    file.write_text(json.dumps({key: other}))
    assert fastest_precision(NETWORK, ["fp32", "bf16"], tmp_path / "cache") == other
    assert fastest_precision(NETWORK, ["fp32"], tmp_path / "cache") == "fp32"
    assert len(json.loads(file.read_text())) == 2


def test_a_damaged_or_unwritable_cache_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "precision.json").write_text("[broken")
    assert fastest_precision(NETWORK, ["fp32"], tmp_path) == "fp32"
    assert fastest_precision(NETWORK, ["fp32"], tmp_path / "precision.json") == "fp32"


def test_a_measurement_takes_time() -> None:
    assert seconds_of(NETWORK, "fp32") > 0
