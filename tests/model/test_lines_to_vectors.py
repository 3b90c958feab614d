"""Checkpoints from lines to vectors: the same alone, packed, and refused where sides do not fit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.checkpoint.checkpoint import load_checkpoint
from model.decoding.options import SearchOptions
from model.errors import CheckpointError, ConfigError, RequestError
from model.pack import main as pack
from model.text.alphabet import Alphabet, Cut
from model.text.symbols import Symbols
from model.transducer import Transducer
from model.translator import Translator
from model.vector_transducer import VectorTransducer
from model.vectors.vector_form import VectorForm
from tests.conftest import saved_run

LINES = ["abc", "h", "gfedcba", "aaaaaaaaaaaa", "a" * 40, "hg" * 8]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("fixture", ["contour_checkpoint", "speaker_checkpoint"])
def test_a_line_has_the_same_bits_alone_in_company_and_in_a_pack(
    fixture: str, precision: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue(fixture)
    transducer = VectorTransducer.load(run, device="cpu", precision=precision)
    together = transducer.transduce(LINES * 20)
    assert pack([str(run), "--output", str(tmp_path / "x.dragoman")]) == 0
    packed = VectorTransducer.load(tmp_path / "x.dragoman", device="cpu", precision=precision)
    for number, line in enumerate(LINES):
        (alone,) = transducer.transduce([line])
        assert len(alone) == (transducer.form.steps or len(line))
        for other in (together[number], together[number + 7 * len(LINES)]):
            np.testing.assert_array_equal(alone, other)
        np.testing.assert_array_equal(packed.transduce([line])[0], alone)


def test_other_classes_name_the_one_that_loads_it(
    contour_checkpoint: Path, speaker_checkpoint: Path
) -> None:
    with pytest.raises(CheckpointError, match=r"reads symbols and writes vectors\. Use Vector"):
        Transducer.load(contour_checkpoint, device="cpu")
    told = r"reads text and writes vectors, not text\. Use VectorTransducer\.load"
    with pytest.raises(CheckpointError, match=told):
        Translator.load(speaker_checkpoint, device="cpu")
    with pytest.raises(ConfigError, match="int8 is for text, not for vectors"):
        VectorTransducer.load(speaker_checkpoint, device="cpu", precision="int8")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=r"^lines: str was given"):
        VectorTransducer.load(speaker_checkpoint, device="cpu").transduce("abc")


CUT = Cut(unit="characters")


@pytest.mark.parametrize(
    "reads",
    [
        None,
        Symbols(Alphabet(source=CUT, target=CUT, symbols=tuple("abcdefgh"))),
        Symbols(Alphabet(source=None, target=CUT, symbols=tuple("abcdefgh"))),
    ],
)
def test_sides_that_do_not_fit_the_network_are_refused(
    reads: Symbols | None, contour_checkpoint: Path, tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(contour_checkpoint)
    run = saved_run(tmp_path, checkpoint.network, VectorForm(), SearchOptions(), reads)
    with pytest.raises(CheckpointError, match=r"Use files of one training"):
        load_checkpoint(run)


def test_symbols_and_a_tokenizer_are_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(tiny_checkpoint)
    reads = Symbols(Alphabet(source=CUT, target=CUT, symbols=("a",)))
    run = saved_run(tmp_path, checkpoint.network, checkpoint.tokenizer, SearchOptions(), reads)
    with pytest.raises(CheckpointError, match=r"has symbols\.json and tokenizer\.model, but"):
        load_checkpoint(run)
