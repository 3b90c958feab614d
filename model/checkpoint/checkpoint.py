"""A checkpoint: one directory with everything that translating needs, checked before it is used.

    config.json  weights.safetensors  tokenizer.model  decoding.json  card.md
    text.json                                                       task, languages, form of text
    shortlist.safetensors                                           if one was learned
    origin.json                                                     of a training: where it began
    training_state/state.safetensors  training_state/state.json     to resume; may be left out
    manifest.json    format number, step, version of Dragoman, SHA-256 of each file and of itself

Tensors are safetensors, the rest is JSON and text: nothing is ever unpickled.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.checkpoint.files import (
    CARD,
    ORIGIN,
    PROFILE,
    SHORTLIST,
    STATE,
    WEIGHTS,
    CheckpointFiles,
    signed,
    to_json,
    to_safetensors,
)
from model.checkpoint.run_directory import publish, publish_as, resolve
from model.config import ModelConfig, to_dict
from model.decoding.lexical_shortlist import Shortlist
from model.decoding.options import SearchOptions
from model.errors import CheckpointError, ConfigError
from model.network.seq2seq import Seq2Seq
from model.text.profile import TextProfile
from model.text.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A loaded checkpoint: text in, text out, with nothing else to know."""

    config: ModelConfig
    network: Seq2Seq
    """In eval mode, fp32, on the CPU."""
    tokenizer: Tokenizer
    search: SearchOptions
    """The decoding defaults that were chosen for this network."""
    profile: TextProfile
    """Its task and languages, and the form of text that it has learned."""
    card: str
    """Markdown: data, license, attribution, metrics."""
    shortlist: Shortlist | None
    """What decoding may be confined to; none if the checkpoint was saved without."""
    origin: str | None
    """A digest of what its training began with, weights and data, or the training of the model that
    it was fine-tuned from; none if the checkpoint was saved without."""
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
    profile: TextProfile | None = None,
    shortlist: Shortlist | None = None,
    origin: str | None = None,
) -> Path:
    """Write a checkpoint into `run` and return its directory. No link is moved.

    Args:
        weights: by the names of `named_parameters()` of the network, so a tied matrix comes once.
        profile: None is that of checkpoints before there was one.
        origin: see `Checkpoint`.
        training_state: tensors that a resumed training needs, and `training_meta`, what JSON can
            hold of it; both or neither.

    Raises:
        CheckpointError: the file system refused, for instance because it is full. Earlier
            checkpoints are intact.
    """
    files = {
        "config.json": to_json(to_dict(config)),
        WEIGHTS: to_safetensors(weights),
        "tokenizer.model": tokenizer.model,
        "decoding.json": to_json(to_dict(search)),
        CARD: card.encode(),
    }
    if profile is not None:
        files[PROFILE] = to_json(to_dict(profile))
    if shortlist is not None:
        files[SHORTLIST] = shortlist.to_bytes()
    if origin is not None:
        files[ORIGIN] = to_json({"origin": origin})
    if training_state is not None and training_meta is not None:
        files["training_state/state.safetensors"] = to_safetensors(training_state)
        files["training_state/state.json"] = to_json(training_meta)
    return publish(run, step, signed(files, step))


def add_shortlist(run: Path, directory: Path, shortlist: Shortlist, *, card: str) -> Path:
    """Publish a copy of the checkpoint `directory` in `run`, with this shortlist and this card.

    Returns the new directory. No link is moved, and `directory` stays as it is.

    Raises:
        CheckpointError: a file is missing or damaged, or the file system refused.
    """
    old = CheckpointFiles(directory)
    files = {name: old.read(name) for name in old.names()}
    files |= {CARD: card.encode(), SHORTLIST: shortlist.to_bytes()}
    return publish(run, old.step, signed(files, old.step))


def derive_checkpoint(
    directory: Path, output: Path, *, weights: Mapping[str, Tensor], card: str
) -> None:
    """Publish as `output` the checkpoint `directory` with other weights and another card.

    What would resume its training is left out: it does not belong to these weights.

    Raises:
        CheckpointError: a file is missing or damaged, `output` exists, or the file system refused.
    """
    old = CheckpointFiles(directory)
    files = {name: old.read(name) for name in old.names() if not name.startswith(STATE)}
    files |= {CARD: card.encode(), WEIGHTS: to_safetensors(weights)}
    publish_as(output, signed(files, old.step))


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
    files = CheckpointFiles(resolve(path, links=("last",)))
    tensors = files.tensors("training_state/state.safetensors")
    return tensors, files.json("training_state/state.json")


def load_training_meta(path: Path) -> dict[str, Any]:
    """`training_meta` alone, without reading the tensors.

    Raises:
        CheckpointError: as `load_training_state`.
    """
    return CheckpointFiles(resolve(path, links=("last",))).json("training_state/state.json")


def load_origin(path: Path) -> str | None:
    """`Checkpoint.origin` alone, of what `load_checkpoint` would load.

    Raises:
        CheckpointError: as `load_checkpoint`.
    """
    return CheckpointFiles(resolve(path)).origin()


def _load(directory: Path) -> Checkpoint:
    files = CheckpointFiles(directory)
    config = files.config("config.json", ModelConfig)
    return Checkpoint(
        config=config,
        network=_network(config, files.tensors(WEIGHTS), directory),
        tokenizer=Tokenizer(files.read("tokenizer.model")),
        search=files.config("decoding.json", SearchOptions),
        profile=files.profile(),
        card=files.read(CARD).decode(errors="replace"),
        shortlist=files.shortlist(config.vocab_size),
        origin=files.origin(),
        step=files.step,
        path=directory,
        digest=files.digest,
    )


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
                f"{directory / WEIGHTS}: {name} is {found.get(name, 'absent')}, but "
                f"config.json wants it {expected.get(name, 'absent')}. Use files of one training."
            )
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(weights[name])
    return network.eval()
