"""Encoder: encodes sources of any lengths at the same time, without padding.

The P pieces of all sources are concatenated. The longest source comes first, so that the sources
that still have a piece at a step are always the first ones. The backward direction reads each
source from its own end.
"""

# Shapes: N sentences, P pieces of all of them, H encoder output size.

from concurrent.futures import Executor

import numpy as np

from model.decoding.native.cells import Gates, Target, add_rows, add_table
from model.decoding.native.int8_rows import STEPS
from model.decoding.native.layer import Layer
from model.decoding.native.product import Bytes, Floats, Int8Product, Ints
from model.decoding.native.rows import place_narrow
from model.network.seq2seq import Seq2Seq


class NativeEncoder:
    """The encoder, which turns source pieces into outputs in fp32."""

    def __init__(self, network: Seq2Seq) -> None:
        encoder = network.encoder
        self._half = network.config.encoder_size // 2
        embedding = network.source_embedding.weight.detach() * network.input_scale
        self._layers = [
            (Layer(ahead, []), Layer(back, []))
            for ahead, back in zip(encoder.forwards, encoder.backwards, strict=True)
        ]
        self._tables = [layer.table(embedding) for layer in self._layers[0]]
        size = float(network.config.encoder_size)
        # An upper layer multiplies the inputs of all pieces at once; layer l reads the sum of l
        # outputs.
        self._inputs = [
            tuple(
                Int8Product(layer.input_weight, layer.input_bias, [(int(size), float(number))])
                for layer in pair
            )
            for number, pair in enumerate(self._layers[1:], start=1)
        ]

    def __call__(self, sources: list[Ints], threads: Executor | None = None) -> tuple[Floats, Ints]:
        """Return the outputs (P, H) of all pieces, and the index (N,) of each source's first piece.

        Args:
            sources: the longest first.
            threads: if given, run the two directions in parallel.
        """
        lengths = np.array([len(source) for source in sources], dtype=np.int32)
        starts = np.zeros(len(sources), dtype=np.int32)
        np.cumsum(lengths[:-1], out=starts[1:])
        pieces = np.concatenate(sources).astype(np.int32)
        outputs = np.zeros((len(pieces), 2 * self._half), dtype=np.float32)
        below: Bytes | None = None
        for number in range(len(self._layers)):
            if number:
                below = np.empty(outputs.shape, dtype=np.uint8)
                place_narrow(below, 0, outputs, len(below), STEPS / number)

            def run(direction: int, number: int = number, below: Bytes | None = below) -> None:
                self._run(number, direction, pieces, below, lengths, starts, outputs)

            list(map(run, (0, 1)) if threads is None else threads.map(run, (0, 1)))
        return outputs, starts

    def _run(
        self,
        number: int,
        direction: int,
        pieces: Ints,
        below: Bytes | None,
        lengths: Ints,
        starts: Ints,
        outputs: Floats,
    ) -> None:
        """Run one direction of one layer, and write its half of `outputs`, or add to it."""
        layer = self._layers[number][direction]
        given: Floats | None = None
        if below is not None:
            product = self._inputs[number - 1][direction]
            given = np.empty((len(below), product.width), dtype=np.float32)
            product(below, len(below), given)
        state = layer.state(len(lengths))
        sums = np.zeros((len(lengths), layer.gate_width), dtype=np.float32)
        gates = Gates(sums, np.empty_like(sums))
        own = np.arange(len(lengths), dtype=np.int32)
        for step in range(int(lengths[0])):
            rows = int(np.count_nonzero(lengths > step))
            place = starts[:rows] + (step if direction == 0 else lengths[:rows] - 1 - step)
            if layer.product is None:
                sums[:] = 0
            else:
                layer.product(state.hidden, rows, sums)
            if given is None:
                add_table(sums, rows, self._tables[direction], pieces[place])
            else:
                add_rows(sums, rows, given, place)
            target = Target(outputs, place, direction * self._half, number > 0)
            layer.step(rows, gates, state.hidden, state, own, state, target)
