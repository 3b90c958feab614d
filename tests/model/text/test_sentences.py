"""Sentence ends: valid for every text, as good as measured, and each rule where it matters."""

import unicodedata
from itertools import pairwise

import pytest
import sentencex
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.sentences import SENTENCES, read_sentences
from model.text.sentences import (
    _HIDDEN,
    _STRETCH,
    _without_hidden,
    may_have_several,
    sentence_ends,
)

LANGUAGES = ["", "de", "en", "fr", "es", "el", "ja", "hi", "am", "my", "ru", "pt-BR", "xx"]
PIECES = [
    *"aAÄzZ19.!?…।。؟\u06d4\u0589።။;:\u201e\u201c\u201d«»\u2039\u203a\u2018\u2019'\"()[]「」\uff08\uff09-\u2013•*ßقก字क",
    *("\u0301", "\u0e31", "\u0e33", "\u17b6", "\u0bbe", "\u200d", "\u200c", "\ufe0f", "\uff9e"),
    *(
        "😀",
        "👍🏽",
        "🇩🇪",
        "👨\u200d👩\u200d👧",
        "क्षि",
        "...",
        "?!",
        " Das",
        " M.",
        " etc.",
        " 3.",
        " I",
    ),
    *(" ", " ", " ", " ", "\u00a0", "\u202f", "\t", "\u2003", "\u3000", "\u0085", ". ", "! ", ". "),
]
texts = st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


@given(texts, st.sampled_from(LANGUAGES))
def test_ends_are_valid(text: str, language: str) -> None:
    ends = sentence_ends(text, language)
    assert ends == sorted(set(ends))
    assert all(0 < end < len(text.rstrip()) for end in ends)
    bounds = [0, *ends, len(text)]
    parts = [text[start:end] for start, end in pairwise(bounds)]
    assert "".join(parts) == text
    if ends:
        assert all(any(c.isalpha() for c in part) for part in parts)
        assert may_have_several(text)
    for part in parts[1:]:
        first = part.lstrip()[0]
        assert unicodedata.category(first)[0] != "M"
        assert first not in "\u200c\u200d\ufe0f\uff9e\u0e33"
    assert not any(part[-1].isspace() for part in parts[:-1])


ALLOWED = {"de": (1, 0), "en": (3, 1), "es": (1, 0)}
"""Missed and wrong ends of the file, as measured; all of its other languages have none."""


@pytest.mark.parametrize("language", sorted({row[0] for row in read_sentences(SENTENCES)}))
def test_as_good_as_measured(language: str) -> None:
    missed, wrong = [], []
    for tag, line, ends in read_sentences(SENTENCES):
        if tag == language:
            found = set(sentence_ends(line, language))
            missed += [line[:end] for end in ends - found]
            wrong += [line[:end] for end in found - ends]
    allowed = ALLOWED.get(language, (0, 0))
    assert len(missed) <= allowed[0], missed
    assert len(wrong) <= allowed[1], wrong


def test_the_file_is_large_enough() -> None:
    rows = read_sentences(SENTENCES)
    for language in ("de", "fr", "en", "es"):
        assert sum(len(ends) + 1 for tag, _, ends in rows if tag == language) >= 100
    assert all("|" not in line and line == line.strip() for _, line, _ in rows)


def marked(text: str) -> tuple[str, list[int]]:
    """The line and its ends, from one in which "|" stands after each end."""
    *sentences, _ = text.split("|")
    ends = [sum(map(len, sentences[: i + 1])) for i in range(len(sentences))]
    return text.replace("|", ""), ends


