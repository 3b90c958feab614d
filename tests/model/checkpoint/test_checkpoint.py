"""Checkpoints: what is saved is what is loaded, and nothing damaged is ever used."""

import hashlib
import json
import os
import pickle
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from model.checkpoint.checkpoint import load_checkpoint, load_training_state, save_checkpoint
from model.checkpoint.manifest import FORMAT
from model.checkpoint.run_directory import point, prune
from model.config import ModelConfig
from model.decoding.options import SearchOptions
from model.errors import CheckpointError
from model.network.seq2seq import Seq2Seq
from model.text.profile import TextProfile
from model.text.segmentation import Segmenter
from model.text.tokenizer import BOS_ID, EOS_ID, Tokenizer
from training.data.learn_tokenizer import learn_tokenizer

NEEDED = ["config.json", "weights.safetensors", "tokenizer.model", "decoding.json", "card.md"]
TO_RESUME = ["training_state/state.safetensors", "training_state/state.json"]

SEARCH = SearchOptions(beam_size=3)
CARD = "# Übersetzer\n\nData: none. License: Apache-2.0.\n"
STATE = {
    "rng": torch.arange(5, dtype=torch.uint8),
    "momentum": torch.arange(6.0).view(2, 3).t(),
    "updates": torch.tensor(7),
    "empty": torch.zeros(0, 4),
}
META = {"epoch": 2, "best": {"bleu": 31.25, "loss": float("inf")}, "names": ["a", "ß"]}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    lines = ["ein Haus", "zwei Hunde", "drei Katzen im Haus"]
    return Tokenizer(learn_tokenizer(lines, kind="bpe", vocab_size=285))


def tiny_network(tokenizer: Tokenizer, *, tied: bool = True, seed: int = 0) -> Seq2Seq:
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        embedding_size=4,
        encoder_size=6,
        decoder_size=6,
        input_feeding=False,
        tie_embeddings=tied,
    )
    torch.manual_seed(seed)
    return Seq2Seq(config).eval()


def save(run: Path, step: int, network: Seq2Seq, tokenizer: Tokenizer, *, resumable: bool) -> Path:
    return save_checkpoint(
        run,
        step,
        config=network.config,
        weights=dict(network.named_parameters()),
        tokenizer=tokenizer,
        search=SEARCH,
        card=CARD,
        training_state=STATE if resumable else None,
        training_meta=META if resumable else None,
    )


@pytest.fixture
def saved(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    return save(tmp_path / "run", 12, tiny_network(tokenizer), tokenizer, resumable=True)


@torch.no_grad()
def logits(network: Seq2Seq, src: list[int], tgt: list[int]) -> Tensor:
    """Logits (1, T, V) of one forced pair."""
    memory = network.encode(torch.tensor([[*src, EOS_ID]]), torch.tensor([len(src) + 1]))
    features, weights = network.unroll(
        torch.tensor([[BOS_ID, *tgt]]), network.start(memory), memory
    )
    return network.log_scores(features, weights, memory)


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def sign(directory: Path, **changes: object) -> None:
    """Write the manifest anew for the files as they are: an intact checkpoint of foreign making."""
    path = directory / "manifest.json"
    manifest: dict[str, Any] = json.loads(path.read_text())
    del manifest["digest"]
    manifest |= changes
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((directory / name).read_bytes()).hexdigest()
    canonical = json.dumps(manifest, sort_keys=True).encode()
    manifest["digest"] = hashlib.sha256(canonical).hexdigest()
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize("tied", [True, False])
def test_loaded_network_gives_the_same_logits_bit_for_bit(
    tmp_path: Path, tokenizer: Tokenizer, tied: bool
) -> None:
    network = tiny_network(tokenizer, tied=tied)
    directory = save(tmp_path, 12, network, tokenizer, resumable=False)

    loaded = load_checkpoint(directory)

    src, tgt = tokenizer.encode("ein Haus"), tokenizer.encode("zwei")
    assert torch.equal(logits(loaded.network, src, tgt), logits(network, src, tgt))
    assert not loaded.network.training
    embeddings = [loaded.network.source_embedding.weight, loaded.network.target_embedding.weight]
    assert len({id(matrix) for matrix in [*embeddings, loaded.network.output.weight]}) == (
        1 if tied else 3
    )


def test_everything_else_is_loaded_as_it_was_saved(saved: Path, tokenizer: Tokenizer) -> None:
    loaded = load_checkpoint(saved)

    assert loaded.config == tiny_network(tokenizer).config
    assert loaded.tokenizer.model == tokenizer.model
    assert (loaded.search, loaded.card, loaded.step) == (SEARCH, CARD, 12)
    assert loaded.path == saved
    tensors, meta = load_training_state(saved)
    assert tensors.keys() == STATE.keys()
    for name, tensor in STATE.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)
    assert meta == META


