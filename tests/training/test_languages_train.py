"""Training into languages without spaces: the validation sees what is right, and says how."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from training.config.train_config import load_config
from training.evaluate import main as evaluate
from training.tracking.metrics_log import read_metrics
from training.train import main as train

WORDS = {
    "zh": {
        "ein": "一只",
        "zwei": "两只",
        "rot": "红色",
        "blau": "蓝色",
        "Hund": "狗",
        "Hut": "帽子",
    },
    "th": {
        "ein": "หนึ่ง",
        "zwei": "สอง",
        "rot": "สีแดง",
        "blau": "สีน้ำเงิน",
        "Hund": "หมา",
        "Hut": "หมวก",
    },
}


@pytest.fixture
def config(tiny_config: Path, request: pytest.FixtureRequest) -> Path:
    """That of `tiny_config` for targets without spaces, and a longer training."""
    language: str = request.param
    words = WORDS[language]
    rng = random.Random(1)
    for name, count in (("train", 300), ("dev", 12)):
        lines = [rng.choices(list(words), k=rng.randint(2, 5)) for _ in range(count)]
        for side, texts in (
            ("de", [" ".join(line) for line in lines]),
            ("en", ["".join(words[word] for word in line) for line in lines]),
        ):
            path = tiny_config.with_name(f"{name}.{side}")
            path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    values = yaml.safe_load(tiny_config.read_text(encoding="utf-8"))
    values["data"]["target_language"] = language
    values["tokenizer"] = {"vocab_size": 310}
    values["model"] |= {"embedding_size": 32, "encoder_size": 64, "decoder_size": 64}
    values["model"] |= {"dropout": 0.0, "embedding_dropout": 0.0, "word_dropout": 0.0}
    values["optimizer"] = {"learning_rate": 0.02, "warmup_steps": 10, "ema": 0.9}
    values["run"] |= {"max_steps": 70, "batch_tokens": 600, "eval_every": 35, "log_every": 35}
    values["search"]["max_length_b"] = 20
    tiny_config.write_text(yaml.safe_dump(values), encoding="utf-8")
    return tiny_config


@pytest.mark.parametrize(
    ("config", "tokenizer"), [("zh", "zh"), ("th", "char")], indirect=["config"]
)
def test_validation_bleu_is_that_of_dragoman_evaluate(
    config: Path, tmp_path: Path, tokenizer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train([str(config), "--output", str(run)]) == 0
    validations = [line for line in read_metrics(run / "metrics.jsonl") if "dev_bleu" in line]
    best = max(validations, key=lambda line: float(str(line["dev_bleu"])))
    signature = str(best["bleu_signature"])
    assert f"tok:{tokenizer}|" in signature
    assert float(str(best["dev_bleu"])) > 60
    assert signature in (run / "report.html").read_text(encoding="utf-8")
    capsys.readouterr()
    files = ["--source", str(tmp_path / "dev.de"), "--reference", str(tmp_path / "dev.en")]
    flags = ["--precision", "fp32", "--device", "cpu", "--bootstrap", "0", "--json", "-"]
    assert evaluate([str(run), *files, *flags]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["bleu"]["value"] == pytest.approx(best["dev_bleu"])
    assert found["bleu"]["signature"] == signature
    assert load_config(run / "config.yaml").validation.tokenize == tokenizer
