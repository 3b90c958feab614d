"""dragoman-translate: lines in, as many lines out, whatever they hold; and nothing half done."""

import gzip
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.checkpoint import load_checkpoint, save_checkpoint
from model.run import resolve
from model.translate import main
from model.translator import Translator

TEXT = "der Hund läuft.\n\n  die Frau sieht den Mann!\n \t\n10 Hunde\n"


class Result(NamedTuple):
    status: int
    output: bytes
    errors: list[str]

    @property
    def lines(self) -> list[str]:
        assert self.output.endswith(b"\n")
        return self.output.decode().split("\n")[:-1]


@contextmanager
def standard_input(data: bytes) -> Iterator[None]:
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(data), encoding="ascii")
    try:
        yield
    finally:
        sys.stdin = before


def translate(run: Path, data: bytes | str, *flags: str) -> Result:
    """Run the command with `data` at standard input, under a locale that knows only ASCII."""
    given = data if isinstance(data, bytes) else data.encode()
    output, errors = io.TextIOWrapper(io.BytesIO(), encoding="ascii"), io.StringIO()
    with standard_input(given), redirect_stdout(output), redirect_stderr(errors):
        status = main([str(run), "--device", "cpu", "--precision", "fp32", *flags])
    written = output.buffer
    assert isinstance(written, io.BytesIO)
    return Result(status, written.getvalue(), errors.getvalue().splitlines())


def mistake(result: Result) -> str:
    """The message of a run that must have failed."""
    assert result.status == 2
    message = result.errors[-1]
    assert message.startswith("dragoman-translate: error: ")
    assert not any(line.startswith("Traceback") for line in result.errors)
    return message.removeprefix("dragoman-translate: error: ")


def records(result: Result) -> list[dict[str, Any]]:
    assert result.status == 0, result.errors
    return [json.loads(line) for line in result.lines]


