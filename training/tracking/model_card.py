"""Model card: describes a checkpoint, its training data and its quality."""

import re
from collections.abc import Sequence

from model.config import to_dict
from model.text.languages import language_name
from training.config.sequence_config import SequenceConfig
from training.config.train_config import TrainConfig
from training.data.corpus_report import CorpusReport
from training.lexical.learn_shortlist import Coverage
from training.metrics.names import LABELS
from training.tracking.fine_tuning import Change, table
from training.validation.evaluation import Evaluation


def _heading(config: TrainConfig) -> str:
    data = config.data
    if (config.source.kind, config.target.kind) != ("pieces", "pieces"):
        return f"{config.source.kind.capitalize()} to {config.target.kind}"
    if not data.source_language and not data.target_language:
        return "Summarization" if data.task == "summarize" else "Translation"
    return f"{language_name(data.source_language)} to {language_name(data.target_language)}"


def _form(config: TrainConfig, several: float) -> list[str]:
    """Describe what the model reads and writes."""
    data = config.data
    if (config.source.kind, config.target.kind) != ("pieces", "pieces"):
        many = config.target.steps or "one for each of the source"
        windows = data.windows
        return [
            f"- Source: {_side(config.source)}",
            f"- Target: {_side(config.target)}{f', {many}' if config.target.width else ''}",
            *([f"- Window: {windows.series_window.describe()}"] if windows else []),
        ]
    return [
        f"- Task: {data.task}",
        f"- Source language: {data.source_language or 'unknown'}",
        f"- Target language: {data.target_language or 'unknown'}",
        f"- Training lines of several sentences: {100 * several:.1f} %",
    ]


def _side(side: SequenceConfig) -> str:
    """What a side that is no text consists of."""
    return f"vectors of {side.width} numbers" if side.width else side.unit or "pieces of text"


def model_card(
    config: TrainConfig,
    step: int,
    report: CorpusReport,
    evaluation: Evaluation | None,
    *,
    several: float,
) -> str:
    """Write the card in Markdown, for people who do not know the run.

    Args:
        several: share of the training lines whose source has several sentences.
    """
    data = config.data
    lines = [
        f"# {_heading(config)}",
        "",
        f"A Dragoman checkpoint after {step:,} training steps.",
        "",
        *_form(config, several),
        "",
        "## Data",
        "",
        f"- Training: {report.kept:,} pairs ({report.describe('all lines read')})",
        f"- License of the data: {data.license}",
    ]
    if data.attribution:
        lines.append(f"- Attribution: {data.attribution}")
    if config.finetune.init_from is not None:
        name = config.finetune.init_from
        lines.append(f"- Begun with the weights of {name}: what its card says of data holds too")
    lines += ["", "## Metrics on the dev set", ""]
    if evaluation is None:
        lines.append("Saved between two validations: see metrics.jsonl of the run.")
    else:
        lines += _metrics(evaluation)
    lines += ["", "## Architecture", ""]
    lines += [f"- {name}: {value}" for name, value in to_dict(config.model).items()]
    return "\n".join(lines) + "\n"


def with_coverage(card: str, coverage: Coverage) -> str:
    """Add a section on the shortlist to `card`, or replace it."""
    return f"{_without(card, 'Shortlist')}\n\n## Shortlist\n\n- {coverage.describe()}\n"


def with_fine_tuning(card: str, rows: Sequence[Change]) -> str:
    """Add a section on what a fine-tuning has changed."""
    return "\n".join([card.rstrip(), "", "## Fine-tuning", "", *table(rows, bullet="- "), ""])


def with_average(card: str, averaged: Sequence[str], evaluation: Evaluation | None) -> str:
    """Turn `card` into that of an average of checkpoints, whose scores are its own.

    Args:
        evaluation: of the average; None if it was not measured.
    """
    lines = [_without(_without(card, "Metrics on the dev set"), "Fine-tuning"), ""]
    if evaluation is not None:
        lines += ["## Metrics on the dev set", "", *_metrics(evaluation), ""]
    unmeasured = "Not measured. " if evaluation is None else ""
    lines += ["## Average", "", f"{unmeasured}The mean of the weights of these checkpoints:"]
    lines += ["", *(f"- {one}" for one in averaged)]
    return "\n".join(lines) + "\n"


def _metrics(evaluation: Evaluation) -> list[str]:
    scores = evaluation.scores.items()
    lines = [f"- {LABELS[name]} {score.value:.2f} (`{score.signature}`)" for name, score in scores]
    return [*lines, f"- Perplexity {evaluation.ppl:.2f} a piece"]


def _without(card: str, section: str) -> str:
    pattern = rf"\n## {re.escape(section)}\n.*?(?=\n## |\Z)"
    return re.sub(pattern, "", card, flags=re.DOTALL).rstrip()
