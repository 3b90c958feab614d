"""Search options as text, from the Python API and from the command to what comes out."""

import dataclasses
import io
import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.config import from_dict, to_dict
from model.decoding.options import SearchOptions
from model.errors import RequestError
from model.text.words import occurs
from model.translate import main
from model.translation.assemble import Translation
from model.translation.mbr import Utility, chrf, mbr_order
from model.translator import Translator

TEXTS = ["der Hund läuft.", "ein Mann sieht die Frau", "", "10 Hunde"]
LONG = "das Haus ist rot. der Hund schläft unter der Straße und läuft. eine Frau sieht 3 Hunde."


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return load_checkpoint(tiny_checkpoint)


@pytest.fixture(scope="module")
def translator(checkpoint: Checkpoint) -> Translator:
    return Translator(
        checkpoint.network,
        checkpoint.tokenizer,
        checkpoint.search,
        device=torch.device("cpu"),
        dtype=torch.float32,
    )


def options(**given: Any) -> SearchOptions:
    return SearchOptions(**({"beam_size": 4, "max_length_a": 1.0, "max_length_b": 12} | given))


def test_a_translation_begins_with_its_prefix(translator: Translator) -> None:
    for prefix in ("Die ", "Str", " (a)", "日"):
        for text, found in zip(
            TEXTS, translator.translate(TEXTS, options(prefix=prefix)), strict=True
        ):
            assert found.startswith(prefix) == bool(text)
    (whole,) = translator.translate([LONG], options(prefix="Die "))
    assert whole.startswith("Die ")


def test_translations_contain_their_constraints(translator: Translator) -> None:
    wanted = ("Straße", "und")
    chosen = options(constraints=wanted, n_best=4)
    for text, found in zip(TEXTS, translator.search(TEXTS, chosen), strict=True):
        for hypothesis in found.hypotheses:
            assert all(occurs(phrase, hypothesis.translation) for phrase in wanted) == bool(text)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int8])
@pytest.mark.parametrize("beam_size", [1, 4])
def test_translations_have_so_many_words(
    checkpoint: Checkpoint, dtype: torch.dtype, beam_size: int
) -> None:
    translator = Translator(
        checkpoint.network,
        checkpoint.tokenizer,
        checkpoint.search,
        device=torch.device("cpu"),
        dtype=dtype,
    )
    texts = [text for text in TEXTS if text]
    for least, most in ((0, 1), (3, 3), (5, 0), (2, 6)):
        chosen = options(
            beam_size=beam_size, n_best=beam_size, min_words=least, max_words=most, max_length_b=16
        )
        for found in translator.search(texts, chosen):
            for hypothesis in found.hypotheses:
                assert least <= len(hypothesis.translation.split()) <= (most or 99)
    for text, translation in zip(
        texts, translator.translate(texts, options(beam_size=beam_size, ratio=0.8)), strict=True
    ):
        most = math.ceil(0.8 * len(text.split()))
        assert most * 4 // 5 <= len(translation.split()) <= most


def test_words_of_a_stream_and_of_parts(translator: Translator) -> None:
    chosen = options(min_words=4, max_words=5, max_length_b=16)
    *partial, last = translator.stream(TEXTS[0], chosen)
    assert isinstance(last, Translation)
    assert 4 <= len(last.text.split()) <= 5
    assert all(isinstance(one, str) and last.text.startswith(one) for one in partial)
    (whole,) = translator.translate([LONG], options(ratio=0.5))  # 4, 8 and 4 words
    assert 1 + 3 + 1 <= len(whole.split()) <= 2 + 4 + 2
    with pytest.raises(RequestError, match="max_words: the text is translated in 3 parts"):
        translator.translate([LONG], options(max_words=9))


def test_translations_do_not_contain_what_is_avoided(translator: Translator) -> None:
    """Whatever words the model would say, letter by letter."""
    for beam_size in (1, 4):
        free = translator.search(TEXTS, options(beam_size=beam_size, n_best=beam_size))
        words = {w for found in free for h in found.hypotheses for w in h.translation.split()}
        known = translator._phrases.spelling.alphabet
        avoid = tuple(sorted(word for word in words if set(word) <= known))[:20]
        assert len(avoid) >= 3
        chosen = options(beam_size=beam_size, n_best=beam_size, avoid=avoid)
        for found in translator.search(TEXTS, chosen):
            for hypothesis in found.hypotheses:
                assert not any(occurs(phrase, hypothesis.translation) for phrase in avoid)


