"""dragoman-evaluate: translates as dragoman-translate does, scores as sacrebleu does."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model.translate import main as translate
from training.evaluate import main
from training.tracking.metrics_log import read_metrics
from training.train import main as train

SOURCE = "der Hund läuft.\n\ndie Frau sieht den Mann!\n10 Hunde\nein rotes Haus\n"
REFERENCE = "the dog runs.\n\nthe woman sees the man!\n10 dogs\na red house\n"
OTHER = "the dog runs\n\na woman sees a man!\n10 dogs\nthe red house\n"
RUN_FLAGS = ["--device", "cpu", "--precision", "fp32"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the files, and in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test.de").write_text(SOURCE)
    (tmp_path / "test.en.gz").write_bytes(gzip.compress(REFERENCE.encode()))
    (tmp_path / "other.en").write_text(OTHER)
    return tmp_path


def figures(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main([*arguments, "--json", "-"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_translations_are_those_of_dragoman_translate(
    tiny_checkpoint: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = [str(tiny_checkpoint.resolve()), *RUN_FLAGS, "--beam-size", "3"]
    files = ["--source", "test.de", "--reference", "test.en.gz", "--output", "out.en"]
    found = figures([*run, *files], capsys)
    assert translate([*run, "--input", "test.de", "--output", "translated.en"]) == 0
    assert (here / "out.en").read_bytes() == (here / "translated.en").read_bytes()
    assert len((here / "out.en").read_text().splitlines()) == 5
    scored = figures(["--hypotheses", "out.en", "--reference", "test.en.gz"], capsys)
    for name in ("bleu", "chrf", "length_ratio", "lines"):
        assert scored[name] == found[name]
    assert found["references"] == ["test.en.gz"]
    assert Path(found["checkpoint"]).is_dir()
    assert len(found["digest"]) == 64


def test_scores_are_those_of_the_command_sacrebleu(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = figures(
        ["--hypotheses", "other.en", "--reference", "test.en.gz", "--bootstrap", "100"], capsys
    )
    (here / "test.en").write_text(REFERENCE)
    command = [sys.executable, "-m", "sacrebleu", "test.en", "-i", "other.en", "-m", "bleu", "chrf"]
    confidence = ["--confidence", "--confidence-n", "100", "--width", "6"]
    shown = subprocess.run([*command, *confidence], capture_output=True, check=True).stdout
    for name, expected in zip(("bleu", "chrf"), json.loads(shown), strict=True):
        assert found[name]["value"] == pytest.approx(expected["score"], abs=1e-6)
        interval = found[name]["interval"]
        assert interval["mean"] == pytest.approx(expected["confidence_mean"], abs=1e-5)
        assert interval["half_width"] == pytest.approx(expected["confidence_var"], abs=1e-5)
        assert found[name]["signature"] == expected["signature"]


def test_the_command_itself(here: Path) -> None:
    """A file of other translations beside the reference itself, which is perfect."""
    (here / "perfect.en").write_text(REFERENCE)
    command = [sys.executable, "-m", "training.evaluate", "--hypotheses", "perfect.en"]
    files = ["--reference", "test.en.gz", "--baseline", "other.en", "--json", "all.json"]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [*command, *files], capture_output=True, check=True, env={"PYTHONPATH": str(root)}
    )
    shown = done.stdout.decode().splitlines()
    assert shown[0].split() == ["score", "95", "%", "interval", "baseline", "difference", "p"]
    found = json.loads((here / "all.json").read_text())
    other = found["baseline"]
    assert other["file"] == "other.en"
    for line, name, perfect in ((1, "bleu", 100), (2, "chrf", 100), (3, "length_ratio", 1)):
        cells = shown[line].replace("length ratio", "length_ratio").split()
        digits = 3 if name == "length_ratio" else 2
        assert cells[1] == f"{perfect:.{digits}f}"
        assert cells[5] == f"{other[name]['value']:.{digits}f}"
        assert cells[6] == f"{perfect - other[name]['value']:+.{digits}f}"
    assert shown[5] == f"BLEU: {found['bleu']['signature']}"
    assert shown[6] == f"chrF: {found['chrf']['signature']}"


def test_no_bootstrap(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--hypotheses", "other.en", "--reference", "test.en.gz"]
    assert main([*files, "--bootstrap", "0"]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[1].split()[-1] == "none"
    assert "bs:" not in shown


def test_rouge_of_the_first_words(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The fourth line is right, and one word of two in the last one is one of three there."""
    (here / "test.de").write_text("a b c\n\nx y\n10 dogs bark\nred rote red\n")
    files = ["--lead", "2", "--source", "test.de", "--reference", "test.en.gz", "--rouge"]
    assert main([*files, "--output", "lead.en"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (here / "lead.en").read_text() == "a b\n\nx y\n10 dogs\nred rote\n"
    labels = ["BLEU", "chrF", "ROUGE-1", "ROUGE-2", "ROUGE-L", "length"]
    assert [line.split()[0] for line in lines[1:7]] == labels
    assert float(lines[3].split()[1]) == round(100 * (1 + 2 / 5) / 5, 2)
    assert lines[-1].startswith("ROUGE: nrefs:1|bs:1000|seed:12345|case:lower|tok:letters-digits")
    found = figures(
        ["--hypotheses", "other.en", "--baseline", "lead.en", "--rouge", *files[4:6]], capsys
    )
    assert found["baseline"]["rouge_l"]["value"] == pytest.approx(28)
    assert found["rouge_l"]["p_value"] < 1
    assert "rouge_l" not in figures(["--hypotheses", "other.en", *files[4:6]], capsys)


def test_several_references(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "test.en").write_text(REFERENCE)
    (here / "third.en").write_text("one dog\nx\none woman sees a man\nten dogs\nred\n")
    (here / "out.en").write_text("the dog runs.\n\nthe woman sees a man!\n10 dogs\nthe red house\n")
    files = ["--hypotheses", "out.en", "--bootstrap", "0", "--rouge", "--reference", "test.en"]
    found = figures([*files, "other.en", "--reference", "third.en"], capsys)
    assert found["references"] == ["test.en", "other.en", "third.en"]
    command = [sys.executable, "-m", "sacrebleu", *found["references"], "-i", "out.en", "-m"]
    shown = subprocess.run(
        [*command, "bleu", "chrf", "--width", "6"], capture_output=True, check=True
    ).stdout
    for name, expected in zip(("bleu", "chrf"), json.loads(shown), strict=True):
        assert found[name]["value"] == pytest.approx(expected["score"], abs=1e-6)
        assert found[name]["signature"] == expected["signature"]
    assert found["length_ratio"]["signature"].startswith("nrefs:3|")
    assert found["rouge_1"]["value"] > figures(files, capsys)["rouge_1"]["value"]
    (here / "short.en").write_text("a\n")
    assert main([*files, "short.en"]) == 2
    assert "short.en has 1 lines, but test.en has 5." in capsys.readouterr().err


def test_the_task_of_a_run_tells_the_metrics(
    tiny_config: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(here / "run")
    changes = ["data.task=summarize", "run.max_steps=4", "data.source_language=en"]
    assert train([str(tiny_config), "--output", run, *changes]) == 0
    validation = next(
        line for line in read_metrics(here / "run/metrics.jsonl") if "dev_loss" in line
    )
    assert "dev_rouge_l" in validation and "dev_bleu" not in validation
    assert train([str(tiny_config), "--output", run, *changes, "run.max_steps=5", "--resume"]) == 0
    capsys.readouterr()
    files = [run, *RUN_FLAGS, "--source", "dev.de", "--reference", "dev.en", "--bootstrap", "0"]
    found = figures(files, capsys)
    assert found.keys() >= {"rouge_1", "rouge_2", "rouge_l", "length_ratio"}
    assert not found.keys() & {"bleu", "chrf"}
    assert {"bleu", "rouge_1"} <= figures([*files, "--rouge"], capsys).keys()
    lead = ["--lead", "3", "--source", "dev.de", "--reference", "dev.en"]
    assert main([*lead, "--baseline", "dev.de"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown[1:5]] == ["ROUGE-1", "ROUGE-2", "ROUGE-L", "length"]
    assert shown[-1].startswith("ROUGE: nrefs:1|")


def test_texts_without_spaces(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "th").write_text("วันนี้อากาศดีมาก\nขนมปังนี้ราคาสี่ยูโร\n", encoding="utf-8")
    files = ["--hypotheses", "th", "--reference", "th"]
    found = figures(files, capsys)
    assert found["bleu"]["value"] == pytest.approx(100)
    assert "tok:char" in found["bleu"]["signature"]
    assert "tok:char" in found["length_ratio"]["signature"]
    assert "tok:zh" in figures([*files, "--target-language", "zh"], capsys)["bleu"]["signature"]
    asked = figures([*files, "--tokenize", "13a"], capsys)
    assert (asked["bleu"]["value"], asked["length_ratio"]["value"]) == (0, 1)
    assert "tok:13a" in asked["bleu"]["signature"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "nothing to score. Give RUN and --source, or translations with --hypotheses."),
        ("RUN", "nothing to score."),
        ("--source test.de", "nothing to score."),
        ("RUN --hypotheses other.en", "RUN: --hypotheses is scored as it is,"),
        ("--source test.de --hypotheses other.en", "--source: --hypotheses is scored"),
        ("--output o --hypotheses other.en", "--output: --hypotheses is scored"),
        ("--lead 3 --hypotheses other.en", "--lead: --hypotheses is scored as it is,"),
        ("--lead 3", "--lead: of what? Give --source."),
        ("RUN --lead 3 --source test.de", "RUN: --lead scores words of the source."),
        ("--lead 0 --source test.de", "argument --lead: "),
        (
            "--hypotheses other.en --baseline other.en --bootstrap 0",
            "--bootstrap 0: --baseline is compared by draws. Use 2 or more.",
        ),
        ("--hypotheses other.en --bootstrap 1", "argument --bootstrap: '1' is no number of draws,"),
        ("--hypotheses other.en --bootstrap -3", "argument --bootstrap: '-3' is no number"),
        ("--hypotheses short.en", "short.en has 2 lines, but test.en.gz has 5."),
        ("--hypotheses other.en --baseline short.en", "short.en has 2 lines, but test.en.gz"),
        ("RUN --source short.en --output o", "short.en has 2 lines, but test.en.gz has 5."),
        ("RUN --source empty --output o", "empty: has no lines. Give text to score."),
        ("--hypotheses missing.en", "missing.en: no such file."),
        ("--hypotheses other.en --tokenize thai", "argument --tokenize: invalid choice: 'thai'"),
        ("RUN --source test.de --beam-size 0 --output o", "beam_size: 0 is out of range."),
    ],
)
def test_mistakes(
    tiny_checkpoint: Path,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    message: str,
) -> None:
    (here / "short.en").write_text("a\nb\n")
    (here / "empty").write_text("")
    run = str(tiny_checkpoint.resolve())
    given = [run if word == "RUN" else word for word in arguments.split()]
    assert main([*given, "--reference", "test.en.gz"]) == 2
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1].startswith(f"dragoman-evaluate: error: {message}")
    assert captured.out == ""
    assert not (here / "o").exists()
