"""A checkpoint with a shortlist: it is read back, guarded by the manifest, and may be absent."""

import threading
from pathlib import Path

import numpy as np
import pytest

from model.checkpoint.checkpoint import (
    Checkpoint,
    add_shortlist,
    derive_with_shortlist,
    load_checkpoint,
    replace_shortlist,
    save_checkpoint,
)
from model.decoding.lexical_shortlist import Shortlist
from model.errors import CheckpointError
from model.text.tokenizer import EOS_ID

FORMAT_1 = Path(__file__).parents[2] / "data" / "checkpoint_v1"


def shortlist(vocab_size: int) -> Shortlist:
    rng = np.random.default_rng(3)
    return Shortlist(
        candidates=rng.integers(EOS_ID, vocab_size, (vocab_size, 4), dtype=np.int32),
        frequent=np.array([EOS_ID, 5], np.int32),
        byte_pieces=np.array([6, 7], np.int32),
    )


def save(run: Path, model: Checkpoint, saved: Shortlist | None) -> Path:
    return save_checkpoint(
        run,
        7,
        config=model.config,
        weights=dict(model.network.named_parameters()),
        tokenizer=model.tokenizer,
        search=model.search,
        card="# Card\n",
        training_state=None,
        training_meta=None,
        shortlist=saved,
    )


def test_what_is_saved_is_loaded(tiny_checkpoint: Path, tmp_path: Path) -> None:
    model = load_checkpoint(tiny_checkpoint)
    expected = shortlist(model.config.vocab_size)

    loaded = load_checkpoint(save(tmp_path, model, expected)).shortlist

    assert loaded is not None
    assert np.array_equal(loaded.candidates, expected.candidates)
    assert np.array_equal(loaded.frequent, expected.frequent)
    assert np.array_equal(loaded.byte_pieces, expected.byte_pieces)


def test_without_one_nothing_is_written(tiny_checkpoint: Path, tmp_path: Path) -> None:
    directory = save(tmp_path, load_checkpoint(tiny_checkpoint), None)

    assert load_checkpoint(directory).shortlist is None
    assert not (directory / "shortlist.safetensors").exists()


def test_format_1_has_none_and_may_get_one(tmp_path: Path) -> None:
    old = load_checkpoint(FORMAT_1)
    assert old.shortlist is None

    directory = add_shortlist(
        tmp_path, FORMAT_1, shortlist(old.config.vocab_size), card="# Another card\n"
    )

    new = load_checkpoint(directory)
    assert new.shortlist is not None
    assert (new.step, new.card, new.config) == (old.step, "# Another card\n", old.config)
    assert new.profile == old.profile


def test_one_that_is_replaced_can_be_loaded_at_any_moment(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    model = load_checkpoint(tiny_checkpoint)
    directory = save(tmp_path, model, None)
    new = shortlist(model.config.vocab_size)
    enough = threading.Event()
    written: list[str] = []

    def replace() -> None:
        while not enough.is_set():
            card = f"# {len(written)}\n"
            replace_shortlist(directory, new, card=card)
            written.append(card)

    writer = threading.Thread(target=replace)
    writer.start()
    cards: set[str] = set()
    try:
        while len(cards) < 20 and writer.is_alive():
            loaded = load_checkpoint(directory)
            assert loaded.card == "# Card\n" or loaded.shortlist is not None
            cards.add(loaded.card)
    finally:
        enough.set()
        writer.join()
    assert len(cards) == 20
    assert load_checkpoint(directory).card == written[-1]
    assert [path.name for path in directory.parent.iterdir()] == [directory.name]


def test_a_copy_has_it_and_an_existing_place_is_refused(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    directory = save(tmp_path / "run", load_checkpoint(tiny_checkpoint), None)
    expected = shortlist(load_checkpoint(directory).config.vocab_size)
    derive_with_shortlist(directory, tmp_path / "copy", expected, card="# Copy\n")
    copy = load_checkpoint(tmp_path / "copy")
    assert copy.shortlist is not None
    assert copy.shortlist.to_bytes() == expected.to_bytes()
    assert load_checkpoint(directory).shortlist is None
    with pytest.raises(CheckpointError, match="exists"):
        derive_with_shortlist(directory, tmp_path / "copy", expected, card="")


def test_a_damaged_or_missing_one_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    model = load_checkpoint(tiny_checkpoint)
    path = save(tmp_path, model, shortlist(model.config.vocab_size)) / "shortlist.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"shortlist\.safetensors: damaged"):
        load_checkpoint(path.parent)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"shortlist\.safetensors: missing"):
        load_checkpoint(path.parent)


def test_one_for_another_vocabulary_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    model = load_checkpoint(tiny_checkpoint)
    directory = save(tmp_path, model, shortlist(model.config.vocab_size + 1))

    with pytest.raises(CheckpointError, match=r"shortlist\.safetensors: a shortlist of 321"):
        load_checkpoint(directory)


def test_a_damaged_checkpoint_is_not_copied(tiny_checkpoint: Path, tmp_path: Path) -> None:
    directory = save(tmp_path, load_checkpoint(tiny_checkpoint), None)
    (directory / "decoding.json").write_text("{}")

    with pytest.raises(CheckpointError, match=r"decoding\.json: damaged"):
        add_shortlist(tmp_path, directory, shortlist(320), card="")
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [directory.name]
