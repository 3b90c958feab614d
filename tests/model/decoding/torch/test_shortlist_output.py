"""Search over shortlists: the same search, over fewer pieces, still alone as in company."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.config import ModelConfig
from model.decoding.beam_search import Hypothesis
from model.decoding.engine import Engine, Finished, Request
from model.decoding.lexical_shortlist import Shortlist
from model.decoding.options import SearchOptions
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID

VOCAB = 600
OPTIONS = SearchOptions(beam_size=4, n_best=4, max_length_a=1.0, max_length_b=5)
DTYPES = [torch.float32, torch.bfloat16, torch.int8]


def network(copy: bool = False) -> Seq2Seq:
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=VOCAB,
        embedding_size=64,
        encoder_size=128,
        decoder_size=64,
        copy=copy,
        max_length=40,
    )
    return Seq2Seq(config).eval()


def shortlist(candidates: int) -> Shortlist:
    """Every piece goes with itself and the next ones; with `VOCAB` of them, with all."""
    following = np.arange(VOCAB)[:, None] + np.arange(candidates)[None, :]
    return Shortlist(
        candidates=(EOS_ID + following % (VOCAB - EOS_ID)).astype(np.int32),
        frequent=np.array([EOS_ID, 50], dtype=np.int32),
        byte_pieces=np.zeros(0, dtype=np.int32),
    )


def search(engine: Engine, requests: list[Request]) -> list[tuple[Hypothesis, ...]]:
    """The hypotheses of each request, some of which join late."""
    chance = random.Random(0)
    waiting = dict(enumerate(requests))
    owner: dict[int, int] = {}
    found: dict[int, tuple[Hypothesis, ...]] = {}
    while waiting or engine.busy:
        if waiting and (chance.random() < 0.5 or not engine.busy):
            number = min(waiting)
            owner[engine.add(waiting.pop(number))] = number
        for event in engine.step():
            if isinstance(event, Finished):
                found[owner[event.id]] = event.hypotheses
    return [found[number] for number in range(len(requests))]


def requests(count: int) -> list[Request]:
    chance = random.Random(1)
    sources = [
        tuple(chance.randrange(4, VOCAB) for _ in range(chance.randint(1, 35)))
        for _ in range(count)
    ]
    return [Request(src=src, options=OPTIONS) for src in sources]


@pytest.mark.parametrize("copy", [False, True])
def test_a_list_of_all_pieces_changes_nothing(copy: bool) -> None:
    """But PAD, UNK and BOS, which no list has: here they have no probability."""
    model = network(copy)
    with torch.no_grad():
        model.output.bias[:EOS_ID] = -1e4
    full = search(Engine(model), requests(6))
    listed = search(Engine(model, shortlist=shortlist(VOCAB)), requests(6))
    for ours, theirs in zip(listed, full, strict=True):
        assert [h.pieces for h in ours] == [h.pieces for h in theirs]
        assert [h.log_prob for h in ours] == pytest.approx([h.log_prob for h in theirs], abs=1e-4)


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_only_listed_pieces_and_the_same_bits_in_any_company(
    dtype: torch.dtype, copy: bool
) -> None:
    """Sources of up to 35 pieces have lists of up to 300: the buffers widen on the way."""
    model, table, asked = network(copy), shortlist(9), requests(12)
    together = search(Engine(model, dtype=dtype, shortlist=table, max_rows=20), asked)
    for request, found in zip(asked, together, strict=True):
        (alone,) = search(Engine(model, dtype=dtype, shortlist=table), [request])
        assert found == alone
        allowed = set(table.of(request.src).tolist())
        assert all(set(hypothesis.pieces) <= allowed for hypothesis in found)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_short_source_copies_in_a_slot_that_held_a_long_one(dtype: torch.dtype) -> None:
    """The buffers of its list become narrower than the columns of the one before."""
    chance = random.Random(5)
    long, short = (
        Request(src=tuple(chance.randrange(4, VOCAB) for _ in range(size)), options=OPTIONS)
        for size in (35, 3)
    )
    model, table = network(copy=True), shortlist(9)
    one_slot = Engine(model, dtype=dtype, shortlist=table, max_rows=OPTIONS.beam_size)
    (alone,) = search(Engine(model, dtype=dtype, shortlist=table), [short])
    assert search(one_slot, [long, short])[1] == alone


def test_what_a_request_demands_is_listed() -> None:
    table = shortlist(1)
    options = replace(OPTIONS, n_best=1)
    request = Request(src=(100, 101), options=options, prefix=(300,), constraints=((400, 401),))
    ((best,),) = search(Engine(network(), shortlist=table), [request])
    assert best.pieces[0] == 300
    assert {400, 401} <= set(best.pieces) <= {50, 100, 101, 300, 400, 401}


def test_log_probabilities_are_over_the_list() -> None:
    """One step by hand: a softmax over the listed pieces alone."""
    model, table = network(), shortlist(3)
    src = (100, 200)
    options = SearchOptions(beam_size=1, max_length_a=0, max_length_b=1)
    ((best,),) = search(Engine(model, shortlist=table), [Request(src=src, options=options)])
    ids = torch.from_numpy(table.of(src))
    with torch.inference_mode():
        memory = model.encode(torch.tensor([[*src, EOS_ID]]), torch.tensor([3]))
        token, state, total = 2, model.start(memory), 0.0
        for piece in (*best.pieces, EOS_ID):
            state, features, weights = model.step(torch.tensor([[token]]), state, memory)
            listed = model.log_scores(features, weights, memory)[0, 0, ids].log_softmax(0)
            total += float(listed[(ids == piece).nonzero()[0, 0]])
            token = piece
    assert best.log_prob == pytest.approx(total, abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int8])
def test_what_is_copied_is_mixed_with_the_listed_pieces(dtype: torch.dtype) -> None:
    """One step by hand: the gate divides the probability between the list and the source.

    UNK in the source is not copied, nor what is `uncopied`: their share goes to all others.
    """
    model, table = network(copy=True), shortlist(3)
    assert model.copy_gate is not None
    src = (100, 200, 1, 100, 50)
    options = SearchOptions(beam_size=1, max_length_a=0, max_length_b=1)
    engine = Engine(model, dtype=dtype, shortlist=table)
    request = Request(src=src, options=options, uncopied=frozenset((200, 50)))
    ((best,),) = search(engine, [request])
    ids = torch.from_numpy(table.of(src))
    with torch.inference_mode():
        memory = model.encode(torch.tensor([[*src, EOS_ID]]), torch.tensor([6]))
        token, state, total = 2, model.start(memory), 0.0
        for piece in (*best.pieces, EOS_ID):
            state, features, weights = model.step(torch.tensor([[token]]), state, memory)
            copied = float(model.copy_gate(features).sigmoid())
            listed = (1 - copied) * model.output(features)[0, 0, ids].softmax(0)
            for position, id in enumerate((*src, EOS_ID)):
                if id >= EOS_ID and id not in request.uncopied:
                    listed[ids == id] += copied * weights[0, 0, position]
            total += float((listed[ids == piece] / listed.sum()).log())
            token = piece
    assert best.log_prob == pytest.approx(total, abs=1e-4 if dtype == torch.float32 else 0.05)


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rules_and_lists_of_a_wide_vocabulary_beside_plain_sentences(
    dtype: torch.dtype, copy: bool
) -> None:
    """The ids of pieces are larger than any list is wide, and sentences with rules come and go."""
    vocab = 3000
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=vocab,
        embedding_size=64,
        encoder_size=128,
        decoder_size=64,
        copy=copy,
        coverage=copy,
        max_length=40,
    )
    model = Seq2Seq(config).eval()
    chance = random.Random(3)
    table = Shortlist(
        candidates=np.array(
            [[chance.randrange(EOS_ID, vocab) for _ in range(9)] for _ in range(vocab)], np.int32
        ),
        frequent=np.array([EOS_ID, vocab - 1], dtype=np.int32),
        byte_pieces=np.zeros(0, dtype=np.int32),
    )
    plain = replace(OPTIONS, n_best=2)
    rules = [
        replace(plain, no_repeat_ngram=1),
        replace(plain, temperature=1.0, top_k=5, seed=3),
        replace(plain, coverage_beta=0.2),
        replace(plain, min_length=6),
    ]
    asked = [
        Request(
            src=tuple(chance.randrange(4, vocab) for _ in range(chance.randint(2, 12))),
            options=chance.choice([plain, plain, *rules]),
            constraints=((vocab - 2,),) if number % 5 == 4 else (),
        )
        for number in range(24)
    ]
    together = search(Engine(model, dtype=dtype, shortlist=table, max_rows=20), asked)
    for request, found in zip(asked, together, strict=True):
        (alone,) = search(Engine(model, dtype=dtype, shortlist=table), [request])
        assert found == alone
        demanded = {id for phrase in request.constraints for id in phrase}
        allowed = set(table.of(request.src).tolist()) | demanded
        assert all(set(hypothesis.pieces) <= allowed for hypothesis in found)
