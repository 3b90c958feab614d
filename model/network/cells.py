"""Recurrent cells: each as its equations, and as the fused torch kernel that computes the same.

The kernel runs whole sequences (the encoder, and training); the equations run single steps
(decoding). Both read the same parameters, and tests hold them equal in float64.

LSTM: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000; GRU: Cho et al. 2014,
with the reset gate after the recurrent product as in cuDNN; RNN: Elman 1990.
"""

# Shapes: N sentences, R rows, T steps, I input size, D state size.

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROW_MULTIPLE = 16
INPUT_BLOCK = 512
ROW_BLOCK = 64

GATES: dict[str, tuple[str, ...]] = {
    "lstm": ("input", "forget", "candidate", "output"),
    "gru": ("reset", "update", "candidate"),
    "rnn": (),
}
"""What a step of each kind computes before its new state, in the order of the equations."""

KERNELS: dict[str, type[nn.LSTM] | type[nn.GRU] | type[nn.RNN]] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "rnn": nn.RNN,
}


def cpu_computes_bf16() -> bool:
    """Tell whether the CPU has bf16 products; otherwise bf16 is emulated and slower than fp32."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`F.linear` with a result for each row that does not depend on the number of rows.

    Matrix libraries choose another order of summation for very few rows, which changes the last
    bits. Without gradients the rows of `x` (R, I) are therefore filled up to a multiple of 16, for
    which the bits are always the same. Several threads divide large products by rows but small ones
    by inputs if there are 1,024 or more in fp32 (MKL, measured), so each such product takes at most
    512 inputs. In bf16 the order changes up to 48 rows, and with several threads for any number
    (oneDNN with AMX, measured), so each such product has 64 rows.
    """
    if torch.is_grad_enabled():
        return F.linear(x, weight, bias)
    on_cpu = x.device.type == "cpu"
    if on_cpu and x.dtype == torch.bfloat16:
        blocks = torch.split(F.pad(x, (0, 0, 0, -len(x) % ROW_BLOCK)), ROW_BLOCK)
        return torch.cat([F.linear(block, weight, bias) for block in blocks])[: len(x)]
    padded, inputs = fill_rows(x), x.shape[1]
    shared_out = on_cpu and torch.get_num_threads() > 1
    if inputs < 2 * INPUT_BLOCK or x.dtype != torch.float32 or not shared_out:
        return F.linear(padded, weight, bias)[: len(x)]
    result = F.linear(padded[:, :INPUT_BLOCK], weight[:, :INPUT_BLOCK], bias)
    for start in range(INPUT_BLOCK, inputs, INPUT_BLOCK):
        block = slice(start, start + INPUT_BLOCK)
        result.addmm_(padded[:, block], weight[:, block].t())
    return result[: len(x)]


def fill_rows(rows: Tensor) -> Tensor:
    """Fill up `rows` (R, ...) with zero rows to a multiple of 16, for the reason given in `linear`.

    Elementwise functions need it, too: they process the last few elements in another way.
    """
    missing = -len(rows) % ROW_MULTIPLE
    return F.pad(rows, (0, 0) * (rows.dim() - 1) + (0, missing)) if missing else rows


Parameters = tuple[Tensor, Tensor, Tensor, Tensor]
"""W (kD, I), U (kD, D) and both biases (kD,): the k gates are stacked."""


