"""What the commands share: exit statuses, one-line errors, flags and output."""

import argparse
import errno
import io
import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from model.cli.command import (
    add_model_arguments,
    add_search_arguments,
    add_shortlist_argument,
    command_parser,
    load_model,
    open_output,
    run_command,
    search_options,
)
from model.decoding.options import DESCRIPTIONS, SearchOptions
from model.errors import ConfigError, DataError


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = command_parser("dragoman-test", "A test.", "example:\n  dragoman-test RUN")
    add_model_arguments(parser)
    add_shortlist_argument(parser)
    add_search_arguments(parser)
    return parser


def test_the_status_is_that_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("dragoman-test", lambda: 0) == 0
    assert run_command("dragoman-test", lambda: 130) == 130
    assert capsys.readouterr() == ("", "")


def test_a_mistake_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise DataError("x.de: no such file. Check the path.")

    assert run_command("dragoman-test", command) == 2
    assert capsys.readouterr() == (
        "",
        "dragoman-test: error: x.de: no such file. Check the path.\n",
    )


def test_ctrl_c_is_130_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise KeyboardInterrupt

    assert run_command("dragoman-test", command) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_sigterm_unwinds_and_exits_with_143() -> None:
    before = signal.getsignal(signal.SIGTERM)
    unwound = []

    def command() -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            unwound.append(True)
        return 0

    with pytest.raises(SystemExit) as exit:
        run_command("dragoman-test", command)
    assert exit.value.code == 143
    assert unwound
    assert signal.getsignal(signal.SIGTERM) == before


def test_our_own_failures_keep_their_traceback() -> None:
    def command() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command("dragoman-test", command)


def test_a_closed_pipe_ends_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with io.TextIOWrapper(os.fdopen(writer, "wb")) as pipe:  # closing flushes what is left
        monkeypatch.setattr(sys, "stdout", pipe)

        def command() -> int:
            with open_output("-") as output:
                output.write(b"x\n")
            return 0

        assert run_command("dragoman-test", command) == 141
    monkeypatch.undo()
    assert capsys.readouterr().err == ""


def test_a_full_disk_at_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with (
            pytest.raises(DataError, match=rf"standard output: .*{os.strerror(errno.ENOSPC)}"),
            open_output("-") as output,
        ):
            output.write(b"x\n")


def test_an_output_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with open_output(str(path)) as output:
        output.write(b"x\n")
        output.flush()
        assert not path.exists()
    assert path.read_bytes() == b"x\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: RUN. See dragoman-test --help."),
        (  # no abbreviations
            ["run", "--beam", "3"],
            "unrecognized arguments: --beam 3. Did you mean --beam-size? See dragoman-test --help.",
        ),
        (["run", "--length_penlty=gnmt"], "unrecognized arguments: --length_penlty=gnmt. Did you "),
        (["run", "--src", "x"], "unrecognized arguments: --src x. See dragoman-test --help."),
        (["run", "--beam-size", "many"], "argument --beam-size: invalid int value: 'many'"),
        (["run", "--precision", "fp64"], "argument --precision: invalid choice: 'fp64'"),
        (["run", "--length-penalty", "x"], "argument --length-penalty: invalid choice: 'x'"),
        (["run", "--threads", "0"], "argument --threads: 0 is too small"),
    ],
)
def test_wrong_flags(
    parser: argparse.ArgumentParser,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert run_command("dragoman-test", lambda: len(parser.parse_args(arguments).run)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"dragoman-test: error: {message}")


def test_version(parser: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        parser.parse_args(["--version"])
    assert exit.value.code == 0
    name, version = capsys.readouterr().out.split()
    assert name == "dragoman-test"
    assert version[0].isdigit()


def test_help_shows_the_example(parser: argparse.ArgumentParser) -> None:
    assert "example:\n  dragoman-test RUN" in parser.format_help()


def test_every_search_option_is_a_flag(
    parser: argparse.ArgumentParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")  # no help text is broken
    told = " ".join(parser.format_help().split())
    for name, description in DESCRIPTIONS.items():
        flag, text = f" --{name.replace('_', '-')} ", description.text.replace("`", "")
        assert text in told.split(f"{flag}")[-1].split(" --")[0]


def test_flags_replace_what_the_checkpoint_says(parser: argparse.ArgumentParser) -> None:
    defaults = SearchOptions(beam_size=7, alpha=0.5, min_length=3)
    assert search_options(parser.parse_args(["run"]), defaults) == defaults
    flags = "--beam-size 4 --n-best 2 --length-penalty power --alpha 0 --max-length-a 1.5"
    given = parser.parse_args(["run", *flags.split()])
    assert search_options(given, defaults) == SearchOptions(
        beam_size=4, n_best=2, length_penalty="power", alpha=0, min_length=3, max_length_a=1.5
    )


def test_a_share_is_a_number_or_left_out(parser: argparse.ArgumentParser) -> None:
    given = parser.parse_args(["run", "--ratio", "0.3", "--min-words", "2"])
    found = search_options(given, SearchOptions())
    assert found == SearchOptions(ratio=0.3, min_words=2)
    assert search_options(parser.parse_args(["run"]), found) == found


def test_phrases_are_flags_that_may_be_given_again(parser: argparse.ArgumentParser) -> None:
    flags = ["--prefix", "a b", "--constraints", "c", "--constraints", "d e", "--avoid", "f"]
    found = search_options(parser.parse_args(["run", *flags]), SearchOptions(constraints=("x",)))
    assert found == SearchOptions(prefix="a b", constraints=("c", "d e"), avoid=("f",))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--beam-size", "0"], "beam_size: 0 is out of range"),
        (["--n-best", "6"], "n_best: 6 is not in 1 to beam_size 5"),
        (["--alpha", "nan"], "alpha: nan is out of range"),
        (["--ratio", "0"], "ratio: 0.0 is out of range. Use more than 0, up to 1."),
        (["--ratio", "2"], "ratio: 2.0 is out of range"),
        (["--ratio", "0.5", "--max-words", "9"], "ratio: 0.5 sets the most words"),
    ],
)
def test_search_options_out_of_range(
    parser: argparse.ArgumentParser, flags: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        search_options(parser.parse_args(["run", *flags]), SearchOptions())


def test_loading_says_what_runs_where(
    parser: argparse.ArgumentParser, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = torch.get_num_threads()
    try:
        flags = ["--device", "cpu", "--precision", "bf16", "--threads", "2"]
        model = load_model("dragoman-test", parser.parse_args([str(tiny_checkpoint), *flags]))
    finally:
        torch.set_num_threads(before)
    assert model.dtype == torch.bfloat16
    assert model.device == torch.device("cpu")
    (line,) = capsys.readouterr().err.splitlines()
    path = model.checkpoint.path
    assert line == f"dragoman-test: {path}, device cpu, precision bf16, threads 2"


def test_a_shortlist_that_is_not_there(
    parser: argparse.ArgumentParser, tiny_checkpoint: Path
) -> None:
    with pytest.raises(ConfigError, match=r"shortlist: .* has none\. Make one with dragoman"):
        load_model("dragoman-test", parser.parse_args([str(tiny_checkpoint), "--shortlist"]))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_where_there_is_none(parser: argparse.ArgumentParser, tiny_checkpoint: Path) -> None:
    arguments = parser.parse_args([str(tiny_checkpoint), "--device", "cuda"])
    with pytest.raises(ConfigError, match=r"no CUDA\. Use cpu or auto"):
        load_model("dragoman-test", arguments)
