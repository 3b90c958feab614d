"""VectorTransducer: the Python API for models from vectors to vectors, through the decode loop.

VectorTransducer.load("runs/distance").transduce([frames])[0]
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
from model.vectors.frame_files import Frames
from model.vectors.vector_form import VectorForm
from model.vectors.vector_source import VectorSource
from model.vectors.vector_target import VectorTarget

SLOT_VECTORS = 2**18
"""Source vectors for which all slots of an engine have room together."""


class VectorTransducer:
    """A network of vectors, ready to transduce; sequences may be longer than those it learned from.

    Safe to use from several threads, whose sequences are then searched together; what is found for
    a sequence does not depend on the others.
    """

    def __init__(
        self,
        network: Seq2Seq,
        form: VectorForm,
        *,
        device: torch.device,
        dtype: torch.dtype,
        most: int = MOST["max_length"],
    ) -> None:
        """
        Args:
            network: in eval mode. It is not changed.
            most: vectors of the longest source that can be read.
        """
        self.form, self.most = form, most
        self._source, self._target = VectorSource(network, most), VectorTarget(network, form)
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
        return cls(network, form, device=place, dtype=resolve_precision(precision, place, network))

    def transduce(
        self, sequences: Sequence[object], places: Sequence[str] | None = None
    ) -> list[NDArray[np.float64]]:
        """The output (T, W) for each sequence (S, W): an array, or lists of numbers.

        Args:
            places: where each is from, for messages; its number if None.

        Raises:
            RequestError: one is empty or too long, its vectors have another width than those that
                the model reads, or a number is not finite, there or in the output.
        """
        if places is None:
            places = [f"sequences[{number}]" for number in range(len(sequences))]
        arrays = list(map(self._read, sequences, places))
        scaled = map(self._target.scaled, arrays)
        requests = [self._source.request(array, self.form.search) for array in scaled]
        # Longest first, so that the last ones in flight are short.
        order = sorted(range(len(requests)), key=lambda n: len(requests[n].src), reverse=True)
        results: dict[int, NDArray[np.float64]] = {}
        with closing(self._engine.search([requests[number] for number in order])) as events:
            for place_in_order, event in events:
                assert isinstance(event, Finished)
                (found,) = event.hypotheses
                assert found.vectors is not None
                number = order[place_in_order]
                results[number] = self._target.restored(found.vectors, arrays[number])
        for number, place in enumerate(places):
            if not np.isfinite(results[number]).all():
                raise RequestError(
                    f"{place}: its output is not finite. Give numbers nearer to those of the "
                    "training, or leave it out."
                )
        return [results[number] for number in range(len(requests))]

    def _read(self, values: object, where: str) -> Frames:
        try:
            return self._source.read(values)
        except RequestError as error:
            error.field = where
            raise