def lstm_gates(
    x: Tensor, hidden: Tensor, parameters: Parameters, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gates i, f, g and o (R, D) of `lstm_cell`, which rounds their sums to `dtype`."""
    w, u, b_w, b_u = parameters
    gates = (linear(x, w, b_w) + linear(hidden, u, b_u)).to(dtype)
    i, f, g, o = gates.chunk(4, dim=-1)
    return i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()


def lstm_cell(
    x: Tensor, hidden: Tensor, cell: Tensor, parameters: Parameters
) -> tuple[Tensor, Tensor]:
    """One step of the four interacting layers of an LSTM.

        i = sigmoid(W_i x + U_i h + b_i)      how much of the candidate enters
        f = sigmoid(W_f x + U_f h + b_f)      how much of the old cell stays
        g = tanh   (W_g x + U_g h + b_g)      the candidate
        o = sigmoid(W_o x + U_o h + b_o)      how much of the cell is output
        c' = f * c + i * g
        h' = o * tanh(c')

    Args:
        x: (R, I).
        hidden: h (R, D).
        cell: c (R, D), kept in fp32 where the weights are bf16: it is a long sum.
        parameters: W (4D, I), U (4D, D) and both biases (4D,), gates stacked in the order i f g o.

    Returns:
        h' (R, D) in the dtype of `hidden`, and c' (R, D) in the dtype of `cell`.
    """
    i, f, g, o = lstm_gates(x, hidden, parameters, cell.dtype)
    cell = f * cell + i * g
    return (o * cell.tanh()).to(hidden.dtype), cell


def gru_gates(x: Tensor, hidden: Tensor, parameters: Parameters) -> tuple[Tensor, Tensor, Tensor]:
    """The gates r, z and n (R, D) of `gru_cell`."""
    w, u, b_w, b_u = parameters
    r_x, z_x, n_x = linear(x, w, b_w).chunk(3, dim=-1)
    r_h, z_h, n_h = linear(hidden, u, b_u).chunk(3, dim=-1)
    r, z = (r_x + r_h).sigmoid(), (z_x + z_h).sigmoid()
    return r, z, (n_x + r * n_h).tanh()


def gru_cell(x: Tensor, hidden: Tensor, parameters: Parameters) -> Tensor:
    """One step of a gated recurrent unit: h' (R, D) for x (R, I) and h (R, D).

    r = sigmoid(W_r x + U_r h + b_r)      reset
    z = sigmoid(W_z x + U_z h + b_z)      update
    n = tanh(W_n x + b_n + r * (U_n h + b_m))
    h' = (1 - z) * n + z * h
    """
    _, z, n = gru_gates(x, hidden, parameters)
    return (1 - z) * n + z * hidden


def rnn_cell(x: Tensor, hidden: Tensor, parameters: Parameters) -> Tensor:
    """One step of a simple recurrent network: h' = tanh(W x + U h + b), (R, D)."""
    w, u, b_w, b_u = parameters
    return (linear(x, w, b_w) + linear(hidden, u, b_u)).tanh()


