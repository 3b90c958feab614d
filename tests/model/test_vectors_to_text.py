"""Transducer and dragoman-translate where the source is vectors and the target pieces of text."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.options import SearchOptions
from model.errors import CheckpointError, ConfigError, RequestError
from model.jobs.batch import BatchTranslator
from model.pack import main as pack
from model.score import main as score
from model.text.tokenizer import Tokenizer
from model.transducer import Transducer
from model.translator import Translator
from model.vector_transducer import VectorTransducer
from tests.conftest import saved_run
from tests.model.frame_sources import films, greedy
from training.loop.initialize import initial_weights


@pytest.fixture(scope="module")
def transducer(heard_checkpoint: Path) -> Transducer:
    return Transducer.load(heard_checkpoint, device="cpu")


@torch.inference_mode()
def test_greedy_search_is_the_argmax_of_the_network_in_text(
    transducer: Transducer, heard_checkpoint: Path, tiny_tokenizer: Tokenizer
) -> None:
    network = load_checkpoint(heard_checkpoint).network
    options = SearchOptions(beam_size=1, max_length_a=1.0, max_length_b=0)
    lengths = set()
    for film, found in zip(films(), transducer.transduce(films(), options), strict=True):
        ids, frames = greedy(network, film)
        assert found.text == tiny_tokenizer.decode(ids)
        assert list(found.hypotheses[0].alignment) == frames
        assert len(found.hypotheses[0].pieces) == len(frames)
        assert found.source_pieces == ()
        lengths.add(len(ids))
    assert len(lengths) > 2


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_sequence_has_the_same_bits_alone_and_in_company(
    heard_checkpoint: Path, precision: Literal["fp32", "bf16"]
) -> None:
    transducer = Transducer.load(heard_checkpoint, device="cpu", precision=precision)
    options = SearchOptions(beam_size=4, n_best=3, max_length_a=1.0)
    together = transducer.transduce(films() * 20, options)
    for number, film in enumerate(films()):
        (alone,) = transducer.transduce([film], options)
        assert together[number] == alone == together[number + 7 * len(films())]
        texts = [one.translation for one in alone.hypotheses]
        assert len(set(texts)) == len(texts) <= 3


def test_a_word_is_aligned_with_the_frame_that_its_pieces_attend_to(
    transducer: Transducer,
) -> None:
    """By the definition: the mean of what its pieces give, so the sum has the same maximum."""
    for found in transducer.transduce(films()):
        (best,) = found.hypotheses[:1]
        assert best.weights is not None
        sums: list[torch.Tensor] = []
        seen = ""
        for piece, row in zip(best.pieces, best.weights[:-1, :-1], strict=True):
            if not sums or (piece.startswith("\u2581") and seen.strip("\u2581")):
                sums.append(torch.zeros_like(row))
                seen = ""
            sums[-1] = sums[-1] + row
            seen += piece
        assert best.word_alignment == tuple(int(one.argmax()) for one in sums)


def test_mistakes_are_named(transducer: Transducer) -> None:
    with pytest.raises(RequestError, match=r"^sequences\[1\]: vectors of 2 numbers, but the width"):
        transducer.transduce([[[1, 2, 3]], [[1, 2]]])
    with pytest.raises(RequestError, match=r"^max_words: 3 is for text, not for vectors"):
        transducer.transduce([[[1, 2, 3]]], SearchOptions(max_words=3))


def test_other_classes_and_commands_name_the_one_that_loads_it(
    heard_checkpoint: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = r"reads vectors and writes text, not text from text\. Use Transducer\.load"
    with pytest.raises(CheckpointError, match=told):
        Translator.load(heard_checkpoint, device="cpu")
    with pytest.raises(CheckpointError, match="does not write vectors"):
        VectorTransducer.load(heard_checkpoint, device="cpu")
    with pytest.raises(CheckpointError, match="reads and writes text, not symbols"):
        Transducer.load(tiny_checkpoint, device="cpu")
    with pytest.raises(ConfigError, match="int8 is for text, not for vectors"):
        Transducer.load(heard_checkpoint, device="cpu", precision="int8")
    with pytest.raises(ConfigError, match="an ensemble of models of vectors is not there"):
        Transducer.load([heard_checkpoint, heard_checkpoint], device="cpu")
    with pytest.raises(ConfigError, match="this model reads vectors"):
        BatchTranslator(heard_checkpoint).outcomes([])
    assert score([str(heard_checkpoint), "--source", "a", "--target", "b"]) == 2
    assert told.partition("\\")[0] in capsys.readouterr().err


def test_weights_of_text_are_not_begun_with_it(
    heard_checkpoint: Path, tiny_checkpoint: Path, tiny_tokenizer: Tokenizer
) -> None:
    config = load_checkpoint(tiny_checkpoint).config
    with pytest.raises(ConfigError, match=r"another architecture: .*source_width is 0, not 3"):
        initial_weights(load_checkpoint(heard_checkpoint), config, tiny_tokenizer)


def test_a_pack_gives_the_same(
    transducer: Transducer, heard_checkpoint: Path, tmp_path: Path
) -> None:
    assert pack([str(heard_checkpoint), "--output", str(tmp_path / "x.dragoman")]) == 0
    packed = Transducer.load(tmp_path / "x.dragoman", device="cpu")
    assert packed.transduce(films()) == transducer.transduce(films())


def test_search_options_of_text_in_its_checkpoint_are_refused(
    heard_checkpoint: Path, tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(heard_checkpoint)
    search = SearchOptions(max_words=3)
    run = saved_run(tmp_path, checkpoint.network, checkpoint.vocabulary, search)
    with pytest.raises(CheckpointError, match=r"decoding\.json: max_words: 3 is for text"):
        load_checkpoint(run)


def test_the_command_writes_a_line_of_text_for_each_sequence(
    transducer: Transducer, heard_checkpoint: Path, tmp_path: Path, translate: Callable[..., Any]
) -> None:
    found = transducer.transduce(films())
    np.savez(tmp_path / "films.npz", *films())
    source = str(tmp_path / "films.npz")
    result = translate(heard_checkpoint, "", source)
    assert (result.status, result.lines) == (0, [one.text.replace("\n", " ") for one in found])
    lines = translate(heard_checkpoint, "", source, "--print", "scores,alignment").lines
    best = found[0].hypotheses[0]
    links = " ".join(f"{place}-{number}" for number, place in enumerate(best.word_alignment))
    assert lines[0].split(" ||| ")[1:] == [f"{best.score:.6f}", links]
    fields = json.loads(translate(heard_checkpoint, "", source, "--format", "jsonl").lines[3])
    assert fields["translation"] == found[3].text
    assert fields["alignment"] == list(found[3].hypotheses[0].alignment)
    assert translate(heard_checkpoint, "[[1, 2]]\n").mistake.startswith(
        "standard input, sequence 1: vectors of 2 numbers, but the width"
    )
    assert translate(heard_checkpoint, "[[1, 2, 3]]\n", "--mbr").mistake.startswith(
        "--mbr: it is not for a model that reads vectors"
    )