@pytest.mark.parametrize(
    ("language", "text"),
    [
        # Abbreviations the library lacks, and those that may end a sentence.
        ("fr", "M. Dupont et MM. Petit sont là.| Mme. Curie aussi."),
        ("de", "Sie wohnt in der Hauptstr. Das."),
        ("de", "Wir essen Brot, Käse usw. Wein kaufen wir noch."),
        ("de", "Wir essen Brot, Käse usw.| Er isst nichts."),
        ("en", "The U.S. Army left."),
        ("en", "She lives in the U.S.| He does not."),
        ("fr", "Voir l'art. 5 du code et l'av. Foch."),
        # Words that the library takes for abbreviations, and what is before an apostrophe.
        ("en", "He saw me.| Tom left."),
        ("en", "Is No. 5 here?| I see no. 7."),
        ("en", "I can't.| It isn't Mary's.| Tom left."),
        # Numbers.
        ("de", "Der 2. Weltkrieg und das 19. Jahrhundert."),
        ("de", "Er ist 30.| Sie ist 28."),
        ("de", "Der Krieg endete 1945.| Frieden kam."),
        ("de", "Zum 1000. Besucher kam der Chef."),
        ("de", "Der Zug fährt um 8.30.| Bitte beeilen!"),
        ("de", "Am 24.12. Heiligabend feiern."),
        ("de", "Karl V. Herrscher von Spanien."),
        ("de", "König Ludwig XIV. Herrscher von Frankreich."),
        ("de-AT", "Der 2. Weltkrieg ist vorbei."),
        ("cs", "To je Karel IV. Lucemburský."),
        ("", "Der 2. Weltkrieg ist vorbei."),
        ("", "He is 30. She is 28."),
        ("en", "He is 30.| She is 28."),
        ("fr", "Il mesure 1.85 m.| Bien."),
        # Initials.
        ("fr", "J. S. Bach et J.-P. Martin."),
        ("ru", "\u0410. \u0421. Пушкин писал."),
        # What follows in lower case goes on, unless the whole line is in lower case.
        ("en", "Do you know Yahoo! and Google?"),
        ("en", "Well ... so it goes."),
        ("en", "we are coming.| please wait."),
        ("en", "i don't know ... maybe."),
        # Addresses, file names and versions.
        ("fr", "Visitez www.exemple.fr.| Ils y sont."),
        ("en", "Open report.pdf in version 2.3.1."),
        # Quotations and parentheses.
        ("de", "\u201eIch weiß nicht.| Vielleicht.\u201c| Sie lachte."),
        ("en", '"Why? No!" he asked.| "Because."| She smiled.'),
        ("en", "It was long ago (very long. Very!).| He left."),
        ("de", "(Das war gut.)| Es ging weiter."),
        ("fr", "« Viens ! » cria-t-elle.| « Non. »| Bien."),
        ("de", "Er rief: Halt!| »Warum?«| Sie ging."),
        ("ja", "「行きます。」と言った。|彼は笑った。"),
        ("zh", "\u201c你好吗\uff1f\u201d她问。|他说\uff1a\u201c很好。\u201d|她走了。"),
        # Emoji, smileys and notes stay with the sentence that they end.
        ("de", "Toll! 😀👍🏽| Kommst du?| Ja! :-)| Gut."),
        ("ja", "すごい\uff01😀|本当\uff1f"),
        ("en", "This is known.[1]| That is not."),
        # List marks.
        ("de", "1. Das Haus ist rot."),
        ("en", "a. The house is red."),
        ("en", "iv. The house is red."),
        ("en", "• 2) The house is red.| It is old."),
        ("en", "1.2. The house is red.| It is old."),
        ("de", "\u2013 Das Haus ist rot.| \u2013 Es ist alt."),
        # No part without letters, and none that is only a number.
        ("en", "First!| 2. The house is red! 3!"),
        ("en", "Oh! !! ?| Yes."),
        ("en", "... !! Oh.| Yes."),
        # Marks of other scripts, in every language.
        ("de", "यह है।| वह है॥| هل؟| نعم\u06d4| ነው።| ነው፧| է\u0589| 是｡|是\uff1f|是\uff01|ok"),
        ("en", "字。|字"),
        ("el", "Πού είσαι;| Εδώ."),
        ("en", "Here; There."),
        # Nothing is parted from its combining marks.
        ("my", "က။\u1031က"),
        ("th", "ก! \u0e31ก"),
        ("ja", "か。\uff9e|か"),
        ("ja", "か。 \u200dか"),
        # White space of other kinds is white space.
        ("fr", "Viens\u202f!|\u00a0Toi.|\u2003Moi.|\tLui."),
        ("en-GB", "Mr.\u00a0Smith came.|\u00a0He left."),
        ("DE", "Das ist z. B.\u00a0Wein."),
    ],
)
def test_rules(language: str, text: str) -> None:
    line, ends = marked(text)
    assert sentence_ends(line, language) == ends