class RecurrentLayer(nn.Module):
    """One unidirectional recurrent layer, as a sequence (kernel) or step by step (equations)."""

    def __init__(
        self, kind: Literal["lstm", "gru", "rnn"], input_size: int, hidden_size: int
    ) -> None:
        super().__init__()
        self.kind = kind
        self.hidden_size = hidden_size
        self.kernel = KERNELS[kind](input_size, hidden_size, batch_first=True)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform input weights, orthogonal recurrent weights gate by gate, biases 0.

        The forget gate's bias is 1, so that a new cell remembers (Jozefowicz et al. 2015).
        """
        for name, parameter in self.kernel.named_parameters():
            with torch.no_grad():
                for gate in parameter.chunk(len(parameter) // self.hidden_size):
                    if name.startswith("weight_ih"):
                        nn.init.xavier_uniform_(gate)
                    elif name.startswith("weight_hh"):
                        nn.init.orthogonal_(gate)
                    else:
                        gate.zero_()
                if self.kind == "lstm" and name.startswith("bias_ih"):
                    parameter[self.hidden_size : 2 * self.hidden_size] = 1.0

    def sequence(
        self, x: Tensor, hidden: Tensor | None = None, cell: Tensor | None = None
    ) -> Tensor:
        """Outputs (N, T, D) for x (N, T, I), starting from the states (N, D) or from zeros."""
        return self.sequence_and_state(x, hidden, cell)[0]

    def sequence_and_state(
        self, x: Tensor, hidden: Tensor | None = None, cell: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Outputs as of `sequence`, and the states (N, D) after them; the cell of an LSTM only."""
        if x.is_cuda:
            cast = torch.is_autocast_enabled("cuda")
            dtype = torch.get_autocast_dtype("cuda") if cast else x.dtype
            if dtype == torch.bfloat16:
                with torch.autocast("cuda", enabled=False):
                    return self.sequence_in(dtype, x, hidden, cell)
        elif torch.is_autocast_enabled("cpu") and not cpu_computes_bf16():
            # oneDNN cannot train a recurrent layer in bf16 without AVX-512, and emulates it, slower
            # than fp32, if AVX-512 has no bf16.
            with torch.autocast("cpu", enabled=False):
                return self.sequence_in(torch.float32, x, hidden, cell)
        start = None if hidden is None else hidden.unsqueeze(0).contiguous()
        if self.kind != "lstm":
            outputs, last = self.kernel(x, start)
            return outputs, last.squeeze(0), None
        both = None
        if start is not None and cell is not None:
            both = start, cell.unsqueeze(0).to(start.dtype).contiguous()
        outputs, (last, last_cell) = self.kernel(x, both)
        return outputs, last.squeeze(0), last_cell.squeeze(0)

    def resume(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs (T, D) for x (T, I), and the state after it (1, D); see `step` for `cell`.

        For inference, and one sequence: a part of it continues from the state after the one before.
        """
        if self.kind == "lstm":
            outputs, (hidden, cell) = self.kernel(x, (hidden, cell))
        else:
            outputs, hidden = self.kernel(x, hidden)
        return outputs, hidden, cell

    def sequence_in(
        self, dtype: torch.dtype, x: Tensor, hidden: Tensor | None, cell: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Compute `sequence_and_state` in `dtype`.

        bf16 is for CUDA: autocast to bf16 runs these kernels in fp16 nevertheless (torch 2.11), in
        which the gradients of a mean over many pieces underflow. Weights that are bf16 themselves
        are not laid out for cuDNN by torch, which warns about that in every call.
        """
        width = self.hidden_size
        shapes = [parameter.shape for parameter in self.kernel.parameters()]
        # Contiguous memory in the order of cuDNN, which would otherwise gather them in every call.
        flat = torch.cat([parameter.flatten() for parameter in self.kernel.parameters()]).to(dtype)
        split = torch.split(flat, [shape.numel() for shape in shapes])
        weights = [part.view(shape) for part, shape in zip(split, shapes, strict=True)]
        start = x.new_zeros(1, len(x), width) if hidden is None else hidden.unsqueeze(0)
        start = start.to(dtype).contiguous()
        rest = (weights, True, 1, 0.0, self.training, False, True)
        if self.kind != "lstm":
            run = torch.gru if self.kind == "gru" else torch.rnn_tanh
            outputs, last = run(x.to(dtype), start, *rest)
            return outputs, last.squeeze(0), None
        cells = torch.zeros_like(start) if cell is None else cell.unsqueeze(0).to(dtype)
        outputs, last, last_cell = torch.lstm(x.to(dtype), (start, cells.contiguous()), *rest)
        return outputs, last.squeeze(0), last_cell.squeeze(0)

    def step(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """The next hidden and cell (R, D) for x (R, I); `cell` passes through GRU and RNN."""
        parameters = self._weights()
        if self.kind == "lstm":
            return lstm_cell(x, hidden, cell, parameters)
        step = gru_cell if self.kind == "gru" else rnn_cell
        return step(x, hidden, parameters), cell

    def gates(self, x: Tensor, hidden: Tensor, cell: Tensor) -> dict[str, Tensor]:
        """What the `step` from these states computes on its way: the `GATES`, each (R, D)."""
        parameters = self._weights()
        values: tuple[Tensor, ...] = ()
        if self.kind == "lstm":
            values = lstm_gates(x, hidden, parameters, cell.dtype)
        elif self.kind == "gru":
            values = gru_gates(x, hidden, parameters)
        return dict(zip(GATES[self.kind], values, strict=True))

    def _weights(self) -> Parameters:
        w, u, b_w, b_u = self.kernel.parameters()
        return w, u, b_w, b_u
