"""Dragoman's public interface: the names in docs/library.md, which alone are kept stable."""

import importlib.metadata

from dragoman.hidden_model import what_hides_model

# Before the imports below, which would run that other `model`.
if _message := what_hides_model():
    raise ImportError(_message, name="model")

from model.checkpoint.checkpoint import Checkpoint, load_checkpoint
from model.decoding.options import SearchOptions
from model.errors import (
    CheckpointError,
    ConfigError,
    ConfigErrors,
    DataError,
    DragomanError,
    InputTooLong,
    RequestError,
)
from model.jobs.batch import BatchTranslator
from model.network.trace import LayerTrace, Trace
from model.text.segmentation import WholeSource
from model.text.text_windows import TextWindow
from model.transducer import Transducer
from model.translation.assemble import TextHypothesis, Translation
from model.translation.pair_scores import PairScore
from model.translation.text_trace import TextTrace
from model.translator import Translator
from model.vector_transducer import VectorTransducer

__version__ = importlib.metadata.version("dragoman")

__all__ = [
    "BatchTranslator",
    "Checkpoint",
    "CheckpointError",
    "ConfigError",
    "ConfigErrors",
    "DataError",
    "DragomanError",
    "InputTooLong",
    "LayerTrace",
    "PairScore",
    "RequestError",
    "SearchOptions",
    "TextHypothesis",
    "TextTrace",
    "TextWindow",
    "Trace",
    "Transducer",
    "Translation",
    "Translator",
    "VectorTransducer",
    "WholeSource",
    "__version__",
    "load_checkpoint",
]
