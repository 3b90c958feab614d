"""The files of a checkpoint, read only if they are as large as such files can be.

A checkpoint is a directory or, as a pack, an archive of the same files in one file.

Tensors are safetensors, the rest is JSON and text: nothing is ever unpickled.
"""

import hashlib
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
from torch import Tensor

from model.checkpoint.archive import read_file, sizes_in_archive
from model.checkpoint.bounded_read import JSON_BYTES, parse_json
from model.checkpoint.manifest import MANIFEST, PACKED_FORMAT, damaged, read_manifest
from model.checkpoint.packed_weights import precision_of_stored, unpack_weights
from model.config import ModelConfig, from_dict
from model.decoding.confidence import Calibration
from model.decoding.lexical_shortlist import (
    MAX_CANDIDATES,
    MISREAD,
    Shortlist,
    shortlist_from_bytes,
)
from model.decoding.precision.dtypes import Precision
from model.errors import CheckpointError, ConfigError
from model.network.parameter_shapes import parameter_shapes
from model.text.alphabet import Alphabet
from model.text.profile import TextProfile
from model.text.symbols import Symbols
from model.text.tokenizer import Tokenizer
from model.text.vocabulary import Vocabulary
from model.vectors.vector_form import VectorForm

CONFIDENCE = "confidence.json"
CONFIG = "config.json"
DECODING = "decoding.json"
TOKENIZER = Tokenizer.file_name
SYMBOLS = Symbols.file_name
WEIGHTS = "weights.safetensors"
CARD = "card.md"
SHORTLIST = "shortlist.safetensors"
ORIGIN = "origin.json"
PROFILE = "text.json"
STATE = "training_state/"
STATE_TENSORS = f"{STATE}state.safetensors"
STATE_VALUES = f"{STATE}state.json"

COPIES_OF_WEIGHTS = {WEIGHTS: 1, STATE_TENSORS: 4}
"""How many numbers a file has for each weight. Training goes on with the weights, their moving
average and the two moments of the optimizer."""
HEADER_BYTES = 2**20
"""Room for what a safetensors file says about its tensors."""
CARD_BYTES = 2**20
SYMBOLS_BYTES = 2**23
"""Room for as many and as long symbols as an alphabet may have."""
OTHER_BYTES = 2**26
"""The largest tokenizer, and the largest file that only a later version knows."""

T = TypeVar("T")


