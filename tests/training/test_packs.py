"""Packs where the commands of the training take a run: measured, gone on from, or refused."""

from pathlib import Path

import pytest

from model.checkpoint.checkpoint import load_checkpoint
from model.pack import main as pack
from training.average import main as average
from training.distill import main as distill
from training.evaluate import main as evaluate
from training.shortlist import main as shortlist
from training.train import main as train


@pytest.fixture(scope="module")
def folder(begun_run: Path) -> Path:
    """That of `begun_run`, with `some.dragoman`."""
    assert pack([str(begun_run / "run"), "--output", str(begun_run / "some.dragoman")]) == 0
    return begun_run


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


CPU = ["--device", "cpu"]
PAIRS = ["--source", "dev.de", "--reference", "dev.en"]


def test_evaluate(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(["some.dragoman", *CPU, *PAIRS, "--bootstrap", "0"]) == 0
    assert "BLEU" in capsys.readouterr().out


def test_a_training_goes_on_from_a_pack(here: Path, tmp_path: Path) -> None:
    changes = ["finetune.init_from=some.dragoman", "tokenizer.vocab_size=auto", "run.max_steps=2"]
    assert train(["tiny.yaml", "--output", str(tmp_path / "run"), *changes]) == 0

    one, other = load_checkpoint(tmp_path / "run"), load_checkpoint(here / "some.dragoman")
    assert one.tokenizer.model == other.tokenizer.model
    assert one.origin == other.origin


def test_a_pack_teaches(here: Path, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    pack_of_teacher = ["tokenizer.model=some.model", "objective.teacher=[some.dragoman]"]
    Path("some.model").write_bytes(load_checkpoint(here / "some.dragoman").tokenizer.model)
    changes = [*pack_of_teacher, "objective.distillation=0.5", "run.max_steps=2"]
    assert train(["tiny.yaml", "--output", run, *changes]) == 0


def test_the_average_of_packs(here: Path, tmp_path: Path) -> None:
    output = tmp_path / "mean"
    assert average(["some.dragoman", "some.dragoman", "--output", str(output)]) == 0
    one, other = load_checkpoint(output), load_checkpoint(here / "some.dragoman")
    for name, weight in one.network.named_parameters():
        assert weight.equal(other.network.get_parameter(name))


def test_distil(here: Path) -> None:
    assert distill(["some.dragoman", "--input", "dev.de", "--output", "taught.tsv", *CPU]) == 0


def test_a_shortlist_is_learned_for_a_copy(here: Path, tmp_path: Path) -> None:
    texts = ["--source", "train.de", "--target", "train.en"]
    before = Path("some.dragoman").read_bytes()

    assert shortlist(["some.dragoman", *texts]) == 2
    assert shortlist(["some.dragoman", *texts, "--output", str(tmp_path / "listed")]) == 0

    assert Path("some.dragoman").read_bytes() == before
    assert load_checkpoint(tmp_path / "listed").shortlist is not None
    listed = tmp_path / "listed.dragoman"
    assert pack([str(tmp_path / "listed"), "--output", str(listed)]) == 0
    one, other = load_checkpoint(tmp_path / "listed").shortlist, load_checkpoint(listed).shortlist
    assert one is not None and other is not None
    assert (one.candidates == other.candidates).all()
    assert other.candidates.dtype == one.candidates.dtype


def test_a_pack_is_not_resumed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(["tiny.yaml", "--output", "some.dragoman", "--resume"]) == 2
    assert "some.dragoman" in capsys.readouterr().err
