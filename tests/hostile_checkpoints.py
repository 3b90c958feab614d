"""Hostile checkpoints: what a stranger can make of a valid one, the digests computed anew.

Each attack changes one thing in a copy of the frozen checkpoint of format 2. `ATTACKS` are refused
when a checkpoint is loaded; `HARMLESS` are loaded, because they are odd and nothing else.
"""

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch
import sentencepiece.sentencepiece_model_pb2 as proto
import torch
from torch import Tensor

from model.decoding.lexical_shortlist import Shortlist

Attack = Callable[[Path], None]

VALID = Path(__file__).parent / "data" / "checkpoint_v2"
WEIGHTS, TOKENIZER = "weights.safetensors", "tokenizer.model"
SHORTLIST = "shortlist.safetensors"
CONFIDENCE = "confidence.json"
TENSORS, VALUES = "training_state/state.safetensors", "training_state/state.json"
MANIFEST = "manifest.json"
VOCABULARY = 268
MIB = 2**20


def copy_of_the_valid_one(directory: Path) -> Path:
    """A copy of the valid checkpoint, with a shortlist, a table of the confidence and an origin."""
    shutil.copytree(VALID, directory)
    shortlist = Shortlist(
        candidates=np.full((VOCABULARY, 2), 5, np.int32),
        frequent=np.array([3, 6], np.int32),
        byte_pieces=np.array([], np.int32),
    )
    (directory / SHORTLIST).write_bytes(shortlist.to_bytes())
    (directory / "origin.json").write_text('{"origin": "abc"}')
    table = {"metric": "chrf", "bounds": [-2.5, -1], "sentences": [9, 8, 7], "quality": [0, 0.5, 1]}
    (directory / CONFIDENCE).write_text(json.dumps(table))
    sign(directory, more=(SHORTLIST, CONFIDENCE, "origin.json"))
    return directory


def attacked(directory: Path, attack: Attack) -> Path:
    """A copy of the valid checkpoint in `directory` that `attack` has changed."""
    attack(copy_of_the_valid_one(directory))
    return directory


def sign(directory: Path, more: tuple[str, ...] = ()) -> None:
    """Write the digests of the files as they are now, as anybody can, and of those in `more`."""
    path = directory / MANIFEST
    manifest = json.loads(path.read_text())
    for name in (*manifest["files"], *more):
        if (directory / name).is_file():
            content = (directory / name).read_bytes()
            manifest["files"][name] = hashlib.sha256(content).hexdigest()
    write_manifest(directory, manifest)


