"""A commit compared with its checkout, by the real commands of both, in a repository of its own."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.compare import main

ROOT = Path(__file__).parents[2]
TEXTS = "der Hund läuft.\nein Mann sieht die Frau.\nrot\n"


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A commit of the code as it is here, whether it is committed here or not."""
    root = tmp_path / "repository"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("model", "service", "training", "configs"):
        shutil.copytree(ROOT / name, root / name, ignore=ignored)
    (root / ".gitignore").write_text("__pycache__/\n")
    git(tmp_path, "init", "--quiet", str(root))
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "all")
    return root


@pytest.fixture
def texts(tmp_path: Path) -> str:
    path = tmp_path / "texts"
    path.write_text(TEXTS, encoding="utf-8")
    return str(path)


def test_a_commit_gives_the_bits_of_its_checkout(
    repository: Path, tiny_checkpoint: Path, texts: str, capfd: pytest.CaptureFixture[str]
) -> None:
    flags = ["--precision", "fp32", "--input", texts]
    assert main(["HEAD", "bits", str(tiny_checkpoint), *flags], root=repository) == 0
    [_, row] = capfd.readouterr().out.splitlines()
    assert row.split() == ["translations,", "fp32", "3", "0", "equal"]
    assert len(git(repository, "worktree", "list").splitlines()) == 1
    assert not git(repository, "status", "--porcelain")


def test_another_output_is_different(
    repository: Path, tiny_checkpoint: Path, texts: str, capfd: pytest.CaptureFixture[str]
) -> None:
    changed = repository / "model" / "translation" / "assemble.py"
    text, told = changed.read_text(encoding="utf-8"), '"score": self.score'
    assert text.count(told) == 1
    changed.write_text(text.replace(told, f"{told} * (1 + 2**-52)"), encoding="utf-8")
    flags = ["--precision", "fp32", "--input", texts, "--json", "-"]
    assert main(["HEAD", "bits", str(tiny_checkpoint), *flags], root=repository) == 1
    figures = json.loads(capfd.readouterr().out)
    [found] = figures["bits"]
    assert (found["compared"], found["different"]) == (3, 3)
    assert found["first"].startswith("line 1, score: -")
    head = git(repository, "rev-parse", "HEAD").strip()
    assert figures["conditions"]["commit"] == head
    assert figures["conditions"]["here"] == f"{head} with changes"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing", "bits", "runs/demo"], "'nothing' is no commit of the repository at"),
        (["HEAD", "bites", "runs/demo"], "invalid choice: 'bites'"),
        (["HEAD", "training", "--rounds", "1"], "use 2 or more"),
        (["HEAD", "service", "runs/demo", "--seconds", "0"], "use a number above 0"),
        (["HEAD", "bits", "runs/demo", "--input", "/dev/null"], "/dev/null: has no text"),
    ],
)
def test_a_mistake_is_one_line(
    repository: Path,
    arguments: list[str],
    message: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(arguments, root=repository) == 2
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith("benchmarks.compare: error: ")
    assert message in line


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["decoding", "service", "training", "start"])
def test_a_speed_is_told_of_every_round_of_both_sides(
    repository: Path,
    tiny_checkpoint: Path,
    texts: str,
    tmp_path: Path,
    measure: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    given = {
        "decoding": [str(tiny_checkpoint), "--input", texts, "--seconds", "0.2"],
        "service": [str(tiny_checkpoint), "--input", texts, "--seconds", "0.5"],
        "training": ["--updates", "20", "model.encoder_size=16", "model.decoder_size=16"],
        "start": [],
    }
    report = tmp_path / "report.json"
    flags = ["--rounds", "2", "--json", str(report)]
    assert main(["HEAD", measure, *given[measure], *flags], root=repository) == 0
    rows = json.loads(report.read_text())["speed"]
    assert len(rows) == {"decoding": 2, "start": 2}.get(measure, 1)
    for row in rows:
        assert len(row["base"]) == len(row["here"]) == 2
        assert min(*row["base"], *row["here"]) > 0
        assert row["ratio"] == pytest.approx(sum(row["here"]) / sum(row["base"]))
    assert len(capfd.readouterr().out.splitlines()) == 1 + len(rows)


@pytest.mark.slow
def test_a_commit_gives_the_weights_of_its_checkout(
    repository: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    small = ["model.encoder_size=16", "model.decoder_size=16", "model.embedding_size=16"]
    flags = ["--updates", "3", *small]
    assert main(["HEAD", "bits-training", *flags], root=repository) == 0
    assert "equal" in capfd.readouterr().out
    config = repository / "training" / "config" / "train_config.py"
    text, default = config.read_text(encoding="utf-8"), "seed: int = 1"
    assert text.count(default) == 1
    config.write_text(text.replace(default, "seed: int = 2"), encoding="utf-8")
    assert main(["HEAD", "bits-training", *flags], root=repository) == 1
    assert "sha256" in capfd.readouterr().out
