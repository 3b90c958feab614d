"""Jobs from file to file: any number of shards and interruptions give the same bytes."""

import fcntl
import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from model.translator import Translator

Command = Callable[..., Any]  # see conftest.py


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shards_give_the_bytes_of_one_run(
    command: Command, tmp_path: Path, source: Path, expected: bytes, count: int
) -> None:
    output = tmp_path / "out.txt"
    flags = ["--input", source, "--output", output]
    order = list(range(1, count + 1))[::-1]
    for index in order:
        assert not output.exists()
        assert command(*flags, "--shard", f"{index}/{count}").status == 0
    assert output.read_bytes() == expected
    assert sorted(tmp_path.iterdir()) == [source, output]


@pytest.mark.parametrize("count", [2, 3, 7])
def test_shards_one_after_another_leave_nothing_behind(
    command: Command, tmp_path: Path, source: Path, expected: bytes, count: int
) -> None:
    """From the first to the last: those that come after the third have no part."""
    output = tmp_path / "out.txt"
    flags = ["--input", source, "--output", output]
    for index in range(1, count + 1):
        result = command(*flags, "--shard", f"{index}/{count}")
        assert result.status == 0
        if index > 3:
            assert result.news[-1] == (
                f"dragoman-translate: shard {index}/{count} has nothing to do: {source} has 3 "
                "part(s), which the shards before it do"
            )
            assert sorted(tmp_path.iterdir()) == [source, output]
    assert output.read_bytes() == expected
    assert sorted(tmp_path.iterdir()) == [source, output]


def test_a_shard_with_nothing_to_do_looks_at_the_job_that_goes_on(
    command: Command, tmp_path: Path, source: Path
) -> None:
    output = interrupted(command, tmp_path, source)
    before = sorted(tmp_path.rglob("*"))
    flags = ["--input", source, "--output", output, "--shard", "4/4"]
    assert "with beam_size 2, not 3" in command(*flags, "--beam-size", "3").mistake
    assert command(*flags).status == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_shards_of_an_empty_input(command: Command, tmp_path: Path) -> None:
    source, output = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_bytes(b"")
    for index in (2, 1, 2):
        shard = ["--shard", f"{index}/2"]
        assert command("--input", source, "--output", output, *shard).status == 0
    assert output.read_bytes() == b""
    assert sorted(tmp_path.iterdir()) == [source, output]


def test_a_shard_says_who_writes_the_output(command: Command, tmp_path: Path, source: Path) -> None:
    output = tmp_path / "out.txt"
    news = command("--input", source, "--output", output, "--shard", "1/2").news
    assert news[-1] == (
        f"dragoman-translate: shard 1/2 is done; {output} is written by the shard that is done "
        f"last (the parts are in {output}.parts)"
    )


def interrupted(command: Command, tmp_path: Path, source: Path, name: str = "out.txt") -> Path:
    """An output whose first two parts of three are done, as a kill leaves them."""
    output = tmp_path / name
    for shard in ("1/3", "2/3"):
        assert command("--input", source, "--output", output, "--shard", shard).status == 0
    assert not output.exists()
    return output


def test_resume_does_only_what_is_missing(
    command: Command, tmp_path: Path, source: Path, expected: bytes
) -> None:
    output = interrupted(command, tmp_path, source)
    folder = Path(f"{output}.parts")
    # If the first part were made again, it would not keep this mark.
    (first,) = folder.glob("00000000-????????")
    first.write_bytes(b"MARK" + first.read_bytes())
    result = command("--input", source, "--output", output, "--resume")
    assert result.status == 0
    assert "dragoman-translate: going on: 2 of 3 parts are done" in result.news
    assert output.read_bytes() == b"MARK" + expected
    assert sorted(tmp_path.iterdir()) == [source, output]


def test_resume_with_another_number_of_shards(
    command: Command, tmp_path: Path, source: Path, expected: bytes
) -> None:
    output = interrupted(command, tmp_path, source)
    flags = ["--input", source, "--output", output, "--resume"]
    assert command(*flags, "--shard", "2/2").status == 0
    assert not output.exists()
    assert command(*flags, "--shard", "1/2").status == 0
    assert output.read_bytes() == expected


