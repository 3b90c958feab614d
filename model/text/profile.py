"""What a model does with text: its task, its languages, the form of text that it learned from."""

import dataclasses
import difflib
from dataclasses import dataclass

from model.errors import ConfigError
from model.text.languages import language_name, language_tag
from model.text.normalization import NORMALIZATION, normalize_source

READS_WHOLE = {"translate": False, "summarize": True}
"""The tasks there are, and whether a text is read whole, rather than line by line and sentence by
sentence."""

SEVERAL = 0.1
"""Share of training lines of several sentences from which on a model knows such lines."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextProfile:
    """What a model does with text. It travels with the weights (text.json).

    The defaults are those of checkpoints that were saved before there was a profile.
    """

    task: str = "translate"
    """One of `READS_WHOLE`."""
    source_language: str = ""
    """BCP 47 tag of what it reads; "" if nobody has told."""
    target_language: str = ""
    """Of what it writes."""
    normalization: int = 0
    """Which rules the sources of the training text were normalised by."""
    several_sentences: float | None = None
    """Share of training lines whose source has several sentences; None if nobody has counted."""

    def __post_init__(self) -> None:
        check_task(self.task)
        for name in ("source_language", "target_language"):
            try:
                object.__setattr__(self, name, language_tag(getattr(self, name)))
            except ConfigError as error:
                raise ConfigError(f"{name}: {error}") from None
        if not 0 <= self.normalization <= NORMALIZATION:
            raise ConfigError(
                f"normalization: {self.normalization} is not known here. Upgrade Dragoman."
            )
        if self.several_sentences is not None and not 0 <= self.several_sentences <= 1:
            raise ConfigError(f"several_sentences: {self.several_sentences} is not in 0 to 1.")

    @property
    def reads_whole(self) -> bool:
        """Whether a text is read whole, with all its lines and sentences."""
        return READS_WHOLE[self.task]

    @property
    def knows_several_sentences(self) -> bool:
        """Whether the model has learned from lines of several sentences."""
        return self.several_sentences is not None and self.several_sentences >= SEVERAL

    def normalized(self, source: str) -> str:
        """`source` in the form that the model has learned to read."""
        return normalize_source(source, self.normalization)

    def told(
        self, *, task: str | None = None, source: str | None = None, target: str | None = None
    ) -> "TextProfile":
        """The profile with what is told of the model in the place of what it says itself.

        Raises:
            ConfigError: no such task or language.
        """
        return dataclasses.replace(
            self,
            task=self.task if task is None else task,
            source_language=self.source_language if source is None else source,
            target_language=self.target_language if target is None else target,
        )

    def describe(self) -> str:
        """`translate, German to English`."""
        if not (self.source_language or self.target_language):
            return self.task
        names = map(language_name, (self.source_language, self.target_language))
        return f"{self.task}, {' to '.join(names)}"


def check_task(task: str) -> None:
    """Make sure that there is such a task.

    Raises:
        ConfigError: there is none; the nearest is named.
    """
    if task in READS_WHOLE:
        return
    nearest = difflib.get_close_matches(task, READS_WHOLE, n=1, cutoff=0.5)
    hint = f"Did you mean {nearest[0]!r}? " if nearest else ""
    raise ConfigError(f"task: {task!r} is not known. {hint}Use {' or '.join(READS_WHOLE)}.")
