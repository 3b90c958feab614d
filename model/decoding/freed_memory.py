"""Freed memory: what the C library keeps of it for later use, given back to the system."""

import ctypes
import sys


def release_unused() -> None:
    """Give freed memory back to the system, where the C library can (glibc).

    Tensors of many sizes leave holes between them that glibc keeps: without this a training of 700
    updates held 1.4 GB of freed memory beside 0.8 GB in use.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