def test_resume_where_there_is_nothing_begins(
    command: Command, tmp_path: Path, source: Path, expected: bytes
) -> None:
    output = tmp_path / "out.txt"
    output.write_text("earlier\n")
    assert command("--input", source, "--output", output, "--resume").status == 0
    assert output.read_bytes() == expected


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_packed_output_is_the_same_after_an_interruption(
    command: Command, tmp_path: Path, source: Path, expected: bytes, suffix: str
) -> None:
    whole = tmp_path / f"whole.txt{suffix}"
    assert command("--input", source, "--output", whole).status == 0
    output = interrupted(command, tmp_path, source, f"out.txt{suffix}")
    assert command("--input", source, "--output", output, "--resume").status == 0
    assert output.read_bytes() == whole.read_bytes()
    unpack = gzip.decompress if suffix == ".gz" else zstandard.ZstdDecompressor().decompressobj()
    data = whole.read_bytes()
    assert (unpack(data) if callable(unpack) else unpack.decompress(data)) == expected


def test_parts_without_resume_are_refused(command: Command, tmp_path: Path, source: Path) -> None:
    output = interrupted(command, tmp_path, source)
    flags = ["--input", source, "--output", output]
    message = (
        f"{output}.parts: parts of an earlier run. Go on with them by --resume, or remove the "
        "folder."
    )
    assert command(*flags).mistake == message
    assert command(*flags, "--shard", "1/3").mistake == message
    shutil.rmtree(f"{output}.parts")
    assert command(*flags).status == 0


@pytest.mark.parametrize("kind", [fcntl.LOCK_EX, fcntl.LOCK_SH])
@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_a_folder_in_use_is_not_called_an_earlier_run(
    command: Command, tmp_path: Path, source: Path, kind: int, resume: list[str]
) -> None:
    """A whole job holds the lock alone, shards hold it together."""
    folder = tmp_path / "out.txt.parts"
    folder.mkdir()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, kind)
        flags = ["--input", source, "--output", tmp_path / "out.txt", *resume]
        message = f"{folder}: in use by another process. Wait for it, or stop it."
        assert command(*flags).mistake == message
    assert list(folder.iterdir()) == [folder / "lock"]
    assert command(*flags, "--resume").status == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--precision", "bf16"], "with precision fp32, not bf16"),
        (["--threads", "2"], "with threads 1, not 2"),
        (["--beam-size", "3"], "with beam_size 2, not 3"),
        (["--format", "tsv"], "with format text, not tsv"),
    ],
)
def test_another_manifest_is_refused(
    command: Command, tmp_path: Path, source: Path, flags: list[str], message: str
) -> None:
    output = tmp_path / "out.txt"
    first = ["--input", source, "--output", output, "--shard"]
    assert command(*first, "1/2", "--threads", "1").status == 0
    before = sorted(tmp_path.rglob("*"))
    for last in (["--shard", "2/2"], ["--resume"]):
        result = command("--input", source, "--output", output, *flags, *last)
        assert result.mistake == (
            f"{output}.parts: this job was begun {message}. Use the same, or remove the folder to "
            "begin anew."
        )
    assert sorted(tmp_path.rglob("*")) == before


def test_an_ensemble_is_part_of_the_job(
    command: Command, tmp_path: Path, source: Path, other_runs: list[Path], tiny_checkpoint: Path
) -> None:
    output = tmp_path / "out.txt"
    flags = ["--input", source, "--output", output]
    first, second = other_runs
    assert command(*flags, "--shard", "1/2", "--ensemble", first).status == 0
    before = sorted(tmp_path.rglob("*"))
    for others in ([], [second], [first, second], [tiny_checkpoint]):
        ensemble = ["--ensemble", *others] if others else []
        for last in (["--shard", "2/2"], ["--resume"]):
            assert command(*flags, *last, *ensemble).mistake == (
                f"{output}.parts: this job was begun with another ensemble. Give the same, or "
                "remove the folder to begin anew."
            )
    assert sorted(tmp_path.rglob("*")) == before
    assert command(*flags, "--shard", "2/2", "--ensemble", first).status == 0
    texts = source.read_text(encoding="utf-8").splitlines()
    together = Translator.load([tiny_checkpoint, first], device="cpu", precision="fp32")
    found = [text.replace("\n", " ") for text in together.translate(texts)]
    assert output.read_text(encoding="utf-8").split("\n")[:-1] == found


