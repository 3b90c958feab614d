"""dragoman-translate: lines in, as many lines out, whatever they hold; and nothing half done."""

import dataclasses
import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from model.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from model.checkpoint.run_directory import resolve
from model.decoding.selftest import rows_are_independent
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import Tokenizer
from model.translate import main
from model.translation.ensemble import network_of
from model.translator import Translator
from training.data.learn_tokenizer import learn_tokenizer

Translate = Callable[..., Any]  # see conftest.py

LAST_BITS = (
    "dragoman-translate: on this machine the last bits of a score depend on neighbouring lines"
)
TEXT = "der Hund läuft.\n\n  die Frau sieht den Mann!\n \t\n10 Hunde\n"


def test_lines_are_translated_in_order(
    translate: Translate, tiny_checkpoint: Path, translator: Translator
) -> None:
    result = translate(tiny_checkpoint, TEXT)
    assert result.status == 0
    assert result.lines == translator.translate(TEXT.split("\n")[:-1])
    assert result.lines[1] == ""
    assert result.lines[3] == " \t"


def test_one_line_on_stderr_says_what_runs(translate: Translate, tiny_checkpoint: Path) -> None:
    line, *notices = translate(tiny_checkpoint, TEXT).errors
    assert all("hit the length limit" in notice for notice in notices)
    assert line.startswith(f"dragoman-translate: {resolve(tiny_checkpoint)}, device cpu")