@pytest.fixture(scope="module")
def translator(tiny_checkpoint: Path) -> Translator:
    return Translator.load(tiny_checkpoint, device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def run_of_newlines(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that says nothing but carriage returns and line feeds."""
    checkpoint = load_checkpoint(tiny_checkpoint)
    ids = {checkpoint.tokenizer.piece(id): id for id in range(checkpoint.tokenizer.vocab_size)}
    with torch.no_grad():
        checkpoint.network.output.bias[ids["<0x0A>"]] = 100.0
        checkpoint.network.output.bias[ids["<0x0D>"]] = 100.0
    return save_checkpoint(
        tmp_path_factory.mktemp("newlines"),
        1,
        config=checkpoint.config,
        weights=dict(checkpoint.network.named_parameters()),
        tokenizer=checkpoint.tokenizer,
        search=checkpoint.search,
        card="",
        training_state=None,
        training_meta=None,
    )


# Text


def test_lines_are_translated_in_order(tiny_checkpoint: Path, translator: Translator) -> None:
    result = translate(tiny_checkpoint, TEXT)
    assert result.status == 0
    assert result.lines == translator.translate(TEXT.split("\n")[:-1])
    assert result.lines[1] == ""
    assert result.lines[3] == " \t"


def test_one_line_on_stderr_says_what_runs(tiny_checkpoint: Path) -> None:
    (line,) = translate(tiny_checkpoint, TEXT).errors
    assert line.startswith(f"dragoman-translate: {resolve(tiny_checkpoint)}, device cpu")


def test_files_and_gzip(tiny_checkpoint: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.txt.gz", tmp_path / "out.txt.gz"
    source.write_bytes(gzip.compress(TEXT.encode()))
    result = translate(tiny_checkpoint, b"", "--input", str(source), "--output", str(target))
    assert result.status == 0
    assert result.output == b""
    assert gzip.decompress(target.read_bytes()) == translate(tiny_checkpoint, TEXT).output


def test_dashes_are_the_standard_streams(tiny_checkpoint: Path) -> None:
    dashes = translate(tiny_checkpoint, TEXT, "--input", "-", "--output", "-")
    assert dashes.output == translate(tiny_checkpoint, TEXT).output


@pytest.mark.parametrize("form", ["text", "jsonl"])
def test_nothing_in_nothing_out(tiny_checkpoint: Path, form: str) -> None:
    result = translate(tiny_checkpoint, b"", "--format", form)
    assert (result.status, result.output) == (0, b"")


def test_a_last_line_without_an_ending_gets_one(tiny_checkpoint: Path) -> None:
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
    tiny_checkpoint: Path, found: list[str], ending: str, ended: bool
) -> None:
    data = (ending.join(found) + (ending if ended and found else "")).encode()
    data = data.removeprefix(b"\xef\xbb\xbf")
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


def test_a_line_break_of_the_model_is_a_space(run_of_newlines: Path) -> None:
    result = translate(run_of_newlines, "Hund\nMann\n")
    assert result.output.count(b"\n") == 2
    assert all(set(line) <= {" ", "\r"} for line in result.lines)
    assert any(" " in line for line in result.lines)


def test_in_jsonl_a_line_break_of_the_model_is_kept(run_of_newlines: Path) -> None:
    (record,) = records(translate(run_of_newlines, '{"text": "Hund"}\n', "--format", "jsonl"))
    assert "\n" in record["translation"]


def test_a_line_beyond_the_limit_of_the_model_is_one_line(
    tiny_checkpoint: Path, translator: Translator
) -> None:
    long = "der Hund läuft auf der Straße. " * 20
    (line,) = translate(tiny_checkpoint, long).lines
    assert line == translator.translate([long])[0]
    assert len(translator.search([long])[0].source_pieces) > 3 * 24


# jsonl


def test_a_record_keeps_its_fields_and_gets_ours(
    tiny_checkpoint: Path, translator: Translator
) -> None:
    source = {"id": [1, None, 0.5], "text": "der Hund\nläuft", "note": "ä\u2028", "score": "old"}
    result = translate(tiny_checkpoint, json.dumps(source) + "\n", "--format", "jsonl")
    (record,) = records(result)
    best = translator.search([source["text"]])[0]  # type: ignore[list-item]
    assert {key: record[key] for key in ("id", "text", "note")} == {
        key: source[key] for key in ("id", "text", "note")
    }
    assert record.keys() - source.keys() == {
        "translation",
        "log_prob",
        "pieces",
        "alignment",
        "truncated",
        "source_pieces",
    }
    first = best.hypotheses[0]
    assert record["translation"] == first.translation
    assert record["score"] == first.score
    assert record["log_prob"] == first.log_prob
    assert tuple(record["pieces"]) == first.pieces
    assert tuple(record["alignment"]) == first.alignment
    assert record["truncated"] is first.truncated
    assert tuple(record["source_pieces"]) == best.source_pieces


def test_half_of_a_surrogate_pair_passes_through(tiny_checkpoint: Path) -> None:
    line = r'{"text": "Hund", "key\udc00": "\ud800"}'
    result = translate(tiny_checkpoint, line, "--format", "jsonl")
    (record,) = records(result)
    assert record["key\udc00"] == "\ud800"


def test_options_of_a_line_outrank_flags_and_flags_the_checkpoint(tiny_checkpoint: Path) -> None:
    data = '{"text": "Hund"}\n{"text": "Hund", "options": {"n_best": 3, "max_length_b": 1}}\n'
    flags = ["--beam-size", "4", "--n-best", "2", "--max-length-a", "0"]
    plain, own = records(translate(tiny_checkpoint, data, "--format", "jsonl", *flags))
    assert len(plain["alternatives"]) == 1
    assert len(own["alternatives"]) == 2
    assert own["options"] == {"n_best": 3, "max_length_b": 1}
    found = [own, *own["alternatives"]]
    assert all(len(one["pieces"]) <= 1 for one in found)
    assert [one["score"] for one in found] == sorted((o["score"] for o in found), reverse=True)
    # The checkpoint says: at most 1.0 * source pieces + 3; the flag took the first part away.
    assert len(plain["pieces"]) <= 3
    (default,) = records(translate(tiny_checkpoint, '{"text": "Hund"}', "--format", "jsonl"))
    assert "alternatives" not in default


def test_a_blank_line_of_jsonl_comes_back(tiny_checkpoint: Path) -> None:
    result = translate(tiny_checkpoint, '{"text": "Hund"}\n\n{"text": " "}\n', "--format", "jsonl")
    assert result.lines[1] == ""
    blank = json.loads(result.lines[2])
    assert (blank["translation"], blank["pieces"], blank["log_prob"]) == (" ", [], 0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "Hund"', "not JSON (Expecting ',' delimiter at column 16)"),
        ("Hund", "not JSON (Expecting value at column 1)"),
        ('["Hund"]', "not a JSON object"),
        ('{"source": "Hund"}', 'no "text" that is a string'),
        ('{"text": 3}', 'no "text" that is a string'),
        (r'{"text": "a\ud800"}', '"text" has half of a surrogate pair'),
        ('{"text": "a", "x": NaN}', "not JSON that can be written again (NaN"),
        ('{"text": "a", "x": 1e999}', "not JSON that can be written again (1e999"),
        ("[" * 100_000, "not JSON that can be written again"),
        ('{"text": "a", "options": 3}', '"options" is not an object'),
        (
            '{"text": "a", "options": {"beam_sise": 3}}',
            "options.beam_sise: unknown key. Did you mean 'beam_size'?",
        ),
        ('{"text": "a", "options": {"beam_size": "3"}}', "options.beam_size: '3' is not allowed"),
        ('{"text": "a", "options": {"beam_size": 0}}', "beam_size: 0 is out of range"),
        ('{"text": "a", "options": {"n_best": 3}}', "n_best: 3 is not in 1 to beam_size 2"),
        ('{"text": "a", "options": {"max_length_b": 999}}', "max_length_a, max_length_b: they"),
    ],
)
def test_a_bad_record_is_named_and_stops(
    tiny_checkpoint: Path, tmp_path: Path, line: str, message: str
) -> None:
    data = '{"text": "Hund"}\n' + line + "\n"
    output = tmp_path / "out.jsonl"
    result = translate(tiny_checkpoint, data, "--format", "jsonl", "--output", str(output))
    assert mistake(result).startswith(f"standard input, line 2: {message}")
    assert list(tmp_path.iterdir()) == []
    assert translate(tiny_checkpoint, data, "--format", "jsonl").output == b""


# Bad input


def test_missing_input(tiny_checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.txt"
    result = translate(
        tiny_checkpoint, b"", "--input", str(tmp_path / "no.txt"), "--output", str(output)
    )
    assert mistake(result) == f"{tmp_path / 'no.txt'}: no such file. Check the path."
    assert list(tmp_path.iterdir()) == []


def test_output_that_cannot_be_written(tiny_checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "no" / "out.txt"
    assert "existing directory" in mistake(
        translate(tiny_checkpoint, TEXT, "--output", str(output))
    )


def test_invalid_utf8_leaves_what_was_there(tiny_checkpoint: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_bytes(b"Hund\nMa\xffn\nFrau\n")
    output.write_text("earlier\n")
    result = translate(tiny_checkpoint, b"", "--input", str(source), "--output", str(output))
    assert mistake(result).startswith(f"{source}, line 2: not valid UTF-8 (byte 0xff at column 3)")
    assert sorted(tmp_path.iterdir()) == [source, output]
    assert output.read_text() == "earlier\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--beam-size", "0"], "beam_size: 0 is out of range"),
        (["--n-best", "2"], "--n-best 2: text has one translation for each line"),
        (["--n-best", "9", "--format", "jsonl"], "n_best: 9 is not in 1 to beam_size 2"),
        (["--max-length-b", "9999"], "max_length_a, max_length_b: they allow 10023 pieces"),
        (["--device", "tpu"], "device: 'tpu' is not known"),
        (["--format", "xml"], "argument --format: invalid choice"),
    ],
)
def test_wrong_flags(tiny_checkpoint: Path, flags: list[str], message: str) -> None:
    result = translate(tiny_checkpoint, TEXT, *flags)
    assert mistake(result).startswith(message)
    assert result.output == b""


@pytest.mark.parametrize("flags", [["--max-length-b", "40"], ["--max-length-a", "2.9"]])
def test_a_length_limit_above_the_default_is_served(
    tiny_checkpoint: Path, flags: list[str]
) -> None:
    long = [*flags, "--min-length", "1000"]
    (record,) = records(
        translate(tiny_checkpoint, '{"text": "Hund Hund Hund"}', "--format", "jsonl", *long)
    )
    source, pieces = len(record["source_pieces"]), len(record["pieces"])
    assert pieces == (source + 40 if "--max-length-b" in flags else int(2.9 * source + 3))


def test_flags_make_room_for_the_options_of_lines(tiny_checkpoint: Path) -> None:
    data = '{"text": "Hund", "options": {"max_length_b": 90}}\n'
    assert mistake(translate(tiny_checkpoint, data, "--format", "jsonl")).endswith(
        "they allow 114 pieces for a source of 24, but there is room for 58. Lower one of them."
    )
    assert records(translate(tiny_checkpoint, data, "--format", "jsonl", "--max-length-b", "90"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_where_there_is_none(tiny_checkpoint: Path) -> None:
    assert "no CUDA" in mistake(translate(tiny_checkpoint, TEXT, "--device", "cuda:0"))


def test_a_damaged_checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(resolve(tiny_checkpoint), damaged)
    weights = damaged / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert mistake(translate(damaged, TEXT)).startswith(f"{weights}: damaged")


def test_no_run(tmp_path: Path) -> None:
    assert "does not exist" in mistake(translate(tmp_path / "run", TEXT))


# As a process


def command(run: Path, *flags: str) -> list[str]:
    return [sys.executable, "-m", "model.translate", str(run), "--precision", "fp32", *flags]


def test_a_process_from_pipe_to_pipe(tiny_checkpoint: Path) -> None:
    done = subprocess.run(command(tiny_checkpoint), input=TEXT.encode(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == translate(tiny_checkpoint, TEXT).output


def test_a_process_that_is_told_to_end_leaves_nothing_behind(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.txt"
    output.write_text("earlier\n")
    with subprocess.Popen(
        command(tiny_checkpoint, "--output", str(output)),
        stdin=subprocess.PIPE,  # which says nothing: the command waits for lines
        stderr=subprocess.PIPE,
    ) as process:
        try:
            while len(list(tmp_path.iterdir())) < 2:
                assert process.poll() is None
                time.sleep(0.05)
            time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 143
        finally:
            process.kill()
        assert process.stderr is not None
        assert len(process.stderr.read().splitlines()) == 1
    assert list(tmp_path.iterdir()) == [output]
    assert output.read_text() == "earlier\n"


def test_a_process_whose_reader_goes_away(tiny_checkpoint: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.txt"
    source.write_text((" " * 50 + "\n") * 20_000)
    process = subprocess.Popen(
        command(tiny_checkpoint, "--input", str(source)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == b" " * 50 + b"\n"
    process.stdout.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() == 141
    assert len(errors.splitlines()) == 1, errors
