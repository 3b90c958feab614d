"""`dragoman-shortlist`: a trained model gets a shortlist, and nothing else of it changes."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint, load_training_state, save_checkpoint
from model.checkpoint.run_directory import lock_run, point
from training.shortlist import main
from training.train import main as train

WORDS = {"ein": "a", "Haus": "house", "Hund": "dog", "rot": "red", "läuft": "runs"}


@pytest.fixture
def run(tiny_checkpoint: Path, tiny_config: Path, tmp_path: Path) -> Path:
    """A run saved without a shortlist, its best checkpoint not its last; beside it, a corpus."""
    model = load_checkpoint(tiny_checkpoint)
    run = tmp_path / "run"
    for link, step in (("best", 4), ("last", 8)):
        weights = {name: p + step for name, p in model.network.named_parameters()}
        directory = save_checkpoint(
            run,
            step,
            config=model.config,
            weights=weights,
            tokenizer=model.tokenizer,
            search=model.search,
            card="# A card\n\n## Metrics\n\n- none\n",
            training_state={"momentum": torch.arange(step)},
            training_meta={"steps": step},
        )
        point(run, link, directory)  # type: ignore[arg-type]
    shutil.copy(tiny_config, run / "config.yaml")
    rng = random.Random(1)
    lines = [rng.choices(list(WORDS), k=rng.randint(1, 6)) for _ in range(60)]
    source = "".join(" ".join(line) + "\n" for line in lines)
    target = "".join(" ".join(WORDS[word] for word in line) + "\n" for line in lines)
    (tmp_path / "train.de").write_text(source, encoding="utf-8")
    (tmp_path / "train.en").write_text(target, encoding="utf-8")
    return run


def make(run: Path, *more: str) -> int:
    files = ["--source", str(run.parent / "train.de"), "--target", str(run.parent / "train.en")]
    return main([str(run), *files, *more])


def test_both_checkpoints_get_it_and_keep_the_rest(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {link: load_checkpoint((run / link).resolve()) for link in ("best", "last")}
    tensors, meta = load_training_state(run)

    assert make(run, "--candidates", "5") == 0

    assert "shortlist: " in capsys.readouterr().out
    for link, old in before.items():
        new = load_checkpoint(run / link)
        assert new.shortlist is not None
        assert new.shortlist.candidates.shape == (new.tokenizer.vocab_size, 5)
        assert (new.step, new.config, new.search) == (old.step, old.config, old.search)
        assert new.tokenizer.model == old.tokenizer.model
        assert new.digest != old.digest
        assert new.card.startswith(old.card.rstrip())
        assert "## Shortlist" in new.card
        pairs = zip(new.network.parameters(), old.network.parameters(), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)
        assert not old.path.exists()
    again, meta_again = load_training_state(run)
    assert meta_again == meta
    assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())


def test_the_right_words_are_in_it(run: Path) -> None:
    assert make(run, "--candidates", "40", "--frequent", "1") == 0

    model = load_checkpoint(run)
    assert model.shortlist is not None
    allowed = set(model.shortlist.of(model.tokenizer.encode("ein Haus rot")).tolist())
    assert set(model.tokenizer.encode("a house red")) <= allowed
    assert len(allowed) < model.tokenizer.vocab_size


def test_a_second_one_replaces_the_first(run: Path) -> None:
    assert make(run, "--candidates", "5") == 0
    assert make(run, "--candidates", "6") == 0

    model = load_checkpoint(run)
    assert model.shortlist is not None
    assert model.shortlist.candidates.shape[1] == 6
    assert model.card.count("## Shortlist") == 1
    assert len(list((run / "checkpoints").iterdir())) == 2


def test_one_checkpoint_under_both_links_stays_one(run: Path) -> None:
    (run / "best").unlink()
    (run / "best").symlink_to((run / "last").readlink())

    assert make(run) == 0

    assert (run / "best").resolve() == (run / "last").resolve()
    assert len(list((run / "checkpoints").iterdir())) == 1


def test_a_run_without_training_state_gets_one_too(run: Path) -> None:
    for link in ("best", "last"):
        shutil.rmtree(run / link / "training_state")

    assert make(run) == 0

    assert load_checkpoint(run).shortlist is not None
    manifest = json.loads((run / "best" / "manifest.json").read_text())
    assert not any(name.startswith("training_state") for name in manifest["files"])


def test_training_goes_on_after_it(tiny_config: Path, tmp_path: Path) -> None:
    run = tmp_path / "trained"
    command = [str(tiny_config), "--output", str(run)]
    assert train([*command, "run.max_steps=4", "shortlist.candidates=0"]) == 0
    assert load_checkpoint(run).shortlist is None

    assert make(run) == 0
    assert train([*command, "--resume", "run.max_steps=6", "shortlist.candidates=7"]) == 0

    last = load_checkpoint(run / "last")
    assert last.step == 6
    assert last.shortlist is not None
    assert last.shortlist.candidates.shape[1] == 7


def test_mistakes_are_one_line_and_change_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = load_checkpoint(run).digest
    target = tmp_path / "train.en"
    lines = target.read_text()
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)  # follows the links
    capsys.readouterr()

    def refused(message: str, place: Path = run, *more: str) -> None:
        files = ["--source", str(tmp_path / "train.de"), "--target", str(target)]
        assert main([str(place), *files, *more]) == 2
        errors = capsys.readouterr().err
        assert errors.startswith("dragoman-shortlist: error: ")
        assert message in errors
        assert errors.count("\n") == 1
        assert load_checkpoint(run).digest == digest

    refused("not a run", tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
    refused("not a run", (run / "best").resolve())
    (run / "config.yaml").rename(tmp_path / "config.yaml")
    refused("config.yaml")
    (tmp_path / "config.yaml").rename(run / "config.yaml")
    refused("copy one with its links", copy)
    refused("--candidates", run, "--candidates", "0")
    with lock_run(run):
        refused("in use by another process")
    target.write_text(lines + "one more\n")
    refused("align the files")
    target.unlink()
    refused("train.en")


def test_held_out_lines_are_not_learned_from(run: Path, tmp_path: Path) -> None:
    """The one line of sixty that is kept out is the first: its words occur nowhere else."""
    for name in ("train.de", "train.en"):
        lines = (tmp_path / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (tmp_path / name).write_text("☃\n" + "".join(lines[1:]), encoding="utf-8")

    assert make(run) == 0

    model = load_checkpoint(run)
    assert model.shortlist is not None
    snowman = model.tokenizer.encode("☃")[-3:]
    assert np.all(model.shortlist.candidates[snowman] == 3)
