"""Bits: whether two trees give the same to the last bit, and if not, the first difference."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from benchmarks.tree_training import train
from benchmarks.trees import Trees

SHOWN = 60
"""Characters of a value that differs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Equality:
    """How much of what two trees gave is equal."""

    name: str
    compared: int
    different: int
    first: str
    """The first difference, for people; empty if there is none."""


def translations(
    both: Trees, run: Path, precision: str, texts: Sequence[str], folder: Path, *, threads: int
) -> Equality:
    """What dragoman-translate writes for each text, as jsonl.

    Raises:
        TreeError: the command failed.
    """
    source = folder / "texts.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    found = []
    for tree in both:
        output = folder / f"{tree.name}-{precision}.jsonl"
        tree.run(
            *("-m", "model.translate", str(run), "--device", "cpu", "--precision", precision),
            *("--threads", str(threads), "--input", str(source), "--output", str(output)),
            *("--format", "jsonl"),
        )
        lines = output.read_text(encoding="utf-8").splitlines()
        found.append({f"line {i}": json.loads(line) for i, line in enumerate(lines, start=1)})
    return equality(f"translations, {precision}", *found)


def weights(
    both: Trees,
    config: Path,
    folder: Path,
    *,
    updates: int,
    threads: int,
    overrides: tuple[str, ...],
) -> Equality:
    """The last weights of a training in each tree.

    Raises:
        TreeError: a training failed.
    """
    found = []
    for tree in both:
        run = folder / f"run-{tree.name}"
        train(tree, config, folder, run, updates=updates, threads=threads, overrides=overrides)
        tensors = load_file(run / "last" / "weights.safetensors")
        found.append({name: _described(tensor) for name, tensor in tensors.items()})
    return equality(f"weights after {updates} updates", *found)


def _described(tensor: torch.Tensor) -> dict[str, object]:
    digest = hashlib.sha256(tensor.numpy().tobytes()).hexdigest()
    return {"dtype": str(tensor.dtype), "shape": tuple(tensor.shape), "sha256": digest}


def equality(
    name: str, base: dict[str, dict[str, object]], here: dict[str, dict[str, object]]
) -> Equality:
    """Compare the properties of things by name.

    A property that only one side tells of is not compared: output may gain keys. A thing that only
    one side has is a difference.
    """
    found = []
    for thing in base | here:
        if thing not in base or thing not in here:
            found.append(f"{thing}: only {'in the base' if thing in base else 'here'}")
            continue
        ours, theirs = here[thing], base[thing]
        for key in theirs:
            # repr is exact, and tells -0.0 from 0.0.
            if key in ours and repr(ours[key]) != repr(theirs[key]):
                shown = f"{_short(theirs[key])} in the base, {_short(ours[key])} here"
                found.append(f"{thing}, {key}: {shown}")
                break
    return Equality(
        name=name,
        compared=len(base | here),
        different=len(found),
        first=found[0] if found else "",
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."
