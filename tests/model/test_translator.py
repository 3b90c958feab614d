"""The Python API: what a translator does around the search."""

import copy
import dataclasses
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.decoding.beam_search import Hypothesis
from model.decoding.engine import MAX_LENGTH, Engine
from model.decoding.options import SearchOptions
from model.decoding.request import Finished, Request
from model.errors import CheckpointError, ConfigError, RequestError
from model.network.seq2seq import Seq2Seq
from model.text.profile import TextProfile
from model.text.segmentation import WholeSource, split_long
from model.text.sentences import sentence_ends
from model.translation.assemble import Translation
from model.translation.ensemble import Ensemble
from model.translator import WINDOW, Translator, windows

TEXTS = [
    "der Hund läuft.",
    "",
    "  ein Mann sieht die Frau auf der Straße!",
    "rot",
    "das Haus ist rot. der Hund schläft unter der Straße und läuft. eine Frau sieht 3 Hunde.",
    " \u3000",
    "日本語",
]


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return load_checkpoint(tiny_checkpoint)


def make_translator(
    checkpoint: Checkpoint,
    dtype: torch.dtype = torch.float32,
    search: SearchOptions | None = None,
) -> Translator:
    return Translator(
        checkpoint.network,
        checkpoint.tokenizer,
        search or checkpoint.search,
        device=torch.device("cpu"),
        dtype=dtype,
    )


@pytest.fixture(scope="module")
def translator(checkpoint: Checkpoint) -> Translator:
    return make_translator(checkpoint)


def searched(checkpoint: Checkpoint, text: str, options: SearchOptions) -> tuple[Hypothesis, ...]:
    """What the engine alone finds for one text."""
    engine = Engine(checkpoint.network)
    engine.add(Request(src=tuple(checkpoint.tokenizer.encode(text)), options=options))
    while engine.busy:
        for event in engine.step():
            if isinstance(event, Finished):
                return event.hypotheses
    raise AssertionError


def test_a_translation_is_what_the_search_found(
    checkpoint: Checkpoint, translator: Translator
) -> None:
    text = "ein Mann sieht die Frau"
    options = SearchOptions(beam_size=4, n_best=3, max_length_a=1.0, max_length_b=2)
    expected = searched(checkpoint, text, options)
    (translation,) = translator.search([text], options)
    assert len(translation.hypotheses) == len(expected) == 3
    for ours, theirs in zip(translation.hypotheses, expected, strict=True):
        assert ours.translation == checkpoint.tokenizer.decode(theirs.pieces)
        assert ours.pieces == tuple(checkpoint.tokenizer.piece(id) for id in theirs.pieces)
        assert (ours.score, ours.log_prob) == (theirs.score, theirs.log_prob)
        assert ours.truncated == theirs.truncated
        rows = theirs.weights[:-1, :-1].tolist()
        assert list(ours.alignment) == [row.index(max(row)) for row in rows]
    assert translation.text == translation.hypotheses[0].translation


def test_options_of_the_checkpoint_are_the_default(
    checkpoint: Checkpoint, translator: Translator
) -> None:
    assert translator.options == checkpoint.search
    assert translator.translate(TEXTS) == translator.translate(TEXTS, checkpoint.search)
    longer = dataclasses.replace(checkpoint.search, min_length=12, max_length_b=12)
    assert translator.translate(TEXTS) != translator.translate(TEXTS, longer)


def test_blank_texts_come_back_unchanged_and_others_keep_their_order(
    checkpoint: Checkpoint, translator: Translator
) -> None:
    translations = translator.translate(TEXTS)
    assert translations[1] == ""
    assert translations[5] == " \u3000"
    assert translations[2].startswith("  ")
    for place in (0, 3, 6):
        best = searched(checkpoint, TEXTS[place], checkpoint.search)[0]
        assert translations[place] == checkpoint.tokenizer.decode(best.pieces)


def test_a_translation_does_not_depend_on_the_others(translator: Translator) -> None:
    wide = dataclasses.replace(translator.options, beam_size=3, n_best=2)
    items = [(text, options) for text in TEXTS for options in (translator.options, wide)]
    together = translator.search_window(items)
    order = list(range(len(items)))
    random.Random(0).shuffle(order)
    shuffled = translator.search_window([items[place] for place in order])
    assert [together[place] for place in order] == shuffled
    assert together == [translator.search_window([item])[0] for item in items]


