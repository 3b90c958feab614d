"""A network of given values, such as those of a checkpoint: none are drawn first."""

from collections.abc import Mapping

from torch import Tensor, nn

from model.config import ModelConfig
from model.network.parameter_shapes import network_without_values
from model.network.seq2seq import Seq2Seq


def network_of_values(config: ModelConfig, values: Mapping[str, Tensor]) -> Seq2Seq:
    """The network of `config` with copies of `values`, one for each of the `parameter_shapes`.

    No initial values are drawn, which would take several times as long as the copies.
    """
    network = network_without_values(config)
    parameters = {
        id(old): nn.Parameter(values[name].clone()) for name, old in network.named_parameters()
    }
    # A parameter of several names, such as a tied embedding, stays one.
    every = network.named_parameters(remove_duplicate=False)
    network.load_state_dict({name: parameters[id(old)] for name, old in every}, assign=True)
    return network
