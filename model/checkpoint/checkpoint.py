"""Checkpoint: a directory with everything that translation needs, verified before it is used.

A pack is the same in one file, without the training state and mostly with smaller weights.

    config.json  weights.safetensors  tokenizer.model  decoding.json  card.md
    symbols.json, vectors.json                                      in place of tokenizer.model
    text.json                                                       task, languages, form of text
    shortlist.safetensors                                           if one was learned
    confidence.json                                                 how good its outputs are
    origin.json                                                     what the training began with
    training_state/state.safetensors  training_state/state.json     to resume; may be left out
    manifest.json    format number, step, version of Dragoman, SHA-256 of each file and of itself

Tensors are safetensors, the rest is JSON and text: nothing is ever unpickled.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.checkpoint.archive import archive_bytes
from model.checkpoint.files import (
    CARD,
    CONFIDENCE,
    CONFIG,
    DECODING,
    ORIGIN,
    PROFILE,
    SHORTLIST,
    STATE,
    STATE_TENSORS,
    STATE_VALUES,
    WEIGHTS,
    CheckpointFiles,
    to_safetensors,
)
from model.checkpoint.manifest import PACKED_FORMAT, signed, to_json
from model.checkpoint.packed_weights import pack_weights
from model.checkpoint.run_directory import publish, publish_as, publish_over, resolve
from model.config import ModelConfig, to_dict
from model.decoding.confidence import Calibration
from model.decoding.lexical_shortlist import Shortlist
from model.decoding.options import SearchOptions
from model.decoding.out_of_memory import is_out_of_memory
from model.decoding.precision.dtypes import Precision
from model.decoding.symbol_options import check_symbol_options
from model.errors import CheckpointError, ConfigError, RequestError
from model.network.given_values import network_of_values
from model.network.seq2seq import Seq2Seq
from model.text.kind import Kind
from model.text.profile import TextProfile
from model.text.symbols import Symbols
from model.text.tokenizer import Tokenizer
from model.text.vocabulary import Vocabulary
from model.vectors.vector_form import VectorForm

DEVIATIONS = ("source_statistics.std", "target_statistics.std")
"""Tensors by which vectors are divided."""

MAX_WEIGHT = 1e6
"""The greatest magnitude of a weight, which no training comes near. With greater ones, products of
a network of the largest sizes could overflow, and a search has no use for scores that are NaN."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A loaded checkpoint: everything needed to get from text to text."""

    config: ModelConfig
    network: Seq2Seq
    """In eval mode, fp32, on the CPU."""
    vocabulary: Vocabulary | VectorForm
    """What makes outputs of ids, or of vectors: see `tokenizer`, `lines`, `symbols`, `vectors`."""
    reads: Vocabulary | None
    """What makes ids of sources, mostly the `vocabulary`; None if they are vectors."""
    search: SearchOptions
    """The search options chosen for this network, as defaults."""
    profile: TextProfile
    """Task, languages, and the form of text that the network was trained on."""
    card: str
    """Markdown: data, license, attribution, metrics."""
    shortlist: Shortlist | None
    """The target pieces that decoding may be restricted to; None if saved without."""
    calibration: Calibration | None
    """What the probability of an output says about its quality; None if saved without."""
    origin: str | None
    """A digest of the weights and data that training began with, or, for a fine-tuned model, that
    the training of the original model began with; None if saved without."""
    step: int
    path: Path
    """The checkpoint directory itself, even if it was found through a run; or the pack."""
    stored: Precision
    """The number format in which its matrices are stored."""
    digest: str
    """SHA-256 of the manifest, and thereby of every file: identifies this checkpoint."""

    @property
    def kinds(self) -> tuple[Kind, Kind]:
        """What it reads and what it writes."""
        return self.reads.kind if self.reads else "vectors", self.vocabulary.kind

    @property
    def is_text(self) -> bool:
        """Whether it is a model from text to text."""
        return self.kinds == ("pieces", "pieces")

    @property
    def id_vocabulary(self) -> Vocabulary:
        """The tokenizer, or the symbols, that serves both sides.

        Raises:
            CheckpointError: one of them is vectors.
        """
        if self.reads is None or isinstance(self.vocabulary, VectorForm):
            raise CheckpointError(
                f"{self.path}: this is a model of vectors, and only those of text and symbols can "
                "do that. Name another."
            )
        return self.vocabulary

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of a model from text to text.

        Raises:
            CheckpointError: it is another model.
        """
        if self.is_text and isinstance(self.vocabulary, Tokenizer):
            return self.vocabulary
        loader = "VectorTransducer" if self.vocabulary.kind == "vectors" else "Transducer"
        only = "not text from text" if self.vocabulary.kind == "pieces" else "not text"
        raise CheckpointError(
            f"{self.path}: this model {self._sides()}, {only}. Use {loader}.load, "
            "dragoman-translate or dragoman-evaluate, or name a model of text."
        )

    @property
    def lines(self) -> Vocabulary:
        """What a `Transducer` makes lines with: symbols, or the tokenizer of a model of vectors.

        Raises:
            CheckpointError: it is a model from text to text, or writes vectors.
        """
        if isinstance(self.vocabulary, VectorForm):
            raise CheckpointError(
                f"{self.path}: this model {self._sides()}. Use VectorTransducer.load."
            )
        if self.is_text:
            raise CheckpointError(
                f"{self.path}: this model reads and writes text, not symbols. Use Translator.load, "
                "or name a model that was trained with kind: symbols or vectors."
            )
        return self.vocabulary

    @property
    def symbols(self) -> Symbols:
        """The symbols of a model that writes symbols.

        Raises:
            CheckpointError: it is another model.
        """
        lines = self.lines
        if not isinstance(lines, Symbols):
            raise CheckpointError(f"{self.path}: this model {self._sides()}. It has no symbols.")
        return lines

    def _sides(self) -> str:
        """`reads vectors and writes text`."""
        source, target = ("text" if kind == "pieces" else kind for kind in self.kinds)
        if source == target:
            return f"reads and writes {source}"
        return f"reads {source} and writes {target}"

    @property
    def vectors(self) -> VectorForm:
        """The form of a model that writes vectors.

        Raises:
            CheckpointError: it is another model.
        """
        if not isinstance(self.vocabulary, VectorForm):
            raise CheckpointError(
                f"{self.path}: this model does not write vectors. Use Translator.load or "
                "Transducer.load, or name a model that was trained with kind: vectors."
            )
        return self.vocabulary

    def shortlist_if(self, wanted: bool) -> Shortlist | None:
        """The shortlist if `wanted`, else None.

        Raises:
            ConfigError: it is wanted, but there is none.
        """
        if wanted and self.shortlist is None:
            raise ConfigError(
                f"shortlist: {self.path} has none. Make one with dragoman-shortlist, or do without."
            )
        return self.shortlist if wanted else None


def save_checkpoint(
    run: Path,
    step: int,
    *,
    config: ModelConfig,
    weights: Mapping[str, Tensor],
    tokenizer: Vocabulary | VectorForm,
    search: SearchOptions,
    card: str,
    training_state: Mapping[str, Tensor] | None,
    training_meta: Mapping[str, object] | None,
    reads: Vocabulary | None = None,
    profile: TextProfile | None = None,
    shortlist: Shortlist | None = None,
    calibration: Calibration | None = None,
    origin: str | None = None,
) -> Path:
    """Write a checkpoint into `run` and return its directory. No link is moved.

    Args:
        weights: by the names of `named_parameters()` of the network, so a tied matrix occurs once.
        tokenizer, reads: what makes outputs, and what makes ids of sources if that is another.
        profile: None stands for the profile of checkpoints that were saved before there was one.
        origin: see `Checkpoint`.
        training_state: tensors needed to resume training; `training_meta` has the rest, as JSON.
            Give both or neither.

    Raises:
        CheckpointError: the directory cannot be written, for instance because the disk is full.
            Earlier checkpoints are intact.
    """
    files = {
        CONFIG: to_json(to_dict(config)),
        WEIGHTS: to_safetensors(weights),
        tokenizer.file_name: tokenizer.model,
        DECODING: to_json(to_dict(search)),
        CARD: card.encode(),
    }
    if reads is not None:
        files[reads.file_name] = reads.model
    if profile is not None:
        files[PROFILE] = to_json(to_dict(profile))
    if shortlist is not None:
        files[SHORTLIST] = shortlist.to_bytes()
    if calibration is not None:
        files[CONFIDENCE] = to_json(to_dict(calibration))
    if origin is not None:
        files[ORIGIN] = to_json({"origin": origin})
    if training_state is not None and training_meta is not None:
        files[STATE_TENSORS] = to_safetensors(training_state)
        files[STATE_VALUES] = to_json(training_meta)
    return publish(run, step, signed(files, step))


def add_shortlist(run: Path, directory: Path, shortlist: Shortlist, *, card: str) -> Path:
    """Publish a copy of the checkpoint `directory` in `run`, with this shortlist and this card.

    Returns the new directory. No link is moved, and `directory` stays as it is.

    Raises:
        CheckpointError: a file is missing or damaged, or the directory cannot be written.
    """
    old = CheckpointFiles(directory)
    return publish(run, old.manifest.step, _with_shortlist(old, shortlist, card))


def replace_shortlist(directory: Path, shortlist: Shortlist, *, card: str) -> None:
    """Give the checkpoint `directory` itself this shortlist and this card, in one atomic step.

    Raises:
        CheckpointError: a file is missing or damaged, or the directory cannot be replaced.
    """
    publish_over(directory, _with_shortlist(CheckpointFiles(directory), shortlist, card))


def derive_with_shortlist(
    directory: Path, output: Path, shortlist: Shortlist, *, card: str
) -> None:
    """Publish as `output` a copy of the checkpoint `directory` with this shortlist and this card.

    Raises:
        CheckpointError: a file is missing or damaged, or `output` exists or cannot be written.
    """
    publish_as(output, _with_shortlist(CheckpointFiles(directory), shortlist, card))


def replace_calibration(directory: Path, calibration: Calibration) -> None:
    """Give the checkpoint `directory` itself this table, in one atomic step.

    Raises:
        CheckpointError: a file is missing or damaged, or the directory cannot be replaced.
    """
    old = CheckpointFiles(directory)
    files = {name: old.read(name) for name in old.names()}
    files[CONFIDENCE] = to_json(to_dict(calibration))
    publish_over(directory, signed(files, old.manifest.step, old.manifest.format))


def _with_shortlist(old: CheckpointFiles, shortlist: Shortlist, card: str) -> dict[str, bytes]:
    files = {name: old.read(name) for name in old.names()}
    files |= {CARD: card.encode(), SHORTLIST: shortlist.to_bytes()}
    return signed(files, old.manifest.step, old.manifest.format)


def derive_checkpoint(
    directory: Path,
    output: Path,
    *,
    weights: Mapping[str, Tensor],
    card: str,
    calibration: Calibration | None = None,
) -> None:
    """Publish as `output` the checkpoint `directory` with other weights and another card.

    The training state and the old calibration are left out: they do not belong to these weights.

    Raises:
        CheckpointError: a file is missing or damaged, or `output` exists or cannot be written.
    """
    old = CheckpointFiles(directory)
    kept = [n for n in old.names() if not n.startswith(STATE) and n != CONFIDENCE]
    files = {name: old.read(name) for name in kept}
    files |= {CARD: card.encode(), WEIGHTS: to_safetensors(weights)}
    if calibration is not None:
        files[CONFIDENCE] = to_json(to_dict(calibration))
    publish_as(output, signed(files, old.manifest.step))


def load_checkpoint(path: Path) -> Checkpoint:
    """Load a checkpoint directory, the best (else last) checkpoint of a run, or a pack.

    Raises:
        CheckpointError: there is none, a file is missing or damaged, or the format is too new.
    """
    while True:
        directory = resolve(path)
        digest = None
        try:
            files = CheckpointFiles(directory)
            digest = files.manifest.digest
            return _load(files)
        except CheckpointError:
            # While it was being read, training may have moved the link and deleted its old target,
            # or dragoman-shortlist may have put another in its place.
            now = resolve(path)
            if now == directory and digest in (None, CheckpointFiles(now).manifest.digest):
                raise


def packed(checkpoint: Checkpoint, precision: Precision) -> bytes:
    """Return the pack of a loaded checkpoint, with weights in `precision`.

    Equal checkpoints give equal bytes.
    """
    weights = {name: weight.detach() for name, weight in checkpoint.network.named_parameters()}
    files = {
        CONFIG: to_json(to_dict(checkpoint.config)),
        WEIGHTS: to_safetensors(pack_weights(weights, checkpoint.config, precision)),
        checkpoint.vocabulary.file_name: checkpoint.vocabulary.model,
        DECODING: to_json(to_dict(checkpoint.search)),
        PROFILE: to_json(to_dict(checkpoint.profile)),
        CARD: checkpoint.card.encode(),
    }
    if checkpoint.reads is not None:
        files[checkpoint.reads.file_name] = checkpoint.reads.model
    if checkpoint.shortlist is not None:
        files[SHORTLIST] = checkpoint.shortlist.to_compact_bytes()
    if checkpoint.calibration is not None:
        files[CONFIDENCE] = to_json(to_dict(checkpoint.calibration))
    if checkpoint.origin is not None:
        files[ORIGIN] = to_json({"origin": checkpoint.origin})
    return archive_bytes(signed(files, checkpoint.step, PACKED_FORMAT))


def load_training_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Load `training_state` and `training_meta` of a checkpoint directory, or of a run's last one.

    Raises:
        CheckpointError: there is none, a file is missing or damaged, or the format is too new.
    """
    files = CheckpointFiles(resolve(path, links=("last",)))
    tensors = files.tensors(STATE_TENSORS)
    return tensors, files.json(STATE_VALUES)


