"""VectorForm: what stands between vectors and a network, in the place of a tokenizer."""

import json
from dataclasses import asdict, dataclass
from typing import ClassVar

from model.config import MOST
from model.decoding.options import SearchOptions
from model.errors import ConfigError
from model.text.kind import Kind
from model.text.tokenizer import EOS_ID
from model.vectors.series_window import SeriesWindow


@dataclass(frozen=True, kw_only=True, slots=True)
class VectorForm:
    """How many vectors come out, and what they mean. It is stored with the network."""

    steps: int = 0
    """Vectors of an output; 0 for one for each vector of the source."""
    differences: bool = False
    """Whether the network gives differences of consecutive vectors, the first from zeros."""

    scaled_by: tuple[int, ...] = ()
    """For each number of an output the place of that number in a source vector, if each source is
    scaled by itself (`WindowScale`) and the output with it; empty if none is."""

    window: SeriesWindow | None = None
    """What each source is, if all are windows of series; checkpoints of before it lack it."""

    kind: ClassVar[Kind] = "vectors"
    file_name: ClassVar[str] = "vectors.json"
    vocab_size: ClassVar[int] = EOS_ID + 1
    """A network needs some; no piece of them is ever read or written."""

    def __post_init__(self) -> None:
        if not 0 <= self.steps <= MOST["max_length"]:
            raise ConfigError(
                f"steps: {self.steps} is out of range. Use 1 to {MOST['max_length']}, or 0 for one "
                "for each vector of the source."
            )

    @property
    def model(self) -> bytes:
        """The content of its file, which only says of windows what there is."""
        values = asdict(self)
        if self.window is None:
            del values["window"]
        return json.dumps(values).encode()

    @property
    def search(self) -> SearchOptions:
        """The options that make the engine go on for as many steps."""
        each = 0.0 if self.steps else 1.0
        return SearchOptions(beam_size=1, max_length_a=each, max_length_b=self.steps)
