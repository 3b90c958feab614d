"""The quality of a model: what is measured, beside dragoman-translate and sacrebleu themselves."""

import gzip
import re
from dataclasses import replace
from pathlib import Path

import pytest
import sacrebleu

from benchmarks.everyday import read_sentences
from benchmarks.held_out import PUBLISHED, SETS
from benchmarks.quality import main
from model.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from model.text.profile import TextProfile
from model.translate import main as translate
from tests.conftest import random_network

SOURCES = ["der Hund läuft.", "die Frau sieht den Mann!", "ein rotes Haus.", "wo?", "zehn Hunde."]
REFERENCES = ["the dog runs.", "the woman sees the man!", "a red house.", "where?", "ten dogs."]
LINES = 4
JOINED = ["der Hund läuft. die Frau sieht den Mann!", "ein rotes Haus. wo?"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a test file of Tatoeba below data."""
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path / "data" / "tatoeba-de-en" / "test", ".de", SOURCES, ".en", REFERENCES)
    return tmp_path


def write_set(stem: Path, *sides: str | list[str]) -> None:
    stem.parent.mkdir(parents=True)
    for ending, lines in zip(sides[::2], sides[1::2], strict=True):
        path = Path(f"{stem}{ending}.gz")
        path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))


def with_profile(run: Path, folder: Path, profile: TextProfile) -> str:
    """A checkpoint like that of `run`, with other decided opinions and this profile."""
    old = load_checkpoint(run)
    network = random_network(old.config, seed=1, end=2)
    directory = save_checkpoint(
        folder,
        1,
        config=old.config,
        weights=dict(network.named_parameters()),
        tokenizer=old.tokenizer,
        search=replace(old.search, on_long="cut"),
        card="Random weights.",
        training_state=None,
        training_meta=None,
        profile=profile,
    )
    return str(directory)


def translated(run: Path, lines: list[str], *flags: str) -> list[str]:
    """What dragoman-translate makes of the lines, on the CPU."""
    Path("source").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    files = ["--input", "source", "--output", "translated"]
    assert translate([str(run), *files, "--device", "cpu", *flags]) == 0
    return Path("translated").read_text(encoding="utf-8").removesuffix("\n").split("\n")


def cells(report: str, title: str) -> list[str]:
    """The cells after `title` in the only row of that title."""
    (row,) = re.findall(rf"^\| {re.escape(title)} \| (.*) \|$", report, re.MULTILINE)
    return str(row).split(" | ")


def scores(outputs: list[str], references: list[str]) -> list[str]:
    bleu = sacrebleu.corpus_bleu(outputs, [references]).score
    chrf = sacrebleu.corpus_chrf(outputs, [references]).score
    return [f"{bleu:.2f}", f"{chrf:.2f}"]


def test_a_translator_is_measured_as_dragoman_translate_and_sacrebleu_do(
    tiny_checkpoint: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--data", "data", "--lines", str(LINES), "--languages", "de-en"]
    assert main([str(tiny_checkpoint), *flags, "--output", "report.md"]) == 0
    report = capsys.readouterr().out
    assert (here / "report.md").read_text(encoding="utf-8") == report
    right, outputs = REFERENCES[:LINES], {}
    for precision in ("int8", "fp32"):
        for search, beam in (("beam 2", []), ("greedy", ["--beam-size", "1"])):
            found = translated(tiny_checkpoint, SOURCES[:LINES], "--precision", precision, *beam)
            outputs[search, precision] = found
            assert cells(report, f"{search}, {precision}")[::2] == scores(found, right)
    for search in ("beam 2", "greedy"):
        ours, theirs = outputs[search, "int8"], outputs[search, "fp32"]
        same = sum(one == other for one, other in zip(ours, theirs, strict=True))
        change = cells(report, f"{search}, int8 - fp32 ({same} of {LINES} lines the same)")
        one, other = (float(scores(lines, right)[1]) for lines in (ours, theirs))
        assert float(change[2]) == pytest.approx(one - other, abs=0.011)
    apart = outputs["beam 2", "int8"]
    pairs = [" ".join(apart[:2]), " ".join(apart[2:])]
    both = [" ".join(right[:2]), " ".join(right[2:])]
    title = "2 pairs of lines, beam 2, int8: "
    assert cells(report, title + "translated apart, then joined")[::2] == scores(pairs, both)
    never = ["--precision", "int8", "--split-sentences", "never"]
    uncut = translated(tiny_checkpoint, JOINED, *never)
    assert uncut != pairs  # the difference that is measured
    assert cells(report, title + "joined, uncut")[::2] == scores(uncut, both)
    assert re.search(r"^Multi30k de-en: left out, data\S+\.de\.gz is not there\.$", report, re.M)
    assert "Multi30k en-de" not in report
    assert report.count("opus-mt-de-en") == 1


def test_everyday_sentences_are_scored_by_kind_and_written_for_a_reader(
    tiny_checkpoint: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(tiny_checkpoint), "--data", "none", "--languages", "de-en"]
    assert main(command) == 0
    report = capsys.readouterr().out
    sentences = read_sentences()
    outputs = translated(tiny_checkpoint, [one.source for one in sentences], "--precision", "int8")
    (path,) = here.glob("everyday.*.tsv")
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n")[1:-1]]
    assert [row[3] for row in rows] == [output.replace("\t", " ") for output in outputs]
    assert all(one.reference not in path.read_text(encoding="utf-8") for one in sentences)
    chosen = [i for i, one in enumerate(sentences) if one.kind == "long"]
    right = [sentences[i].reference for i in chosen]
    long = cells(report, f"long, {len(chosen)} sentences, beam 2, int8")
    assert long[::2] == scores([outputs[i] for i in chosen], right)
    marked = path.read_text(encoding="utf-8").replace("output", "output\tmark", 1)
    path.write_text(re.sub(r"(?m)(?<!mark)$(?=\n)", "\twrong", marked), encoding="utf-8")
    assert main(command) == 2  # the marks would be lost
    assert "may have been marked" in capsys.readouterr().err
    assert main(["--marked", str(path)]) == 0
    table = capsys.readouterr().out
    assert cells(table, "typo") == ["22", "0 (0 %)", "0 (0 %)", "22 (100 %)"]
    assert cells(table, "all") == ["200", "0 (0 %)", "0 (0 %)", "200 (100 %)"]


def test_a_model_without_languages_has_no_set(
    tiny_checkpoint: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tiny_checkpoint), "--data", "data"]) == 0
    assert "No held-out set suits" in capsys.readouterr().out
    assert not list(here.glob("everyday.*"))


def test_a_summarizer_is_measured_by_rouge_on_titles(
    tiny_checkpoint: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = TextProfile(task="summarize", source_language="en", target_language="en")
    run = with_profile(tiny_checkpoint, here / "titles", profile)
    stem = here / "data" / "arxiv-titles" / "test"
    write_set(stem, ".abstract", REFERENCES, ".title", SOURCES)
    assert main([run, "--data", "data"]) == 0
    report = capsys.readouterr().out
    assert "| ROUGE-1 | 95 % | ROUGE-2 | 95 % | ROUGE-L | 95 % |" in report
    assert "### arXiv titles, 5 lines" in report
    assert len(cells(report, "greedy, fp32")) == 6
    assert "pairs of lines" not in report
    assert "Tatoeba" not in report
    assert not list(here.glob("everyday.*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to measure"),
        (["run", "--marked", "file"], "Leave out MODEL"),
        (["none"], "none: "),
        (["--marked", "none.tsv"], "none.tsv: no such file"),
    ],
)
def test_mistakes_are_a_line(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("benchmarks.quality: error: ")
    assert said in line


def test_what_is_published_stands_beside_a_set_that_there_is() -> None:
    names = [held_out.name for held_out in SETS]
    assert len(set(names)) == len(names)
    assert {one.name for one in PUBLISHED} <= set(names)
