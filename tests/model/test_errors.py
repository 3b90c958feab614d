"""Errors: what they are about, and what they repeat of what the user wrote."""

import pickle

import pytest

from model.decoding.options import SearchOptions
from model.errors import ConfigError, DataError, DragomanError, RequestError


def test_a_message_begins_with_the_field() -> None:
    assert str(DataError("line 3 is empty.")) == "line 3 is empty."
    error = RequestError("9 pieces, but 8 fit.", field="prefix")
    assert str(error) == error.unquoted == "prefix: 9 pieces, but 8 fit."
    error.field = "text.3"
    assert str(error) == "text.3: 9 pieces, but 8 fit."


@pytest.mark.parametrize("phrase", ["Haus", "it's", "{}", "{0} {field}", "'", "\n"])
def test_what_is_quoted_can_be_left_out(phrase: str) -> None:
    error = ConfigError("{} is part of {}.", field="avoid", quoted=(phrase, "das " + phrase))
    assert str(error) == f"avoid: {phrase!r} is part of {'das ' + phrase!r}."
    assert error.unquoted == "avoid: one is part of one."


def test_an_error_crosses_processes() -> None:
    error = ConfigError("{} is given twice.", field="constraints", quoted=("Haus",))
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is ConfigError
    assert (str(copy), copy.unquoted) == (str(error), error.unquoted)
    assert copy.field == "constraints"


def test_the_options_say_which_of_them_is_wrong() -> None:
    with pytest.raises(DragomanError, match="'Haus' is given twice") as raised:
        SearchOptions(constraints=("Haus", "Haus"))
    assert raised.value.field == "constraints"
    assert "Haus" not in raised.value.unquoted
