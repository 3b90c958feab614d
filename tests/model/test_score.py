"""Forced decoding: equal to the search, whatever stands beside a pair; and the command."""

import dataclasses
import gzip
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.decoding.engine import Engine
from model.decoding.options import SearchOptions
from model.decoding.precision.precision import cast
from model.decoding.request import Finished, Request
from model.network.seq2seq import Seq2Seq
from model.score import main
from model.text.tokenizer import BOS_ID, EOS_ID
from model.translation.forced_decoding import score_pairs
from model.translator import Translator
from tests.conftest import random_network

SOURCES = ["der Hund läuft", "ein Mann sieht", "10", "die Frau schläft unter der Straße und läuft"]


def totals(
    network: Seq2Seq, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> list[float]:
    """The log-probability of each target and EOS."""
    return [sum(of_pieces) for of_pieces in score_pairs(network, sources, targets)]


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return load_checkpoint(tiny_checkpoint)


@pytest.fixture(params=[False, True], ids=["direct", "input-feeding"])
def network(request: pytest.FixtureRequest, checkpoint: Checkpoint) -> Seq2Seq:
    if not request.param:
        return checkpoint.network
    return random_network(dataclasses.replace(checkpoint.config, input_feeding=True), seed=2)


def test_forced_decoding_gives_what_the_search_gave(
    checkpoint: Checkpoint, network: Seq2Seq
) -> None:
    engine = Engine(network)
    options = SearchOptions(beam_size=4, n_best=4, max_length_a=1.0, max_length_b=4)
    sources = [tuple(checkpoint.tokenizer.encode(text)) for text in SOURCES]
    ids = {engine.add(Request(src=src, options=options)): src for src in sources}
    pairs = []
    while engine.busy:
        for event in engine.step():
            assert isinstance(event, Finished)
            pairs += [(ids[event.id], h.pieces, h.log_prob) for h in event.hypotheses]
    assert len(pairs) > len(SOURCES)
    scores = totals(network, [src for src, _, _ in pairs], [tgt for _, tgt, _ in pairs])
    assert scores == pytest.approx([log_prob for _, _, log_prob in pairs], abs=1e-4)


def test_forced_decoding_of_a_line_gives_what_translating_gave(
    checkpoint: Checkpoint, tiny_checkpoint: Path
) -> None:
    """Where the text of a translation is cut into the same pieces again."""
    translator = Translator.load(tiny_checkpoint, device="cpu", precision="fp32")
    options = SearchOptions(beam_size=64, n_best=64, max_length_a=0, max_length_b=1)
    tokenizer = checkpoint.tokenizer
    tried = 0
    for source, translation in zip(SOURCES, translator.search(SOURCES, options), strict=True):
        for found in translation.hypotheses:
            target = tokenizer.encode(found.translation)
            if tuple(map(tokenizer.piece, target)) == found.pieces:
                (score,) = totals(checkpoint.network, [tokenizer.encode(source)], [target])
                assert score == pytest.approx(found.log_prob, abs=1e-4)
                tried += 1
    assert tried >= 3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_search_in_bf16_is_within_hundredths_of_a_nat_a_piece(
    checkpoint: Checkpoint, network: Seq2Seq, dtype: torch.dtype
) -> None:
    """The kernel that scores keeps no fp32 cell, and fp32 rounds nothing to bf16 at all."""
    engine = Engine(network, dtype=torch.bfloat16)
    options = SearchOptions(beam_size=4, n_best=4, max_length_a=1.0, max_length_b=4)
    sources = [tuple(checkpoint.tokenizer.encode(text)) for text in SOURCES]
    ids = {engine.add(Request(src=src, options=options)): src for src in sources}
    scorer, tried = cast(network, dtype), 0
    while engine.busy:
        for event in engine.step():
            assert isinstance(event, Finished)
            for found in event.hypotheses:
                (score,) = totals(scorer, [ids[event.id]], [found.pieces])
                assert score == pytest.approx(found.log_prob, abs=0.02 * (len(found.pieces) + 1))
                tried += 1
    assert tried > len(SOURCES)


def test_white_space_at_the_ends_is_scored_as_it_is_searched(
    tiny_checkpoint: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """A source and its translation, to the letter."""
    translator = Translator.load(tiny_checkpoint, device="cpu", precision="fp32")
    options = SearchOptions(beam_size=64, n_best=64, max_length_a=0, max_length_b=1)
    lines, tokenizer = ["\u3000 der Hund läuft \t", "  ein Mann sieht "], translator.tokenizer
    kept = [
        (line, found)
        for line, translation in zip(lines, translator.search(lines, options), strict=True)
        for found in translation.hypotheses
        if tuple(map(tokenizer.piece, tokenizer.encode(found.translation.strip()))) == found.pieces
        and not set(found.translation) & {"\n", "\r"}
    ]
    assert {line for line, _ in kept} == set(lines)
    assert all(found.translation != found.translation.strip() for _, found in kept)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("".join(f"{line}\n" for line, _ in kept))
    target.write_text("".join(f"{found.translation}\n" for _, found in kept))
    assert main([str(tiny_checkpoint), "--source", str(source), "--target", str(target)]) == 0
    scores = [float(row.split(b"\t")[0]) for row in capsysbinary.readouterr().out.splitlines()]
    assert scores == pytest.approx([found.log_prob for _, found in kept], abs=1e-4)


@torch.no_grad()
def stepwise(network: Seq2Seq, src: list[int], tgt: list[int]) -> float:
    """The log-probability of one pair by single decoder steps."""
    memory = network.encode(torch.tensor([[*src, EOS_ID]]), torch.tensor([len(src) + 1]))
    state, total = network.start(memory), 0.0
    for before, piece in zip([BOS_ID, *tgt], [*tgt, EOS_ID], strict=True):
        state, features, weights = network.step(torch.tensor([[before]]), state, memory)
        total += float(network.log_scores(features, weights, memory)[0, 0].log_softmax(0)[piece])
    return total


def test_any_lengths_side_by_side(network: Seq2Seq) -> None:
    """Empty sides, and lines far beyond the model's limit, in several batches."""
    generator = torch.Generator().manual_seed(0)
    lengths = [(0, 0), (0, 3), (5, 0), (1, 1), (60, 90), (3, 2), (200, 7)] + [(20, 60)] * 60

    def pieces(length: int) -> list[int]:
        return torch.randint(4, 300, (length,), generator=generator).tolist()

    sources = [pieces(source) for source, _ in lengths]
    targets = [pieces(target) for _, target in lengths]
    scores = totals(network, sources, targets)
    for place in range(9):
        alone = stepwise(network, sources[place], targets[place])
        assert scores[place] == pytest.approx(alone, rel=1e-5, abs=1e-4)


def test_a_line_longer_than_a_batch(checkpoint: Checkpoint) -> None:
    """Probabilities of a stretch of 2,048 pieces at a time add up to that of the whole."""
    network, long = checkpoint.network, [5, 6, 7] * 700
    (score,) = totals(network, [[7, 8]], [long])
    with torch.no_grad():
        memory = network.encode(torch.tensor([[7, 8, EOS_ID]]), torch.tensor([3]))
        tgt_in = torch.tensor([[BOS_ID, *long]])
        features, weights = network.unroll(tgt_in, network.start(memory), memory)
        log_probs = network.log_scores(features, weights, memory)[0].log_softmax(1)
    whole = sum(float(log_probs[t, piece]) for t, piece in enumerate([*long, EOS_ID]))
    assert score == pytest.approx(whole, rel=1e-5)


def test_no_pairs(checkpoint: Checkpoint) -> None:
    assert totals(checkpoint.network, [], []) == []


# The command


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    source, target = tmp_path / "test.de", tmp_path / "test.en.gz"
    source.write_text("\n".join([*SOURCES, "", "der Hund"]) + "\n")
    target.write_bytes(gzip.compress(b"the dog\na man\n10\na woman\n\n\n"))
    return source, target


def test_command(
    checkpoint: Checkpoint,
    files: tuple[Path, Path],
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    source, target = files
    run = str(checkpoint.path)
    arguments = [run, "--source", str(source), "--target", str(target), "--precision", "fp32"]
    assert main(arguments) == 0
    captured = capsysbinary.readouterr()
    rows = [line.split(b"\t") for line in captured.out.splitlines()]
    encode = checkpoint.tokenizer.encode
    targets = [encode(line) for line in ["the dog", "a man", "10", "a woman", "", ""]]
    assert [int(pieces) for _, pieces in rows] == [len(target) + 1 for target in targets]
    sources = [encode(line) for line in [*SOURCES, "", "der Hund"]]
    expected = [stepwise(checkpoint.network, s, t) for s, t in zip(sources, targets, strict=True)]
    assert [float(log_prob) for log_prob, _ in rows] == pytest.approx(expected, abs=1e-4)
    perplexity = math.exp(-sum(expected) / sum(int(pieces) for _, pieces in rows))
    assert f"perplexity {perplexity:.3f}" in captured.err.decode()
    assert "6 lines" in captured.err.decode()


def test_fp32_unless_told_otherwise(
    checkpoint: Checkpoint,
    files: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    arguments = [str(checkpoint.path), "--source", str(files[0]), "--target", str(files[1])]
    for flags, precision in (([], "fp32"), (["--precision", "bf16"], "bf16")):
        assert main([*arguments, "--device", "cpu", *flags]) == 0
        assert f"precision {precision}," in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "(default: fp32)" in " ".join(capsys.readouterr().out.split())


def test_output_file(checkpoint: Checkpoint, files: tuple[Path, Path], tmp_path: Path) -> None:
    source, target = files
    output = tmp_path / "scores.tsv"
    arguments = ["--source", str(source), "--target", str(target), "--output", str(output)]
    assert main([str(checkpoint.path), *arguments]) == 0
    assert len(output.read_text().splitlines()) == 6


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (b"a\nb\nc\n", b"x\n", "test.de has 3 lines, but test.en has 1."),
        (b"a\n", b"x\ny\nz", "test.en has 3 lines, but test.de has 1."),
        (b"", b"x\n", "test.en has 1 lines, but test.de has 0."),
        (b"", b"", "test.de: has no lines."),
        (b"a\nb\xff\n", b"x\ny\n", "test.de, line 2: not valid UTF-8"),
        (b"a\n", None, "test.en: no such file."),
    ],
)
def test_bad_input(
    checkpoint: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    source: bytes,
    target: bytes | None,
    message: str,
) -> None:
    run = str(checkpoint.path.resolve())
    monkeypatch.chdir(tmp_path)
    Path("test.de").write_bytes(source)
    if target is not None:
        Path("test.en").write_bytes(target)
    arguments = ["--source", "test.de", "--target", "test.en", "--output", "scores.tsv"]
    assert main([run, *arguments]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("dragoman-score: error: " + message)
    assert {path.name for path in tmp_path.iterdir()} <= {"test.de", "test.en"}
