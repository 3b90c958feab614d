"""Transducer and dragoman-translate where the source is vectors and the target symbols."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from model.config import ModelConfig
from model.decoding.options import SearchOptions
from model.errors import CheckpointError, ConfigError, InputTooLong, RequestError
from model.inspect import main as inspect
from model.jobs.batch import BatchTranslator
from model.network.seq2seq import Seq2Seq
from model.pack import main as pack
from model.score import main as score
from model.text.alphabet import Alphabet, Cut
from model.text.symbols import Symbols
from model.transducer import Transducer
from model.translator import Translator
from model.vector_transducer import VectorTransducer
from tests.model.frame_sources import films, greedy


@pytest.fixture(scope="module")
def transducer(mixed_checkpoint: Path) -> Transducer:
    return Transducer.load(mixed_checkpoint, device="cpu")


@torch.inference_mode()
def test_greedy_search_is_the_argmax_of_the_network(
    transducer: Transducer, mixed_checkpoint: Path
) -> None:
    checkpoint = load_checkpoint(mixed_checkpoint)
    options = SearchOptions(beam_size=1, max_length_a=1.0, max_length_b=0)
    lengths = set()
    for film, found in zip(films(), transducer.transduce(films(), options), strict=True):
        ids, frames = greedy(checkpoint.network, film)
        assert found.text == checkpoint.symbols.target.decode(ids)
        assert list(found.hypotheses[0].alignment) == frames
        assert found.source_pieces == ()
        lengths.add(len(ids))
    assert len(lengths) > 2


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_sequence_has_the_same_bits_alone_and_in_company(
    mixed_checkpoint: Path, precision: Literal["fp32", "bf16"]
) -> None:
    transducer = Transducer.load(mixed_checkpoint, device="cpu", precision=precision)
    options = SearchOptions(beam_size=4, n_best=3, max_length_a=1.0)
    together = transducer.transduce(films() * 20, options)
    for number, film in enumerate(films()):
        (alone,) = transducer.transduce([film], options)
        assert together[number] == alone == together[number + 7 * len(films())]
        for one, other in zip(alone.hypotheses, together[number].hypotheses, strict=True):
            assert one.weights is not None and other.weights is not None
            assert torch.equal(one.weights, other.weights)
            assert one.weights.shape[1] == len(film) + 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1, 2]], r"^sequences\[1\]: vectors of 2 numbers, but the width .* is 3"),
        ([[1, 2, float("nan")]], r"^sequences\[1\]: vector 1, column 3 is nan"),
        ([], r"^sequences\[1\]: an empty sequence"),
        ("A B", r"^sequences\[1\]: no list of vectors"),
        ([[1, 2, 3]] * 41, r"^sequences\[1\]: 41 vectors, but at most 40 are read"),
    ],
)
def test_mistakes_are_named(transducer: Transducer, values: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        transducer.transduce([[[1, 2, 3]], values])
    if len(values) > 40:
        with pytest.raises(InputTooLong):
            transducer.transduce([values])


def test_other_classes_and_commands_name_the_one_that_loads_it(
    mixed_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = r"reads vectors and writes symbols, not text\. Use Transducer\.load"
    with pytest.raises(CheckpointError, match=told):
        Translator.load(mixed_checkpoint, device="cpu")
    with pytest.raises(CheckpointError, match="does not write vectors"):
        VectorTransducer.load(mixed_checkpoint, device="cpu")
    with pytest.raises(ConfigError, match="int8 is for text, not for vectors"):
        Transducer.load(mixed_checkpoint, device="cpu", precision="int8")
    with pytest.raises(ConfigError, match="an ensemble of models of vectors is not there"):
        Transducer.load([mixed_checkpoint, mixed_checkpoint], device="cpu")
    assert score([str(mixed_checkpoint), "--source", "a", "--target", "b"]) == 2
    assert "vectors" in capsys.readouterr().err


def test_a_pack_gives_the_same(
    transducer: Transducer,
    mixed_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert pack([str(mixed_checkpoint), "--output", str(tmp_path / "x.dragoman")]) == 0
    assert "weights in fp32" in capsys.readouterr()[0]
    packed = Transducer.load(tmp_path / "x.dragoman", device="cpu")
    assert packed.transduce(films()) == transducer.transduce(films())


def test_inspect_tells_what_it_reads(
    mixed_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect([str(mixed_checkpoint)]) == 0
    assert "vectors to spaced, 8 symbols: A B C D E F G H" in capsys.readouterr()[0]


def npz(path: Path) -> str:
    np.savez(path, *films())
    return str(path)


def test_the_command_writes_a_line_for_each_sequence(
    transducer: Transducer, mixed_checkpoint: Path, tmp_path: Path, translate: Callable[..., Any]
) -> None:
    found = transducer.transduce(films())
    source = npz(tmp_path / "films.npz")
    result = translate(mixed_checkpoint, "", source)
    assert (result.status, result.lines) == (0, [one.text for one in found])
    given = "".join(json.dumps({"frames": film.tolist()}) + "\n" for film in films())
    assert translate(mixed_checkpoint, given, "--field", "frames").lines == result.lines
    lines = translate(mixed_checkpoint, "", source, "--print", "scores,alignment").lines
    best = found[0].hypotheses[0]
    links = " ".join(f"{place}-{number}" for number, place in enumerate(best.alignment))
    assert lines[0] == f"{best.translation} ||| {best.score:.6f} ||| {links}"
    flags = ["--beam-size", "4", "--n-best", "2"]
    lines = translate(mixed_checkpoint, "", source, *flags, "--print", "nbest").lines
    assert [line.partition(" ||| ")[0] for line in lines[:4]] == ["0", "0", "1", "1"]
    fields = json.loads(
        translate(mixed_checkpoint, "", source, *flags, "--format", "jsonl").lines[3]
    )
    options = SearchOptions(beam_size=4, n_best=2, max_length_a=1.0, max_length_b=0)
    first, second = transducer.transduce(films(), options)[3].hypotheses
    assert fields["translation"] == first.translation
    assert fields["alignment"] == list(first.alignment)
    assert [one["translation"] for one in fields["alternatives"]] == [second.translation]
    output = tmp_path / "out.jsonl"
    assert translate(mixed_checkpoint, "", source, "--output", str(output)).status == 0
    told = [json.loads(line)["translation"] for line in output.read_text().splitlines()]
    assert told == [one.text for one in found]


@pytest.mark.parametrize(
    ("line", "flags", "message"),
    [
        ("[[1, 2]]", (), "standard input, sequence 1: vectors of 2 numbers, but the width"),
        ("[[1, 2, NaN]]", (), "standard input, line 1: vector 1, column 3 is nan"),
        ("[]", (), "standard input, line 1: an empty sequence"),
        ("A B", (), "standard input, line 1: not JSON"),
        (str([[1, 2, 3]] * 41), (), "standard input, sequence 1: 41 vectors, but at most 40"),
        ("[[1, 2, 3]]", ("--mbr",), "--mbr: it is not for a model that reads vectors"),
        ("[[1, 2, 3]]", ("--resume",), "--resume: it is not for a model that reads vectors"),
        (
            "[[1, 2, 3]]",
            ("--output", "o.npz"),
            "--output: .npz is not written. Name a file in .txt",
        ),
        ("[[1, 2, 3]]", ("--format", "tsv"), "--format: tsv is not written for vectors"),
        ("[[1, 2, 3]]", ("--n-best", "2"), "--n-best 2: text has one translation"),
        ("[[1, 2, 3]]", ("--max-words", "2"), "max_words: 2 is for text, not for symbols"),
    ],
)
def test_the_command_refuses_in_a_line(
    line: str,
    flags: tuple[str, ...],
    message: str,
    mixed_checkpoint: Path,
    translate: Callable[..., Any],
) -> None:
    assert translate(mixed_checkpoint, f"{line}\n", *flags).mistake.startswith(message)


@pytest.mark.parametrize(
    ("source", "width", "message"),
    [
        (None, 0, r"symbols\.json does not fit a network of vectors of 0 and 0 numbers"),
        (Cut(unit="spaced"), 3, r"symbols\.json does not fit a network of vectors of 3 and 0"),
    ],
)
def test_symbols_and_network_that_differ_are_refused(
    source: Cut | None, width: int, message: str, tmp_path: Path
) -> None:
    symbols = Symbols(Alphabet(source=source, target=Cut(unit="spaced"), symbols=("A",)))
    config = ModelConfig(
        vocab_size=symbols.vocab_size,
        embedding_size=4,
        encoder_size=4,
        decoder_size=4,
        tie_embeddings=False,
        source_width=width,
    )
    directory = save_checkpoint(
        tmp_path,
        1,
        config=config,
        weights=dict(Seq2Seq(config).named_parameters()),
        tokenizer=symbols,
        search=SearchOptions(),
        card="",
        training_state=None,
        training_meta=None,
    )
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(directory)


def test_deviations_of_zero_are_refused(mixed_checkpoint: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(mixed_checkpoint)
    weights = {name: value.detach() for name, value in checkpoint.network.named_parameters()}
    weights["source_statistics.std"] = torch.zeros(3)
    directory = save_checkpoint(
        tmp_path,
        1,
        config=checkpoint.config,
        weights=weights,
        tokenizer=checkpoint.symbols,
        search=checkpoint.search,
        card="",
        training_state=None,
        training_meta=None,
    )
    with pytest.raises(CheckpointError, match=r"source_statistics\.std is not above 0"):
        load_checkpoint(directory)


def test_numbers_that_the_network_cannot_compute_with_are_refused(mixed_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(mixed_checkpoint)
    assert checkpoint.network.source_statistics
    checkpoint.network.source_statistics.std.fill_(1e-3)
    transducer = Transducer(
        checkpoint.network,
        checkpoint.symbols,
        checkpoint.search,
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    with pytest.raises(RequestError, match="the output is not finite"):
        transducer.transduce([[[3e38, -3e38, 3e38]] * 5])


def test_tables_of_text_are_not_for_a_model_that_reads_vectors(mixed_checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="this model reads vectors"):
        BatchTranslator(mixed_checkpoint).outcomes([])
