"""Out of memory: which errors mean that memory ran out.

PyTorch has an error of its own for devices; if the host runs out, it raises a plain RuntimeError.
While a CUDA graph is captured, another error may hide it; it is then the context of that error.
"""

import torch

ON_THE_HOST = "can't allocate memory"
"""Part of the message of PyTorch's CPU allocator."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error`, or one during whose handling it was raised, is out of memory."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError | torch.OutOfMemoryError):
            return True
        if isinstance(cause, RuntimeError) and ON_THE_HOST in str(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
