"""The model card: what a checkpoint is, what it was trained on, and how good it is."""

import re

from model.config import to_dict
from training.config import TrainConfig
from training.corpus_report import CorpusReport
from training.evaluation import Evaluation
from training.shortlist import Coverage


def model_card(
    config: TrainConfig, step: int, report: CorpusReport, evaluation: Evaluation | None
) -> str:
    """Markdown for people who find the checkpoint without its history."""
    data = config.data
    lines = [
        f"# {data.source_language} to {data.target_language}",
        "",
        f"A Dragoman checkpoint after {step:,} training steps.",
        "",
        "## Data",
        "",
        f"- Training: {report.kept:,} pairs ({report.describe('all lines read')})",
        f"- License of the data: {data.license}",
    ]
    if data.attribution:
        lines.append(f"- Attribution: {data.attribution}")
    lines += ["", "## Metrics on the dev set", ""]
    if evaluation is None:
        lines.append("Saved between two validations: see metrics.jsonl of the run.")
    else:
        lines += [
            f"- BLEU {evaluation.bleu:.2f} (`{evaluation.bleu_signature}`)",
            f"- chrF {evaluation.chrf:.2f} (`{evaluation.chrf_signature}`)",
            f"- Perplexity {evaluation.ppl:.2f} a piece",
        ]
    lines += ["", "## Architecture", ""]
    lines += [f"- {name}: {value}" for name, value in to_dict(config.model).items()]
    return "\n".join(lines) + "\n"


def with_coverage(card: str, coverage: Coverage) -> str:
    """`card` with a section on the shortlist, in place of the one that it may have."""
    rest = re.sub(r"\n## Shortlist\n.*?(?=\n## |\Z)", "", card, flags=re.DOTALL)
    return f"{rest.rstrip()}\n\n## Shortlist\n\n- {coverage.describe()}\n"
