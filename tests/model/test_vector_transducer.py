"""VectorTransducer and dragoman-translate: outputs by definition, in order, with clear errors."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from model.errors import CheckpointError, InputTooLong, RequestError
from model.inspect import main as inspect
from model.network.seq2seq import Seq2Seq
from model.pack import main as pack
from model.transducer import Transducer
from model.translate import main
from model.translator import Translator
from model.vector_transducer import VectorTransducer
from model.vectors.vector_form import VectorForm

Vectors = NDArray[np.float64]


def films() -> list[Vectors]:
    generator = np.random.default_rng(0)
    return [generator.normal(1000, 4, (length, 3)) for length in (5, 1, 40, 17)]


@pytest.fixture(scope="module")
def transducer(vector_checkpoint: Path) -> VectorTransducer:
    return VectorTransducer.load(vector_checkpoint, device="cpu")


@torch.inference_mode()
def by_definition(network: Seq2Seq, film: Vectors) -> Vectors:
    """In float64: normalise, feed predictions back, restore, and add up the differences."""
    network = network.double()
    source, target = network.source_statistics, network.target_statistics
    assert source and target
    read = (torch.from_numpy(film.astype(np.float32)).double() - source.mean) / source.std
    memory = network.encode(read.unsqueeze(0), torch.tensor([len(film)]))
    state, previous = network.start(memory), torch.zeros(1, 1, 2, dtype=torch.float64)
    total, outputs = np.zeros(2), []
    for _ in film:
        state, features, weights = network.step(previous, state, memory)
        previous = network.log_scores(features, weights, memory)
        total = total + (previous[0, 0] * target.std + target.mean).numpy()
        outputs.append(total)
    return np.array(outputs)


def test_outputs_are_those_of_the_definition(
    transducer: VectorTransducer, vector_checkpoint: Path
) -> None:
    network = load_checkpoint(vector_checkpoint).network
    for film, output in zip(films(), transducer.transduce(films()), strict=True):
        np.testing.assert_allclose(output, by_definition(network, film), rtol=1e-4, atol=1e-4)


def test_alone_and_in_company_to_the_bit(transducer: VectorTransducer) -> None:
    together = transducer.transduce(films())
    for film, output in zip(films(), together, strict=True):
        np.testing.assert_array_equal(transducer.transduce([film])[0], output)


def test_lists_are_taken_as_arrays_are(transducer: VectorTransducer) -> None:
    film = films()[0]
    np.testing.assert_array_equal(
        transducer.transduce([film.tolist()])[0], transducer.transduce([film])[0]
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1, 2]], r"sequences\[1\]: vectors of 2 numbers, but the width .* is 3"),
        ([[1, 2, float("nan")]], r"sequences\[1\]: vector 1, column 3 is nan"),
        ([], r"sequences\[1\]: an empty sequence"),
    ],
)
def test_mistakes_are_named(transducer: VectorTransducer, values: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        transducer.transduce([[[1, 2, 3]], values])


@pytest.mark.parametrize("places", [["one"], ["one", "two", "three"]])
def test_a_place_for_each_sequence(transducer: VectorTransducer, places: list[str]) -> None:
    with pytest.raises(ValueError, match="zip"):
        transducer.transduce([[[1, 2, 3]]] * 2, places)


def test_an_output_that_is_not_finite_is_refused(vector_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(vector_checkpoint)
    network = copy.deepcopy(checkpoint.network)
    assert network.source_statistics is not None
    network.source_statistics.std.data.fill_(1e-30)  # 1e30 / 1e-30 is too large for 32 bits
    far = VectorTransducer(
        network, checkpoint.vectors, device=torch.device("cpu"), dtype=torch.float32
    )
    with pytest.raises(RequestError, match=r"sequences\[1\]: its output is not finite"):
        far.transduce([[[1000, 1000, 1000]], [[1e30, -1e30, 1e30]]])


def test_too_long_a_sequence_is_refused(vector_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(vector_checkpoint)
    device, dtype = torch.device("cpu"), torch.float32
    short = VectorTransducer(
        checkpoint.network, checkpoint.vectors, device=device, dtype=dtype, most=4
    )
    with pytest.raises(InputTooLong, match="5 vectors, but at most 4 are read"):
        short.transduce(films())


def test_each_kind_of_model_names_the_class_that_loads_it(
    vector_checkpoint: Path, tiny_checkpoint: Path, symbol_checkpoint: Path
) -> None:
    with pytest.raises(CheckpointError, match=r"writes vectors, not text\. Use VectorTransducer"):
        Translator.load(vector_checkpoint, device="cpu")
    with pytest.raises(CheckpointError, match=r"writes vectors\. Use VectorTransducer"):
        Transducer.load(vector_checkpoint, device="cpu")
    for path in (tiny_checkpoint, symbol_checkpoint):
        with pytest.raises(CheckpointError, match="does not write vectors"):
            VectorTransducer.load(path, device="cpu")


def test_a_pack_gives_the_same(
    transducer: VectorTransducer,
    vector_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = [str(vector_checkpoint), "--output", str(tmp_path / "x.dragoman")]
    assert pack(command) == 0
    assert "weights in fp32" in capsys.readouterr()[0]
    packed = VectorTransducer.load(tmp_path / "x.dragoman", device="cpu")
    for one, other in zip(packed.transduce(films()), transducer.transduce(films()), strict=True):
        np.testing.assert_array_equal(one, other)
    assert pack([*command, "--weights", "int8"]) == 2
    assert "--weights: int8 is for text and symbols, not for vectors." in capsys.readouterr()[1]


def test_inspect_tells_what_it_reads(
    vector_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect([str(vector_checkpoint)]) == 0
    told = "of an output: one for each source vector, by their differences"
    assert told in capsys.readouterr()[0]


def test_the_command_writes_json_lines(
    transducer: VectorTransducer, vector_checkpoint: Path, translate: Callable[..., Any]
) -> None:
    lines = [json.dumps(films()[0].tolist()), json.dumps({"source": films()[1].tolist()})]
    result = translate(vector_checkpoint, "".join(f"{line}\n" for line in lines))
    assert result.status == 0
    expected = transducer.transduce(films()[:2])
    for line, output in zip(result.lines, expected, strict=True):
        np.testing.assert_allclose(json.loads(line), output, rtol=1e-8)


def test_the_command_reads_and_writes_npz(
    transducer: VectorTransducer, vector_checkpoint: Path, tmp_path: Path
) -> None:
    source, output = tmp_path / "films.npz", tmp_path / "outputs.npz"
    np.savez(source, *films())
    command = [str(vector_checkpoint), str(source), "--output", str(output), "--device", "cpu"]
    assert main(command) == 0
    with np.load(output) as found:
        for one, other in zip(found.values(), transducer.transduce(films()), strict=True):
            np.testing.assert_array_equal(one, other)


TOO_LONG = "standard input, sequence 300: 10,001 vectors, but at most 10,000 are read"


@pytest.mark.parametrize(
    ("line", "flags", "message"),
    [
        ("[[1, 2]]", (), "standard input, sequence 1: vectors of 2 numbers, but the width"),
        ("[[1, 2, NaN]]", (), "standard input, line 1: vector 1, column 3 is nan"),
        ("a b c", (), "standard input, line 1: not JSON"),
        ("[[1, 2, 3]]", ("--beam-size", "3"), "--beam-size: it is for text"),
        ("[[1, 2, 3]]", ("--mbr",), "--mbr: it is for text"),
        ("[[1, 2, 3]]", ("--coverage-beta", "0"), "--coverage-beta: it is for text"),
        ("[[1, 2, 3]]", ("--output", "o.npz.gz"), "--output: .npz.gz is not written. Name a file"),
        ("[[1, 2, 3]]", ("--output", "o.csv.zst"), "--output: .csv is not written. Name a file in"),
        ("[[1, 2, 3]]", ("--output", "out.npy"), "--output: .npy is not written. Name a file in"),
        ("\n".join(["[[1, 2, 3]]"] * 299 + [str([[1, 2, 3]] * 10_001)]), (), TOO_LONG),
    ],
)
def test_the_command_refuses_in_a_line(
    line: str,
    flags: tuple[str, ...],
    message: str,
    vector_checkpoint: Path,
    translate: Callable[..., Any],
) -> None:
    assert translate(vector_checkpoint, f"{line}\n", *flags).mistake.startswith(message)


def test_what_its_file_holds(vector_checkpoint: Path) -> None:
    content = (load_checkpoint(vector_checkpoint).path / "vectors.json").read_bytes()
    assert json.loads(content) == {"steps": 0, "differences": True, "scaled_by": []}


@pytest.mark.parametrize(
    ("form", "std", "message"),
    [
        (VectorForm(scaled_by=(0, 3)), 1.0, r"vectors\.json: scaled_by does not fit"),
        (VectorForm(scaled_by=(0,)), 1.0, r"vectors\.json: scaled_by does not fit"),
        (VectorForm(scaled_by=(-1, 0)), 1.0, r"vectors\.json: scaled_by does not fit"),
        (VectorForm(steps=5), 1.0, r"vectors\.json: 5 steps, but the network gives one for each"),
        (VectorForm(), 0.0, r"source_statistics\.std is not above 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    form: VectorForm, std: float, message: str, vector_checkpoint: Path, tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(vector_checkpoint)
    weights = {name: value.detach() for name, value in checkpoint.network.named_parameters()}
    weights["source_statistics.std"] = torch.full((3,), std)
    directory = save_checkpoint(
        tmp_path,
        1,
        config=checkpoint.config,
        weights=weights,
        tokenizer=form,
        search=form.search,
        card="",
        training_state=None,
        training_meta=None,
    )
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(directory)


def test_sources_are_scaled_by_themselves(vector_checkpoint: Path) -> None:
    """A source at another level and of another size gives the same output, at that level."""
    network = load_checkpoint(vector_checkpoint).network
    statistics = network.source_statistics
    assert statistics
    with torch.no_grad():
        statistics.mean.zero_()
        statistics.std.fill_(1)
    device, dtype = torch.device("cpu"), torch.float32
    scaled = VectorTransducer(
        network, VectorForm(scaled_by=(2, 0)), device=device, dtype=dtype, most=64
    )
    film = np.random.default_rng(0).normal(size=(20, 3))
    one, other = scaled.transduce([film, film * 4 + 64])
    np.testing.assert_allclose(other, one * 4 + 64, rtol=1e-4)