def load_training_meta(path: Path) -> dict[str, Any]:
    """Load `training_meta` only, without reading the tensors.

    Raises:
        CheckpointError: as `load_training_state`.
    """
    return CheckpointFiles(resolve(path, links=("last",))).json(STATE_VALUES)


def load_vocabulary(path: Path) -> Vocabulary:
    """Load only what makes the lines that the checkpoint writes that `load_checkpoint` would load.

    Raises:
        CheckpointError: as `load_checkpoint`, or it writes vectors.
    """
    files = CheckpointFiles(resolve(path))
    found = files.vocabulary()
    if isinstance(found, VectorForm):
        raise CheckpointError(f"{files.path}: this model writes vectors, not lines. Name another.")
    return found


def reads_vectors(path: Path) -> bool:
    """Tell whether the checkpoint that `load_checkpoint` would load reads vectors.

    Raises:
        CheckpointError: as `load_checkpoint`.
    """
    return CheckpointFiles(resolve(path)).model.source_width > 0


def holds_vectors(path: Path) -> bool:
    """Tell whether the checkpoint that `load_checkpoint` would load writes vectors.

    Raises:
        CheckpointError: as `load_checkpoint`.
    """
    return VectorForm.file_name in CheckpointFiles(resolve(path)).manifest.files


