"""Learning-rate schedules: a linear warm-up, then cosine or inverse square root decay."""

import math
from typing import Literal


def learning_rate(
    step: int,
    *,
    kind: Literal["cosine", "inverse_sqrt"],
    peak: float,
    warmup_steps: int,
    max_steps: int,
) -> float:
    """Compute the rate of update number `step`, the first of which is 1.

    It rises linearly to `peak` at `warmup_steps`; then `cosine` falls to 0 at `max_steps`
    (Loshchilov & Hutter 2017, eq. 5 without restarts) and `inverse_sqrt` falls as 1/sqrt(step)
    (Vaswani et al. 2017, eq. 3).
    """
    if step <= warmup_steps:
        return peak * step / warmup_steps
    if kind == "inverse_sqrt":
        return peak * math.sqrt(max(warmup_steps, 1) / step)
    progress = (step - warmup_steps) / max(max_steps - warmup_steps, 1)
    return peak * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
