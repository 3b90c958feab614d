"""Extraction, from text to text: what spaces separate in the output stands in the source."""

import dataclasses
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from model.decoding.options import SearchOptions
from model.errors import ConfigError, RequestError
from model.text.names import names_of, stands_in
from model.text.normalization import normalize_source
from model.text.profile import TextProfile
from model.translation.assemble import Translation
from model.translator import Translator
from tests.conftest import random_network

Save = Callable[..., Path]
Precision = Literal["fp32", "bf16", "int8"]


@pytest.fixture(scope="module")
def save(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Save:
    """A function that saves a random network for a task and returns its run."""
    tiny = load_checkpoint(tiny_checkpoint)

    def saved(*, copy: bool = True, **profile: Any) -> Path:
        config = dataclasses.replace(tiny.config, max_length=200, copy=copy, coverage=copy)
        network = random_network(config, end=1)
        return save_checkpoint(
            tmp_path_factory.mktemp("extractive"),
            1,
            config=config,
            weights=dict(network.named_parameters()),
            tokenizer=tiny.tokenizer,
            search=SearchOptions(max_length_a=0.6, max_length_b=2),
            card="",
            training_state=None,
            training_meta=None,
            profile=TextProfile(**{"task": "summarize", **profile}, normalization=1),
        )

    return saved


@pytest.fixture(scope="module")
def summarizer(save: Save) -> Translator:
    return Translator.load(save(), device="cpu", precision="fp32")


def words_of(text: str) -> list[str]:
    """The words of a source as a model of today reads it: normalised, and in normal form C."""
    return unicodedata.normalize("NFC", normalize_source(text)).split()


def signs_of(word: str) -> str:
    """The signs at the end of a word, which may be left out; none of a word of nothing else."""
    letters = [place for place, c in enumerate(word) if unicodedata.category(c)[0] not in "PS"]
    return word[max(letters, default=len(word)) + 1 :]


def spellings(word: str) -> set[str]:
    return {word[: len(word) - count] for count in range(len(signs_of(word)) + 1)}


def is_extract(output: list[str], source: list[str], kind: str) -> bool:
    if kind == "words":
        return set(output) <= set().union(*map(spellings, source))
    found = _in_order(output, source)
    ending = signs_of(source[-1]) if source else ""
    for start in range(len(ending)):  # the sign that ends the source may end the output
        if output and output[-1].endswith(ending[start:]):
            last = output[-1].removesuffix(ending[start:])
            found = found or _in_order([*output[:-1], last], source)
    return found


def _in_order(output: list[str], source: list[str]) -> bool:
    remaining = map(spellings, source)
    return all(any(word in each for each in remaining) for word in output)


def check(source: str, found: Translation, kind: str) -> None:
    for hypothesis in found.hypotheses:
        if hypothesis.translation == source:  # such as a text without words
            continue
        assert is_extract(hypothesis.translation.split(), words_of(source), kind), (
            source,
            hypothesis.translation,
        )


WORDS = ["der", "Hund", "läuft.", "Haus,", "(rot)", "Mann's", "\u2581", ".", "--", "zz9", "e\u0301"]
texts = st.lists(
    st.one_of(
        st.sampled_from(WORDS),
        st.text(max_size=6),
    ),
    min_size=1,
    max_size=9,
).map(" ".join)
SEARCHES: list[dict[str, Any]] = [
    {"beam_size": 1},
    {"n_best": 4},
    {"beam_size": 1, "min_length": 20},
    {"max_length_a": 0.0, "max_length_b": 3, "min_length": 3},
    {"no_repeat_ngram": 2, "avoid": ("Hund", "rot")},
    {"beam_size": 3, "n_best": 3, "temperature": 1.0, "top_k": 9},
    {"diverse_groups": 5, "n_best": 5},
]


@pytest.mark.parametrize("kind", ["words", "subsequence"])
@pytest.mark.parametrize(
    ("precision", "copy"), [("fp32", True), ("fp32", False), ("bf16", True), ("int8", True)]
)
def test_every_output_is_an_extract(
    save: Save, precision: Precision, copy: bool, kind: Literal["words", "subsequence"]
) -> None:
    translator = Translator.load(save(copy=copy), device="cpu", precision=precision)
    said = set()

    @settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(texts, min_size=len(SEARCHES), max_size=len(SEARCHES)))
    def outputs(sources: list[str]) -> None:
        items = [
            (source, SearchOptions(**{"max_length_a": 1.0, "extractive": kind} | options))
            for source, options in zip(sources, SEARCHES, strict=True)
        ]
        for (source, options), found in zip(items, translator.search_each(items), strict=True):
            assert isinstance(found, Translation), options
            check(source, found, kind)
            said.add(found.text)

    outputs()
    assert len(said) > 5


