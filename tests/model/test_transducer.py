"""Transducer: lines of symbols through the engine that text goes through."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch

from model.checkpoint.checkpoint import load_checkpoint
from model.checkpoint.manifest import MANIFEST, signed
from model.decoding.options import SearchOptions
from model.errors import CheckpointError, InputTooLong, RequestError
from model.inspect import main as inspect
from model.network.seq2seq import Seq2Seq
from model.pack import main as pack
from model.text.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from model.transducer import Transducer
from model.translate import main as translate
from model.translator import Translator

LINES = ["abc", "h", "", "gfedcba", "a b c", "aaaaaaaaaaaa", "hgh"]
CPU = ["--device", "cpu", "--precision", "fp32"]


def greedy(network: Seq2Seq, src: list[int], most: int) -> list[int]:
    """Greedy search by teacher forcing alone, without the engine."""
    memory = network.encode(torch.tensor([[*src, EOS_ID]]), torch.tensor([len(src) + 1]))
    found = [BOS_ID]
    while len(found) <= most:
        features, _ = network.unroll(torch.tensor([found]), network.start(memory), memory)
        logits = network.output(features[0, -1])
        logits[[PAD_ID, UNK_ID, BOS_ID]] = -torch.inf
        found.append(int(logits.argmax()))
        if found[-1] == EOS_ID:
            return found[1:-1]
    return found[1:]


@torch.inference_mode()
def test_greedy_search_is_the_argmax_of_the_network(symbol_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(symbol_checkpoint)
    options = dataclasses.replace(checkpoint.search, beam_size=1)
    transducer = Transducer.load(symbol_checkpoint, device="cpu", precision="fp32")
    for line, found in zip(LINES, transducer.transduce(LINES, options), strict=True):
        src = checkpoint.symbols.source.encode(line)
        wanted = greedy(checkpoint.network, src, len(src) + 3) if src else []
        assert found.text == checkpoint.symbols.target.decode(wanted)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_a_line_has_the_same_bits_alone_and_in_company(
    symbol_checkpoint: Path, precision: str
) -> None:
    transducer = Transducer.load(symbol_checkpoint, device="cpu", precision=precision)  # type: ignore[arg-type]
    options = SearchOptions(beam_size=4, n_best=3)
    together = transducer.transduce(LINES * 20, options)
    for number, line in enumerate(LINES):
        (alone,) = transducer.transduce([line], options)
        assert together[number] == alone == together[number + 7 * len(LINES)]


def test_what_is_found_tells_symbols_scores_and_links(symbol_checkpoint: Path) -> None:
    transducer = Transducer.load(symbol_checkpoint, device="cpu", precision="fp32")
    found = transducer.transduce(["a bc", " \t"], SearchOptions(beam_size=4, n_best=3))
    assert found[0].source_pieces == ("a", "b", "c")
    assert len({one.translation for one in found[0].hypotheses}) == 3
    assert [one.score for one in found[0].hypotheses] == sorted(
        (one.score for one in found[0].hypotheses), reverse=True
    )
    for one in found[0].hypotheses:
        assert one.translation == " ".join(one.pieces)
        assert len(one.alignment) == len(one.pieces) == len(one.token_log_probs)
        assert one.weights is not None
        rows = one.weights[:-1, :-1].tolist()
        assert list(one.alignment) == [row.index(max(row)) for row in rows]
    assert found[1].text == " \t" and found[1].hypotheses[0].pieces == ()


def test_what_cannot_be_read_is_refused_where_it_stands(symbol_checkpoint: Path) -> None:
    transducer = Transducer.load(symbol_checkpoint, device="cpu", precision="fp32")
    with pytest.raises(RequestError, match=r"^lines\[1\]: symbol 2: 'X' is not among the 24"):
        transducer.transduce(["abc", "aXc"])
    with pytest.raises(InputTooLong, match=r"13 symbols, but the model reads at most 12"):
        transducer.transduce(["a" * 13])
    with pytest.raises(RequestError, match="list of str"):
        transducer.transduce("abc")
    for options in (
        SearchOptions(max_words=3),
        SearchOptions(prefix="A0"),
        SearchOptions(extractive="words"),
        SearchOptions(source_language="de"),
    ):
        with pytest.raises(RequestError, match="is for text, not for symbols"):
            transducer.transduce(["abc"], options)


def test_each_class_names_the_other(symbol_checkpoint: Path, tiny_checkpoint: Path) -> None:
    with pytest.raises(CheckpointError, match=r"symbols, not text\. Use Transducer\.load"):
        Translator.load(symbol_checkpoint)
    with pytest.raises(CheckpointError, match=r"text, not symbols\. Use Translator\.load"):
        Transducer.load(tiny_checkpoint)


def test_a_pack_and_an_ensemble_of_one_model_transduce_alike(
    symbol_checkpoint: Path, tmp_path: Path
) -> None:
    alone = Transducer.load(symbol_checkpoint, device="cpu", precision="fp32").transduce(LINES)
    file = tmp_path / "g2p.dragoman"
    assert pack([str(symbol_checkpoint), "--output", str(file), "--weights", "fp32"]) == 0
    packed = Transducer.load(file, device="cpu", precision="fp32").transduce(LINES)
    assert packed == alone
    both = Transducer.load([symbol_checkpoint, file], device="cpu", precision="fp32")
    assert [one.text for one in both.transduce(LINES)] == [one.text for one in alone]


def run_translate(capfdbinary: pytest.CaptureFixture[bytes], *flags: str) -> tuple[int, str, str]:
    capfdbinary.readouterr()
    status = translate(list(flags))
    out, err = capfdbinary.readouterr()
    return status, out.decode(), err.decode()


def test_dragoman_translate_writes_a_line_for_a_line(
    symbol_checkpoint: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "in.txt").write_text("\n".join(LINES) + "\n")
    run, source = str(symbol_checkpoint), str(tmp_path / "in.txt")
    found = Transducer.load(run, device="cpu", precision="fp32").transduce(LINES)
    status, out, _ = run_translate(capfdbinary, run, source, *CPU)
    assert status == 0
    assert out.split("\n") == [*(one.text for one in found), ""]
    for name in ("out.txt", "again.txt"):
        flags = ["--input", source, "--output", str(tmp_path / name), *CPU]
        assert run_translate(capfdbinary, run, *flags)[0] == 0
        assert (tmp_path / name).read_text() == out
    status, out, _ = run_translate(capfdbinary, run, source, "--print", "scores,alignment", *CPU)
    best = found[0].hypotheses[0]
    links = " ".join(f"{source}-{place}" for place, source in enumerate(best.alignment))
    assert out.split("\n")[0] == f"{best.translation} ||| {best.score:.6f} ||| {links}"
    (tmp_path / "in.jsonl").write_text('{"text": "abc", "options": {"n_best": 2}}\n')
    _, out, _ = run_translate(capfdbinary, run, str(tmp_path / "in.jsonl"), *CPU)
    fields = json.loads(out)
    assert (fields["source_pieces"], len(fields["alternatives"])) == (["a", "b", "c"], 1)


def test_dragoman_translate_refuses_in_one_line(
    symbol_checkpoint: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "in.txt").write_text("abc\n\nabz\n")
    run, source = str(symbol_checkpoint), str(tmp_path / "in.txt")
    for flags, message, lines in (
        ([], "in.txt, line 3: symbol 3: 'z' is not among the 24", 2),
        (["--mbr"], "--mbr: it compares words", 0),
        (["--max-words", "3"], "max_words: 3 is for text, not for symbols", 0),
        (["--shortlist"], "shortlist: ", 0),
    ):
        status, out, err = run_translate(capfdbinary, run, source, *CPU, *flags)
        assert (status, len(out.splitlines())) == (2, lines)
        assert message in err.splitlines()[-1]
    aside = tmp_path / "aside.jsonl"
    status, out, _ = run_translate(capfdbinary, run, source, *CPU, "--quarantine", str(aside))
    assert status == 0 and len(out.splitlines()) == 3 and out.splitlines()[2] == ""
    assert json.loads(aside.read_text())["line"] == 3


def test_dragoman_inspect_lists_the_symbols(
    symbol_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect([str(symbol_checkpoint), "--json", "-"]) == 0
    figures = json.loads(capsys.readouterr().out)["tokenizer"]
    assert (figures["kind"], figures["pieces"]) == ("symbols", 28)
    assert figures["symbols"][:3] == ["A0", "A1", "B0"]
    assert inspect([str(symbol_checkpoint)]) == 0
    assert "characters to spaced, 24 symbols: A0 A1 B0" in capsys.readouterr().out


HOSTILE = {
    "nothing": b"",
    "no JSON": b"\xff\xfe",
    "a list": b"[]",
    "no symbols": b'{"source": {"unit": "characters"}, "target": {"unit": "spaced"}}',
    "an unknown unit": b'{"source": {"unit": "x"}, "target": {"unit": "spaced"}, "symbols": ["a"]}',
    "another size": (
        b'{"source": {"unit": "characters"}, "target": {"unit": "spaced"}, "symbols": ["a"]}'
    ),
    "a control character": (
        b'{"source": {"unit": "spaced"}, "target": {"unit": "spaced"}, "symbols": ["\\u001b[2J"]}'
    ),
    "a key twice": b'{"symbols": ["a"], "symbols": ["b"]}',
    "deep": b'{"symbols": ' + b"[" * 100_000,
    "9 MB": b" " * 9_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_of_symbols_is_refused_in_one_line(
    name: str, symbol_checkpoint: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "copy"
    shutil.copytree((symbol_checkpoint / "best").resolve(), directory)
    files = {path.name: path.read_bytes() for path in directory.iterdir() if path.name != MANIFEST}
    files = signed(files | {"symbols.json": HOSTILE[name]}, 1)
    for file, content in files.items():
        (directory / file).write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        Transducer.load(directory)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500
