"""Manifest: format number, step, version of Dragoman, SHA-256 of each file and of itself.

The digests find damage. They are no signature: whoever makes a checkpoint computes them, so what
they cover is still checked like anything that a stranger wrote.
"""

import hashlib
import importlib.metadata
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.checkpoint.archive import read_file
from model.checkpoint.bounded_read import JSON_BYTES, parse_json
from model.errors import CheckpointError
from model.text.printable import shortened

MANIFEST = "manifest.json"

FORMAT = 2
"""Incremented when older versions of Dragoman could not read the new files. All older formats load.

A new optional file needs no increment: older versions do not read it. Format 2 added text.json,
without which sources would not be normalised as in training.
"""
PACKED_FORMAT = 3
"""The format of checkpoints whose weights may be in int8 or bf16, which older versions do not read.
The others keep theirs."""

MAX_STEP = 2**63 - 1
MAX_VERSION = 100  # characters

# A name has at most one folder. None begins with a dot, so none leads out of the checkpoint.
_NAME = re.compile(r"(?:\w[\w.-]{0,99}/)?\w[\w.-]{0,99}", re.ASCII)
_SHA_256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What a checkpoint says about its files."""

    format: int
    step: int
    dragoman: str
    """The version that wrote it."""
    files: Mapping[str, str]
    """The SHA-256 of each file, by its name relative to the checkpoint."""
    digest: str
    """The SHA-256 of all this."""


def read_manifest(checkpoint: Path) -> Manifest:
    """Read the manifest of a checkpoint directory or a pack.

    Raises:
        CheckpointError: it is missing, damaged or too new, or has a value that no checkpoint has.
    """
    path = checkpoint / MANIFEST
    values = parse_json(read_file(checkpoint, MANIFEST, JSON_BYTES), path)
    number = values.get("format")
    if type(number) is not int or number < 1:
        raise CheckpointError(f"{path}: not of a checkpoint. Give a run or a checkpoint.")
    if number > PACKED_FORMAT:
        raise CheckpointError(
            f"{path}: format {shortened(str(number), 20)}, but this dragoman reads up to "
            f"{PACKED_FORMAT}. Upgrade it."
        )
    digest = values.pop("digest", None)
    if digest != _digest(values):
        raise CheckpointError(damaged(path))
    for key, is_right in (("step", _is_step), ("dragoman", _is_version), ("files", _are_files)):
        if not is_right(values.get(key)):
            raise CheckpointError(
                f"{path}: {key}: {shortened(repr(values.get(key)), 100)} is not allowed. Copy "
                "the checkpoint again, from where it was made."
            )
    return Manifest(
        format=number,
        step=values["step"],
        dragoman=values["dragoman"],
        files=values["files"],
        digest=digest,
    )


def signed(files: Mapping[str, bytes], step: int, format: int = FORMAT) -> dict[str, bytes]:
    """Add the manifest with their digests to `files`."""
    manifest: dict[str, object] = {
        "format": format,
        "step": step,
        "dragoman": importlib.metadata.version("dragoman"),
        "files": {name: hashlib.sha256(files[name]).hexdigest() for name in files},
    }
    return {**files, MANIFEST: to_json(manifest | {"digest": _digest(manifest)})}


def to_json(value: Mapping[str, object]) -> bytes:
    """Write a value as the JSON of a checkpoint."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def damaged(path: Path) -> str:
    """The message about a file whose digest is not the recorded one."""
    return f"{path}: damaged or edited: its SHA-256 is not the recorded one. Copy it again."


def _digest(manifest: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _is_step(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_STEP


def _is_version(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) <= MAX_VERSION


def _are_files(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _NAME.fullmatch(name) and isinstance(digest, str) and _SHA_256.fullmatch(digest)
        for name, digest in value.items()
    )
