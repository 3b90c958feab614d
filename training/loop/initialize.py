"""Initialisation: random weights, or those of a trained model, also for another vocabulary.

Fine-tuning needs the same architecture. Some parameters may be frozen.
"""

# Shapes: V old pieces, W new pieces, E vector size.

import dataclasses
import difflib
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial

import torch
from torch import Tensor, nn

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint, load_origin
from model.config import ModelConfig
from model.errors import ConfigError
from model.network.dropout import share_masks
from model.network.seq2seq import Seq2Seq
from model.text.tokenizer import EOS_ID, Tokenizer
from model.text.vocabulary import Vocabulary, text_tokenizer
from training.config.objective_config import FinetuneConfig
from training.config.train_config import TrainConfig


def check_same_architecture(one: ModelConfig, other: ModelConfig, name: str) -> None:
    """Check that weights of `one`, which is called `name`, mean the same in `other`.

    Raises:
        ConfigError: naming each difference. Dropout rates make none, and the longest sentence.
    """
    free = {"dropout", "embedding_dropout", "word_dropout", "max_length"}
    keys = [field.name for field in dataclasses.fields(ModelConfig) if field.name not in free]
    differences = [
        f"model.{key} is {getattr(one, key)}, not {getattr(other, key)}"
        for key in keys
        if getattr(one, key) != getattr(other, key)
    ]
    if differences:
        raise ConfigError(
            f"{name}: another architecture: {'; '.join(differences)}. These must be the same."
        )


PIECE_ROWS = ("output.weight", "output.bias", "source_embedding.weight", "target_embedding.weight")
"""Parameters with one row for each piece of the vocabulary."""


def starting_weights(
    config: FinetuneConfig, model: ModelConfig, tokenizer: Vocabulary
) -> dict[str, Tensor] | None:
    """Load the weights that a run starts from; None if they are random.

    Raises:
        CheckpointError: there is no such checkpoint, or it is damaged.
        ConfigError: see `initial_weights`.
    """
    if config.init_from is None:
        return None
    return initial_weights(load_checkpoint(config.init_from), model, tokenizer)


def new_origin(config: FinetuneConfig, network: nn.Module, data_digest: str) -> str | None:
    """Compute the origin of a new run, or take over that of the model whose weights it takes.

    Its own is a digest of the weights that it begins with and of its data, so that the same
    training gives the same checkpoint; trainings that share both have one origin, whatever else
    differs. None if the model that it begins with was saved by an older Dragoman.

    Raises:
        CheckpointError: there is no such checkpoint, or it is damaged.
    """
    if config.init_from:
        return load_origin(config.init_from)
    digest = hashlib.sha256(data_digest.encode())
    for parameter in network.parameters():
        digest.update(parameter.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def initial_weights(
    checkpoint: Checkpoint, model: ModelConfig, tokenizer: Vocabulary
) -> dict[str, Tensor]:
    """Convert the weights of `checkpoint` to a network of `model` with the pieces of `tokenizer`.

    A new piece begins with the mean of the vectors of the old pieces that spell it, as in Fast
    Vocabulary Transfer (Gee et al. 2022, section 2).

    Raises:
        ConfigError: the architectures differ; each difference is named.
    """
    same_size = replace(model, vocab_size=checkpoint.config.vocab_size)
    check_same_architecture(same_size, checkpoint.config, f"finetune.init_from {checkpoint.path}")
    weights = {name: p.detach().clone() for name, p in checkpoint.network.named_parameters()}
    if tokenizer.model != checkpoint.vocabulary.model:
        sources = piece_sources(checkpoint.tokenizer, text_tokenizer(tokenizer))
        for name in weights.keys() & PIECE_ROWS:
            weights[name] = torch.stack([weights[name][ids].mean(dim=0) for ids in sources])
    return weights


def piece_sources(old: Tokenizer, new: Tokenizer) -> list[list[int]]:
    """Find the pieces of `old` whose mean each of the W pieces of `new` begins with.

    The control pieces and those of the same text are themselves; others are spelt by `old`, and
    byte pieces that `old` does not have begin as the mean of all.
    """
    known = {old.piece(id): id for id in range(EOS_ID + 1, old.vocab_size)}
    byte_pieces = set(new.byte_pieces())
    everything = list(range(EOS_ID + 1, old.vocab_size))
    sources = [[id] for id in range(EOS_ID + 1)]
    for id in range(EOS_ID + 1, new.vocab_size):
        piece = new.piece(id)
        if piece in known:
            sources.append([known[piece]])
        else:
            sources.append(everything if id in byte_pieces else old.spell(piece) or everything)
    return sources


def frozen_names(names: Sequence[str], patterns: Collection[str]) -> set[str]:
    """Select the parameters `names` that match a pattern, such as `encoder.*`.

    Raises:
        ConfigError: a pattern matches none (the nearest name is suggested), or nothing is left to
            train.
    """
    frozen: set[str] = set()
    for pattern in patterns:
        matched = [name for name in names if fnmatchcase(name, pattern)]
        if not matched:
            nearest = max(names, key=partial(_likeness, pattern))
            raise ConfigError(
                f"finetune.freeze: {pattern!r} matches no parameter. Did you mean {nearest!r}? "
                "With tied embeddings, output.weight is all three."
            )
        frozen.update(matched)
    if len(frozen) == len(names):
        raise ConfigError(
            f"finetune.freeze: {', '.join(patterns)} match every parameter, so there is nothing to "
            "train. Leave one out."
        )
    return frozen


def _likeness(pattern: str, name: str) -> float:
    """Similarity of a pattern and the beginning of a name."""
    return difflib.SequenceMatcher(None, pattern, name[: len(pattern)]).ratio()


def build_network(config: TrainConfig, weights: Mapping[str, Tensor] | None = None) -> Seq2Seq:
    """Build the network in training mode: random, or with `weights` by parameter name.

    Parameters that `finetune.freeze` names need no gradient. The encoder truncates the gradients as
    `run.truncated_bptt` says.

    Raises:
        ConfigError: `finetune.freeze` names none, or all.
    """
    network = Seq2Seq(config.model)
    parameters = dict(network.named_parameters())
    if weights is not None:
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(weights[name])
    for name in frozen_names(list(parameters), config.finetune.freeze):
        parameters[name].requires_grad_(False)
    if config.objective.variational_dropout:
        share_masks(network)
    network.encoder.truncated_bptt = config.run.truncated_bptt
    return network.train()