def test_a_long_text_is_translated_in_parts(checkpoint: Checkpoint, translator: Translator) -> None:
    core = TEXTS[4]
    encode, decode = checkpoint.tokenizer.encode, checkpoint.tokenizer.decode
    limit = checkpoint.config.max_length
    segments = [s for s in split_long(core, encode, decode, limit, sentence_ends(core, ""))]
    assert len(segments) > 1
    parts = translator.search([segment.text for segment in segments])
    (whole,) = translator.search([f"\t{core}  "])
    joined = "".join(
        part.text + segment.separator for part, segment in zip(parts, segments, strict=True)
    )
    assert whole.text == f"\t{joined}  "
    best = whole.hypotheses[0]
    assert best.score == pytest.approx(sum(part.hypotheses[0].score for part in parts))
    assert best.log_prob == pytest.approx(sum(part.hypotheses[0].log_prob for part in parts))
    assert len(best.alignment) == len(best.pieces)
    assert whole.source_pieces == tuple(piece for part in parts for piece in part.source_pieces)


def test_progress_counts_every_text_once(translator: Translator) -> None:
    counts: list[int] = []
    translator.search_window([(text, translator.options) for text in TEXTS], counts.append)
    assert sum(counts) == len(TEXTS)
    assert counts[0] == 2  # the blank ones


def test_an_interrupted_search_leaves_nothing_behind(translator: Translator) -> None:
    expected = translator.translate(TEXTS[:3])

    def interrupt(count: int) -> None:
        if count:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        translator.search_window([(text, translator.options) for text in TEXTS * 20], interrupt)
    assert translator.translate(TEXTS[:3]) == expected


def test_more_texts_than_a_window(translator: Translator) -> None:
    texts = [""] * WINDOW + ["der Hund"]
    assert translator.translate(texts) == [""] * WINDOW + translator.translate(["der Hund"])


def test_no_texts(translator: Translator) -> None:
    assert translator.translate([]) == []


def test_windows_are_read_one_at_a_time() -> None:
    taken: list[int] = []
    source = (taken.append(number) or number for number in range(5))  # type: ignore[func-returns-value]
    parts = windows(source, 2)
    assert next(parts) == [0, 1]
    assert taken == [0, 1]
    assert list(parts) == [[2, 3], [4]]


def test_one_text_has_one_translation(translator: Translator) -> None:
    assert [translator.translate(text) for text in TEXTS] == translator.translate(TEXTS)


def test_one_text_in_place_of_a_list_is_refused(translator: Translator) -> None:
    for call in (translator.search, translator.mbr):
        with pytest.raises(RequestError, match=r"Use \[text\]"):
            call("der Hund")


@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_stream_grows_into_the_translation(translator: Translator, beam_size: int) -> None:
    options = SearchOptions(
        beam_size=beam_size, n_best=beam_size, min_length=40, max_length_a=0, max_length_b=50
    )
    grown = 0
    for text in TEXTS:
        *prefixes, last = translator.stream(text, options)
        assert [last] == translator.search([text], options)
        assert isinstance(last, Translation)
        before = ""
        for prefix in prefixes:
            assert isinstance(prefix, str)
            assert prefix.startswith(before) and len(prefix) > len(before)
            assert last.text.startswith(prefix)
            before = prefix
        grown += len(prefixes)
    assert grown > 1


def test_a_stream_that_is_closed_leaves_nothing_behind(translator: Translator) -> None:
    expected = translator.translate(TEXTS)
    stream = translator.stream(TEXTS[4] * 50)
    assert isinstance(next(stream), str)
    stream.close()
    assert translator.translate(TEXTS) == expected


def test_what_a_stream_cannot_translate_is_refused_by_the_call(translator: Translator) -> None:
    with pytest.raises(RequestError, match="max_length_b: they allow 1024 pieces"):
        translator.stream("der Hund", dataclasses.replace(translator.options, max_length_b=1000))
    text: Any = None
    with pytest.raises(RequestError, match=r"text\[0\]: .* but this is NoneType"):
        translator.stream(text)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int8])
