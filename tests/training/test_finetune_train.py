"""Fine-tuning from the command line: what it gains and forgets is measured, shown and kept."""

import re
from pathlib import Path

import pytest

from model.translator import Translator
from training.config.train_config import load_config
from training.data.text_corpus import read_pairs
from training.metrics.bleu_tokenization import make_bleu
from training.tracking.metrics_log import read_metrics
from training.train import main

OTHER = {"ein": "uno", "zwei": "dos", "rot": "rojo", "blau": "azul", "Haus": "casa", "Hut": "gorro"}


@pytest.fixture(scope="module")
def tuned(begun_run: Path) -> Path:
    """`begun_run` with `new`, which goes on from its run with targets in another language."""
    for name in ("train", "dev"):
        lines = (begun_run / f"{name}.de").read_text(encoding="utf-8").splitlines()
        text = "".join(" ".join(OTHER[word] for word in line.split()) + "\n" for line in lines)
        (begun_run / f"{name}.es").write_text(text, encoding="utf-8")
    assert main([*arguments(begun_run), "run.max_steps=8"]) == 0
    return begun_run


def arguments(folder: Path, *more: str) -> list[str]:
    return [
        str(folder / "tiny.yaml"),
        "--output",
        str(folder / "new"),
        f"finetune.init_from={folder / 'run'}",
        "data.train=[{source: train.de, target: train.es}]",
        "data.dev={source: dev.de, target: dev.es}",
        "finetune.old_dev={source: dev.de, target: dev.en}",
        *more,
    ]


def bleu(model: Path, config: Path, old: bool) -> float:
    """An independent measurement: translate a dev set with a saved checkpoint, and score it."""
    settings = load_config(config)
    corpus = settings.finetune.old_dev if old else settings.data.dev
    assert corpus is not None
    pairs = read_pairs(corpus, settings.data)
    outputs = Translator.load(model, precision="fp32").translate(pairs.sources)
    score = make_bleu("13a").corpus_score(outputs, [pairs.targets])
    return float(score.score)


def test_both_sets_are_measured_before_and_after(tuned: Path) -> None:
    lines = read_metrics(tuned / "new" / "metrics.jsonl")
    config = tuned / "new" / "config.yaml"
    first, last = lines[0], [line for line in lines if "dev_bleu" in line][-1]
    assert first["step"] == 0
    assert last["step"] == 8
    for old, name in ((False, "dev_bleu"), (True, "old_dev_bleu")):
        assert first[f"before_{name}"] == pytest.approx(bleu(tuned / "run", config, old))
        assert last[name] == pytest.approx(bleu(tuned / "new" / "last", config, old))


def test_card_and_report_show_them(tuned: Path) -> None:
    first = read_metrics(tuned / "new" / "metrics.jsonl")[0]
    card = (tuned / "new" / "last" / "card.md").read_text(encoding="utf-8")
    section = card.split("## Fine-tuning")[1]
    assert re.search(rf"BLEU, old dev set +{first['before_old_dev_bleu']:.2f} -> ", section)
    report = (tuned / "new" / "report.html").read_text(encoding="utf-8")
    assert "<h2>Fine-tuning</h2>" in report
    assert f'BLEU, old dev set</td><td class="number">{first["before_old_dev_bleu"]:.2f}' in report


def test_a_resumed_run_keeps_the_figures_of_its_beginning(
    tuned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_metrics(tuned / "new" / "metrics.jsonl")[0]
    assert main([*arguments(tuned), "run.max_steps=12", "--resume"]) == 0
    assert read_metrics(tuned / "new" / "metrics.jsonl")[0] == before
    shown = capsys.readouterr().out
    assert f"{before['before_old_dev_bleu']:.2f} -> " in shown
    assert "## Fine-tuning" in (tuned / "new" / "last" / "card.md").read_text(encoding="utf-8")


def test_other_old_files_are_refused_when_it_goes_on(
    tuned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tuned / "dev.en"
    kept = path.read_text(encoding="utf-8")
    path.write_text(kept.replace("one", "two"), encoding="utf-8")
    assert main([*arguments(tuned), "run.max_steps=16", "--resume"]) == 2
    assert "the files of finetune.old_dev are not those" in capsys.readouterr().err
    path.write_text(kept, encoding="utf-8")


def test_an_old_set_without_a_model_is_refused(
    begun_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = "finetune.old_dev={source: dev.de, target: dev.en}"
    assert main([str(begun_run / "tiny.yaml"), "--output", str(begun_run / "x"), old]) == 2
    assert "finetune.old_dev: without finetune.init_from" in capsys.readouterr().err
