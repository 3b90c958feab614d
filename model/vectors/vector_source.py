"""VectorSource: the input of a network that reads vectors, checked and normalised."""

# Shapes: S source vectors, W numbers in a vector.

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch

from model.decoding.options import SearchOptions
from model.decoding.request import Request
from model.errors import DataError, InputTooLong, RequestError
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import PAD_ID
from model.vectors.frame_files import Frames, checked
from model.vectors.series_window import SeriesWindow
from model.vectors.vector_target import Read


class VectorSource:
    """Makes requests of sequences. Messages tell no place: the caller knows it."""

    name: ClassVar[str] = "sequences"
    field: ClassVar[str] = "vectors"
    """What a request to the service calls them."""

    def __init__(self, network: Seq2Seq, most: int, window: SeriesWindow | None = None) -> None:
        """
        Args:
            most: vectors of the longest source that can be read.
            window: what each source is, if all are windows of series.
        """
        assert network.source_statistics is not None, "a network that reads vectors"
        self.width, self._most = network.config.source_width, most
        self._window = window
        self._statistics = network.source_statistics

    def listed(self, sources: Sequence[object]) -> list[object]:
        """All sources of a call, as a list."""
        return list(sources)

    def prepared(self, values: object, options: SearchOptions) -> Request:
        """The request for what `read` takes.

        Raises:
            RequestError: see `read`.
        """
        return self.request(self.read(values), options)

    def shown(self, request: Request) -> tuple[str, ...]:
        """Nothing: vectors have no names."""
        return ()

    def read(self, values: object) -> Frames:
        """The sequence (S, W) that an array or lists of numbers hold.

        Raises:
            RequestError: it is empty, too long or no window of the length that was learned, its
                vectors have another width, or a number is not finite.
        """
        try:
            array = checked(values)
        except DataError as error:
            raise RequestError(str(error)) from None
        if array.shape[1] != self.width:
            raise RequestError(
                f"vectors of {array.shape[1]} numbers, but the width that this model reads is "
                f"{self.width}. Make them agree."
            )
        if self._window is not None and len(array) != self._window.window:
            raise RequestError(
                f"{len(array):,} vectors, but this model has learned from windows of "
                f"{self._window.window:,} steps alone. Give as many."
            )
        if len(array) > self._most:
            raise InputTooLong(
                f"{len(array):,} vectors, but at most {self._most:,} are read. Divide it."
            )
        return array

    def request(self, array: Read, options: SearchOptions) -> Request:
        """The request for a sequence (S, W) that was read."""
        assert isinstance(array, np.ndarray), "what `read` gives"
        return Request(
            src=(PAD_ID,) * len(array),
            frames=self._statistics.normalised(torch.from_numpy(array)),
            options=options,
        )
