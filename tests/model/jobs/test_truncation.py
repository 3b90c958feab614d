"""What commands report at their end of texts of which only a part was used."""

from collections.abc import Callable
from pathlib import Path

import pytest

from model.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from model.decoding.options import SearchOptions
from model.jobs.truncation import Truncations
from model.text.profile import TextProfile
from tests.model.conftest import Result

LONG = "Der Hund läuft auf der Straße. Das Haus ist rot. Ein Mann schläft. " * 6


@pytest.fixture(scope="module")
def summarizer(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tiny = load_checkpoint(tiny_checkpoint)
    return save_checkpoint(
        tmp_path_factory.mktemp("summarizer"),
        1,
        config=tiny.config,
        weights=dict(tiny.network.named_parameters()),
        tokenizer=tiny.tokenizer,
        search=SearchOptions(beam_size=2, max_length_a=0, max_length_b=2, min_length=2),
        card="",
        training_state=None,
        training_meta=None,
        profile=TextProfile(task="summarize", source_language="de"),
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--on-long", "cut"], "2 texts longer than the model reads: only the beginning was read"),
        (
            ["--on-long", "windows", "--best-windows", "2"],
            "2 texts longer than the model reads: only the best windows were used",
        ),
        (  # summaries that are no shorter than what they summarize
            ["--on-long", "windows", "--max-length-a", "1", "--min-length", "24"],
            "2 texts longer than the model reads: only the best windows were used",
        ),
        (["--on-long", "windows", "--best-windows", "1000"], ""),
    ],
)
def test_a_text_of_which_a_part_was_used_is_reported(
    summarizer: Path,
    translate: Callable[..., Result],
    tmp_path: Path,
    flags: list[str],
    said: str,
) -> None:
    given = f"{LONG}\nrot\n{LONG}\n"
    source, out = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_text(given, encoding="utf-8")
    for result in (
        translate(summarizer, given, *flags),
        translate(summarizer, "", *flags, "--input", str(source), "--output", str(out)),
    ):
        assert result.status == 0
        told = [line for line in result.errors if "longer than the model reads" in line]
        assert told == ([f"dragoman-translate: {said} (lines 1, 3)"] if said else [])


def test_counts_outlive_a_part() -> None:
    counts = {"output": 0, "source": 1, "windows": 2}
    counted = Truncations(counts, {"output": [], "source": [4], "windows": [5, 6]})
    assert Truncations.from_json(counted.to_json()) == counted
    assert Truncations().to_json() == b""
