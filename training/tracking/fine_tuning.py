"""Fine-tuning: what it has gained on its dev set, and what it has lost on that of the old model.

In metrics.jsonl, the line of step 0 has the figures of the model that the run begins with, under
the names of later lines after `before_`; figures on the old dev set begin with `old_`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from training.metrics.names import LABELS
from training.tracking.metrics_log import Line
from training.validation.evaluation import Evaluation

MUCH = 0.05
"""Share of a score of the old dev set whose loss calls for a remedy."""

OWN, OLD = "dev set", "old dev set"

UNKNOWN = (
    "old dev set: not named, so what was forgotten is unknown. finetune.old_dev, or "
    "--old-dev-source and --old-dev-target, measure it."
)
FORGOTTEN = (
    "Much of the old was forgotten. To keep it, mix old pairs in: name the old corpus in "
    "data.train too, with a weight (docs/training.md, Fine-tuning)."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A score of a set before and after."""

    on: str
    metric: str
    before: float
    after: float

    @property
    def label(self) -> str:
        """The metric and the set, for people."""
        return f"{LABELS[self.metric]}, {self.on}"

    @property
    def change(self) -> float:
        """The gain; a loss is negative."""
        return self.after - self.before


def old_figures(old: Evaluation) -> dict[str, float | str]:
    """The figures of an evaluation on the old dev set, for metrics.jsonl."""
    return {f"old_{key}": value for key, value in old.figures().items() if key.startswith("dev_")}


def before_figures(own: Evaluation, old: Evaluation | None) -> dict[str, float | str]:
    """The figures of the model that the run begins with, for metrics.jsonl."""
    after = own.figures() | (old_figures(old) if old else {})
    return {f"before_{key}": value for key, value in after.items() if "dev_" in key}


def after_figures(own: Evaluation, old: Evaluation | None) -> dict[str, float]:
    """The figures of an evaluation of these weights, as `changes` takes them."""
    return finite(own.figures() | (old_figures(old) if old else {}))


def recorded_before(lines: Iterable[Line]) -> dict[str, float]:
    """The figures of the model that a run began with, named as in later lines; {} if none."""
    for line in lines:
        if line["step"] == 0:
            figures = finite(line)
            return {
                key.removeprefix("before_"): value
                for key, value in figures.items()
                if key.startswith("before_")
            }
    return {}


def finite(line: Mapping[str, object]) -> dict[str, float]:
    """The numbers of a line of metrics.jsonl."""
    return {key: float(value) for key, value in line.items() if isinstance(value, int | float)}


def changes(
    metrics: Sequence[str], before: Mapping[str, float], after: Mapping[str, float]
) -> list[Change]:
    """List the change of each metric on both sets, as far as they were measured."""
    return [
        Change(on=on, metric=name, before=before[f"{key}_{name}"], after=after[f"{key}_{name}"])
        for on, key in ((OWN, "dev"), (OLD, "old_dev"))
        for name in metrics
        if f"{key}_{name}" in before and f"{key}_{name}" in after
    ]


def table(rows: Sequence[Change], *, bullet: str = "") -> list[str]:
    """Lines of a small table, for people, and what to do about a loss."""
    width = max((len(row.label) for row in rows), default=0)
    lines = [
        f"{bullet}{row.label:{width}}  {row.before:6.2f} -> {row.after:6.2f}  ({row.change:+.2f})"
        for row in rows
    ]
    return lines + [f"{bullet}{line}" for line in advice(rows)]


def advice(rows: Sequence[Change]) -> list[str]:
    """Say what to do: if the old dev set is not known, or if its scores fell much."""
    old = [row for row in rows if row.on == OLD]
    if not old:
        return [UNKNOWN]
    return [FORGOTTEN] if any(-row.change > MUCH * row.before for row in old) else []
