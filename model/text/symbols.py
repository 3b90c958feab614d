"""Symbols: lines to ids of a closed alphabet and back, in the place of a tokenizer."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from functools import partial
from typing import ClassVar

from model.errors import RequestError
from model.text.alphabet import Alphabet, Cut
from model.text.kind import Kind
from model.text.tokenizer import EOS_ID, UNK_ID

_LISTED = 40  # symbols in a message at most
_CONTROL_NAMES = ("<pad>", "<unk>", "<s>", "</s>")


class SymbolCodec:
    """The symbols of one side, source or target, to ids and back."""

    def __init__(self, cut: Cut, names: Sequence[str], known: Collection[str]) -> None:
        """
        Args:
            names: of all ids, the control ids first.
            known: those that lines of this side may have.
        """
        self.cut = cut
        self._names = names
        self._ids = {name: id for id, name in enumerate(names) if id > EOS_ID and name in known}

    def encode(self, line: str) -> list[int]:
        """The ids of the symbols of `line`; UNK_ID for one that this side has not."""
        return [self._ids.get(symbol, UNK_ID) for symbol in self.cut.cut(line)]

    def encode_lines(self, lines: Sequence[str]) -> list[list[int]]:
        """`encode` each line."""
        return list(map(self.encode, lines))

    def encode_known(self, line: str) -> list[int]:
        """The ids of the symbols of `line`.

        Raises:
            RequestError: this side has not one of them; it is named with its place.
        """
        ids = self.encode(line)
        if UNK_ID in ids:
            place = ids.index(UNK_ID)
            raise RequestError(
                f"symbol {place + 1}: {{}} is not among the {len(self._ids):,} that this model "
                f"reads. Write it with {self._listed()}.",
                quoted=(self.cut.cut(line)[place],),
            )
        return ids

    def _listed(self) -> str:
        """The symbols, if they are few; they stand in a message that is formatted."""
        if len(self._ids) > _LISTED:
            return "symbols of the training, which dragoman-inspect lists"
        shown = " ".join("a space" if name == " " else name for name in self._ids)
        return shown.replace("{", "{{").replace("}", "}}")

    def decode(self, ids: Sequence[int]) -> str:
        """The line that `ids` spell; control ids have no text."""
        return self.cut.join([self._names[id] for id in ids if id > EOS_ID])


class Symbols:
    """The vocabulary of a model of symbols: ids 0 to 3 as in a `Tokenizer`, then the alphabet."""

    kind: ClassVar[Kind] = "symbols"
    file_name: ClassVar[str] = "symbols.json"
    closed: ClassVar[bool] = True
    normalization: ClassVar[int] = 0

    def __init__(self, alphabet: Alphabet) -> None:
        names = [*_CONTROL_NAMES, *alphabet.symbols]
        self.alphabet = alphabet
        self.model = json.dumps(asdict(alphabet), ensure_ascii=False).encode()
        self.vocab_size = len(names)
        every = frozenset(alphabet.symbols)
        self._source, self._target = (
            SymbolCodec(cut, names, known) if cut else None
            for cut, known in (
                (alphabet.source, frozenset(alphabet.read) or every),
                (alphabet.target, every),
            )
        )
        self._names = names

    @property
    def source(self) -> SymbolCodec:
        """That of the sources, which are lines: see `Alphabet.source`."""
        assert self._source is not None
        return self._source

    @property
    def target(self) -> SymbolCodec:
        """That of the targets, which are lines: see `Alphabet.target`."""
        assert self._target is not None
        return self._target

    def loader(self) -> Callable[[], "Symbols"]:
        """A function that makes these symbols again, in another process."""
        return partial(Symbols, self.alphabet)

    def piece(self, id: int) -> str:
        """The symbol with this id, for display."""
        return self._names[id]
