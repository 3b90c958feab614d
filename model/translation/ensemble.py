"""Ensemble: several networks with the same vocabulary, which the search sees as one network.

The log-probability of a piece is the mean of its log-probabilities in the members, normalised again
over the vocabulary; the attention is the mean of theirs. Memories and states of the members lie
side by side in the fields of one `Memory` and one `DecoderState`.
"""

# Shapes: N sentences, K hypotheses, R = N*K rows, S source length, T target length, F feature size,
# V vocabulary.

import dataclasses
from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from model.checkpoint.checkpoint import Checkpoint
from model.config import ModelConfig
from model.decoding.lexical_shortlist import Shortlist
from model.errors import ConfigError
from model.network.decoder import DecoderState
from model.network.memory import Memory
from model.network.seq2seq import Seq2Seq
from model.text.languages import languages_agree


class Ensemble(Seq2Seq):
    """All that a `Seq2Seq` does in the search, done by several that may differ in all sizes."""

    def __init__(self, members: Sequence[Seq2Seq]) -> None:
        """
        Args:
            members: in eval mode. A piece must have the same id in all of them: see `network_of`.

        Raises:
            ConfigError: their vocabularies are of different sizes, or they read vectors, which
                each would have normalised by its own statistics.
        """
        nn.Module.__init__(self)
        if any(member.config.has_vectors for member in members):
            raise ConfigError("an ensemble of models of vectors is not there. Use one model.")
        sizes = sorted({member.config.vocab_size for member in members})
        if len(sizes) > 1:
            raise ConfigError(
                f"an ensemble needs one vocabulary, but these have {sizes[0]} and {sizes[-1]} "
                f"pieces. Use models that were trained with the same tokenizer."
            )
        shortest = min(member.config.max_length for member in members)
        self.config = dataclasses.replace(members[0].config, max_length=shortest)
        self.members = cast(Sequence[Seq2Seq], nn.ModuleList(members))
        self.output = members[0].output  # tells device and number format, as in any network
        self.eval()

    def encode(self, src: Tensor, lengths: Tensor) -> Memory:
        """Encode by each member; their memories, side by side."""
        memories = [member.encode(src, lengths) for member in self.members]
        return memories[0]._replace(
            values=torch.cat([memory.values for memory in memories], dim=2),
            keys=torch.cat([memory.keys for memory in memories], dim=2),
        )

    def start(self, memory: Memory) -> DecoderState:
        """The states of the members, side by side; hidden and cell as (N, all layers' width)."""
        return _packed(
            member.start(own)
            for member, own in zip(self.members, self._memories(memory), strict=True)
        )

    def step(
        self, token: Tensor, state: DecoderState, memory: Memory
    ) -> tuple[DecoderState, Tensor, Tensor]:
        """Next state, features of all members (N, K, ...), mean weights (N, K, S)."""
        steps = [
            member.step(token, own_state, own_memory)
            for member, own_state, own_memory in zip(
                self.members, self._states(state), self._memories(memory), strict=True
            )
        ]
        states, features, weights = zip(*steps, strict=True)
        return _packed(states), self._features(features, weights), _mean(weights)

    def unroll(self, tgt_in: Tensor, state: DecoderState, memory: Memory) -> tuple[Tensor, Tensor]:
        """Features (N, T, ...) and mean weights (N, T, S) under teacher forcing."""
        pairs = [
            member.unroll(tgt_in, own_state, own_memory)
            for member, own_state, own_memory in zip(
                self.members, self._states(state), self._memories(memory), strict=True
            )
        ]
        features, weights = zip(*pairs, strict=True)
        return self._features(features, weights), _mean(weights)

    def log_scores(self, features: Tensor, weights: Tensor, memory: Memory) -> Tensor:
        """The mean (N, K, V) fp32 of the members' log-probabilities, not normalised."""
        length = weights.shape[2]
        scores = []
        for member, own in zip(self.members, self._memories(memory), strict=True):
            width = member.output.in_features
            part = features[:, :, :width].to(member.output.weight.dtype).contiguous()
            attention, features = weights, features[:, :, width:]
            if member.config.copy:  # it copies by its own attention
                attention, features = features[:, :, :length], features[:, :, length:]
            scores.append(member.log_scores(part, attention, own).float().log_softmax(dim=2))
        return _mean(scores)

    def _features(self, features: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
        """The features (N, K, F) of all members, each followed by its weights if it copies.

        The weights stay in fp32, and with them all features are.
        """
        parts: list[Tensor] = []
        for member, own, attention in zip(self.members, features, weights, strict=True):
            parts += [own, attention] if member.config.copy else [own]
        return torch.cat(parts, dim=2)

    def _memories(self, memory: Memory) -> list[Memory]:
        """The memory of each member."""
        configs = [member.config for member in self.members]
        values = torch.split(memory.values, [config.encoder_size for config in configs], dim=2)
        keys = torch.split(memory.keys, [config.decoder_size for config in configs], dim=2)
        # Contiguous, so that a member computes as it does alone, to the bit.
        return [
            memory._replace(values=value.contiguous(), keys=key.contiguous())
            for value, key in zip(values, keys, strict=True)
        ]

    def _states(self, state: DecoderState) -> list[DecoderState]:
        configs = [member.config for member in self.members]
        widths = [[_widths(config)[field] for config in configs] for field in range(3)]
        fields = [torch.split(x, width, dim=1) for x, width in zip(state[:3], widths, strict=True)]
        coverages = iter(state.coverage.unbind(1))
        states = []
        for config, hidden, cell, attentional in zip(configs, *fields, strict=True):
            coverage = next(coverages) if config.coverage else hidden[:, :0].float()
            layers = (len(hidden), config.decoder_layers, -1)
            wide = cell.shape[1] // config.decoder_layers
            states.append(
                DecoderState(
                    hidden=hidden.reshape(layers),
                    cell=cell.reshape(*layers[:2], wide),
                    attentional=attentional.contiguous(),
                    coverage=coverage,
                )
            )
        return states


def network_of(checkpoints: Sequence[Checkpoint]) -> Seq2Seq:
    """The network of a checkpoint, or the `Ensemble` of several.

    Raises:
        ConfigError: they have different tokenizers, or differ in what `check_alike` checks.
    """
    first = checkpoints[0]
    for other in checkpoints[1:]:
        if other.vocabulary.model != first.vocabulary.model:
            raise ConfigError(
                f"{other.path}: an ensemble needs one tokenizer, but this is another than that of "
                f"{first.path}. Train both with one vocabulary."
            )
        check_alike(other, first)
    if len(checkpoints) == 1:
        return first.network
    return Ensemble([checkpoint.network for checkpoint in checkpoints])


def check_alike(one: Checkpoint, other: Checkpoint) -> None:
    """Check that two models do the same with text, and read it in the same form.

    Raises:
        ConfigError: they differ in task, languages or normalisation.
    """
    check_same_task(one, other)
    _check_equal(
        one, other, "normalization", one.profile.normalization, other.profile.normalization
    )


def check_same_task(one: Checkpoint, other: Checkpoint) -> None:
    """Check that the outputs of two models for a text are meant to be the same.

    Raises:
        ConfigError: they differ in task or languages; those that are unknown suit any.
    """
    ours, theirs = one.profile, other.profile
    _check_equal(one, other, "task", ours.task, theirs.task)
    for name in ("source_language", "target_language"):
        first, second = getattr(ours, name), getattr(theirs, name)
        if not languages_agree(first, second):
            _check_equal(one, other, name, first, second)


def _check_equal(
    one: Checkpoint, other: Checkpoint, name: str, first: str | int, second: str | int
) -> None:
    if first != second:
        raise ConfigError(
            f"{one.path}, {other.path}: {name} {first} and {second} do not go together. Use "
            "models that do the same with text."
        )


def shortlist_of(checkpoints: Sequence[Checkpoint], wanted: bool) -> Shortlist | None:
    """The shortlist of a checkpoint if one is wanted, else None.

    Raises:
        ConfigError: it is wanted, but there is none, or it is wanted for an ensemble.
    """
    if wanted and len(checkpoints) > 1:
        raise ConfigError(
            "shortlist: an ensemble has none. Leave it out, or translate with one checkpoint."
        )
    return checkpoints[0].shortlist_if(wanted)


def _packed(states: Iterable[DecoderState]) -> DecoderState:
    """One state with the fields (R, ...) of all `states`, flat and side by side.

    Coverage is (R, M, S), for the M members that read it.
    """
    *fields, coverages = zip(*states, strict=True)
    read = [coverage for coverage in coverages if coverage.shape[1]]
    hidden, cell, attentional = (
        torch.cat([x.flatten(1) for x in field], dim=1) for field in fields
    )
    return DecoderState(
        hidden=hidden,
        cell=cell,
        attentional=attentional,
        coverage=torch.stack(read, dim=1) if read else coverages[0].unsqueeze(1)[:, :0],
    )


def _widths(config: ModelConfig) -> tuple[int, int, int]:
    """The width of each flat field of a member's state."""
    size = config.decoder_layers * config.decoder_size
    cell = size if config.cell == "lstm" else 0
    return size, cell, config.decoder_size if config.input_feeding else 0


def _mean(parts: Sequence[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total / len(parts)