def load_origin(path: Path) -> str | None:
    """Load only the `origin` of the checkpoint that `load_checkpoint` would load.

    Raises:
        CheckpointError: as `load_checkpoint`.
    """
    return CheckpointFiles(resolve(path)).origin()


def _load(files: CheckpointFiles) -> Checkpoint:
    try:
        return _load_files(files)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise CheckpointError(
            f"{files.path}: no memory left to load it. Free some, or use a smaller model."
        ) from error


def _load_files(files: CheckpointFiles) -> Checkpoint:
    vocabulary = files.vocabulary()
    lines: Vocabulary | None
    if isinstance(vocabulary, VectorForm):
        lines = files.lines() if files.has_lines else None
    else:
        lines = vocabulary
    ids = lines or vocabulary
    if ids.vocab_size != files.model.vocab_size:
        raise CheckpointError(
            f"{files.path}: {ids.file_name} has {ids.vocab_size:,} pieces, the network "
            f"{files.model.vocab_size:,}. Use files of one training."
        )
    weights, stored = files.weights()
    _check_sides(vocabulary, lines, files)
    search = files.config(DECODING, SearchOptions)
    reads_vectors = files.model.source_width > 0
    if isinstance(vocabulary, Symbols) or (reads_vectors and isinstance(vocabulary, Tokenizer)):
        try:
            check_symbol_options(search, "vectors" if reads_vectors else "symbols")
        except RequestError as error:
            raise CheckpointError(f"{files.path / DECODING}: {error}") from None
    return Checkpoint(
        config=files.model,
        network=_network(files, weights),
        vocabulary=vocabulary,
        reads=None if reads_vectors else lines,
        search=search,
        profile=files.profile(),
        card=files.read(CARD).decode(errors="replace"),
        shortlist=files.shortlist(),
        calibration=files.calibration(),
        origin=files.origin(),
        step=files.manifest.step,
        path=files.path,
        stored=stored,
        digest=files.manifest.digest,
    )


