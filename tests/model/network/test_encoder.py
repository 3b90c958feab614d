"""The reversed two-direction encoder against a packed bidirectional nn.LSTM."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from model.config import ModelConfig
from model.network.encoder import Encoder, reversal, reverse


def packed_twin(encoder: Encoder, size: int, hidden: int) -> nn.LSTM:
    """nn.LSTM with the weights of a one-layer `encoder`."""
    twin = nn.LSTM(size, hidden, batch_first=True, bidirectional=True).double()
    state = {}
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        state[name] = getattr(encoder.forwards[0].kernel, name)
        state[f"{name}_reverse"] = getattr(encoder.backwards[0].kernel, name)
    twin.load_state_dict(state)
    return twin


def config(layers: int) -> ModelConfig:
    return ModelConfig(
        vocab_size=10, embedding_size=6, encoder_size=8, encoder_layers=layers, dropout=0.0
    )


def test_equals_a_packed_bidirectional_lstm_in_float64() -> None:
    torch.manual_seed(0)
    encoder = Encoder(config(1)).double()
    lengths = torch.tensor([7, 1, 4, 6])
    x = torch.randn(4, 7, 6, dtype=torch.float64)
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(packed_twin(encoder, 6, 4)(packed)[0], batch_first=True)
    outputs = encoder(x, lengths)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(
            outputs[row, :length], expected[row, :length], rtol=0, atol=1e-12
        )


def test_second_layer_is_residual_and_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    encoder = Encoder(config(2)).double()
    x = torch.randn(1, 5, 6, dtype=torch.float64)
    alone = encoder(x, torch.tensor([5]))
    padded = torch.cat([x, torch.full((1, 4, 6), 1e3, dtype=torch.float64)], dim=1)
    torch.testing.assert_close(encoder(padded, torch.tensor([5]))[:, :5], alone, rtol=0, atol=1e-12)
    for layer in (encoder.forwards[1], encoder.backwards[1]):
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)  # a layer of zeros adds tanh(0) = 0
    first = Encoder(config(1)).double()
    first.load_state_dict(encoder.state_dict(), strict=False)
    torch.testing.assert_close(encoder(x, torch.tensor([5])), first(x, torch.tensor([5])))


def test_reversal_turns_each_sentence_inside_its_length_and_its_gradient_follows() -> None:
    x = torch.arange(8.0, dtype=torch.float64).view(2, 4, 1).requires_grad_()
    permutation = reversal(torch.tensor([3, 4]), 4)
    turned = reverse(x, permutation)
    assert turned.detach().flatten().tolist() == [2, 1, 0, 3, 7, 6, 5, 4]
    assert torch.autograd.gradcheck(lambda y: reverse(y, permutation), (x,))
