"""Spike list of the report: each update that stands out, and the batch that it came from."""

from collections.abc import Sequence
from itertools import groupby

from training.tracking.html_parts import facts, folded, shown
from training.tracking.run_record import MOST_SPIKES, PairRow, SpikeRow


def spike_list(spikes: Sequence[SpikeRow]) -> str:
    """List the spikes in the order of their steps; nothing if there are none."""
    if not spikes:
        return ""
    about = (
        f"At most {MOST_SPIKES} are kept, those that stand out most. A pair is numbered among the "
        "pairs that are kept of its corpus; its loss is measured right after the update, without "
        "dropout."
    )
    entries = (_entry(spike) for spike in sorted(spikes, key=lambda spike: spike["step"]))
    return f"<p class=soft>{about}</p>{''.join(entries)}"


def headline(spike: SpikeRow) -> str:
    """Say in a line what stands out."""
    step = f"step {spike['step']:,}: "
    if spike["kind"] == "not finite":
        return f"{step}loss or gradient not finite, update skipped"
    name, value = "loss", spike["nll"]
    if spike["kind"] == "gradient":
        name, value = "norm of the gradient", spike["gradient_norm"]
    far = "" if spike["excess"] is None else f", {spike['excess']:,.0f} deviations above"
    return f"{step}{name} {_figure(value)}, median before it {_figure(spike['usual'])}{far}"


def spike_id(spike: SpikeRow) -> str:
    """Id of the entry in the page."""
    return f"spike-{spike['step']}"


def _entry(spike: SpikeRow) -> str:
    count = sum(map(len, spike["pairs"].values()))
    values = {
        "loss": f"{_figure(spike['nll'])} nats per target piece",
        "norm of the gradient": f"{_figure(spike['gradient_norm'])} before clipping",
        "batch": f"{count:,} pairs, {spike['target_pieces']:,} target pieces",
        "hardest pair": _pair(spike["hardest"]),
        "longest pair": _pair(spike["longest"]),
    }
    pairs = {corpus: _ranges(numbers) for corpus, numbers in spike["pairs"].items()}
    return (
        f'<div class="sample" id="{spike_id(spike)}"><p>{shown(headline(spike))}</p>'
        f"<dl>{facts(values)}</dl>"
        f"{folded('all pairs of the batch', f'<dl>{facts(pairs)}</dl>')}</div>"
    )


def _pair(pair: PairRow) -> str:
    return (
        f"{pair['corpus']}, pair {pair['number']:,}: {_figure(pair['nll'])} nats per target piece, "
        f"{pair['source_pieces']:,} + {pair['target_pieces']:,} pieces: "
        f"{pair['source']} → {pair['target']}"
    )


def _ranges(numbers: Sequence[int]) -> str:
    """Write sorted numbers, several in a row as 3-7."""
    parts = []
    for _, group in groupby(enumerate(numbers), key=lambda item: item[1] - item[0]):
        run = [number for _, number in group]
        parts.append(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}")
    return ", ".join(parts)


def _figure(value: float | None) -> str:
    return "not finite" if value is None else f"{value:,.2f}"