class CheckpointFiles:
    """The files of one checkpoint. The bytes used are the very bytes verified."""

    def __init__(self, path: Path) -> None:
        """Read the manifest of a checkpoint directory or a pack.

        Raises:
            CheckpointError: see `read_manifest`.
        """
        self.path = path
        self.manifest = read_manifest(path)

    @cached_property
    def model(self) -> ModelConfig:
        """The architecture."""
        return self.config(CONFIG, ModelConfig)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each of the weights."""
        return parameter_shapes(self.model)

    def names(self) -> list[str]:
        """The names of the files. Those of the training state are left out if they were deleted."""
        state = {name for name in self.manifest.files if name.startswith(STATE)}
        return [n for n in self.manifest.files if n not in state or (self.path / n).exists()]

    def sizes(self) -> dict[str, int]:
        """The bytes of each file, and of the manifest.

        Raises:
            CheckpointError: it cannot be read.
        """
        if self.path.is_file():
            return sizes_in_archive(self.path)
        names = [*self.names(), MANIFEST]
        try:
            return {name: (self.path / name).stat().st_size for name in names}
        except OSError as error:
            raise CheckpointError(f"{self.path}: cannot be read: {error.strerror}.") from error

    def read(self, name: str) -> bytes:
        """The content of the file, read whole.

        Raises:
            CheckpointError: it is missing, damaged or larger than such a file can be.
        """
        path = self.path / name
        if name not in self.manifest.files:
            raise CheckpointError(
                f"{path}: this checkpoint was saved without it. Use one that has it."
            )
        content = read_file(self.path, name, self._most_bytes(name))
        if hashlib.sha256(content).hexdigest() != self.manifest.files[name]:
            raise CheckpointError(damaged(path))
        return content

    def _most_bytes(self, name: str) -> int:
        """The size that the file has at most, for this architecture."""
        if name == SYMBOLS:
            return SYMBOLS_BYTES
        if name.endswith(".json"):
            return JSON_BYTES
        if name == SHORTLIST:
            return HEADER_BYTES + 4 * self.model.vocab_size * (MAX_CANDIDATES + 2)
        if name in COPIES_OF_WEIGHTS:
            numbers = sum(math.prod(shape) for shape in self.shapes.values())
            return HEADER_BYTES + 4 * COPIES_OF_WEIGHTS[name] * numbers
        return CARD_BYTES if name == CARD else OTHER_BYTES

    def json(self, name: str) -> dict[str, Any]:
        return parse_json(self.read(name), self.path / name)

    def config(self, name: str, cls: type[T]) -> T:
        try:
            return from_dict(cls, self.json(name))
        except ConfigError as error:
            raise CheckpointError(f"{self.path / name}: {error}") from error

    def tensors(self, name: str) -> dict[str, Tensor]:
        content = self.read(name)
        try:
            return safetensors.torch.load(content)
        except MISREAD as error:
            raise CheckpointError(f"{self.path / name}: not safetensors: {error}.") from error

    def weights(self) -> tuple[dict[str, Tensor], Precision]:
        """The parameters, in fp32 unless no checkpoint has such files; and how they are stored."""
        stored = self.tensors(WEIGHTS)
        if self.manifest.format < PACKED_FORMAT:
            return stored, "fp32"
        try:
            return unpack_weights(stored, self.model), precision_of_stored(stored)
        except CheckpointError as error:
            raise CheckpointError(f"{self.path / WEIGHTS}: {error}") from error

    @property
    def has_lines(self) -> bool:
        """Whether there are symbols or a tokenizer, for lines on at least one side."""
        return SYMBOLS in self.manifest.files or TOKENIZER in self.manifest.files

    def vocabulary(self) -> Vocabulary | VectorForm:
        """What the outputs are made with: the form of vectors, symbols, or a tokenizer."""
        if VectorForm.file_name in self.manifest.files:
            return self.config(VectorForm.file_name, VectorForm)
        return self.lines()

    def lines(self) -> Vocabulary:
        """The symbols, or the tokenizer.

        Raises:
            CheckpointError: there are both, or it is damaged.
        """
        if SYMBOLS in self.manifest.files:
            if TOKENIZER in self.manifest.files:
                raise CheckpointError(
                    f"{self.path}: has {SYMBOLS} and {TOKENIZER}, but ids are those of one. "
                    "Use files of one training."
                )
            return Symbols(self.config(SYMBOLS, Alphabet))
        content = self.read(TOKENIZER)
        try:
            return Tokenizer(content)
        except CheckpointError as error:
            raise CheckpointError(f"{self.path / TOKENIZER}: {error}") from error

    def shortlist(self) -> Shortlist | None:
        """The shortlist, if the checkpoint was saved with one."""
        if SHORTLIST not in self.manifest.files:
            return None
        content = self.read(SHORTLIST)
        try:
            return shortlist_from_bytes(content, vocab_size=self.model.vocab_size)
        except CheckpointError as error:
            raise CheckpointError(f"{self.path / SHORTLIST}: {error}") from error

    def profile(self) -> TextProfile:
        """The text profile; that of an older format if it was saved without."""
        return (
            self.config(PROFILE, TextProfile) if PROFILE in self.manifest.files else TextProfile()
        )

    def calibration(self) -> Calibration | None:
        """The table of the confidence, if the checkpoint was saved with one."""
        return self.config(CONFIDENCE, Calibration) if CONFIDENCE in self.manifest.files else None

    def origin(self) -> str | None:
        """The origin, see `Checkpoint`, if it was saved with one."""
        if ORIGIN not in self.manifest.files:
            return None
        origin = self.json(ORIGIN).get("origin")
        if not isinstance(origin, str):
            raise CheckpointError(f"{self.path / ORIGIN}: no text. Copy the checkpoint again.")
        return origin


def to_safetensors(tensors: Mapping[str, Tensor]) -> bytes:
    # safetensors needs twice the memory, and aborts the process if it cannot get it. Python raises
    # an error instead, so it is asked first. Memory that is never touched costs nothing.
    bytearray(2 * sum(tensor.nbytes for tensor in tensors.values()))
    return safetensors.torch.save({name: t.detach().contiguous() for name, t in tensors.items()})
