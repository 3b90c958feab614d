"""A checkpoint: one directory with everything that translating needs, checked before it is used.

    config.json  weights.safetensors  tokenizer.model  decoding.json  card.md
    shortlist.safetensors                                           if one was learned
    training_state/state.safetensors  training_state/state.json     to resume; may be left out
    manifest.json    format number, step, version of Dragoman, SHA-256 of each file and of itself

Tensors are safetensors, the rest is JSON and text: nothing is ever unpickled.
"""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from model.config import ModelConfig, from_dict, to_dict
from model.decoding.options import SearchOptions
from model.decoding.shortlist import Shortlist, shortlist_from_bytes
from model.errors import CheckpointError, ConfigError
from model.network.seq2seq import Seq2Seq
from model.run import publish, resolve
from model.text.tokenizer import Tokenizer

FORMAT = 1
"""Raised when an older Dragoman could not read what this one writes. Every older format loads.

A further file that can be left out raises nothing: who does not know it does not read it.
"""

CARD = "card.md"
SHORTLIST = "shortlist.safetensors"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A loaded checkpoint: text in, text out, with nothing else to know."""

    config: ModelConfig
    network: Seq2Seq
    """In eval mode, fp32, on the CPU."""
    tokenizer: Tokenizer
    search: SearchOptions
    """The decoding defaults that were chosen for this network."""
    card: str
    """Markdown: data, license, attribution, metrics."""
    shortlist: Shortlist | None
    """What decoding may be confined to; none if the checkpoint was saved without."""
    step: int
    path: Path
    """The checkpoint directory itself, also if it was found through a run."""
    digest: str
    """SHA-256 over the manifest, and so over every file: the identity of this checkpoint."""

    def shortlist_if(self, wanted: bool) -> Shortlist | None:
        """The shortlist where one is wanted, else None.

        Raises:
            ConfigError: it is wanted, and there is none.
        """
        if wanted and self.shortlist is None:
            raise ConfigError(
                f"shortlist: {self.path} has none. Make one with dragoman-shortlist, or do without."
            )
        return self.shortlist if wanted else None


def save_checkpoint(
    run: Path,
    step: int,
    *,
    config: ModelConfig,
    weights: Mapping[str, Tensor],
    tokenizer: Tokenizer,
    search: SearchOptions,
    card: str,
    training_state: Mapping[str, Tensor] | None,
    training_meta: Mapping[str, object] | None,
    shortlist: Shortlist | None = None,
) -> Path:
    """Write a checkpoint into `run` and return its directory. No link is moved.

    Args:
        weights: by the names of `named_parameters()` of the network, so a tied matrix comes once.
        training_state: tensors that a resumed training needs, and `training_meta`, what JSON can
            hold of it; both or neither.

    Raises:
        CheckpointError: the file system refused, for instance because it is full. Earlier
            checkpoints are intact.
    """
    files = {
        "config.json": _json(to_dict(config)),
        "weights.safetensors": _tensors(weights),
        "tokenizer.model": tokenizer.model,
        "decoding.json": _json(to_dict(search)),
        CARD: card.encode(),
    }
    if shortlist is not None:
        files[SHORTLIST] = shortlist.to_bytes()
    if training_state is not None and training_meta is not None:
        files["training_state/state.safetensors"] = _tensors(training_state)
        files["training_state/state.json"] = _json(training_meta)
    return publish(run, step, _signed(files, step))


def add_shortlist(run: Path, directory: Path, shortlist: Shortlist, *, card: str) -> Path:
    """Publish a copy of the checkpoint `directory` in `run`, with this shortlist and this card.

    Returns the new directory. No link is moved, and `directory` stays as it is.

    Raises:
        CheckpointError: a file is missing or damaged, or the file system refused.
    """
    old = _Files(directory)
    files = {name: old.read(name) for name in old.names()}
    files |= {CARD: card.encode(), SHORTLIST: shortlist.to_bytes()}
    return publish(run, old.step, _signed(files, old.step))


def load_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint at `path`: a checkpoint directory, or a run's best (else last) one.

    Raises:
        CheckpointError: there is none, a file is missing or damaged, or the format is too new.
    """
    directory = resolve(path)
    try:
        return _load(directory)
    except CheckpointError:
        # A running training may have moved the link and deleted its old target while we read it.
        if resolve(path) == directory:
            raise
        return load_checkpoint(path)


def load_training_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """`training_state` and `training_meta` as saved in a checkpoint directory, or a run's last one.

    Raises:
        CheckpointError: there is none, a file is missing or damaged, or the format is too new.
    """
    files = _Files(resolve(path, links=("last",)))
    tensors = files.tensors("training_state/state.safetensors")
    return tensors, files.json("training_state/state.json")


def load_training_meta(path: Path) -> dict[str, Any]:
    """`training_meta` alone, without reading the tensors.

    Raises:
        CheckpointError: as `load_training_state`.
    """
    return _Files(resolve(path, links=("last",))).json("training_state/state.json")


def _load(directory: Path) -> Checkpoint:
    files = _Files(directory)
    config = files.config("config.json", ModelConfig)
    return Checkpoint(
        config=config,
        network=_network(config, files.tensors("weights.safetensors"), directory),
        tokenizer=Tokenizer(files.read("tokenizer.model")),
        search=files.config("decoding.json", SearchOptions),
        card=files.read(CARD).decode(errors="replace"),
        shortlist=files.shortlist(config.vocab_size),
        step=files.step,
        path=directory,
        digest=files.digest,
    )


class _Files:
    """The files of one checkpoint directory. What is used is the very bytes that were verified."""

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
        """What is there. Of the training state, nothing may be: who only translates deletes it."""
        state = {name for name in self.hashes if name.startswith("training_state/")}
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


def _network(config: ModelConfig, weights: Mapping[str, Tensor], directory: Path) -> Seq2Seq:
    """The network of `config` with exactly these `weights`."""
    # The initial values are overwritten: they must not advance the caller's random numbers.
    with torch.random.fork_rng(devices=[]):
        network = Seq2Seq(config)
    expected = {name: tuple(value.shape) for name, value in network.named_parameters()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise CheckpointError(
                f"{directory / 'weights.safetensors'}: {name} is {found.get(name, 'absent')}, but "
                f"config.json wants it {expected.get(name, 'absent')}. Use files of one training."
            )
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(weights[name])
    return network.eval()


def _signed(files: Mapping[str, bytes], step: int) -> dict[str, bytes]:
    """`files` with the manifest that vouches for them."""
    manifest: dict[str, object] = {
        "format": FORMAT,
        "step": step,
        "dragoman": importlib.metadata.version("dragoman"),
        "files": {name: hashlib.sha256(files[name]).hexdigest() for name in files},
    }
    return {**files, "manifest.json": _json(manifest | {"digest": _digest(manifest)})}


def _json(value: Mapping[str, object]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _parse(content: bytes, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON: {error}. Copy the checkpoint again.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: not a JSON object. Copy the checkpoint again.")
    return value


def _tensors(tensors: Mapping[str, Tensor]) -> bytes:
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
