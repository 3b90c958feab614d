"""The picture of a run: how loss, quality on the dev set, learning rate and speed went."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from model.text.lines import atomic_output
from training.metrics import Line, read_metrics, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Curve(NamedTuple):
    """One value of metrics.jsonl in a panel."""

    name: str
    label: str
    colour: str


_FIRST, _SECOND, _PALE = "tab:blue", "tab:orange", "lightsteelblue"
_PANELS = {
    "Loss, nats per target piece": [
        Curve("loss", "train, smoothed labels", _PALE),
        Curve("nll", "train", _FIRST),
        Curve("dev_loss", "dev", _SECOND),
    ],
    "Dev set": [Curve("dev_bleu", "BLEU", _FIRST), Curve("dev_chrf", "chrF", _SECOND)],
    "Learning rate": [Curve("learning_rate", "learning rate", _FIRST)],
    "Tokens per second": [
        Curve("source_tokens_per_s", "source", _FIRST),
        Curve("target_tokens_per_s", "target", _SECOND),
    ],
}
_FROM_ZERO = {"Learning rate", "Tokens per second"}
_FEW_POINTS = 40  # up to here each is marked: one point alone makes no line


def save_report(metrics: Path, output: Path) -> None:
    """Draw the curves of a metrics.jsonl into the PNG file `output`.

    A panel without values, such as that of the dev set before the first validation, says so.

    Raises:
        CheckpointError: `metrics` is damaged.
        DataError: `output` cannot be written.
    """
    # Takes a second, and most commands draw nothing.
    from matplotlib.figure import Figure

    lines = read_metrics(metrics)
    figure = Figure(figsize=(11, 7), dpi=110, layout="constrained")
    figure.suptitle(f"{metrics.resolve().parent.name}: {_summary(lines)}", parse_math=False)
    for axes, (title, curves) in zip(figure.subplots(2, 2).flat, _PANELS.items(), strict=True):
        axes.set_title(title, loc="left", fontsize="medium")
        _draw(axes, lines, curves)
        if title in _FROM_ZERO:
            axes.set_ylim(bottom=0)
    with atomic_output(output) as file:
        figure.savefig(file, format="png", bbox_inches="tight", pad_inches=0.15)


def _draw(axes: "Axes", lines: list[Line], curves: list[Curve]) -> None:
    drawn = [(curve, *points) for curve in curves if (points := series(lines, curve.name))[0]]
    axes.spines[["top", "right"]].set_visible(False)
    if not drawn:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "no values yet", ha="center", color="grey", transform=axes.transAxes)
        return
    for curve, steps, values in drawn:
        marker = "." if len(steps) <= _FEW_POINTS else ""
        axes.plot(steps, values, color=curve.colour, label=curve.label, lw=1.3, marker=marker)
    axes.set_xlabel("step")
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.grid(color="0.92")
    if len(drawn) > 1:
        axes.legend(frameon=False)


def _summary(lines: list[Line]) -> str:
    steps, _ = series(lines, "step")
    summary = f"{max(steps, default=0):,} steps"
    bleu_steps, bleu = series(lines, "dev_bleu")
    if bleu:
        best = max(bleu)
        summary += f", best dev BLEU {best:.2f} at step {bleu_steps[bleu.index(best)]:,}"
    return summary
