"""VectorTransducer: the Python API for models that write vectors, from vectors or from lines.

VectorTransducer.load("runs/distance").transduce([frames])[0]
VectorTransducer.load("runs/contour").transduce(["how are you"])[0]
"""

# Shapes: S source vectors, T output vectors, W numbers in a vector.

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from model.checkpoint.checkpoint import load_checkpoint
from model.config import MOST
from model.decoding.engine import Engine
from model.decoding.precision.precision import resolve_device, resolve_precision, runnable
from model.decoding.request import Finished
from model.decoding.shared_engine import SharedEngine
from model.errors import RequestError
from model.network.seq2seq import Seq2Seq
from model.text.vocabulary import Vocabulary
from model.translation.sides import make_source
from model.vectors.vector_form import VectorForm
from model.vectors.vector_target import Read, VectorTarget

SLOT_VECTORS = 2**18
"""Source steps for which all slots of an engine have room together."""


class VectorTransducer:
    """A network that writes vectors, ready to transduce.

    Sources are sequences of vectors, or lines of symbols or text, as the model was trained; they
    may be longer than those that it learned from, but for windows of series, of which it has
    learned one length.

    Safe to use from several threads, whose sequences are then searched together; what is found for
    a sequence does not depend on the others.
    """

    def __init__(
        self,
        network: Seq2Seq,
        form: VectorForm,
        lines: Vocabulary | None = None,
        *,
        device: torch.device,
        dtype: torch.dtype,
        most: int = MOST["max_length"],
    ) -> None:
        """
        Args:
            network: in eval mode. It is not changed.
            lines: makes ids of sources that are lines; None if they are vectors.
            most: vectors, symbols or pieces of the longest source that can be read.
        """
        self.form, self.most = form, most
        self._source = make_source(network, lines, most, form.window)
        self._target = VectorTarget(network, form)
        engine = Engine(
            runnable(network, dtype, device),
            max_rows=max(1, min(64, SLOT_VECTORS // most)),
            max_source=most,
            max_length=form.steps or most,
        )
        self._engine = SharedEngine(engine)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        device: str = "auto",
        precision: Literal["auto", "fp32", "bf16"] = "auto",
        threads: int | None = None,
    ) -> "VectorTransducer":
        """Load a run (its best checkpoint), a checkpoint directory or a pack.

        Args:
            device, precision, threads: as in `Translator.load`; auto precision is fp32.

        Raises:
            CheckpointError: there is no checkpoint, it is damaged or too new, or no model of
                vectors.
            ConfigError: there is no such device or precision.
        """
        place = resolve_device(device)
        if threads is not None:
            torch.set_num_threads(threads)
        checkpoint = load_checkpoint(Path(path))
        form, network = checkpoint.vectors, checkpoint.network
        dtype = resolve_precision(precision, place, network)
        return cls(network, form, checkpoint.reads, device=place, dtype=dtype)

    def transduce(
        self, sequences: Sequence[object], places: Sequence[str] | None = None
    ) -> list[NDArray[np.float64]]:
        """The output (T, W) for each sequence (S, W), an array or lists of numbers, or each line.

        Args:
            places: where each is from, as many, for messages; its number if None.

        Raises:
            RequestError: one is empty, too long or no window of the length that was learned, its
                vectors have another width than those that the model reads, or a number is not
                finite, there or in the output; or a symbol of a line is not known.
        """
        given, name = self._source.listed(sequences), self._source.name
        if places is None:
            places = [f"{name}[{number}]" for number in range(len(given))]
        read = [self._read(one, place) for one, place in zip(given, places, strict=True)]
        scaled = map(self._target.scaled, read)
        requests = [self._source.request(one, self.form.search) for one in scaled]
        # Longest first, so that the last ones in flight are short.
        order = sorted(range(len(requests)), key=lambda n: len(requests[n].src), reverse=True)
        results: dict[int, NDArray[np.float64]] = {}
        with closing(self._engine.search([requests[number] for number in order])) as events:
            for place_in_order, event in events:
                assert isinstance(event, Finished)
                (found,) = event.hypotheses
                assert found.vectors is not None
                number = order[place_in_order]
                results[number] = self._target.restored(found.vectors, read[number])
        for number, place in enumerate(places):
            if not np.isfinite(results[number]).all():
                raise RequestError(
                    f"{place}: its output is not finite. Give numbers nearer to those of the "
                    "training, or leave it out."
                )
        return [results[number] for number in range(len(requests))]

    def _read(self, values: object, where: str) -> Read:
        try:
            return self._source.read(values)
        except RequestError as error:
            error.field = where
            raise