def test_scores_are_those_of_the_search(checkpoint: Checkpoint, dtype: torch.dtype) -> None:
    """Where the text of a translation is cut into the same pieces again; in fp32 always."""
    options = SearchOptions(beam_size=64, n_best=64, max_length_a=0, max_length_b=1)
    sources = [" der Hund läuft. ", "rot"]
    found = [
        (source, hypothesis)
        for source, translation in zip(
            sources, make_translator(checkpoint).search(sources, options), strict=True
        )
        for hypothesis in translation.hypotheses
    ]
    scores = make_translator(checkpoint, dtype).score(
        [source for source, _ in found], [hypothesis.translation for _, hypothesis in found]
    )
    alike = [
        (score, hypothesis)
        for score, (_, hypothesis) in zip(scores, found, strict=True)
        if score.pieces == hypothesis.pieces
    ]
    assert len(alike) > 3
    for score, hypothesis in alike:
        assert score.log_prob == pytest.approx(hypothesis.log_prob, abs=1e-4)
        assert score.token_log_probs == pytest.approx(hypothesis.token_log_probs, abs=1e-4)


def test_scores_keep_the_order_of_the_pairs(translator: Translator) -> None:
    alone = [translator.score([text], ["the dog"])[0].log_prob for text in TEXTS]
    together = [score.log_prob for score in translator.score(TEXTS, ["the dog"] * len(TEXTS))]
    assert together == pytest.approx(alone, abs=1e-4)
    assert len(set(alone)) > 3
    assert translator.score([], []) == []


def test_pairs_that_do_not_match_are_refused(translator: Translator) -> None:
    with pytest.raises(RequestError, match="sources, targets: 2 and 1 were given"):
        translator.score(["a", "b"], ["a"])
    with pytest.raises(RequestError, match=r"targets: str was given, .* Use \[text\]"):
        translator.score(["a"], "a")


def test_what_is_no_text_is_refused(translator: Translator) -> None:
    texts: Any = ["der Hund", None]
    for call in (translator.translate, translator.search, translator.mbr):
        with pytest.raises(RequestError, match=r"texts\[1\]: .* but this is NoneType"):
            call(texts)


def test_options_beyond_the_room_are_refused_before_anything_is_searched(
    translator: Translator,
) -> None:
    options = dataclasses.replace(translator.options, max_length_b=1000)
    with pytest.raises(
        RequestError,
        match=r"max_length_b: they allow 1024 pieces for a source of 24, but there is room for 58",
    ):
        translator.translate([""], options)


def test_there_is_room_for_the_options_of_the_translator(checkpoint: Checkpoint) -> None:
    long = dataclasses.replace(checkpoint.search, min_length=99, max_length_a=3, max_length_b=27)
    translator = make_translator(checkpoint, search=long)
    (translation,) = translator.search(["Hund " * 24])
    assert any(len(hypothesis.pieces) >= 99 for hypothesis in translation.hypotheses)
    assert translator.translate(TEXTS, checkpoint.search) == make_translator(checkpoint).translate(
        TEXTS
    )


def test_options_that_no_memory_holds_are_refused_at_once(checkpoint: Checkpoint) -> None:
    endless = dataclasses.replace(checkpoint.search, max_length_b=100_000)
    with pytest.raises(RequestError, match=r"allow 100024 pieces .* room for 10000"):
        make_translator(checkpoint, search=endless)


def test_the_given_network_stays_as_it_is(checkpoint: Checkpoint) -> None:
    translations = make_translator(checkpoint, torch.bfloat16).search(TEXTS)
    assert len(translations) == len(TEXTS)
    assert {parameter.dtype for parameter in checkpoint.network.parameters()} == {torch.float32}


def test_load(tiny_checkpoint: Path, translator: Translator) -> None:
    loaded = Translator.load(str(tiny_checkpoint), device="cpu", precision="fp32")
    assert loaded.translate(TEXTS) == translator.translate(TEXTS)
    in_steps = Translator.load(tiny_checkpoint / "checkpoints" / "step-000001", precision="fp32")
    assert in_steps.translate(TEXTS[:1]) == translator.translate(TEXTS[:1])


def test_load_sets_the_given_number_of_threads(tiny_checkpoint: Path) -> None:
    before = torch.get_num_threads()
    try:
        Translator.load(tiny_checkpoint, threads=before + 1)
        assert torch.get_num_threads() == before + 1
        Translator.load(tiny_checkpoint)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_load_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        Translator.load(tmp_path / "run")


def test_load_on_an_unknown_device(tiny_checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="tpu"):
        Translator.load(tiny_checkpoint, device="tpu")