SOURCE = "Der Hund läuft. Die Frau sieht das Haus, und der Mann schläft auf der Straße."


@pytest.mark.parametrize("kind", ["words", "subsequence"])
@pytest.mark.parametrize("search", [{"beam_size": 1}, {"n_best": 4}, {"temperature": 1.0}])
def test_a_ratio_of_the_words_is_taken(
    summarizer: Translator, kind: Literal["words", "subsequence"], search: dict[str, Any]
) -> None:
    """Of 15 words, and greedy search has nowhere to turn back."""
    for ratio, least, most in ((0.2, 2, 3), (0.5, 6, 8), (1.0, 12, 15)):
        options = SearchOptions(
            **{"extractive": kind, "ratio": ratio, "max_length_a": 1.0} | search
        )
        (found,) = summarizer.search([SOURCE], options)
        check(SOURCE, found, kind)
        for hypothesis in found.hypotheses:
            assert least <= len(hypothesis.translation.split()) <= most


def test_a_stream_ends_in_an_extract(summarizer: Translator) -> None:
    options = SearchOptions(beam_size=3, extractive="subsequence", min_length=20)
    *parts, last = summarizer.stream(SOURCE, options)
    assert isinstance(last, Translation)
    check(SOURCE, last, "subsequence")
    assert len(last.text.split()) > 2
    assert parts
    for part in parts:
        assert isinstance(part, str)
        assert last.text.startswith(part)


def test_the_command_takes_the_words_of_each_line(
    save: Save, translate: Callable[..., Any]
) -> None:
    result = translate(save(), f"{SOURCE}\n\nder Hund\n", "--extractive", "subsequence")
    assert result.status == 0
    for source, output in zip((SOURCE, "", "der Hund"), result.lines, strict=True):
        assert is_extract(output.split(), source.split(), "subsequence")


def test_a_translator_takes_words_sentence_by_sentence(save: Save) -> None:
    run = save(task="translate", source_language="de", target_language="de")
    translator = Translator.load(run, device="cpu", precision="fp32")
    options = SearchOptions(extractive="subsequence", min_length=4, split_sentences="always")
    (found,) = translator.search([SOURCE], options)
    check(SOURCE, found, "subsequence")
    first, second = SOURCE.split(" Die ")
    assert is_extract(found.text.split()[:1], first.split(), "words")
    assert is_extract(found.text.split()[-1:], second.split(), "words")


def test_a_prefix_of_the_source_goes_on_in_its_order(summarizer: Translator) -> None:
    options = SearchOptions(extractive="subsequence", prefix="Hund Frau", min_length=12)
    (found,) = summarizer.search([SOURCE], options)
    assert found.text.startswith("Hund Frau ")
    check(SOURCE, found, "subsequence")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prefix": "Frau Hund"}, r"prefix: 'Frau Hund' cannot begin .* in its order, or leave"),
        ({"prefix": "Die Fr"}, r"prefix: 'Die Fr' cannot begin an output of words of the source"),
        ({"prefix": "Die Katze", "extractive": "words"}, r"prefix: .* whole words of the text, or"),
        ({"prefix": "Der", "max_length_a": 0, "max_length_b": 0}, r"prefix: .* may have 0"),
        ({"min_words": 16}, r"min_words: 16 words are the least, but the source has 15 that can"),
        ({"constraints": ("Mann Frau",)}, r"constraints: 'Mann Frau' cannot stand in an output of"),
        ({"constraints": ("Hund", "Katze"), "extractive": "words"}, r"constraints: 'Katze' cannot"),
    ],
)
def test_what_the_source_cannot_give_is_refused(
    summarizer: Translator, given: dict[str, Any], message: str
) -> None:
    options = SearchOptions(**{"extractive": "subsequence"} | given)
    with pytest.raises(RequestError, match=message):
        summarizer.search([SOURCE], options)


def test_constraints_of_the_source_are_met(summarizer: Translator) -> None:
    options = SearchOptions(extractive="subsequence", constraints=("Frau sieht", "schläft"))
    (found,) = summarizer.search([SOURCE], options)
    check(SOURCE, found, "subsequence")
    assert "Frau sieht" in found.text
    assert "schläft" in found.text


