"""Queue: sentences that wait for a slot, encoded in batches of one fixed shape for each length."""

# Shapes: N sentences, S source length with EOS.

from itertools import islice
from typing import Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from model.decoding.packed import PackedNetwork
from model.decoding.request import Request
from model.decoding.side_stream import Ready, sent
from model.network.decoder import DecoderState
from model.network.memory import Memory
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID, PAD_ID

LENGTH_MULTIPLE = 16
ENCODE_ROWS = 16
LOOKAHEAD = 128  # how many waiting sentences are searched for companions in one encoder batch


Kept = TypeVar("Kept")
"""A sentence between encoder and decoder, as a search keeps it."""


class Encoded(NamedTuple):
    """One sentence between encoder and decoder: fields without their first dimension."""

    memory: Memory
    state: DecoderState
    ready: Ready = None


def padded_length(src: tuple[int, ...]) -> int:
    """S for the pieces `src` and EOS: a multiple of 16.

    Up to such a length, matrix products and sums over the source keep their order of summation
    whatever padding follows, so that padding changes no bit.
    """
    return -(-(len(src) + 1) // LENGTH_MULTIPLE) * LENGTH_MULTIPLE


def encode(network: Seq2Seq | PackedNetwork, sources: list[tuple[int, ...]]) -> list[Encoded]:
    """Encode up to 16 sources of equal `padded_length`.

    The recurrent kernels sum in another order for very few rows. In batches of 16, which copies of
    the last source fill up, the bits of a sentence depend neither on its row nor on its companions.
    """
    device = network.device
    rows = sources + sources[-1:] * (ENCODE_ROWS - len(sources))
    size = padded_length(sources[0])
    ids = [[*src, EOS_ID, *[PAD_ID] * (size - len(src) - 1)] for src in rows]
    lengths = [len(src) + 1 for src in rows]
    memory = network.encode(sent(torch.tensor(ids), device), sent(torch.tensor(lengths), device))
    state = network.start(memory)

    def row(fields: tuple[Tensor, ...], number: int) -> list[Tensor]:
        return [field[number] for field in fields]

    return [
        Encoded(Memory(*row(memory, i)), DecoderState(*row(state, i))) for i in range(len(sources))
    ]


class Search(Protocol[Kept]):
    """What a queue asks of the search that it feeds."""

    @property
    def encode_rows(self) -> int: ...

    def group(self, src: tuple[int, ...]) -> int: ...

    def encode(self, sources: list[tuple[int, ...]]) -> list[Kept]: ...


class Queue(Generic[Kept]):
    """First in, first out. Encoded ahead are at most the first 128 waiting sentences."""

    def __init__(self, search: Search[Kept]) -> None:
        self._search = search
        self._waiting: dict[int, Request] = {}  # in order of arrival
        self._encoded: dict[int, Kept] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, id: int, request: Request) -> None:
        """Let `request` wait behind all others."""
        self._waiting[id] = request

    def all(self) -> list[tuple[int, Request]]:
        """Those that wait, in order of arrival."""
        return list(self._waiting.items())

    def cancel(self, id: int) -> bool:
        """Forget a waiting sentence; False if it is not here."""
        self._encoded.pop(id, None)
        return self._waiting.pop(id, None) is not None

    def pop(self) -> tuple[int, Request, Kept]:
        """The sentence that has waited longest."""
        id, request = next(iter(self._waiting.items()))
        self.encode_ahead()
        del self._waiting[id]
        return id, request, self._encoded.pop(id)

    def encode_ahead(self) -> None:
        """Encode the sentence at the head with companions, if there is one and it is not yet."""
        for id, request in islice(self._waiting.items(), 1):
            if id not in self._encoded:
                self._encode_with_companions(request)

    def _encode_with_companions(self, first: Request) -> None:
        """Encode `first`, which waits at the head, and the next waiting ones of its group."""
        group = self._search.group(first.src)
        fitting = (
            (id, request.src)
            for id, request in islice(self._waiting.items(), LOOKAHEAD)
            if id not in self._encoded and self._search.group(request.src) == group
        )
        chosen = dict(islice(fitting, self._search.encode_rows))
        self._encoded.update(zip(chosen, self._search.encode(list(chosen.values())), strict=True))
