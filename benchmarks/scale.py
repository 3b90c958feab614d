"""What a training costs in hours and money on 1 to 64 GPUs: a simulation, not a measurement.

    python -m benchmarks.scale

An update of T tokens on n GPUs takes

    floor + imbalance * T / (n * rate) + (1 - overlap) * 2 (n - 1) / n * 4 P / bandwidth(n)

with P parameters, whose fp32 gradients go around a ring, once to be summed and once to be shared.
It takes as long as each process needs to read its share of the pairs and to plan the batches of
all, if that is longer. The run's validations, and what is computed again after failures, are added.
`Assumptions` says where every number comes from. The last lines simulate the one published scaling
that there is, NVIDIA's GNMT on 1, 4 and 8 A100s, with the same assumptions but these cards' rate.
"""

import sys
from dataclasses import dataclass, replace

GPUS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Assumptions:
    """Of H100 machines with 8 GPUs each, as they are rented."""

    matrix_rate: float = 790e12
    """FLOP/s of a large bf16 matrix product, as measured on such cards (nominal: 989)."""
    matrix_share: float = 0.17
    """Of it that the training reaches: what NVIDIA's GNMT reaches on an A100."""
    floor_s: float = 0.015
    """Of an update whatever its size: launches, Python, the optimizer. A guess."""
    imbalance: float = 1.25
    """The slowest part of a batch takes so many times the mean, if there are several. Set so that
    NVIDIA's published scaling is met: to 0.3 % on four cards, 12 % too good on eight."""
    pairs_read: float = 400_000
    """Pairs/s of its share that a process reads while it trains. Cautious: benchmarks/README.md
    has 582,000, of shorter pairs and an otherwise idle core."""
    pairs_planned: float = 1_000_000
    """Pairs/s that a process groups in batches: those of all. benchmarks/shared_reading.py read
    and planned a window of 65,536 in 0.06 s of processor time."""
    overlap: float = 0.5
    """Of the exchange of gradients that hides behind the backward pass. A guess."""
    inside: float = 300e9
    """Bytes/s of a ring of GPUs within a machine (NVLink; nominal: 450e9)."""
    between: float = 40e9
    """Bytes/s of a ring through several machines (400 Gbit/s each; nominal: 50e9)."""
    machine: int = 8
    """GPUs in a machine."""
    tokens_a_pair: int = 50
    """Source and target pieces together: news text in pieces of a vocabulary of 32,000."""
    validations: int = 50
    """In a run; one saves a checkpoint, too."""
    validation_s: float = 60.0
    """Of the first GPU, for which the others wait."""
    gpu_hours_to_failure: float = 50_000.0
    """Meta counted 419 interruptions of 16,384 H100s in 54 days (Llama 3, 2024)."""
    restart_s: float = 300.0
    """From a failure to the first new update, besides what must be computed again."""
    usd_per_gpu_hour: float = 2.50
    """Prices differ by 3 times and change every month."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """What of a network matters here."""

    name: str
    parameters: float
    flops_per_token: float
    """Of a forward and a backward pass, for a source or target piece on average."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """What of the data and the recipe matters here."""

    name: str
    pairs: float
    passes: float
    batch_tokens: int


# 6 FLOP for each use of a weight; the output layer is most of the smaller network.
MODELS = (
    Model(name="2+2x512", parameters=39e6, flops_per_token=101e6),
    Model(name="4+4x1024", parameters=160e6, flops_per_token=381e6),
)
# A larger corpus needs fewer passes, and bears a larger batch.
CORPORA = (
    Corpus(name="1 M", pairs=1e6, passes=30, batch_tokens=32_000),
    Corpus(name="100 M", pairs=1e8, passes=4, batch_tokens=128_000),
    Corpus(name="10 B", pairs=1e10, passes=1, batch_tokens=512_000),
)

PUBLISHED = {1: 140_909, 4: 463_144, 8: 822_024}
"""Source and target tokens/s of NVIDIA's GNMT v2 (4+4x1024, PyTorch 20.06) on A100-40 cards."""
PUBLISHED_BATCH = 128 * 50  # tokens for each GPU: the batch grew with the GPUs there


def main() -> int:
    """Print two tables in Markdown, and the comparison with what was published."""
    print("\n".join([*tables(Assumptions()), "", *comparison(Assumptions())]))
    return 0


def update_s(model: Model, batch_tokens: float, gpus: int, given: Assumptions) -> float:
    """Seconds of an update."""
    rate = given.matrix_rate * given.matrix_share / model.flops_per_token
    computing = batch_tokens / (gpus * rate)
    pairs = batch_tokens / given.tokens_a_pair
    reading = pairs / gpus / given.pairs_read + pairs / given.pairs_planned
    if gpus == 1:
        return max(given.floor_s + computing, reading)
    bandwidth = given.inside if gpus <= given.machine else given.between
    exchange = 2 * (gpus - 1) / gpus * 4 * model.parameters / bandwidth
    computed = given.floor_s + given.imbalance * computing + (1 - given.overlap) * exchange
    return max(computed, reading)


def hours(model: Model, corpus: Corpus, gpus: int, given: Assumptions) -> float:
    """Of the whole run."""
    tokens = corpus.pairs * corpus.passes * given.tokens_a_pair
    updates = tokens / corpus.batch_tokens
    training = updates * update_s(model, corpus.batch_tokens, gpus, given) / 3600
    waiting = given.validations * given.validation_s / 3600
    failures = (training + waiting) * gpus / given.gpu_hours_to_failure
    again = training / given.validations / 2 + given.restart_s / 3600
    return training + waiting + failures * again


def usd(model: Model, corpus: Corpus, gpus: int, given: Assumptions) -> float:
    """Of the whole run."""
    return hours(model, corpus, gpus, given) * gpus * given.usd_per_gpu_hour


def tables(given: Assumptions) -> list[str]:
    """Hours and US dollars by network, corpus and number of GPUs."""
    lines = []
    for name, value in (("hours", hours), ("US dollars", usd)):
        lines += [f"| {name} | " + " | ".join(f"{n} GPU" for n in GPUS) + " |"]
        lines += ["|---" * (len(GPUS) + 1) + "|"]
        for model in MODELS:
            for corpus in CORPORA:
                found = (figure(value(model, corpus, gpus, given)) for gpus in GPUS)
                lines += [f"| {model.name}, {corpus.name} pairs | {' | '.join(found)} |"]
        lines += [""]
    return lines[:-1]


def comparison(given: Assumptions) -> list[str]:
    """Simulated and published tokens/s of several A100s."""
    model = MODELS[1]
    # Of one card all is given; what is simulated is what further cards add.
    alone = PUBLISHED_BATCH / PUBLISHED[1] - given.floor_s
    share = PUBLISHED_BATCH * model.flops_per_token / alone / given.matrix_rate
    cards = replace(given, matrix_share=share, inside=given.inside * 600 / 900)  # NVLink 3, not 4
    lines = ["| A100s | simulated tokens/s | published |", "|---|---|---|"]
    for gpus, published in PUBLISHED.items():
        batch = PUBLISHED_BATCH * gpus
        lines += [
            f"| {gpus} | {batch / update_s(model, batch, gpus, cards):,.0f} | {published:,} |"
        ]
    return lines


def figure(value: float) -> str:
    """Two digits of a small number, all of a large one."""
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


if __name__ == "__main__":
    sys.exit(main())