def _check_sides(
    vocabulary: Vocabulary | VectorForm,
    lines: Vocabulary | None,
    files: CheckpointFiles,
) -> None:
    """Check that the network has vectors where the model has."""
    config = files.model
    reads_vectors, writes_vectors = config.source_width > 0, config.target_width > 0
    fits = isinstance(vocabulary, VectorForm) == writes_vectors
    if isinstance(lines, Symbols):
        sides = lines.alphabet.source is None, lines.alphabet.target is None
        fits &= sides == (reads_vectors, writes_vectors)
    else:  # a tokenizer does not say of which side it is
        fits &= not writes_vectors or reads_vectors == (lines is None)
    if not fits:
        raise CheckpointError(
            f"{files.path}: {vocabulary.file_name} does not fit a network of vectors of "
            f"{config.source_width} and {config.target_width} numbers (0 is none). Use files of "
            "one training."
        )
    if isinstance(vocabulary, VectorForm):
        _check_form(vocabulary, files)


def _check_form(form: VectorForm, files: CheckpointFiles) -> None:
    """Check that the form of the outputs fits the network."""
    config, places = files.model, form.scaled_by
    fits = not places or len(places) == config.target_width
    if not fits or not all(0 <= place < config.source_width for place in places):
        raise CheckpointError(
            f"{files.path / VectorForm.file_name}: scaled_by does not fit vectors of "
            f"{config.source_width} and {config.target_width} numbers. Use files of one training."
        )
    window = form.window
    if window is not None and (
        (len(window.columns), len(window.targets)) != (config.source_width, config.target_width)
        or window.horizon != form.steps
        or places not in ((), window.places)
    ):
        raise CheckpointError(
            f"{files.path / VectorForm.file_name}: window does not fit {form.steps} vectors of "
            f"{config.target_width} numbers from those of {config.source_width}. Use files of one "
            "training."
        )
    if config.attention == "aligned" and form.steps:
        raise CheckpointError(
            f"{files.path / VectorForm.file_name}: {form.steps} steps, but the network gives one "
            "for each vector of the source. Use files of one training."
        )


