"""jsonl: records with options of their own in, with everything that the search found out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model.translator import Translator

Translate = Callable[..., Any]  # see tests/model/conftest.py


def records(result: Any) -> list[dict[str, Any]]:
    """What came out, one object for each line."""
    assert result.status == 0, result.errors
    return [json.loads(line) for line in result.lines]


def test_a_record_keeps_its_fields_and_gets_ours(
    translate: Translate, tiny_checkpoint: Path, translator: Translator
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
        "token_log_probs",
        "word_alignment",
        "word_sources",
        "truncated",
        "source_pieces",
    }
    first = best.hypotheses[0]
    assert record["translation"] == first.translation
    assert record["score"] == first.score
    assert record["log_prob"] == first.log_prob
    assert tuple(record["pieces"]) == first.pieces
    assert tuple(record["alignment"]) == first.alignment
    assert record["word_sources"] == json.loads(json.dumps(first.word_sources)) != []
    assert record["truncated"] is first.truncated
    assert tuple(record["source_pieces"]) == best.source_pieces


def test_half_of_a_surrogate_pair_passes_through(
    translate: Translate, tiny_checkpoint: Path
) -> None:
    line = r'{"text": "Hund", "key\udc00": "\ud800"}'
    result = translate(tiny_checkpoint, line, "--format", "jsonl")
    (record,) = records(result)
    assert record["key\udc00"] == "\ud800"


def test_options_of_a_line_outrank_flags_and_flags_the_checkpoint(
    translate: Translate, tiny_checkpoint: Path
) -> None:
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


def test_a_blank_line_of_jsonl_comes_back(translate: Translate, tiny_checkpoint: Path) -> None:
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
        (r'{"text": "a\ud800"}', '"text": character 2 is half of a surrogate pair'),
        ('{"text": "a", "x": NaN}', "not JSON that can be written again (NaN"),
        ('{"text": "a", "x": 1e999}', "not JSON that can be written again (1e999"),
        ("[" * 100_000, "not JSON that can be written again"),
        ('{"text": "a", "options": 3}', '"options" is not an object'),
        (
            '{"text": "a", "options": {"beam_sise": 3}}',
            "options.beam_sise: unknown key. Did you mean 'beam_size'?",
        ),
        (
            r'{"text": "a", "options": {"bean\ud800\nsize": 3}}',
            r"options.bean\ud800\nsize: unknown key. Did you mean 'beam_size'?",
        ),
        (r'{"text": "a", "options": {"prefix": "\ud83d"}}', "options.prefix: character 1 is half"),
        (
            r'{"text": "a", "options": {"constraints": ["a", "b\ude00"]}}',
            "options.constraints[1]: character 2 is half",
        ),
        (r'{"text": "a", "options": {"avoid": ["\ud83d"]}}', "options.avoid[0]: character 1 is"),
        ('{"text": "a", "options": {"beam_size": "3"}}', "options.beam_size: '3' is not allowed"),
        ('{"text": "a", "options": {"beam_size": 0}}', "beam_size: 0 is out of range"),
        ('{"text": "a", "options": {"n_best": 3}}', "n_best: 3 is not in 1 to beam_size 2"),
        ('{"text": "a", "options": {"max_length_b": 999}}', "max_length_a, max_length_b: they"),
    ],
)
def test_a_bad_record_is_named_and_stops(
    translate: Translate, tiny_checkpoint: Path, tmp_path: Path, line: str, message: str
) -> None:
    data = '{"text": "Hund"}\n' + line + "\n"
    output = tmp_path / "out.jsonl"
    result = translate(tiny_checkpoint, data, "--format", "jsonl", "--output", str(output))
    assert result.mistake.startswith(f"standard input, line 2: {message}")
    assert list(tmp_path.iterdir()) == []
    assert len(translate(tiny_checkpoint, data, "--format", "jsonl").lines) == 1


def test_in_jsonl_a_line_break_of_the_model_is_kept(
    translate: Translate, run_of_newlines: Path
) -> None:
    (record,) = records(translate(run_of_newlines, '{"text": "Hund"}\n', "--format", "jsonl"))
    assert "\n" in record["translation"]


def test_flags_make_room_for_the_options_of_lines(
    translate: Translate, tiny_checkpoint: Path
) -> None:
    data = '{"text": "Hund", "options": {"max_length_b": 90}}\n'
    assert translate(tiny_checkpoint, data, "--format", "jsonl").mistake.endswith(
        "they allow 114 pieces for a source of 24, but there is room for 58. Lower one of them."
    )
    assert records(translate(tiny_checkpoint, data, "--format", "jsonl", "--max-length-b", "90"))


@pytest.mark.parametrize("flags", [["--max-length-b", "40"], ["--max-length-a", "2.9"]])
def test_a_length_limit_above_the_default_is_served(
    translate: Translate, tiny_checkpoint: Path, flags: list[str]
) -> None:
    long = [*flags, "--min-length", "1000"]
    (record,) = records(
        translate(tiny_checkpoint, '{"text": "Hund Hund Hund"}', "--format", "jsonl", *long)
    )
    source, pieces = len(record["source_pieces"]), len(record["pieces"])
    assert pieces == (source + 40 if "--max-length-b" in flags else int(2.9 * source + 3))
