"""Text profile: a model's task, its languages, and the form of the text that it was trained on."""

import dataclasses
import difflib
from dataclasses import dataclass

from model.errors import ConfigError
from model.text.languages import language_name, language_tag
from model.text.length_pieces import MAX_BUCKETS
from model.text.normalization import NORMALIZATION, normalize_source
from model.text.printable import shortened

READS_WHOLE = {"translate": False, "summarize": True}
"""The known tasks, and for each whether it reads a text whole, rather than line by line and
sentence by sentence."""

TRANSDUCE = "transduce"
"""What models of symbols and of vectors do, in the place of a task."""

SEVERAL = 0.5
"""A model is taken to know lines of any number of sentences if at least this share of its training
lines had several. With fewer, longer lines lose sentences (measured in docs/text.md)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextProfile:
    """The task, languages and text form of a model, stored with the weights (text.json).

    The defaults describe checkpoints that were saved before there was a profile.
    """

    task: str = "translate"
    """One of `READS_WHOLE`."""
    source_language: str = ""
    """BCP 47 tag of the language it reads; "" if that was not specified."""
    target_language: str = ""
    """BCP 47 tag of the language it writes, likewise."""
    normalization: int = 0
    """The rules by which the sources of the training text were normalised."""
    several_sentences: float | None = None
    """Share of training lines whose source has several sentences; None if they were not counted.
    Lines that were made of several (`data.joined`) count in some older checkpoints."""

    length_buckets: tuple[int, ...] = ()
    """The most words of the targets of each length bucket but the last, see
    `model.text.length_pieces`; empty if the model was trained without length pieces."""

    def __post_init__(self) -> None:
        check_task(self.task)
        for name in ("source_language", "target_language"):
            try:
                object.__setattr__(self, name, language_tag(getattr(self, name)))
            except ConfigError as error:
                raise ConfigError(f"{name}: {error}") from None
        if not 0 <= self.normalization <= NORMALIZATION:
            given = shortened(str(self.normalization), 40)
            raise ConfigError(f"normalization: {given} is not known here. Upgrade Dragoman.")
        if self.several_sentences is not None and not 0 <= self.several_sentences <= 1:
            raise ConfigError(f"several_sentences: {self.several_sentences} is not in 0 to 1.")
        boundaries = self.length_buckets
        if len(boundaries) >= MAX_BUCKETS or list(boundaries) != sorted(boundaries):
            raise ConfigError(
                f"length_buckets: {shortened(str(boundaries), 40)} are no boundaries of at most "
                f"{MAX_BUCKETS} buckets. They must not descend."
            )

    @property
    def reads_whole(self) -> bool:
        """Whether a text is read whole, with all its lines and sentences."""
        return READS_WHOLE[self.task]

    @property
    def knows_several_sentences(self) -> bool:
        """Whether the model has learned from lines of several sentences."""
        return self.several_sentences is not None and self.several_sentences >= SEVERAL

    def normalized(self, source: str) -> str:
        """Normalise `source` as the training text of the model was."""
        return normalize_source(source, self.normalization)

    def with_overrides(
        self, *, task: str | None = None, source: str | None = None, target: str | None = None
    ) -> "TextProfile":
        """The profile with these values, where they are given, in place of its own.

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
    """Check that `task` is known.

    Raises:
        ConfigError: it is not; the most similar one is named.
    """
    if task in READS_WHOLE:
        return
    nearest = difflib.get_close_matches(task, READS_WHOLE, n=1, cutoff=0.5)
    hint = f"Did you mean {nearest[0]!r}? " if nearest else ""
    raise ConfigError(
        f"task: {shortened(repr(task), 40)} is not known. {hint}Use {' or '.join(READS_WHOLE)}."
    )
