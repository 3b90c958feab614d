"""dragoman-evaluate: translates as dragoman-translate does, scores as sacrebleu does."""

import dataclasses
import gzip
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sacrebleu import sentence_chrf

from model.checkpoint.checkpoint import load_checkpoint
from model.checkpoint.run_directory import lock_run
from model.config import to_dict
from model.pack import main as pack
from model.translate import main as translate
from model.translator import Translator
from training.evaluate import main
from training.tracking.metrics_log import read_metrics
from training.train import main as train
from training.validation.calibrate import calibrate, expected_calibration_error

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
    signature = "ROUGE: nrefs:1|bs:1000|seed:12345|case:lower|tok:letters-digits"
    assert lines[-4].startswith(signature)
    assert lines[-3].startswith("outputs: 100.0 % of the words stand in the source; new n-grams")
    assert "of 1 acronyms, words with inner capitals and numbers, 100.0 %" in lines[-3]
    assert lines[-2].startswith("reference: ")
    assert lines[-1].startswith("compression: token F1 ")
    assert "; 0.73 of the words of the source (reference " in lines[-1]  # 8 of 11
    assert "outputs that are subsequences: 100.0 % (" in lines[-1]
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
    assert main([*lead, "--against", "dev.de"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown[1:5]] == ["ROUGE-1", "ROUGE-2", "ROUGE-L", "length"]
    assert shown[6].startswith("ROUGE: nrefs:1|")
    assert shown[8].startswith("lines by ROUGE-L: ")
    changes = figures([*lead, "--against", run, *RUN_FLAGS], capsys)["changes"]
    assert changes["metric"] == "rouge_l"


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


@pytest.fixture
def two_runs(tiny_config: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """A run, and one with another tokenizer that learned for longer."""
    runs = [str(here / "short"), str(here / "long")]
    for run, steps, size in zip(runs, ("30", "100"), ("290", "280"), strict=True):
        changes = [f"run.max_steps={steps}", f"tokenizer.vocab_size={size}", "run.eval_every=100"]
        assert train([str(tiny_config), "--output", run, *changes]) == 0
    capsys.readouterr()
    return runs


def test_two_runs_side_by_side(
    two_runs: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As if each were translated alone and sacrebleu compared the files."""
    old, new = two_runs
    files = ["--source", "dev.de", "--reference", "dev.en"]
    both = [new, "--against", old, *RUN_FLAGS, *files]
    found = figures([*both, "--output", "new.en", "--bootstrap", "200", "--show", "8"], capsys)
    for run, out in ((old, "old.en"), (new, "new-alone.en")):
        command = [run, *RUN_FLAGS, "--input", "dev.de", "--output", out]
        assert translate(command) == 0
    assert (here / "new.en").read_bytes() == (here / "new-alone.en").read_bytes()
    assert found["baseline"]["checkpoint"].startswith(f"{old}/checkpoints/")
    assert found["baseline"]["digest"] != found["digest"]
    command = [sys.executable, "-m", "sacrebleu", "dev.en", "-i", "old.en", "new.en"]
    flags = ["-m", "bleu", "chrf", "--paired-bs", "--paired-bs-n", "200", "-f", "text", "-w", "4"]
    done = subprocess.run([*command, *flags], capture_output=True, check=True, text=True)
    pattern = r"(\d+\.\d+) \((?:[^)]*)\)"
    baseline, system = [
        re.findall(pattern, row) for row in done.stdout.splitlines() if ".en" in row
    ][:2]
    p_values = re.findall(r"p = (\d\.\d+)", done.stdout)
    for column, name in enumerate(("bleu", "chrf")):
        assert found["baseline"][name]["value"] == pytest.approx(float(baseline[column]), abs=1e-4)
        assert found[name]["value"] == pytest.approx(float(system[column]), abs=1e-4)
        assert found[name]["p_value"] == pytest.approx(float(p_values[column]), abs=1e-4)
    read = {name: (here / name).read_text().splitlines() for name in ("dev.de", "dev.en")}
    shown = found["changes"]["gains"] + found["changes"]["losses"]
    assert shown
    for change in shown:
        row = change["line"] - 1
        assert change["source"] == read["dev.de"][row]
        assert change["references"] == [read["dev.en"][row]]
        assert change["output"] == (here / "new.en").read_text().splitlines()[row]
        assert change["baseline_output"] == (here / "old.en").read_text().splitlines()[row]
    # The same, where one of them or both are files.
    for one, other in ((["--hypotheses", "new.en"], old), (["--hypotheses", "new.en"], "old.en")):
        again = figures([*one, "--against", other, *both[3:], "--bootstrap", "200"], capsys)
        for name in ("bleu", "chrf", "length_ratio"):
            assert again[name] == found[name]
            assert again["baseline"][name] == found["baseline"][name]
        assert again["changes"]["better"] == found["changes"]["better"]


def test_lines_that_changed_are_shown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "new.en").write_text("the dog runs.\n\na woman sees a man!\nten\tdogs\na red house\n")
    files = ["--hypotheses", "new.en", "--against", "other.en", "--reference", "test.en.gz"]
    assert main([*files, "--source", "test.de", "--show", "1"]) == 0
    shown = capsys.readouterr().out.split("\n\n")[1:]
    assert shown[1] == ("lines by chrF: 2 better, 1 worse, 2 equal (2 of them the same text)")
    gain, loss = shown[2].splitlines(), shown[3].splitlines()
    assert gain[0] == "lines that gain most"
    assert gain[1].startswith("line 5: chrF ")
    assert gain[2:] == [
        "  source     ein rotes Haus",
        "  reference  a red house",
        "  baseline   the red house",
        "  output     a red house",
    ]
    assert loss[:2] == ["lines that lose most", loss[1]]
    assert loss[1].startswith("line 4: chrF 100.0 -> ")
    assert loss[-1] == "  output     ten\\tdogs"
    assert main([*files, "--show", "0"]) == 0
    assert capsys.readouterr().out.endswith("the same text)\n")


def test_runs_that_do_something_else_are_refused(
    tiny_config: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(tiny_config), "run.max_steps=2", "--output"]
    assert train([*command, str(here / "run")]) == 0
    for name, change, message in (
        ("french", "data.target_language=fr", "target_language en and fr do not go together."),
        ("summary", "data.task=summarize", "task translate and summarize do not go together."),
    ):
        assert train([*command, str(here / name), change]) == 0
        capsys.readouterr()
        files = ["--source", "dev.de", "--reference", "dev.en", "--output", "o"]
        assert main([str(here / "run"), "--against", str(here / name), *RUN_FLAGS, *files]) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]
        assert not (here / "o").exists()


def test_a_pack_is_a_run_whatever_its_name(
    tiny_checkpoint: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pack([str(tiny_checkpoint), "--output", "m.dragoman"]) == 0
    shutil.move("m.dragoman", "m.pack")
    for name in ("dev.de", "dev.en"):
        (here / name).write_text("ein Hund\n")
    capsys.readouterr()
    files = ["--source", "dev.de", "--reference", "dev.en", "--bootstrap", "2"]
    found = figures(["m.pack", "--against", "m.pack", *RUN_FLAGS, *files], capsys)
    assert found["baseline"]["digest"] == found["digest"]


@pytest.fixture
def to_calibrate(tiny_checkpoint: Path, here: Path) -> list[str]:
    """The arguments for a copy of the tiny run, `run`, and a dev set of 60 lines."""
    shutil.copytree(tiny_checkpoint, here / "run", symlinks=True)
    words = ["der", "Hund", "läuft", "die", "Frau", "sieht", "den", "Mann", "rot", "Haus"]
    lines = [" ".join(words[i % 10 : i % 10 + 1 + i // 12]) for i in range(60)]
    (here / "dev.de").write_text("".join(f"{line}\n" for line in lines))
    (here / "dev.en").write_text("".join(f"{line}\n" for line in lines[7:] + lines[:7]))
    files = ["--source", "dev.de", "--reference", "dev.en"]
    return ["run", *RUN_FLAGS, "--beam-size", "3", *files, "--bootstrap", "0", "--calibrate"]


def test_a_calibration_is_kept_in_the_checkpoint_and_nothing_else_of_it_changes(
    tiny_checkpoint: Path, here: Path, to_calibrate: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    old = load_checkpoint(here / "run")
    before = {path.name: path.read_bytes() for path in old.path.iterdir()}
    assert old.calibration is None

    found = figures(to_calibrate, capsys)["calibration"]

    new = load_checkpoint(here / "run")
    after = {path.name: path.read_bytes() for path in new.path.iterdir()}
    assert set(after) - set(before) == {"confidence.json"}
    changed = {name for name in before if after[name] != before[name]}
    assert (new.path, changed) == (old.path, {"manifest.json"})
    search = dataclasses.replace(old.search, beam_size=3)
    translator = Translator.load(tiny_checkpoint, device="cpu", precision="fp32")
    sources, references = (Path(f"dev.{end}").read_text().splitlines() for end in ("de", "en"))
    outputs = [one.hypotheses[0] for one in translator.search(sources, search)]
    pairs = zip(outputs, references, strict=True)
    qualities = [sentence_chrf(one.translation, [right]).score / 100 for one, right in pairs]
    scores = [one.mean_log_prob for one in outputs]
    assert new.calibration == calibrate(scores, qualities, "chrf")
    assert found.pop("expected_calibration_error") == pytest.approx(
        expected_calibration_error(scores, qualities, "chrf")
    )
    assert found == to_dict(new.calibration)
    assert main(to_calibrate) == 0
    shown = capsys.readouterr().out.splitlines()[-1]
    assert shown.startswith(f"confidence: {new.calibration.describe()}; expected calibration error")
    assert load_checkpoint(here / "run").digest == new.digest


def test_what_cannot_be_calibrated(
    here: Path, to_calibrate: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*arguments: str) -> str:
        assert main([*arguments]) == 2
        return capsys.readouterr().err.splitlines()[-1].removeprefix("dragoman-evaluate: error: ")

    assert pack(["run", "--output", "some.dragoman"]) == 0
    message = "some.dragoman: no directory, so --calibrate cannot write into it; a pack is not"
    assert refused("some.dragoman", *to_calibrate[1:]).startswith(message)
    few = ["--source", "test.de", "--reference", "test.en.gz", "--calibrate"]
    message = "test.en.gz: 5 lines are too few for --calibrate. Give a dev set of 40 or more"
    assert refused("run", *few).startswith(message)
    message = "--calibrate: which model? Give RUN and --source."
    assert refused("--hypotheses", "dev.en", "--reference", "dev.en", "--calibrate") == message
    with lock_run(here / "run"):
        assert refused(*to_calibrate).startswith("run: in use by another process")
    assert load_checkpoint(here / "run").calibration is None


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
            "--hypotheses other.en --against other.en --bootstrap 0",
            "--bootstrap 0: --against is compared by draws. Use 2 or more.",
        ),
        ("--hypotheses other.en --show 3", "--show: lines that changed from what? Give --against."),
        ("--hypotheses other.en --against other.en --show -1", "argument --show: '-1' is no"),
        ("--hypotheses other.en --against RUN", "--against RUN: translates what? Give --source."),
        ("RUN --source test.de --against . --output o", ".: neither a run (no best or last) nor"),
        ("RUN --source test.de --against runs/old --output o", "runs/old: no such file."),
        (
            "--lead 2 --source test.de --against RUN --output o",
            "RUN/checkpoints/step-000001: it translates, but --lead is a summary.",
        ),
        ("--hypotheses other.en --bootstrap 1", "argument --bootstrap: '1' is no number of draws,"),
        ("--hypotheses other.en --bootstrap -3", "argument --bootstrap: '-3' is no number"),
        ("--hypotheses short.en", "short.en has 2 lines, but test.en.gz has 5."),
        ("--hypotheses other.en --against short.en", "short.en has 2 lines, but test.en.gz"),
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
    shown = captured.err.splitlines()[-1].replace(run, "RUN")
    assert shown.startswith(f"dragoman-evaluate: error: {message}")
    assert captured.out == ""
    assert not (here / "o").exists()
