"""The files of a checkpoint directory, and the manifest with their digests.

    manifest.json    format number, step, version of Dragoman, SHA-256 of each file and of itself

Tensors are safetensors, the rest is JSON and text: nothing is ever unpickled.
"""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
from torch import Tensor

from model.config import from_dict
from model.decoding.lexical_shortlist import Shortlist, shortlist_from_bytes
from model.errors import CheckpointError, ConfigError
from model.text.profile import TextProfile

FORMAT = 2
"""Incremented when older versions of Dragoman could not read the new files. All older formats load.

A new optional file needs no increment: older versions do not read it. Format 2 added text.json,
without which sources would not be normalised as in training.
"""

WEIGHTS = "weights.safetensors"
CARD = "card.md"
SHORTLIST = "shortlist.safetensors"
ORIGIN = "origin.json"
PROFILE = "text.json"
STATE = "training_state/"

T = TypeVar("T")


class CheckpointFiles:
    """The files of one checkpoint directory. The bytes used are the very bytes verified."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        path = directory / "manifest.json"
        manifest = _parse(_read(path), path)
        number = manifest.get("format")
        if not isinstance(number, int) or number < 1:
            raise CheckpointError(f"{path}: not of a checkpoint. Give a run or a checkpoint.")
        if number > FORMAT:
            raise CheckpointError(
                f"{path}: format {number}, but this dragoman reads up to {FORMAT}. Upgrade it."
            )
        self.digest = str(manifest.pop("digest", None))
        if self.digest != _digest(manifest):
            raise CheckpointError(_damaged(path))
        self.step: int = manifest["step"]
        self.hashes: dict[str, str] = manifest["files"]

    def names(self) -> list[str]:
        """The names of the files. Those of the training state are left out if they were deleted."""
        state = {name for name in self.hashes if name.startswith(STATE)}
        return [n for n in self.hashes if n not in state or (self.directory / n).exists()]

    def read(self, name: str) -> bytes:
        path = self.directory / name
        if name not in self.hashes:
            raise CheckpointError(
                f"{path}: this checkpoint was saved without it. Use one that has it."
            )
        content = _read(path)
        if hashlib.sha256(content).hexdigest() != self.hashes[name]:
            raise CheckpointError(_damaged(path))
        return content

    def json(self, name: str) -> dict[str, Any]:
        return _parse(self.read(name), self.directory / name)

    def config(self, name: str, cls: type[T]) -> T:
        try:
            return from_dict(cls, self.json(name))
        except ConfigError as error:
            raise CheckpointError(f"{self.directory / name}: {error}") from error

    def tensors(self, name: str) -> dict[str, Tensor]:
        try:
            return safetensors.torch.load(self.read(name))
        except safetensors.SafetensorError as error:
            raise CheckpointError(f"{self.directory / name}: not safetensors: {error}.") from error

    def shortlist(self, vocab_size: int) -> Shortlist | None:
        """The shortlist, if the checkpoint was saved with one."""
        if SHORTLIST not in self.hashes:
            return None
        content = self.read(SHORTLIST)
        try:
            return shortlist_from_bytes(content, vocab_size=vocab_size)
        except CheckpointError as error:
            raise CheckpointError(f"{self.directory / SHORTLIST}: {error}") from error

    def profile(self) -> TextProfile:
        """The text profile; that of an older format if it was saved without."""
        return self.config(PROFILE, TextProfile) if PROFILE in self.hashes else TextProfile()

    def origin(self) -> str | None:
        """The origin, see `Checkpoint`, if it was saved with one."""
        return str(self.json(ORIGIN).get("origin")) if ORIGIN in self.hashes else None


def signed(files: Mapping[str, bytes], step: int) -> dict[str, bytes]:
    """Add the manifest with their digests to `files`."""
    manifest: dict[str, object] = {
        "format": FORMAT,
        "step": step,
        "dragoman": importlib.metadata.version("dragoman"),
        "files": {name: hashlib.sha256(files[name]).hexdigest() for name in files},
    }
    return {**files, "manifest.json": to_json(manifest | {"digest": _digest(manifest)})}


def to_json(value: Mapping[str, object]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _parse(content: bytes, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON: {error}. Copy the checkpoint again.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: not a JSON object. Copy the checkpoint again.")
    return value


def to_safetensors(tensors: Mapping[str, Tensor]) -> bytes:
    # safetensors needs twice the memory, and aborts the process if it cannot get it. Python raises
    # an error instead, so it is asked first. Memory that is never touched costs nothing.
    bytearray(2 * sum(tensor.nbytes for tensor in tensors.values()))
    return safetensors.torch.save({name: t.detach().contiguous() for name, t in tensors.items()})


def _digest(manifest: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: missing. Copy the whole checkpoint again.") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}.") from error


def _damaged(path: Path) -> str:
    return f"{path}: damaged or edited: its SHA-256 is not the recorded one. Copy it again."