def test_mbr_is_part_of_the_job(
    command: Command, tmp_path: Path, source: Path, translator: Translator
) -> None:
    output = tmp_path / "out.txt"
    flags = ["--input", source, "--output", output]
    assert command(*flags, "--shard", "1/2", "--mbr").status == 0
    before = sorted(tmp_path.rglob("*"))
    for last in (["--shard", "2/2"], ["--resume"]):
        assert command(*flags, *last).mistake == (
            f"{output}.parts: this job was begun with mbr True, not False. Use the same, or remove "
            "the folder to begin anew."
        )
    assert sorted(tmp_path.rglob("*")) == before
    assert command(*flags, "--shard", "2/2", "--mbr").status == 0
    texts = source.read_text(encoding="utf-8").splitlines()
    found = [translation.text.replace("\n", " ") for translation in translator.mbr(texts)]
    assert output.read_text(encoding="utf-8").split("\n")[:-1] == found


def test_another_input_is_refused(command: Command, tmp_path: Path, source: Path) -> None:
    output = interrupted(command, tmp_path, source)
    source.write_text(source.read_text(encoding="utf-8").replace("Hund", "Hand"), encoding="utf-8")
    result = command("--input", source, "--output", output, "--resume")
    assert result.mistake.startswith(f"{output}.parts: this job was begun with another input.")


def test_what_auto_found_is_kept(
    command: Command, tmp_path: Path, source: Path, expected: bytes
) -> None:
    output = tmp_path / "out.txt"
    flags = ["--input", source, "--output", output]
    assert command(*flags, "--shard", "1/2", "--threads", "1").status == 0
    manifest = json.loads((tmp_path / "out.txt.parts" / "manifest.json").read_text())
    assert (manifest["precision"], manifest["device"], manifest["threads"]) == ("fp32", "cpu", 1)
    result = command(*flags, "--shard", "2/2", "--device", "auto", "--precision", "auto")
    assert result.status == 0
    assert any("device cpu, precision fp32, threads 1" in line for line in result.news)
    assert output.read_bytes() == expected


def test_parts_of_another_job_are_not_taken(
    command: Command, tmp_path: Path, source: Path, expected: bytes
) -> None:
    """Folders from several machines, copied together, may hold parts that do not belong."""
    output = interrupted(command, tmp_path, source)
    (tmp_path / "out.txt.parts" / "00000002-0123abcd").write_text("another job\n")
    assert command("--input", source, "--output", output, "--resume").status == 0
    assert output.read_bytes() == expected


def test_an_empty_input_and_a_link(command: Command, tmp_path: Path) -> None:
    source, link, target = tmp_path / "in.txt", tmp_path / "link.txt", tmp_path / "target"
    source.write_bytes(b"")
    target.write_text("earlier\n")
    link.symlink_to(target)
    assert command("--input", source, "--output", link).status == 0
    assert target.read_bytes() == b""
    assert sorted(tmp_path.iterdir()) == [source, link, target]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--shard", "0/2"], "--shard: '0/2' is not i/N"),
        (["--output", "/nowhere/out.txt"], "/nowhere/out.txt: cannot be written"),
        (["--quarantine", "/nowhere/q"], "/nowhere/q: cannot be written"),
        (["--field", "2"], "--field: text has no fields"),
        (["--mbr", "--beam-size", "1"], "mbr: beam_size is 1, so there is no choice"),
    ],
)
def test_wrong_flags(
    command: Command, tmp_path: Path, source: Path, flags: list[str], message: str
) -> None:
    result = command("--input", source, "--output", tmp_path / "out.txt", *flags)
    assert result.mistake.startswith(message)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("flags", [["--resume"], ["--shard", "1/2"], ["--format", "parquet"]])
def test_a_stream_is_no_job(command: Command, source: Path, flags: list[str]) -> None:
    assert "Give --input and --output." in command("--input", source, *flags).mistake