def write_manifest(directory: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest with the digest of itself."""
    manifest.pop("digest", None)
    canonical = json.dumps(manifest, sort_keys=True).encode()
    manifest["digest"] = hashlib.sha256(canonical).hexdigest()
    (directory / MANIFEST).write_text(json.dumps(manifest))


def manifest_says(directory: Path, **changes: object) -> None:
    """Change keys of the manifest; `...` takes one away."""
    manifest = json.loads((directory / MANIFEST).read_text()) | changes
    write_manifest(directory, {k: v for k, v in manifest.items() if v is not ...})


def json_says(directory: Path, file: str, changes: Mapping[str, object]) -> None:
    """Change keys of a JSON file; `...` takes one away."""
    values = json.loads((directory / file).read_text()) | changes
    content = json.dumps({k: v for k, v in values.items() if v is not ...})
    (directory / file).write_text(content)
    sign(directory)


def config_says(**changes: object) -> Attack:
    return partial(json_says, file="config.json", changes=changes)


def search_says(**changes: object) -> Attack:
    return partial(json_says, file="decoding.json", changes=changes)


def profile_says(**changes: object) -> Attack:
    return partial(json_says, file="text.json", changes=changes)


def confidence_says(**changes: object) -> Attack:
    return partial(json_says, file=CONFIDENCE, changes=changes)


def holds(directory: Path, file: str, content: bytes) -> None:
    """Replace the content of a file; of the manifest, without a digest that agrees."""
    (directory / file).write_bytes(content)
    if file != MANIFEST:
        sign(directory)


def is_padded(directory: Path, file: str, size: int) -> None:
    """Fill a JSON file up with spaces."""
    holds(directory, file, (directory / file).read_bytes().ljust(size))


def becomes(directory: Path, file: str, make: Callable[[Path], object]) -> None:
    """Replace a file by what is none; its digest stays as it was."""
    (directory / file).unlink()
    make(directory / file)


def links_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def sparse(size: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(size)

    return make


def lists_a_file(directory: Path, name: str) -> None:
    files = json.loads((directory / MANIFEST).read_text())["files"]
    manifest_says(directory, files=files | {name: "0" * 64})


def weights_are(directory: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors_are(directory, WEIGHTS, change)


def tensors_are(directory: Path, file: str, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = safetensors.torch.load_file(directory / file)
    change(tensors)
    holds(directory, file, safetensors.torch.save(tensors))


def first_weight_is(value: float) -> Callable[[dict[str, Tensor]], None]:
    def change(tensors: dict[str, Tensor]) -> None:
        tensors[min(tensors)].view(-1)[0] = value

    return change


def all_are(value: float) -> Callable[[dict[str, Tensor]], None]:
    return lambda tensors: tensors.update(
        {name: torch.full_like(tensor, value) for name, tensor in tensors.items()}
    )


def all_are_of(dtype: torch.dtype) -> Callable[[dict[str, Tensor]], None]:
    return lambda tensors: tensors.update({k: v.to(dtype) for k, v in tensors.items()})


def header_says(directory: Path, file: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the header of a safetensors file and leave its data."""
    content = (directory / file).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    holds(directory, file, struct.pack("<Q", len(text)) + text + content[8 + length :])


def header_is(directory: Path, file: str, length: int, header: bytes) -> None:
    holds(directory, file, struct.pack("<Q", length) + header)


def overlap(header: dict[str, Any]) -> None:
    one, two = [header[name] for name in sorted(header) if header[name].get("shape") == [16]][:2]
    two["data_offsets"] = one["data_offsets"]


def first_says(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda header: header[min(header)].update(changes)


def tokenizer_is(directory: Path, change: Callable[[Any], None]) -> None:
    model = proto.ModelProto()  # type: ignore[attr-defined]
    model.ParseFromString((directory / TOKENIZER).read_bytes())
    change(model)
    holds(directory, TOKENIZER, model.SerializeToString())


def one_piece_more(model: Any) -> None:
    model.pieces.add(piece="stranger", score=-1000.0)


def not_a_number(model: Any) -> None:
    model.pieces[-1].score = float("nan")


def a_piece_of_a_mebibyte(model: Any) -> None:
    model.pieces[-1].piece = "x" * MIB


def charsmap_of_garbage(model: Any) -> None:
    model.normalizer_spec.precompiled_charsmap = struct.pack("<I", 1024) + b"\xff" * 2048


def shortlist_is(directory: Path, **changes: np.ndarray[Any, Any]) -> None:
    arrays = safetensors.numpy.load_file(directory / SHORTLIST)
    holds(directory, SHORTLIST, safetensors.numpy.save(arrays | changes))


def ids(*values: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.array(values, np.int32)


JSON_FILES = ("config.json", "decoding.json", "text.json", CONFIDENCE, "origin.json")
NO_FILE: dict[str, Callable[[Path], object]] = {
    "a FIFO": os.mkfifo,
    "a directory": Path.mkdir,
    "/dev/zero": links_to("/dev/zero"),
    "a link to nowhere": links_to("nowhere"),
    "a link to itself": links_to("weights.safetensors"),
    "8 TB without content": sparse(8 * 10**12),
}
NAMES = ("../x", "/etc/passwd", "a/../../x", "a\0b", "", ".", "a/b/c", "x" * 300, "a\\b", "é\n")
ANYTHING = {
    "null": b"null",
    "a list": b"[]",
    "a number": b"1",
    "text": b'"x"',
    "nothing": b"",
    "no UTF-8": b"\xff\xfe\xff",
    "a list in 100,000 others": b"[" * 100_000 + b"]" * 100_000,
    "objects in 900 others": b'{"format":' * 900 + b"1" + b"}" * 900,
    "a key twice": b'{"format": 2, "format": 2}',
}

MANIFESTS: dict[str, Attack] = {
    **{
        f"manifest: {what}": partial(holds, file=MANIFEST, content=content)
        for what, content in ANYTHING.items()
    },
    "manifest: 100 MB": partial(is_padded, file=MANIFEST, size=100 * MIB),
    "manifest: step absent": partial(manifest_says, step=...),
    "manifest: step text": partial(manifest_says, step="1"),
    "manifest: step null": partial(manifest_says, step=None),
    "manifest: step -1": partial(manifest_says, step=-1),
    "manifest: step 10^400": partial(manifest_says, step=10**400),
    "manifest: step NaN": partial(manifest_says, step=float("nan")),
    "manifest: step a list in 500 others": partial(
        manifest_says, step=json.loads("[" * 500 + "]" * 500)
    ),
    "manifest: format true": partial(manifest_says, format=True),
    "manifest: format -1": partial(manifest_says, format=-1),
    "manifest: dragoman absent": partial(manifest_says, dragoman=...),
    "manifest: dragoman 100,000 letters": partial(manifest_says, dragoman="x" * 10**5),
    "manifest: files absent": partial(manifest_says, files=...),
    "manifest: files null": partial(manifest_says, files=None),
    "manifest: files a list": partial(manifest_says, files=["config.json"]),
    "manifest: files numbers": partial(manifest_says, files={"config.json": 1}),
    "manifest: files empty": partial(manifest_says, files={}),
    "manifest: files 100,000": partial(
        manifest_says, files={f"file{i}": "0" * 64 for i in range(100_000)}
    ),
    **{f"manifest: name {name[:9]!r}": partial(lists_a_file, name=name) for name in NAMES},
}

CONFIGS: dict[str, Attack] = {
    **{
        f"{file}: {what}": partial(holds, file=file, content=content)
        for file in JSON_FILES
        for what, content in ANYTHING.items()
    },
    **{f"{file}: 100 MB": partial(is_padded, file=file, size=100 * MIB) for file in JSON_FILES},
    "config: vocab_size 2^40": config_says(vocab_size=2**40),
    "config: vocab_size 2^31": config_says(vocab_size=2**31),
    "config: vocab_size 10^400": config_says(vocab_size=10**400),
    "config: vocab_size 0": config_says(vocab_size=0),
    "config: vocab_size -1": config_says(vocab_size=-1),
    "config: vocab_size text": config_says(vocab_size="268"),
    "config: vocab_size absent": config_says(vocab_size=...),
    "config: embedding_size 10^9": config_says(embedding_size=10**9),
    "config: encoder_size 10^7": config_says(encoder_size=10**7),
    "config: decoder_size 10^7": config_says(decoder_size=10**7),
    "config: decoder_size 50,000": config_says(decoder_size=50_000),
    "config: decoder_size 4.0": config_says(decoder_size=4.0),
    "config: encoder_layers 100,000": config_says(encoder_layers=100_000),
    "config: decoder_layers 100,000": config_says(decoder_layers=100_000),
    "config: attention_heads 10^18": config_says(attention_heads=10**18),
    "config: max_length 10^9": config_says(max_length=10**9),
    "config: max_length 10^18": config_says(max_length=10**18),
    "config: dropout NaN": config_says(dropout=float("nan")),
    "config: dropout 10^400": config_says(dropout=10**400),
    "config: cell of a list": config_says(cell=["lstm"]),
    "config: cell 100,000 letters": config_says(cell="x" * 10**5),
    "config: unknown key of 100,000 letters": config_says(**{"x" * 10**5: 1}),
    "config: dropout a list in 500 others": config_says(dropout=json.loads("[" * 500 + "]" * 500)),
    "search: alpha NaN": search_says(alpha=float("nan")),
    "search: alpha 10^400": search_says(alpha=10**400),
    "search: max_length_a infinite": search_says(max_length_a=float("inf")),
    "search: beam_size 10^9": search_says(beam_size=10**9),
    "search: avoid null": search_says(avoid=None),
    "search: 100,000 to avoid": search_says(avoid=[f"w{i}" for i in range(100_000)]),
    "search: 30,000 constraints": search_says(constraints=[f"w{i}" for i in range(30_000)]),
    "search: 5,000 and 5,000": search_says(
        constraints=[f"w{i}" for i in range(5_000)], avoid=[f"v{i}" for i in range(5_000)]
    ),
    "search: half a character": search_says(prefix="\ud800"),
    "search: language of 100,000 letters": search_says(source_language="x" * 10**5),
    "search: split_sentences of 100,000 letters": search_says(split_sentences="x" * 10**5),
    "text: task of 100,000 letters": profile_says(task="translate" * 10**4),
    "text: language of 100,000 letters": profile_says(source_language="x-" * 50_000),
    "text: normalization 10^400": profile_says(normalization=10**400),
    "text: several_sentences NaN": profile_says(several_sentences=float("nan")),
    "text: several_sentences 10^400": profile_says(several_sentences=10**400),
    "confidence: metric unknown": confidence_says(metric="x" * 10**5),
    "confidence: metric absent": confidence_says(metric=...),
    "confidence: no bin": confidence_says(bounds=[], sentences=[], quality=[]),
    "confidence: bounds descend": confidence_says(bounds=[-1, -2.5]),
    "confidence: bounds equal": confidence_says(bounds=[-1, -1]),
    "confidence: bounds NaN": confidence_says(bounds=[float("nan"), -1]),
    "confidence: one bound, NaN": confidence_says(
        bounds=[float("nan")], sentences=[1, 1], quality=[0, 1]
    ),
    "confidence: bounds infinite": confidence_says(bounds=[float("-inf"), -1]),
    "confidence: bounds 10^400": confidence_says(bounds=[-1, 10**400]),
    "confidence: bounds text": confidence_says(bounds="-1"),
    "confidence: a bound more": confidence_says(bounds=[-2.5, -1, 0]),
    "confidence: sentences too few": confidence_says(sentences=[9, 8]),
    "confidence: sentences 0": confidence_says(sentences=[9, 0, 7]),
    "confidence: sentences 1.5": confidence_says(sentences=[9, 1.5, 7]),
    "confidence: quality above 1": confidence_says(quality=[0, 0.5, 1.5]),
    "confidence: quality below 0": confidence_says(quality=[-0.1, 0.5, 1]),
    "confidence: quality NaN": confidence_says(quality=[0, float("nan"), 1]),
    "confidence: quality descends": confidence_says(quality=[0.5, 0.2, 1]),
    "confidence: quality a list in 500 others": confidence_says(
        quality=json.loads("[" * 500 + "]" * 500)
    ),
    "confidence: 5,000 bins": confidence_says(
        bounds=list(range(4_999)), sentences=[1] * 5_000, quality=[1] * 5_000
    ),
    "origin: a list": partial(json_says, file="origin.json", changes={"origin": [1]}),
    "origin: absent": partial(json_says, file="origin.json", changes={"origin": ...}),
}

FILES: dict[str, Attack] = {
    **{
        f"{file}: {what}": partial(becomes, file=file, make=make)
        for file in ("config.json", WEIGHTS, TOKENIZER, "card.md", SHORTLIST)
        for what, make in NO_FILE.items()
    },
    **{
        f"manifest: {what}": partial(becomes, file=MANIFEST, make=make)
        for what, make in NO_FILE.items()
    },
    "card.md: a link to /etc/passwd": partial(
        becomes, file="card.md", make=links_to("/etc/passwd")
    ),
    "card.md: 100 MB": partial(is_padded, file="card.md", size=100 * MIB),
}

FREQUENT = {
    "an id beyond the vocabulary": ids(3, VOCABULARY),
    "id 2^31 - 1": ids(3, 2**31 - 1),
    "id -1": ids(3, -1),
    "no EOS": ids(6),
}

WEIGHT_FILES: dict[str, Attack] = {
    "weights: NaN": partial(weights_are, change=first_weight_is(float("nan"))),
    "weights: infinite": partial(weights_are, change=first_weight_is(float("inf"))),
    "weights: 3e38": partial(weights_are, change=all_are(3e38)),
    "weights: -3e38": partial(weights_are, change=all_are(-3e38)),
    "weights: bf16": partial(weights_are, change=all_are_of(torch.bfloat16)),
    "weights: fp64": partial(weights_are, change=all_are_of(torch.float64)),
    "weights: int8": partial(weights_are, change=all_are_of(torch.int8)),
    "weights: bool": partial(weights_are, change=all_are_of(torch.bool)),
    "weights: complex": partial(weights_are, change=all_are_of(torch.complex64)),
    "weights: one less": partial(weights_are, change=lambda t: t.pop(min(t))),
    "weights: one more": partial(weights_are, change=lambda t: t.update(more=torch.zeros(1))),
    "weights: deviations of 16 bits": partial(
        weights_are,
        change=lambda t: t.update({"source_statistics.std": torch.ones(3, dtype=torch.uint16)}),
    ),
    "weights: 100 MB more": partial(
        weights_are, change=lambda t: t.update(more=torch.zeros(25 * MIB))
    ),
    "weights: transposed": partial(
        weights_are,
        change=lambda t: t.update({k: v.t().contiguous() for k, v in t.items() if v.dim() == 2}),
    ),
    "weights: 100,000 empty ones": partial(
        weights_are, change=lambda t: t.update({f"e{i}": torch.zeros(0) for i in range(100_000)})
    ),
    "weights: none": partial(holds, file=WEIGHTS, content=b""),
    "weights: 7 bytes": partial(holds, file=WEIGHTS, content=b"\0" * 7),
    "weights: truncated": lambda d: holds(d, WEIGHTS, (d / WEIGHTS).read_bytes()[:-9]),
    "weights: header of 2^60": partial(header_is, file=WEIGHTS, length=2**60, header=b"{}"),
    "weights: header of 2^64 - 1": partial(header_is, file=WEIGHTS, length=2**64 - 1, header=b"{}"),
    "weights: header of brackets": partial(
        header_is, file=WEIGHTS, length=10**5, header=b"[" * 10**5
    ),
    "weights: overlapping": partial(header_says, file=WEIGHTS, change=overlap),
    "weights: unknown dtype": partial(header_says, file=WEIGHTS, change=first_says(dtype="X9")),
    "weights: dtype F8_E8M0": partial(
        header_says, file=WEIGHTS, change=first_says(dtype="F8_E8M0")
    ),
    "weights: shape 2^62 x 2^62": partial(
        header_says, file=WEIGHTS, change=first_says(shape=[2**62, 2**62])
    ),
    "weights: shape 0 x 2^62 x 2^62": partial(
        header_says,
        file=WEIGHTS,
        change=lambda h: h.update(
            x={"dtype": "F32", "shape": [0, 2**62, 2**62], "data_offsets": [0, 0]}
        ),
    ),
    "weights: 300 dimensions": partial(
        header_says,
        file=WEIGHTS,
        change=lambda h: h.update(x={"dtype": "F32", "shape": [0] * 300, "data_offsets": [0, 0]}),
    ),
    "weights: offsets beyond the end": partial(
        header_says, file=WEIGHTS, change=first_says(data_offsets=[0, 2**60])
    ),
    "weights: offsets backwards": partial(
        header_says, file=WEIGHTS, change=first_says(data_offsets=[100, 0])
    ),
    "tokenizer: nothing": partial(holds, file=TOKENIZER, content=b""),
    "tokenizer: garbage": partial(holds, file=TOKENIZER, content=bytes(range(256)) * 50),
    "tokenizer: truncated": lambda d: holds(d, TOKENIZER, (d / TOKENIZER).read_bytes()[:-99]),
    "tokenizer: one piece more": partial(tokenizer_is, change=one_piece_more),
    "tokenizer: one piece less": partial(tokenizer_is, change=lambda m: m.pieces.pop()),
    "tokenizer: scores NaN": partial(tokenizer_is, change=not_a_number),
    "tokenizer: a piece of 1 MB": partial(tokenizer_is, change=a_piece_of_a_mebibyte),
    "tokenizer: charsmap of garbage": partial(tokenizer_is, change=charsmap_of_garbage),
    "tokenizer: a piece of no UTF-8": lambda d: holds(
        d, TOKENIZER, (d / TOKENIZER).read_bytes().replace(b"<0xC3>", b"\xff\xff\xff\xff\xff\xff")
    ),
    "tokenizer: another piece of no UTF-8": lambda d: holds(
        d, TOKENIZER, (d / TOKENIZER).read_bytes().replace("▁ab".encode(), b"\xff\xff\xff\xff\xff")
    ),
    "tokenizer: 100 MB": partial(is_padded, file=TOKENIZER, size=100 * MIB),
    "shortlist: garbage": partial(holds, file=SHORTLIST, content=b"\xff" * 100),
    "shortlist: header of 2^60": partial(header_is, file=SHORTLIST, length=2**60, header=b"{}"),
    "shortlist: unknown dtype": partial(header_says, file=SHORTLIST, change=first_says(dtype="X9")),
    "shortlist: dtype F8_E8M0": partial(
        header_says, file=SHORTLIST, change=first_says(dtype="F8_E8M0")
    ),
    "shortlist: dtype F4": partial(header_says, file=SHORTLIST, change=first_says(dtype="F4")),
    "shortlist: dtype BF16": partial(
        header_says, file=SHORTLIST, change=first_says(dtype="BF16", shape=[0], data_offsets=[0, 0])
    ),
    "shortlist: int64": partial(shortlist_is, frequent=np.array([3], np.int64)),
    "shortlist: no frequent pieces": partial(shortlist_is, frequent=ids()),
    "shortlist: one more": partial(shortlist_is, more=ids(3)),
    "shortlist: one row less": partial(
        shortlist_is, candidates=np.full((VOCABULARY - 1, 2), 5, np.int32)
    ),
    **{f"shortlist: {what}": partial(shortlist_is, frequent=f) for what, f in FREQUENT.items()},
}

ATTACKS: dict[str, Attack] = {**MANIFESTS, **CONFIGS, **FILES, **WEIGHT_FILES}


def lists_an_unknown_file(directory: Path) -> None:
    (directory / "new.bin").write_bytes(b"x")
    sign(directory, more=("new.bin",))


def links_the_card(directory: Path) -> None:
    (directory / "card.md").rename(directory / "elsewhere")
    (directory / "card.md").symlink_to("elsewhere")


HARMLESS: dict[str, Attack] = {
    "nothing": lambda directory: None,
    "card: control characters": partial(holds, file="card.md", content=b"\x1b]0;x\x07\x1b[2J" * 9),
    "card: no UTF-8": partial(holds, file="card.md", content=b"\xff" * 99),
    "a file that only a later version knows": lists_an_unknown_file,
    "weights: 1e6": partial(weights_are, change=all_are(1e6)),
    "weights: -1e6": partial(weights_are, change=all_are(-1e6)),
    "weights: 0": partial(weights_are, change=all_are(0.0)),
    "config: max_length at its most": config_says(max_length=10_000),
    "card.md: a link to the same content": links_the_card,
}
