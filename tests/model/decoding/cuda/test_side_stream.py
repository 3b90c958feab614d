"""Work beside the steps: there when it is used."""

import pytest
import torch

from model.decoding.cuda.side_stream import SideStream, sent


def test_on_a_cpu_it_is_done_at_once() -> None:
    device = torch.device("cpu")
    side, values = SideStream(device), torch.arange(3)
    made, ready = side.run(lambda: values + 1)
    side.join(ready, [made])
    assert ready is None
    assert made.tolist() == [1, 2, 3]
    assert sent(values, device) is values


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_the_current_stream_waits_for_it() -> None:
    device = torch.device("cuda")
    side = SideStream(device)
    x = sent(torch.ones(4096, 4096), device) / 4096
    torch.cuda.synchronize()

    def work() -> torch.Tensor:
        y = x
        for _ in range(30):
            y = y @ x
        return y

    for _ in range(5):
        made, ready = side.run(work)
        side.join(ready, [made])
        copy = made.clone()
        del made
        torch.testing.assert_close(copy, x, atol=1e-3, rtol=1e-2)
