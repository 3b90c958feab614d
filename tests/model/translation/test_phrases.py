"""From the text of options to what the engine is asked."""

import dataclasses

import pytest

from model.decoding.options import SearchOptions
from model.errors import RequestError
from model.text.tokenizer import Tokenizer
from model.translation.phrases import Phrases

SOURCES = [(5, 6), (7,)]


@pytest.fixture(scope="module")
def phrases(tiny_tokenizer: Tokenizer) -> Phrases:
    return Phrases(tiny_tokenizer)


def test_plain_options_make_plain_requests(phrases: Phrases) -> None:
    options = SearchOptions(beam_size=3)
    for request, src in zip(phrases.requests(SOURCES, options), SOURCES, strict=True):
        assert (request.src, request.options) == (src, options)
        assert (request.prefix, request.constraints, request.avoid) == ((), (), None)
    assert phrases.requests([], options) == []


def test_text_becomes_pieces(phrases: Phrases, tiny_tokenizer: Tokenizer) -> None:
    options = SearchOptions(prefix="der ", constraints=(" Hund", "die Frau"), avoid=(".",))
    (request,) = phrases.requests(SOURCES[:1], options)
    assert request.prefix == tuple(tiny_tokenizer.encode("der "))
    assert request.constraints == (
        tuple(tiny_tokenizer.encode("Hund")),
        tuple(tiny_tokenizer.encode("die Frau")),
    )
    assert request.avoid is not None
    stop = tiny_tokenizer.subwords()["."][0]
    assert request.avoid().following[0, stop] < 0


def test_the_prefix_belongs_to_the_first_part(phrases: Phrases) -> None:
    first, second = phrases.requests(SOURCES, SearchOptions(prefix="der", avoid=("rot",)))
    assert first.prefix
    assert not second.prefix
    assert first.avoid is second.avoid


def test_equal_avoid_lists_are_one(phrases: Phrases) -> None:
    one, other, third = (
        phrases.requests(SOURCES[:1], SearchOptions(avoid=avoid, beam_size=beam))[0].avoid
        for avoid, beam in ((("rot", "Hund"), 1), (("rot ", "Hund"), 2), (("rot",), 1))
    )
    assert one is other
    assert one is not third


def test_several_translations_are_chosen_among_all(phrases: Phrases) -> None:
    options = SearchOptions(beam_size=7, n_best=2)
    (request,) = phrases.requests(SOURCES[:1], options)
    assert request.options == dataclasses.replace(options, n_best=7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            SearchOptions(constraints=("der Hund " * 40,)),
            r"constraints: they have 200 pieces, but at most 62",
        ),
        (
            SearchOptions(avoid=("日本",)),
            r"avoid: '日本' has '日', for which this model has no piece",
        ),
    ],
)
def test_what_the_model_cannot_do_is_refused(
    phrases: Phrases, options: SearchOptions, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        phrases.check(options)
    with pytest.raises(RequestError, match=message):
        phrases.requests(SOURCES[:1], options)


def test_words_are_limited_by_those_of_the_source(
    phrases: Phrases, tiny_tokenizer: Tokenizer
) -> None:
    sources = [tuple(tiny_tokenizer.encode(text)) for text in ("der Hund", "die Frau und ein Mann")]
    requests = phrases.requests(sources, SearchOptions(ratio=0.5))
    assert [(request.min_words, request.max_words) for request in requests] == [(0, 1), (2, 3)]
    (request,) = phrases.requests(sources[:1], SearchOptions(min_words=3, max_words=4))
    assert (request.min_words, request.max_words) == (3, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            SearchOptions(max_words=2, prefix="der Hund", constraints=("Frau",)),
            r"max_words: 2 words are the most, but prefix and constraints have 3\. Raise max_words",
        ),
        (
            SearchOptions(ratio=0.5, constraints=("Hund", "Frau")),
            r"ratio: 1 words are the most, but prefix and constraints have 2",
        ),
        (
            SearchOptions(ratio=0.5, min_words=2),
            r"min_words: 2, but ratio 0\.5 allows 1 words for this source\. Lower min_words",
        ),
        (
            SearchOptions(min_words=9, max_length_a=0, max_length_b=8),
            r"min_words: 9 words are the least, .* may have 8 pieces\. Raise max_length_b",
        ),
    ],
)
def test_words_that_do_not_go_together_are_refused(
    phrases: Phrases, tiny_tokenizer: Tokenizer, options: SearchOptions, message: str
) -> None:
    source = tuple(tiny_tokenizer.encode("der Hund"))
    with pytest.raises(RequestError, match=message) as error:
        phrases.requests([source], options)
    assert "\n" not in str(error.value)


def test_pieces_of_a_prefix_leave_room_for_fewer_words(
    phrases: Phrases, tiny_tokenizer: Tokenizer
) -> None:
    count = len(tiny_tokenizer.encode("Hunde"))
    assert count > 1
    fits = SearchOptions(min_words=4, prefix="Hunde", max_length_a=0, max_length_b=count + 3)
    assert phrases.requests([(5,)], fits)
    with pytest.raises(RequestError, match=r"min_words: 4 words"):
        phrases.requests([(5,)], dataclasses.replace(fits, max_length_b=count + 2))


def test_words_of_a_text_in_parts_are_refused(phrases: Phrases) -> None:
    for name, options in (
        ("min_words", SearchOptions(min_words=3)),
        ("max_words", SearchOptions(max_words=3)),
    ):
        with pytest.raises(RequestError, match=rf"{name}: .* in 2 parts, .* Use ratio"):
            phrases.requests(SOURCES, options)


def test_constraints_on_a_text_in_parts_are_refused(phrases: Phrases) -> None:
    with pytest.raises(RequestError, match=r"translated in 2 parts"):
        phrases.requests(SOURCES, SearchOptions(constraints=("Hund",)))
