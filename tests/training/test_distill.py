"""`dragoman-distill`: pairs to train on, the teacher's best or the hypothesis nearest to a text."""

import gzip
from pathlib import Path

import pytest

from model.decoding.options import SearchOptions
from model.translator import Translator
from training.config.data_config import CorpusConfig, DataConfig
from training.data.text_corpus import read_pairs
from training.distill import main, nearest_tokenization
from training.losses.minimum_risk import score_named

SOURCES = ["ein Haus", "", "der Hund läuft", "die Frau sieht den Mann"]


def distill(run: Path, source: Path, output: Path, *more: str) -> int:
    flags = ["--device", "cpu", "--precision", "fp32", "--threads", "1", *more]
    return main([str(run), "--input", str(source), "--output", str(output), *flags])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.txt"
    path.write_text("".join(f"{line}\n" for line in SOURCES), encoding="utf-8")
    return path


def test_each_source_with_the_best_translation(
    tiny_checkpoint: Path, source: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.tsv.gz"
    assert distill(tiny_checkpoint, source, output) == 0
    lines = gzip.decompress(output.read_bytes()).decode().split("\n")
    assert lines.pop() == ""
    pairs = [line.split("\t") for line in lines]
    assert [pair[0] for pair in pairs] == SOURCES
    translator = Translator.load(tiny_checkpoint, device="cpu", precision="fp32")
    expected = [text.replace("\t", " ") for text in translator.translate(SOURCES)]
    assert [pair[1] for pair in pairs] == expected
    assert not (tmp_path / "out.tsv.gz.parts").exists()
    assert CorpusConfig(files=output)


def test_nearest_chooses_among_all_hypotheses(
    tiny_checkpoint: Path, source: Path, tmp_path: Path
) -> None:
    translator = Translator.load(tiny_checkpoint, device="cpu", precision="fp32")
    wide = SearchOptions(beam_size=4, n_best=4, max_length_a=1.0, max_length_b=3)
    found = translator.search(SOURCES, wide)
    texts = [[h.translation.replace("\t", " ") for h in one.hypotheses] for one in found]
    references = [choices[-1] for choices in texts]  # the last of the beam is the right one
    assert any(choices[0] != choices[-1] for choices in texts)
    rows = zip(SOURCES, references, strict=True)
    source = tmp_path / "in.tsv"
    source.write_text("".join(f"{s}\t{r}\n" for s, r in rows), encoding="utf-8")
    output = tmp_path / "out.tsv"
    assert distill(tiny_checkpoint, source, output, "--nearest", "chrf", "--beam-size", "4") == 0
    lines = output.read_text(encoding="utf-8").split("\n")[:-1]
    score = score_named("chrf", "13a")
    for line, choices, reference in zip(lines, texts, references, strict=True):
        chosen = line.split("\t")[1]
        assert score(chosen, reference) == max(score(text, reference) for text in choices)


@pytest.mark.parametrize("flags", [("--source-column", "de"), ("--source-column", "2")])
def test_a_header_is_one_if_a_column_is_named_as_in_training(
    tiny_checkpoint: Path, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    table, output = tmp_path / "in.tsv", tmp_path / "out.tsv"
    rows = ["1\tde", *(f"{number}\t{text}" for number, text in enumerate(SOURCES))]
    table.write_text("\n".join(rows), encoding="utf-8")
    assert distill(tiny_checkpoint, table, output, *flags) == 0
    sources = [line.partition("\t")[0] for line in output.read_text("utf-8").split("\n")[:-1]]
    assert sources == ["" if flags[1] == "de" else "de", *SOURCES]
    data = DataConfig(
        train=(CorpusConfig(files=table, source_column=flags[1], target_column=1),),
        dev=CorpusConfig(files=table),
        source_language="German",
        target_language="English",
        license="CC0",
    )
    assert read_pairs(data.train[0], data).sources == sources[flags[1] == "de" :]


def test_the_references_may_be_in_any_column(tiny_checkpoint: Path, tmp_path: Path) -> None:
    plain, named = tmp_path / "plain.tsv", tmp_path / "named.tsv"
    rows = [(text, f"a house {number}") for number, text in enumerate(SOURCES)]
    plain.write_text("".join(f"{s}\t{r}\n" for s, r in rows), encoding="utf-8")
    named.write_text("en\tde\n" + "".join(f"{r}\t{s}\n" for s, r in rows), encoding="utf-8")
    near = ("--nearest", "chrf", "--beam-size", "4")
    assert distill(tiny_checkpoint, plain, tmp_path / "one.tsv", *near) == 0
    columns = ("--source-column", "de", "--target-column", "en")
    assert distill(tiny_checkpoint, named, tmp_path / "two.tsv", *near, *columns) == 0
    one, two = ((tmp_path / name).read_text("utf-8") for name in ("one.tsv", "two.tsv"))
    assert two == "\t\n" + one


def test_a_tab_in_text_does_not_end_a_sentence(tiny_checkpoint: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "in.de", tmp_path / "out.tsv"
    source.write_text("ein Haus\tund Hund\n", encoding="utf-8")
    assert distill(tiny_checkpoint, source, output) == 0
    assert output.read_text("utf-8").startswith("ein Haus und Hund\t")


def test_a_job_that_fails_keeps_its_parts_for_the_same_job_only(
    tiny_checkpoint: Path,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("model.jobs.manifest.SMALLEST_PART", 2)
    output = tmp_path / "out.tsv"
    source = source.rename(tmp_path / "in.tsv")
    source.write_bytes(
        source.read_bytes().replace("läuft".encode(), b"l\xff")
    )  # the second part fails
    assert distill(tiny_checkpoint, source, output) == 2
    assert "line 3" in capsys.readouterr().err
    assert len(list((tmp_path / "out.tsv.parts").glob("0*-????????"))) == 1
    assert distill(tiny_checkpoint, source, output) == 2
    assert "--resume" in capsys.readouterr().err
    assert distill(tiny_checkpoint, source, output, "--resume", "--nearest", "bleu") == 2
    assert "begun with" in capsys.readouterr().err
    assert not output.exists()


def test_refusals(
    tiny_checkpoint: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert distill(tiny_checkpoint, source, source) == 2
    assert "the same file as --input" in capsys.readouterr().err
    output = tmp_path / "out.tsv"
    (tmp_path / "in.jsonl.gz").touch()
    assert distill(tiny_checkpoint, tmp_path / "in.jsonl.gz", output) == 2
    assert "text or TSV is read here, not .jsonl" in capsys.readouterr().err
    for flag, value in (("nearest", "bleu"), ("source-column", "de")):
        assert distill(tiny_checkpoint, source, output, f"--{flag}", value) == 2
        assert f"--{flag}: {source} is not named .tsv" in capsys.readouterr().err
    table = source.rename(tmp_path / "in.tsv")
    assert distill(tiny_checkpoint, table, output, "--nearest", "bleu", "--beam-size", "1") == 2
    assert "no choice" in capsys.readouterr().err
    assert distill(tiny_checkpoint, table, output, "--nearest", "bleu") == 2
    assert "in.tsv, line 1: no tab, but number 2 is asked for" in capsys.readouterr().err
    assert distill(tiny_checkpoint, table, tmp_path / "o", "--target-column", "2") == 2
    assert "with --nearest only" in capsys.readouterr().err
    assert distill(tiny_checkpoint, table, tmp_path / "o", "--source-column", "de") == 2
    assert "no column 'de' in its first line (ein Haus)" in capsys.readouterr().err
    assert distill(tiny_checkpoint, table, tmp_path / "o", "--n-best", "2") == 2
    assert "--n-best: one translation of each source" in capsys.readouterr().err
    assert distill(tiny_checkpoint, table, tmp_path / "o", "--source-column", "0") == 2
    assert "Columns count from 1" in capsys.readouterr().err


def test_the_nearest_is_found_by_the_words_of_the_language(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    translator = Translator.load(tiny_checkpoint, device="cpu", precision="fp32")
    wide = SearchOptions(beam_size=4, n_best=4, max_length_a=1.0, max_length_b=3)
    texts = [
        [h.translation.replace("\t", " ") for h in one.hypotheses]
        for one in translator.search(SOURCES, wide)
    ]
    table = tmp_path / "in.tsv"
    # Nearly the last of the beam, but to 13a one word that is in none.
    references = ["".join(choices[-1].split())[1:] for choices in texts]
    rows = zip(SOURCES, references, strict=True)
    table.write_text("".join(f"{s}\t{r}\n" for s, r in rows), encoding="utf-8")
    near = ("--nearest", "bleu", "--beam-size", "4")
    chosen = {}
    for name in ("13a", "char"):
        assert distill(tiny_checkpoint, table, tmp_path / name, *near, "--tokenize", name) == 0
        lines = (tmp_path / name).read_text(encoding="utf-8").split("\n")[:-1]
        chosen[name] = [line.split("\t")[1] for line in lines]
    score = score_named("bleu", "char")
    for text, choices, reference in zip(chosen["char"], texts, references, strict=True):
        assert score(text, reference) == max(score(one, reference) for one in choices)
    assert chosen["char"] != chosen["13a"]
    flags = ("--nearest", "chrf", "--tokenize", "char")
    assert distill(tiny_checkpoint, table, tmp_path / "o", *flags) == 2
    assert "--tokenize: it is for --nearest bleu only." in capsys.readouterr().err


def test_the_language_of_the_model_tells_the_tokenization() -> None:
    assert nearest_tokenization(None, "zh") == nearest_tokenization("auto", "zh") == "zh"
    assert nearest_tokenization("char", "zh") == "char"
    assert nearest_tokenization(None, "") == "auto"
