"""Small real parts that tests of several packages share."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from model.checkpoint.checkpoint import save_checkpoint
from model.checkpoint.run_directory import point
from model.config import ModelConfig
from model.decoding.native.compiled import kernel_folder
from model.decoding.options import SearchOptions
from model.network.seq2seq import Seq2Seq
from model.text.alphabet import Alphabet, Cut
from model.text.symbols import Symbols
from model.text.tokenizer import EOS_ID, Tokenizer
from model.text.vocabulary import Vocabulary
from model.vectors.series_window import SeriesWindow
from model.vectors.vector_form import VectorForm
from training.data.learn_tokenizer import learn_tokenizer

# A busy machine is no failure.
settings.register_profile("dragoman", deadline=None)
settings.load_profile("dragoman")

_WORDS = """
the a house dog man woman runs sleeps sees red small in on under at street and not
der die das ein Haus Hund Mann Frau läuft schläft sieht rot klein auf unter Straße und 10 3
"""


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests measure of this machine is not kept for its user; subprocesses inherit it."""
    with pytest.MonkeyPatch.context() as patch:
        # But for compiled kernels: each process that a test starts would compile its own.
        patch.setenv("NUMBA_CACHE_DIR", str(kernel_folder().parent))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Tokenizer:
    """A BPE tokenizer of 320 pieces, learned from a hundred lines of German and English words."""
    rng = random.Random(1)
    lines = [" ".join(rng.choices(_WORDS.split(), k=8)) + rng.choice(".!?") for _ in range(100)]
    return Tokenizer(learn_tokenizer(lines, kind="bpe", vocab_size=320))


def random_network(config: ModelConfig, *, seed: int = 0, end: float = 0) -> Seq2Seq:
    """A network with decided opinions, in eval mode.

    `end` is added to the logits of EOS: some hypotheses end before the length limit, some do not.
    """
    torch.manual_seed(seed)
    network = Seq2Seq(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.7)
        network.output.bias[EOS_ID] += end
    return network


def saved_run(
    folder: Path,
    network: Seq2Seq,
    vocabulary: Vocabulary | VectorForm,
    search: SearchOptions,
    reads: Vocabulary | None = None,
) -> Path:
    """A run in `folder` whose best checkpoint is `network`."""
    run = folder / "run"
    directory = save_checkpoint(
        run,
        1,
        config=network.config,
        weights=dict(network.named_parameters()),
        tokenizer=vocabulary,
        reads=reads,
        search=search,
        card="Random weights.",
        training_state=None,
        training_meta=None,
    )
    point(run, "best", directory)
    return run


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose best checkpoint is a random network: it translates at once, into nonsense."""
    config = ModelConfig(
        vocab_size=tiny_tokenizer.vocab_size,
        embedding_size=8,
        encoder_size=8,
        decoder_size=8,
        input_feeding=False,
        max_length=24,
    )
    network = random_network(config, end=2)
    search = SearchOptions(beam_size=2, max_length_a=1.0, max_length_b=3)
    return saved_run(tmp_path_factory.mktemp("tiny"), network, tiny_tokenizer, search)


@pytest.fixture(scope="session")
def symbol_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run like `tiny_checkpoint` that reads letters a to h and writes phones A0, A1 to H1."""
    phones = [f"{letter}{stress}" for letter in "ABCDEFGH" for stress in "01"]
    alphabet = Alphabet(
        source=Cut(unit="characters", ignore_spaces=True),
        target=Cut(unit="spaced"),
        symbols=tuple(sorted([*"abcdefgh", *phones])),
    )
    symbols = Symbols(alphabet)
    config = ModelConfig(
        vocab_size=symbols.vocab_size,
        embedding_size=8,
        encoder_size=8,
        decoder_size=8,
        input_feeding=False,
        max_length=12,
    )
    search = SearchOptions(beam_size=2, max_length_a=1.0, max_length_b=3)
    return saved_run(
        tmp_path_factory.mktemp("symbols"), random_network(config, end=2), symbols, search
    )


