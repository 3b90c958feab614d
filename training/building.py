"""The network of a run as it begins: its weights, which of them are trained, and its dropout."""

from collections.abc import Mapping

import torch
from torch import Tensor

from model.network.dropout import share_masks
from model.network.seq2seq import Seq2Seq
from training.config import TrainConfig
from training.finetune import frozen_names


def build_network(config: TrainConfig, weights: Mapping[str, Tensor] | None = None) -> Seq2Seq:
    """The network in training mode: random, or with `weights` by the names of its parameters.

    Parameters that `finetune.freeze` names need no gradient.

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
    return network.train()
