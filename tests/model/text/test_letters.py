"""Letters and digits of a text, compared with what Python says of each character."""

import sys

from model.text.letters import folded, letters_and_digits


def test_what_is_left_is_letters_and_digits() -> None:
    for code in range(sys.maxunicode + 1):
        if not 0xD800 <= code < 0xE000:
            kept = "".join(c for c in folded(chr(code)) if c.isalnum())
            assert letters_and_digits(chr(code)) == kept, hex(code)


def test_case_and_form_do_not_matter() -> None:
    assert letters_and_digits("\uff33tra\u00dfe_7!") == "strasse7"
    assert letters_and_digits(" ...") == ""