@pytest.fixture(scope="session")
def mixed_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that reads vectors of 3 numbers and writes phones A, B to H."""
    symbols = Symbols(Alphabet(source=None, target=Cut(unit="spaced"), symbols=tuple("ABCDEFGH")))
    return _of_vectors(tmp_path_factory.mktemp("mixed"), symbols, seed=2)


@pytest.fixture(scope="session")
def heard_checkpoint(tiny_tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that reads vectors of 3 numbers and writes the pieces of `tiny_checkpoint`."""
    return _of_vectors(tmp_path_factory.mktemp("heard"), tiny_tokenizer, seed=3)


def _of_vectors(folder: Path, writes: Vocabulary, *, seed: int) -> Path:
    config = ModelConfig(
        vocab_size=writes.vocab_size,
        embedding_size=8,
        encoder_size=8,
        decoder_size=8,
        tie_embeddings=False,
        source_width=3,
        max_length=40,
    )
    network = random_network(config, seed=seed)
    assert network.source_statistics
    network.source_statistics.mean.data.fill_(1000.0)
    network.source_statistics.std.data.fill_(4.0)
    search = SearchOptions(beam_size=2, max_length_a=1.0, max_length_b=0)
    return saved_run(folder, network, writes, search)


@pytest.fixture(scope="session")
def contour_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that reads letters a to h and gives a vector of 2 numbers for each."""
    cut = Cut(unit="characters", ignore_spaces=True)
    symbols = Symbols(Alphabet(source=cut, target=None, symbols=tuple("abcdefgh")))
    return _to_vectors(tmp_path_factory.mktemp("contour"), symbols, VectorForm())


@pytest.fixture(scope="session")
def speaker_checkpoint(tiny_tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that reads the pieces of `tiny_checkpoint` and gives 5 vectors of 2 numbers."""
    form = VectorForm(steps=5, differences=True)
    return _to_vectors(tmp_path_factory.mktemp("speaker"), tiny_tokenizer, form)


def _to_vectors(folder: Path, reads: Vocabulary, form: VectorForm) -> Path:
    config = ModelConfig(
        vocab_size=reads.vocab_size,
        embedding_size=8,
        encoder_size=8,
        decoder_size=8,
        attention="general" if form.steps else "aligned",
        input_feeding=False,
        tie_embeddings=False,
        target_width=2,
        max_length=12,
    )
    network = Seq2Seq(config)
    assert network.target_statistics
    network.target_statistics.mean.copy_(torch.tensor([-3.0, 0.5]))
    network.target_statistics.std.copy_(torch.tensor([2.0, 0.25]))
    return saved_run(folder, network, form, form.search, reads=reads)


@pytest.fixture(scope="session")
def vector_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that reads vectors of 3 numbers and gives one of 2 for each, by their differences."""
    config = ModelConfig(
        vocab_size=VectorForm.vocab_size,
        embedding_size=8,
        encoder_size=8,
        decoder_size=8,
        attention="aligned",
        input_feeding=False,
        tie_embeddings=False,
        source_width=3,
        target_width=2,
        bidirectional=False,
        first_state="zeros",
        max_length=12,
    )
    network = Seq2Seq(config)
    assert network.source_statistics and network.target_statistics
    network.source_statistics.mean.fill_(1000.0)
    network.source_statistics.std.fill_(4.0)
    network.target_statistics.mean.copy_(torch.tensor([-3.0, 0.5]))
    network.target_statistics.std.copy_(torch.tensor([2.0, 0.25]))
    form = VectorForm(differences=True)
    return saved_run(tmp_path_factory.mktemp("vectors"), network, form, form.search)


@pytest.fixture(scope="session")
def window_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that reads `sun` and `load` of 6 rows of a city and forecasts the next 3 of `load`."""
    config = ModelConfig(
        vocab_size=VectorForm.vocab_size,
        embedding_size=8,
        encoder_size=8,
        decoder_size=8,
        input_feeding=False,
        tie_embeddings=False,
        source_width=2,
        target_width=1,
        max_length=12,
    )
    form = VectorForm(
        steps=3,
        scaled_by=(1,),
        window=SeriesWindow(
            columns=("sun", "load"),
            targets=("load",),
            window=6,
            horizon=3,
            series="city",
            time="hour",
        ),
    )
    return saved_run(tmp_path_factory.mktemp("series"), Seq2Seq(config), form, form.search)
