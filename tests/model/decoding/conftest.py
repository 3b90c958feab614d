"""Tiny real networks for the search, and their opinions without any search."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

import pytest
import torch
from torch import Tensor

from model.config import ModelConfig
from model.decoding.automaton import Automaton
from model.decoding.beam_search import Hypothesis
from model.decoding.engine import Engine
from model.decoding.request import Finished, Request
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import BOS_ID, EOS_ID

MakeNetwork = Callable[..., Seq2Seq]


class Forced(NamedTuple):
    """What the network says of an output under teacher forcing."""

    log_probs: Tensor  # (T, V)
    weights: Tensor  # (T, S)
    log_prob: float


@pytest.fixture(scope="session")
def make_network() -> MakeNetwork:
    """A function that makes a network with random weights, in eval mode."""

    def make(
        vocab_size: int = 24,
        *,
        input_feeding: bool = False,
        cell: Literal["lstm", "gru", "rnn"] = "lstm",
        attention: Literal["general", "dot", "additive"] = "general",
        attention_heads: int = 1,
        copy: bool = False,
        coverage: bool = False,
        size: int = 32,
        seed: int = 1,
    ) -> Seq2Seq:
        torch.manual_seed(seed)
        network = Seq2Seq(
            ModelConfig(
                vocab_size=vocab_size,
                embedding_size=size,
                encoder_layers=2,
                encoder_size=size,
                decoder_layers=2,
                decoder_size=size,
                cell=cell,
                attention=attention,
                attention_heads=attention_heads,
                input_feeding=input_feeding,
                copy=copy,
                coverage=coverage,
            )
        ).eval()
        with torch.no_grad():  # decided opinions, and sentences of many lengths
            network.output.weight *= 4
            network.output.bias[EOS_ID] += 1.0
            if network.copy_gate is not None:
                network.copy_gate.weight *= 4
            if network.decoder.attention.coverage is not None:
                network.decoder.attention.coverage.fill_(-0.7)
        return network

    return make


@pytest.fixture(scope="session")
def forced() -> Callable[[Seq2Seq, tuple[int, ...], tuple[int, ...]], Forced]:
    """A function of network, source and output, all without EOS."""

    @torch.inference_mode()
    def force(network: Seq2Seq, src: tuple[int, ...], pieces: tuple[int, ...]) -> Forced:
        memory = network.encode(torch.tensor([[*src, EOS_ID]]), torch.tensor([len(src) + 1]))
        tgt_in = torch.tensor([[BOS_ID, *pieces]])
        features, weights = network.unroll(tgt_in, network.start(memory), memory)
        log_probs = network.log_scores(features, weights, memory)[0].log_softmax(dim=-1)
        total = sum(float(log_probs[t, piece]) for t, piece in enumerate((*pieces, EOS_ID)))
        return Forced(log_probs, weights[0], total)

    return force


@pytest.fixture(scope="session")
def search_all() -> Callable[..., list[tuple[Hypothesis, ...]]]:
    """A function of a network and requests that searches them together."""

    def search(
        network: Seq2Seq, requests: Iterable[Request], **settings: object
    ) -> list[tuple[Hypothesis, ...]]:
        engine = Engine(network, **settings)  # type: ignore[arg-type]
        ids = [engine.add(request) for request in requests]
        found = {}
        while engine.busy:
            events = engine.step()
            found.update({e.id: e.hypotheses for e in events if isinstance(e, Finished)})
        return [found[id] for id in ids]

    return search


@pytest.fixture(scope="session")
def all_outputs() -> Callable[[int, int], Iterator[tuple[int, ...]]]:
    """A function of vocabulary size and limit: every output there is."""

    def every(vocab_size: int, limit: int) -> Iterator[tuple[int, ...]]:
        words = range(EOS_ID + 1, vocab_size)
        return (y for n in range(limit + 1) for y in itertools.product(words, repeat=n))

    return every


def never(vocab_size: int, *phrases: tuple[int, ...]) -> Automaton:
    """Avoids the phrases wherever they stand: the states are the last pieces."""
    memory = max(map(len, phrases)) - 1
    states: list[tuple[int, ...]] = [()]
    following = []
    for state in states:
        row = []
        for piece in range(vocab_size):
            output = (*state, piece)
            if any(output[-len(phrase) :] == phrase for phrase in phrases):
                row.append(-1)
                continue
            after = output[-memory:] if memory else ()
            if after not in states:
                states.append(after)
            row.append(states.index(after))
        following.append(row)
    return Automaton(torch.tensor(following, dtype=torch.int32))
