"""Names of the source in the engine: against every output there is, and in searches of all kinds.

`model.text.names` says what is right; it looks at whole texts and knows nothing of pieces.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding.beam_search import Hypothesis, length_penalty
from model.decoding.engine import Engine
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import Runnable, runnable
from model.decoding.request import Finished, Request
from model.decoding.rules.word_limits import PieceWords
from model.decoding.source_names import NEVER, NEW, NamePieces, NameTable, SourceNames
from model.network.seq2seq import Seq2Seq
from model.text.names import names_of, stands_in
from model.translation.ensemble import Ensemble
from tests.model.decoding.conftest import never

MakeNetwork = Callable[..., Seq2Seq]
Search = Callable[..., list[tuple[Hypothesis, ...]]]
Pieces = tuple[int, ...]

CONTROL = ["", "", "", ""]
CPU = torch.device("cpu")


class Words:
    """A vocabulary of a few pieces, the first of which is piece 4."""

    def __init__(self, *texts: str, spelt: bytes = b"") -> None:
        """`spelt` are bytes that have pieces of their own, behind the texts."""
        self.texts = [*CONTROL, *texts, *("\ufffd" for _ in spelt)]
        self.byte_of = dict(enumerate(spelt, 4 + len(texts)))
        self.pieces = NamePieces(self.texts, self.byte_of)

    def text(self, output: Sequence[int]) -> str:
        spelt = (
            bytes([self.byte_of[id]]) if id in self.byte_of else self.texts[id].encode()
            for id in output
        )
        return b"".join(spelt).decode(errors="replace")

    def right(self, output: Sequence[int], source: str) -> bool:
        return all(stands_in(name, source) for name in names_of(self.text(output)))

    def outputs(self, limit: int) -> Iterator[Pieces]:
        ids = range(4, len(self.texts))
        return (y for n in range(limit + 1) for y in itertools.product(ids, repeat=n))

    def allowed(self, source: str, limit: int) -> list[Pieces]:
        """Every output that the rule lets be written piece by piece, in any order."""
        names, found = SourceNames(self.pieces, source), []
        waiting: list[tuple[int, Pieces]] = [(NEW, ())]
        while waiting:
            state, output = waiting.pop()
            if names.may_end(state):
                found.append(output)
            if len(output) == limit:
                continue
            table = NameTable.of([names], [[state]], [[limit - len(output) - 1]], CPU)
            free = (~self.pieces.forbidden[names.kind(state)]).nonzero().flatten().tolist()
            fits = (table.need <= limit - len(output) - 1).tolist()
            free += [id for id, fit in zip(table.piece.tolist(), fits, strict=True) if fit]
            for id in set(free) - {3}:
                after = names.after(state, id)
                assert after is not None
                waiting.append((after, (*output, id)))
        return found


VOCABULARIES = [
    Words(" a", "b", "B", "1", "-"),
    Words(" ", "a", "A", "2", "_", " (A"),
    Words(" a-", "-B1", "B1)", "b", " A a1", "\u00a0B"),  # signs and spaces within pieces
    Words(" ß", "ẞ", "ς", "Σ", "²", "ǅ"),
    Words(" AB", "C", "D", "E", " Ab"),  # names that not every piece can complete
]
SOURCES = [
    "",
    "a b B 1",
    "ab a-b a-b1 (A-B) b1",
    "abc abcd abcde b1-b1-b1",
    "A_2 a1b ab1 _a_",
    "ßς ßΣ σ² ßǅ",
    "a1, b1. (b1)-a (a a1)",
]


@pytest.mark.parametrize("words", VOCABULARIES, ids=lambda words: "".join(words.texts))
@pytest.mark.parametrize("source", SOURCES)
def test_every_right_output_can_be_written_and_no_other(words: Words, source: str) -> None:
    for limit in range(5):
        right = [output for output in words.outputs(limit) if words.right(output, source)]
        assert sorted(words.allowed(source, limit)) == sorted(right), limit


def test_characters_in_bytes_are_read_as_characters() -> None:
    """é, É and the space that does not break, of C2, C3, A9, 89 and A0, in names and without."""
    words = Words(" B", "1", "b", spelt=b"\xc2\xc3\xa9\x89\xa0")
    texts = {}
    for source in ("bé1 bb", "b1"):
        allowed = words.allowed(source, 4)
        assert all(words.right(output, source) for output in allowed)
        texts[source] = {words.text(output) for output in allowed}
    for other in (" bé", " bÉ"):  # no source has a word of it, and it is a name
        assert not any(text.startswith(other[:1] + "bÉ") for text in texts["b1"])
    assert {" Bé1", " BÉ1", " Bb"} <= texts["bé1 bb"]
    assert {" Bé", " B\u00a0", " Bb", " B1"} <= texts["b1"]
    assert " Bé1" not in texts["b1"]
    assert not any("BÉ" in text for text in texts["b1"])


def test_a_long_run_of_letters_takes_no_stack_and_little_time() -> None:
    words = Words(" A", "a", "A")
    for automaton, fewest in ((never(7, (4, 4)), 4998), (never(7, (5,), (6, 6)), NEVER)):
        names = SourceNames(words.pieces, "a" * 5000)
        first = names.after(NEW, 4)
        assert first is not None
        assert names.needs(first).tolist() == [4998]
        second = names.after(first, 6)
        assert second is not None
        assert names.fewest(second, automaton, 0) == fewest


# In the engine

VOCAB = Words(" a", " B", "b", "B", "1", "-", "é", " ", " B1", "bB", ": ", spelt=b"\xc3\xa9\x89")
SIZE = len(VOCAB.texts)
BEGINS = PieceWords.of(VOCAB.texts)


def request(source: str, **options: Any) -> Request:
    fields = {name: options.pop(name) for name in ("avoid", "constraints") if name in options}
    chosen: dict[str, Any] = {"max_length_a": 0, "max_length_b": 8, "extractive": "names"} | options
    return Request(
        src=tuple(4 + ord(character) % (SIZE - 4) for character in source) or (4,),
        options=SearchOptions(**chosen),
        source_names=SourceNames(VOCAB.pieces, source),
        min_words=chosen.get("min_words", 0),
        max_words=chosen.get("max_words", 0),
        **fields,
    )


def test_a_wide_beam_finds_every_right_output(
    make_network: MakeNetwork, forced: Callable[..., Any], search_all: Search
) -> None:
    words, source, limit = Words(" B", "b", "-", "1"), "bb1", 3
    network = make_network(len(words.texts))
    options = SearchOptions(beam_size=64, n_best=64, max_length_a=0, max_length_b=limit)
    asked = Request(src=(4, 5, 7), options=options, source_names=SourceNames(words.pieces, source))
    expected = []
    for output in words.outputs(limit):
        if words.right(output, source):
            log_prob = forced(network, asked.src, output).log_prob
            penalty = length_penalty(options, torch.tensor(len(output) + 1))
            expected.append((-log_prob / float(penalty), output))
    expected.sort()
    assert 30 < len(expected) < 64
    (found,) = search_all(network, [asked])
    assert [h.pieces for h in found] == [output for _, output in expected]
    assert [h.score for h in found] == pytest.approx([-s for s, _ in expected], abs=1e-4)


CASES: list[dict[str, Any]] = [
    {"beam_size": 1},
    {"n_best": 5},
    {"beam_size": 1, "min_length": 9},
    *({"max_length_b": limit, "n_best": 5} for limit in range(13)),
    *({"max_length_b": limit, "min_length": limit, "beam_size": 1} for limit in range(1, 13)),
    {"no_repeat_ngram": 1, "n_best": 5},
    {"no_repeat_ngram": 2, "min_length": 6},
    {"temperature": 1.0, "n_best": 5},
    {"temperature": 2.0, "top_k": 2, "min_length": 5, "seed": 4},
    {"temperature": 1.5, "top_p": 0.5, "n_best": 5, "no_repeat_ngram": 2},
    {"diverse_groups": 5, "n_best": 5},
    {"beam_size": 4, "diverse_groups": 2, "max_length_b": 5},
    {"coverage_beta": 0.5, "word_reward": 0.5, "n_best": 5},
    {"min_words": 2, "max_words": 3, "n_best": 5},
    {"min_words": 4, "max_length_b": 5},
    {"max_words": 1, "beam_size": 1, "min_length": 8},
    {"n_best": 5, "avoid": lambda: never(SIZE, (8, 4), (7, 6))},
    {"beam_size": 1, "min_length": 9, "avoid": lambda: never(SIZE, (8,), (5, 6), (9,), (4, 7))},
    {"temperature": 1.0, "min_length": 4, "avoid": lambda: never(SIZE, (8,), (12, 12, 5))},
]

sources = st.lists(
    st.text("abB1-é (", max_size=5) | st.sampled_from(["BbB-1", "a1", "bb1", "béb", "1-1-1"]),
    max_size=7,
).map(lambda words: " ".join(words)[:30])


def network_of(kind: str, make_network: MakeNetwork, seed: int = 1) -> Runnable:
    network = make_network(SIZE, copy="copy" in kind, coverage="copy" in kind, seed=seed)
    with torch.no_grad():
        network.output.bias[7:13] += 2.0  # it likes what makes names
    if "int8" in kind:
        return runnable(network, torch.int8)
    return network.to(torch.bfloat16) if "bf16" in kind else network


@pytest.mark.parametrize("kind", ["fp32", "bf16", "int8", "fp32 copy", "int8 copy"])
def test_every_search_writes_no_other_names(
    make_network: MakeNetwork, search_all: Search, kind: str
) -> None:
    @settings(max_examples=4)
    @given(st.lists(sources, min_size=len(CASES), max_size=len(CASES)), st.integers(1, 99))
    def outputs(drawn: list[str], seed: int) -> None:
        network = network_of(kind, make_network, seed)
        requests = [request(one, **case) for one, case in zip(drawn, CASES, strict=True)]
        found = search_all(network, requests, max_source=30, words=BEGINS)
        for source, asked, hypotheses in zip(drawn, requests, found, strict=True):
            assert hypotheses, "no output at all"
            for hypothesis in hypotheses:
                text = VOCAB.text(hypothesis.pieces)
                assert VOCAB.right(hypothesis.pieces, source), (source, text)
                if not asked.options.temperature:
                    assert len(text.split()) >= asked.min_words
                if asked.avoid is not None:
                    assert not avoided(hypothesis.pieces, asked)

    outputs()


def avoided(output: Pieces, asked: Request) -> bool:
    assert asked.avoid is not None
    automaton, state = asked.avoid(), 0
    for piece in output:
        state = int(automaton.following[state, piece])
        if state < 0:
            return True
    return False


ORDINARY = ["bB1 a b1", "BbB-1 b1, 1-1-1", "a b", "", "(b1)-a éb", "1 11 111 b", "abé-B1"]


@pytest.mark.parametrize("kind", ["fp32", "int8 copy"])
def test_an_output_does_not_see_its_company(
    make_network: MakeNetwork, search_all: Search, kind: str
) -> None:
    network = network_of(kind, make_network)
    numbered = list(zip(itertools.cycle(ORDINARY), CASES, strict=False))
    requests = [request(source, **case) for source, case in numbered]
    requests += [Request(src=asked.src, options=SearchOptions()) for asked in requests[:6]]
    settings_ = {"max_source": 30, "words": BEGINS}
    alone = [search_all(network, [asked], **settings_)[0] for asked in requests]
    again = [request(source, **case) for source, case in numbered] + requests[-6:]
    assert search_all(network, again, **settings_, max_rows=20) == alone


def test_an_ensemble_writes_no_other_names(make_network: MakeNetwork, search_all: Search) -> None:
    members = [make_network(SIZE, seed=seed) for seed in (1, 2)]
    requests = [request(source, n_best=5) for source in ORDINARY]
    found = search_all(Ensemble(members), requests, max_source=30)
    for source, hypotheses in zip(ORDINARY, found, strict=True):
        for hypothesis in hypotheses:
            assert VOCAB.right(hypothesis.pieces, source)


def test_without_the_rule_the_network_invents(
    make_network: MakeNetwork, search_all: Search
) -> None:
    """So the other tests can fail; with it, names are written, too."""
    network = network_of("fp32", make_network)
    plain = [Request(src=one.src, options=one.options) for one in map(request, ORDINARY)]
    wrong = [
        not VOCAB.right(hypotheses[0].pieces, source)
        for source, hypotheses in zip(ORDINARY, search_all(network, plain), strict=True)
    ]
    assert sum(wrong) > 4
    found = search_all(network, [request(source, n_best=5) for source in ORDINARY])
    names = [names_of(VOCAB.text(one.pieces)) for hypotheses in found for one in hypotheses]
    assert sum(map(len, names)) > 4


def test_constraints_go_together_with_names(make_network: MakeNetwork, search_all: Search) -> None:
    source = "bB B-1 a Bb"
    continues = torch.tensor([text[:1] in set("bB1é") and text != "" for text in VOCAB.texts])
    for constraint in ((5, 6), (5, 9, 8), (4,)):
        asked = request(source, constraints=(constraint,), no_repeat_ngram=1)
        ((best, *_),) = search_all(network_of("fp32", make_network), [asked], continues=continues)
        assert VOCAB.right(best.pieces, source)
        assert VOCAB.text(constraint) in VOCAB.text(best.pieces)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_every_search_on_cuda_writes_no_other_names(make_network: MakeNetwork) -> None:
    engine = Engine(
        make_network(SIZE, copy=True), device=torch.device("cuda"), max_source=30, words=BEGINS
    )
    asked = {}
    for source, case in zip(itertools.cycle(ORDINARY), CASES, strict=False):
        asked[engine.add(request(source, **case))] = source
    while engine.busy:
        for event in engine.step():
            if isinstance(event, Finished):
                source = asked.pop(event.id)
                assert event.hypotheses
                for hypothesis in event.hypotheses:
                    assert VOCAB.right(hypothesis.pieces, source)
    assert not asked
