"""Out of memory: what counts as running out of it.

PyTorch has an error of its own for devices; where the host runs out it raises a plain RuntimeError.
While a CUDA graph is captured another error may cover it up, of which it is then the context.
"""

import torch

ON_THE_HOST = "can't allocate memory"
"""What the message of PyTorch's allocator for CPUs contains."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error`, or one in the handling of which it was raised, is for want of memory."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError | torch.OutOfMemoryError):
            return True
        if isinstance(cause, RuntimeError) and ON_THE_HOST in str(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