def test_several_translations_are_several_texts(translator: Translator) -> None:
    for chosen in (options(n_best=4), options(beam_size=8, n_best=8, temperature=0.3)):
        for found in translator.search([*TEXTS, LONG], chosen):
            texts = [h.translation for h in found.hypotheses]
            assert len(set(texts)) == len(texts)
            scores = [h.score for h in found.hypotheses]
            assert scores == sorted(scores, reverse=True)


def test_seeds_draw_other_samples_and_equal_ones_the_same(translator: Translator) -> None:
    one, same, other = (
        translator.translate(TEXTS, options(beam_size=1, temperature=1, seed=seed))
        for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


def test_token_log_probs_add_up(translator: Translator) -> None:
    for found in translator.search(TEXTS, options()):
        best = found.hypotheses[0]
        assert len(best.token_log_probs) == len(best.pieces)
        assert sum(best.token_log_probs) >= best.log_prob - 1e-4
        assert all(value <= 0 for value in best.token_log_probs)


@pytest.mark.parametrize("utility", [None, lambda one, other: -abs(len(one) - len(other))])
def test_mbr_takes_what_is_most_like_the_others(
    translator: Translator, checkpoint: Checkpoint, utility: Utility | None
) -> None:
    chosen = options(beam_size=8, temperature=0.5, max_length_b=3)
    samples = translator.search(TEXTS, dataclasses.replace(chosen, n_best=8))
    for text, found, drawn in zip(
        TEXTS, translator.mbr(TEXTS, chosen, utility), samples, strict=True
    ):
        (best,) = found.hypotheses
        texts = [h.translation for h in drawn.hypotheses]
        assert best.translation in texts
        if len(texts) == 8:  # none was drawn twice, so that these are the candidates
            assert best.translation == texts[mbr_order(texts, utility or chrf())[0]]
        assert text or best.translation == ""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"beam_size": 1}, r"mbr: beam_size is 1, so there is no choice\. Raise beam_size"),
        ({"n_best": 3}, r"mbr: n_best is 3, but mbr chooses one .* all beam_size 4\. Use n_best 1"),
    ],
)
def test_options_that_leave_mbr_no_choice(
    translator: Translator, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        translator.mbr(TEXTS, options(**given))


def test_mbr_of_each_text_fails_alone(translator: Translator) -> None:
    given = [options(), options(beam_size=1), options(temperature=1)]
    items = [(TEXTS[0], one) for one in given]
    first, second, third = translator.search_each(items, utility=chrf())
    assert isinstance(second, RequestError)
    for found, one in ((first, given[0]), (third, given[2])):
        assert found == translator.mbr([TEXTS[0]], one)[0]


@pytest.mark.parametrize(
    ("text", "given", "message"),
    [
        (LONG, {"constraints": ("Hund",)}, "the text is translated in"),
        ("rot", {"constraints": ("Hund " * 4,), "max_length_b": 0}, "constraints: .* Shorten"),
        ("rot", {"prefix": "Hund " * 4, "max_length_b": 0}, "prefix: .* Shorten"),
        ("rot", {"avoid": ("日",)}, "no piece"),
    ],
)
def test_demands_that_no_translation_meets(
    translator: Translator, text: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        translator.translate([text], options(**given))
    assert translator.translate(["rot"])  # nothing of it is left behind


# The command


def translate(
    run: Path, data: str, flags: list[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[int, list[str]]:
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data.encode())))
    monkeypatch.setattr(sys, "stdout", output)
    status = main([str(run), "--device", "cpu", "--precision", "fp32", *flags])
    output.seek(0)
    return status, output.read().splitlines()


def test_flags(
    tiny_checkpoint: Path, translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = (
        "--beam-size 3 --prefix Die --constraints Hund --avoid rot --avoid der --max-length-b 12"
    )
    data = "".join(text + "\n" for text in TEXTS)
    status, lines = translate(tiny_checkpoint, data, flags.split(), monkeypatch)
    assert status == 0
    expected = dataclasses.replace(
        translator.options,
        beam_size=3,
        prefix="Die",
        constraints=("Hund",),
        avoid=("rot", "der"),
        max_length_b=12,
    )
    found = translator.translate(TEXTS, expected)
    assert lines == [re.sub(r"\r*\n", " ", text) for text in found]
    assert all(occurs("Hund", line) for line in lines if line)


def test_options_of_a_line(
    tiny_checkpoint: Path, translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, Any]] = [
        {"temperature": 1, "seed": 4, "top_k": 20, "n_best": 2},
        {"beam_size": 4, "diverse_groups": 2, "n_best": 3, "no_repeat_ngram": 2},
        {"constraints": ["Hund"], "avoid": ["rot"], "coverage_beta": 0.2, "max_length_b": 12},
        {},
    ]
    data = "".join(
        json.dumps({"text": TEXTS[0], "options": one}, ensure_ascii=False) + "\n" for one in given
    )
    status, lines = translate(tiny_checkpoint, data, ["--format", "jsonl"], monkeypatch)
    assert status == 0
    for one, line in zip(given, lines, strict=True):
        record = json.loads(line)
        chosen = from_dict(SearchOptions, to_dict(translator.options) | one)
        (expected,) = translator.search([TEXTS[0]], chosen)
        assert record["translation"] == expected.text
        assert record["token_log_probs"] == list(expected.hypotheses[0].token_log_probs)
        assert record["word_alignment"] == list(expected.hypotheses[0].word_alignment)
        assert len(record.get("alternatives", [])) == len(expected.hypotheses) - 1


@pytest.mark.parametrize("given", [{"beam_size": 8, "temperature": 0.7}, {"beam_size": 4}])
def test_mbr_by_a_flag(
    tiny_checkpoint: Path,
    translator: Translator,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, Any],
) -> None:
    """Over what the flags say, and in jsonl over what a line says."""
    flags = ["--mbr", "--beam-size", str(given["beam_size"])]
    flags += ["--temperature", str(given.get("temperature", 0))]
    chosen = dataclasses.replace(translator.options, **given)
    expected = translator.mbr(TEXTS, chosen)
    best = translator.translate(TEXTS, chosen)
    assert [found.text for found in expected] != best
    data = "".join(text + "\n" for text in TEXTS)
    status, lines = translate(tiny_checkpoint, data, flags, monkeypatch)
    assert status == 0
    assert lines == [re.sub(r"\r*\n", " ", found.text) for found in expected]
    records = [{"text": text, "options": {"no_repeat_ngram": 1}} for text in TEXTS]
    data = "".join(json.dumps(record) + "\n" for record in records)
    flags += ["--format", "jsonl"]
    status, lines = translate(tiny_checkpoint, data, flags, monkeypatch)
    assert status == 0
    found = translator.mbr(TEXTS, dataclasses.replace(chosen, no_repeat_ngram=1))
    for line, one in zip(map(json.loads, lines), found, strict=True):
        assert (line["translation"], line["score"]) == (one.text, one.hypotheses[0].score)
        assert "alternatives" not in line


@pytest.mark.parametrize(
    ("flags", "data", "message"),
    [
        (["--beam-size", "1"], '{"text": "Hund"}', "mbr: beam_size is 1, so there is no choice"),
        (["--n-best", "2"], '{"text": "Hund"}', "mbr: n_best is 2, but mbr chooses one"),
        (
            ["--beam-size", "4"],
            '{"text": "Hund", "options": {"beam_size": 1}}',
            "standard input, line 1: mbr: beam_size is 1",
        ),
    ],
)
def test_mbr_without_a_choice_is_one_line(
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    data: str,
    message: str,
) -> None:
    flags = ["--mbr", "--format", "jsonl", *flags]
    status, lines = translate(tiny_checkpoint, data + "\n", flags, monkeypatch)
    assert (status, lines) == (2, [])
    assert (
        capsys.readouterr().err.splitlines()[-1].startswith(f"dragoman-translate: error: {message}")
    )


def test_contradicting_flags_are_one_line(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--prefix", "der Hund", "--avoid", "Hund"]
    status, lines = translate(tiny_checkpoint, "x\n", flags, monkeypatch)
    assert (status, lines) == (2, [])
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("dragoman-translate: error: avoid: 'Hund' is part of 'der Hund'")