def test_a_long_speech_is_cut() -> None:
    speech = " ".join(
        ["\u201e" + "Wort " * 20 + "ist da.", "Wort " * 20 + "ist hier.\u201c", "Ja."]
    )
    assert len(sentence_ends(speech, "de")) == 2


@pytest.mark.parametrize("fails", [" A\u00a0.-"])
def test_a_library_that_panics_leaves_a_simple_rule(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], fails: str
) -> None:
    line, ends = marked("Das ist z. B. ein Haus.| Dr. Maier kommt bald.| Gut.")
    segment = sentencex.segment
    with pytest.raises(BaseException, match="index") as panic:
        segment("fr", fails)
    assert not isinstance(panic.value, Exception)
    monkeypatch.setattr(sentencex, "segment", lambda language, text: segment("fr", fails))
    assert sentence_ends(line, "de") == ends
    capfd.readouterr()  # the panic tells its story


def test_a_library_that_loses_text_leaves_a_simple_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    line, ends = marked("Das ist z. B. ein Haus.| Dr. Maier kommt bald.| Gut.")
    monkeypatch.setattr(sentencex, "segment", lambda language, text: text.split(" "))
    assert sentence_ends(line, "de") == ends


def interrupted(language: str, text: str) -> list[str]:
    raise KeyboardInterrupt


def test_an_interrupt_is_no_panic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentencex, "segment", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sentence_ends("Das ist ein Haus. Dort ist noch eines.", "de")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Das ist ein Haus.",
        "Das kostet 4.20 Euro bei www.x.de!\u2003 ",
        "Was?!",
        "好。",
        "a,b: c",
    ],
)
def test_one_sentence_is_seen_at_once(line: str) -> None:
    assert not may_have_several(line)
    assert sentence_ends(line, "de") == []


SIZE = 1_000_000


@pytest.mark.parametrize(
    ("piece", "count"),
    [
        *[
            (piece, 0)
            for piece in ("x", "!", ".a", "\u0301", "(", '"(', " ", "«", "😀", ".\u200d", "[1")
        ],
        *[("!😀", 0), ("Das ist ein langer Satz von heute. ", 28_570)],
    ],
)
def test_long_lines_end(piece: str, count: int) -> None:
    """Quadratic work on any of them would take hours."""
    line = piece * (SIZE // len(piece))
    assert len(sentence_ends(line, "de")) == count


@pytest.mark.parametrize(
    "piece", ["字。", "« Da. ", '"Da. ', "1. ", ". 😀 ", "! ! ", "Da. Ja... ", "'Da. "]
)
def test_long_lines_of_many_marks_end(piece: str) -> None:
    assert len(sentence_ends(piece * (SIZE // 5 // len(piece)), "fr")) < SIZE // 5


def test_what_is_far_away_does_not_matter() -> None:
    """The library sees a long line in stretches, whose bounds are no ends of sentences."""
    line, ends = marked("Das ist z. B. ein Haus von Dr. Maier.| " * 1000 + "Gut.")
    assert sentence_ends(line, "de") == ends


@pytest.mark.parametrize("shift", range(5))
def test_what_is_hidden_does_not_depend_on_the_stretch(shift: int) -> None:
    line = ("x" * (_STRETCH - shift) + " a's 'b' ") * 3 + "' \u201cl'art.\u2019"
    assert _without_hidden(line) == _HIDDEN.sub(" ", line)
