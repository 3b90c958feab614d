"""A commented config: YAML with a reason at each value."""

import yaml

from training.from_files.choose_settings import Setting
from training.from_files.commented_config import commented_config


def test_values_come_back_and_reasons_stand_beside_them() -> None:
    settings = [
        Setting("data.train", [{"source": "a # b.txt", "target": "ü: [x].txt"}], "two files"),
        Setting("run.threads", 2, "measured"),
        Setting("model.input_feeding", False, "faster"),
        Setting("run.eval_every", "auto", "eight"),
        Setting("data.license", "", "unknown"),
    ]
    text = commented_config(["First line.", "Second."], settings)
    assert yaml.safe_load(text) == {
        "data": {"train": [{"source": "a # b.txt", "target": "ü: [x].txt"}], "license": ""},
        "run": {"threads": 2, "eval_every": "auto"},
        "model": {"input_feeding": False},
    }
    assert text.startswith("# First line.\n# Second.\n\ndata:\n")
    assert "  threads: 2                            # measured\n" in text
