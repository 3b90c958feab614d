"""Trace of a text: what happens inside the network while it translates one sentence."""

# Shapes: S source length with EOS, T target length with EOS, D size of the states of a layer.

from dataclasses import dataclass

from torch import Tensor

from model.errors import RequestError
from model.network.seq2seq import Seq2Seq
from model.network.trace import LayerTrace, Trace, trace
from model.text.tokenizer import EOS_ID, Tokenizer
from model.translation.assemble import TextHypothesis
from model.translation.rounds import Prepared

DIGITS = 5
"""Decimal places of the numbers in JSON: what is seen in a picture takes fewer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextTrace:
    """The best translation of a sentence, and the trace of the network that writes it.

    Row t of an encoder layer is the step at source piece t. Row t of a decoder layer is the step
    that writes target piece t: it has read the piece before it, the first one the beginning mark.
    """

    translation: str
    truncated: bool
    """Whether the translation was ended by its length limit; EOS is then the piece that follows
    in the trace, though the search did not choose it."""
    source_pieces: tuple[str, ...]
    """As the network reads them: with EOS at the end."""
    target_pieces: tuple[str, ...]
    """With EOS at the end."""
    trace: Trace

    def to_json(self, units: int | None = None) -> dict[str, object]:
        """The trace as JSON output has it, with the first `units` of each layer, or all."""
        return {
            "translation": self.translation,
            "truncated": self.truncated,
            "source_pieces": self.source_pieces,
            "target_pieces": self.target_pieces,
            "layers": [_layer(layer, units) for layer in self.trace.layers],
            "attention": _numbers(self.trace.attention),
        }


def traced_source(ready: Prepared) -> tuple[int, ...]:
    """The pieces of a text that may be traced: it is searched as one source, in one round.

    Raises:
        RequestError: it is cut into several sources, read in windows, longer than a sentence of the
            model, or has no words.
    """
    if not ready.requests:
        raise RequestError("there are no words in it. Give a sentence.", field="text")
    if ready.reading is not None or ready.any_length:
        raise RequestError(
            "it is longer than the model reads at once. Give a single sentence.", field="text"
        )
    if len(ready.requests) > 1:
        raise RequestError(
            f"it is read in {len(ready.requests)} parts, but only one can be traced. Give a single "
            "sentence, or a shorter one.",
            field="text",
        )
    return ready.requests[0].src


def text_trace(
    network: Seq2Seq, tokenizer: Tokenizer, src: tuple[int, ...], best: TextHypothesis
) -> TextTrace:
    """Trace `src` and the `best` hypothesis that a search with this network has found for it."""
    tgt = tokenizer.ids(best.pieces)
    return TextTrace(
        translation=best.translation,
        truncated=best.truncated,
        source_pieces=tuple(map(tokenizer.piece, (*src, EOS_ID))),
        target_pieces=tuple(map(tokenizer.piece, (*tgt, EOS_ID))),
        trace=trace(network, src, tgt),
    )


def _layer(layer: LayerTrace, units: int | None) -> dict[str, object]:
    first = {"hidden": layer.first_hidden}
    if layer.first_cell is not None:
        first["cell"] = layer.first_cell
    return {
        "part": layer.part,
        "layer": layer.layer,
        "direction": layer.direction,
        "inputs": layer.inputs,
        "units": layer.hidden.shape[1],
        "first": {name: _numbers(value[:units]) for name, value in first.items()},
        "values": {name: _numbers(value[:, :units]) for name, value in layer.values.items()},
    }


def _numbers(values: Tensor) -> object:
    return values.double().round(decimals=DIGITS).tolist()