def _network(files: CheckpointFiles, weights: Mapping[str, Tensor]) -> Seq2Seq:
    """The network with exactly the weights of the checkpoint, which are compared first."""
    path = files.path / WEIGHTS
    found = {name: tuple(value.shape) for name, value in weights.items()}
    for name in sorted(files.shapes.keys() | found.keys()):
        if files.shapes.get(name) != found.get(name):
            raise CheckpointError(
                f"{path}: {name} is {found.get(name, 'absent')}, but config.json wants it "
                f"{files.shapes.get(name, 'absent')}. Use files of one training."
            )
        if weights[name].dtype != torch.float32:
            raise CheckpointError(f"{path}: {name} is {weights[name].dtype}, not torch.float32.")
        least, most = (value.item() for value in weights[name].aminmax())  # NaN if there is one
        if not -MAX_WEIGHT <= least <= most <= MAX_WEIGHT:
            raise CheckpointError(
                f"{path}: {name} has values from {least:g} to {most:g}, but weights are numbers "
                f"within +-{MAX_WEIGHT:g}. Use another checkpoint of the run."
            )
        if name in DEVIATIONS and least <= 0:
            raise CheckpointError(
                f"{path}: {name} is not above 0. Use another checkpoint of the run."
            )
    return network_of_values(files.model, weights).eval()