def test_files_and_gzip(translate: Translate, tiny_checkpoint: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.txt.gz", tmp_path / "out.txt.gz"
    source.write_bytes(gzip.compress(TEXT.encode()))
    result = translate(tiny_checkpoint, b"", "--input", str(source), "--output", str(target))
    assert result.status == 0
    assert result.output == b""
    assert gzip.decompress(target.read_bytes()) == translate(tiny_checkpoint, TEXT).output


def test_dashes_are_the_standard_streams(translate: Translate, tiny_checkpoint: Path) -> None:
    dashes = translate(tiny_checkpoint, TEXT, "--input", "-", "--output", "-")
    assert dashes.output == translate(tiny_checkpoint, TEXT).output


@pytest.mark.parametrize("form", ["text", "jsonl"])
def test_nothing_in_nothing_out(translate: Translate, tiny_checkpoint: Path, form: str) -> None:
    result = translate(tiny_checkpoint, b"", "--format", form)
    assert (result.status, result.output) == (0, b"")


def test_a_last_line_without_an_ending_gets_one(
    translate: Translate, tiny_checkpoint: Path
) -> None:
    assert len(translate(tiny_checkpoint, "Hund\nMann").lines) == 2


special = st.sampled_from(
    ["\u2028", "\u2029", "\x85", "\v", "\f", "\r", "\x1c", "\0", "\ufeff", " ", "Hund", "\t"]
)
lines = st.lists(
    st.one_of(st.lists(special, max_size=4).map("".join), st.text("aß日😀 \r.", max_size=6)),
    max_size=5,
).map(lambda found: [line.rstrip("\r") for line in found])


@settings(max_examples=40)
@given(found=lines, ending=st.sampled_from(["\n", "\r\n"]), ended=st.booleans())
def test_as_many_lines_out_as_in(
    translate: Translate, tiny_checkpoint: Path, found: list[str], ending: str, ended: bool
) -> None:
    data = (ending.join(found) + (ending if ended and found else "")).encode()
    data = data.removeprefix(b"\xef\xbb\xbf")
    assume(b"\0" not in data)  # with many of them it is taken for UTF-16, and refused
    result = translate(tiny_checkpoint, data)
    assert result.status == 0
    count = data.count(b"\n") + (data != b"" and not data.endswith(b"\n"))
    assert result.output.count(b"\n") == count
    if count:
        given = data.decode().split("\n")
        pairs = list(zip(given, result.lines, strict=False))
        assert len(pairs) == count
        for line, translation in pairs:
            if not line.strip():
                assert translation == (line.removesuffix("\r") if ending == "\r\n" else line)


def test_a_line_break_of_the_model_is_a_space(translate: Translate, run_of_newlines: Path) -> None:
    result = translate(run_of_newlines, "Hund\nMann\n")
    assert result.output.count(b"\n") == 2
    assert all(set(line) <= {" ", "\r"} for line in result.lines)
    assert any(" " in line for line in result.lines)


def test_a_line_beyond_the_limit_of_the_model_is_one_line(
    translate: Translate, tiny_checkpoint: Path, translator: Translator
) -> None:
    long = "der Hund läuft auf der Straße. " * 20
    (line,) = translate(tiny_checkpoint, long).lines
    assert line == translator.translate([long])[0]
    assert len(translator.search([long])[0].source_pieces) > 3 * 24


def test_a_stream_of_tsv_with_a_header(
    translate: Translate, tiny_checkpoint: Path, translator: Translator
) -> None:
    data = "id\tde\n1\tder Hund\n2\t\n\n"
    result = translate(tiny_checkpoint, data, "--format", "tsv", "--field", "de")
    translation = translator.translate(["der Hund"])[0]
    assert result.lines == ["id\tde\ttranslation", f"1\tder Hund\t{translation}", "2\t\t", ""]
    nothing = translate(tiny_checkpoint, "", "--format", "tsv", "--field", "de")
    assert "'de' is not in the header" in nothing.mistake


def test_an_ensemble_is_that_of_the_python_api(
    translate: Translate, tiny_checkpoint: Path, other_runs: list[Path], translator: Translator
) -> None:
    runs = [tiny_checkpoint, *other_runs]
    network = network_of([load_checkpoint(run) for run in runs])
    independent = rows_are_independent(network, torch.float32)  # not on every processor
    together = Translator.load(runs, device="cpu", precision="fp32")
    expected = together.translate(TEXT.split("\n")[:-1])
    assert expected != translator.translate(TEXT.split("\n")[:-1])
    at_once = ["--ensemble", *map(str, other_runs)]
    one_by_one = ["--ensemble", str(other_runs[0]), "--ensemble", str(other_runs[1])]
    for flags in (at_once, one_by_one):
        result = translate(tiny_checkpoint, TEXT, *flags)
        assert result.lines == expected
        line, *notices = [e for e in result.errors if "hit the length limit" not in e]
        assert notices == ([] if independent else [LAST_BITS])
        paths = " + ".join(str(resolve(run)) for run in runs)
        assert line.startswith(f"dragoman-translate: {paths}, device cpu, precision fp32")


def test_line_buffered_or_not_the_lines_before_a_refused_one_are_written(
    translate: Translate, tiny_checkpoint: Path
) -> None:
    data = b"Hund\nMann\n\xff\n"
    together = translate(tiny_checkpoint, data)
    one_by_one = translate(tiny_checkpoint, data, "--line-buffered")
    assert together.mistake == one_by_one.mistake
    assert together.output == one_by_one.output
    assert one_by_one.lines == translate(tiny_checkpoint, "Hund\nMann\n").lines


def test_files_are_translated_one_after_the_other(
    translate: Translate, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "1.txt", tmp_path / "2.txt.gz"
    first.write_text("\ufeffHund\nder Mann", encoding="utf-8")
    second.write_bytes(gzip.compress("\ufeffdie Frau\n".encode()))
    expected = translate(tiny_checkpoint, "Hund\nder Mann\n10 Hunde\ndie Frau\n").output
    result = translate(
        tiny_checkpoint, "10 Hunde\n", str(first), "-", "--beam-size", "2", str(second)
    )
    assert (result.status, result.output) == (0, expected)


def test_a_single_file_is_a_job_that_can_be_resumed(
    translate: Translate, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    source, output = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_text(TEXT, encoding="utf-8")
    flags = [str(source), "--output", str(output), "--resume"]
    assert translate(tiny_checkpoint, b"", *flags).status == 0
    assert output.read_bytes() == translate(tiny_checkpoint, TEXT).output


def test_a_line_that_fails_is_named_by_its_file(
    translate: Translate, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    first, second, aside = (tmp_path / name for name in ("1.txt", "2.txt", "aside.jsonl"))
    first.write_text("Hund\nMann\n", encoding="utf-8")
    second.write_bytes(b"Frau\n\xff\n")
    files = [str(first), str(second)]
    result = translate(tiny_checkpoint, b"", *files)
    assert result.mistake.startswith(f"{second}, line 2: not valid UTF-8")
    result = translate(tiny_checkpoint, b"", *files, "--quarantine", str(aside))
    assert (result.status, result.lines[3]) == (0, "")
    assert json.loads(aside.read_text(encoding="utf-8"))["line"] == 4


# Bad input


def test_what_a_stream_cannot_translate_is_set_aside(
    translate: Translate, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    aside = tmp_path / "aside.jsonl"
    data = b"Hund\n\xff\nMann\n"
    result = translate(tiny_checkpoint, data, "--quarantine", str(aside))
    assert result.status == 0
    assert result.lines[1] == ""
    assert result.lines[::2] == translate(tiny_checkpoint, "Hund\nMann\n").lines
    (line,) = aside.read_text().splitlines()
    assert json.loads(line)["line"] == 2


@pytest.mark.parametrize("bad", ["{", '{"text": "Hund", "options": {"beam_size": 0}}'])
def test_a_stream_ends_after_the_lines_before_the_first_that_is_refused(
    translate: Translate, tiny_checkpoint: Path, bad: str
) -> None:
    """The first is refused when it has been searched for, `bad` already when it is read."""
    unmet = {"prefix": "der Hund läuft auf der Straße", "max_length_a": 0, "max_length_b": 1}
    good = [json.dumps({"text": text}) for text in ("Hund", "Mann")]
    lines = [*good, json.dumps({"text": "Frau", "options": unmet}), bad, good[0]]
    result = translate(tiny_checkpoint, "\n".join(lines), "--format", "jsonl")
    assert result.mistake.startswith("standard input, line 3: prefix: ")
    expected = translate(tiny_checkpoint, "\n".join(good), "--format", "jsonl")
    assert result.output == expected.output


def test_missing_input(translate: Translate, tiny_checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.txt"
    result = translate(
        tiny_checkpoint, b"", "--input", str(tmp_path / "no.txt"), "--output", str(output)
    )
    assert result.mistake == f"{tmp_path / 'no.txt'}: no such file. Check the path."
    assert list(tmp_path.iterdir()) == []


def test_output_that_cannot_be_written(
    translate: Translate, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    output = tmp_path / "no" / "out.txt"
    result = translate(tiny_checkpoint, TEXT, "--output", str(output))
    assert "existing directory" in result.mistake


def test_invalid_utf8_leaves_what_was_there(
    translate: Translate, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    source, output = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_bytes(b"Hund\nMa\xffn\nFrau\n")
    output.write_text("earlier\n")
    result = translate(tiny_checkpoint, b"", "--input", str(source), "--output", str(output))
    assert result.mistake.startswith(f"{source}, line 2: not valid UTF-8 (byte 0xff at column 3)")
    assert sorted(tmp_path.iterdir()) == [source, output]
    assert output.read_text() == "earlier\n"


@pytest.mark.parametrize("flags", [[], ["--format", "jsonl"], ["--format", "tsv"]])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_in_utf16_is_refused_whole_even_with_a_quarantine(
    translate: Translate, tiny_checkpoint: Path, tmp_path: Path, encoding: str, flags: list[str]
) -> None:
    source, aside = tmp_path / "in.txt", tmp_path / "aside.jsonl"
    source.write_text(TEXT, encoding=encoding)
    flags = [*flags, "--quarantine", str(aside)]
    files = ["--input", str(source), "--output", str(tmp_path / "out.txt")]
    result = translate(tiny_checkpoint, b"", *files, *flags)
    assert result.mistake.startswith(f"{source}: looks like UTF-")
    assert "iconv -f UTF-" in result.mistake
    assert list(tmp_path.iterdir()) == [source]
    result = translate(tiny_checkpoint, source.read_bytes(), *flags)
    assert result.mistake.startswith("standard input: looks like UTF-")
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--beam-size", "0"], "beam_size: 0 is out of range"),
        (["--n-best", "2"], "--n-best 2: text has one translation for each line"),
        (["--n-best", "9", "--format", "jsonl"], "n_best: 9 is not in 1 to beam_size 2"),
        (["--max-length-b", "9999"], "max_length_a, max_length_b: they allow 10023 pieces"),
        (["--device", "tpu"], "device: 'tpu' is not known"),
        (["--format", "xml"], "argument --format: invalid choice"),
        (["1.txt", "--input", "2.txt"], "--input 2.txt: 1.txt is given after RUN, too"),
        (["1.txt", "2.jsonl"], "2.jsonl: is read as jsonl, but 1.txt as text"),
        (["1.tsv", "2.tsv", "--field", "de"], "--field de: several files would have several"),
        (["1.txt", "2.txt", "--output", "3.txt", "--resume"], "--resume: only a job from one file"),
        (["1.txt", "-"], "1.txt: no such file"),
        (["--line-buffered", "--output", "out.txt"], "--line-buffered: out.txt appears when it"),
    ],
)
def test_wrong_flags(
    translate: Translate, tiny_checkpoint: Path, flags: list[str], message: str
) -> None:
    result = translate(tiny_checkpoint, TEXT, *flags)
    assert result.mistake.startswith(message)
    assert result.output == b""


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_where_there_is_none(translate: Translate, tiny_checkpoint: Path) -> None:
    assert "no CUDA" in translate(tiny_checkpoint, TEXT, "--device", "cuda:0").mistake


def test_a_damaged_checkpoint(translate: Translate, tiny_checkpoint: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(resolve(tiny_checkpoint), damaged)
    weights = damaged / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert translate(damaged, TEXT).mistake.startswith(f"{weights}: damaged")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--precision", "int8"], "precision: int8 "),
        (["--shortlist"], "shortlist: an ensemble has none. Leave it out"),
        (["--ensemble", "nowhere"], "nowhere: does not exist"),
    ],
)
def test_what_an_ensemble_cannot(
    translate: Translate,
    tiny_checkpoint: Path,
    other_runs: list[Path],
    tmp_path: Path,
    flags: list[str],
    message: str,
) -> None:
    ensemble = ["--ensemble", str(other_runs[0]), *flags]
    result = translate(tiny_checkpoint, TEXT, *ensemble, "--output", str(tmp_path / "out.txt"))
    assert result.mistake.startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_an_ensemble_without_a_common_vocabulary(
    translate: Translate, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    first = load_checkpoint(tiny_checkpoint)
    tokenizer = Tokenizer(learn_tokenizer(["ein Text"] * 9, kind="bpe", vocab_size=270))
    config = dataclasses.replace(first.config, vocab_size=270)
    other = save_checkpoint(
        tmp_path / "other",
        1,
        config=config,
        weights=dict(Seq2Seq(config).named_parameters()),
        tokenizer=tokenizer,
        search=first.search,
        card="",
        training_state=None,
        training_meta=None,
    )
    output = tmp_path / "out.txt"
    flags = ["--ensemble", str(other), "--output", str(output)]
    result = translate(tiny_checkpoint, TEXT, *flags)
    assert result.mistake.startswith(f"{other}: an ensemble needs one tokenizer")
    assert list(tmp_path.iterdir()) == [tmp_path / "other"]


def test_no_run(translate: Translate, tmp_path: Path) -> None:
    assert "does not exist" in translate(tmp_path / "run", TEXT).mistake


def test_the_input_is_never_overwritten(tiny_checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("der Hund\n", encoding="utf-8")
    arguments = [
        "--device",
        "cpu",
        "--input",
        str(path),
        "--output",
        str(tmp_path / "." / "in.txt"),
    ]
    assert main([str(tiny_checkpoint), *arguments]) == 2
    assert path.read_text(encoding="utf-8") == "der Hund\n"
