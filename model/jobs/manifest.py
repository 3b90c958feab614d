"""Manifest: everything that the output of a job depends on, written before its first part."""

import argparse
import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from model.config import from_dict, to_dict
from model.decoding.options import SearchOptions
from model.errors import ConfigError, DataError
from model.jobs.formats import FormatName

FEWEST_PARTS, SMALLEST_PART, LARGEST_PART = 64, 1024, 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """Values that must be the same in a shard or resumed run as in the run that began the job."""

    dragoman: str
    """Version of Dragoman."""
    model: str
    """Digest of the checkpoint."""
    ensemble: tuple[str, ...]
    """Digests of the further checkpoints of an ensemble, in order."""
    input: str
    """SHA-256 of the input file."""
    records: int
    """Records in the whole input."""
    part_records: int
    """Records in each part; the last may have fewer. A part is also one search window."""
    format: FormatName
    field: str | None
    columns: tuple[str, ...] = ()
    """What lines of text have besides the translation, see `model.jobs.columns`."""
    search: SearchOptions
    mbr: bool
    """Whether translations are chosen by minimum Bayes risk, with chrF."""
    precision: str
    """The resolved value, never "auto"."""
    shortlist: bool
    """Whether the shortlist of the checkpoint is used."""
    device: str
    """Kind of device, cpu or cuda: another shard may use another GPU."""
    threads: int

    def __post_init__(self) -> None:
        if min(self.threads, self.part_records) < 1 or self.records < 0:
            raise ConfigError("threads, part_records or records are too small")

    @property
    def parts(self) -> int:
        """The number of parts of the job."""
        return -(-self.records // self.part_records)

    def key(self) -> str:
        """Eight characters that distinguish the parts of this job from those of any other."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:8]

    def to_json(self) -> str:
        """The text of manifest.json."""
        return json.dumps(to_dict(self), indent=2, ensure_ascii=False) + "\n"


def part_size(records: int) -> int:
    """Records in a part: 4,096, or fewer in a small input, so that shards have something to share.

    At least 1,024, because the engine runs empty at the end of each search window. The size depends
    only on the input, so the windows, and with them all bits of the output, are the same for any
    number of shards, even where neighbours affect the last bits.
    """
    return min(max(records // FEWEST_PARTS, SMALLEST_PART), LARGEST_PART)


def manifest_path(folder: Path) -> Path:
    """The path of the manifest of a job."""
    return folder / "manifest.json"


def load_manifest(path: Path) -> Manifest | None:
    """Load the manifest at `path`; None if there is no such file.

    Raises:
        DataError: it is damaged, or another version of Dragoman wrote it.
    """
    try:
        values = json.loads(path.read_bytes())
        if not isinstance(values, dict):
            raise ValueError("not an object")
        return from_dict(Manifest, values)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError, ConfigError) as error:
        raise DataError(
            f"{path}: cannot be used ({error}). Go on with the version of Dragoman that wrote it, "
            f"or remove {path.parent} to begin anew."
        ) from error


def adopt(manifest: Manifest, arguments: argparse.Namespace, path: Path) -> None:
    """Replace flags of the model that are `auto`, or not given, by the values of the manifest.

    Raises:
        ConfigError: a flag contradicts it, or the job was begun with another number of models,
            whose precision these might not have.
    """
    if len(arguments.ensemble) != len(manifest.ensemble):
        raise ConfigError(_another(path, "ensemble"))
    if arguments.precision == "auto":
        arguments.precision = manifest.precision
    if arguments.device == "auto":
        arguments.device = manifest.device
    if arguments.threads is None:
        arguments.threads = manifest.threads
    given = {
        "precision": arguments.precision,
        "device": arguments.device.partition(":")[0],
        "threads": arguments.threads,
    }
    for name, value in given.items():
        if value != getattr(manifest, name):
            raise ConfigError(_conflict(path, name, getattr(manifest, name), value))


def check_same(begun: Manifest, now: Manifest, path: Path) -> None:
    """Check that a run may add to the job that was `begun`.

    Raises:
        ConfigError: something that the output depends on differs; the first difference is named.
    """
    for one in dataclasses.fields(Manifest):
        name = one.name
        theirs, ours = getattr(begun, name), getattr(now, name)
        if theirs == ours:
            continue
        if name in ("input", "model", "ensemble"):
            raise ConfigError(_another(path, name))
        if name == "search":
            first, second = to_dict(theirs), to_dict(ours)
            name = next(key for key in first if first[key] != second[key])
            theirs, ours = first[name], second[name]
        raise ConfigError(_conflict(path, name, theirs, ours))


def _another(path: Path, name: str) -> str:
    return (
        f"{path.parent}: this job was begun with another {name}. Give the same, or remove the "
        "folder to begin anew."
    )


def _conflict(path: Path, name: str, theirs: object, ours: object) -> str:
    return (
        f"{path.parent}: this job was begun with {name} {theirs}, not {ours}. Use the same, or "
        "remove the folder to begin anew."
    )