# Texts of any length that are read whole


SUMMARIZER = TextProfile(task="summarize", source_language="de", target_language="de")
LONG_TEXT = "der Hund läuft auf der Straße.\nein Mann sieht die Frau! " * 8
WHOLE = SearchOptions(beam_size=3, n_best=2, max_length_a=0, max_length_b=12, on_long="whole")


def summarizer(network: Seq2Seq, checkpoint: Checkpoint, dtype: torch.dtype) -> Translator:
    return Translator(
        network,
        checkpoint.tokenizer,
        SearchOptions(beam_size=3, max_length_a=1.0, max_length_b=3),
        device=torch.device("cpu"),
        dtype=dtype,
        profile=SUMMARIZER,
    )


def longer(checkpoint: Checkpoint) -> Seq2Seq:
    """The same network, that reads at once what is too long for the other."""
    network = copy.deepcopy(checkpoint.network)
    network.config = dataclasses.replace(network.config, max_length=500)
    return network


def test_a_text_of_any_length_is_read_whole(checkpoint: Checkpoint) -> None:
    """As by a model that has room for it; the words are aligned by less."""
    texts = ["der Hund.", LONG_TEXT, "  " + LONG_TEXT[:200] + "\n"]
    ours = summarizer(checkpoint.network, checkpoint, torch.float32)
    found = ours.search(texts, WHOLE)
    expected = summarizer(longer(checkpoint), checkpoint, torch.float32).search(texts, WHOLE)
    for text, one, other in zip(texts, found, expected, strict=True):
        assert one.text == other.text
        assert one.source_pieces == other.source_pieces
        assert other.whole_source is None
        for mine, theirs in zip(one.hypotheses, other.hypotheses, strict=True):
            assert mine.pieces == theirs.pieces
            assert mine.alignment == theirs.alignment
            assert mine.score == pytest.approx(theirs.score, abs=1e-4)
            assert len(mine.word_alignment) == len(mine.translation.split())
            assert (mine.weights is None) == (text != "der Hund.")
    pieces = [len(one.source_pieces) for one in found]
    assert [one.whole_source for one in found] == [
        None,
        WholeSource(pieces=pieces[1], attention_span=None),
        WholeSource(pieces=pieces[2], attention_span=None),
    ]
    assert ours.mbr(texts[1:2], dataclasses.replace(WHOLE, n_best=1))[0].whole_source is not None


def test_the_span_of_a_long_text_is_told(checkpoint: Checkpoint) -> None:
    text = LONG_TEXT * 9
    translator = summarizer(checkpoint.network, checkpoint, torch.int8)
    told = []
    for span in (0, 512, 10**6):
        options = dataclasses.replace(WHOLE, attention_span=span)
        (found,) = translator.search([text], options)
        *grown, streamed = translator.stream(text, options)
        assert streamed == found
        assert all(isinstance(one, str) and found.text.startswith(one) for one in grown)
        assert found.whole_source is not None
        told.append(found.whole_source.attention_span)
    assert told == [None, 512, None]


def test_a_long_text_has_a_length_limit_that_can_be_held(checkpoint: Checkpoint) -> None:
    """Though two pieces for each of the source would be far more than there is room for."""
    translator = summarizer(checkpoint.network, checkpoint, torch.float32)
    text = LONG_TEXT * 60
    options = SearchOptions(beam_size=1, max_length_a=1.0, max_length_b=3, on_long="whole")
    demanding = dataclasses.replace(options, min_words=MAX_LENGTH + 1)
    assert len(checkpoint.tokenizer.encode(text)) > MAX_LENGTH
    (refused,) = translator.search_each([(text, demanding)])
    assert isinstance(refused, RequestError)
    assert f"may have {MAX_LENGTH} pieces" in str(refused)


def test_an_ensemble_refuses_a_long_text_and_no_other(checkpoint: Checkpoint) -> None:
    network = Ensemble([checkpoint.network, longer(checkpoint)])
    translator = summarizer(network, checkpoint, torch.float32)
    short, long = translator.search_each([("der Hund.", WHOLE), (LONG_TEXT, WHOLE)])
    assert isinstance(short, Translation)
    assert isinstance(long, RequestError)
    assert "ensemble" in str(long)
    with pytest.raises(RequestError, match="ensemble"):
        translator.stream(LONG_TEXT, WHOLE)
