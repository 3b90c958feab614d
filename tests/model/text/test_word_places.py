"""Where words stand in a text as it was given, however messy it is."""

import io
import unicodedata

import pytest
import sentencepiece
from hypothesis import example, given
from hypothesis import strategies as st

from model.text.normalization import normalize_source, plain_characters, plain_places
from model.text.profile import TextProfile
from model.text.segmentation import Plan, Segmenter
from model.text.tokenizer import Tokenizer
from model.text.word_places import JoinedLines, word_places
from model.translation.alignment import word_count
from model.translation.word_sources import plan_places

LIMIT = 16

bits = st.sampled_from(
    [
        *("Haus", "läuft.", "Straße!", "z. B.", "3.", "a)", "- ", "\u2022", "猫。", "งาน", "12:30"),
        *("\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "1\ufe0f\u20e3", "\u2581"),
        *("a\u0308", "o\u0302\u0323", "\ufb01n", "\uff21\uff12", "\u00adich", "\u200b", "\ufeff"),
        *("\u202eab\u202c", "Don\u00adau\u00addampf", "\u1100\u1161\u11a8", "<b>", "1", "\u2075"),
    ]
)
gaps = st.sampled_from(
    ["", "", " ", " ", "  ", "\t", "\u00a0", "\u3000", "\r\n", "\n\n- ", "\u2028", "\r", " \x1f"]
)
messy = st.lists(st.tuples(bits, gaps), max_size=40).map(
    lambda pairs: "".join(bit + gap for bit, gap in pairs)
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def plan_of(tokenizer: Tokenizer, text: str, *, rules: int, task: str, cut: bool = True) -> Plan:
    profile = TextProfile(source_language="de", normalization=rules, task=task)
    return Segmenter(tokenizer, LIMIT, profile).cut(text, on_long="cut" if cut else "refuse")


@given(messy, st.sampled_from([0, 1]), st.sampled_from(["translate", "summarize"]))
@example("\ufeffHaus \u200b \ufb01n\u00adden\r\n\r\n\U0001f600 Straße", 1, "summarize")
@example("a\u200b \u200b\t- x", 1, "translate")
@example("HausHausHaus\xa0Haus\xa0Haus", 0, "translate")
@example("HausHaus\u0e07\u0e32\u0e19\xa0Haus", 0, "translate")
@example("- \u200b \u0e07\u0e32\u0e19\u732b\u3002", 1, "summarize")
@example("Haus \u200b", 1, "summarize")
@example("\u200b Haus", 1, "summarize")
@example(" x\ty \t z\t\n\t\n \t q", 0, "summarize")
def test_each_word_is_found_as_the_model_reads_it(
    tiny_tokenizer: Tokenizer, text: str, rules: int, task: str
) -> None:
    plan = plan_of(tiny_tokenizer, text, rules=rules, task=task)
    found = plan_places(plan, tiny_tokenizer)
    assert len(found) == len(plan.parts)
    end = 0
    for part, places in zip(plan.parts, found, strict=True):
        if isinstance(part, str):
            words = [plain_characters(word, rules) for word in part.split()]
        else:
            # What the network reads, word by word.
            read = "".join(tiny_tokenizer.decode(part))
            words = [word for word in read.split(" ") if word]
            assert len(places) == word_count([tiny_tokenizer.piece(id) for id in part])
        given_words = [normalize_source(text[first:last], rules) for ((first, last),) in places]
        if isinstance(part, str):
            assert [plain_characters(word, rules) for word in given_words] == words
        else:
            # A part that is cut beside a no-break space begins or ends with it; the place does not.
            stripped = [word.strip("\xa0") for word in words]
            assert [unicodedata.normalize("NFC", word) for word in given_words] == stripped
        for ((first, last),) in places:
            assert end <= first < last <= len(text)
            end = last


@given(messy)
def test_the_parts_cover_the_text_in_order(tiny_tokenizer: Tokenizer, text: str) -> None:
    plan = plan_of(tiny_tokenizer, text, rules=1, task="translate")
    end = 0
    for first, last in plan.places:
        assert not plain_characters(text[end:first]), "nothing but what normalisation removes"
        end = last
    assert not plain_characters(text[end:])


@given(messy)
def test_plain_characters_are_traced_back(text: str) -> None:
    plain, places = plain_characters(text), plain_places(text)
    assert len(plain) == len(places)
    for character, place in zip(plain, places, strict=True):
        assert character in plain_characters(text[place])


def test_places_by_hand() -> None:
    text = "\ufeff  Der\u00a0Hund \u200b l\u00aduft\u2028\u202edas"
    assert [text[start:end] for start, end in word_places(text, (0, len(text)), 1)] == [
        *("Der", "Hund", "l\u00aduft", "das"),
    ]
    assert word_places(" a \u200bb\u200b ", (1, 6), 1) == [(1, 2), (4, 5)]
    assert word_places("a\tb c\t\n\td", (0, 9), 0) == [(0, 3), (4, 5), (8, 9)]


def test_joined_lines_are_traced_back() -> None:
    lines = JoinedLines("\n  ein Haus \r\n\r\n\tist \n")
    assert lines.joined == "ein Haus ist"
    assert lines.span(0, 12) == (3, 20)
    assert lines.span(4, 8) == (7, 11)
    assert lines.span(9, 11) == (17, 19)


def test_a_text_that_is_cut_has_places_only_for_what_is_read(tiny_tokenizer: Tokenizer) -> None:
    text = "\n" + "der Hund läuft.\n" * 20
    plan = plan_of(tiny_tokenizer, text, rules=1, task="summarize")
    assert plan.truncated_source
    places = [place for part in plan_places(plan, tiny_tokenizer) for place in part]
    words = [text[start:end] for ((start, end),) in places]
    assert words == text.split()[: len(words)]
    assert 3 <= len(words) < 60


@pytest.mark.parametrize("split_by_space", [True, False])
def test_words_of_a_tokenizer_with_a_normalisation_of_its_own(split_by_space: bool) -> None:
    """NFKC makes two words of "ein\u00a8x", and one word of what it leaves out nothing."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["der Hund läuft", "das Haus"] * 20),
        model_writer=written,
        vocab_size=60,
        hard_vocab_limit=False,
        split_by_whitespace=split_by_space,
        minloglevel=2,
    )
    tokenizer = Tokenizer(written.getvalue())
    text = "der \u0007 Hund\u00a8x das Haus"
    plan = plan_of(tokenizer, text, rules=0, task="summarize")
    (places,) = plan_places(plan, tokenizer)
    (source,) = plan.sources
    assert len(places) == word_count([tokenizer.piece(id) for id in source])
    words = [text[start:end] for ((start, end),) in places]
    if split_by_space:
        assert words == ["der", "Hund\u00a8x", "Hund\u00a8x", "das", "Haus"]
    else:
        assert set(words) == {text}
