"""Tokenizer: lines of text to piece ids and back, by SentencePiece (Kudo & Richardson 2018)."""

import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import ClassVar

import sentencepiece

from model.errors import CheckpointError
from model.text.kind import Kind
from model.text.normalization import NORMALIZATION

PAD_ID, UNK_ID, BOS_ID, EOS_ID = 0, 1, 2, 3
_CONTROL_NAMES = ("<pad>", "<unk>", "<s>", "</s>")

# SentencePiece writes a space as U+2581 inside its pieces, so a U+2581 in the text would look like
# a space. Text is therefore cut at each U+2581, and the character is spelt as its three bytes.
SPACE_MARK = "\u2581"

MAX_PIECE = 1000
"""The longest piece, in characters: a text is as long as its pieces together."""

_UNDAMAGED = "Use an undamaged file that dragoman-train or spm_train wrote."


class Tokenizer:
    """A vocabulary of pieces and the two maps between a line and its piece ids.

    Ids 0 to 3 are padding, unknown, begin and end of sentence, whatever ids the SentencePiece model
    gives them. With a model from `training.data.learn_tokenizer`, `decode(encode(line))` is the
    line in Unicode normal form C, for every line: white space and control characters are kept, a
    character outside the vocabulary becomes its UTF-8 bytes, and no piece is ever unknown. Other
    SentencePiece models work as far as their own normalisation allows.

    Models learned by Dragoman do not add a leading space: it is added here before encoding and
    removed after decoding, since SentencePiece would also remove spaces at the head of the text.

    Safe to use from several threads.
    """

    # What `model.text.vocabulary` asks for: one tokenizer serves both sides, and spells everything.
    kind: ClassVar[Kind] = "pieces"
    file_name: ClassVar[str] = "tokenizer.model"
    closed: ClassVar[bool] = False
    normalization: ClassVar[int] = NORMALIZATION

    def __init__(self, model: bytes) -> None:
        """Load a serialized SentencePiece model.

        Raises:
            CheckpointError: `model` is not one, or its scores or pieces are none that training
                gives.
        """
        processor = sentencepiece.SentencePieceProcessor()
        try:
            processor.load_from_serialized_proto(model)
            pieces = [processor.id_to_piece(i) for i in range(processor.get_piece_size())]
        except (RuntimeError, UnicodeDecodeError) as error:
            raise CheckpointError(
                f"the tokenizer ({len(model)} bytes) is not a SentencePiece model. {_UNDAMAGED}"
            ) from error
        self.model = model
        self._processor = processor
        control = [processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id()]
        rest = [i for i in range(len(pieces)) if i not in control]
        self._to_model = control + rest  # our id -> the model's id, -1 if it has no such control
        self._from_model = {theirs: ours for ours, theirs in enumerate(self._to_model)}
        self.vocab_size = len(self._to_model)
        # Used for every piece of every answer: a list is several times as fast as the processor.
        self._names = [*_CONTROL_NAMES, *(pieces[i] for i in rest)]
        if not all(map(math.isfinite, map(processor.get_score, rest))):
            raise CheckpointError(f"the tokenizer has scores that are no numbers. {_UNDAMAGED}")
        if len(max(self._names, key=len)) > MAX_PIECE:
            raise CheckpointError(
                f"the tokenizer has a piece of more than {MAX_PIECE} characters. {_UNDAMAGED}"
            )
        adds_space = any(SPACE_MARK in piece for piece in processor.encode("a", out_type=str))
        self._prefix = "" if adds_space else " "
        # The bytes of the space mark; none in a model that cannot tell it from a space.
        self.mark_ids = [] if adds_space else self.byte_ids(SPACE_MARK)

    @property
    def source(self) -> "Tokenizer":
        """What encodes and decodes sources."""
        return self

    @property
    def target(self) -> "Tokenizer":
        """What encodes and decodes targets."""
        return self

    def loader(self) -> Callable[[], "Tokenizer"]:
        """A function that makes this tokenizer again, in another process."""
        return partial(Tokenizer, self.model)

    def encode(self, line: str) -> list[int]:
        """The ids of the pieces of `line`, without BOS and EOS; none for an empty line."""
        return self._join([self._processor.encode(part) for part in self._parts(line)])

    def encode_lines(self, lines: Sequence[str]) -> list[list[int]]:
        """`encode` each line, in less time: SentencePiece is called once for all of them."""
        parts = [self._parts(line) for line in lines]
        flat = [part for of_line in parts for part in of_line]
        encoded = iter(self._processor.encode(flat, num_threads=1))
        return [self._join(list(islice(encoded, len(of_line)))) for of_line in parts]

    def decode(self, ids: Sequence[int]) -> str:
        """The text that `ids`, any sequence of them, spell.

        Control ids have no text, and bytes that are not UTF-8 become U+FFFD.
        """
        kept = [self._to_model[i] for i in ids if i == UNK_ID or i > EOS_ID]
        text: str = self._processor.decode(kept)
        return text.removeprefix(self._prefix)

    def piece(self, id: int) -> str:
        """The piece as SentencePiece writes it, with U+2581 for a space. For display."""
        return self._names[id]

    def ids(self, pieces: Iterable[str]) -> list[int]:
        """The ids of `pieces` that `piece` has given."""
        known = {name: id for id, name in enumerate(self._names)}
        return [known[piece] for piece in pieces]

    def byte_ids(self, character: str) -> list[int]:
        """The ids of the byte pieces that spell `character`; none if the model has none."""
        names = [f"<0x{byte:02X}>" for byte in character.encode()]
        ids = [self._processor.piece_to_id(name) for name in names]
        has_bytes = all(self._processor.is_byte(i) for i in ids)
        return [self._from_model[i] for i in ids] if has_bytes else []

    def byte_pieces(self) -> list[int]:
        """The ids of all byte pieces; none if the model has no byte pieces."""
        pieces = enumerate(self._to_model[EOS_ID + 1 :], EOS_ID + 1)
        return [ours for ours, theirs in pieces if self._processor.is_byte(theirs)]

    def spell(self, piece: str) -> list[int]:
        """The ids of the pieces that spell a piece of another model, as SentencePiece writes it."""
        text = piece.replace(SPACE_MARK, " ")
        if not self._prefix:  # the model adds a space by itself
            text = text.removeprefix(" ")
        return [self._from_model[theirs] for theirs in self._processor.encode(text)]

    def subwords(self) -> dict[str, tuple[int, float]]:
        """Id and score of each piece except control and byte pieces.

        The score is a log-probability in a unigram model, and minus the rank of the merge in BPE.
        """
        found = {}
        for ours, theirs in enumerate(self._to_model[EOS_ID + 1 :], EOS_ID + 1):
            if not self._processor.is_byte(theirs) and not self._processor.is_control(theirs):
                score = self._processor.get_score(theirs)
                found[self._processor.id_to_piece(theirs)] = ours, score
        return found

    def _parts(self, line: str) -> list[str]:
        """The stretches of the normalised line between space marks, as SentencePiece gets them."""
        text = unicodedata.normalize("NFC", line)
        if not text:
            return [text]
        text = self._prefix + text
        return text.split(SPACE_MARK) if self.mark_ids else [text]

    def _join(self, parts: list[list[int]]) -> list[int]:
        ids = [self._from_model[theirs] for theirs in parts[0]]
        for part in parts[1:]:
            ids += self.mark_ids
            ids += [self._from_model[theirs] for theirs in part]
        return ids
