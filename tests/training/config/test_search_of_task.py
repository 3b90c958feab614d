"""Search of a task: a summarizer repeats no three pieces, unless its config says otherwise."""

from pathlib import Path

import pytest

from model.checkpoint.checkpoint import load_checkpoint
from model.config import to_dict
from model.text.profile import READS_WHOLE
from training.config.search_of_task import NO_REPEAT_NGRAM
from training.config.train_config import load_config, parse_config, save_config

BARE = """
data: {train: [{source: a, target: b}], dev: {files: c.tsv}}
run: {max_steps: 9}
"""


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], 0),
        (["data.task=translate", "search.beam_size=3"], 0),
        (["data.task=summarize"], 3),
        (["data.task=summarize", "search.beam_size=3"], 3),
        (["data.task=summarize", "search.no_repeat_ngram=0"], 0),
        (["data.task=summarize", "search.no_repeat_ngram=5"], 5),
        (["search.no_repeat_ngram=2"], 2),
    ],
)
def test_the_task_decides_unless_the_config_does(
    overrides: list[str], expected: int, tmp_path: Path
) -> None:
    config = parse_config(BARE, overrides)
    assert config.search.no_repeat_ngram == expected
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config  # a run that is resumed keeps it


def test_every_task_has_a_default() -> None:
    assert NO_REPEAT_NGRAM.keys() == READS_WHOLE.keys()


@pytest.mark.parametrize("version", [1, 2])
def test_old_checkpoints_keep_theirs(version: int) -> None:
    folder = Path(__file__).parents[2] / "data" / f"checkpoint_v{version}"
    search = to_dict(load_checkpoint(folder).search)
    assert (search["no_repeat_ngram"], search["min_words"], search["max_words"]) == (0, 0, 0)
    assert search["ratio"] is None