def test_digest_tells_checkpoints_apart_and_copies_not(
    tmp_path: Path, saved: Path, tokenizer: Tokenizer
) -> None:
    other = save(tmp_path / "b", 12, tiny_network(tokenizer, seed=1), tokenizer, resumable=True)
    copy = save(tmp_path / "c", 12, tiny_network(tokenizer), tokenizer, resumable=True)

    assert load_checkpoint(saved).digest != load_checkpoint(other).digest
    assert load_checkpoint(saved).digest == load_checkpoint(copy).digest


def test_a_tied_matrix_is_stored_once(saved: Path, tokenizer: Tokenizer) -> None:
    stored = safetensors.torch.load_file(saved / "weights.safetensors")

    matrices = [tensor for tensor in stored.values() if tensor.shape == (tokenizer.vocab_size, 4)]
    assert len(matrices) == 1


def test_loading_leaves_the_random_numbers_alone(saved: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_checkpoint(saved)

    assert torch.equal(torch.rand(3), expected)


def test_translating_needs_no_training_state(saved: Path) -> None:
    before = load_checkpoint(saved).digest
    for name in TO_RESUME:
        (saved / name).unlink()

    assert load_checkpoint(saved).digest == before
    with pytest.raises(CheckpointError, match=r"state\.safetensors: missing"):
        load_training_state(saved)


def test_a_checkpoint_saved_without_training_state_cannot_be_resumed(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    directory = save(tmp_path, 12, tiny_network(tokenizer), tokenizer, resumable=False)

    with pytest.raises(CheckpointError, match=r"state\.safetensors: .* saved without it"):
        load_training_state(directory)


def test_a_run_resumes_from_its_last_and_translates_with_its_best(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    network = tiny_network(tokenizer)
    point(tmp_path, "best", save(tmp_path, 1, network, tokenizer, resumable=False))
    point(tmp_path, "last", save(tmp_path, 2, network, tokenizer, resumable=True))

    assert load_checkpoint(tmp_path).step == 1
    assert load_training_state(tmp_path)[1] == META


@pytest.mark.parametrize("name", NEEDED)
def test_one_flipped_bit_is_refused_with_the_name_of_the_file(saved: Path, name: str) -> None:
    flip(saved / name, position=(saved / name).stat().st_size // 2)

    with pytest.raises(CheckpointError, match=f"{name}: damaged"):
        load_checkpoint(saved)


@pytest.mark.parametrize("name", TO_RESUME)
def test_one_flipped_bit_in_the_training_state_is_refused(saved: Path, name: str) -> None:
    flip(saved / name, position=(saved / name).stat().st_size // 2)

    load_checkpoint(saved)
    with pytest.raises(CheckpointError, match=f"{name}: damaged"):
        load_training_state(saved)


def test_one_flipped_bit_anywhere_in_the_manifest_is_refused(saved: Path) -> None:
    manifest = saved / "manifest.json"
    for position in range(0, manifest.stat().st_size, 11):
        flip(manifest, position)
        with pytest.raises(CheckpointError, match=r"manifest\.json: "):
            load_checkpoint(saved)
        flip(manifest, position)
    load_checkpoint(saved)


@pytest.mark.parametrize("name", [*NEEDED, "manifest.json"])
def test_a_missing_file_is_refused_with_its_name(saved: Path, name: str) -> None:
    point(saved.parents[1], "best", saved)
    (saved / name).unlink()

    with pytest.raises(CheckpointError, match=f"{name}: missing"):
        load_checkpoint(saved.parents[1])


def test_a_newer_format_is_refused_and_both_numbers_named(saved: Path) -> None:
    (saved / "manifest.json").write_text('{"format": 4, "anything": "else"}')

    with pytest.raises(CheckpointError, match="format 4, but this dragoman reads up to 3"):
        load_checkpoint(saved)


@pytest.mark.parametrize("content", ["{}", "[]", '{"format": "1"}', '{"name": "web app"}', "\xff"])
def test_another_programs_manifest_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content, encoding="latin-1")

    with pytest.raises(CheckpointError, match=r"manifest\.json: not"):
        load_checkpoint(tmp_path)


def test_an_unknown_config_key_is_refused_with_the_nearest(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    config["encoder_sizes"] = config.pop("encoder_size")
    (saved / "config.json").write_text(json.dumps(config))
    sign(saved)

    with pytest.raises(CheckpointError, match=r"config\.json: .*Did you mean 'encoder_size'"):
        load_checkpoint(saved)


def test_weights_of_another_network_are_refused_with_the_tensors_name(saved: Path) -> None:
    weights = safetensors.torch.load_file(saved / "weights.safetensors")
    name = "decoder.combine.bias"
    wrong = [
        (weights | {name: torch.zeros(9)}, rf"{name} is \(9,\), but config\.json wants it \(4,\)"),
        ({k: v for k, v in weights.items() if k != name}, f"{name} is absent"),
        (weights | {"extra": torch.zeros(9)}, r"extra is \(9,\), but config\.json wants it absent"),
    ]
    for tensors, message in wrong:
        safetensors.torch.save_file(tensors, saved / "weights.safetensors")
        sign(saved)
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(saved)


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("name", [name for name in NEEDED + TO_RESUME if name != "card.md"])
def test_a_pickle_is_never_unpickled(tmp_path: Path, saved: Path, name: str) -> None:
    (saved / name).write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    sign(saved)

    with pytest.raises(CheckpointError):
        load_training_state(saved) if name in TO_RESUME else load_checkpoint(saved)
    assert not (tmp_path / "exploded").exists()


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Let the kernel fail every write beyond `size` bytes of a file, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 300, 5000])
def test_a_failed_write_leaves_the_old_checkpoint_and_no_trace(saved: Path, size: int) -> None:
    run = saved.parents[1]
    point(run, "last", saved)
    old = load_checkpoint(run)

    message = "run: cannot save step 13: File too large"
    with pytest.raises(CheckpointError, match=message), files_limited_to(size):
        save(run, 13, tiny_network(old.tokenizer, seed=1), old.tokenizer, resumable=True)

    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-000012"]
    assert load_checkpoint(run).digest == old.digest
    again = save(run, 13, tiny_network(old.tokenizer, seed=1), old.tokenizer, resumable=True)
    assert load_checkpoint(again).step == 13


def test_a_run_can_be_loaded_at_any_moment_of_its_training(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    network = tiny_network(tokenizer)
    stop = threading.Event()

    def train() -> None:
        for step in range(2, 10_000):
            if stop.is_set():
                return
            point(tmp_path, "best", save(tmp_path, step, network, tokenizer, resumable=False))
            prune(tmp_path)

    point(tmp_path, "best", save(tmp_path, 1, network, tokenizer, resumable=False))
    training = threading.Thread(target=train)
    training.start()
    try:
        steps = [load_checkpoint(tmp_path).step for _ in range(8)]
    finally:
        stop.set()
        training.join()

    assert steps == sorted(steps)
    assert len(set(steps)) > 2


# The frozen checkpoints load for ever and give what they gave on their first day.
DATA = Path(__file__).parents[2] / "data"
FORMAT_1, FORMAT_2 = DATA / "checkpoint_v1", DATA / "checkpoint_v2"
of_every_format = pytest.mark.parametrize("frozen", [FORMAT_1, FORMAT_2], ids=["1", "2"])


def test_the_newest_format_has_a_frozen_checkpoint() -> None:
    for number, frozen in ((1, FORMAT_1), (FORMAT, FORMAT_2)):
        assert json.loads((frozen / "manifest.json").read_text())["format"] == number


@of_every_format
def test_a_frozen_checkpoint_loads(frozen: Path) -> None:
    loaded = load_checkpoint(frozen)

    assert (loaded.step, loaded.search.beam_size) == (1, 3)
    assert loaded.card.startswith("# A frozen checkpoint")


@of_every_format
def test_a_frozen_checkpoint_gives_the_same_pieces_and_logits(frozen: Path) -> None:
    loaded = load_checkpoint(frozen)
    expected = json.loads(frozen.with_suffix(".json").read_text())

    source = loaded.profile.normalized(expected["source"])
    assert loaded.tokenizer.encode(source) == expected["src"]
    greedy = expected["greedy"]
    found = logits(loaded.network, expected["src"], greedy[:-1])[0]
    assert found.argmax(dim=1).tolist() == greedy
    wanted = torch.tensor(expected["logits_of_every_tenth_piece"])
    torch.testing.assert_close(found[:, ::10], wanted, rtol=0, atol=1e-5)


@of_every_format
def test_a_frozen_checkpoint_resumes(frozen: Path) -> None:
    tensors, meta = load_training_state(frozen)

    assert tensors["updates"] == 1
    assert meta == {"epoch": 0}


def test_format_1_knows_nothing_of_the_text_and_format_2_what_was_saved() -> None:
    assert load_checkpoint(FORMAT_1).profile == TextProfile()
    assert load_checkpoint(FORMAT_2).profile == TextProfile(
        task="translate",
        source_language="de",
        target_language="en",
        normalization=1,
        several_sentences=0.25,
    )


@pytest.mark.parametrize(
    ("frozen", "read_as"),
    [(FORMAT_1, "abba\u00a0é ☃ ab\uff13"), (FORMAT_2, "abba é ☃ ab3")],
    ids=["1", "2"],
)
def test_sources_are_read_in_the_form_that_was_learned(frozen: Path, read_as: str) -> None:
    loaded = load_checkpoint(frozen)
    segmenter = Segmenter(loaded.tokenizer, loaded.config.max_length, loaded.profile)

    (source,) = segmenter.cut("abba\u00a0é ☃ ab\uff13").sources

    assert loaded.tokenizer.decode(source) == read_as