def check_names(source: str, found: Translation) -> None:
    """Check that all names stand in the source as it is read."""
    read = " ".join(words_of(source))
    names = [name for one in found.hypotheses for name in names_of(one.translation)]
    assert all(stands_in(name, read) for name in names), (source, names)


NAMES = "Der EU-Rat (GPT-4, BiLSTM) hat 27 Mitglieder; das ÖBB-Haus 3a: NATO's ABC2030 e\u0301T."
NAMED = ["EU-Rat", "(GPT-4)", "27", "ABC2030", "das", "Österreich", "zz9", "x\u0301Y7", "日本2"]
named_texts = st.lists(
    st.one_of(st.sampled_from(NAMED), st.text(max_size=6)), min_size=1, max_size=9
).map(" ".join)


@pytest.mark.parametrize(
    ("precision", "copy"), [("fp32", True), ("fp32", False), ("bf16", True), ("int8", True)]
)
def test_no_name_is_invented(save: Save, precision: Precision, copy: bool) -> None:
    translator = Translator.load(save(copy=copy), device="cpu", precision=precision)
    invented: list[str] = []
    limits: list[dict[str, Any]] = [
        {"max_length_a": 0.0, "max_length_b": limit, "n_best": 3} for limit in range(1, 13)
    ]
    searches = SEARCHES + limits

    @settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(named_texts, min_size=len(searches), max_size=len(searches)))
    def outputs(sources: list[str]) -> None:
        chosen = [SearchOptions(**{"max_length_a": 1.0} | options) for options in searches]
        free = list(zip(sources, chosen, strict=True))
        items = [(text, dataclasses.replace(one, extractive="names")) for text, one in free]
        for source, found in zip(sources, translator.search_each(items), strict=True):
            assert isinstance(found, Translation), source
            check_names(source, found)
        for source, found in zip(sources, translator.search_each(free), strict=True):
            assert isinstance(found, Translation)
            read = " ".join(words_of(source))
            invented.extend(n for n in names_of(found.text) if not stands_in(n, read))

    outputs()
    assert invented, "there was nothing to keep from"


def test_names_in_streams_ensembles_and_at_the_command(
    save: Save, translate: Callable[..., Any]
) -> None:
    run = save()
    translator = Translator.load([run, save(copy=False)], device="cpu", precision="fp32")
    options = SearchOptions(extractive="names", min_length=12, beam_size=4, n_best=4)
    (found,) = translator.search([NAMES], options)
    check_names(NAMES, found)
    *parts, last = translator.stream(NAMES, dataclasses.replace(options, n_best=1, beam_size=1))
    assert isinstance(last, Translation)
    assert parts
    check_names(NAMES, last)
    result = translate(run, f"{NAMES}\n\n{SOURCE}\n", "--extractive", "names", "--min-length", "9")
    assert result.status == 0
    for source, output in zip((NAMES, "", SOURCE), result.lines, strict=True):
        assert all(stands_in(name, source) for name in names_of(output))


def test_names_may_be_demanded_if_the_text_has_them(summarizer: Translator) -> None:
    for prefix, constraints in (("Die gpt-4", ("ABC2030",)), ("", ("die BILSTM und", "EU"))):
        options = SearchOptions(
            extractive="names", prefix=prefix, constraints=constraints, max_length_b=9
        )
        (found,) = summarizer.search([NAMES], options)
        assert found.text.startswith(prefix)
        assert all(constraint in found.text for constraint in constraints)
        check_names(NAMES, found)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prefix": "Die GPT-40"}, r"prefix: 'GPT-40' does not stand in the text"),
        ({"constraints": ("die", "das EUR")}, r"constraints: 'EUR' does not stand in the text"),
    ],
)
def test_demanded_names_that_the_text_does_not_have_are_refused(
    summarizer: Translator, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        summarizer.search([NAMES], SearchOptions(extractive="names", **given))


def test_a_model_of_two_languages_takes_no_words(save: Save) -> None:
    run = save(task="translate", source_language="de", target_language="en")
    translator = Translator.load(run, device="cpu", precision="fp32")
    with pytest.raises(RequestError, match=r"extractive: .* de \(German\) .* en \(English\)"):
        translator.translate([SOURCE], SearchOptions(extractive="words"))


def test_other_names_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"extractive: 'all' is not known\. Use none or names or words or"
    ):
        SearchOptions(extractive="all")  # type: ignore[arg-type]
