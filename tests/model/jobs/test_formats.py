"""Formats through the command: what goes in comes out, with one translation for each record."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from model.errors import ConfigError
from model.jobs.formats import field_named, format_named

Command = Callable[..., Any]  # see conftest.py

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}
UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.decompress,
    ".zst": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


@pytest.mark.parametrize(
    ("source", "output", "form"),
    [
        ("-", "-", "text"),
        ("a.txt", "b.de", "text"),
        ("a.de", "b.txt.gz", "text"),
        ("a.tsv", "-", "tsv"),
        ("a.tsv.zst", "b.tsv", "tsv"),
        ("a.jsonl.gz", "b", "jsonl"),
        ("a.ndjson", "b.jsonl", "jsonl"),
        ("a.parquet", "b.parquet", "parquet"),
    ],
)
def test_the_name_of_the_input_tells_the_format(source: str, output: str, form: str) -> None:
    assert format_named(None, source, output) == form


@pytest.mark.parametrize(
    ("source", "output"), [("a.txt", "b.jsonl"), ("-", "b.tsv"), ("a.jsonl", "b.txt.gz")]
)
def test_names_that_contradict_each_other_need_a_flag(source: str, output: str) -> None:
    with pytest.raises(ConfigError, match=r"Add --format, or name the output otherwise\."):
        format_named(None, source, output)
    assert format_named("tsv", source, output) == "tsv"


def test_fields_and_their_defaults() -> None:
    assert field_named("text", None) is None
    assert field_named("tsv", None) == "1"
    assert field_named("jsonl", None) == field_named("parquet", None) == "text"
    assert field_named("tsv", "de") == "de"
    with pytest.raises(ConfigError, match="--field: 0 is too small"):
        field_named("tsv", "00")


@pytest.mark.parametrize("suffix", PACK)
def test_text(command: Command, tmp_path: Path, source: Path, expected: bytes, suffix: str) -> None:
    given, output = tmp_path / f"given.txt{suffix}", tmp_path / f"out.txt{suffix}"
    given.write_bytes(PACK[suffix](source.read_bytes()))
    assert command("--input", given, "--output", output).status == 0
    assert UNPACK[suffix](output.read_bytes()) == expected


@pytest.mark.parametrize("header", [True, False])
def test_tsv_gets_a_column(
    command: Command, tmp_path: Path, texts: list[str], translations: list[str], header: bool
) -> None:
    given, output = tmp_path / "in.tsv", tmp_path / "out.tsv"
    first = ["id\tde\tnote"] if header else []
    rows = [f"{i}\t{text}\t ä{i}" for i, text in enumerate(texts)]
    given.write_text("\n".join([*first, *rows]) + "\n", encoding="utf-8")
    field = "de" if header else "2"
    flags = ["--input", given, "--output", output, "--field", field]
    # The second shard does not see the header among its own lines.
    assert command(*flags, "--shard", "2/2").status == 0
    assert command(*flags, "--shard", "1/2").status == 0
    written = output.read_text(encoding="utf-8").split("\n")
    pairs = zip(rows, translations, strict=True)
    expected = [f"{row}\t{found.replace(chr(9), ' ')}" for row, found in pairs]
    assert written == [*(["id\tde\tnote\ttranslation"] if header else []), *expected, ""]


def test_bad_tsv(command: Command, tmp_path: Path) -> None:
    given, output = tmp_path / "in.tsv", tmp_path / "out.tsv"
    given.write_text("id\tde\n1\tHund\n2\n", encoding="utf-8")
    flags = ["--input", given, "--output", output, "--field"]
    assert command(*flags, "en").mistake.startswith("--field: 'en' is not in the header (id, de).")
    assert command(*flags, "2").mistake == (
        f"{given}, line 3: 1 column(s), but --field asks for number 2. Mend the line."
    )
    assert list(tmp_path.iterdir()) == [given]


def test_jsonl_reads_the_named_key(
    command: Command, tmp_path: Path, texts: list[str], translations: list[str]
) -> None:
    given, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    records = [{"de": text, "id": i} for i, text in enumerate(texts)]
    given.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    assert command("--input", given, "--output", output, "--field", "de").status == 0
    found = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [(one["de"], one["id"]) for one in found] == [(one["de"], one["id"]) for one in records]
    # The line breaks that the model may produce are kept in JSON.
    assert [one["translation"].replace("\n", " ") for one in found] == translations
    result = command("--input", given, "--output", output)
    assert result.mistake == (
        f'{given}, line 1: no "text" that is a string. Give an object like {{"text": "Hallo"}}.'
    )
